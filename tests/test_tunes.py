"""Tunes in abc: read as abc2midi reads them, played, drawn without scripts, judged by a strict reader."""

from __future__ import annotations

import io
import random
import re
import shutil
import struct
import subprocess
import wave
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from toy_voice import toy_voice

from creative.engines.char_rnn.abc_notation import find_tunes, parse_tune
from creative.engines.char_rnn.engraving import can_engrave, engrave, note_values, to_mei
from creative.engines.char_rnn.playing import RATE, chord_pitches, play
from creative.engines.char_rnn.tune_evaluation import evaluate_tunes, judge
from creative.engines.char_rnn.tunes import Tune
from creative.options.writing import EvaluateTunesSettings
from creative.progress import run

JIG = """X: 1
T:The Test of Time
M:6/8
L:1/8
Q:3/8=110
K:D
A|:"D"dAF "A7"EFG|"D"F2A d2e|"G"B>cd "A"c2B|1 "D"AFD D2A:|2 "D"AFD D3||
"Bm"(3FGA ^g "G"=g3-|g2z {c}[Bd]3|"A"e/f/e/d/ c/B/|"D"d3 d2|]
"""
REEL = """X:2
T:Flats & <Sharps>
M:C|
L:1/8
K:Gm
G2BG dGBG|_E2 =e^f g4|[M:3/4][K:Cmaj] c2 e2 g2|c'2 C,2 z2|(5ABcde f2 g2:|
"""
needs_abc2midi = pytest.mark.skipif(shutil.which("abc2midi") is None, reason="abc2midi is not installed")
needs_verovio = pytest.mark.skipif(not can_engrave(), reason="verovio is not installed")


def tune(abc: str) -> Tune:
    found = parse_tune(abc)
    assert found is not None
    return found


def test_reads_a_tune() -> None:
    jig = tune(JIG)
    assert (jig.title, jig.meter, jig.key.sharps, jig.tempo) == ("The Test of Time", (6, 8), 2, 165.0)
    assert len(jig.bars) == 10
    assert jig.ignored == 0
    first, second = jig.bars[:2]
    assert [note.pitches[0].midi for note in second.notes] == [74, 69, 66, 64, 66, 67]  # F and C are sharp
    assert first.duration == Fraction(1, 8)
    assert second.starts
    assert jig.bars[4].endings == {1}
    assert jig.bars[4].ends
    assert jig.bars[5].endings == {2}
    assert [note.duration for note in jig.bars[3].notes[:2]] == [Fraction(3, 16), Fraction(1, 16)]  # B>c
    tuplet = jig.bars[6].notes[0]
    assert (tuplet.duration, tuplet.written, tuplet.tuplet) == (Fraction(1, 12), Fraction(1, 8), (3, 2, 1))
    assert jig.bars[6].notes[-1].tied
    assert [pitch.midi for pitch in jig.bars[7].notes[-1].pitches] == [71, 74]
    assert jig.bars[7].notes[-1].grace[0].midi == 73
    assert second.notes[0].chord == "D"


def test_measures_keys_and_accidentals_change() -> None:
    reel = tune(REEL)
    assert (reel.meter, reel.key.sharps) == ((2, 2), -2)
    assert [note.pitches[0].midi for note in reel.bars[1].notes] == [63, 76, 78, 79]
    assert (reel.bars[2].meter, reel.bars[2].key.sharps) == ((3, 4), 0)
    assert [note.pitches[0].midi for note in reel.bars[3].notes if note.pitches] == [84, 48]
    for key, sharps in {"C": 0, "F#m": 3, "Bb": -2, "Ador": 1, "Emix": 3, "Dphr": -2, "Am": 0, "Glyd": 2}.items():
        assert tune(f"X:1\nK:{key}\nC").key.sharps == sharps


def test_repeats_are_played_twice_with_their_endings() -> None:
    def order(music: str) -> str:
        bars = tune(f"X:1\nL:1/4\nM:4/4\nK:C\n{music}\n").played()
        return "".join("CDEFGAB"["CDEFGAB".index(bar.notes[0].pitches[0].step)] for bar in bars)

    assert order("C4|D4|") == "CD"
    assert order("C4|D4:|E4|") == "CDCDE"
    assert order("C4|:D4:|E4|") == "CDDE"
    assert order("|:C4|1 D4:|2 E4||F4|") == "CDCEF"
    assert order("|:C4|[1 D4:|[2 E4|]|:F4:|") == "CDCEFF"
    assert order("C4::D4:|") == "CCDD"
    assert order("|:C4|1 D4:|2 E4||F4:|") == "CDCEFF"


