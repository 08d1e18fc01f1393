"""How far apart two sets of pictures are, and what else is measured of translations, as a feature network sees it.

These are kernel and Fréchet distances on the features of this project's network (or another one that is named), not the
FID of the literature, which is defined on Inception v3.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.images import lightness
from creative.losses import content_loss
from creative.metrics import JUDGED, Ruler
from creative.metrics import describe_pictures as describe
from creative.models.features import Features

__all__ = [
    "CONTENT",
    "JUDGED",
    "Ruler",
    "checkerboard",
    "content_distance",
    "describe",
    "grain",
    "matched_colours",
]

CONTENT: Mapping[str, str] = {"bundled": "relu4_1", "squeezenet1_0": "fire5"}
"""By network: the layer whose map tells what is to be seen."""


@torch.no_grad()
def content_distance(features: Features, pictures: Tensor, others: Tensor, layer: str) -> float:
    """How much of what is to be seen has changed: squared distance of a layer's maps relative to the picture's."""
    found = [
        content_loss(features(other)[layer], features(picture)[layer])
        for picture, other in zip(pictures.split(1), others.split(1), strict=True)
    ]
    return float(torch.stack(found).mean())


def checkerboard(pictures: Tensor) -> float:
    """How much of the finest detail repeats every 2 or every 4 pixels: 1 as much as neighbouring frequencies, above
    that a checkerboard, as transposed convolutions draw it (Odena et al., 2016, Deconvolution and Checkerboard
    Artifacts).

    The power spectrum of lightness at the frequencies 1/2 and 1/4 of either direction, relative to that nearby.

    Args:
        pictures: (B, 3, H, W) in [0, 1], sides of at least 64 pixels.
    """
    height, width = (side - side % 16 for side in pictures.shape[-2:])
    grey = lightness(pictures[..., :height, :width])[:, 0]
    window = torch.hann_window(height, device=grey.device)[:, None] * torch.hann_window(width, device=grey.device)
    power = torch.fft.fft2((grey - grey.mean((1, 2), keepdim=True)) * window).abs().square().mean(0)
    ratios = []
    for rows, columns in ((2, 0), (0, 2), (2, 2), (4, 0), (0, 4), (4, 4), (4, 2), (2, 4)):
        row = height // rows if rows else 0
        column = width // columns if columns else 0
        ratios.append(_peak(power, row, column))
    return float(torch.stack(ratios).max())


def _peak(power: Tensor, row: int, column: int, near: int = 1, far: int = 5) -> Tensor:
    """Mean power around a frequency relative to the median of that somewhat further away."""
    rolled = power.roll((far - row, far - column), (0, 1))[: 2 * far + 1, : 2 * far + 1]
    offsets = torch.arange(-far, far + 1, device=power.device)
    distance = torch.maximum(offsets.abs()[:, None], offsets.abs()[None])
    # The axes through zero frequency carry the edges of the picture; there only the same axis is a fair neighbour.
    fair = torch.ones_like(distance, dtype=torch.bool)
    if row == 0:
        fair &= offsets[:, None].abs() <= near
    if column == 0:
        fair &= offsets[None].abs() <= near
    return rolled[(distance <= near) & fair].mean() / rolled[(distance > near + 1) & fair].median().clamp(min=1e-12)


def matched_colours(pictures: Tensor, wanted: Tensor) -> Tensor:
    """Each picture with another one's colours: the mean and the covariance of its pixels, and nothing else.

    What a translation must be better than. The map is the shortest one (Pitié and Kokaram, 2007, The Linear
    Monge-Kantorovitch Linear Colour Mapping for Example-Based Colour Transfer).

    Args:
        pictures, wanted: (B, 3, H, W) in [0, 1] each.
    """
    found = []
    for picture, other in zip(pictures, wanted, strict=True):
        own, theirs = picture.flatten(1).double(), other.flatten(1).double()
        # A direction of colour with less than a level of 255 is rounding, which must not be blown up to a colour.
        covariance = torch.cov(own) + torch.eye(3, dtype=own.dtype, device=own.device) * 255.0**-2
        root, back = _power(covariance, 0.5), _power(covariance, -0.5)
        matrix = back @ _power(root @ torch.cov(theirs) @ root, 0.5) @ back
        moved = matrix @ (own - own.mean(1, keepdim=True)) + theirs.mean(1, keepdim=True)
        found.append(moved.clamp(0, 1).to(picture).view_as(picture))
    return torch.stack(found)


def _power(covariance: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp(min=1e-12).pow(exponent)) @ vectors.T


def grain(pictures: Tensor) -> float:
    """Deviation of the Laplacian of lightness, averaged over pictures."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device=pictures.device)[None, None]
    return float(F.conv2d(lightness(pictures), kernel).std((1, 2, 3)).mean())
