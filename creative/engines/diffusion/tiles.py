"""Large pictures in squares that overlap and agree: what each square says of the noise is averaged at every step.

Bar-Tal et al. (2023), MultiDiffusion: Fusing Diffusion Paths for Controlled Image Generation, arXiv:2302.08113.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.models.diffusion import DiffusionConfig


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where squares begin along a length so that they cover it, neighbours overlapping by at least ``overlap``."""
    if length <= side:
        return [0]
    count = 1 + -(-(length - side) // (side - overlap))
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


def in_tiles(see: Callable[[Tensor], Tensor], pictures: Tensor, side: int, overlap: int | None = None) -> Tensor:
    """What ``see`` says of pictures (B, 3, H, W), square by square, averaged where the squares overlap.

    Nearer to its middle a square counts for more. Pictures no larger than a square are seen as they are.

    Args:
        see: squares (N, 3, side, side) -> the same; where a picture is less high or wide, so are the squares.
        pictures: any size.
        side: of the squares, pixels.
        overlap: of neighbours, pixels; None: half a square.
    """
    height, width = pictures.shape[-2:]
    tall, wide = min(side, height), min(side, width)
    between = side // 2 if overlap is None else overlap
    places = [(top, left) for top in starts(height, tall, between) for left in starts(width, wide, between)]
    if len(places) == 1:
        return see(pictures)
    cut = [pictures[..., top : top + tall, left : left + wide] for top, left in places]
    seen = see(torch.cat(cut)).split(len(pictures))
    weight = _window(tall, pictures)[:, None] * _window(wide, pictures)
    total = torch.zeros_like(pictures)
    weights = torch.zeros_like(pictures[:1, :1])
    for (top, left), square in zip(places, seen, strict=True):
        total[..., top : top + tall, left : left + wide] += square * weight
        weights[..., top : top + tall, left : left + wide] += weight
    return total / weights


def _window(length: int, like: Tensor) -> Tensor:
    """Weights along a side: a bow with ends above 0, since nothing but a square's end may cover a picture's."""
    place = (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) / length
    return (torch.pi * place).sin().square() + 0.01


def level_of(short: int, config: DiffusionConfig) -> int:
    """How near a square of the network is to a picture with this short side in pixels."""
    level = 0
    while level + 1 < config.num_levels and short >= config.size * 2 ** (level + 0.5):
        level += 1
    return level


def pad(pictures: Tensor, config: DiffusionConfig) -> Tensor:
    """Mirrored on at the right and below to whole patches and at least one square: (B, 3, H, W)."""
    height, width = pictures.shape[-2:]
    down, across = (max(config.size, -(-side // config.multiple) * config.multiple) - side for side in (height, width))
    while down or across:  # a mirror shows no more than there is
        step = min(down, pictures.shape[-2] - 1), min(across, pictures.shape[-1] - 1)
        if min(pictures.shape[-2:]) < 2:
            return F.pad(pictures, (0, across, 0, down), mode="replicate")
        pictures = F.pad(pictures, (0, step[1], 0, step[0]), mode="reflect")
        down, across = down - step[0], across - step[1]
    return pictures


def ladder(height: int, width: int, config: DiffusionConfig) -> list[tuple[int, int]]:
    """Sizes (height, width) at which a picture is worked on, each half as large as the next: the first is one that the
    network sees about as a whole, the last is the picture's own."""
    count = 0
    while min(height, width) / 2 ** (count + 1) >= 0.7 * config.size:
        count += 1
    return [(round(height / 2**step), round(width / 2**step)) for step in range(count, -1, -1)]
