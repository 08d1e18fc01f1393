"""What the Translate page shows under its results: a small copy of the picture there and back."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.engines.cyclegan.translating import RoundTrip

_STYLE = (
    "<style>"
    ".cycle{display:grid;grid-template-columns:1fr 22px 1fr 22px 1fr;align-items:center;gap:4px;margin:0 0 8px}"
    ".cycle img{display:block;width:100%;height:auto;border-radius:10px}"
    ".cycle figure{margin:0;overflow:visible}"
    ".cycle figcaption{text-align:center}"
    ".cycle i{font:20px/1 system-ui,sans-serif;color:var(--soft);text-align:center;padding-bottom:24px}"
    "</style>"
)


def show_round_trip(trip: RoundTrip | None) -> str:
    """Three pictures in a row: as it was, translated, and translated back."""
    if trip is None:
        return ""
    here, there = trip.domains
    captions = (here, there, f"{here} again")
    figures = [_figure(picture, caption) for picture, caption in zip(trip.pictures, captions, strict=True)]
    told = f"A small copy went there and back; each pixel came home {trip.away:.1f} of 255 levels away on average."
    row = '<i aria-hidden="true">→</i>'.join(figures)
    return f'<h2>There and back</h2><div class="cycle">{row}</div><p class="soft">{told}</p>{_STYLE}'


def _figure(picture: Image, caption: str) -> str:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=88)
    data = base64.b64encode(file.getvalue()).decode()
    told = html.escape(caption.replace("_", " ").capitalize())
    size = f'width="{picture.width}" height="{picture.height}"'  # so that there is room before it is decoded
    image = f'<img src="data:image/jpeg;base64,{data}" {size} alt="{told}">'
    return f"<figure>{image}<figcaption>{told}</figcaption></figure>"
