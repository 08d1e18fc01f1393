"""A way out for pictures that excite nothing: where all gradients end at ReLUs that are off, let them pass.

As in Lucid (tensorflow/lucid, ``redirected_relu_grad``, 2018): only what would switch a ReLU on passes, and only in pictures
that have no gradient otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def redirected(network: nn.Module, *, only_if: bool = True) -> Iterator[None]:
    """Within it, the network's ReLUs redirect their gradients; its values stay the same."""
    if not only_if:
        yield
        return
    # ReLUs inside of functions, as GoogLeNet's, cannot be reached; batch norm before them keeps these networks alive.
    places = [
        (module, name, child)
        for module in network.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ReLU | nn.ReLU6)
    ]
    try:
        for module, name, child in places:
            setattr(module, name, _Redirected(6.0 if isinstance(child, nn.ReLU6) else float("inf")))
        yield
    finally:
        for module, name, child in places:
            setattr(module, name, child)


class _Redirected(nn.Module):
    def __init__(self, top: float) -> None:
        super().__init__()
        self.top = top

    def forward(self, x: Tensor) -> Tensor:
        return _RedirectedReLU.apply(x, self.top)


class _RedirectedReLU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, top: float) -> Tensor:  # type: ignore[override]
        context.save_for_backward(x)
        context.top = top
        return x.clamp(0, top)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (x,) = context.saved_tensors
        off = x <= 0
        usual = gradient.masked_fill(off | (x >= context.top), 0)
        alive = usual.flatten(1).abs().amax(1).gt(0).view(-1, *[1] * (x.dim() - 1))
        upward = gradient.masked_fill(off & (gradient > 0), 0)  # descent lowers the loss by raising x
        return torch.where(alive, usual, upward), None
