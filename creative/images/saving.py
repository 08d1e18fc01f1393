"""Pictures saved whole or not at all, the same bytes each time, with their provenance and no other metadata."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from creative.files import check_writable, explain, replacing, shown
from creative.images.opening import ImageError, brief, rgb

MAX_NOTE = 1_000_000
"""Most bytes of provenance that are read from a file."""

SAVED_AS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The formats that results are saved in, by suffix."""

_EXIF_FOLDER, _USER_COMMENT = 0x8769, 0x9286  # tags of the EXIF standard
_ASCII = b"ASCII\0\0\0"  # EXIF: the character code that a user comment begins with
_MAX_EXIF = 65_000  # a JPEG segment holds 65,533 bytes


class Note(Protocol):
    """What can be written into a picture's file: a Provenance."""

    def to_json(self) -> str:
        """The note in ASCII."""


def check_output(path: str | os.PathLike[str], suffixes: Iterable[str] = tuple(SAVED_AS)) -> Path:
    """``path``, if a result can be saved there: call it before a long job.

    Raises:
        ImageError: the suffix is none of ``suffixes``, or the folder cannot be written to.
    """
    path = Path(path)
    allowed = [suffix.lower() for suffix in suffixes]
    if path.suffix.lower() not in allowed:
        found = f"not in {path.suffix}" if path.suffix else "which has none"
        raise ImageError(f"The name of a result must end in {_either(allowed)}, {found}: {shown(path.name or path)}.")
    if "\0" in str(path):
        raise ImageError(f"{shown(path)} is no file name.")
    try:
        check_writable(path)
    except OSError as error:
        raise ImageError(explain(error, path)) from None
    return path


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def save_image(image: Image.Image, path: str | os.PathLike[str], *, quality: int = 95) -> Path:
    """Save a picture as PNG, JPEG or WebP by the path's suffix, with its provenance and no other metadata.

    The same picture makes the same bytes. The file is written beside and then renamed, so that whatever goes wrong no
    half of it is left behind and what was there before stays.

    Args:
        quality: of JPEG and WebP, from 1 to 100.

    Raises:
        ImageError: unknown suffix, unwritable folder, full disk, or a picture too large for the format.
    """
    path = check_output(path)
    data = encoded(image, SAVED_AS[path.suffix.lower()], quality=quality)
    try:
        with replacing(path) as beside:
            beside.write_bytes(data)
    except OSError as error:
        raise ImageError(explain(error, path)) from error
    return path


def encoded(image: Image.Image, format: str, *, quality: int = 95) -> bytes:  # noqa: A002 (Pillow's word for it)
    """A picture's file as bytes: ``format`` is PNG, JPEG or WEBP; see ``save_image``."""
    if not 1 <= quality <= 100:
        raise ImageError(f"quality must be from 1 to 100, but is {quality}.")
    note = image.info.get("provenance")
    text = note.to_json() if note is not None else None
    kept = {"PNG": {"1", "L", "LA", "RGB", "RGBA"}, "JPEG": {"L", "RGB"}, "WEBP": {"RGB", "RGBA"}}[format]
    bare = image.copy() if image.mode in kept else rgb(image)
    bare.info = {}  # Pillow would write some of it
    options: dict[str, Any] = {}
    if format == "PNG":
        options["pnginfo"] = PngInfo()
        if text is not None:
            options["pnginfo"].add_itxt("creative", text)
    else:
        options["quality"] = quality
        if format == "JPEG":
            # Not "optimize": Pillow then fails on noise, whose file is larger than the buffer it reserves.
            options["subsampling"] = 0 if quality >= 90 else 2
        if text is not None:
            options["exif"] = _exif(text)
    buffer = io.BytesIO()
    try:
        bare.save(buffer, format, **options)
    except Exception as error:  # too wide for the format, say
        raise ImageError(
            f"{bare.width} × {bare.height} pixels cannot be saved as {format} ({brief(error)})."
        ) from error
    return buffer.getvalue()


def _exif(text: str) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(_EXIF_FOLDER)[_USER_COMMENT] = _ASCII + text.encode("ascii")
    data = exif.tobytes()
    if len(data) > _MAX_EXIF:
        raise ImageError(f"The provenance has {len(data) / 1e3:.0f} kB, too much for this format: save it as PNG.")
    return data


def read_note(path: str | os.PathLike[str]) -> str | None:
    """The text that ``save_image`` wrote into a picture's file, unchecked, or None; decodes no pixels."""
    with contextlib.suppress(Exception):  # whatever is wrong with the file, there is no note in it
        with Image.open(path, formats=sorted(set(SAVED_AS.values()))) as image:
            if image.format == "PNG":
                text = image.info.get("creative")
            else:
                comment: bytes = image.getexif().get_ifd(_EXIF_FOLDER)[_USER_COMMENT]
                text = comment.removeprefix(_ASCII).decode("ascii")
        if isinstance(text, str) and len(text) <= MAX_NOTE:
            return str(text)
    return None
