"""A way out for pictures that excite next to nothing: where gradients end at ReLUs that are off, let them pass.

As in Lucid (tensorflow/lucid, ``redirected_relu_grad``, 2018) only what would switch a ReLU on passes. Differs from it:
there, a picture is helped where no gradient at all is left; here, where less than ``ENOUGH`` of it is, since one value
that is on by chance keeps Lucid's from helping.
"""

from __future__ import annotations

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


class Redirected(TorchFunctionMode):
    """Within it all ReLUs of maps, however a network calls them, redirect their gradients; their values stay the same.

    Attributes:
        helped: whether any gradient was let pass so far.
    """

    helped = False

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """ReLUs as they are outside of it, but for the gradient."""
        if function in _TOPS and args[0].dim() == 4:
            return _RedirectedReLU.apply(args[0], _TOPS[function], self)
        return function(*args, **(kwargs or {}))


class _RedirectedReLU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, top: float, mode: Redirected) -> Tensor:
        context.save_for_backward(x)
        context.top, context.mode = top, mode
        return x.clamp(0, top)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = context.saved_tensors
        usual = torch.ops.aten.threshold_backward(gradient, x, 0)
        if context.top < float("inf"):
            usual = usual.masked_fill(x >= context.top, 0)
        left, whole = (
            torch.linalg.vector_norm(one, 1, (1, 2, 3), keepdim=True, dtype=torch.float32) for one in (usual, gradient)
        )
        enough = left > ENOUGH * whole
        if bool(enough.all()):
            return usual, None, None
        context.mode.helped = True
        upward = gradient.masked_fill((x <= 0) & (gradient > 0), 0)  # descent lowers the loss by raising x
        return torch.where(enough, usual, upward), None, None
