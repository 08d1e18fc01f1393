"""The sheet of a comparison: pictures in rows, and under each what it is, what it took, and how far it is from what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from creative.engines.compare.judging import Distances

PAPER, EMPTY, INK, SOFT, RULE = (250, 249, 246), (238, 236, 230), (44, 42, 38), (118, 114, 106), (222, 219, 211)
STYLE, CONTENT = (196, 98, 45), (56, 116, 158)
LEAST = 232
"""Pixels that a column is wide at least, so that there is room for words."""
Font = ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class Cell:
    """One place on the sheet.

    Attributes:
        picture: None while there is none.
        title, manner: what it is, and what it was painted like.
        seconds, memory_mb: what it took, if it took any.
        distances: what judges say of it.
    """

    picture: Image.Image | None
    title: str
    manner: str = ""
    seconds: float | None = None
    memory_mb: float | None = None
    distances: tuple[Distances, ...] = ()

    @property
    def bare(self) -> bool:
        """Whether it was there before anything was painted."""
        return self.title in {"Photo", "Style"}


def draw_sheet(cells: Sequence[Cell], size: tuple[int, int], notes: Sequence[str] = ()) -> Image.Image:
    """All cells in rows on paper.

    Args:
        cells: in their order.
        size: (width, height) of a picture; others are shrunk to fit into it.
        notes: sentences for the foot of the sheet.
    """
    width, height = max(LEAST, size[0]), size[1]
    scale = max(1.0, min(width / 300, 2.5))
    look = Look(scale)
    columns = num_columns(len(cells))
    rows = -(-len(cells) // columns)
    gap, judged = look.px(20), max((len(cell.distances) for cell in cells), default=0) or 1
    plain = rows > 1 and all(cell.bare for cell in cells[:columns])  # the first row needs no room for figures
    tops = [gap, *(gap + row * (height + look.below(judged) + gap) for row in range(1, rows))]
    tops = [top - (look.below(judged) - look.below(0)) * (plain and row > 0) for row, top in enumerate(tops)]
    across = columns * (width + gap) + gap
    foot = [line for note in notes for line in _wrapped(note, look.small, across - 2 * gap)]
    down = tops[-1] + height + look.below(judged) + gap + (len(foot) * look.line + gap if foot else 0)
    sheet = Image.new("RGB", (across, down), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, cell in enumerate(cells):
        left, top = gap + place % columns * (width + gap), tops[place // columns]
        _draw_picture(sheet, pen, cell, (left, top), (width, height))
        _draw_words(pen, cell, (left, top + height + look.px(8)), width, look)
    for number, line in enumerate(foot):
        pen.text((gap, down - gap - (len(foot) - number) * look.line), line, SOFT, look.small)
    return sheet


class Look:
    """Fonts and distances at one scale: Pillow's own font, so that the sheet is the same everywhere."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.large, self.small = _font(self.px(17)), _font(self.px(13))
        self.line = self.px(19)

    def px(self, pixels: float) -> int:
        """Pixels of a sheet of the usual scale as pixels of this one."""
        return max(1, round(pixels * self.scale))

    def below(self, judges: int) -> int:
        """Height of the words under a picture, with figures by so many judges, or none."""
        return self.px(8 + 26) + (self.line * (1 + judges) if judges else 0)


def num_columns(cells: int) -> int:
    """In how many columns so many pictures stand."""
    return {1: 1, 2: 2, 4: 2}.get(cells, 3)


def _font(size: int) -> Font:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _draw_picture(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, cell: Cell, corner: tuple[int, int], room: tuple[int, int]
) -> None:
    (left, top), (width, height) = corner, room
    picture = cell.picture
    if picture is None or picture.size != room:
        pen.rectangle((left, top, left + width - 1, top + height - 1), EMPTY)
    if picture is None:
        return
    if picture.width > width or picture.height > height or (picture.width < width and picture.height < height):
        share = min(width / picture.width, height / picture.height)
        picture = picture.resize((max(1, round(picture.width * share)), max(1, round(picture.height * share))))
    sheet.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))


def _draw_words(pen: ImageDraw.ImageDraw, cell: Cell, corner: tuple[int, int], width: int, look: Look) -> None:
    left, top = corner
    done = cell.bare or cell.seconds is not None
    pen.text((left, top), cell.title, INK if done else SOFT, look.large)
    if cell.manner:
        start = left + round(look.large.getlength(cell.title)) + look.px(8)
        text = _shortened(cell.manner, look.small, left + width - start)
        base = top + look.large.getmetrics()[0]
        pen.text((start, base), text, SOFT, look.small, anchor="ls")
    if cell.seconds is None:
        return
    top += look.px(26)
    took = f"{cell.seconds:.1f} s" if cell.seconds < 100 else f"{cell.seconds / 60:.1f} min"
    pen.text((left, top), took, INK, look.small)
    if cell.memory_mb is not None:
        pen.text((left + width // 2, top), f"{cell.memory_mb:,.0f} MB", INK, look.small)
    for one in cell.distances:
        top += look.line
        _draw_distance(pen, "style", one.style, STYLE, (left, top), width // 2 - look.px(10), look)
        _draw_distance(pen, "content", one.content, CONTENT, (left + width // 2, top), width - width // 2, look)


def _draw_distance(
    pen: ImageDraw.ImageDraw,
    name: str,
    value: float | None,
    colour: tuple[int, int, int],
    corner: tuple[int, int],
    width: int,
    look: Look,
) -> None:
    """A name, a number, and a bar from 0 to 1 between them."""
    if value is None:
        return
    left, top = corner
    pen.text((left, top), name, SOFT, look.small)
    pen.text((left + width, top), f"{value:.2f}", INK, look.small, anchor="ra")
    start = left + round(look.small.getlength("content ")) + look.px(2)
    end = left + width - round(look.small.getlength("0.00 ")) - look.px(4)
    middle, half = top + look.px(8), max(1, look.px(2))
    if end - start < look.px(12):
        return
    pen.rounded_rectangle((start, middle - half, end, middle + half), half, RULE)
    if value > 0.01:
        reach = start + max(2 * half, round(min(1.0, value) * (end - start)))
        pen.rounded_rectangle((start, middle - half, reach, middle + half), half, colour)


def _shortened(text: str, font: Font, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..." if text else ""


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
