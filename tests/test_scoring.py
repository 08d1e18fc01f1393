"""Scoring: surprise as a plain loop has it, guesses, copies; and its heat map, in which text stays text."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_voice import SAYING, toy_voice

from apps._html import heat, heat_table, sign, table
from apps._writing_html import show_score
from creative.engines.char_rnn.scoring import Score, score_text
from creative.engines.char_rnn.voices import Voice
from creative.options.writing import ScoreInputs, ScoreSettings
from creative.progress import run

HOSTILE = """The <script>alert(1)</script> & "cat" <img src=x onerror='alert(2)'> {{x}} \x07\u202e"""


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return toy_voice(tmp_path_factory.mktemp("voice"))


def test_surprise_is_that_of_a_plain_loop(voice: Voice) -> None:
    text = "The dog said nothing at all.\n" * 30  # more than a chunk
    score = run(score_text(text, ScoreSettings(guesses=3), voice=voice))
    ids = voice.vocabulary.encode("\n\n").tolist()
    for place, character in enumerate(text[:40]):
        chances = voice.model(torch.tensor([ids]))[0][0, -1].softmax(-1)
        number = int(voice.vocabulary.encode(character))
        assert score.bits[place] == pytest.approx(-math.log2(chances[number]), abs=1e-3)
        assert score.ranks[place] == int((chances > chances[number]).sum())
        best = chances.topk(3)
        assert [guess.chance for guess in score.guesses[place]] == pytest.approx(best.values.tolist(), abs=1e-4)
        assert score.guesses[place][0].character == voice.vocabulary.decode(best.indices[:1])
        ids.append(number)
    every = voice.vocabulary.encode("\n\n" + text)
    nats = torch.nn.functional.cross_entropy(voice.model(every[None, :-1])[0][0, 1:], every[2:])
    assert score.bits_per_character == pytest.approx(float(nats) / math.log(2), rel=1e-4)
    assert score.perplexity == pytest.approx(math.exp(float(nats)), rel=1e-3)


def test_what_it_knows_surprises_it_less(voice: Voice) -> None:
    known, unknown = (run(score_text(text, voice=voice)) for text in (SAYING, SAYING[::-1]))
    assert known.bits_per_character < 0.5 < 3 < unknown.bits_per_character
    assert known.first_guesses > 0.95
    assert "first guess was right" in known.text


def test_copied_passages_are_marked(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "learned.txt").write_text(SAYING * 4, encoding="utf-8")
    text = "A zebra. " + SAYING[:60] + " Another zebra."
    for learned in (None, tmp_path / "learned.txt"):
        score = run(score_text(text, voice=voice, training_text=learned))
        assert score.copied is not None
        assert score.copied.longest is not None
        assert score.copied.longest.start == pytest.approx(9, abs=2)
        assert score.copied.longest.end == pytest.approx(69, abs=2)
        assert re.search(r"<u>.*T.*h.*e.*</u>", show_score(score), re.S)
        assert "Copied from the training text" in score.text


def test_bytes_are_told_by_characters(tmp_path: Path) -> None:
    voice = toy_voice(tmp_path, units="bytes")
    score = run(score_text("Thé 日!", voice=voice))
    assert len(score.bits) == len(score.guesses) == 6
    ids = voice.vocabulary.encode("\n\nThé 日!")
    whole = torch.nn.functional.cross_entropy(voice.model(ids[None, :-1])[0][0, 1:], ids[2:], reduction="sum")
    assert float(score.bits.sum()) == pytest.approx(float(whole) / math.log(2), rel=1e-4)
    assert show_score(score)


def test_reads_no_more_than_its_limit(voice: Voice, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(SAYING * 100, encoding="utf-8")
    messages = [step.message for step in score_text(path, ScoreSettings(limit=50), voice=voice) if step.message]
    assert messages == ["The text goes on after the first 50 characters, which are read."]


def test_what_cannot_be_read_is_refused_at_the_call(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 au lait")
    with pytest.raises(ValueError, match="nothing to read"):
        score_text("", voice=voice)
    with pytest.raises(ValueError, match="offset 3"):
        score_text(tmp_path / "latin.txt", voice=voice)
    assert (
        run(score_text(tmp_path / "latin.txt", ScoreSettings(encoding="latin-1"), voice=voice)).read == "café au lait"
    )
    with pytest.raises(ValueError, match="never seen 'é'"):
        score_text("é", ScoreSettings(unseen="refuse"), voice=voice)
    with pytest.raises(ValueError, match="give a file, or a text"):
        ScoreInputs()


# The heat map -------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.titles: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.titles += [value or "" for name, value in attrs if name == "title"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def test_a_hostile_text_stays_text(voice: Voice) -> None:
    score: Score = run(score_text(HOSTILE, voice=voice))
    page = Reader(show_score(score))
    assert not page.tags & {"script", "img"}
    assert not page.open
    shown = "".join(page.words)
    assert "<script>alert(1)</script>" in shown
    assert "onerror='alert(2)'" in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    for pieces in (heat(HOSTILE, [0.5] * len(HOSTILE)), table(["<b>"], [["<i>"]]), heat_table([[("<i>", 1)]])):
        assert not Reader(pieces).tags & {"script", "img", "i"}


def test_heat_says_what_the_numbers_say() -> None:
    page = heat("abcd", [0, 1, 7, float("nan")], titles=["", "x", "y", ""])
    assert re.findall(r"class=(\w+)", page) == ["w8", "w8"]
    assert Reader(page).titles == ["x", "y"]
    assert "".join(Reader(page).words) == "abcd"
    assert re.findall(r"class=(\w+)", heat("abc", [-1, -0.5, 0.5], two_sided=True)) == ["c8", "c4", "w4"]
    assert heat("abcdef", [0] * 6, underlined=[(1, 3), (2, 4)]) == '<div class="heat">a<u>bcd</u>ef</div>'
    assert sign("\n") == "⏎"
    assert sign("\x00") == "U+0000"
    with pytest.raises(ValueError, match="3 characters"):
        heat("abc", [1])


def test_each_character_is_told_with_its_guesses(voice: Voice) -> None:
    score = run(score_text("The cat", voice=voice))
    titles = Reader(show_score(score)).titles
    assert len(titles) == 7
    assert titles[1].startswith("h  ")
    assert titles[1].count("%") == 5
    assert np.isfinite(score.bits).all()
