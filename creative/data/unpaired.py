"""Two folders of pictures that belong together as wholes, not picture by picture: photos and paintings, say.

a, b = find_domains(Path("photos"), Path("paintings"))      # what is wrong with them is said at once
packed_a, packed_b = run(pack_domains(a, b, Path("cache"), size=286))
dataset = UnpairedCrops(packed_a, packed_b, size=286, crop=256)
dataset[Draw(3, seed=7)]  # {"a": (3, 256, 256) uint8, "b": the same}: always the same for the same draw
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from creative.data.draws import Draw, mixed_seed
from creative.data.pictures import PackedPictures, PicturesError, find_pictures, pack_pictures
from creative.device import random_generator
from creative.files import file_sha256, shown
from creative.progress import Step

FEW = 50
"""With fewer pictures than this a domain is learned by heart rather than in general."""
HELD_OUT = 100
"""Pictures of a domain, at most, that are held out where no folder says which."""


@dataclass(frozen=True)
class Domain:
    """The pictures of one kind.

    Attributes:
        folder: where they are.
        training: files to learn from.
        held_out: files to measure with: those in folders called ``test`` or ``val``, else every tenth; where there are
            fewer than twenty pictures, those that are learned from.
    """

    folder: Path
    training: list[Path]
    held_out: list[Path]

    @property
    def all(self) -> list[Path]:
        """Both, each file once, by path."""
        return sorted({*self.training, *self.held_out})


def find_domains(a: Path, b: Path) -> tuple[Domain, Domain]:
    """The pictures in two folders and below.

    Raises:
        PicturesError: a folder is missing or has fewer than two pictures; both are one, one is in the other, or both
            hold the same pictures.
    """
    a, b = Path(a), Path(b)
    one, other = a.resolve(), b.resolve()
    if one == other:
        raise PicturesError(f"Both domains are the folder {shown(a)}: give a folder for each kind of pictures.")
    for inner, outer in ((one, other), (other, one)):
        if outer in inner.parents:
            raise PicturesError(
                f"The folder {shown(inner)} lies within {shown(outer)}, so its pictures would be of both kinds: "
                "give two folders side by side."
            )
    found = _find_domain(a), _find_domain(b)
    twice = shared_pictures(found[0].all, found[1].all)
    if 2 * len(twice) > min(len(domain.all) for domain in found):
        raise PicturesError(
            f"{len(twice)} pictures are in {shown(a)} as well as in {shown(b)}, {shown(twice[0].name)} for example: "
            "the two kinds must differ."
        )
    return found


def _find_domain(folder: Path) -> Domain:
    files = find_pictures([folder])
    if len(files) == 1:
        raise PicturesError(
            f"The folder {shown(folder)} holds a single picture, {shown(files[0].name)}: a kind of pictures is learned "
            f"from at least two, and well from some hundreds."
        )
    aside = [file for file in files if {"test", "val"} & {part.lower() for part in file.relative_to(folder).parts[:-1]}]
    if len(aside) >= 2 and len(files) - len(aside) >= 2:
        return Domain(folder, [file for file in files if file not in set(aside)], aside)
    if len(files) < 20:
        return Domain(folder, files, files)
    held_out = set(files[:: max(10, len(files) // HELD_OUT)])
    return Domain(folder, [file for file in files if file not in held_out], sorted(held_out))


def shared_pictures(one: Sequence[Path], other: Sequence[Path]) -> list[Path]:
    """The files of ``one`` whose bytes are also among those of ``other``."""
    sizes: dict[int, list[Path]] = {}
    for file in other:
        sizes.setdefault(file.stat().st_size, []).append(file)
    twins = [(file, sizes.get(file.stat().st_size, [])) for file in one]
    return [file for file, near in twins if near and file_sha256(file) in {file_sha256(other) for other in near}]


def warnings(a: Domain, b: Domain) -> list[str]:
    """What may go wrong with two domains, in sentences; nothing if they look well."""
    said = [
        f"{shown(domain.folder)} has only {len(domain.training)} pictures to learn from: with fewer than {FEW} they "
        "are learned by heart; some hundreds are better."
        for domain in (a, b)
        if len(domain.training) < FEW
    ]
    if twice := shared_pictures(a.all, b.all):
        said.append(f"{len(twice)} pictures are of both kinds, {shown(twice[0].name)} for example.")
    return said


def pack_domains(
    a: Sequence[Path], b: Sequence[Path], cache: Path, *, size: int
) -> Generator[Step, None, tuple[PackedPictures, PackedPictures]]:
    """Decode the pictures of both domains once; those that cannot be read are skipped, counted and named.

    Args:
        a, b: files of each.
        cache: folder for the decoded pictures.
        size: their short side, at most; smaller ones stay as they are.

    Raises:
        PicturesError: fewer than two pictures of a domain can be read.
    """
    packed = []
    for files in (a, b):
        found = yield from pack_pictures(files, cache, short_side=size)
        if len(found) < 2:
            raise PicturesError(
                f"Only {shown(found.files[0].name)} can be read of the {len(files)} pictures in "
                f"{shown(found.files[0].parent)}: a kind of pictures is learned from at least two."
            )
        packed.append(found)
    return packed[0], packed[1]


class UnpairedCrops(Dataset):
    """Random crops, half of them mirrored, one of each domain: of the larger one in turn, of the other at random.

    ``dataset[Draw(index, seed)]`` is {"a": (3, crop, crop) uint8, "b": the same}, a pure function of the draw.
    Differs from Zhu et al. (2017): pictures keep their shape, where theirs are squeezed into squares first.

    Args:
        a, b: the decoded pictures.
        size: their short side is this long when the crop is cut out, in pixels.
        crop: side of the crops in pixels, at most ``size``.
    """

    def __init__(self, a: PackedPictures, b: PackedPictures, *, size: int, crop: int) -> None:
        self.domains = {"a": a, "b": b}
        self.size, self.crop = size, crop

    def __len__(self) -> int:
        return max(map(len, self.domains.values()))

    def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
        crops = {}
        for name, packed in self.domains.items():
            generator = random_generator(mixed_seed(draw.seed, name))
            numbers = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
            index = draw.index if len(packed) == len(self) else int(numbers[3] * len(packed))
            crops[name] = self._crop(packed[index], *numbers[:3])
        return crops

    def _crop(self, picture: np.ndarray, across: float, down: float, mirrored: float) -> Tensor:
        height, width = picture.shape[:2]
        scale = self.size / min(height, width)
        side = self.crop / scale
        if scale == 1:
            left, top = round(across * (width - self.crop)), round(down * (height - self.crop))
            cut = picture[top : top + self.crop, left : left + self.crop]
        else:
            left_, top_ = across * (width - side), down * (height - side)
            box = (left_, top_, min(width, left_ + side), min(height, top_ + side))
            resized = Image.fromarray(picture).resize((self.crop, self.crop), Image.Resampling.BICUBIC, box=box)
            cut = np.asarray(resized)
        if mirrored < 0.5:
            cut = cut[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1)))
