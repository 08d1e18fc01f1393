"""What the Execute page shows: the answer digit by digit, how good the network is where, what its neurons hold."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from apps._html import STYLE, heat, heat_table, scale, table
from creative.data.programs.batches import END, GO

if TYPE_CHECKING:
    from creative.engines.learning_to_execute.evaluation import Table
    from creative.engines.learning_to_execute.executing import Executed, Reading

_IN_FULL = 4  # programs that are shown with all there is to see
_OWN = (
    "<style>"
    ".digits{display:flex;flex-wrap:wrap;gap:6px;margin:0 0 14px}"
    ".digits span{font:28px/1.2 ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;text-align:center;"
    "min-width:1.7em;padding:8px 4px 6px;border:1px solid var(--rule);border-radius:10px;background:var(--sheet)}"
    ".digits small{display:block;font:12px/1.4 system-ui,sans-serif;color:var(--soft)}"
    ".digits .off{color:#c0392b;text-decoration:underline wavy 1px;text-underline-offset:5px}"
    ".levels td,.levels th{padding:8px 12px;text-align:center;border:0;border-radius:8px}"
    ".levels td{font-size:15px}.levels small{display:block;color:var(--soft);font-size:11px}"
    ".levels .here{outline:3px solid var(--accent);outline-offset:-3px;font-weight:650}"
    "</style>"
)


def show_executed(executed: Executed) -> str:
    """Answers beside the truth, the accuracy that was measured with the program's place in it, and neurons."""
    parts = [STYLE, _OWN]
    right, done = executed.score
    if len(executed.readings) > 1:
        parts.append(f"<p><b>{right} of {done} right.</b></p>")
    parts += [_reading(reading) for reading in executed.readings[-_IN_FULL:]]
    if len(executed.readings) > _IN_FULL:
        parts.append(_listed(executed.readings[:-_IN_FULL]))
    if executed.accuracy:
        parts.append(_levels(executed.accuracy, executed.readings[-1]))
    return "".join(parts)


def _reading(reading: Reading) -> str:
    parts = [f"<pre>{html.escape(reading.program.text)}</pre>", _digits(reading)]
    if reading.complete:
        sure = f"{100 * reading.confidence:.0f} % sure"
        verdict = "right" if reading.right else "wrong"
        truth = f"It prints <b>{html.escape(reading.truth)}</b>: the network is {verdict}, and was {sure}."
        parts.append(f"<p>{truth}</p>")
        parts.append(_guesses(reading))
    for neuron in reading.neurons:
        title = f"<summary>Neuron {neuron.number} while the program is read</summary>"
        titles = [f"{value:+.2f}" for value in neuron.values]
        body = heat(neuron.text, list(neuron.values), titles=titles, two_sided=True)
        opened = " open" if neuron is reading.neurons[0] else ""
        parts.append(f"<details{opened}>{title}{scale('−1', '+1', two_sided=True)}{body}</details>")
    return "".join(parts)


def _digits(reading: Reading) -> str:
    """As a number is read; where the truth has another character at that place, it is marked."""
    shown = reading.shown
    truth = reading.truth[::-1] if reading.least_digit_first else reading.truth
    cells = []
    for place, digit in enumerate(shown):
        at = len(shown) - 1 - place if reading.least_digit_first else place  # the order it was written in
        off = at >= len(truth) or truth[at] != digit.character
        guesses = ", ".join(f"{character} {100 * chance:.0f} %" for character, chance in digit.guesses)
        mark = ' class="off"' if off and reading.complete else ""
        body = f"<b{mark}>{html.escape(digit.character)}</b><small>{100 * digit.probability:.0f} %</small>"
        cells.append(f'<span title="{html.escape(guesses)}">{body}</span>')
    more = "" if reading.complete else "<span>…<small>&nbsp;</small></span>"
    body = more + "".join(cells) if reading.least_digit_first else "".join(cells) + more
    return f'<div class="digits">{body}</div>'


def _guesses(reading: Reading) -> str:
    """The guesses under each digit, in the order of writing."""
    rows = []
    for rank in range(max(len(digit.guesses) for digit in reading.digits)):
        found = [digit.guesses[rank] for digit in reading.digits if rank < len(digit.guesses)]
        rows.append([(_name(character), chance) for character, chance in found])
    order = "from the last digit on" if reading.least_digit_first else "from the first digit on"
    told = f"Guesses for each digit as it was written, {order}; ■ is the end"
    return f"<details><summary>{told}</summary>{scale('0 %', '100 %')}{heat_table(rows)}</details>"


def _name(character: str) -> str:
    return {END: "■", GO: "?"}.get(character, character)


def _listed(readings: tuple[Reading, ...]) -> str:
    rows = [(one.program.text, one.answer, one.truth, "right" if one.right else "wrong") for one in readings]
    body = table(("program", "network", "Python", ""), rows)
    return f"<details><summary>{len(rows)} more programs</summary>{body}</details>"


def _levels(accuracy: Table, reading: Reading) -> str:
    """Whole answers right on held-out programs, by length and nesting, with the program's place."""
    lengths, nestings = (sorted({level[place] for level in accuracy}) for place in (0, 1))
    here = (reading.program.length, reading.program.nesting)
    head = "".join(f"<th>{length} digit{'s' if length > 1 else ''}</th>" for length in lengths)
    rows = []
    for nesting in nestings:
        cells = []
        for length in lengths:
            found = next((a for level, a in accuracy.items() if level == (length, nesting)), None)
            if found is None:
                cells.append("<td></td>")
                continue
            low, high = (100 * end for end in found.interval)
            colour = f"w{max(1, round(found.whole * 8))}" if found.whole > 0.03 else ""
            classes = f"{colour} here" if (length, nesting) == here else colour
            told = f"{low:.0f} to {high:.0f} % with 95 % confidence, {found.answers} programs"
            body = f"{100 * found.whole:.0f} %<small>{100 * found.per_character:.0f} % of characters</small>"
            cells.append(f'<td class="{classes}" title="{told}">{body}</td>')
        name = f"<th>{nesting} operation{'s' if nesting > 1 else ''}</th>" if len(nestings) > 1 else "<th></th>"
        rows.append(f"<tr>{name}{''.join(cells)}</tr>")
    known = here in {tuple(level) for level in accuracy}
    place = (
        "the outlined one is where this program belongs"
        if known
        else f"this program ({here[0]} digits, {here[1]} operations) lies outside what was learned"
    )
    told = f"How often whole answers are right, measured on programs that training never saw; {place}."
    body = f'<table class="levels"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    return f'<h3>What to expect</h3><p class="soft">{told}</p>{body}'
