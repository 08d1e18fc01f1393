"""What the Compare page shows under its sheet: any two pictures over one another, and the figures as a table."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.engines.compare import Comparison, Painted

STOPS = 50
"""Places of the handle between two pictures."""
JUDGES = {"bundled": "bundled network", "squeezenet1_0": "SqueezeNet"}


def show_comparison(comparison: Comparison) -> str:
    """A slider between any two pictures, and what each way took."""
    pictures = [("Photo", comparison.photo), *((one.title, one.picture) for one in comparison.results)]
    slider = _slider(pictures) if len(pictures) > 1 else ""
    return slider + _table(comparison)


def _slider(pictures: list[tuple[str, Image]]) -> str:
    """The first picture over the second up to a handle, which follows the pointer and stays where it was clicked.

    Every choice is a radio button: which picture is on the left, which on the right, and where the handle is.
    """
    size = pictures[0][1].size
    rules = [f".two{{--shape:{size[0]}/{size[1]}}}"]
    for number, (title, picture) in enumerate(pictures):
        rules.append(f".two{{--p{number}:url({_data(picture, size)})}}")
        told = title.replace("\\", "").replace('"', "")
        for side in "lr":
            chosen = f"#{side}{number}:checked~"
            layer = {"l": "left", "r": "right"}[side]
            rules.append(f"{chosen}.view .{layer}{{background-image:var(--p{number})}}")
            rules.append(f"{chosen}.view .{side}::after{{content:{_quoted(told)}}}")
            rules.append(
                f"{chosen}.pick label[for={side}{number}]{{background:var(--accent-wash);border-color:var(--accent)}}"
            )
            rules.append(
                f"#{side}{number}:focus-visible~.pick label[for={side}{number}]{{outline:2px solid var(--accent)}}"
            )
    for stop in range(STOPS + 1):
        at = f"{{--at:{100 * stop / STOPS:g}%}}"
        rules.append(f"#at{stop}:checked~.view{at}")
        rules.append(f".view label:nth-child({stop + 1}):hover~*{at}")
    rules.append(".two>input[name=at]:focus-visible~.view{outline:3px solid var(--accent);outline-offset:2px}")
    radios = [_radio("l", number, f"left: {title}", number == 0) for number, (title, _) in enumerate(pictures)]
    radios += [_radio("r", number, f"right: {title}", number == 1) for number, (title, _) in enumerate(pictures)]
    radios += [
        _radio("at", stop, f"handle at {100 * stop / STOPS:g} %", stop == STOPS // 2) for stop in range(STOPS + 1)
    ]
    strips = "".join(f'<label for="at{stop}"></label>' for stop in range(STOPS + 1))
    view = f'{strips}<div class="right"></div><div class="left"></div><b></b><u class="l"></u><u class="r"></u>'
    picks = [_pick(side, word, [title for title, _ in pictures]) for side, word in (("l", "Left"), ("r", "Right"))]
    style = Path(__file__).with_name("_compare.css").read_text(encoding="utf-8")
    return (
        f"<h2>Any two of them</h2><style>{style}{''.join(rules)}</style>"
        f'<div class="two">{"".join(radios)}{"".join(picks)}<div class="view">{view}</div></div>'
    )


def _radio(name: str, number: int, told: str, checked: bool) -> str:
    mark = " checked" if checked else ""
    return f'<input type="radio" name="{name}" id="{name}{number}" aria-label="{html.escape(told)}"{mark}>'


def _pick(side: str, word: str, titles: list[str]) -> str:
    labels = (f'<label for="{side}{number}">{html.escape(title)}</label>' for number, title in enumerate(titles))
    return f'<div class="pick"><span>{word}</span>{"".join(labels)}</div>'


def _quoted(text: str) -> str:
    """As a string of a style sheet, none of whose characters can end it or the sheet."""
    return '"' + "".join(c if c.isalnum() or c == " " else f"\\{ord(c):x} " for c in text) + '"'


def _data(picture: Image, size: tuple[int, int]) -> str:
    from creative.images import resize

    file = io.BytesIO()
    shown = picture if picture.size == size else resize(picture, size)
    shown.convert("RGB").save(file, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _table(comparison: Comparison) -> str:
    names = ["Way", "Paints like", "Seconds", "Memory, MB"]
    for judge in comparison.judges:
        of = f", {JUDGES.get(judge, judge)}" if len(comparison.judges) > 1 else ""
        names += [*([f"Style{of}"] if comparison.has_style else []), f"Content{of}"]
    rows = [_row(one, comparison.has_style) for one in comparison.results]
    top = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    told = [*comparison.figures_told, *comparison.missing]
    notes = "".join(f'<p class="soft">{html.escape(note)}</p>' for note in told)
    table = f'<table class="figures"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>' if rows else ""
    head = "<h2>What each took, and how near it came</h2>" if rows else ""
    return f"{head}{table}{notes}"


def _row(one: Painted, has_style: bool) -> list[str]:
    memory = "-" if one.memory_mb is None else f"{one.memory_mb:,.0f}"
    cells = [one.title, one.manner, f"{one.seconds:.1f}", memory]
    for seen in one.distances:
        cells += ["-" if seen.style is None else f"{seen.style:.3f}"] if has_style else []
        cells.append(f"{seen.content:.3f}")
    return cells
