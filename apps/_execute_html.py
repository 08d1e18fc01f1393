"""What the Execute page shows: the answer digit by digit, how good the network is where, what its neurons hold."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from apps._html import STYLE, heat, scale
from creative.data.programs.batches import END
from creative.engines.learning_to_execute.executing import per_cent

if TYPE_CHECKING:
    from creative.engines.learning_to_execute.answering import Digit
    from creative.engines.learning_to_execute.evaluation import Table
    from creative.engines.learning_to_execute.executing import Executed, Reading

_MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"
_OWN = (
    "<style>"
    ".sum{overflow-x:auto;margin:0 0 6px;padding:2px}"
    ".digits{display:inline-grid;grid-template-columns:auto repeat(var(--places),minmax(2.9em,auto));gap:6px;"
    "align-items:stretch;font-variant-numeric:tabular-nums}"
    ".digits .who{align-self:center;white-space:nowrap;padding-right:10px;color:var(--soft);font-size:14px}"
    ".digits .digit{padding:8px 6px 7px;border:1px solid var(--rule);border-radius:12px;background:var(--sheet)}"
    f".digits b{{display:block;font:500 30px/1.15 {_MONO}}}"
    ".digits .off{border-color:var(--warn);background:var(--warn-wash)}.digits .off b{color:var(--warn)}"
    ".digits .end b{color:var(--soft);font-size:17px;line-height:35px}"
    ".digits small{display:block;font-size:12px;line-height:1.5;color:var(--soft);white-space:nowrap}"
    ".digits small:first-of-type,.digits i{color:var(--ink)}"
    f".digits i{{font:600 12px {_MONO};margin-right:2px}}"
    ".digits .sure{display:block;height:3px;border-radius:2px;margin:4px 2px 5px;background:"
    "linear-gradient(90deg,var(--accent) var(--part),var(--rule) var(--part))}"
    ".digits .digit,.digits .truth{text-align:center;animation:come .3s ease-out calc(var(--at)*.16s) both}"
    f".digits .truth{{font:500 30px/1.5 {_MONO}}}"
    "@keyframes come{from{opacity:0;transform:translateY(-5px)}}"
    "@media(prefers-reduced-motion:reduce){.digits *{animation:none!important}}"
    ".verdict{font-weight:600}.verdict.right{color:var(--accent-strong)}.verdict.wrong{color:var(--warn)}"
    ".verdict span{font-weight:400;color:var(--soft)}"
    ".score{display:flex;height:8px;gap:2px;margin:0 0 14px}"
    ".score i{flex:1;border-radius:2px;background:var(--warn)}.score .right{background:var(--accent)}"
    ".all td{vertical-align:top}.all pre{margin:0;padding:0;border:0;background:none;font-size:13px;line-height:1.5}"
    ".all td+td,.all th+th{white-space:nowrap}"
    f".all td+td{{font-family:{_MONO};font-size:14px}}.all .wrong{{color:var(--warn)}}"
    ".levels{border-spacing:5px;border-collapse:separate;margin-left:-5px}"
    ".levels td,.levels th{padding:8px 14px;text-align:center;border:0;border-radius:10px;white-space:nowrap}"
    ".levels th:first-child{padding-left:5px;text-align:left}"
    ".levels td{font-size:15px}.levels small{display:block;color:var(--soft);font-size:11px}"
    ".levels .here{outline:3px solid var(--accent);outline-offset:-3px;font-weight:650}"
    "@media(max-width:600px){.levels td,.levels th{padding:8px 7px}.levels small span{display:none}"
    ".levels th{font-size:13px}.digits{gap:4px;grid-template-columns:auto repeat(var(--places),minmax(2.4em,auto))}"
    ".digits .who{padding-right:2px;font-size:13px}.digits .digit{padding:8px 3px 7px}"
    ".all td,.all th{padding-right:9px}}"
    "</style>"
)
_SHOWN_OTHERS, _LEAST = 2, 0.005
"""Guesses under each digit besides the one that was written: how many at most, how likely at least."""


def show_executed(executed: Executed) -> str:
    """Answers beside the truth, the accuracy that was measured with the program's place in it, and neurons."""
    parts = [STYLE, _OWN]
    readings = executed.readings
    if len(readings) > 1:
        right, done = executed.score
        parts.append(f"<p><b>{right} of {done} right.</b></p>")
        marks = "".join(f"<i{' class=right' if one.right else ''}></i>" for one in readings if one.over)
        parts.append(f'<div class="score">{marks}</div>')
        parts.append(_listed(readings))
        parts.append("<h3>The last of them</h3>")
    parts.append(_reading(readings[-1]))
    if executed.accuracy:
        parts.append(_levels(executed.accuracy, readings[-1]))
    parts += [_neurons(readings[-1])]
    return "".join(parts)


