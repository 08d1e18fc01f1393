"""What is done to a gradient before a step is taken along it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BANDS = 4
"""Bands of frequencies that ``bands`` tells apart."""
STRIP = 512
"""Pixels across of the strips that are blurred at once."""
_LEAST = 1e-12


def smoothed(gradient: Tensor, deviation: float) -> Tensor:
    """The gradient (1, 3, H, W) blurred by a Gaussian of that deviation in pixels; in place."""
    radius = min(math.ceil(2.5 * deviation), min(gradient.shape[-2:]) - 1)
    if deviation < 0.05 or radius < 1:
        return gradient
    places = torch.arange(-radius, radius + 1, device=gradient.device, dtype=gradient.dtype)
    kernel = torch.exp(-0.5 * (places / deviation) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    for channel in gradient.split(1, 1):  # in strips, since such a convolution takes many times the memory of its input
        for rows in channel.split(STRIP, 2):
            rows.copy_(F.conv2d(F.pad(rows, (radius, radius, 0, 0), mode="reflect"), kernel))
        for columns in channel.split(STRIP, 3):
            columns.copy_(F.conv2d(F.pad(columns, (0, 0, radius, radius), mode="reflect"), kernel.mT))
    return gradient


def normalised(gradient: Tensor, how: str) -> Tensor:
    """The gradient (1, 3, H, W) at a size that steps can be measured in; in place where it can be.

    Args:
        how: ``deviation`` to a standard deviation of 1; ``mean`` to a mean size of 1, as google/deepdream does;
            ``bands`` to a deviation of 1 in each band of a Laplacian pyramid, which brings out the large shapes.
    """
    if how == "bands":
        return _bands(gradient)
    size = gradient.abs().mean() if how == "mean" else gradient.std()
    return gradient.div_(size.clamp(min=_LEAST))


def _bands(gradient: Tensor) -> Tensor:
    if min(gradient.shape[-2:]) < 2**BANDS:
        return normalised(gradient, "deviation")
    rest, bands = gradient, []
    for _ in range(BANDS - 1):
        lower = F.avg_pool2d(rest, 2, ceil_mode=True)
        band = rest - F.interpolate(lower, rest.shape[-2:], mode="bilinear")
        bands.append(normalised(band, "deviation"))
        rest = lower
    whole = normalised(rest, "deviation")
    for band in reversed(bands):
        whole = F.interpolate(whole, band.shape[-2:], mode="bilinear").add_(band)
    return normalised(whole, "deviation")
