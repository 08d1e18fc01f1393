"""What is painted in training: crops of photos, each with a style to be painted in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from creative.data.draws import Draw, mixed_seed
from creative.data.pictures import AugmentedPictures, PackedPictures
from creative.device import random_generator
from creative.engines.instant_style.objective import STRONGEST

AREA = (0.12, 1.0)
"""The smallest and largest part of a photo that a crop shows."""
MIXED, WEAKER, STRONGER = 0.25, 0.2, 0.15
"""Shares of the lessons with two styles mixed, with a strength below 1, and with one above."""


class Lessons(Dataset):
    """``lessons[Draw(index, seed)]`` is a crop (3, crop, crop) uint8, two styles' places, a share and a strength.

    Args:
        packed: the photos.
        crop: side in pixels.
        groups: the places of the styles of each folder, each as likely as the others.
    """

    def __init__(self, packed: PackedPictures, crop: int, groups: Sequence[Sequence[int]]) -> None:
        self.photos = AugmentedPictures(packed, crop, area=AREA, strength=0)
        self.groups = [list(group) for group in groups]

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        generator = random_generator(mixed_seed(draw.seed, "style"))
        numbers = torch.rand(8, generator=generator, dtype=torch.float64).tolist()
        kind, how = numbers[4], numbers[5]
        strength = 1.0
        if kind < WEAKER:
            strength = 0.1 + 0.9 * how
        elif kind < WEAKER + STRONGER:
            strength = 1 + (STRONGEST - 1) * how
        return {
            "photo": self.photos[draw],
            "one": self._place(numbers[0], numbers[1]),
            "other": self._place(numbers[2], numbers[3]),
            "share": numbers[7] if numbers[6] < MIXED else 1.0,
            "strength": strength,
        }

    def _place(self, group: float, item: float) -> int:
        places = self.groups[int(group * len(self.groups))]
        return places[int(item * len(places))]


def training_files(folders: Sequence[Path], files: Sequence[Path]) -> list[Path]:
    """Those of the files that are not in a folder called ``test`` or ``val`` within the folders given.

    A folder that is itself called so, or lies in one, is taken at its word.
    """
    kept = []
    for file in files:
        parts = next(file.relative_to(folder).parts[:-1] for folder in folders if folder in file.parents)
        if not {"test", "val"} & {part.lower() for part in parts}:
            kept.append(file)
    return kept


def identity(files: Sequence[Path]) -> str:
    """What tells these pictures from others: not where they are, so that a run can move."""
    return sha256(json.dumps([[file.name, file.stat().st_size] for file in files]).encode()).hexdigest()
