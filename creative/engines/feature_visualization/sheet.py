"""Many pictures on one sheet, each with a line below it that says what it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

PAPER, INK = (250, 249, 246), (60, 58, 54)


def sheet(
    pictures: Sequence[Image.Image],
    labels: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    places: int | None = None,
) -> Image.Image:
    """Pictures of one size in rows; a single one comes back as it is.

    Args:
        pictures: those that there are; more may follow in later places.
        labels: a line for each place, or None.
        columns: pictures in a row; None for about as many as there are rows.
        places: how many pictures there will be; None for as many as there are.
    """
    places = places or len(pictures)
    if places == 1:
        return pictures[0]
    columns = min(columns or math.ceil(math.sqrt(places)), places)
    rows = math.ceil(places / columns)
    width, height = pictures[0].size
    gap = max(4, width // 32)
    font = label_font(width)
    below = round(font.size * 1.7) if labels else 0
    whole = Image.new(
        "RGB", (columns * (width + gap) + gap, rows * (height + below + gap) + gap - (gap // 2 if labels else 0)), PAPER
    )
    pen = ImageDraw.Draw(whole)
    for place, picture in enumerate(pictures):
        left = gap + place % columns * (width + gap)
        top = gap + place // columns * (height + below + gap)
        whole.paste(picture, (left, top))
        if labels:
            text = shortened(labels[place], font, width)
            pen.text((left + width / 2, top + height + below / 2), text, INK, font, anchor="mm")
    return whole


def label_font(width: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font in a size that suits pictures of that width."""
    font = ImageFont.load_default(max(9, min(24, width // 14)))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or as much of it as is not wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
