"""Pictures of any size: whole while they fit, else in tiles that show no seams.

Instance normalisation divides by what it measures of the whole picture. So it is measured once, and every tile is
painted with that; with enough of the picture around it, a tile is what it would be in the whole.
"""

from __future__ import annotations

import math
from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.engines.fast_style.painter import Painter
from creative.images import Tile, tiles

WHOLE = 2_500_000
"""Pixels up to which a picture is painted whole, and on which a larger one is measured; 1920 × 1080 are 2.1 million."""
TILE = 1024
"""Side in pixels of a tile's core."""


class Canvas:
    """A painter's pictures of any size.

    Args:
        painter: who paints.
        tile: side of the tiles in pixels; 0 for none; None where the picture's size decides.
        precision: of the convolutions; None for float32.
    """

    def __init__(self, painter: Painter, tile: int | None = None, precision: torch.dtype | None = None) -> None:
        self.painter, self.tile, self.precision = painter, tile, precision

    def side(self, height: int, width: int) -> int:
        """The side of the tiles of a picture; 0 where it is painted whole."""
        tile = self.tile if self.tile is not None else TILE if height * width > WHOLE else 0
        multiple = self.painter.network.multiple
        tile = -(-tile // multiple) * multiple
        return tile if 0 < tile < max(height, width) else 0

    def cut(self, height: int, width: int) -> list[Tile]:
        """The tiles of a picture; a single one is the whole of it."""
        network = self.painter.network
        return tiles(height, width, self.side(height, width), network.halo, multiple=network.multiple)

    def paint(self, picture: Tensor, codes: Tensor, masks: Tensor | None = None) -> Generator[Tensor, None, Tensor]:
        """(1, 3, H, W) in [0, 1] -> the same, painted; yields what there is of it after each tile.

        What is yielded is changed afterwards; the rest of it is the picture as it was. Codes and masks are those of
        ``Painter.paint_tensor``.
        """
        cut = self.cut(*picture.shape[-2:])
        if len(cut) == 1:
            painted = self.painter.paint_tensor(picture, codes, masks, precision=self.precision)
            yield painted
            return painted
        small, their_masks = sample(picture, WHOLE), sample(masks, WHOLE) if masks is not None else None
        statistics = self.painter.measure(small, codes, their_masks, precision=self.precision)
        painted = picture.clone()
        for tile in cut:
            part = self.painter.paint_tensor(
                picture[(..., *tile.outer)],
                codes,
                masks[(..., *tile.outer)] if masks is not None else None,
                precision=self.precision,
                statistics=statistics,
                origin=(tile.outer_top, tile.outer_left),
            )
            painted[(..., *tile.core)] = part[(..., *tile.inner)]
            yield painted
        return painted


def sample(picture: Tensor, most: int) -> Tensor:
    """The picture, made smaller if it has more pixels than ``most``: (1, C, H, W) -> (1, C, h, w)."""
    height, width = picture.shape[-2:]
    scale = math.sqrt(most / (height * width))
    if scale >= 1:
        return picture
    size = max(1, int(height * scale)), max(1, int(width * scale))
    return F.interpolate(picture, size, mode="bilinear", antialias=True)
