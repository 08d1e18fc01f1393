"""Several pictures on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image


def sheet(pictures: Sequence[Image.Image], gap: int = 4) -> Image.Image:
    """Pictures of one size in rows, as near to a square as their number allows, on white; one picture as it is.

    Args:
        pictures: at least one.
        gap: pixels between them.
    """
    if len(pictures) == 1:
        return pictures[0].copy()
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    whole = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        whole.paste(picture, (column * (width + gap), row * (height + gap)))
    return whole
