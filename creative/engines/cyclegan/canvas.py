"""Pictures of any size through a generator: in tiles where they are large, with one set of statistics for all of them.

Instance normalisation divides by the mean and deviation of the whole picture. A tile that is normalised by its own
comes out in colours of its own, and the seams show. So the statistics are measured once, on the whole, and every tile
is drawn with these; with enough of the picture around it, it is what it would be in the whole.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator as Engine

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.gan import Generator
from creative.images import Tile, tiles

WHOLE = 128_000_000
"""Numbers in a generator's largest map up to which a picture is drawn at once: 8 million pixels of 16 channels."""
TILE = 512
"""Side in pixels of a tile's core."""


class Canvas:
    """A generator that draws pictures of any size.

    Args:
        generator: in evaluation mode.
        tile: side of the tiles in pixels; 0 for none; None where the picture's size decides.
    """

    def __init__(self, generator: Generator, tile: int | None = None) -> None:
        self.generator, self.tile = generator, tile
        self.width = int(getattr(generator.config, "width", 64))
        self.halo = reach(generator)

    def cut(self, height: int, width: int) -> list[Tile]:
        """The tiles of a picture; a single one is the whole of it."""
        tile = self.tile
        if tile is None:
            tile = TILE if height * width * self.width > WHOLE else 0
        return tiles(height, width, tile, self.halo, multiple=4)

    def draw(self, picture: Tensor) -> Engine[Tensor, None, Tensor]:
        """(1, 3, H, W) in [0, 1] -> the same, translated; yields what there is of it after each tile.

        What is yielded is changed afterwards; the rest of it is the picture as it was.
        """
        height, width = picture.shape[-2:]
        cut = self.cut(height, width)
        if len(cut) == 1:
            drawn = self._translated(self.generator, picture)
            yield drawn
            return drawn
        settled = settle(self.generator, picture, WHOLE // self.width)
        drawn = picture.clone()
        for tile in cut:
            rows, columns = tile.outer
            part = self._translated(settled, picture[..., rows, columns])
            drawn[(..., *tile.core)] = part[(..., *tile.inner)]
            yield drawn
        return drawn

    def _translated(self, generator: Generator, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        short = max(0, generator.min_size - height), max(0, generator.min_size - width)
        padded = F.pad(picture, (0, short[1], 0, short[0]), mode="replicate") if any(short) else picture
        with torch.no_grad():
            return generator.translate(padded)[..., :height, :width].clone()


def reach(generator: Generator) -> int:
    """How far a pixel of the input can change the output, in pixels, as a multiple of 4."""
    blocks = int(getattr(generator.config, "num_blocks", 9))
    # 7×7 at both ends, two halvings, two 3×3 a block at a quarter of the size, two doublings and their 3×3.
    return 8 * blocks + 24


def settle(generator: Generator, picture: Tensor, most: int) -> Generator:
    """A copy of a generator whose instance normalisations use the statistics of this picture (1, 3, H, W) in [0, 1].

    Measured on photos of a million pixels, mean difference from the whole in levels of 255: 0.0 with the statistics of
    the picture, 2.5 with those of it at half the size, 2.6 with those of crops of 128 pixels from a quarter of it, 7.3
    with crops of 256, and 8.1, with seams, where every tile has its own.

    Args:
        most: pixels to measure on; a larger picture is made smaller for it.
    """
    settled, found = copy.deepcopy(generator), False
    for name, norm in list(settled.named_modules()):
        if isinstance(norm, nn.InstanceNorm2d):  # which for a single picture is batch normalisation
            parent, _, own = name.rpartition(".")
            setattr(settled.get_submodule(parent), own, _Settling(norm))
            found = True
    if not found:
        return generator
    with torch.no_grad():
        settled.translate(sample(picture, most))
    return settled


class _Settling(nn.Module):
    """Instance normalisation that keeps to the statistics of the first picture it sees."""

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.statistics: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.statistics is None:
            variance, mean = torch.var_mean(x, (0, 2, 3), unbiased=False)
            self.statistics = mean, variance
        return torch.batch_norm(x, self.weight, self.bias, *self.statistics, False, 0.0, self.eps, False)


def sample(picture: Tensor, most: int) -> Tensor:
    """The picture, made smaller if it has more pixels than ``most``: (1, 3, H, W) -> (1, 3, h, w)."""
    height, width = picture.shape[-2:]
    scale = math.sqrt(most / (height * width))
    if scale >= 1:
        return picture
    size = max(1, int(height * scale)), max(1, int(width * scale))
    return F.interpolate(picture, size, mode="bicubic", antialias=True).clamp_(0, 1)
