"""What a frozen network sees of many pictures, worked out once and kept in a file that is memory-mapped.

seen = run(see_pictures(files, encoder, Path("cache"), views=4))
seen.grids[2, 17]            # the third view of the eighteenth picture that could be read: (C, h, w), float16
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creative.device import autocast, fast_dtype
from creative.engines.captioning.networks import square
from creative.files import shown
from creative.images import ImageError, open_image
from creative.models.caption_encoders import Encoder
from creative.progress import Step

BATCH = 16
_FORMAT = 1


@dataclass
class Seen:
    """Grids of pictures, or the pictures themselves where the encoder is still to learn.

    Attributes:
        path: the file, an array in NumPy's format.
        places: of each row, which of the files it is.
        skipped: files that could not be read, with the reason.
    """

    path: Path
    places: list[int]
    skipped: list[tuple[Path, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._array: NDArray | None = None

    @property
    def grids(self) -> NDArray:
        """(views, N, ...), read only."""
        if self._array is None:
            self._array = np.load(self.path, mmap_mode="r")
        return self._array

    def __len__(self) -> int:
        return len(self.places)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_array": None}  # a worker process maps the file for itself


def turned(pictures: Tensor, view: int) -> Tensor:
    """One of the eight views of pictures (B, C, S, S): mirrored where it is odd, then turned by view // 2 quarters."""
    mirrored = pictures.flip(-1) if view % 2 else pictures
    return mirrored.rot90(view // 2, (-2, -1))


def see_pictures(
    files: Sequence[Path],
    encoder: Encoder | None,
    cache: Path,
    *,
    size: int,
    views: int = 1,
    device: torch.device | str = "cpu",
) -> Generator[Step, None, Seen]:
    """Look at each picture once, and remember.

    A file that cannot be read is skipped, counted and named. The result is kept in ``cache`` and found there again as
    long as files and encoder are the same.

    Args:
        files: pictures.
        encoder: frozen; None keeps the pictures themselves, uint8, one view of each.
        cache: a folder.
        size: side of the squares that pictures are resized to.
        views: how many of the eight, see ``turned``.
        device: where the encoder is.

    Raises:
        ImageError: not one of the files can be read.
    """
    yield Step(0, len(files), message=None)
    by = encoder.config.to_json() if encoder else {}
    weights = getattr(getattr(encoder, "features", None), "sha256", "")
    known = [_FORMAT, by, weights, size, views if encoder else 1, *map(_identity, files)]
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
    array, index = cache / f"seen-{key}.npy", cache / f"seen-{key}.json"
    if array.is_file() and index.is_file():
        about = json.loads(index.read_text(encoding="utf-8"))
        return Seen(array, about["places"], [(Path(path), reason) for path, reason in about["skipped"]])
    cache.mkdir(parents=True, exist_ok=True)
    partial = array.with_suffix(f".{os.getpid()}.part")
    looking = _Looking(encoder, size, views if encoder else 1, torch.device(device))
    try:
        seen = yield from _looked(files, looking, partial)
        partial.replace(array)
    finally:
        partial.unlink(missing_ok=True)
    about = {"places": seen.places, "skipped": [[str(path), reason] for path, reason in seen.skipped]}
    beside = index.with_suffix(f".{os.getpid()}.part")
    beside.write_text(json.dumps(about), encoding="utf-8")
    beside.replace(index)
    told = f"; skipped {len(seen.skipped)} that cannot be read, {seen.skipped[0][0].name} first" if seen.skipped else ""
    yield Step(len(files), len(files), message=f"Looked at {len(seen.places):,} pictures{told}.")
    return Seen(array, seen.places, seen.skipped)


class _Looking:
    """Arrays of pictures -> what is kept of each view."""

    def __init__(self, encoder: Encoder | None, size: int, views: int, device: torch.device) -> None:
        self.encoder, self.size, self.views, self.device = encoder, size, views, device
        self.dtype = fast_dtype(device)

    @torch.no_grad()
    def __call__(self, pictures: Sequence[NDArray]) -> NDArray:
        stacked = np.stack(pictures)
        if self.encoder is None:
            return stacked[None]
        x = torch.from_numpy(stacked).to(self.device).float().div_(255)
        with autocast(self.device, self.dtype):
            found = [self.encoder(turned(x, view)).half().cpu().numpy() for view in range(self.views)]
        return np.stack(found)


def _looked(files: Sequence[Path], looking: _Looking, partial: Path) -> Generator[Step, None, Seen]:
    places: list[int] = []
    skipped: list[tuple[Path, str]] = []
    waiting: list[NDArray] = []
    out: np.memmap | None = None
    done = 0

    def keep() -> None:
        nonlocal out, done
        found = looking(waiting)
        if out is None:
            shape = (len(found), len(files), *found.shape[2:])
            out = np.lib.format.open_memmap(partial, "w+", found.dtype, shape)
        out[:, done : done + len(waiting)] = found
        done += len(waiting)
        waiting.clear()

    for place, file in enumerate(files):
        try:
            waiting.append(square(open_image(file), looking.size))
            places.append(place)
        except ImageError as error:
            skipped.append((file, str(error)))
            yield Step(place, len(files), message=f"Skipped {shown(file)}: {error}")
        if len(waiting) == BATCH:
            keep()
            yield Step(place + 1, len(files))
    if waiting:
        keep()
    if out is None:
        raise ImageError(f"None of {len(files)} files is a picture that can be read, {shown(files[0])} for example.")
    out.flush()
    return Seen(partial, places, skipped)


def _identity(file: Path) -> list[str | int]:
    about = file.stat()
    return [str(file), about.st_size, about.st_mtime_ns]
