"""The styles that training learns from: paintings at many sizes and in many colours, as what is compared of them.

Gram matrices are computed once and lie in one memory-mapped file; a painting seen again costs nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from creative.checkpoint import load_checkpoint, save_checkpoint
from creative.data.draws import mixed_seed
from creative.device import autocast, fast_dtype, random_generator
from creative.engines.instant_style.objective import Objective
from creative.images import fit, open_image, resize, to_tensor
from creative.models.features import Features
from creative.models.style_codes import Predictor, style_moments
from creative.progress import Step

SMALLEST, LARGEST = 160, 512
"""Longest sides at which a painting is seen, pixels."""
RECOLOURED = 0.45
"""Share of the variants whose colours are changed."""
CROPPED = 0.4
"""Share of the variants that are a part of the painting."""


class StyleBank:
    """Styles to learn from, their Gram matrices in half precision in a memory-mapped file.

    Attributes:
        sketches: (V, S), what the predictor sees of each.
        groups: the places of each folder's variants.
    """

    def __init__(
        self,
        path: Path,
        sketches: Tensor,
        scales: Tensor,
        channels: Sequence[tuple[str, int]],
        groups: Sequence[Sequence[int]],
    ) -> None:
        self.path, self.sketches, self.scales = path, sketches, scales
        self.channels, self.groups = list(channels), [list(group) for group in groups]
        self._rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.sketches)

    def grams(self, places: Sequence[int]) -> dict[str, Tensor]:
        """The Gram matrices of some styles: (B, C, C) a layer."""
        if self._rows is None:
            width = sum(count * count for _, count in self.channels)
            self._rows = np.memmap(self.path, np.float16, mode="r").reshape(len(self), width)
        rows = torch.from_numpy(np.stack([self._rows[place] for place in places])).float()
        found, start = {}, 0
        for number, (layer, count) in enumerate(self.channels):
            part = rows[:, start : start + count * count] * self.scales[list(places), number, None]
            found[layer] = part.unflatten(1, (count, count))
            start += count * count
        return found


def make_bank(
    folders: Sequence[Sequence[Path]],
    variants: int,
    seed: int,
    cache: Path,
    objective: Objective,
    features: Features,
    predictor: Predictor,
) -> Generator[Step, None, StyleBank]:
    """Look at all paintings once; found again in ``cache`` as long as they are the same.

    Args:
        folders: the paintings of each; a folder with fewer than ``variants`` is seen in several variants.
        variants: of each folder, at least.
        seed: of sizes, crops and colours.
        cache: a folder.
        objective: whose Gram matrices are kept.
        features, predictor: by which a style is known.
    """
    jobs = [
        (file, number)
        for files in folders
        for number in range(max(1, math.ceil(variants / len(files))))
        for file in files
    ]
    groups, start = [], 0
    for files in folders:
        count = len(files) * max(1, math.ceil(variants / len(files)))
        groups.append(list(range(start, start + count)))
        start += count
    identity = [[str(file), file.stat().st_size] for group in folders for file in group]
    about = [4, seed, variants, SMALLEST, LARGEST, identity, features.sha256, objective.judge.sha256]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    path, index = cache / f"styles-{key}.bin", cache / f"styles-{key}.safetensors"
    channels = [(name, values.shape[1]) for name, values in _grams(objective, torch.zeros(1, 3, 64, 64)).items()]
    if path.is_file() and index.is_file():
        tensors = load_checkpoint(index).tensors
        return StyleBank(path, tensors["sketches"], tensors["scales"], channels, groups)
    cache.mkdir(parents=True, exist_ok=True)
    yield Step(0, len(jobs), message=f"Looking at {len(jobs)} styles.")
    partial = path.with_suffix(f".{os.getpid()}.part")
    sketches, scales = [], []
    try:
        with partial.open("wb") as out:
            for done, (file, number) in enumerate(jobs):
                device = objective.judge.scale.device
                with torch.no_grad():
                    picture = to_tensor(varied(file, mixed_seed(seed, "style", file.name, number)), device)
                    with autocast(device, fast_dtype(device)):
                        maps = objective.maps(picture)
                    grams = objective.grams_of({layer: values.float() for layer, values in maps.items()})
                    rows = {layer: matrix[0].flatten().cpu() for layer, matrix in grams.items()}
                    sketches.append(predictor.sketch(style_moments(features, picture)).cpu())
                largest = torch.stack([row.abs().max().clamp(min=1e-12) for row in rows.values()])
                scales.append(largest)
                values = [row / scale for row, scale in zip(rows.values(), largest, strict=True)]
                out.write(torch.cat(values).half().numpy().tobytes())
                if done % 10 == 9:
                    yield Step(done + 1, len(jobs))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    tensors = {"sketches": torch.stack(sketches), "scales": torch.stack(scales)}
    save_checkpoint(index, tensors, {"styles": len(jobs)})
    return StyleBank(path, tensors["sketches"], tensors["scales"], channels, groups)


def _grams(objective: Objective, picture: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return objective.grams(picture.to(objective.judge.scale.device))


def varied(file: Path, seed: int) -> Image.Image:
    """A painting at a random size, mirrored half of the time, often a part of it or in other colours."""
    numbers = torch.rand(12, generator=random_generator(seed), dtype=torch.float64).tolist()
    picture = open_image(file)
    if numbers[0] < CROPPED:
        part = 0.6 + 0.4 * numbers[1]  # of each side
        width, height = (round(side * part) for side in picture.size)
        left, top = round(numbers[2] * (picture.width - width)), round(numbers[3] * (picture.height - height))
        picture = picture.crop((left, top, left + width, top + height))
    most = max(SMALLEST, min(LARGEST, round(1.25 * max(picture.size))))
    longest = round(SMALLEST * (most / SMALLEST) ** numbers[4])
    picture = resize(picture, fit(picture.size, longest))
    if numbers[5] < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return recoloured(picture, numbers[7:]) if numbers[6] < RECOLOURED else picture


def recoloured(picture: Image.Image, numbers: Sequence[float]) -> Image.Image:
    """Other hues, saturation, contrast and brightness, by five numbers in [0, 1]."""
    hue, saturation, contrast, brightness, turned = numbers
    x = torch.from_numpy(np.array(picture)).float().flatten(0, 1) / 255
    grey = x @ torch.tensor([0.299, 0.587, 0.114])
    angle = (2 * hue - 1) * math.pi
    axis = torch.full((3,), 3**-0.5)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    rotation = math.cos(angle) * torch.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * axis.outer(axis)
    x = (x - grey[:, None]) @ rotation.T * (0.5 + 1.2 * saturation) + grey[:, None]
    x = (x - 0.5) * (0.75 + 0.5 * contrast) + 0.5 + 0.2 * (brightness - 0.5)
    if turned > 0.9:
        x = 1 - x
    pixels = (x.clamp(0, 1) * 255).round().to(torch.uint8).view(picture.height, picture.width, 3)
    return Image.fromarray(pixels.numpy())
