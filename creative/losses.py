"""Losses that more than one engine uses: style, content, total variation.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks" (2016, arXiv:1508.06576) compare the
Gram matrices of feature maps for style, and the maps themselves for content.

Everything here works in the layout that the networks compute in (channels last), and in double precision where it is
given double precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PIXELS = "pixels"
"""The layer that is the picture itself: its moments are those of its colours."""


def gram(features: Tensor) -> Tensor:
    """Gram matrices of feature maps: (B, C, H, W) -> (B, C, C), inner products of channels averaged over positions."""
    rows = _rows(features)
    return _wide(rows.transpose(1, 2) @ rows) / rows.shape[1]


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over positions of one layer's features, from which means, Gram matrix and covariance follow.

    Sums over parts of a picture add up to those of the whole, which is what makes exact gradients in tiles possible.

    Attributes:
        count: of positions, or the sum of the mask's values: ().
        first: sum of the features: (C,).
        second: sum of their outer products: (C, C).
    """

    count: Tensor
    first: Tensor
    second: Tensor

    @property
    def mean(self) -> Tensor:
        """(C,)."""
        return self.first / self.count

    @property
    def gram(self) -> Tensor:
        """(C, C), the same as ``gram`` of the features."""
        return self.second / self.count

    @property
    def covariance(self) -> Tensor:
        """(C, C), of the population."""
        mean = self.mean
        return torch.addmm(self.gram, mean[:, None], mean[None], alpha=-1)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.first + other.first, self.second + other.second)

    def normalised(self) -> Moments:
        """The same means and Gram matrix with a count of 1: ready to be mixed with others."""
        return Moments(torch.ones_like(self.count), self.mean, self.gram)

    def __mul__(self, factor: float) -> Moments:
        return Moments(self.count * factor, self.first * factor, self.second * factor)


def moments(features: Tensor, mask: Tensor | None = None, *, means: bool = True) -> Moments:
    """The moments of one picture's feature map.

    Args:
        features: (1, C, H, W).
        mask: (1, 1, H, W) in [0, 1]: how much each position counts; None counts all.
        means: whether the means are wanted; otherwise they are 0, and no time is spent on them.
    """
    rows = _rows(features)[0]
    if mask is None:
        count, weighted = rows.new_tensor(float(rows.shape[0])), rows
    else:
        weights = mask.reshape(-1, 1)
        count, weighted = weights.sum(), rows * weights.to(rows.dtype)
    first = weighted.sum(0) if means else rows.new_zeros(rows.shape[1])
    return Moments(_wide(count), _wide(first), _wide(weighted.T @ rows))


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Squared distance of two feature maps (B, C, H, W) relative to the target's square: 0 the same."""
    return _wide(features - target).square().sum() / _wide(target).square().sum().clamp(min=1e-12)


def total_variation(picture: Tensor) -> Tensor:
    """Squared differences of neighbouring pixels, summed over both directions, averaged over the picture's values.

    Differs from Rudin, Osher and Fatemi (1992): squares instead of absolute values, as is usual in style transfer.
    """
    across, down = picture.diff(dim=-1), picture.diff(dim=-2)
    return (across.square().sum() + down.square().sum()) / picture.numel()


def directions(channels: int, count: int, generator: torch.Generator) -> Tensor:
    """Random unit vectors to project features of so many channels on: (channels, count)."""
    drawn = torch.randn(channels, count, generator=generator)
    return drawn / drawn.norm(dim=0, keepdim=True)


def projections(features: Tensor, directions: Tensor, mask: Tensor | None = None) -> Tensor:
    """The sorted projections of a feature map (1, C, H, W) on directions (C, K): (K, N), N positions.

    Args:
        mask: (1, 1, H, W); positions below half of its largest value do not count.
    """
    rows = _wide(_rows(features)[0])
    if mask is not None:
        rows = rows[mask.reshape(-1) >= 0.5 * mask.max()]
    projected = (rows @ directions.to(rows)).T.contiguous()
    if projected.device.type != "cpu":
        return projected.sort(dim=1).values
    order = np.argsort(projected.detach().numpy(), axis=1)  # five times as fast as torch's own
    return projected.gather(1, torch.from_numpy(order))


def sliced_wasserstein(projected: Tensor, target: Tensor) -> Tensor:
    """The squared 2-Wasserstein distance of two sets of sorted projections, (K, N) and (K, M), averaged over K.

    Heitz et al., "A Sliced Wasserstein Loss for Neural Texture Synthesis" (2021, arXiv:2006.07229). Sets of different
    sizes are compared by their quantiles. It compares whole distributions, where Gram matrices see second moments only;
    it does not add up over parts of a picture.
    """
    if target.shape[1] != projected.shape[1]:
        target = torch.nn.functional.interpolate(
            target[None], size=projected.shape[1], mode="linear", align_corners=False
        )[0]
    return (projected - target).square().mean()


def _rows(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C): no copy where the map is channels-last, and its gradient stays so too."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
