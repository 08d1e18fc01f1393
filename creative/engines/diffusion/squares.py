"""Squares of pictures of two kinds, from far and from near, to train a diffusion network with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from creative.data.draws import Draw
from creative.data.pictures import PackedPictures
from creative.device import random_generator
from creative.models.diffusion import DiffusionConfig

JITTER = 0.85
"""A square of a whole picture shows at least this much of its short side."""


class Squares(Dataset):
    """Random squares, half of them mirrored, with a label, a timestep and noise.

    ``dataset[Draw(index, seed)]`` is a pure function of the draw: {"pixels": (3, size, size) uint8, "noise": (3, size,
    size), "label", "timestep": integers}. The pictures of the first kind come first.

    Args:
        kinds: the decoded pictures of each domain; their short side is size · 2 ^ (levels - 1) pixels where they are
            large enough.
        config: of the network.
        whole: share of squares that show a whole picture.
        drop_label: share of squares whose kind is not told.
    """

    def __init__(
        self, kinds: Sequence[PackedPictures], config: DiffusionConfig, *, whole: float, drop_label: float
    ) -> None:
        self.kinds, self.config, self.whole, self.drop_label = kinds, config, whole, drop_label

    def __len__(self) -> int:
        return sum(map(len, self.kinds))

    def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
        kind, place = 0, draw.index
        while place >= len(self.kinds[kind]):
            kind, place = kind + 1, place - len(self.kinds[kind])
        generator = random_generator(draw.seed)
        numbers = torch.rand(8, generator=generator, dtype=torch.float64).tolist()
        config = self.config
        near = (numbers[0] - self.whole) / max(1e-9, 1 - self.whole)  # below 0: a whole picture
        others = config.num_levels - 1
        level = 0 if near < 0 or not others else 1 + min(others - 1, int(near * others))
        domain = None if numbers[1] < self.drop_label else config.domains[kind]
        return {
            "pixels": self.square(self.kinds[kind][place], level, *numbers[2:6]),
            "label": torch.tensor(config.label(domain, level)),
            "timestep": torch.tensor(int(numbers[6] * config.num_timesteps)),
            "noise": torch.randn(3, config.size, config.size, generator=generator),
        }

    def square(
        self, picture: np.ndarray, level: int, zoom: float, across: float, down: float, mirrored: float
    ) -> Tensor:
        """A square of one picture (H, W, 3): (3, size, size) uint8; all numbers are in [0, 1)."""
        height, width = picture.shape[:2]
        size, short = self.config.size, min(height, width)
        side = short / 2**level * JITTER ** (zoom if level == 0 else 2 * zoom - 1)
        side = min(short, max(side, 1.0))
        left, top = across * (width - side), down * (height - side)
        if abs(side - size) < 0.1 * size and short >= size:  # as sharp as it is
            side, left, top = size, math.floor(across * (width - size)), math.floor(down * (height - size))
            cut = picture[top : top + size, left : left + size]
        else:
            box = (left, top, left + side, top + side)
            cut = np.asarray(
                Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=None)
            )
        if mirrored < 0.5:
            cut = cut[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1)))