def test_bars_of_a_wrong_length_are_found() -> None:
    assert tune(JIG).wrong_bars() == [8]
    assert tune("X:1\nM:3/4\nL:1/4\nK:C\nG|CDE|CDEF|CD|EFG|CD|]\n").wrong_bars() == [2, 3]
    assert tune("X:1\nM:4/4\nL:1/4\nK:C\nCDEF|CDE|F|CDEF|]\n").wrong_bars() == []


def test_what_is_no_tune_is_none() -> None:
    for text in (
        "",
        "To be, or not to be",
        "X:1\nT:no key\nabc",
        "X:1\nK:C\n",
        "K: is a letter\nand so on",
        "X:1\nK:G\n||\n",
    ):
        assert find_tunes(text) == [] or text.startswith("K:")
    assert len(find_tunes(f"Some words.\n\n{JIG}\n\n{REEL}\nThe end.")) == 2
    assert find_tunes(f"{JIG}\n\n{REEL}")[0].source == JIG.strip() + "\n"


def _notes_of_midi(data: bytes) -> list[tuple[int, int]]:
    """Start in 48ths of a whole note (abc2midi spreads chords a little) and pitch of each note of a MIDI file."""

    def number(place: int) -> tuple[int, int]:
        value = 0
        while True:
            value, place = value << 7 | data[place] & 127, place + 1
            if data[place - 1] < 128:
                return value, place

    notes, place, status = [], 14, 0
    division = struct.unpack(">H", data[12:14])[0]
    while place < len(data):
        end = place + 8 + struct.unpack(">I", data[place + 4 : place + 8])[0]
        place, time = place + 8, 0
        while place < end:
            passed, place = number(place)
            time += passed
            if data[place] & 128:
                status, place = data[place], place + 1
            if status >= 0xF0:
                size, place = number(place + (status == 0xFF))
                place += size
            else:
                if status & 0xF0 == 0x90 and data[place + 1]:
                    notes.append((time / division / 4, data[place]))
                place += 1 if status & 0xF0 in (0xC0, 0xD0) else 2
    return sorted((round(start * 48), pitch) for start, pitch in notes)


def _heard(one: Tune) -> list[tuple[int, int]]:
    notes, now, held = [], Fraction(0), set()
    for bar in one.played():
        for note in bar.notes:
            pitches = {pitch.midi for pitch in note.pitches}
            notes += [(round(now * 48), pitch) for pitch in pitches - held]
            held = pitches if note.tied else set()
            now += note.duration
    return sorted(notes)


