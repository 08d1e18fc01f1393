"""What was painted on a page as the picture that an action is given. No gradio here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

PALETTE = {
    "Red": (220, 60, 50),
    "Orange": (240, 150, 40),
    "Yellow": (245, 220, 70),
    "Green": (60, 160, 75),
    "Cyan": (80, 200, 215),
    "Blue": (45, 90, 195),
    "Violet": (150, 80, 190),
    "White": (255, 255, 255),
}
"""The colours of a map, the same in every box; what is not painted is black."""
MASK = {"White": (255, 255, 255)}
"""The one of a mask."""
SIDE = 1024
"""Longest side of the canvas on a page, pixels."""
MAX_SIDE = 16384
MAX_BYTES = 8 * 2**20
_PAINTED = re.compile(r"data:image/png;base64,(?P<data>[A-Za-z0-9+/=]+)(?:#(?P<width>\d+)x(?P<height>\d+))?")


def save_painting(text: str | None, folder: Path, name: str, palette: dict[str, tuple[int, int, int]]) -> Path | None:
    """The picture of what was painted, in flat colours on black; None where nothing was.

    The file is named after its content, so that it stays beside the results that were made with it.

    Args:
        text: a PNG as a data URL, what is not painted being transparent; with ``#WIDTHxHEIGHT`` after it, the size of
            the picture below it, which the result gets.
        folder: where it is saved.
        name: what its name begins with.
        palette: each pixel gets the nearest of these colours.

    Raises:
        ValueError: it is no such text.
    """
    if not text:
        return None
    layer, size = _layer(text)
    painted = np.asarray(layer)
    covered = painted[..., 3] >= 128
    if not covered.any():
        return None
    colours = np.array(list(palette.values()), np.int32)
    away = np.stack([np.square(painted[..., :3].astype(np.int32) - colour).sum(-1) for colour in colours])
    pixels = np.where(covered[..., None], colours[away.argmin(0)], 0).astype(np.uint8)
    flat = Image.fromarray(pixels)
    if size is not None and size != flat.size:
        flat = flat.resize(size, Image.Resampling.NEAREST)
    file = io.BytesIO()
    flat.save(file, "PNG")
    path = folder / f"{name}-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.png"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())
    return path


def is_painting(path: Path, palette: dict[str, tuple[int, int, int]]) -> bool:
    """Whether a picture is one that could have been painted: small enough, and in flat colours on black."""
    from creative.images import ImageError, open_image

    try:
        picture = open_image(path)
    except ImageError:
        return False
    if max(picture.size) > SIDE:
        return False
    found = picture.getcolors(len(palette) + 1) or [(0, (1, 1, 1))]
    return {colour for _, colour in found} <= {(0, 0, 0), *palette.values()}


def painting_of(path: Path) -> str:
    """A saved painting as the text it was made of, for the canvas to show it again."""
    with Image.open(path) as image:
        flat = image.convert("RGB")
    size = flat.size
    flat.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
    pixels = np.asarray(flat)
    alpha = np.where(pixels.any(-1), 255, 0).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.dstack([pixels, alpha])).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}#{size[0]}x{size[1]}"


def _layer(text: str) -> tuple[Image.Image, tuple[int, int] | None]:
    found = _PAINTED.fullmatch(text) if len(text) <= MAX_BYTES else None
    problem = ValueError("What was painted did not arrive whole; clear it and paint it again.")
    if found is None:
        raise problem
    try:
        with Image.open(io.BytesIO(base64.b64decode(found["data"], validate=True)), formats=["PNG"]) as image:
            if max(image.size) > 2 * SIDE:
                raise problem
            layer = image.convert("RGBA")
    except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise problem from None
    if found["width"] is None:
        return layer, None
    width, height = int(found["width"]), int(found["height"])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or abs(width * layer.height - height * layer.width) > max(
        width, height, 2 * layer.width, 2 * layer.height
    ):
        raise problem
    return layer, (width, height)
