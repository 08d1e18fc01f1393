"""Tunes as a page shows them: their notes, and a player with their sound inside it."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from creative.engines.char_rnn.tunes import Tune

MOST = 3
"""Tunes of one text that are drawn; each brings about three megabytes of sound."""

STYLE = "<style>.tune svg .text{font-family:Georgia,'Times New Roman','Liberation Serif',serif}</style>"


def show_tunes(text: str) -> str:
    """The tunes of a text drawn and to be played, each in a figure; nothing where there are none."""
    from creative.engines.char_rnn.abc_notation import find_tunes

    tunes = find_tunes(text, MOST + 1)
    more = f"<p class='soft'>The first {MOST} tunes are drawn.</p>" if len(tunes) > MOST else ""
    return STYLE + "".join(map(_figure, tunes[:MOST])) + more if tunes else ""


def _figure(tune: Tune) -> str:
    from creative.engines.char_rnn.playing import play

    sound = base64.b64encode(play(tune)).decode()
    title = html.escape(tune.title or "A tune without a name")
    wrong = len(tune.wrong_bars())
    told = f"{len(tune.bars)} bars" + (f", {wrong} of them too long or too short" if wrong else "")
    return (
        f'<figure class="tune"><h3>{title}</h3>{_notes(tune)}'
        f'<audio controls preload="metadata" src="data:audio/wav;base64,{sound}" title="{title}"></audio>'
        f"<figcaption>{told}</figcaption></figure>"
    )


def _notes(tune: Tune) -> str:
    from creative.engines.char_rnn.engraving import EngravingError, engrave

    try:
        return engrave(tune)
    except EngravingError as error:
        return f"<p class='soft'>{html.escape(str(error))}</p>"
