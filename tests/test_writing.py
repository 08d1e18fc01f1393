"""Writing in a voice: repeatable, as the model's probabilities have it, streamed, stopped, told of copies."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from test_app import end
from toy_voice import SAYING, save_voice, toy_voice

from creative.data.vocabulary import Vocabulary
from creative.engines.char_rnn.reading import beginning, read_as, text_parts
from creative.engines.char_rnn.voices import Voice
from creative.engines.char_rnn.writing import write
from creative.models.char_rnn import CharRNN, CharRNNConfig
from creative.options.writing import WriteSettings
from creative.progress import Step, run
from creative.settings import SettingsError


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return toy_voice(tmp_path_factory.mktemp("voice"))


def settings(**values: object) -> WriteSettings:
    return WriteSettings(**{"length": 60, "precision": "float32", **values})


def test_greedy_writing_is_that_of_a_plain_loop(voice: Voice) -> None:
    written = run(write("The c", settings(temperature=0), voice=voice))
    ids = voice.vocabulary.encode("\n\nThe c")
    for _ in range(60):
        logits, _ = voice.model(ids[None])
        ids = torch.cat([ids, logits[0, -1].argmax()[None]])
    assert "\n\n" + written.text == voice.vocabulary.decode(ids)
    assert SAYING[5:40] in written.text  # it knows the saying by heart


def test_same_seed_same_text_and_another_seed_another(voice: Voice) -> None:
    once, again, other = (
        run(write("Th", settings(seed=seed, temperature=1.5), voice=voice)).text for seed in (1, 1, 2)
    )
    assert once == again != other


def test_the_library_writes(tmp_path: Path) -> None:
    import creative

    path = save_voice(tmp_path / "toy.safetensors")
    written = creative.run(creative.write("The ", creative.WriteSettings(length=20, temperature=0), voice=path))
    assert written.text.startswith("The ")
    assert written.provenance.action == "write"
    assert list(written.provenance.weights) == ["toy.safetensors"]


def test_characters_come_as_often_as_their_probabilities(voice: Voice) -> None:
    chances = voice.model(voice.vocabulary.encode("\n\nThe dog")[None])[0][0, -1].div(2.0).softmax(-1)
    kept = chances.sort(descending=True)
    count = int((kept.values.cumsum(0) < 0.8).sum()) + 1
    for top, allowed in (({}, chances > 0), ({"top_p": 0.8}, chances >= kept.values[count - 1])):
        drawn = torch.zeros(len(chances))
        for seed in range(30):
            batch = run(write("The dog", settings(length=1, variants=64, temperature=2, seed=seed, **top), voice=voice))
            for one in batch.variants:
                drawn[voice.vocabulary.encode(one.continuation)] += 1
        expected = torch.where(allowed, chances, 0) / chances[allowed].sum() * drawn.sum()
        assert drawn[~allowed].sum() == 0
        big = expected > 5
        off = ((drawn - expected) ** 2 / expected)[big].sum()
        assert off < 3 * int(big.sum()) + 10  # chi-squared


def test_temperatures_from_nothing_to_huge(voice: Voice) -> None:
    assert (
        run(write("The", settings(temperature=1e-6), voice=voice)).text
        == run(write("The", settings(temperature=0), voice=voice)).text
    )
    wild = run(write("The", settings(temperature=5, length=4000), voice=voice)).variants[0].continuation
    assert len(set(wild)) == len(voice.vocabulary)
    assert max(map(wild.count, set(wild))) < 1000
    with pytest.raises(SettingsError, match="temperature must be at most 5"):
        settings(temperature=1e9)


@pytest.mark.parametrize("variants", [1, 3])
def test_stops_at_words_and_leaves_them_out(voice: Voice, variants: int) -> None:
    written = run(write("The cat", settings(temperature=0, stop="\\nTHE", variants=variants, length=300), voice=voice))
    for one in written.variants:
        assert one.stopped
        assert one.text == SAYING[: SAYING.index("\nTHE")]
    endless = run(write("The cat", settings(stop="zebra"), voice=voice))
    assert len(endless.variants[0].continuation) == 60


def test_words_to_stop_at_that_it_cannot_write_are_told(voice: Voice) -> None:
    steps = list(write("The", settings(stop="日"), voice=voice))
    assert any("cannot write the words to stop at" in (step.message or "") for step in steps)


def test_variants_differ_and_each_goes_on_from_the_prompt(voice: Voice) -> None:
    written = run(write("The ", settings(variants=4, temperature=2), voice=voice))
    assert len({one.continuation for one in written.variants}) == 4
    assert written.text.startswith("[1]\nThe ")
    assert written.text.count("The ") >= 4


def test_unseen_characters_are_named_and_replaced_or_refused(voice: Voice) -> None:
    steps: list[Step] = []
    job = write("Thé “CAT 日", settings(length=8), voice=voice)
    while True:
        try:
            steps.append(next(job))
        except StopIteration as stop:
            written = stop.value
            break
    assert written.text.startswith("Thé “CAT 日")  # as it was given
    message = steps[0].message
    assert message is not None
    assert "'é', '“'" in message
    assert "'e' for 'é', '\"' for '“'" in message
    with pytest.raises(ValueError, match="never seen 'é', '“'"):
        write("Thé “CAT 日", settings(unseen="refuse"), voice=voice)
    ids, told = read_as("The dog", voice.vocabulary)
    assert told is None
    assert len(ids) == 7


def test_an_empty_prompt_begins_a_paragraph(voice: Voice) -> None:
    assert run(write("", settings(temperature=0), voice=voice)).text.startswith("The cat said")


def test_streams_and_keeps_the_text_when_stopped(voice: Voice) -> None:
    job = write("The ", settings(length=500), voice=voice)
    texts = []
    for step in job:
        if step.preview is not None:
            texts.append(step.preview().text)
        if step.done >= 40:
            break
    job.close()
    assert len(texts) >= 5
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert len(texts[-1]) == 44
    whole = run(write("The ", settings(length=500), voice=voice)).text
    assert whole.startswith(texts[-1])


def test_stop_keeps_the_text_on_disk(voice: Voice, tmp_path: Path) -> None:
    from apps._app import perform
    from apps.char_rnn import APP

    action = next(action for action in APP.actions if action.verb == "write")
    path = save_voice(tmp_path / "toy.safetensors")
    job = perform(action, action.inputs(voice=str(path), prompt="The "), settings(length=5000), out=tmp_path / "out")
    while next(job).done < 40:
        pass
    saved = end(job, KeyboardInterrupt)
    assert not saved.complete
    assert saved.path.read_text(encoding="utf-8").startswith("The ")


def test_what_was_copied_is_told(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "learned.txt").write_text(SAYING * 4, encoding="utf-8", newline="\r\n")
    greedy = settings(temperature=0, length=150)
    for training_text in (None, tmp_path / "learned.txt"):
        one = run(write("The cat", greedy, voice=voice, training_text=training_text)).variants[0]
        assert one.copied is not None
        assert one.copied.share > 0.9
        assert one.copied.longest is not None
        assert len(one.copied.longest) > 100
        assert one.copied.exact == (training_text is not None)
    wild = run(write("The cat", settings(temperature=4, length=150), voice=voice)).variants[0]
    assert wild.copied is not None
    assert wild.copied.passages == ()


def test_no_gradients_and_no_modes_leak_to_whoever_watches(voice: Voice) -> None:
    for _ in write("The", settings(length=20), voice=voice):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_bytes_write_any_text(tmp_path: Path) -> None:
    bytes_voice = toy_voice(tmp_path, units="bytes")
    written = run(write("Thé 日 cat", settings(temperature=0, stop="THE"), voice=bytes_voice))
    assert written.text.startswith("Thé 日 cat")
    assert run(write("The cat", settings(temperature=5, length=200), voice=bytes_voice)).text


def test_what_cannot_be_written_is_refused_at_the_call(voice: Voice, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="length must be at least 1"):
        settings(length=0)
    with pytest.raises(ValueError, match="ask for fewer or shorter"):
        write("", settings(length=1_000_000, variants=64), voice=voice)
    with pytest.raises(ValueError, match="There is no voice called 'shakespear'"):
        write("", voice="shakespear")
    (tmp_path / "poem.safetensors").write_text("no voice")
    with pytest.raises(ValueError, match=r"poem\.safetensors is not a safetensors file"):
        write("", voice=tmp_path / "poem.safetensors")
    with pytest.raises(ValueError, match=r"There is no file .*nothing\.txt"):
        write("", voice=voice, training_text=tmp_path / "nothing.txt")


def test_files_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "odd.txt"
    for data, sentence in (
        (b"", "is empty"),
        (b"abc\0def", "binary, not a text: there is a zero byte at offset 3"),
        (b"caf\xe9 au lait", "is not UTF-8: the byte 0xE9 at offset 3"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=sentence):
            beginning(path, 100)
    path.write_bytes("\ufeffa\r\nb".encode())
    assert "".join(text_parts(path)) == "a\nb"
    assert beginning(path, 3) == ("a\nb", False)
    assert beginning(path, 2) == ("a\n", True)


def test_of_a_gigabyte_only_the_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.write(b"To be\n" * 1_000_000)
        file.truncate(2**30)  # zeros from there on, which would be told as binary
    began = time.process_time()
    assert beginning(path, 12) == ("To be\nTo be\n", True)
    assert time.process_time() - began < 2


def test_the_engine_costs_little_beside_the_model() -> None:
    vocabulary = Vocabulary.of("".join(map(chr, range(32, 97))))
    model = CharRNN(CharRNNConfig(65, hidden_size=8)).eval()
    tiny = Voice("tiny", model, vocabulary, {}, "0" * 64)
    began = time.process_time()
    run(write("THE", settings(length=4000), voice=tiny))
    assert (time.process_time() - began) / 4000 < 400e-6  # seconds a character, of a network that costs nothing
