"""Tunes in abc notation, read as notes: the part of the abc standard 2.1 that tunes of one voice are written in.

Whatever is no music to it is passed over and counted, so that a network's tunes can be read as well as a collection's.

    tune = find_tunes(text)[0]
    tune.title, tune.key.sharps, tune.bars[0].notes[0].pitches
    tune.wrong_bars()                  # bars with too much or too little in them
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from creative.engines.char_rnn.tunes import FIFTHS, Bar, Key, Note, Pitch, Tune

__all__ = ["find_tunes", "parse_tune"]

_MODES = {"maj": 0, "ion": 0, "m": 3, "min": 3, "aeo": 3, "mix": 1, "dor": 2, "phr": 4, "lyd": -1, "loc": 5}
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_LONGEST = Fraction(8)  # whole notes of one note
_MOST_NOTES = 20_000


def find_tunes(text: str, most: int = 100) -> list[Tune]:
    """The tunes in a text: each has a key and notes; what is none is left out."""
    tunes: list[Tune] = []
    for part in re.split(r"^(?=X:)", text, flags=re.M):
        found = parse_tune(part)
        if found is not None:
            tunes.append(found)
        if len(tunes) == most:
            break
    return tunes


def parse_tune(text: str) -> Tune | None:
    """One tune, up to the first empty line after its key; None where there is no key or no note."""
    lines = text.strip().splitlines()
    place = next((number for number, line in enumerate(lines) if line.startswith("K:")), None)
    if place is None or not all(re.match(r"[A-Za-z]:|%|\s*$|\+", line) for line in lines[:place]):
        return None
    body = []
    for line in lines[place + 1 :]:
        if not line.strip():
            break
        body.append(line)
    reader = _Reader()
    for line in [*lines[:place], lines[place]]:
        reader.header(line)
    for line in body:
        reader.line(line)
    bars = reader.finish()
    if not any(note.pitches for bar in bars for note in bar.notes):
        return None
    source = "\n".join([*lines[: place + 1], *body]) + "\n"
    return Tune(reader.title, tuple(bars), reader.tempo, source, reader.ignored)


_LENGTH = r"(\d{0,4})((?:/\d{0,3})*)"
_PITCH = r"([\^_=]{0,2})([A-Ga-g])([,']*)"
_TOKEN = re.compile(
    rf"""(?P<chord>"[^"]*")
    |(?P<field>\[[A-Za-z]:[^\]]*\])
    |(?P<bar>:*\|[\]|:]*|\[\||::+)(?P<times>\s*\[?\s*\d[\d,.-]*)?
    |(?P<ending>\[\s*(?P<endings>\d[\d,.-]*))
    |(?P<grace>\{{[^}}]*\}})
    |\[(?P<together>(?:{_PITCH}{_LENGTH}-?\s*)+)\](?P<together_length>{_LENGTH})
    |(?P<note>{_PITCH}{_LENGTH})
    |(?P<rest>[zx]{_LENGTH})
    |(?P<bars_rest>Z\d{{0,2}})
    |\((?P<tuplet>[2-9](?::\d?){{0,2}})
    |(?P<slur>[()])
    |(?P<tie>-)
    |(?P<broken><{{1,3}}|>{{1,3}})
    |(?P<decoration>![^!]*!|[~.HLMOPSTuvJR])
    |(?P<space>[\s\\`y*]+)
    |(?P<comment>%.*)
    |(?P<other>.)""",
    re.X | re.S,
)
_ONE = re.compile(_PITCH + _LENGTH)


class _Reader:
    """The state while a tune is read, and the bars so far."""

    def __init__(self) -> None:
        self.title, self.tempo, self.ignored = "", None, 0
        self.unit: Fraction | None = None
        self.meter: tuple[int, int] | None = (4, 4)
        self.key = Key(0)
        self.bars: list[Bar] = []
        self.bar = Bar(self.meter, self.key)
        self.accidentals: dict[str, int] = {}
        self.chord: str | None = None
        self.grace: tuple[Pitch, ...] = ()
        self.scale = Fraction(1)  # of the next note, after a broken rhythm
        self.tuplet: tuple[int, int, int, int] | None = None  # p in the time of q, number, notes left
        self.tuplets = self.notes = 0
        self.joined = False

    tempo: float | None

    def header(self, line: str) -> None:
        """A field before the music, or between its lines."""
        name, value = line[:1], line[2:].split("%")[0].strip()
        if line[1:2] != ":":
            return
        if name == "T" and not self.title:
            self.title = value
        elif name == "M":
            self.meter = _meter(value)
            self._here()
        elif name == "L" and (unit := _fraction(value)):
            self.unit = unit
        elif name == "K":
            self.key = _key(value) or self.key
            self._here()
        elif name == "Q":
            self.tempo = _tempo(value) or self.tempo

    def _here(self) -> None:
        """What has changed holds from this bar on, if nothing is in it yet."""
        if not self.bar.notes:
            self.bar.meter, self.bar.key = self.meter, self.key

    def line(self, line: str) -> None:
        """A line of music, or a field."""
        if re.match(r"[A-Za-z]:[^|:]", line):
            self.header(line)
            return
        if line.startswith("%"):
            return
        self.joined = False
        for token in _TOKEN.finditer(line):
            if self.notes < _MOST_NOTES:
                self._token(token)

    def finish(self) -> list[Bar]:
        """The bars, the last one too if there is anything in it."""
        if self.bar.notes:
            self.bars.append(self.bar)
        return self.bars

    def _token(self, token: re.Match[str]) -> None:
        kind = token.lastgroup
        if token["bar"]:
            self._bar_line(token["bar"], token["times"])
        elif token["ending"]:
            if self.bar.notes:
                self._close(double=False, ends=False)
            self.bar.endings = _times(token["endings"])
        elif token["field"]:
            self.header(token["field"][1:-1])
        elif token["chord"]:
            word = token["chord"][1:-1].strip()
            self.chord = word if word[:1] in "ABCDEFG" and word else self.chord
        elif token["grace"]:
            self.grace = tuple(self._pitch(*found.groups()[:3]) for found in _ONE.finditer(token["grace"]))
        elif token["together"]:
            found = list(_ONE.finditer(token["together"]))
            length = _length(*found[0].groups()[3:]) * _length(*_split(token["together_length"]))
            self._note(tuple(self._pitch(*one.groups()[:3]) for one in found), length)
            if "-" in token["together"]:
                self._tie()
        elif token["note"]:
            one = _ONE.match(token["note"])
            assert one is not None
            self._note((self._pitch(*one.groups()[:3]),), _length(*one.groups()[3:]))
        elif token["rest"]:
            self._note((), _length(*_split(token["rest"][1:])))
        elif token["bars_rest"] and self.bar.full:
            for _ in range(min(int(token["bars_rest"][1:] or 1), 20)):
                self.bar.notes.append(Note((), self.bar.full, self.bar.full))
                self._close(double=False, ends=False)
        elif token["tuplet"]:
            self._begin_tuplet(token["tuplet"])
        elif token["tie"]:
            self._tie()
        elif token["broken"]:
            self._break(token["broken"])
        elif kind == "space":
            self.joined = False
        elif kind == "other":
            self.ignored += 1

    def _bar_line(self, line: str, times: str | None) -> None:
        starts, ends = line.endswith(":") and line != ":", line.startswith(":")
        if line.startswith("::"):
            starts = ends = True
        double = "||" in line or "]" in line
        if self.bar.notes:
            self._close(double=double, ends=ends)
        elif self.bars:
            self.bars[-1].ends |= ends
            self.bars[-1].double |= double
        self.bar.starts |= starts
        if times:
            self.bar.endings = _times(times)

    def _close(self, *, double: bool, ends: bool) -> None:
        self.bar.double, self.bar.ends = double, ends
        self.bars.append(self.bar)
        self.bar = Bar(self.meter, self.key)
        self.accidentals, self.joined = {}, False

    def _pitch(self, signs: str, letter: str, marks: str) -> Pitch:
        step = letter.upper()
        octave = (5 if letter.islower() else 4) + marks.count("'") - marks.count(",")
        octave = min(9, max(0, octave))
        written = signs.count("^") - signs.count("_") if signs else None
        if written is not None:
            self.accidentals[step] = written  # in every octave, up to the end of the bar
        return Pitch(step, octave, self.accidentals.get(step, self.key.alter(step)), written)

    def _note(self, pitches: tuple[Pitch, ...], length: Fraction) -> None:
        written = min(length * self._unit() * self.scale, _LONGEST)
        if not written:
            self.ignored += 1
            return
        sounding, tuplet = written, None
        if self.tuplet is not None:
            p, q, number, left = self.tuplet
            sounding, tuplet = written * q / p, (p, q, number)
            self.tuplet = (p, q, number, left - 1) if left > 1 else None
        note = Note(pitches, sounding, written, tuplet, False, self.chord, self.joined, self.grace)
        self.bar.notes.append(note)
        self.notes += 1
        self.chord, self.grace, self.scale, self.joined = None, (), Fraction(1), True

    def _unit(self) -> Fraction:
        if self.unit is not None:
            return self.unit
        return Fraction(1, 16) if self.meter and Fraction(*self.meter) < Fraction(3, 4) else Fraction(1, 8)

    def _begin_tuplet(self, told: str) -> None:
        p, *more = (int(word) if word else 0 for word in told.split(":"))
        compound = self.meter is not None and self.meter[0] % 3 == 0 and self.meter[0] > 3
        q = (more[0] if more else 0) or _TUPLETS.get(p, 3 if compound else 2)
        count = (more[1] if len(more) > 1 else 0) or p
        self.tuplets += 1
        self.tuplet = (p, q, self.tuplets, count)

    def _tie(self) -> None:
        if self.bar.notes:
            self.bar.notes[-1] = replace(self.bar.notes[-1], tied=bool(self.bar.notes[-1].pitches))

    def _break(self, signs: str) -> None:
        """``a>b``: the one dotted, the other halved."""
        if not self.bar.notes:
            return
        less = Fraction(1, 2 ** len(signs))
        before, after = (2 - less, less) if signs[0] == ">" else (less, 2 - less)
        last = self.bar.notes[-1]
        self.bar.notes[-1] = replace(last, duration=last.duration * before, written=last.written * before)
        self.scale = after


def _split(length: str) -> tuple[str, str]:
    found = re.fullmatch(_LENGTH, length)
    return (found[1], found[2]) if found else ("", "")


def _length(count: str | None, parts: str | None) -> Fraction:
    value = Fraction(int(count) if count else 1)
    for part in (parts or "").split("/")[1:]:
        value /= int(part) if part and int(part) else 2
    return value


def _fraction(text: str) -> Fraction | None:
    found = re.match(r"(\d{1,3})/(\d{1,3})", text)
    return Fraction(int(found[1]), int(found[2])) if found and int(found[1]) and int(found[2]) else None


def _meter(text: str) -> tuple[int, int] | None:
    if text.startswith("C"):
        return (2, 2) if text.startswith("C|") else (4, 4)
    found = re.match(r"(\d{1,2})/(\d{1,2})", text)
    if not found or not int(found[1]) or int(found[2]) not in {1, 2, 4, 8, 16, 32}:
        return None
    return int(found[1]), int(found[2])


def _key(text: str) -> Key | None:
    found = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if not found:
        return None
    letter, sign, mode = found.groups()
    sharps = FIFTHS.index(letter) - 1 + 7 * {"#": 1, "b": -1, "": 0}[sign]
    word = mode.lower()
    sharps -= next((less for name, less in _MODES.items() if name != "m" and word.startswith(name)), 3 * (word == "m"))
    return Key(min(7, max(-7, sharps)))


def _tempo(text: str) -> float | None:
    """``120``, ``1/4=120`` or ``C=100``: quarter notes a minute."""
    found = re.search(r"(?:(\d+/\d+)\s*=\s*)?(\d{1,4})\s*$", text)
    if not found or not int(found[2]):
        return None
    beat = (_fraction(found[1]) if found[1] else None) or Fraction(1, 4)
    return min(400.0, max(20.0, float(beat * 4 * int(found[2]))))


def _times(text: str) -> frozenset[int]:
    return frozenset(_numbers(text)) or frozenset({1})


def _numbers(text: str) -> Iterator[int]:
    for found in re.finditer(r"(\d)(?:-(\d))?", text):
        yield from range(int(found[1]), int(found[2] or found[1]) + 1)
