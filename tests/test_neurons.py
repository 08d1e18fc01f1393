"""Looking inside: correlations as numpy has them, honest halves, and features that mean what they are called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_scoring import HOSTILE, Reader
from toy_voice import SAYING, toy_voice

from apps._writing_html import show_inside
from creative.engines.char_rnn.neurons import Sums, correlations, liveliest, look_at_neurons
from creative.engines.char_rnn.text_features import features_of
from creative.engines.char_rnn.voices import Voice
from creative.options.writing import NeuronsSettings
from creative.progress import run
from creative.settings import SettingsError


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return toy_voice(tmp_path_factory.mktemp("voice"))


def test_correlations_are_numpys_in_parts_too() -> None:
    rng = np.random.default_rng(0)
    features = (rng.random((3, 500)) * [[1], [100], [1]] + 1000).astype(np.float32)
    hidden = rng.standard_normal((500, 4)).astype(np.float32) + features[1:2].T / 50
    expected = np.corrcoef(features.astype(float), hidden.T.astype(float))[:3, 3:]
    sums = Sums(3, 4)
    for start in range(0, 500, 70):
        sums.add(features[:, start : start + 70], hidden[start : start + 70])
    assert sums.correlations() == pytest.approx(expected, abs=1e-6)
    assert correlations(features, hidden) == pytest.approx(expected, abs=1e-6)
    hidden[:, 2] = 0.5
    assert np.isnan(correlations(features, hidden)[:, 2]).all()


def test_finds_on_one_half_and_tells_of_the_other(voice: Voice) -> None:
    text = SAYING * 12  # longer than a chunk
    inside = run(look_at_neurons(text, NeuronsSettings(count=15), voice=voice))
    ids = voice.vocabulary.encode("\n\n" + text)
    hidden = voice.model.hidden(ids[None])[0][0, 2:].flatten(1).numpy()
    half = len(text) // 2
    features = features_of(text)
    assert {one.feature for one in inside.followers} == set(features)
    for one in inside.followers:
        values, index = features[one.feature], (one.layer - 1) * 40 + one.number
        found = [np.corrcoef(values[:half], column)[0, 1] for column in hidden[:half].T]
        assert np.nanargmax(np.abs(found)) == index
        assert one.found == pytest.approx(found[index], abs=1e-3)
        told = np.corrcoef(values[half:], hidden[half:, index])[0, 1]
        assert one.correlation == pytest.approx(told, abs=1e-3)
    strengths = [abs(one.correlation) for one in inside.followers]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] > 0.7  # it has learned when a quotation is open, or the like


def test_a_view_shows_the_neuron_at_each_character_of_the_half_that_had_no_say(voice: Voice) -> None:
    text = SAYING * 12
    settings = NeuronsSettings(shown=150, count=3)
    inside = run(look_at_neurons(text, settings, voice=voice))
    ids = voice.vocabulary.encode("\n\n" + text)
    hidden, logits, _ = voice.model.hidden(ids[None])
    for view, follower in zip(inside.views, inside.followers, strict=True):
        assert view.start >= len(text) // 2
        assert view.part == text[view.start : view.start + 150]
        expected = hidden[0, 2 + view.start :, follower.layer - 1, follower.number][:150]
        assert view.values == pytest.approx(expected.numpy(), abs=1e-4)
        likeliest = logits[0, 1 + view.start :].argmax(-1)[:150]
        assert "".join(one[0].character for one in view.guesses) == voice.vocabulary.decode(likeliest)


def test_neurons_asked_for_are_shown_and_wrong_ones_told(voice: Voice) -> None:
    inside = run(look_at_neurons("The cat", NeuronsSettings(neurons=("2:7", "1:0")), voice=voice))
    assert [view.title for view in inside.views] == ["neuron 2:7", "neuron 1:0"]
    with pytest.raises(ValueError, match=r"There is no neuron 3:0: the voice has layers 1 to 2 of neurons 0 to 39"):
        look_at_neurons("The cat", NeuronsSettings(neurons=("3:0",)), voice=voice)
    with pytest.raises(SettingsError, match="LAYER:NUMBER"):
        NeuronsSettings(neurons=("seven",))
    with pytest.raises(ValueError, match="takes 200 or more"):
        look_at_neurons("The cat", voice=voice)
    with pytest.raises(ValueError, match="nothing to read"):
        look_at_neurons("", voice=voice)


def test_a_text_without_features_is_said_to_have_none(voice: Voice) -> None:
    inside = run(look_at_neurons("d" * 400, NeuronsSettings(features=("capitals", "digits")), voice=voice))
    assert inside.followers == ()
    assert "None of the features" in inside.text


def test_bytes_have_a_value_for_each_character(tmp_path_factory: pytest.TempPathFactory) -> None:
    voice = toy_voice(tmp_path_factory.mktemp("bytes"), units="bytes")
    text = "Thé “日” " * 100
    inside = run(look_at_neurons(text, NeuronsSettings(neurons=("1:3",), shown=700), voice=voice))
    ids = voice.vocabulary.encode("\n\n" + text)
    hidden = voice.model.hidden(ids[None])[0][0, :, 0, 3]
    last = np.cumsum([len(character.encode()) for character in text]) + 1
    assert inside.views[0].values == pytest.approx(hidden[torch.from_numpy(last)][:700].numpy(), abs=1e-4)


def test_a_hostile_text_stays_text(voice: Voice) -> None:
    page = Reader(show_inside(run(look_at_neurons(HOSTILE * 5, voice=voice))))
    assert not page.tags & {"script", "img"}
    assert not page.open


def test_features_mean_what_they_are_called() -> None:
    def at(name: str, text: str) -> str:
        values = features_of(text, (name,))[name]  # type: ignore[arg-type, index]
        return "".join(f"{int(value):x}" for value in values)

    assert at("inside quotes", 'a "b c" d') == "001111000"
    assert at("inside quotes", '"never closed\n\nnext "x"').endswith("110")
    assert at("depth of brackets", "a(b[c]d)e)") == "0112211000"
    assert at("inside brackets", "a(b)c") == "01100"
    assert at("position in the line", "abc\nde") == "123012"
    assert at("position in the word", "ab, cd") == "120012"
    assert at("indentation", "a\n  b c\n\td") == "00122220" + "88"
    assert at("capitals", "aBc") == "010"
    assert at("line in capitals", "KING:\nHello\nI am") == "01111" + "0" * 11
    assert at("start of a sentence", 'Hi. "So".') == "001110001"
    assert at("digits", "a1") == "01"
    assert at("vowels", "aB e") == "1001"
    assert at("white space", "a b\n") == "0101"
    assert at("punctuation", "a, b!") == "01001"
    assert at("inside a comment", "x /* y */ z // w\nv") == "00111111" + "0000" + "1111" + "00"
    assert at("inside mathematics", "let $x+y$ be") == "000011110000"
    assert features_of("aaa") == {} or "capitals" not in features_of("aaa")


def test_the_liveliest_part_is_where_the_feature_changes_most() -> None:
    text = "a\n" * 50 + "b c\n" * 10 + "a\n" * 50
    changes = features_of(text, ("white space",))["white space"]
    begin = liveliest(text, changes, 10, 20)
    assert text[begin - 1] == "\n"
    assert begin >= 10
    flat = np.zeros(len(text), np.float32)
    flat[120:130:2] = 1
    assert 100 <= liveliest(text, flat, 0, 30) <= 120
