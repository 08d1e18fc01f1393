"""Tunes to be heard: the melody plucked, its chords below it, in a small room.

wav = play(find_tunes(text)[0])                    # bytes of a WAV file, mono, 16 bits
"""

from __future__ import annotations

import functools
import io
import wave
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from creative.engines.char_rnn.tunes import Bar, Note, Tune

RATE = 22_050
"""Samples a second."""
Sound = NDArray[np.float32]

_RING = 2.2  # seconds that a string sounds at most
_ROOM = 0.9  # seconds that the room goes on
_CHORDS = {"m": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "+": (0, 4, 8), "sus4": (0, 5, 7), "7": (0, 4, 7, 10)}
_ROOTS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def play(tune: Tune, *, seconds: float = 45.0) -> bytes:
    """A tune as a WAV file: repeated parts twice, accompanied where chords are written, faded out after ``seconds``."""
    beat = tempo_of(tune)
    events = [*_melody(tune), *_accompaniment(tune)]
    length = min(seconds, max((start + length) * 4 * beat for start, length, *_ in events) + 0.3)
    sound = np.zeros(int((length + _ROOM + _RING) * RATE), np.float32)
    for start, held, midi, loudness in events:
        at = start * 4 * beat
        if at < length:
            string = _string(midi)[: int((held * 4 * beat + 0.25) * RATE)]
            begin = int(at * RATE)
            sound[begin : begin + len(string)] += loudness * string * _damped(len(string))
    sound = sound[: int((length + _ROOM) * RATE)]
    sound = _in_a_room(sound)
    fade = np.clip((length + _ROOM - np.arange(len(sound)) / RATE) / _ROOM, 0, 1)
    return _wav(sound * fade.astype(np.float32))


def tempo_of(tune: Tune) -> float:
    """Seconds of a quarter note: as the tune says, else as its measure is usually danced."""
    if tune.tempo:
        return 60 / tune.tempo
    count, value = tune.meter or (4, 4)
    if value == 8 and count % 3 == 0:
        return 60 / 165  # jigs: 110 dotted quarters a minute
    return 60 / {2: 190, 4: 160, 8: 160}.get(value, 160) if (count, value) != (3, 4) else 60 / 140


def _melody(tune: Tune) -> list[tuple[float, float, int, float]]:
    """Start and duration in whole notes, pitch, loudness."""
    events: list[tuple[float, float, int, float]] = []
    now = Fraction(0)
    held: dict[int, int] = {}  # by pitch: the event that a tie prolongs
    for bar in tune.played():
        place = Fraction(0)
        for note in bar.notes:
            tied: dict[int, int] = {}
            for pitch in note.pitches:
                if pitch.midi in held:
                    start, length, midi, loud = events[held[pitch.midi]]
                    events[held[pitch.midi]] = (start, length + float(note.duration), midi, loud)
                    tied[pitch.midi] = held[pitch.midi]
                else:
                    tied[pitch.midi] = len(events)
                    loud = 0.75 + 0.25 * (place == 0)
                    events.append((float(now), float(note.duration), pitch.midi, loud / len(note.pitches) ** 0.5))
            held = tied if note.tied else {}
            now += note.duration
            place += note.duration
    return events


def _accompaniment(tune: Tune) -> list[tuple[float, float, int, float]]:
    """On each beat that begins a measure or its half the bass, between them the chord."""
    events: list[tuple[float, float, int, float]] = []
    now, chord = Fraction(0), None
    for bar in tune.played():
        beats = _beats(bar)
        changes = _changes(bar.notes)
        for number, (place, bass) in enumerate(beats):
            chord = next((name for start, name in reversed(changes) if start <= place), chord)
            pitches = chord_pitches(chord) if chord else ()
            if not pitches or place >= bar.duration:
                continue
            until = beats[number + 1][0] if number + 1 < len(beats) else bar.duration
            struck, loud = (pitches[:1], 0.42) if bass else (pitches[1:], 0.2)
            events += [(float(now + place), float(until - place), pitch, loud) for pitch in struck]
        chord = changes[-1][1] if changes else chord
        now += bar.duration
    return events


