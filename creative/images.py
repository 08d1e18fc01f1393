"""Pictures: opened safely whatever they are, cut into tiles, turned into tensors and back, saved whole.

    photo = open_image("photo.jpg")          # an upright RGB picture, or an ImageError in one sentence
    pixels = to_tensor(photo)                # (1, 3, H, W), float32 in [0, 1]
    save_image(to_image(pixels), "out.png")

A picture that was opened remembers in ``info["source"]`` which file it came from, and nothing else of that file's
metadata. A picture that carries ``info["provenance"]`` takes it along into the file that it is saved as.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.Image import Resampling, Transpose
from PIL.PngImagePlugin import PngInfo

from creative.files import check_writable, explain, plain_name, replacing, shown

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 89_000_000
"""Most pixels a picture may have unless the caller says otherwise: just below the point where Pillow itself warns."""
MAX_BYTES = 200_000_000
"""Most bytes a picture's file may have unless the caller says otherwise."""
MAX_NOTE = 1_000_000
"""Most bytes of provenance that are read from a file."""

SAVED_AS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The formats that results are saved in, by suffix."""
OPENED = {
    *SAVED_AS,
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
_ORIENTATION, _EXIF_FOLDER, _USER_COMMENT = 0x0112, 0x8769, 0x9286  # tags of the EXIF standard
_ASCII = b"ASCII\0\0\0"  # EXIF: the character code that a user comment begins with
_MAX_EXIF = 65_000  # a JPEG segment holds 65,533 bytes

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image


class ImageError(ValueError):
    """A picture cannot be opened, used or saved. The message is one sentence for a person."""


class Note(Protocol):
    """What can be written into a picture's file: a Provenance."""

    def to_json(self) -> str:
        """The note in ASCII."""


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
        raise ImageError(f"{label} is too large: a picture's file may have {max_bytes / 1e6:,.0f} MB at most.")
    return data, name


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
        return _rgb(_upright(image))
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
        raise ImageError(f"{label} is damaged or cut short and cannot be read ({_brief(error)}).") from error


def _check_size(image: Image.Image, label: str, max_pixels: int) -> None:
    if image.width < 1 or image.height < 1:
        raise ImageError(f"{label} has no pixels.")
    if image.width * image.height > max_pixels:
        raise ImageError(
            f"{label} has {image.width} × {image.height} pixels, which is too many: "
            f"{max_pixels / 1e6:,.0f} million are allowed."
        )


def _brief(error: Exception) -> str:
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


def _rgb(image: Image.Image) -> Image.Image:
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


def fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The (width, height) of the same shape whose longest side is ``longest``; each side at least 1."""
    if longest < 1 or min(size) < 1:
        raise ImageError(f"A size must be at least 1 pixel, but {size[0]} × {size[1]} is to be fitted into {longest}.")
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at another (width, height), resampled with Lanczos' filter, antialiased when it shrinks."""
    if min(size) < 1:
        raise ImageError(f"A picture must have at least 1 × 1 pixels, but {size[0]} × {size[1]} were asked for.")
    return image.resize(size, Resampling.LANCZOS) if image.size != size else image.copy()


def to_tensor(image: Image.Image, device: str | torch.device | None = None) -> torch.Tensor:
    """A picture as float32 in [0, 1]: (1, 3, H, W), or (1, 1, H, W) for mode L; any other mode is made RGB first."""
    import torch

    if image.mode not in {"RGB", "L"}:
        image = _rgb(image)
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    pixels = pixels[None, None] if image.mode == "L" else pixels.permute(2, 0, 1)[None]
    return pixels.to(device).float().div_(255)


def to_image(tensor: torch.Tensor) -> Image.Image:
    """(1, C, H, W) or (C, H, W) with C 3 or 1 as a picture: clamped to [0, 1] and rounded; NaN becomes black."""
    pixels = tensor.detach()
    pixels = pixels[0] if pixels.ndim == 4 and pixels.shape[0] == 1 else pixels
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or not pixels.numel():
        raise ImageError(f"A picture is a tensor of shape (1, 3, H, W) or (1, 1, H, W), not {tuple(tensor.shape)}.")
    levels = pixels.float().nan_to_num(0.0).clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    array = levels.contiguous().cpu().numpy()
    return Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0])


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a picture to be worked on by itself: a core, and an outer box, which is the core with its halo.

    All numbers are pixels of the whole picture. Cores cover the picture exactly once; outer boxes overlap.
    """

    top: int
    left: int
    height: int
    width: int
    outer_top: int
    outer_left: int
    outer_height: int
    outer_width: int

    @property
    def core(self) -> tuple[slice, slice]:
        """Rows and columns of the core in the whole picture."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def outer(self) -> tuple[slice, slice]:
        """Rows and columns of the outer box in the whole picture."""
        rows = slice(self.outer_top, self.outer_top + self.outer_height)
        return rows, slice(self.outer_left, self.outer_left + self.outer_width)

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the core within the outer box."""
        top, left = self.top - self.outer_top, self.left - self.outer_left
        return slice(top, top + self.height), slice(left, left + self.width)


def tiles(height: int, width: int, size: int, halo: int, multiple: int = 1) -> list[Tile]:
    """Cut a picture of height × width pixels into tiles, row by row.

    Args:
        size: the longest side of a core, pixels; rounded down to a multiple, and cores are made of nearly equal size.
        halo: pixels that the outer box has around the core, cut off at the picture's border.
        multiple: cores and outer boxes begin at multiples of this, and end at one or at the picture's border. With a
            network of that stride, the positions of its features in a tile are then those in the whole picture.
    """
    if min(height, width, size, multiple) < 1 or halo < 0:
        raise ImageError(f"Tiles of {size} pixels with a halo of {halo} cannot cover {width} × {height} pixels.")
    rows, columns = (_spans(length, size, halo, multiple) for length in (height, width))
    return [
        Tile(top, left, tall, wide, outer_top, outer_left, outer_tall, outer_wide)
        for top, tall, outer_top, outer_tall in rows
        for left, wide, outer_left, outer_wide in columns
    ]


def _spans(length: int, size: int, halo: int, multiple: int) -> list[tuple[int, int, int, int]]:
    """Core start and length, outer start and length, along one side."""
    longest = max(multiple, size // multiple * multiple)
    count = -(-length // longest)
    step = -(-length // (count * multiple)) * multiple
    spans = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        outer_start = max(0, start - halo) // multiple * multiple
        outer_stop = min(length, -(-(stop + halo) // multiple) * multiple)
        spans.append((start, stop - start, outer_start, outer_stop - outer_start))
    return spans


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
    bare = image.copy() if image.mode in kept else _rgb(image)
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
            f"{bare.width} × {bare.height} pixels cannot be saved as {format} ({_brief(error)})."
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
