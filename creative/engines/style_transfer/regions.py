"""Semantic maps: pictures in flat colours that say which part of a painting goes where.

Champandard, "Semantic Style Transfer and Turning Two-Bit Doodles into Fine Artworks" (2016, arXiv:1603.01768).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from creative.engines.style_transfer.proposing import Colour, Indices, propose_map
from creative.images import ImageError, fit

MOST = 12
"""Regions in a map."""
NEAR = 48.0
"""Colours less far apart than this, in levels of 255, are one colour of a map."""
FLAT = 24
"""Levels that neighbouring pixels of one region may differ by, after JPEG."""
LEAST = 5e-4
"""Share of a map that a region has at least; what is smaller is taken for a blot."""
GUESSED = 1024
"""Longest side of a guessed map as a picture, pixels."""
NOWHERE = 255
"""Index of a pixel that is in no region."""
NAMES: dict[str, Colour] = {
    "black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "red": (220, 40, 40),
    "orange": (240, 150, 40), "yellow": (245, 220, 60), "green": (50, 150, 60), "cyan": (80, 200, 215),
    "blue": (50, 90, 210), "dark blue": (20, 40, 110), "violet": (150, 80, 190), "pink": (240, 150, 190),
    "brown": (120, 75, 40), "beige": (225, 205, 165), "dark green": (20, 85, 40), "light green": (130, 200, 90),
    "light yellow": (250, 240, 130), "light blue": (150, 190, 240),
}  # fmt: skip


@dataclass(frozen=True)
class Regions:
    """Which region of a painting goes where.

    Attributes:
        target: (H, W), for each pixel of the result's map the number of its region.
        source: (H, W), the same of the painting's map; ``NOWHERE`` where it goes nowhere.
        count: of regions.
        notice: what a person should be told, or None.
        colours: of the regions, where the painting's are guessed; else none.
    """

    target: Indices
    source: Indices
    count: int
    notice: str | None = None
    colours: tuple[Colour, ...] = ()

    def guess(self, size: tuple[int, int]) -> Image.Image | None:
        """The map of a painting of (width, height) as it was guessed, no larger than is easily changed; else None."""
        if not self.colours:
            return None
        shown = size if max(size) <= GUESSED else fit(size, GUESSED)
        return Image.fromarray(np.array(self.colours, np.uint8)[self.source]).resize(shown, Image.Resampling.NEAREST)

    def targets(self, size: tuple[int, int], device: torch.device) -> Tensor:
        """How much of each pixel of a result of (width, height) is in each region: (K, 1, H, W), summing to 1."""
        return _shares(self.target, self.count, size, device)

    def sources(self, size: tuple[int, int], device: torch.device) -> Tensor:
        """The same of the painting; pixels that go nowhere are in none."""
        return _shares(self.source, self.count, size, device)


def match_maps(content_map: Image.Image, style_map: Image.Image) -> Regions:
    """The regions of two maps in the same colours.

    Colours are the same where they are near: antialiased edges and the noise of JPEG do not matter.

    Raises:
        ImageError: a map is not in flat colours, or has one that the painting's map lacks.
    """
    wanted, target = read_map(content_map, "map")
    known, source = read_map(style_map, "style map")
    away = _distances(np.array(wanted), np.array(known))
    numbers = np.full(256, NOWHERE, np.uint8)
    for index, colour in enumerate(wanted):
        nearest = int(away[index].argmin())
        if away[index, nearest] > NEAR or int(away[:, nearest].argmin()) != index:
            blank = " (what is not painted counts as black)" if name_of(colour).startswith("black") else ""
            raise ImageError(
                f"The map has {name_of(colour)}{blank}, which the style map lacks: it has "
                f"{' and '.join(name_of(one) for one in known)}."
            )
        numbers[nearest] = index
    unused = [name_of(colour) for index, colour in enumerate(known) if numbers[index] == NOWHERE]
    notice = f"Nothing is painted like what is {' or '.join(unused)} in the style map." if unused else None
    return Regions(target, numbers[source], len(wanted), notice)


def guess_map(content_map: Image.Image, painting: Image.Image) -> Regions:
    """The regions of a map, and of a painting those that look most like them.

    Raises:
        ImageError: the map is not in flat colours.
    """
    colours, target = read_map(content_map, "map")
    rows = np.linspace(0, 1, target.shape[0])[:, None] + np.zeros(target.shape)
    heights = [float(rows[target == number].mean()) for number in range(len(colours))]
    if len(colours) == 1:
        return Regions(target, propose_map(painting, colours, heights), 1)
    told = "The painting's regions are guessed from its colours; a style map says them better."
    return Regions(target, propose_map(painting, colours, heights), len(colours), told, tuple(colours))


def read_map(image: Image.Image, word: str) -> tuple[list[Colour], Indices]:
    """The colours of a map, most of it first, and for each pixel the number of its region.

    A region's colour is one that lies flat somewhere, three pixels wide or more; pixels at edges, which may be mixed of
    two colours, go to the nearer one of the regions beside them.

    Raises:
        ImageError: there are more than ``MOST`` colours, or none.
    """
    image = image.convert("RGB")
    pixels = np.asarray(image).astype(np.int32)
    spread = np.asarray(image.filter(ImageFilter.MaxFilter(3))).astype(np.int32)
    spread -= np.asarray(image.filter(ImageFilter.MinFilter(3)))
    flat = spread.max(-1) <= FLAT
    colours = _main_colours(pixels[flat])
    if not colours or len(colours) > MOST or flat.mean() < 0.3:
        raise ImageError(
            f"The {word} has no flat colours: a map is painted in a few, 2 to {MOST}, one for each region."
            if not colours or flat.mean() < 0.3
            else f"The {word} has {len(colours)} colours, but a map has at most {MOST}, one for each region."
        )
    table = np.array(colours)
    away = _distances(pixels.reshape(-1, 3), table)
    index = away.argmin(1).astype(np.uint8).reshape(flat.shape)
    index[~flat] = NOWHERE
    return colours, _filled(index, away.reshape(*flat.shape, -1))


def name_of(colour: Colour) -> str:
    """A colour in words and numbers: ``blue (#3c78dc)``."""
    away = _distances(np.array([colour]), np.array(list(NAMES.values())))[0]
    return f"{list(NAMES)[int(away.argmin())]} (#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x})"


def _main_colours(pixels: NDArray[np.int32]) -> list[Colour]:
    """The colours that pixels (N, 3) gather at, the most frequent first."""
    codes = (pixels[:, 0] >> 3 << 10) | (pixels[:, 1] >> 3 << 5) | pixels[:, 2] >> 3
    counts = np.bincount(codes, minlength=1 << 15)
    boxes = np.flatnonzero(counts)
    boxes = boxes[np.argsort(-counts[boxes], kind="stable")]
    centres = np.stack([boxes >> 10, boxes >> 5 & 31, boxes & 31], 1) * 8 + 4
    found: list[tuple[int, NDArray[np.bool_]]] = []
    free = np.ones(len(boxes), bool)
    while free.any() and len(found) <= 4 * MOST:
        first = int(free.argmax())
        near = free & (np.sqrt(np.square(centres - centres[first]).sum(1)) < NEAR * 0.75)
        found.append((int(counts[boxes[near]].sum()), near))
        free &= ~near
    least = max(9, LEAST * len(pixels))
    kept = sorted((one for one in found if one[0] >= least), key=lambda one: -one[0])
    own = np.searchsorted(np.sort(boxes), codes)
    order = np.argsort(np.argsort(boxes))
    colours = []
    for _, near in kept:
        inside = np.zeros(len(boxes), bool)
        inside[order[near]] = True
        red, green, blue = pixels[inside[own]].mean(0).round().astype(int).tolist()
        colours.append((red, green, blue))
    return colours


def _filled(index: Indices, away: NDArray[np.float64]) -> Indices:
    """The map with the pixels at edges given to the nearest in colour of the regions beside them, inwards."""
    index = index.copy()
    height, width = index.shape
    while (index == NOWHERE).any():
        ys, xs = np.nonzero(index == NOWHERE)
        best = np.full(len(ys), np.inf)
        chosen = np.full(len(ys), NOWHERE, np.uint8)
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
            beside = index[np.clip(ys + dy, 0, height - 1), np.clip(xs + dx, 0, width - 1)]
            known = beside != NOWHERE
            cost = np.where(known, away[ys, xs, np.where(known, beside, 0)], np.inf)
            better = cost < best
            best, chosen = np.where(better, cost, best), np.where(better, beside, chosen)
        if (chosen == NOWHERE).all():
            break
        index[ys, xs] = chosen
    return index


def _distances(one: NDArray[np.generic], other: NDArray[np.generic]) -> NDArray[np.float64]:
    """Of colours (N, 3) from colours (M, 3): (N, M)."""
    columns = [np.sqrt(np.square(one.astype(np.float64) - colour).sum(1)) for colour in other.astype(np.float64)]
    return np.stack(columns, 1)


def _shares(index: Indices, count: int, size: tuple[int, int], device: torch.device) -> Tensor:
    each = np.stack([index == number for number in range(count)]).astype(np.float32)
    masks = torch.from_numpy(each)[:, None]
    width, height = size
    if masks.shape[-2:] != (height, width):
        masks = F.interpolate(masks, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return masks.to(device)
