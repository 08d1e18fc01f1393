"""Tunes as notes: pitches, durations, bars, repeats. ``abc_notation`` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

__all__ = ["FIFTHS", "Bar", "Key", "Note", "Pitch", "Tune"]

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FIFTHS = "FCGDAEB"
"""The steps in the order in which key signatures sharpen them."""


@dataclass(frozen=True, slots=True)
class Pitch:
    """A note's height.

    Attributes:
        step: C to B.
        octave: 4 begins at middle C.
        alter: semitones up (sharps) or down (flats), as it sounds.
        written: the accidental before the note, if there is one.
    """

    step: str
    octave: int
    alter: int
    written: int | None = None

    @property
    def midi(self) -> int:
        """60 is middle C."""
        return 12 * (self.octave + 1) + _SEMITONES[self.step] + self.alter


@dataclass(frozen=True, slots=True)
class Note:
    """One or more pitches together, or a rest.

    Attributes:
        pitches: none for a rest.
        duration: as it sounds, in whole notes.
        written: as it looks: in a tuplet longer or shorter than it sounds.
        tuplet: so many notes in the time of so many, and the number of the tuplet in its tune.
        tied: to the next note of the same pitch.
        chord: what is written above it for the accompaniment.
        joined: to the note before it by a beam, if both are short enough.
        grace: notes before it that take no time.
    """

    pitches: tuple[Pitch, ...]
    duration: Fraction
    written: Fraction
    tuplet: tuple[int, int, int] | None = None
    tied: bool = False
    chord: str | None = None
    joined: bool = False
    grace: tuple[Pitch, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A key signature: so many sharps, or flats if negative."""

    sharps: int

    def alter(self, step: str) -> int:
        """Semitones that it moves a step by."""
        place = FIFTHS.index(step)
        return (self.sharps + 6 - place) // 7


@dataclass
class Bar:
    """What is between two bar lines.

    Attributes:
        notes: in order.
        meter: beats and their value, such as (6, 8); None for free.
        key: that holds in it.
        starts, ends: whether a repeated part begins at its left, and ends at its right.
        double: whether it ends in a double line.
        endings: the times it is played in, if it begins a first or a second ending.
    """

    meter: tuple[int, int] | None
    key: Key
    notes: list[Note] = field(default_factory=list)
    starts: bool = False
    ends: bool = False
    double: bool = False
    endings: frozenset[int] = frozenset()

    @property
    def duration(self) -> Fraction:
        """Of all its notes, in whole notes."""
        return sum((note.duration for note in self.notes), Fraction(0))

    @property
    def full(self) -> Fraction | None:
        """What its duration should be."""
        return Fraction(*self.meter) if self.meter else None


@dataclass(frozen=True)
class Tune:
    """A tune.

    Attributes:
        title: empty if it has none.
        bars: with at least a note in all.
        tempo: quarter notes a minute, if it says so.
        source: the abc.
        ignored: characters that are no music.
    """

    title: str
    bars: tuple[Bar, ...]
    tempo: float | None
    source: str
    ignored: int

    @property
    def key(self) -> Key:
        """At its beginning."""
        return self.bars[0].key

    @property
    def meter(self) -> tuple[int, int] | None:
        """At its beginning."""
        return self.bars[0].meter

    def wrong_bars(self) -> list[int]:
        """The bars, counted from 0, that are too long, or too short with no other short one to make up for it.

        A part may begin with an upbeat and end in a bar that lacks it, so where a part begins or ends a bar may be
        short; and two short ones may make a full one together.
        """
        wrong = []
        durations = [bar.duration for bar in self.bars]
        for place, bar in enumerate(self.bars):
            full = bar.full
            if full is None or bar.duration == full:
                continue
            beside = durations[max(0, place - 1) : place] + durations[place + 1 : place + 2]
            if any(bar.duration + other == full for other in beside):
                continue
            at_edge = (
                place in {0, len(self.bars) - 1}
                or bar.starts or bar.ends or bar.double or bar.endings
                or self.bars[place - 1].ends or self.bars[place - 1].double
                or self.bars[place + 1].starts or self.bars[place + 1].endings
            )  # fmt: skip
            if bar.duration > full or not at_edge:
                wrong.append(place)
        return wrong

    def played(self) -> list[Bar]:
        """The bars in the order in which they sound: repeated parts twice, with their first and second endings."""
        order: list[Bar] = []
        within = self._within_endings()
        start, time, place, back = 0, 1, 0, False
        while place < len(self.bars) and len(order) < 4 * len(self.bars):
            bar = self.bars[place]
            left_ending = place > 0 and within[place - 1] and not within[place] and time > 1
            if not back and ((bar.starts and place != start) or left_ending):
                start, time = place, 1
            back = False
            if within[place] and time not in within[place]:
                place += 1
                continue
            order.append(bar)
            if bar.ends and time == 1:
                place, time, back = start, 2, True
                continue
            if bar.ends:
                start, time = place + 1, 1
            place += 1
        return order if any(note.pitches for bar in order for note in bar.notes) else list(self.bars)

    def _within_endings(self) -> list[frozenset[int]]:
        within: list[frozenset[int]] = []
        now: frozenset[int] = frozenset()
        for bar in self.bars:
            now = bar.endings or (frozenset() if bar.starts else now)
            within.append(now)
            if bar.ends or bar.double:
                now = frozenset()
        return within
