"""Pictures opened safely, whatever they are: upright, RGB in sRGB, and told apart from what is no picture."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.Image import Transpose

from creative.files import plain_name, shown

MAX_PIXELS = 89_000_000
"""Most pixels a picture may have unless the caller says otherwise: just below the point where Pillow itself warns."""
MAX_BYTES = 200_000_000
"""Most bytes a picture's file may have unless the caller says otherwise."""
OPENED = {
    *(".png", ".jpg", ".jpeg", ".webp"),
    *(".avif", ".bmp", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".qoi"),
    *(".tga", ".tif", ".tiff"),
}
"""The suffixes that make a file in a folder count as a picture."""

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # on odd metadata, which is not used here

_NOT_OPENED = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}  # programs and containers rather than pictures
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # tag of the EXIF standard

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image


class ImageError(ValueError):
    """A picture cannot be opened, used or saved. The message is one sentence for a person."""


def open_image(source: Source, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Image.Image:
    """Open a picture as it is meant to be seen: upright, RGB in sRGB, transparency over white, the first frame.

    Args:
        source: a file's path, its bytes, a binary stream, or a picture that is already in memory.
        max_pixels: most pixels to decode; checked in the header, before anything is decoded.
        max_bytes: most bytes to read.

    Returns:
        A new picture of mode RGB. Its ``info`` holds only ``"source"``: the file's name, its SHA-256, and a checksum of
        the pixels by which a later change to them is noticed.

    Raises:
        ImageError: there is no such file, or it is no picture, damaged, cut short or too large.
    """
    if isinstance(source, Image.Image):
        name = plain_name(getattr(source, "filename", "") or "")
        known = source_of(source) if "source" in source.info else None
        image = _decoded(source, shown(name) or "The picture", max_pixels)
        image.info = {"source": known or _described(image, name, pixel_sha256(image))}
        return image
    data, name = _read(source, max_bytes)
    image = _decoded(data, shown(name) or "The picture", max_pixels)
    image.info = {"source": _described(image, name, _sha256(data))}
    return image


def in_rgb(picture: Image.Image) -> Image.Image:
    """A picture of mode RGB itself; any other (grey, deep, transparent) as ``open_image`` would have opened it."""
    return picture if picture.mode == "RGB" else open_image(picture)


def open_mask(source: Source, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Image.Image:
    """Open a mask: a picture's luminance (mode L), whatever its transparency; see ``open_image``."""
    colour = open_image(source, max_pixels=max_pixels, max_bytes=max_bytes)
    mask = colour.convert("L")
    origin = colour.info["source"]
    mask.info = {"source": _described(mask, origin["file"], origin["sha256"])}
    return mask


def source_of(image: Image.Image) -> dict[str, str]:
    """The file a picture came from: ``{"file": name, "sha256": of the file, "pixels": checksum}``.

    A picture that was made in memory, or changed since it was opened, has no file: its name is empty and its SHA-256 is
    that of its pixels.
    """
    source = image.info.get("source")
    if isinstance(source, Mapping) and source.get("pixels") == _checksum(image):
        return {key: str(source[key]) for key in ("file", "sha256", "pixels")}
    return _described(image, "", pixel_sha256(image))


def pixel_sha256(image: Image.Image) -> str:
    """The SHA-256 of a picture's mode, size and pixels: the same for the same picture in whatever file format."""
    return _sha256(f"{image.mode} {image.width}x{image.height}\n".encode() + image.tobytes())


def _described(image: Image.Image, name: str, sha256: str) -> dict[str, str]:
    return {"file": name, "sha256": sha256, "pixels": _checksum(image)}


def _checksum(image: Image.Image) -> str:
    return f"{zlib.crc32(image.tobytes()):08x}-{image.mode}-{image.width}x{image.height}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(source: str | os.PathLike[str] | bytes | BinaryIO, max_bytes: int) -> tuple[bytes, str]:
    """The bytes of a file and its name; no more bytes than allowed are ever read."""
    name = ""
    if not isinstance(source, bytes):
        given = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
        name = plain_name(given) if isinstance(given, str | os.PathLike) else ""
    label = shown(name) or "The picture"
    try:
        if isinstance(source, bytes):
            data = source
        elif isinstance(source, str | os.PathLike):
            data = _read_file(Path(source), max_bytes)
        elif hasattr(source, "read"):
            data = source.read(max_bytes + 1)
        else:
            raise ImageError(f"A picture is a path, bytes, a binary stream or PIL's, not {type(source).__name__}.")
    except OSError as error:
        raise ImageError(f"{label} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    if not isinstance(data, bytes):
        raise ImageError(f"{label} was opened as text; open it in binary mode.")
    if not data:
        raise ImageError(f"{label} is empty.")
    if len(data) > max_bytes:
        raise _too_large(label, max_bytes)
    return data, name


def check_bytes(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """Find out without reading it whether a picture's file is small enough to be opened.

    Raises:
        ImageError: it is too large.
    """
    if path.is_file() and path.stat().st_size > max_bytes:
        raise _too_large(shown(Path(path.name)), max_bytes)


def _too_large(label: str, max_bytes: int) -> ImageError:
    return ImageError(f"{label} is too large: a picture's file may have {max_bytes / 1e6:,.0f} MB at most.")


def _read_file(path: Path, max_bytes: int) -> bytes:
    if path.is_dir():
        raise ImageError(f"{shown(path)} is a folder, not a picture.")
    if not path.exists():
        raise ImageError(f"There is no file {shown(path)}.")
    if not path.is_file():  # a device may never end
        raise ImageError(f"{shown(path)} is not an ordinary file.")
    with path.open("rb") as file:
        return file.read(min(max_bytes, path.stat().st_size) + 1)


def _decoded(source: bytes | Image.Image, label: str, max_pixels: int) -> Image.Image:
    """The picture in the bytes, upright and in RGB."""
    try:
        if isinstance(source, bytes):
            Image.init()
            formats = [name for name in Image.OPEN if name not in _NOT_OPENED]
            image: Image.Image = Image.open(io.BytesIO(source), formats=formats)
        else:
            image = source
        _check_size(image, label, max_pixels)
        image.load()
        _check_size(image, label, max_pixels)  # some formats only now know it
        return rgb(_upright(image))
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            f"{label} is not a picture of a kind that can be read, such as PNG, JPEG, WebP, GIF or TIFF."
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(f"{label} has too many pixels: {max_pixels / 1e6:,.0f} million are allowed.") from None
    except MemoryError:
        raise ImageError(f"{label} does not fit into memory.") from None
    except Exception as error:  # a hostile file makes Pillow raise almost anything
        raise ImageError(f"{label} is damaged or cut short and cannot be read ({brief(error)}).") from error


def _check_size(image: Image.Image, label: str, max_pixels: int) -> None:
    if image.width < 1 or image.height < 1:
        raise ImageError(f"{label} has no pixels.")
    if image.width * image.height > max_pixels:
        raise ImageError(
            f"{label} has {image.width} × {image.height} pixels, which is too many: "
            f"{max_pixels / 1e6:,.0f} million are allowed."
        )


def brief(error: Exception) -> str:
    """What an error of Pillow's says, on one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says; a broken orientation turns nothing."""
    orientation: Any = None
    with contextlib.suppress(Exception):
        orientation = image.getexif().get(_ORIENTATION)
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = dict(image.info)
    return turned


def rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow's as RGB in sRGB: transparency over white, deep greys scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image).convert("RGB")
    if not image.has_transparency_data:
        return _srgb(image)
    colours = image.convert("RGBA")
    alpha = colours.getchannel("A")
    opaque = colours.convert("RGB")
    opaque.info = {key: image.info[key] for key in ("icc_profile",) if key in image.info}
    white = Image.new("RGB", image.size, "white")
    white.paste(_srgb(opaque), mask=alpha)
    return white


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep greys as mode L: 16-bit ones by their range, other numbers by 1, 255 or, failing these, their own range."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I"):
        low, high = (0.0, 65535.0) if low >= 0 and high <= 65535 else (low, high)
    elif low >= 0:
        low, high = 0.0, next((top for top in (1.0, 255.0, 65535.0) if high <= top), high)
    return Image.fromarray(np.rint((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8))


def _srgb(image: Image.Image) -> Image.Image:
    """An opaque picture as RGB in sRGB, by its colour profile if it has one that works."""
    profile = image.info.get("icc_profile")
    if image.mode in {"P", "1"}:
        image = image.convert("RGB")
    with contextlib.suppress(Exception):  # a broken profile is worth no failure
        if image.mode == "LAB":
            given = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
            return _converted(image, given)
        if profile:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(given).lower():
                return _converted(image, given)
    return image.convert("RGB")


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return converted


def picture_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files among ``paths`` as they are, and for a folder the pictures in it, by name; each once.

    Raises:
        ImageError: a path does not exist, or a folder has no picture in it.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.exists():
                raise ImageError(f"There is no file {shown(path)}.")
            found[path] = None
            continue
        inside = [file for file in sorted(path.iterdir()) if file.suffix.lower() in OPENED and file.is_file()]
        inside = [file for file in inside if not file.name.startswith(".")]
        if not inside:
            raise ImageError(f"There is no picture in the folder {shown(path)}.")
        found.update(dict.fromkeys(inside))
    return list(found)