@needs_abc2midi
@pytest.mark.parametrize("seed", range(6))
def test_reads_what_abc2midi_reads(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    words = [
        "G",
        "A,",
        "^c",
        "_B",
        "=f",
        "d'",
        "e/2f/2",
        "z",
        "[Ac]",
        "a>b",
        "B<c",
        "(3def",
        "d2",
        "c3/2B/2",
        "f-f",
        '"Am"E',
    ]
    music = "|".join(" ".join(rng.choices(words, k=6)) for _ in range(8))
    abc = f"X:1\nT:Random\nM:none\nL:1/8\nK:{rng.choice(['G', 'Dm', 'Bb', 'Emix', 'F#m'])}\n"
    (tmp_path / "a.abc").write_text(f"{abc}%%MIDI gchordoff\n|:{music}:|\n")
    subprocess.run(["abc2midi", tmp_path / "a.abc", "-o", tmp_path / "a.mid", "-NGRA"], capture_output=True, check=True)
    assert _heard(tune(f"{abc}|:{music}:|\n")) == _notes_of_midi((tmp_path / "a.mid").read_bytes())


# Heard --------------------------------------------------------------------------------------------------------------


def _sound(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def test_a_tune_is_heard_at_its_pitch() -> None:
    sound = _sound(play(tune("X:1\nM:4/4\nL:1/1\nQ:1/4=120\nK:C\nA|")))
    strength = np.abs(np.fft.rfft(sound[RATE // 4 : RATE]))
    loudest = np.fft.rfftfreq(RATE - RATE // 4, 1 / RATE)[strength.argmax()]
    assert loudest % 440 == pytest.approx(0, abs=6) or loudest % 440 == pytest.approx(440, abs=6)
    assert 2.0 < len(sound) / RATE < 3.5
    assert 0.7 < np.abs(sound).max() < 0.95


def test_a_tune_repeats_to_the_byte_and_ends_in_silence() -> None:
    data = play(tune(JIG))
    assert data == play(tune(JIG))
    sound = _sound(data)
    assert np.abs(sound[-200:]).max() < 0.01
    assert np.isfinite(sound).all()
    assert len(_sound(play(tune(JIG.replace("|:", "|" + "DEF GAB|" * 200 + "|:")), seconds=5))) < 6.5 * RATE


def test_chords_are_their_notes() -> None:
    assert chord_pitches("C") == (36, 55, 60, 64)
    assert {pitch % 12 for pitch in chord_pitches("F#m7/a")[1:]} == {6, 9, 1}
    assert chord_pitches("F#m7/a")[0] % 12 == 9
    assert {pitch % 12 for pitch in chord_pitches("Bb7")} == {10, 2, 5, 8}
    assert chord_pitches("hello") == ()


# Drawn --------------------------------------------------------------------------------------------------------------


def test_any_length_is_drawn_as_notes_that_there_are() -> None:
    for parts in range(1, 200):
        length = Fraction(parts, 64)
        values = list(note_values(length))
        assert sum(Fraction(1, value) * (2 - Fraction(1, 2**dots)) for value, dots in values) == length
    assert list(note_values(Fraction(3, 8))) == [(4, 1)]
    assert list(note_values(Fraction(5, 8))) == [(2, 0), (8, 0)]


@needs_verovio
def test_a_tune_is_drawn_note_by_note_without_scripts() -> None:
    svg = engrave(tune(JIG))
    jig = tune(JIG)
    drawn = sum(len(note.pitches) + len(note.grace) for bar in jig.bars for note in bar.notes)
    assert len(re.findall(r'class="note[ "]', svg)) == drawn
    assert len(re.findall(r'class="measure', svg)) == 10
    assert len(re.findall(r'class="tie', svg)) == 1
    assert svg.startswith("<svg")
    assert not re.search(r"<script|\son\w+=|https?://(?!www\.w3\.org)", svg)
    assert "black" not in svg  # but the ink of the page, light or dark


@needs_verovio
def test_no_tune_ends_the_process() -> None:
    rng = random.Random(0)
    letters = "ABcdefgz'^_=,/234|:[]\"()-<>{} \nMK1~!%&"
    for length in (20, 100, 400):
        for _ in range(40):
            found = parse_tune("X:1\nK:G\n" + "".join(rng.choices(letters, k=length)))
            if found is not None:
                assert engrave(found)
                assert play(found, seconds=1)
    hostile = tune(JIG.replace('"A7"', '"A<script>&7"').replace("Test", "<script>"))
    assert "<script>" not in to_mei(hostile)
    assert "<script" not in engrave(hostile)


@needs_verovio
def test_the_page_draws_and_plays_and_escapes() -> None:
    from apps._tunes_html import show_tunes

    page = show_tunes(f"{JIG}\n\n{REEL}")
    assert page.count("<svg") >= 2
    assert page.count('<audio controls preload="metadata" src="data:audio/wav;base64,') == 2
    assert "Flats &amp; &lt;Sharps&gt;" in page
    assert "10 bars, 1 of them too long or too short" in page
    assert show_tunes("no tune at all") == ""


def test_without_verovio_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from apps._tunes_html import show_tunes

    monkeypatch.setitem(sys.modules, "verovio", None)
    page = show_tunes(JIG)
    assert "Tunes are drawn by verovio, which is not installed: pip install &#x27;creative[tunes]&#x27;." in page
    assert "<audio" in page


# Judged -------------------------------------------------------------------------------------------------------------


@needs_abc2midi
def test_a_strict_reader_judges() -> None:
    good = judge(REEL)
    assert (good.accepted, good.bars) == (True, 0)
    assert judge(JIG).bars == 1
    assert not judge('X:1\nM:4/4\nK:C\nCD"never closed|]\n').accepted
    assert not judge("nothing").accepted
    assert not judge("X:1\nT:no notes\nK:C\n").accepted


@needs_abc2midi
def test_shares_are_counted(tmp_path: Path) -> None:
    (tmp_path / "tunes.abc").write_text(f"{REEL}\n\n{JIG}\n\n" * 3, encoding="utf-8")
    job = evaluate_tunes(
        EvaluateTunesSettings(count=6, length=100), voice=toy_voice(tmp_path), collection=tmp_path / "tunes.abc"
    )
    measured = run(job)
    assert len(measured.verdicts) == len(measured.collection) == 6
    figures = measured.figures()
    assert figures["accepted"] == 0  # it talks of cats
    assert figures["collection: accepted"] == 1
    assert figures["collection: accepted, bars right"] == 0.5
    assert "6 tunes, read by abc2midi" in measured.text


def test_without_abc2midi_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="apt install abcmidi"):
        evaluate_tunes()


def test_ties_join_their_notes_in_sound() -> None:
    from creative.engines.char_rnn.playing import _melody

    events = _melody(tune("X:1\nM:4/4\nL:1/4\nK:C\nC4-|C4|C4|"))
    assert [(start, length) for start, length, *_ in events] == [(0, 2), (2, 1)]
    assert all(a[0] <= b[0] for a, b in pairwise(events))
