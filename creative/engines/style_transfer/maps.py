"""A feature network as style transfer sees it: maps of whole pictures or of tiles, and what regions of them come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.device import autocast
from creative.images import Tile, core_of, tiles
from creative.losses import PIXELS, Moments, moments
from creative.models.features import Features

FRAME = 24
"""Pixels of its own reflection around a picture of a style: networks pad with zeros, and see something there."""
CANVAS_FRAME = 40
"""The same around what is painted, where what they see would come out as a coloured rim: at 192 pixels the outermost
four differ from those inside by .10 with 24, .05 with 40, .03 with 56."""
GUARD = 0.5
"""Part of a layer's receptive field that a position is kept clear of a region's border by."""


class Maps:
    """A feature network as the objective sees it: maps of its layers and the pixels, in the chosen precision."""

    def __init__(self, features: Features, layers: Sequence[str], precision: torch.dtype | None) -> None:
        self.features, self.layers, self.precision = features, tuple(layers), precision
        self.device = features.scale.device
        self.strides = {PIXELS: 1, **features.strides}
        self.multiple = max(self.strides.values())
        field = max(features.receptive_fields.values())
        self.halo = -(-field // self.multiple) * self.multiple

    def __call__(self, picture: Tensor) -> dict[str, Tensor]:
        """(1, 3, H, W) in [0, 1] -> maps of the layers."""
        with autocast(self.device, self.precision):
            maps = self.features(picture)
        return {PIXELS: picture, **maps} if PIXELS in self.layers else maps

    def tiles(self, size: tuple[int, int], side: int) -> list[Tile]:
        """Tiles of a picture of (height, width); one that is all of it where ``side`` is 0."""
        return tiles(*size, side, self.halo, self.multiple)

    def core(self, maps: Mapping[str, Tensor], tile: Tile, size: tuple[int, int]) -> dict[str, Tensor]:
        """The part of each map that belongs to a tile's core, in a picture of (height, width)."""
        return {layer: core_of(values, tile, *size, self.strides[layer]) for layer, values in maps.items()}

    def moments(self, picture: Tensor, layers: Sequence[str], tile: int = 0) -> dict[str, Moments]:
        """The moments of a picture (1, 3, H, W), gathered tile by tile; without a graph only."""
        return self.moments_within(picture, layers, [None], tile)[0]

    def moments_within(
        self, picture: Tensor, layers: Sequence[str], masks: Sequence[Tensor | None], tile: int = 0
    ) -> list[dict[str, Moments]]:
        """The moments of parts of a picture, each where a mask (1, 1, H, W) is; ``guarded`` from what is beside it."""
        size = (picture.shape[-2], picture.shape[-1])
        guards = [{} if mask is None else {layer: self.guarded(mask, layer) for layer in layers} for mask in masks]
        found: list[dict[str, Moments]] = [{} for _ in masks]
        for part in self.tiles(size, tile):
            core = self.core(self(picture[(..., *part.outer)]), part, size)
            for sums, guard in zip(found, guards, strict=True):
                for layer in layers:
                    weights = self._cut(guard[layer], layer, part, core[layer]) if guard else None
                    values = moments(core[layer], weights)
                    sums[layer] = sums[layer] + values if layer in sums else values
        return found

    def guarded(self, mask: Tensor, layer: str) -> Tensor:
        """How much each position of a layer's map counts for what is within a mask (1, 1, H, W): (1, 1, h, w).

        Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer" (2017): a position at the border sees
        what is beyond, so only those count that see little of it, or, in a region too small, those that see least.
        """
        stride, field = self.strides[layer], self.features.receptive_fields.get(layer, 1)
        within = F.avg_pool2d(mask, stride, stride, ceil_mode=True) if stride > 1 else mask
        side = int(GUARD * field / stride) // 2 * 2 + 1
        padded = F.pad(within, (side // 2,) * 4, mode="replicate")
        seen = F.avg_pool2d(padded, side, 1)
        inside = within * (2 * seen - 1).clamp(min=0).square()
        return inside if bool(inside.sum() >= 4) else within * seen.square().square()

    def cut_mask(self, mask: Tensor, layer: str, tile: Tile, like: Tensor) -> Tensor:
        """The share of a mask (1, 1, H, W) that falls on each position of a tile's core of a layer's map."""
        stride = self.strides[layer]
        pooled = F.avg_pool2d(mask, stride, stride, ceil_mode=True) if stride > 1 else mask
        return self._cut(pooled, layer, tile, like)

    def _cut(self, pooled: Tensor, layer: str, tile: Tile, like: Tensor) -> Tensor:
        """What of a mask in a layer's resolution belongs to a tile's core, whose map is ``like``."""
        stride = self.strides[layer]
        top, left = tile.top // stride, tile.left // stride
        cut = pooled[..., top : top + like.shape[-2], left : left + like.shape[-1]]
        missing = (like.shape[-2] - cut.shape[-2], like.shape[-1] - cut.shape[-1])
        return F.pad(cut, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else cut


def framed(picture: Tensor, width: int = FRAME) -> Tensor:
    """A picture (1, C, H, W) with a frame of its own reflection, or as much of one as there can be."""
    width = min(width, picture.shape[-1] - 1, picture.shape[-2] - 1)
    return F.pad(picture, (width,) * 4, mode="reflect") if width else picture