def _reading(reading: Reading) -> str:
    parts = [f"<pre>{html.escape(reading.program.text)}</pre>", _digits(reading)]
    if reading.over:
        sure = f"{per_cent(reading.confidence)} % sure"
        doubt = "though only" if reading.confidence < 0.5 else "and was"
        trust = "though it was" if reading.confidence >= 0.5 else "and was only"
        told = f"<span>{doubt} {sure}</span>" if reading.right else f"<span>{trust} {sure}</span>"
        if not reading.complete:
            told = "<span>it finds no end</span>"
        name = "right" if reading.right else "wrong"
        parts.append(f'<p class="verdict {name}">{name.capitalize()}, {told}</p>')
    return "".join(parts)


def _digits(reading: Reading) -> str:
    """The answer as a number is read, above the truth; where the truth has another character, it is marked.

    The digits come one by one, in the order in which they were written.
    """
    backwards = reading.least_digit_first
    truth = (reading.truth[::-1] if backwards else reading.truth) + END
    written = [_digit(digit, at, truth[at : at + 1], reading.over) for at, digit in enumerate(reading.digits)]
    if not reading.over:
        written.append('<span class="digit" style="--at:0"><b>…</b></span>')
    true = [
        f'<span class="truth" style="--at:{len(written) + 1}">{_name(character)}</span>'
        for character in (truth[:-1] if reading.over else "")
    ]
    places = max(len(written), len(true))
    rows = []
    for who, cells in (("network", written), ("Python", true)):
        empty = ["<span></span>"] * (places - len(cells))
        rows.append(f'<span class="who">{who}</span>' + "".join([*empty, *cells[::-1]] if backwards else cells + empty))
    return f'<div class="sum"><div class="digits" style="--places:{places}">{"".join(rows)}</div></div>'


def _digit(digit: Digit, at: int, true: str, over: bool) -> str:
    """A character that was written, how likely the network found it, and what else it might have been."""
    ends = digit.character == END
    classes = "digit" + (" end" if ends else "") + (" off" if over and digit.character != true else "")
    others = "".join(
        f"<small><i>{_name(character)}</i> {100 * chance:.0f} %</small>"
        for character, chance in digit.guesses[1 : 1 + _SHOWN_OTHERS]
        if chance >= _LEAST
    )
    title = ", ".join(f"{_name(character)} {100 * chance:.1f} %" for character, chance in digit.guesses)
    sure = f'<span class="sure" style="--part:{100 * digit.probability:.0f}%"></span>'
    body = f"<b>{_name(digit.character)}</b><small>{per_cent(digit.probability)} %</small>{sure}{others}"
    return f'<span class="{classes}" style="--at:{at}" title="{html.escape(title)}">{body}</span>'


def _name(character: str) -> str:
    return "end" if character == END else html.escape(character.replace("-", "−"))


def _neurons(reading: Reading) -> str:
    parts = []
    for neuron in reading.neurons:
        title = f"<summary>Neuron {neuron.number}</summary>"
        titles = [f"{value:+.2f}" for value in neuron.values]
        body = heat(neuron.text, list(neuron.values), titles=titles, two_sided=True)
        opened = " open" if neuron is reading.neurons[0] else ""
        parts.append(f"<details{opened}>{title}{body}</details>")
    if not parts:
        return ""
    told = "What a neuron holds after each character, which is how the network remembers what it has read."
    return f'<h3>While it reads</h3><p class="soft">{told}</p>{scale("−1", "+1", two_sided=True)}{"".join(parts)}'


def _listed(readings: tuple[Reading, ...]) -> str:
    rows = "".join(
        f"<tr><td><pre>{html.escape(one.program.text)}</pre></td>"
        f"<td{'' if one.right else ' class=wrong'}>{html.escape(one.answer)}</td><td>{html.escape(one.truth)}</td>"
        f"<td>{per_cent(one.confidence)} %</td></tr>"
        for one in readings
    )
    head = "<tr><th>program</th><th>network</th><th>Python</th><th>sure</th></tr>"
    opened = " open" if len(readings) <= 12 else ""
    body = f'<table class="all"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f"<details{opened}><summary>All {len(readings)} programs</summary>{body}</details>"


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
            body = (
                f"{per_cent(found.whole)} %<small>{per_cent(found.per_character)} %<span> of characters</span></small>"
            )
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
