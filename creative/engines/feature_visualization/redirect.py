"""A way out for pictures that excite next to nothing: where gradients end at ReLUs that are off, let them pass.

As in Lucid (tensorflow/lucid, ``redirected_relu_grad``, 2018) only what would switch a ReLU on passes. Differs from it:
there, a picture is helped where no gradient at all is left; here, where less than ``ENOUGH`` of it is, since one value
that is on by chance keeps Lucid's from helping.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

ENOUGH = 0.01
"""Share of a gradient that must get through a layer of ReLUs for it to be left alone."""

_TOPS: dict[Any, float] = dict.fromkeys([F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_], float("inf"))
_TOPS[F.relu6] = 6.0


def redirected(whether: bool = True) -> contextlib.AbstractContextManager[object]:
    """Within it all ReLUs of maps, however a network calls them, redirect their gradients; their values stay the same."""
    return _Redirected() if whether else contextlib.nullcontext()


class _Redirected(TorchFunctionMode):
    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if function in _TOPS and args[0].dim() == 4:
            return _RedirectedReLU.apply(args[0], _TOPS[function])
        return function(*args, **(kwargs or {}))


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
        left, whole = (one.abs().sum((1, 2, 3), keepdim=True, dtype=torch.float32) for one in (usual, gradient))
        upward = gradient.masked_fill(off & (gradient > 0), 0)  # descent lowers the loss by raising x
        return torch.where(left > ENOUGH * whole, usual, upward), None
