"""What there is to see of a result, as HTML: under it on the page, where no script can run, or a page of its own."""

from __future__ import annotations

import base64
import functools
import html
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps._app import Action
from apps._gallery import facts
from creative.settings import describe

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.provenance import Provenance

FOLDER = Path(__file__).parent
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; font-src data:"
"""What a browser may load and run for such a page: nothing but what is written in it, and no script at all."""


def show(action: Action, result: Any, *, complete: bool = True) -> str:
    """The fragment that an action makes of a result; empty where there is none.

    Args:
        result: the engine's, or the last preview of a job that was stopped, if that has what a result has.
    """
    from PIL import Image

    bare = result is None or isinstance(result, str | Image.Image)
    return action.show(result) if action.show is not None and (complete or not bare) else ""


def page(action: Action, result: Image | str, made: Provenance, shown: str) -> str:
    """A whole page: what a job made and how."""
    if isinstance(result, str):
        own = f"<pre class='text'>{html.escape(result)}</pre>"
        own = f"<details><summary>The text alone</summary>{own}</details>" if shown else own
        parts = [shown, own]
    else:
        parts = [f'<img class="picture" src="{_data(result)}" alt="{html.escape(action.title)}">', shown]
    defaults = {entry.name: entry.default for entry in describe(action.settings)}
    body = "".join(f"<section>{part}</section>" for part in parts if part)
    head = f"<h1>{html.escape(action.title)}</h1><p>{html.escape(action.summary)}</p>"
    how = f"<h2>How it was made</h2>{facts(made, defaults)}"
    return document(f"<header>{head}</header><main>{body}</main><footer>{how}</footer>", action.title)


def frame(shown: str) -> str:
    """A fragment in a frame of its own, for a page that has scripts: its own cannot run there.

    ``_page.js`` gives the frame its height and its colours; that is what it may look at the inside for.
    """
    return frame_of(document(f"<main>{shown}</main>", "", frame=True)) if shown else ""


def frame_of(page: str) -> str:
    """A whole document in such a frame."""
    sandbox = "allow-same-origin allow-downloads"
    return f'<iframe class="shown" sandbox="{sandbox}" title="The result" srcdoc="{html.escape(page)}"></iframe>'


def document(body: str, title: str, *, frame: bool = False) -> str:
    """A whole HTML document in the suite's look, light or dark as the reader has it."""
    kind = ' class="frame"' if frame else ""
    return (
        f'<!doctype html><html lang="en"{kind}><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_style()}</style><body>{body}</body></html>\n"
    )


@functools.cache
def _style() -> str:
    """The sheet for results, with the colours of the studio's."""
    light, dark = re.findall(r"\{(.*?)\}", (FOLDER / "_page.css").read_text(encoding="utf-8"), re.S)[:2]
    colours = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root:not(.light){{{dark}}}}}:root.dark{{{dark}}}"
    return re.sub(r"\s+", " ", colours + (FOLDER / "_show.css").read_text(encoding="utf-8"))


def _data(picture: Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
