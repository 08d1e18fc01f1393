"""Result pictures as HTML: to compare with what went in, to click. No gradio here."""

from __future__ import annotations

import html
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from apps._app import Area


def pair(before: str, after: str, result: Path) -> str:
    """Two pictures of one size, the first over the second up to a handle that can be drawn, as HTML.

    Gradio's own slider keeps a wrong size where it comes into view later; this one needs no script but a line.
    """
    with Image.open(result) as image:
        shape = _shape(image)
    return (
        f'<figure class="pair" {shape}>'
        f'<img src="{_address(after)}" alt="After"><img class="before" src="{_address(before)}" alt="Before"><i></i>'
        '<input type="range" min="0" max="100" value="0" step="0.1" aria-label="How much of the picture before">'
        "</figure>"
    )


def with_areas(path: str, areas: Sequence[Area]) -> str:
    """A picture whose parts can be clicked, as HTML: a button over each, known by its number."""
    with Image.open(path) as image:
        shape, (width, height) = _shape(image), image.size
    buttons = []
    for number, area in enumerate(areas):
        left, top, right, bottom = area.box
        place = f"left:{left / width:.3%};top:{top / height:.3%}"
        place += f";width:{(right - left) / width:.3%};height:{(bottom - top) / height:.3%}"
        title = html.escape(area.title)
        buttons.append(f'<button data-area="{number}" style="{place}" title="{title}" aria-label="{title}"></button>')
    return f'<figure class="areas" {shape}><img src="{_address(path)}" alt="">{"".join(buttons)}</figure>'


def _shape(image: Image.Image) -> str:
    width, height = image.size
    return f'style="--shape:{width}/{height};--ratio:{width / height:.4f}"'


def _address(path: str) -> str:
    return f"gradio_api/file={urllib.parse.quote(path)}"
