"""Folders of pictures as a training set: decoded once into one memory-mapped file, then cropped and changed at random.

packed = run(pack_pictures(files, Path("cache")))
dataset = AugmentedPictures(packed, size=112)
dataset[Draw(3, seed=7)]  # (3, 112, 112) uint8: always the same for the same draw
"""

from __future__ import annotations

import bisect
import hashlib
import json
import math
import os
import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import Dataset

from creative.data.draws import Draw
from creative.device import random_generator
from creative.images import open_image
from creative.progress import Step

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


class PicturesError(ValueError):
    """A folder holds no picture that can be read."""


def find_pictures(folders: Iterable[Path]) -> list[Path]:
    """The picture files in some folders and below, sorted by path.

    Raises:
        PicturesError: a folder does not exist, or none holds a picture.
    """
    folders, found = list(folders), set()
    for folder in folders:
        if not folder.is_dir():
            raise PicturesError(f"There is no folder {folder}.")
        found |= {path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()}
    if not found:
        raise PicturesError(f"No picture was found in {', '.join(map(str, folders))}.")
    return sorted(found)


def split_pictures(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files to train on, and labelled ones that are held out to measure with.

    Held out is every tenth of the files named ``n01440764_tench.jpg`` (a WordNet id as ImageNet has it, and a class);
    where no file is, every tenth of all. Left out of both are folders called ``test`` or ``val``, and what a
    ``captions.json`` beside or above the files assigns to another split than ``train``.
    """
    left_out: set[Path] = set()
    for captions in {path for file in files for path in _captions(file.parent)}:
        entries = json.loads(captions.read_text(encoding="utf-8"))
        names = {entry["file"] for entry in entries if entry.get("split", "train") != "train"}
        left_out |= {file for file in files if captions.parent in file.parents and file.name in names}
    usable = [f for f in files if f not in left_out and not {"test", "val"} & {part.lower() for part in f.parts[-3:-1]}]
    labelled = [file for file in usable if re.match(r"n\d{8}_", file.name)]
    held_out = set((labelled or usable)[::10])
    return [file for file in usable if file not in held_out], sorted(held_out)


def _captions(folder: Path) -> list[Path]:
    return [path for path in (folder / "captions.json", folder.parent / "captions.json") if path.is_file()]


@dataclass
class PackedPictures:
    """Decoded pictures in one file; ``packed[i]`` is an array (H, W, 3) of uint8, read only.

    Attributes:
        path: the pixels, one picture after the other.
        files: where each picture came from.
        shapes: (height, width) of each.
        skipped: files that could not be read, with the reason.
    """

    path: Path
    files: list[Path]
    shapes: list[tuple[int, int]]
    skipped: list[tuple[Path, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizes = [height * width * 3 for height, width in self.shapes]
        self._offsets = np.cumsum([0, *sizes])
        self._pixels: np.memmap | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        if self._pixels is None:
            self._pixels = np.memmap(self.path, np.uint8, mode="r")
        height, width = self.shapes[index]
        return self._pixels[self._offsets[index] : self._offsets[index + 1]].reshape(height, width, 3)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pixels": None}  # a worker process maps the file for itself


def pack_pictures(
    files: Sequence[Path], cache: Path, *, short_side: int = 160
) -> Generator[Step, None, PackedPictures]:
    """Decode pictures once, shrunk so that their short side has at most ``short_side`` pixels.

    They are taken as they are meant to be seen: upright, in sRGB, transparency over white. A file that cannot be read
    is skipped, counted and named. The result is kept in the folder ``cache`` and found there again as long as the files
    are the same.

    Raises:
        PicturesError: not one of the files can be read.
    """
    yield Step(0, len(files), message=f"Decoding {len(files)} pictures.")
    key = hashlib.sha256(json.dumps([3, short_side, *map(_identity, files)]).encode()).hexdigest()[:16]
    pixels, index = cache / f"pictures-{key}.bin", cache / f"pictures-{key}.json"
    if index.is_file() and pixels.is_file():
        found = json.loads(index.read_text(encoding="utf-8"))
        kept = [files[place] for place in found["places"]]
        skipped = [(Path(path), reason) for path, reason in found["skipped"]]
        return PackedPictures(pixels, kept, [tuple(shape) for shape in found["shapes"]], skipped)
    cache.mkdir(parents=True, exist_ok=True)
    places, shapes, bad = [], [], []
    partial = pixels.with_suffix(f".{os.getpid()}.part")  # several processes may decode at once
    try:
        with partial.open("wb") as out:
            for place, file in enumerate(files):
                try:
                    array = _decode(file, short_side)
                except Exception as error:  # each format's reader has its own exceptions for damaged files
                    bad.append((file, str(error) or type(error).__name__))
                    yield Step(place + 1, len(files), message=f"Skipped {file}: {bad[-1][1]}")
                    continue
                out.write(array.tobytes())
                places.append(place)
                shapes.append(array.shape[:2])
                if place % 20 == 19:
                    yield Step(place + 1, len(files))
        if not places:
            raise PicturesError(f"None of {len(files)} files is a picture that can be read, {files[0]} for example.")
        partial.replace(pixels)
    finally:
        partial.unlink(missing_ok=True)
    about = {"places": places, "shapes": shapes, "skipped": [[str(path), reason] for path, reason in bad]}
    beside = index.with_suffix(f".{os.getpid()}.part")
    beside.write_text(json.dumps(about), encoding="utf-8")
    beside.replace(index)
    told = f"; skipped {len(bad)} that cannot be read, {bad[0][0].name} first" if bad else ""
    yield Step(len(files), len(files), message=f"Decoded {len(places)} pictures{told}.")
    return PackedPictures(pixels, [files[place] for place in places], shapes, bad)


def _identity(file: Path) -> list[str | int]:
    about = file.stat()
    return [str(file), about.st_size, about.st_mtime_ns]


def _decode(file: Path, short_side: int) -> np.ndarray:
    with Image.open(file) as image:
        image.draft("RGB", (short_side, short_side))
        picture = open_image(image)
    width, height = picture.size
    scale = short_side / min(width, height)
    if scale < 1:
        new_size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = picture.resize(new_size, Image.Resampling.BICUBIC, reducing_gap=2)
    return np.asarray(picture)


class AugmentedPictures(Dataset):
    """Random crops of packed pictures, flipped, recoloured, and now and then blurred or made noisy.

    ``dataset[Draw(index, seed)]`` is (3, size, size) uint8, a pure function of the draw.

    Args:
        packed: the pictures.
        size: side of the crops in pixels.
        area: the smallest and largest part of the picture's area that a crop shows (before it is resized).
        strength: of the changes of colour; 0 for none.
    """

    def __init__(
        self, packed: PackedPictures, size: int, *, area: tuple[float, float] = (0.15, 1.0), strength: float = 1.0
    ) -> None:
        self.packed, self.size, self.area, self.strength = packed, size, area, strength

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, draw: Draw) -> Tensor:
        generator = random_generator(draw.seed)
        numbers = torch.rand(16, generator=generator).tolist()
        picture = Image.fromarray(self.packed[draw.index])
        crop = picture.resize(
            (self.size, self.size), Image.Resampling.BILINEAR, box=self._box(picture.size, numbers), reducing_gap=2
        )
        if numbers[4] < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if numbers[5] < 0.1 * self.strength:
            crop = crop.filter(ImageFilter.GaussianBlur(0.4 + 1.2 * numbers[6]))
        x = torch.from_numpy(np.array(crop)).permute(2, 0, 1)
        if self.strength == 0:
            return x.contiguous()
        matrix, shift = _recolouring(numbers[7:13], self.strength)
        y = (matrix @ x.reshape(3, -1).float()).add_(shift)
        if numbers[13] < 0.1 * self.strength:
            y += torch.randn(y.shape, generator=generator) * (4 + 16 * numbers[14])
        return y.round_().clamp_(0, 255).to(torch.uint8).view(x.shape)

    def _box(self, size: tuple[int, int], numbers: Sequence[float]) -> tuple[float, float, float, float]:
        """A crop of random area and aspect ratio (Szegedy et al., 2014, arXiv:1409.4842)."""
        width, height = size
        low, high = self.area
        area = width * height * (low + (high - low) * numbers[0])
        ratio = math.exp((2 * numbers[1] - 1) * math.log(4 / 3))
        w, h = min(width, math.sqrt(area * ratio)), min(height, math.sqrt(area / ratio))
        left, top = numbers[2] * (width - w), numbers[3] * (height - h)
        return left, top, left + w, top + h


_LUMA = torch.tensor([0.299, 0.587, 0.114])


def _recolouring(numbers: Sequence[float], strength: float) -> tuple[Tensor, Tensor]:
    """A random change of brightness, contrast, saturation and hue: a matrix (3, 3) and a shift (3, 1), for 0 to 255."""
    brightness, contrast, saturation, hue, grey, _ = (2 * number - 1 for number in numbers)
    grey_matrix = _LUMA.repeat(3, 1)
    colourful = 0.0 if grey > 1 - 0.1 * strength else 1 + 0.4 * strength * saturation
    matrix = colourful * torch.eye(3) + (1 - colourful) * grey_matrix
    angle = 0.3 * strength * hue  # a rotation around the grey axis
    axis = torch.full((3,), 3**-0.5)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    rotation = math.cos(angle) * torch.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * axis.outer(axis)
    gain = 1 + 0.4 * strength * contrast
    shift = torch.full((3, 1), 127.5 * (1 - gain) + 40 * strength * brightness)
    return gain * (rotation @ matrix), shift


def centre_crops(packed: PackedPictures, size: int, *, places: Iterable[int] | None = None) -> Tensor:
    """The middle square of each picture (or of those at some places): (B, 3, size, size) in [0, 1]."""
    crops = []
    for place in range(len(packed)) if places is None else places:
        x = torch.from_numpy(np.array(packed[place])).permute(2, 0, 1)[None].float() / 255
        side = min(x.shape[-2:])
        top, left = (x.shape[-2] - side) // 2, (x.shape[-1] - side) // 2
        square = x[..., top : top + side, left : left + side]
        crops.append(F.interpolate(square, (size, size), mode="bilinear", antialias=True, align_corners=False))
    return torch.cat(crops).clamp_(0, 1)


def imagenet_labels(files: Sequence[Path], classes: Sequence[str]) -> Tensor:
    """Class indices (B,) of files named ``n01440764_tench.jpg``, -1 where the name says no class.

    Several classes share a name (a crane is a bird and a machine), and some files and classes have names that nobody
    else has. WordNet ids and class indices rise together: taken are the most labels that do.
    """
    places: dict[str, list[int]] = {}
    for index, name in enumerate(classes):
        places.setdefault(_plain(name), []).append(index)
    ends: list[int] = []  # the smallest label that a rising chain of each length ends with
    links: list[tuple[int, int, int]] = []  # (file, label, link before), and those that the chains end with
    last: list[int] = []
    for place in sorted(range(len(files)), key=lambda place: files[place].name):
        match = re.match(r"n\d{8}_(.+)", files[place].stem)
        for label in reversed(places.get(_plain(match[1]), []) if match else []):
            length = bisect.bisect_left(ends, label)
            links.append((place, label, last[length - 1] if length else -1))
            ends[length : length + 1], last[length : length + 1] = [label], [len(links) - 1]
    labels, link = [-1] * len(files), last[-1] if last else -1
    while link >= 0:
        place, label, link = links[link]
        labels[place] = label
    return torch.tensor(labels)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
