"""What the Write page shows of its results: copied passages underlined, surprise as heat, neurons as colours."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from apps._html import STYLE, heat, heat_table, scale, sign, table

if TYPE_CHECKING:
    from creative.engines.char_rnn.copying import Copied
    from creative.engines.char_rnn.neurons import Inside, View
    from creative.engines.char_rnn.scoring import Guess, Score
    from creative.engines.char_rnn.writing import Variant, Written

MOST_BITS = 10.0
"""The surprise that has the strongest colour."""
_IN_THE_GRID = 160  # characters whose guesses are shown without pointing at them


def show_written(written: Written) -> str:
    """The texts with what they copy underlined; tunes drawn and to be played."""
    from apps._tunes_html import show_tunes

    parts = [STYLE]
    for number, one in enumerate(written.variants, 1):
        title = f"<h3>Text {number}</h3>" if len(written.variants) > 1 else ""
        tunes = show_tunes(one.text)
        parts.append(f"{title}{tunes}{_copies(one) if one.copied is not None else ''}")
    return "".join(parts) if len("".join(parts)) > len(STYLE) else ""


def _copies(one: Variant) -> str:
    assert one.copied is not None
    said = f"<p>{html.escape(told(one.copied, one.continuation))}</p>"
    if one.copied.longest is None:
        return said
    prompt = f'<span class="given">{html.escape(one.prompt)}</span>'
    body = heat(one.continuation, [0] * len(one.continuation), underlined=_spans(one.copied))
    body = body.replace('<div class="heat">', f'<div class="heat">{prompt}', 1)
    return f"{said}<details open><summary>Copied passages, underlined</summary>{body}</details>"


def told(copied: Copied, text: str) -> str:
    """A sentence on what is copied."""
    from creative.engines.char_rnn.scoring import told_copied

    return told_copied(copied, text)


def _spans(copied: Copied | None) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in copied.passages] if copied is not None else []


def show_score(score: Score) -> str:
    """The heat map of surprise, the guesses under each character, and what is copied."""
    names = {
        "bits per character": f"{score.bits_per_character:.3f}",
        "perplexity": f"{score.perplexity:.2f}",
        "first guess right": f"{score.first_guesses:.0%}",
        "characters": f"{len(score.read):,}",
    }
    titles = [
        f"{sign(letter)}  {bits:.1f} bits"
        + (f", guess {rank + 1}" if rank else ", the first guess")
        + _guessed(guesses)
        for letter, bits, rank, guesses in zip(score.read, score.bits, score.ranks, score.guesses, strict=True)
    ]
    copied = score.copied
    underlined = f"<p>{html.escape(told(copied, score.read))}{_underlined(copied)}</p>" if copied else ""
    grid = _grid(score.read, score.guesses, [bits / MOST_BITS for bits in score.bits])
    return (
        f"{STYLE}{table(list(names), [list(names.values())])}{underlined}"
        f"{scale('expected', f'{MOST_BITS:.0f} bits of surprise or more')}"
        f"{heat(score.read, [bits / MOST_BITS for bits in score.bits], titles=titles, underlined=_spans(copied))}"
        f"{grid}"
    )


def _underlined(copied: Copied) -> str:
    return " It is underlined." if len(copied.passages) == 1 else " All are underlined." if copied.passages else ""


def _guessed(guesses: Sequence[Guess]) -> str:
    return "".join(f"\n{sign(guess.character)}  {guess.chance:.1%}" for guess in guesses)


def _grid(text: str, guesses: Sequence[Sequence[Guess]], values: Sequence[float]) -> str:
    """The first characters with their guesses below, likeliest on top, the likelier the warmer."""
    shown = text[:_IN_THE_GRID]
    count = min(map(len, guesses), default=0)
    if not count:
        return ""
    rows = [[(sign(letter), value) for letter, value in zip(shown, values, strict=False)]]
    rows += [[(sign(one[rank].character), one[rank].chance) for one in guesses[: len(shown)]] for rank in range(count)]
    told = f"Each of the first {len(shown)} characters, and below it what the voice expected there"
    return f"<details><summary>{told}</summary>{heat_table(rows)}</details>"


def show_inside(inside: Inside) -> str:
    """The neurons that follow a feature, each with a part of the text in its colours."""
    parts = [STYLE]
    if inside.followers:
        parts.append(
            f"<p>Of {inside.neurons:,} neurons, those that follow a feature best. Each was found on the first half of "
            f"{inside.characters:,} characters; the correlation is that on the second half.</p>"
        )
        rows = [(one.feature, one.neuron, f"{one.correlation:+.2f}", f"{one.found:+.2f}") for one in inside.followers]
        parts.append(table(["feature", "neuron", "correlation", "where it was found"], rows))
    parts.append(scale("-1", "+1 after this character", two_sided=True))
    return "".join([*parts, *map(_view, inside.views)])


def _view(view: View) -> str:
    titles = [
        f"{sign(letter)}  {value:+.2f}{_guessed(guesses)}"
        for letter, value, guesses in zip(view.part, view.values, view.guesses, strict=True)
    ]
    said = f"<h3>{html.escape(view.title[:1].upper() + view.title[1:])}</h3>"
    return said + heat(view.part, view.values.tolist(), titles=titles, two_sided=True)
