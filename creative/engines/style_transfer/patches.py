"""Patches of a painting's features, and a picture's features made of them.

Moments say how a region is painted, patches how its shapes hang together: the crescent in a moon, a wave's crest. Each
patch of the picture is taken for the one of the painting that is nearest to it, and what these say where they overlap
is averaged. The result is what the picture's features should be like.

Li and Wand, "Combining Markov Random Fields and Convolutional Neural Networks for Image Synthesis" (2016,
arXiv:1601.04589), with the maps as further channels, as in Champandard (2016, arXiv:1603.01768).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 3
"""Of a patch, in positions of the layer."""
COMPONENTS = 64
"""Principal components in which patches are compared: a tenth of the numbers, and nearly all of the distance."""
SEEN = 4096
"""Patches that the components are found from."""
MAP_WEIGHT = 0.5
"""Of a region's channels against the features."""
AT_ONCE = 1024


class Patches:
    """The patches of a painting at one layer.

    Args:
        features: of the painting: (1, C, H, W).
        regions: how much of each position is in each region: (1, K, H, W).
    """

    def __init__(self, features: Tensor, regions: Tensor) -> None:
        self.patches = _patches(features.float())
        self.mean = self.patches.mean(0)
        some = self.patches[:: -(-len(self.patches) // SEEN)] - self.mean
        _, basis = torch.linalg.eigh((some.T @ some).double().cpu())
        self.basis = basis[:, -COMPONENTS:].to(self.patches)
        points = (self.patches - self.mean) @ self.basis
        self.scale = points.square().sum(1).mean().sqrt().clamp(min=1e-12)
        self.points, self.regions = points, regions
        self.compared = self._with_regions(points, regions)
        self.squares = self.compared.square().sum(1)

    def vote(self, features: Tensor, regions: Tensor) -> Tensor:
        """The features (1, C, h, w) of a picture, made of the painting's patches.

        Differs from Li and Wand: what is compared is given the mean and spread of the painting's patches in the same
        region first. Otherwise a pale picture finds pale patches, and becomes paler at every step.
        """
        size = (features.shape[-2], features.shape[-1])
        points = (_patches(features.float()) - self.mean) @ self.basis
        own, other = regions.flatten(2)[0].argmax(0), self.regions.flatten(2)[0].argmax(0)
        for number in range(regions.shape[1]):
            here, there = own == number, other == number
            if min(int(here.sum()), int(there.sum())) >= SIDE**2:
                points[here] = _like(points[here], self.points[there])
        wanted = self._with_regions(points, regions)
        nearest = [(self.squares - 2 * part @ self.compared.T).argmin(1) for part in wanted.split(AT_ONCE)]
        chosen = self.patches[torch.cat(nearest)].T[None]
        padded = (size[0] + SIDE - 1, size[1] + SIDE - 1)
        total = F.fold(chosen, padded, SIDE) / F.fold(torch.ones_like(chosen[:, : SIDE**2]), padded, SIDE)
        edge = SIDE // 2
        return total[..., edge : edge + size[0], edge : edge + size[1]]

    def _with_regions(self, points: Tensor, regions: Tensor) -> Tensor:
        return torch.cat([points / self.scale, _patches(regions) * (MAP_WEIGHT / SIDE)], 1)


def _patches(maps: Tensor) -> Tensor:
    """(1, C, H, W) -> (H * W, C * SIDE²), one around each position."""
    return F.unfold(F.pad(maps, (SIDE // 2,) * 4, mode="reflect"), SIDE)[0].T


def _like(points: Tensor, others: Tensor) -> Tensor:
    """Points (N, D) with the mean and the standard deviation of others."""
    centred = points - points.mean(0)
    return centred / centred.std(0).clamp(min=1e-6) * others.std(0) + others.mean(0)
