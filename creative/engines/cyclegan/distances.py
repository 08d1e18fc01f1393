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
from creative.metrics import JUDGED, Ruler, checkerboard
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
