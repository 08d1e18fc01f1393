"""Tunes to be seen: as notes on a staff, drawn by verovio (the extra ``tunes``).

    svg = engrave(find_tunes(text)[0])                 # <svg ...> without scripts, in the colour of the text around it

What goes to verovio is MEI that is made of parsed notes. Its own reader of abc ends the process at a third of the tunes
of a real collection, so abc is never given to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from html import escape

from creative.engines.char_rnn.tunes import Bar, Note, Pitch, Tune

_ACCIDENTALS = {-2: "ff", -1: "f", 0: "n", 1: "s", 2: "x"}
_SHORTEST = Fraction(1, 64)


class EngravingError(ValueError):
    """A tune cannot be drawn. The message is one sentence for a person."""


def can_engrave() -> bool:
    """Whether verovio is installed."""
    from importlib.util import find_spec

    return find_spec("verovio") is not None


def engrave(tune: Tune, *, width: int = 900) -> str:
    """A tune as SVG, as wide as ``width`` pixels or as the page has room for.

    Raises:
        EngravingError: verovio is not installed, or it cannot draw this tune.
    """
    try:
        import verovio
    except ImportError:
        raise EngravingError(
            "Tunes are drawn by verovio, which is not installed: pip install 'creative[tunes]'."
        ) from None
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {
            "pageWidth": width * 2, "pageHeight": 60_000, "adjustPageHeight": True, "scale": 50, "svgViewBox": True,
            "footer": "none", "header": "none", "pageMarginTop": 20, "pageMarginBottom": 20, "pageMarginLeft": 30,
            "pageMarginRight": 0, "xmlIdSeed": 1, "svgRemoveXlink": True, "spacingSystem": 6,
        }
    )  # fmt: skip
    if not toolkit.loadData(to_mei(tune)) or toolkit.getPageCount() < 1:
        raise EngravingError("The tune cannot be drawn.")
    svg = str(toolkit.renderToSVG(1, False))
    svg = svg[svg.index("<svg") :].replace(' color="black"', "")
    return svg.replace("<svg ", '<svg fill="currentColor" ', 1)


# MEI ----------------------------------------------------------------------------------------------------------------


def to_mei(tune: Tune) -> str:
    """A tune in the format of the Music Encoding Initiative."""
    writer = _Writer()
    body = "".join(writer.section(tune.bars))
    first = tune.bars[0]
    return (
        '<?xml version="1.0" encoding="UTF-8"?><mei xmlns="http://www.music-encoding.org/ns/mei" meiversion="5.0">'
        "<music><body><mdiv><score>"
        f'<scoreDef{_meter(first)}{_key(first)}><staffGrp><staffDef n="1" lines="5" clef.shape="G" clef.line="2"/>'
        f"</staffGrp></scoreDef><section>{body}</section></score></mdiv></body></music></mei>"
    )


def _meter(bar: Bar) -> str:
    return f' meter.count="{bar.meter[0]}" meter.unit="{bar.meter[1]}"' if bar.meter else ' meter.form="invis"'


def _key(bar: Bar) -> str:
    sharps = bar.key.sharps
    return f' keysig="{abs(sharps)}{"s" if sharps > 0 else "f" if sharps else ""}"'


class _Writer:
    """Elements one after the other, each note with a name of its own."""

    def __init__(self) -> None:
        self.names = 0
        self.waiting: list[tuple[Pitch, str]] = []  # notes of the last chord that are tied to the next
        self.outside: list[str] = []  # of the bar that is being written: ties and chords' names

    def section(self, bars: tuple[Bar, ...]) -> Iterator[str]:
        """All bars, endings in brackets, with changes of key and measure between them."""
        ending = False
        for number, bar in enumerate(bars):
            before = bars[number - 1] if number else bar
            if ending and (bar.endings or before.ends or before.double):
                yield "</ending>"
                ending = False
            if (bar.meter, bar.key) != (before.meter, before.key):
                yield f"<scoreDef{_meter(bar)}{_key(bar)}/>"
            if bar.endings:
                yield f'<ending n="{min(bar.endings)}" label="{min(bar.endings)}.">'
                ending = True
            yield self.measure(number, bar, last=number == len(bars) - 1)
        if ending:
            yield "</ending>"

    def measure(self, number: int, bar: Bar, *, last: bool) -> str:
        """One bar."""
        self.outside = []
        notes = "".join(self._beamed(bar.notes))
        left = ' left="rptstart"' if bar.starts else ""
        right = "rptend" if bar.ends else "end" if last else "dbl" if bar.double else "single"
        whole = "" if bar.duration == bar.full else ' metcon="false"'
        return (
            f'<measure n="{number + 1}"{left} right="{right}"{whole}><staff n="1"><layer n="1">{notes or "<mSpace/>"}'
            f"</layer></staff>{''.join(self.outside)}</measure>"
        )

    def _beamed(self, notes: list[Note]) -> Iterator[str]:
        """Notes, those that are joined in a beam; tuplets in brackets of their own."""
        group: list[Note] = []
        for note in [*notes, None]:
            goes_on = (
                note is not None and note.joined and bool(group)
                and _short(note) and _short(group[-1]) and _number(note) == _number(group[-1])
            )  # fmt: skip
            same_tuplet = bool(note and group and note.tuplet and note.tuplet == group[-1].tuplet)
            if group and not goes_on and not same_tuplet:
                yield self._group(group)
                group = []
            if note is not None:
                group.append(note)

    def _group(self, group: list[Note]) -> str:
        inside = "".join(self._note(note) for note in group)
        if len(group) > 1 and all(_short(note) for note in group):
            inside = f"<beam>{inside}</beam>"
        if group[0].tuplet is not None:
            p, q, _ = group[0].tuplet
            inside = f'<tuplet num="{p}" numbase="{q}" bracket.visible="false">{inside}</tuplet>'
        return inside

    def _note(self, note: Note) -> str:
        """A note, a chord or a rest; one whose length no single note has is several, tied."""
        parts = []
        values = list(note_values(note.written))
        for place, (value, dots) in enumerate(values):
            tied = note.tied or place < len(values) - 1
            element, names = self._one(note, value, dots, grace=place == 0)
            if place == 0 and note.chord:
                self.outside.append(f'<harm startid="#{names[0]}" place="above">{escape(_spoken(note.chord))}</harm>')
            self._tie(note, names, tied=tied)
            parts.append(element)
        return "".join(parts)

    def _one(self, note: Note, value: int, dots: int, *, grace: bool) -> tuple[str, list[str]]:
        length = f' dur="{value}"' + (f' dots="{dots}"' if dots else "")
        before = ""
        if grace and note.grace:
            before = "".join(f'<note grace="acc" dur="8"{_pitch(pitch)}/>' for pitch in note.grace)
        names = [self._name() for _ in note.pitches or (None,)]
        if not note.pitches:
            return f'{before}<rest xml:id="{names[0]}"{length}/>', names
        if len(note.pitches) == 1:
            return f'{before}<note xml:id="{names[0]}"{length}{_pitch(note.pitches[0])}/>', names
        inside = "".join(
            f'<note xml:id="{name}"{_pitch(pitch)}/>' for name, pitch in zip(names, note.pitches, strict=True)
        )
        return f"{before}<chord{length}>{inside}</chord>", names

    def _tie(self, note: Note, names: list[str], *, tied: bool) -> None:
        for pitch, name in zip(note.pitches, names, strict=False):
            start = next((old for before, old in self.waiting if before.midi == pitch.midi), None)
            if start is not None:
                self.outside.append(f'<tie startid="#{start}" endid="#{name}"/>')
        self.waiting = list(zip(note.pitches, names, strict=False)) if tied else []

    def _name(self) -> str:
        self.names += 1
        return f"n{self.names}"


def _pitch(pitch: Pitch) -> str:
    accidental = f' accid="{_ACCIDENTALS[pitch.written]}"' if pitch.written is not None else ""
    return f' pname="{pitch.step.lower()}" oct="{pitch.octave}"{accidental}'


def _short(note: Note) -> bool:
    return note.written < Fraction(1, 4) and bool(note.pitches)


def _number(note: Note) -> int:
    return note.tuplet[2] if note.tuplet else 0


def _spoken(chord: str) -> str:
    root = chord[:1] + {"#": "♯", "b": "♭"}.get(chord[1:2], chord[1:2])
    return (root + chord[2:])[:12]


def note_values(length: Fraction) -> Iterator[tuple[int, int]]:
    """A length in whole notes as notes that there are: (4, 1) is a dotted quarter. Less than a 64th is a 64th."""
    left = max(length, _SHORTEST)
    while left >= _SHORTEST:
        base = Fraction(1)
        while base > left:
            base /= 2
        dots = next(dots for dots in (2, 1, 0) if base * (2 - Fraction(1, 2**dots)) <= left)
        yield base.denominator, dots
        left -= base * (2 - Fraction(1, 2**dots))
