"""Zips of pictures, unpacked with care: pictures only, within their folder, and no more than a limit of them.

archive = open_archive(Path("paintings.zip"))      # what is wrong with it is said at once
folder = run(unpack(archive, Path("cache")))       # cache/3f2a.../paintings, a folder of pictures
"""

from __future__ import annotations

import contextlib
import shutil
import stat
import zipfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from creative.data.pictures import SUFFIXES, PicturesError
from creative.files import explain, file_sha256, shown
from creative.images import MAX_BYTES
from creative.progress import Step

MOST_FILES = 100_000
"""Pictures in a zip, at most."""
MOST_BYTES = 20 * 10**9
"""Of all of them together, unpacked."""
_CHUNK = 2**20


@dataclass(frozen=True)
class Archive:
    """A zip that may be unpacked.

    Attributes:
        path: the file.
        pictures: what is in it, by the name that it has there, and the path within a folder that it is to get.
        skipped: how many files in it are no pictures.
    """

    path: Path
    pictures: dict[str, Path]
    skipped: int

    def folder(self, below: Path) -> Path:
        """Where it is unpacked: a folder that is called like the zip, below another one."""
        return below / file_sha256(self.path)[:12] / (self.path.stem or "pictures")


def open_archive(path: Path, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> Archive:
    """Look through a zip; nothing is unpacked yet.

    Raises:
        PicturesError: it is no zip, is damaged or locked, has no pictures, too many or too large ones, or names a file
            outside of its folder.
    """
    try:
        with zipfile.ZipFile(path) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir()]
    except zipfile.BadZipFile:
        raise PicturesError(f"{shown(path)} is not a zip, or it is damaged.") from None
    except OSError as error:
        raise PicturesError(f"{shown(path)} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    pictures: dict[str, Path] = {}
    total = skipped = 0
    for entry in entries:
        inside = _inside(entry.filename, path)
        if inside.suffix.lower() not in SUFFIXES or _is_hidden(inside) or stat.S_ISLNK(entry.external_attr >> 16):
            skipped += not _is_hidden(inside)
            continue
        if entry.flag_bits & 1:
            raise PicturesError(f"{shown(path)} is locked with a password: unpack it first, and give the folder.")
        if entry.file_size > MAX_BYTES:
            raise PicturesError(
                f"{shown(entry.filename)} in {shown(path.name)} has {entry.file_size / 1e6:,.0f} MB; a picture may "
                f"have {MAX_BYTES / 1e6:,.0f}."
            )
        total += entry.file_size
        pictures[entry.filename] = inside
    if not pictures:
        raise PicturesError(f"There is no picture in {shown(path)}.")
    if len(pictures) > most_files:
        raise PicturesError(f"{shown(path)} holds {len(pictures):,} pictures; {most_files:,} are allowed.")
    if total > most_bytes:
        raise PicturesError(
            f"The pictures in {shown(path)} have {total / 1e9:,.1f} GB unpacked; {most_bytes / 1e9:,.1f} are allowed."
        )
    return Archive(path, pictures, skipped)


def _inside(name: str, path: Path) -> Path:
    """Where a file of a zip goes within the folder it is unpacked to."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or (parts and parts[0].endswith(":")):
        raise PicturesError(
            f"{shown(path)} names a file outside of its own folder, {shown(name)}: it was not made by an honest "
            "program, and nothing of it is unpacked."
        )
    return Path(*(part.replace("\0", "").replace(":", "-") or "-" for part in parts)) if parts else Path("-")


def _is_hidden(path: Path) -> bool:
    """What file managers add: ``__MACOSX``, ``._photo.jpg``."""
    return any(part.startswith((".", "__")) for part in path.parts)


def unpack(archive: Archive, folder: Path) -> Generator[Step, None, Path]:
    """Unpack a zip's pictures below a folder; what was unpacked before is found again.

    Returns:
        The folder of the pictures, which is called like the zip.

    Raises:
        PicturesError: the zip is damaged, or the pictures cannot be written.
    """
    target = archive.folder(folder)
    count = len(archive.pictures)
    yield Step(0, count, message=_told(archive) if not target.is_dir() else None)
    if target.is_dir():
        return target
    beside = target.with_name(f"{target.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        with zipfile.ZipFile(archive.path) as file:
            for done, (name, inside) in enumerate(archive.pictures.items(), 1):
                _write(file, name, beside / inside)
                if done % 50 == 0:
                    yield Step(done, count)
        beside.rename(target)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise PicturesError(f"{shown(archive.path)} is damaged: {str(error).lower()}.") from None
    except OSError as error:
        raise PicturesError(explain(error, target)) from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(beside, ignore_errors=True)
    return target


def _told(archive: Archive) -> str:
    skipped = f"; {archive.skipped} files in it are no pictures" if archive.skipped else ""
    return f"Unpacking {len(archive.pictures):,} pictures of {archive.path.name}{skipped}."


def _write(file: zipfile.ZipFile, name: str, path: Path) -> None:
    """One picture; no more bytes of it than were announced, whatever the compressed data comes to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = file.getinfo(name).file_size
    with file.open(name) as packed, path.open("wb") as plain:
        while chunk := packed.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise zipfile.BadZipFile(f"{shown(name)} is larger than the zip says")
            plain.write(chunk)
