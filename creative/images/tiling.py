"""A picture cut into tiles that overlap, so that a network sees each part as it sees the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from creative.images.opening import ImageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a picture to be worked on by itself: a core, and an outer box, which is the core with its halo.

    All numbers are pixels of the whole picture. Cores cover the picture exactly once; outer boxes overlap.
    """

    top: int
    left: int
    height: int
    width: int
    outer_top: int
    outer_left: int
    outer_height: int
    outer_width: int

    @property
    def core(self) -> tuple[slice, slice]:
        """Rows and columns of the core in the whole picture."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def outer(self) -> tuple[slice, slice]:
        """Rows and columns of the outer box in the whole picture."""
        rows = slice(self.outer_top, self.outer_top + self.outer_height)
        return rows, slice(self.outer_left, self.outer_left + self.outer_width)

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the core within the outer box."""
        top, left = self.top - self.outer_top, self.left - self.outer_left
        return slice(top, top + self.height), slice(left, left + self.width)


def tiles(height: int, width: int, size: int, halo: int, multiple: int = 1) -> list[Tile]:
    """Cut a picture of height × width pixels into tiles, row by row.

    Args:
        size: the longest side of a core, pixels; rounded down to a multiple, and cores are made of nearly equal size.
            0: one tile that is the whole picture.
        halo: pixels that the outer box has around the core, cut off at the picture's border.
        multiple: cores and outer boxes begin at multiples of this, and end at one or at the picture's border. With a
            network of that stride, the positions of its features in a tile are then those in the whole picture.
    """
    if min(height, width, multiple) < 1 or min(size, halo) < 0:
        raise ImageError(f"Tiles of {size} pixels with a halo of {halo} cannot cover {width} × {height} pixels.")
    size = size or max(height, width) + multiple
    rows, columns = (_spans(length, size, halo, multiple) for length in (height, width))
    return [
        Tile(top, left, tall, wide, outer_top, outer_left, outer_tall, outer_wide)
        for top, tall, outer_top, outer_tall in rows
        for left, wide, outer_left, outer_wide in columns
    ]


def _spans(length: int, size: int, halo: int, multiple: int) -> list[tuple[int, int, int, int]]:
    """Core start and length, outer start and length, along one side."""
    longest = max(multiple, size // multiple * multiple)
    count = -(-length // longest)
    step = -(-length // (count * multiple)) * multiple
    spans = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        outer_start = max(0, start - halo) // multiple * multiple
        outer_stop = min(length, -(-(stop + halo) // multiple) * multiple)
        spans.append((start, stop - start, outer_start, outer_stop - outer_start))
    return spans


def core_of(values: Tensor, tile: Tile, height: int, width: int, stride: int) -> Tensor:
    """What of a network's map of a tile's outer box belongs to its core.

    Cores share out the map of a whole picture of height × width pixels: its last rows and columns, which may stand for
    less than a stride, go with the last tiles.

    Args:
        values: the map (..., H, W), a position every ``stride`` pixels, of a tile made with a multiple of ``stride``.
    """
    rows = _positions(tile.top, tile.height, tile.outer_top, height, stride, values.shape[-2])
    columns = _positions(tile.left, tile.width, tile.outer_left, width, stride, values.shape[-1])
    return values[..., rows, columns]


def _positions(start: int, length: int, outer: int, whole: int, stride: int, size: int) -> slice:
    first = (start - outer) // stride
    return slice(first, first + length // stride if start + length < whole else size)
