"""Pieces of HTML that several apps need: text coloured by a number per character, tables with coloured cells.

All of it is escaped, runs no script and brings its own style; the colours are those of the page around it, light or
dark.

    heat("hello", [0, 0.2, 1, 0.1, 0], titles=["", "2 bits", ...])       # pale to warm
    heat("hello", [-1, 0.5, 1, 0, 0], two_sided=True)                     # cool to warm
"""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from itertools import groupby

STYLE = (
    "<style>"
    ".heat{background:var(--sheet);border:1px solid var(--rule);border-radius:14px;padding:14px 18px;"
    "font:15px/1.9 ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre-wrap;"
    "overflow-wrap:anywhere;tab-size:4;margin:0 0 14px;color:var(--ink)}"
    ".heat b{font-weight:inherit;border-radius:1px;padding:3px 0;cursor:default}"
    ".heat b[title]:hover{outline:2px solid var(--accent)}"
    ".heat u{text-decoration:underline 2px var(--accent);text-underline-offset:5px}"
    ".heat .given{color:var(--soft)}"
    + "".join(
        f".w{n}{{background:color-mix(in srgb,#e2742f {n * 8}%,transparent)}}"
        f".c{n}{{background:color-mix(in srgb,#3d7fc4 {n * 8}%,transparent)}}"
        for n in range(1, 9)
    )
    + ".scale{display:flex;gap:10px;align-items:center;font-size:13px;color:var(--soft);margin:0 0 10px}"
    ".scale i{display:inline-block;width:150px;height:11px;border-radius:6px}"
    ".scale i.one{background:linear-gradient(90deg,transparent,color-mix(in srgb,#e2742f 64%,transparent));"
    "box-shadow:inset 0 0 0 1px var(--rule)}"
    ".scale i.two{background:linear-gradient(90deg,color-mix(in srgb,#3d7fc4 64%,transparent),transparent,"
    "color-mix(in srgb,#e2742f 64%,transparent));box-shadow:inset 0 0 0 1px var(--rule)}"
    ".guesses{overflow-x:auto;margin:0 0 14px}"
    ".guesses table{font:13px/1.3 ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;margin:0 0 10px}"
    ".guesses td{padding:2px 0;width:1.5em;min-width:1.5em;text-align:center;border:0}"
    ".guesses tr:first-child td{font-weight:650;border-bottom:2px solid var(--rule)}"
    "</style>"
)
"""What the pieces look like; once on each page, before them."""
_LEVELS = 8
_SIGNS = {"\n": "⏎", "\t": "⇥", " ": "·"}


def heat(
    text: str,
    values: Sequence[float],
    *,
    titles: Sequence[str] | None = None,
    two_sided: bool = False,
    underlined: Collection[tuple[int, int]] = (),
) -> str:
    """A text with a colour behind each character.

    Args:
        text: of N characters.
        values: N numbers from 0, no colour, to 1; two-sided from -1, cool, to 1, warm. Beyond is as at the end.
        titles: what is told of each character when it is pointed at.
        underlined: parts of the text, each from a character up to before another.

    Raises:
        ValueError: texts and numbers are not equally many.
    """
    if len(values) != len(text) or (titles is not None and len(titles) != len(text)):
        raise ValueError(f"There are {len(text)} characters, {len(values)} values.")
    low = -1.0 if two_sided else 0.0
    levels = [round(min(1.0, max(low, value)) * _LEVELS) if value == value else 0 for value in values]
    marked = bytearray(len(text))
    for start, end in underlined:
        marked[start:end] = b"\1" * (end - start)
    parts = []
    for mark, run in groupby(range(len(text)), key=marked.__getitem__):
        inside = "".join(_pieces(text, levels, titles, list(run)))
        parts.append(f"<u>{inside}</u>" if mark else inside)
    return f'<div class="heat">{"".join(parts)}</div>'


def _pieces(text: str, levels: Sequence[int], titles: Sequence[str] | None, places: Sequence[int]) -> list[str]:
    if titles is not None:
        return [_piece(text[place], levels[place], titles[place]) for place in places]
    return [
        _piece("".join(text[place] for place in run), level, "")
        for level, run in ((level, list(run)) for level, run in groupby(places, key=levels.__getitem__))
    ]


def _piece(text: str, level: int, title: str) -> str:
    told = f' title="{html.escape(title)}"' if title else ""
    colour = f" class={'w' if level > 0 else 'c'}{abs(level)}" if level else ""
    shown = visible(text)
    return f"<b{colour}{told}>{shown}</b>" if colour or told else shown


def visible(text: str) -> str:
    """A text as HTML in which line ends can be seen, and pointed at; other control characters become U+FFFD."""
    clean = "".join(c if c.isprintable() or c in "\n\t " else "\ufffd" for c in text)
    return html.escape(clean).replace("\n", '<span class="given">⏎</span>\n')


def sign(character: str) -> str:
    """One character to be shown alone: white space as a sign, what cannot be seen as its code point."""
    return _SIGNS.get(character) or (character if character.isprintable() else f"U+{ord(character[:1]):04X}")


def scale(low: str, high: str, *, two_sided: bool = False) -> str:
    """What the colours mean."""
    kind = "two" if two_sided else "one"
    return f'<p class="scale">{html.escape(low)} <i class="{kind}"></i> {html.escape(high)}</p>'


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A plain table."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def heat_table(rows: Sequence[Sequence[tuple[str, float]]], *, width: int = 40) -> str:
    """Rows of cells with a text and a number from 0 to 1 each; after ``width`` columns it goes on below.

    Karpathy's (2015) picture of what a network expects: the text above, and under each character the guesses.
    """
    columns = max((len(row) for row in rows), default=0)
    parts = []
    for start in range(0, columns, width):
        lines = []
        for row in rows:
            cells = row[start : start + width]
            lines.append(f"<tr>{''.join(_cell(text, value) for text, value in cells)}</tr>")
        parts.append(f"<table>{''.join(lines)}</table>")
    return f'<div class="guesses">{"".join(parts)}</div>'


def _cell(text: str, value: float) -> str:
    level = round(min(1.0, max(0.0, value)) * _LEVELS)
    return f"<td{f' class=w{level}' if level else ''}>{html.escape(text)}</td>"
