"""What the Caption page shows: the picture, a sentence whose words light up where they come from, and what else it
could have said. No script: each word is a radio button, so that hovering, tapping and the arrow keys all work.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from apps._html import STYLE

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from creative.engines.captioning import Captions, Description, Guess, Sentence

KNOWS = {
    "aerial": "The model for aerial photos knows farmland, harbours, car parks, runways, houses, courts and so on, as "
    "satellites and drones see them. It has seen nothing else.",
    "scenes": "The model for scenes knows drawn shapes: their colours, sizes, counts and where they lie. It has never "
    "seen a photo.",
}
"""What each bundled captioner was trained on, said plainly."""
OWN = "A captioner of somebody's own: it knows what it was trained on, and nothing else."
PRETRAINED = (
    "A pretrained model for everyday photos. It says something of any picture, and cannot tell which it knows; what it"
    " was trained on its own card tells."
)
FULL = 8
"""Pictures that are shown with all there is to see; the others as small ones with their sentence."""
SMALL = 120
"""Pictures that are shown small; what is more is in the table that can be saved."""
_SURE = 0.25  # confidence of a guess that is worth something
_SIDE = 640  # pixels of a picture's longer side, shown large
_THUMB = 160
_FINE = 72  # pixels of a map's longer side
_LEVELS = 48  # of a map's colours
_DARK, _WARM = (14, 16, 20), (255, 138, 40)
_VEIL, _GLOW = 0.66, 0.16  # opacity where it did not look, and where it did

_STYLE = Path(__file__).with_name("_caption.css")


def show_captions(captions: Captions, verdicts: Mapping[str, Sequence[bool]] | None = None) -> str:
    """Pictures with their sentences; what no model knows with labels; what could not be read by name.

    Args:
        captions: what was found.
        verdicts: of drawn scenes, by name: for each sentence whether it is true.
    """
    verdicts = verdicts or {}
    found = captions.descriptions
    parts = [STYLE, f"<style>{_STYLE.read_text(encoding='utf-8')}</style>"]
    alone = len(found) == 1
    parts += [
        _described(one, number, verdicts.get(one.name, ()), opened=alone) for number, one in enumerate(found[:FULL])
    ]
    parts.append(_small(found[FULL:]))
    for model in dict.fromkeys(one.model for one in found):
        parts.append(f'<p class="knows">{html.escape(knows(model))}</p>')
    if captions.skipped:
        rows = "".join(f"<li>{html.escape(reason)}</li>" for _, reason in captions.skipped[:50])
        more = f"<li>and {len(captions.skipped) - 50:,} more</li>" if len(captions.skipped) > 50 else ""
        count = len(captions.skipped)
        told = f"{count:,} file{'s' if count > 1 else ''} could not be read"
        parts.append(f"<details open><summary>{told}</summary><ul>{rows}{more}</ul></details>")
    return "".join(parts)


def _described(found: Description, number: int, verdicts: Sequence[bool], *, opened: bool) -> str:
    width, height = found.picture.size
    shape = f"--shape:{width}/{height};--wide:{max(160, min(440, round(480 * width / height)))}px"
    alt = html.escape(found.best.text if found.best else found.name)
    parts = [f"<h3>{html.escape(found.name)}</h3>"]
    if not found.known:
        parts.append(_strange(found))
    if found.best is not None:
        parts.append(_sentence(found.best, number))
        parts.append(_told(found.best, hint=not number))
        if verdicts:
            parts.append(_verdict(verdicts[0]))
        parts.append(_others(found.sentences, verdicts, opened=opened))
    picture = f'<img src="{_jpeg(found.picture, _SIDE)}" alt="{alt}">'
    return f'<section class="cap" style="{shape}">{picture}<div>{"".join(parts)}</div></section>'


def knows(model: str) -> str:
    """What a model knows, in a sentence or two."""
    names = model.split(" or ")
    if all(name in KNOWS for name in names):
        return " ".join(KNOWS[name] for name in names)
    return OWN if model.endswith(".safetensors") else f"{model}: {PRETRAINED}"


def _sentence(best: Sentence, number: int) -> str:
    """The words, each a radio button whose map lies over the picture while it is chosen or pointed at."""
    maps = best.attention if best.attention is not None else [None] * len(best.words)
    labels = []
    for word, confidence, looked in zip(best.words, best.confidences, maps, strict=False):
        percent = f"{100 * confidence:.0f} %"
        place = f", looked at {where(looked)}" if looked is not None else ""
        told = html.escape(f"{word}: {percent} sure{place}")
        veil = f"<i style=\"background-image:url('{_veil(looked)}')\"></i>" if looked is not None else ""
        shade = f' style="--doubt:{1 - confidence:.2f}"'
        labels.append(
            f'<label title="{told}"><input type="radio" name="word{number}" aria-label="{told}">'
            f"<b{shade}>{html.escape(word)}<small>{percent}</small></b>{veil}</label>"
        )
    whole = f'<label class="whole"><input type="radio" name="word{number}" checked><b>whole picture</b></label>'
    legend = f"<legend>{html.escape(best.text)} Word by word:</legend>"
    return f'<fieldset class="say">{legend}{"".join(labels)}{whole if best.attention is not None else ""}</fieldset>'


def _told(best: Sentence, *, hint: bool) -> str:
    """How to read the words."""
    shades = "Shaded as it was sure <i></i> unsure of a word."
    if best.attention is None or not hint:
        return f'<p class="told">{shades}</p>'
    return f'<p class="told">Point at a word, or go along with the arrow keys, to see where it looked. {shades}</p>'


def _verdict(true: bool) -> str:
    if true:
        return '<span class="verdict yes">✓ True of this scene, says the checker</span>'
    return '<span class="verdict no">✗ Not true of this scene, says the checker</span>'


def _others(sentences: Sequence[Sentence], verdicts: Sequence[bool], *, opened: bool) -> str:
    """All that were found, with how sure it was of a word on the whole."""
    if len(sentences) < 2:
        return ""
    rows = []
    for place, one in enumerate(sentences):
        mark = ""
        if place < len(verdicts):
            mark = '<span class="yes">✓ true</span> ' if verdicts[place] else '<span class="no">✗ false</span> '
        share = f"{100 * one.confidence:.0f}"
        rows.append(
            f'<li title="score {one.score:.2f}">{html.escape(one.text)}<small>{mark}{share} %</small>'
            f'<span class="bar"><u style="width:{share}%"></u></span></li>'
        )
    told = "Sentences it weighed, with how sure it was of a word on the whole"
    head = f"<details{' open' if opened else ''}><summary>{told}</summary>"
    return f'{head}<ol class="best">{"".join(rows)}</ol></details>'


def _strange(found: Description) -> str:
    told = "Its sentence below is likely an invention." if found.best else "So it makes no sentence."
    guesses = _guesses(found.guesses) if found.guesses else ""
    sure = bool(found.guesses) and found.guesses[0].confidence >= _SURE
    head = f"What the feature network takes it for{'' if sure else ', far from sure'}:"
    return (
        f'<div class="strange"><b>Unlike anything this model was trained on</b><p>{told}</p></div>'
        f"{f'<p>{head}</p>' if guesses else ''}{guesses}"
    )


def _guesses(guesses: Sequence[Guess]) -> str:
    rows = []
    for guess in guesses:
        share = f"{100 * guess.confidence:.0f}"
        rows.append(
            f"<li>{html.escape(guess.label)}<small>{share} %</small>"
            f'<span class="bar"><u style="width:{share}%"></u></span></li>'
        )
    return f'<ol class="best">{"".join(rows)}</ol>'


def _small(found: Sequence[Description]) -> str:
    if not found:
        return ""
    cells = []
    for one in found[:SMALL]:
        picture = f'<img src="{_jpeg(one.picture, _THUMB)}" alt="">'
        cells.append(
            f"<figure>{picture}<figcaption>{html.escape(one.text)}<small>{html.escape(one.name)}</small></figcaption>"
            "</figure>"
        )
    rest = len(found) - SMALL
    more = f"<p class='soft'>And {rest:,} more, which the text and the table hold.</p>" if rest > 0 else ""
    return f'<div class="many">{"".join(cells)}</div>{more}'


# Maps ---------------------------------------------------------------------------------------------------------------


def where(looked: Tensor) -> str:
    """Where a map (h, w) lies, in words: the upper left, the middle, all over."""
    height, width = looked.shape
    if float(looked.max()) * height * width < 1.8:  # hardly more than if it looked everywhere alike
        return "all of it"
    total = float(looked.sum())
    row = float((looked.sum(1) * _places(looked, height)).sum()) / total
    column = float((looked.sum(0) * _places(looked, width)).sum()) / total
    tall = "upper" if row < 0.38 else "lower" if row > 0.62 else ""
    wide = "left" if column < 0.38 else "right" if column > 0.62 else ""
    if not tall and not wide:
        return "the middle"
    return f"the {tall} {wide}".replace("  ", " ").strip() if tall and wide else f"the {tall or wide} part"


def _places(like: Tensor, count: int) -> Tensor:
    """The middles of ``count`` equal parts of 0 to 1."""
    return (like.new_ones(count).cumsum(0) - 0.5) / count


def _veil(looked: Tensor) -> str:
    """A map (h, w) as a picture to lay over the one that was described: dark where it did not look, warm where it did.

    A palette of few colours with their opacity, so that a map is a kilobyte.
    """
    from PIL import Image

    height, width = looked.shape
    scale = _FINE / max(height, width)
    map_ = Image.fromarray((looked / looked.max().clamp_min(1e-12)).float().cpu().numpy(), "F")
    fine = map_.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC)
    levels = fine.point(lambda value: value * (_LEVELS - 1) + 0.5).convert("L")
    levels = levels.point(lambda value: min(value, _LEVELS - 1))
    veil = Image.frombytes("P", levels.size, levels.tobytes())
    shares = [level / (_LEVELS - 1) for level in range(_LEVELS)]
    veil.putpalette(
        [round(dark + (warm - dark) * share) for share in shares for dark, warm in zip(_DARK, _WARM, strict=True)]
    )
    opacity = bytes(round(255 * (_VEIL * (1 - share) + _GLOW * share)) for share in shares)
    file = io.BytesIO()
    veil.save(file, "PNG", transparency=opacity, optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _jpeg(picture: Image, side: int) -> str:
    """A picture as an address, its longer side shrunk."""
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    small.info.clear()
    file = io.BytesIO()
    small.save(file, "JPEG", quality=86)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
