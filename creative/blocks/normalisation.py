"""Instance normalisation that keeps channels-last memory, is fast on CPUs, and survives flat pictures.

Ulyanov et al. (2016), Instance Normalization: The Missing Ingredient for Fast Stylization, arXiv:1607.08022.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class InstanceNorm2d(nn.InstanceNorm2d):
    """``torch.nn.InstanceNorm2d``: the same weights, the same numbers, and two differences.

    It is computed one sample at a time by the kernel of batch normalisation: torch's own copies a channels-last map
    into another layout and the next convolution copies it back, which on a CPU takes three to four times as long.

    No gradient passes through a channel that is flat: whose variance is below a hundredth of ``eps``. On a flat picture
    all channels are, each normalisation would multiply the gradient by 1/√eps = 316, and a generator has many.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(B, C, H, W) -> the same shape."""
        elsewhere = self.track_running_stats or input.dim() != 4
        if elsewhere or torch._C._is_tracing() or torch.compiler.is_compiling():
            return super().forward(input)
        if len(input) == 1:
            return self._normalised(input, 1)
        if input.device.type == "cpu":
            return torch.cat([self._normalised(sample, 1) for sample in input.split(1)])
        return self._normalised(input.reshape(1, -1, *input.shape[2:]), len(input)).view_as(input)

    def _normalised(self, maps: Tensor, repeats: int) -> Tensor:
        """The statistics of a sample are those of a batch of one; several samples are one with more channels."""
        weight, bias = (None if part is None else part.repeat(repeats) for part in (self.weight, self.bias))
        return Normalise.apply(maps, weight, bias, self.eps)


class Normalise(torch.autograd.Function):
    """(1, C, H, W) -> the same, each channel with mean 0 and variance 1, times its weight, plus its bias."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """See the class."""
        y, mean, inverse = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps, ctx.needs = eps, [True, weight is not None, bias is not None]
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Nothing for channels that are flat."""
        x, weight, mean, inverse = ctx.saved_tensors  # inverse = 1 / √(variance + eps)
        dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, None, None, mean, inverse, True, ctx.eps, ctx.needs
        )
        flat = inverse.square() * (1.01 * ctx.eps) > 1
        if dx.device.type != "cpu" or flat.any():  # elsewhere to look costs more than to fill
            dx = dx.masked_fill(flat.view(1, -1, 1, 1), 0)
        return dx, dweight, dbias, None