def _beats(bar: Bar) -> list[tuple[Fraction, bool]]:
    """Where a bass or a chord is struck in a bar."""
    count, value = bar.meter or (4, 4)
    if value == 8 and count % 3 == 0:
        return [(Fraction(3 * beat + offset, 8), offset == 0) for beat in range(count // 3) for offset in (0, 2)]
    strong = {2: {0}, 3: {0}, 4: {0, 2}}.get(count, {0})
    if count == 2 and value == 2:
        return [(Fraction(beat, 4), beat % 2 == 0) for beat in range(4)]
    if count == 2:
        return [(Fraction(beat, 2 * value), beat % 2 == 0) for beat in range(4)]
    return [(Fraction(beat, value), beat in strong) for beat in range(count)]


def _changes(notes: list[Note]) -> list[tuple[Fraction, str]]:
    place, changes = Fraction(0), []
    for note in notes:
        if note.chord:
            changes.append((place, note.chord))
        place += note.duration
    return changes


def chord_pitches(name: str) -> tuple[int, ...]:
    """The bass of a chord such as ``Am7`` or ``G/B``, and its notes around middle C; none of what is no chord."""
    chord, _, below = name.partition("/")
    root = _root(chord)
    if root is None:
        return ()
    kind = chord[1:].lstrip("#b")
    minor = kind.startswith("m") and not kind.startswith("maj")
    notes = next((notes for sign, notes in _CHORDS.items() if kind == sign), _CHORDS["m"] if minor else (0, 4, 7))
    bass = _root(below.upper()) if below else None
    return 36 + (root if bass is None else bass), *sorted(55 + (root + note - 55) % 12 for note in notes)


def _root(name: str) -> int | None:
    if name[:1] not in _ROOTS:
        return None
    return (_ROOTS[name[0]] + {"#": 1, "b": -1}.get(name[1:2], 0)) % 12


@functools.lru_cache(maxsize=128)
def _string(midi: int) -> Sound:
    """A plucked string: partials, a little sharp as on real ones, the higher the sooner gone."""
    time = np.arange(int(_RING * RATE)) / RATE
    pitch = 440 * 2 ** ((midi - 69) / 12)
    sound = np.zeros(len(time))
    for partial in range(1, 13):
        frequency = partial * pitch * (1 + 1.5e-4 * partial**2) ** 0.5
        if frequency > 0.45 * RATE:
            break
        strength = np.sin(np.pi * partial * 0.21) / partial**1.35  # plucked at a fifth of its length
        sound += strength * np.exp(-time * (1.3 + 0.75 * partial + pitch / 900)) * np.sin(2 * np.pi * frequency * time)
    sound *= np.clip(time / 0.003, 0, 1)
    return sound.astype(np.float32)


def _damped(count: int) -> Sound:
    """The finger comes back in the last tenth of a second."""
    return np.clip((count - np.arange(count)) / (0.1 * RATE), 0, 1).astype(np.float32)


def _in_a_room(sound: Sound) -> Sound:
    """With echoes that die away: noise of a fixed seed, convolved."""
    count = int(_ROOM * RATE)
    noise = np.random.Generator(np.random.PCG64(1)).standard_normal(count)
    echo = noise * np.exp(-np.arange(count) / RATE * 7)
    echo[: int(0.012 * RATE)] = 0
    echo = np.convolve(echo, np.ones(6) / 6, "same")  # walls take the highest tones
    size = 1 << (len(sound) + count).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)[: len(sound)]
    wet *= 0.28 * np.sqrt((sound**2).mean() / max((wet**2).mean(), 1e-12))
    return (sound + wet).astype(np.float32)


def _wav(sound: Sound) -> bytes:
    loudest = float(np.abs(sound).max())
    samples = (sound / max(loudest, 1e-9) * 0.89 * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    return file.getvalue()
