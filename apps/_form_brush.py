"""A box that is painted in: over another field's picture, or on a blank canvas.

Gradio's own editor draws nothing where it is put out of sight at first, and its colours run into one another; this one
is a canvas of the browser's, and hands its painting over as text.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from apps._brush import MASK, PALETTE, SIDE
from apps._form_gradio import gr
from creative.settings import Description

BLANK = (768, 512)
"""Size of a canvas with no picture below it."""
SCRIPT = (Path(__file__).parent / "_brush.js").read_text(encoding="utf-8")

CHANGED = "(file, text) => { dispatchEvent(new Event('painted')); return text ? null : file; }"
"""A painting takes the place of a file, and the canvas shows one that came from elsewhere."""


def palette_of(field: Description) -> dict[str, tuple[int, int, int]]:
    """The colours that it is painted with."""
    return MASK if field.file == "mask" else PALETTE


def build_brush(field: Description) -> tuple[Any, Any]:
    """The components: a place for a file, and the painting as text. The one that was used last counts.

    Args:
        field: a picture or a mask with the widget ``brush``.
    """
    with gr.Column(elem_classes="brush"):
        told = f"<p><b>{html.escape(_title(field))}</b> {html.escape(field.description)}</p>"
        gr.HTML(told + _easel(field), js_on_load=SCRIPT, label=field.title, padding=False)
        painted = gr.Textbox(label=f"{field.title}, painted", visible="hidden", elem_classes="painted")
        with gr.Accordion("or a file of it", open=False, elem_classes="several-files"):
            given = gr.Image(
                label=_title(field), type="filepath", sources=["upload", "clipboard"], height=130, buttons=[],
                placeholder="Drop, paste or click", elem_classes=["picture", "own", field.file or ""],
            )  # fmt: skip
    quiet: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    given.upload(None, None, painted, js="() => ''", **quiet)
    painted.change(None, [given, painted], given, js=CHANGED, **quiet)
    return given, painted


def _title(field: Description) -> str:
    return field.title if field.required else f"{field.title}, if any"


def _easel(field: Description) -> str:
    """The canvas with its tools, which the script makes work."""
    palette = palette_of(field)
    single = len(palette) == 1
    dots = "".join(
        f'<button data-colour="{red},{green},{blue}" style="--dot:rgb({red} {green} {blue})" '
        f'title="{"Brush" if single else name}" aria-label="{"Brush" if single else name}"></button>'
        for name, (red, green, blue) in palette.items()
    )
    tools = "".join(
        f'<button data-tool="{tool}" title="{title}">{said}</button>'
        for tool, said, title in (
            ("fill", "Fill", "Fill what is closed in"), ("erase", "Erase", "Rub out"),
            ("undo", "Undo", "Take the last stroke back"), ("clear", "Clear", "Start anew"),
        )
    )  # fmt: skip
    over = f' data-over="{field.over}"' if field.over else ""
    below = "painting of your own" if field.over == "style" else (field.over or "").replace("_", " ")
    lack = f"Give a {html.escape(below)} first, and paint over it here" if field.over else ""
    return (
        f'<div class="easel{" single" if single else ""}"{over} data-side="{SIDE}" data-blank="{BLANK[0]}x{BLANK[1]}">'
        f'<div class="canvas"><img alt=""><canvas aria-label="{html.escape(field.title)}"></canvas><i></i>'
        f'<p>{lack}</p></div><div class="tools"><div class="dots">{dots}</div>'
        f'<label>Size <input type="range" min="1" max="30" value="7" aria-label="Size of the brush"></label>'
        f'<div class="marks">{tools}</div></div></div>'
    )
