"""Training and measuring voices: they learn, go on as if never stopped, grow, and predict as well as they say."""

from __future__ import annotations

import itertools
import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from apart import by_two, until_done

from creative.checkpoint import CheckpointError, load_checkpoint, read_metadata, save_checkpoint
from creative.data.text import pack_text
from creative.data.vocabulary import TextError, Vocabulary, VocabularyError
from creative.engines.char_rnn.copying import read_fingerprints
from creative.engines.char_rnn.evaluation import Evaluation, evaluate_voice, measure_streams, split
from creative.engines.char_rnn.training import Writing, take_over, train_char_rnn
from creative.engines.char_rnn.voices import VoiceError, load_voice, packed_tensors
from creative.engines.training import TrainingError, mixed_seed, train
from creative.models.char_rnn import CharRNN, CharRNNConfig
from creative.options.char_rnn import CharRNNSettings, EvaluateVoiceSettings
from creative.progress import Step, run
from creative.trained import list_voices
from creative.weights import WeightsError, entry, locate

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = CharRNNSettings(
    steps=30,
    batch_size=4,
    sequence_length=16,
    hidden_size=24,
    num_layers=2,
    learning_rate=1e-2,
    warmup=3,
    ema_decay=0.9,
    dropout=0.2,
    weight_drop=0.2,
    forget=0.05,
    precision="float32",
    log_every=5,
    evaluate_every=10,
    save_every=7,
)
TEXT = "".join(f"{n} sheep, {n * n} legs and {'wool ' * (n % 4)}too.\n" for n in range(150))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "sheep.txt"
    path.write_text(TEXT)
    return path


def trained(folder: Path, text: Path, start_from: Path | None = None, **settings: Any) -> Path:
    return run(train_char_rnn([text], SETTINGS.changed(**settings), folder, start_from=start_from, device="cpu"))


def measured(voice: Any, text: Path, **settings: Any) -> Evaluation:
    return run(evaluate_voice(voice, [text], EvaluateVoiceSettings(**settings), device="cpu"))


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice that has learned a little."""
    folder = tmp_path_factory.mktemp("voice")
    (folder / "sheep.txt").write_text(TEXT)
    return trained(folder / "out", folder / "sheep.txt", steps=150)


# It learns


def test_learns_a_pattern_longer_than_its_sequences(tmp_path: Path) -> None:
    """Which of two words comes next is told by the word before, farther back than a sequence reaches."""
    path = tmp_path / "pattern.txt"
    path.write_text("".join("abcdefgh." if one else "ijklmnop." for one in [0, 1] * 400))
    steps: list[Step] = []
    settings = SETTINGS.changed(
        steps=400,
        sequence_length=6,
        hidden_size=32,
        num_layers=1,
        dropout=0,
        weight_drop=0,
        forget=0,
        evaluate_every=100,
    )
    made = run(train_char_rnn([path], settings, tmp_path / "out", device="cpu"), steps.append)
    assert steps[-1].metrics["nats_per_character"] < 0.06  # not knowing the word before would cost ln 2 / 9 = 0.077
    found = measured(made, path)
    assert found.surprise.nats < 0.06
    metadata = read_metadata(made)
    assert metadata["config"]["vocabulary"] == {"units": "characters", "characters": ".abcdefghijklmnop"}
    assert metadata["config"]["text"]["length"] == 7200
    assert metadata["settings"]["sequence_length"] == 6


def test_is_the_loop_that_anybody_would_write(tmp_path: Path, text: Path) -> None:
    """Truncated back-propagation with the state carried on, written down with nn.LSTM."""
    trained(tmp_path / "out", text, dropout=0, weight_drop=0, forget=0, clip_norm=0, warmup=0, schedule="constant")
    ids = Vocabulary.of(TEXT).encode(TEXT)
    learned = ids[: split(len(ids))[0].stop]
    torch.manual_seed(mixed_seed(SETTINGS.seed, "networks"))
    ours = CharRNN(CharRNNConfig(len(Vocabulary.of(TEXT)), hidden_size=24, num_layers=2))
    lstm, classifier = ours.recurrent.to_torch(), ours.classifier
    parameters = [*lstm.parameters(), *classifier.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.0, betas=(0.9, 0.99))
    state = None
    for step in range(30):
        starts = [row * len(learned) // 4 + 16 * step for row in range(4)]
        rows = torch.stack([learned[[(start + i) % len(learned) for i in range(17)]] for start in starts])
        y, state = lstm(F.one_hot(rows[:, :-1], len(Vocabulary.of(TEXT))).float(), state)
        state = tuple(part.detach() for part in state)
        optimizer.zero_grad()
        F.cross_entropy(classifier(y).flatten(0, 1), rows[:, 1:].flatten()).backward()
        optimizer.step()
    last = load_checkpoint(tmp_path / "out" / "last.safetensors").tensors
    expected = {"classifier.weight": classifier.weight}
    expected |= {
        f"recurrent.layers.{layer}.{name}": getattr(lstm, f"{name}_l{layer}")
        for layer in range(2)
        for name in ("weight_ih", "weight_hh", "bias_hh")
    }
    for name, value in expected.items():
        assert torch.allclose(last[f"network.network.{name}"], value, atol=1e-5), name


def test_a_forgotten_state_is_empty(tmp_path: Path, text: Path) -> None:
    states = []

    class Watched(Writing):
        def step(self, batch: Any, update: Any) -> Any:
            hook = self.network.recurrent.register_forward_pre_hook(
                lambda _, inputs: states.append((batch["keep"], inputs[1]))
            )
            found = super().step(batch, update)
            hook.remove()
            return found

    packed = run(pack_text([text], tmp_path / "text"))
    settings = SETTINGS.changed(forget=0.5)
    run(train(Watched(packed, settings), settings, tmp_path / "out", device="cpu"))
    assert len(states) == 30
    for keep, state in states[1:]:
        empty = torch.stack([part.abs().sum((0, 2)) == 0 for part in state]).all(0)
        assert torch.equal(empty, keep == 0)
    assert 0.3 < float(torch.stack([keep for keep, _ in states]).mean()) < 0.7


def test_some_recurrent_weights_are_dropped_for_a_step(tmp_path: Path, text: Path) -> None:
    task = Writing(run(pack_text([text], tmp_path / "text")), SETTINGS.changed(weight_drop=0.25))
    network = task.networks()["network"]
    dropped = task._dropped(3)
    assert sorted(dropped) == ["recurrent.layers.0.weight_hh", "recurrent.layers.1.weight_hh"]
    for name, weight in dropped.items():
        whole, zero = dict(network.named_parameters())[name], weight == 0
        assert 0.2 < float(zero.float().mean()) < 0.3
        assert torch.allclose(weight[~zero], whole[~zero] / 0.75)
        assert torch.equal(weight, task._dropped(3)[name])
        assert not torch.equal(weight == 0, task._dropped(4)[name] == 0)
    weight.sum().backward()
    assert whole.grad is not None
    assert torch.equal(whole.grad == 0, zero)


def test_previews_are_texts_that_repeat(tmp_path: Path, text: Path) -> None:
    samples = []
    for step in train_char_rnn([text], SETTINGS, tmp_path / "out", device="cpu"):
        if step.done == 20 and step.preview is not None:
            samples += [step.preview(), step.preview()]
    assert samples[0] == samples[1]
    assert len(samples[0]) == 400
    assert set(samples[0]) <= set(TEXT)


def test_bytes(tmp_path: Path) -> None:
    path = tmp_path / "any.bin"
    path.write_bytes(bytes(range(256)) * 10)
    made = trained(tmp_path / "out", path, units="bytes")
    assert len(load_voice(made).vocabulary) == 256
    assert measured(made, path).surprise.count == 2559


def test_stops_early(tmp_path: Path, text: Path) -> None:
    steps: list[Step] = []
    settings = SETTINGS.changed(steps=5000, learning_rate=10.0, clip_norm=0, patience=2, evaluate_every=2)
    run(train_char_rnn([text], settings, tmp_path / "out", device="cpu"), steps.append)
    assert steps[-1].done < 200
    assert "which is the end" in (steps[-1].message or "")


@pytest.mark.parametrize("kind", ["rnn", "gru", "peephole"])
def test_all_shapes_train_and_load(tmp_path: Path, text: Path, kind: str) -> None:
    made = trained(
        tmp_path / kind, text, kind=kind, layer_norm=kind == "gru", residual=kind == "rnn", embedding_size=5, steps=4
    )
    model = load_voice(made).model
    assert (model.config.kind, model.config.embedding_size) == (kind, 5)
    assert (model.config.layer_norm, model.config.residual) == (kind == "gru", kind == "rnn")


# It repeats and goes on


def job(settings: CharRNNSettings, text: Path, folder: Path, moment: int | None) -> None:
    torch.set_num_threads(1)
    for step in train_char_rnn([text], settings, folder, device="cpu"):
        if step.done == moment:
            os.kill(os.getpid(), signal.SIGKILL)


def test_killed_and_started_again_ends_in_the_same_bytes(tmp_path: Path, text: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    trained(whole, text)
    until_done(job, SETTINGS, text, broken, moments=[3, 12, 13, 29])
    assert (whole / "best.safetensors").read_bytes() == (broken / "best.safetensors").read_bytes()
    ours, theirs = (load_checkpoint(folder / "last.safetensors").tensors for folder in (broken, whole))
    assert any(name.startswith("state.extra") for name in theirs)  # the hidden states
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_stopped_goes_on_the_same(tmp_path: Path, text: Path) -> None:
    whole = trained(tmp_path / "whole", text).read_bytes()
    for at in (1, 11):
        engine = train_char_rnn([text], SETTINGS, tmp_path / str(at), device="cpu")
        assert any(step.done == at and step.message is None for step in engine)
        engine.close()
        assert trained(tmp_path / str(at), text).read_bytes() == whole
    assert trained(tmp_path / "seed", text, seed=1).read_bytes() != whole


def test_bfloat16_goes_on_the_same(tmp_path: Path, text: Path) -> None:
    whole = trained(tmp_path / "whole", text, precision="bfloat16").read_bytes()
    engine = train_char_rnn([text], SETTINGS.changed(precision="bfloat16"), tmp_path / "b", device="cpu")
    next(step for step in engine if step.done == 9)
    engine.close()
    assert trained(tmp_path / "b", text, precision="bfloat16").read_bytes() == whole


def test_two_processes_are_as_one(tmp_path: Path, text: Path) -> None:
    settings = SETTINGS.changed(dropout=0.0)
    by_two(job, settings, text, tmp_path / "two")
    trained(tmp_path / "one", text, dropout=0.0)
    trained(tmp_path / "parts", text, dropout=0.0, accumulate=2)
    for name in ("two", "parts"):
        one, other = (load_checkpoint(tmp_path / which / "last.safetensors").tensors for which in ("one", name))
        weights = [key for key in one if key.startswith(("network", "average"))]
        worst = max(float((one[key] - other[key]).abs().max()) for key in weights)
        assert worst < 1e-5, f"{name} differs by {worst}"


def test_refuses_to_go_on_with_another_text(tmp_path: Path, text: Path) -> None:
    folder = tmp_path / "out"
    trained(folder, text, steps=2)
    text.write_text(TEXT + "É Ω")
    with pytest.raises(TrainingError, match=r"vocabulary of \d+, .*new is 'É', 'Ω'.*another folder"):
        trained(folder, text)
    text.write_text(TEXT.replace("s", "p").replace("w", ""))
    with pytest.raises(TrainingError, match="missing is"):
        trained(folder, text)
    text.write_text(TEXT[:4000] + TEXT)
    with pytest.raises(TrainingError, match="another text"):
        trained(folder, text)
    text.write_text(TEXT)
    trained(folder, text)
    text.write_text("É" + TEXT)
    run(train_char_rnn([text], SETTINGS.changed(steps=2), folder, device="cpu", resume=False))
    assert "É" in (load_voice(folder).vocabulary.characters or "")


# Fine-tuning


def test_new_characters_change_nothing_for_old_texts(voice: Path) -> None:
    older = load_voice(voice)
    known = len(older.vocabulary)
    for config in (older.model.config, CharRNNConfig(known, 8, embedding_size=3)):
        torch.manual_seed(1)
        source = older.model if config is older.model.config else CharRNN(config)
        larger = CharRNN(CharRNNConfig.from_json({**config.to_json(), "vocabulary_size": known + 3, "dropout": 0.0}))
        take_over(larger, source)
        ids = older.vocabulary.encode("81 sheep, 6561 legs")[None]
        with torch.no_grad():
            before, now = source(ids)[0], larger(ids)[0]
        assert torch.allclose(now[..., :known], before, atol=1e-5)
        assert bool((now.softmax(-1)[..., known:].sum(-1) < 0.5).all())
        assert torch.isfinite(larger(torch.full((1, 3), known + 2))[0]).all()


def test_fine_tuning_grows_the_vocabulary_and_helps(tmp_path: Path, voice: Path) -> None:
    path = tmp_path / "goats.txt"
    path.write_text("".join(f"{n} Ziegen, {n * n} Füße!\n" for n in range(80)))
    made = trained(tmp_path / "out", path, start_from=voice, hidden_size=999)  # its own size is kept
    tuned, before = load_voice(made), load_voice(voice)
    old = before.vocabulary.characters or ""
    assert (tuned.vocabulary.characters or "") == old + "".join(sorted(set("Ziegen, Füße!") - set(old)))
    assert tuned.model.config.hidden_size == 24
    assert tuned.config["start_from"] == before.sha256
    scratch = trained(tmp_path / "scratch", path)
    assert measured(made, path).surprise.nats < 0.9 * measured(scratch, path).surprise.nats
    # and it goes on after a stop
    engine = train_char_rnn([path], SETTINGS, tmp_path / "stopped", start_from=voice, device="cpu")
    next(step for step in engine if step.done == 8)
    engine.close()
    settings = {"start_from": voice}
    again = trained(tmp_path / "stopped", path, **settings)
    assert load_checkpoint(again).tensors["classifier.weight"].shape[0] == len(tuned.vocabulary)


def test_fine_tuning_with_other_units(tmp_path: Path, voice: Path, text: Path) -> None:
    with pytest.raises(TrainingError, match="reads characters, not bytes"):
        train_char_rnn([text], SETTINGS.changed(units="bytes"), tmp_path / "out", start_from=voice)


# Measuring


def constant(tmp_path: Path, probabilities: dict[str, float]) -> Path:
    """A voice that always expects the same."""
    characters = "".join(sorted(probabilities))
    model = CharRNN(CharRNNConfig(len(characters), hidden_size=4))
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([math.log(probabilities[c]) for c in characters]))
    config = {"model": model.config.to_json(), "vocabulary": Vocabulary(characters).to_json()}
    return save_checkpoint(tmp_path / "constant.safetensors", packed_tensors(model, "float32"), {"config": config})


@pytest.mark.parametrize("streams", [1, 7])
def test_bits_are_those_of_the_formula(tmp_path: Path, streams: int) -> None:
    path = constant(tmp_path, {"a": 0.5, "b": 0.25, "c": 0.125, "d": 0.125})
    text = tmp_path / "text.txt"
    text.write_text("d" + "aabc" * 2000)  # the first character is not predicted
    found = measured(path, text, streams=streams)
    assert found.metrics() == pytest.approx(
        {
            "bits_per_character": 1.75,
            "nats_per_character": 1.75 * math.log(2),
            "perplexity": 2**1.75,
            "characters": 8000,
            "unseen": 0,
        }
    )
    assert "1.7500" in found.text


def test_one_pass_is_one_step_after_the_other(voice: Path, text: Path) -> None:
    loaded, total = load_voice(voice), 0.0
    ids = loaded.vocabulary.encode(TEXT)
    state = loaded.model.initial_state(1)
    with torch.no_grad():
        for now, following in itertools.pairwise(ids):
            y, state = loaded.model.recurrent.step(now[None], state)
            total -= float(loaded.model.classifier(y).log_softmax(-1)[0, following])
    found = measured(loaded, text)
    assert found.surprise.count == len(ids) - 1
    assert found.surprise.nats == pytest.approx(total / (len(ids) - 1), abs=1e-5)
    assert measured(loaded, text, streams=3).surprise.nats == pytest.approx(found.surprise.nats, abs=1e-3)


def test_streams_without_warm_up_are_separate_texts(voice: Path) -> None:
    model = load_voice(voice).model
    ids = load_voice(voice).vocabulary.encode(TEXT)[:1001]
    parts = [measure_streams(model, ids[start : start + 251], 1) for start in range(0, 1000, 250)]
    found = measure_streams(model, ids, 4, warm_up=0)
    assert found.count == 1000
    assert found.total == pytest.approx(sum(part.total for part in parts), rel=1e-5)
    whole, warm = measure_streams(model, ids, 1), measure_streams(model, ids, 4, warm_up=250)
    assert abs(warm.total - whole.total) < abs(found.total - whole.total)


def test_the_last_tenth_is_what_training_holds_out(tmp_path: Path, text: Path) -> None:
    learned, held_out = split(len(TEXT))
    assert (learned.stop, held_out.stop) == (held_out.start, len(TEXT))
    assert len(held_out) == math.ceil(len(TEXT) / 10)
    steps: list[Step] = []
    made = run(
        train_char_rnn([text], SETTINGS.changed(saved_as="float32"), tmp_path / "out", device="cpu"), steps.append
    )
    found = measured(made, text, part="last-tenth")
    assert found.surprise.nats == pytest.approx(steps[-1].metrics["nats_per_character"], rel=1e-2)
    alone = tmp_path / "alone.txt"
    alone.write_text(TEXT[held_out.start :])
    assert measured(made, alone).surprise == found.surprise


def test_characters_that_the_voice_does_not_know(tmp_path: Path, voice: Path) -> None:
    path, plain = tmp_path / "text.txt", tmp_path / "plain.txt"
    plain.write_text("12 sheep, 144 legs and too.\n" * 200)
    path.write_text("12 shéeéeép, 144 Ωlegs and too.\n" * 200)
    steps: list[Step] = []
    found = run(evaluate_voice(voice, [path], EvaluateVoiceSettings(), device="cpu"), steps.append)
    assert found.unseen == {"é": 600, "Ω": 200}
    assert found.metrics()["unseen"] == 800
    assert found.surprise.count == measured(voice, plain).surprise.count
    assert found.surprise.nats == pytest.approx(measured(voice, plain).surprise.nats, rel=1e-5)
    assert any("'é', 'Ω'" in (step.message or "") for step in steps)
    assert steps[-1].metrics == found.metrics()
    with pytest.raises(TextError, match=r"does not know 'é', 'Ω' \(800 of"):
        measured(voice, path, unseen="refuse")
    path.write_text("Ωé" * 50)
    with pytest.raises(TextError, match="at least 2"):
        measured(voice, path)


def test_measuring_can_be_stopped_and_leaves_nothing(voice: Path, text: Path) -> None:
    engine = evaluate_voice(voice, [text], device="cpu")
    assert next(engine).done == 0
    engine.close()
    with pytest.raises(TextError, match="no file"):
        evaluate_voice(voice, [text.with_name("none.txt")])


# Files


@pytest.mark.parametrize("saved_as", ["float32", "float16", "int8"])
def test_precision_of_the_file(tmp_path: Path, voice: Path, text: Path, saved_as: Any) -> None:
    whole = load_voice(voice)
    path = tmp_path / "voice.safetensors"
    save_checkpoint(path, packed_tensors(whole.model, saved_as), {"config": whole.config})
    again = load_voice(path)
    sizes = {"float32": 4.2, "float16": 2.2, "int8": 1.4}
    count = sum(p.numel() for p in whole.model.parameters())
    assert path.stat().st_size < sizes[saved_as] * count + 5000
    for (name, ours), theirs in zip(again.model.named_parameters(), whole.model.parameters(), strict=True):
        assert ours.dtype == torch.float32
        step = theirs.abs().amax(-1, keepdim=True) / 127 if theirs.dim() == 2 and saved_as == "int8" else 1e-3
        assert bool(((ours - theirs).abs() <= 0.51 * torch.as_tensor(step) + 1e-6).all()), name
    assert measured(again, text).surprise.nats == pytest.approx(measured(whole, text).surprise.nats, rel=1e-2)


def test_a_voice_knows_what_it_has_learned_from(voice: Path) -> None:
    loaded = load_voice(voice)
    assert loaded.copied is not None
    copied = read_fingerprints(loaded.copied)
    learned = TEXT[: split(len(TEXT))[0].stop]
    assert copied.characters == len(learned)
    assert copied.find(learned[500:700]).share > 0.9
    assert copied.find(learned[500:700][::-1]).share == 0


def test_loading_by_file_folder_and_name(voice: Path, tmp_path: Path) -> None:
    by_file, by_folder = load_voice(voice), load_voice(voice.parent)
    assert by_file.sha256 == by_folder.sha256
    assert by_file.settings["hidden_size"] == 24
    with pytest.raises(WeightsError, match="Did you mean 'shakespeare'"):
        load_voice("shakespear")
    with pytest.raises(WeightsError, match="no file"):
        load_voice(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="No voice has been trained in"):
        load_voice(tmp_path)


def test_files_that_are_no_voices(voice: Path, tmp_path: Path) -> None:
    checkpoint, path = load_checkpoint(voice), tmp_path / "other.safetensors"
    config = checkpoint.metadata["config"]
    for wrong in (
        {},
        {**config, "model": {"size": 3}},
        {**config, "model": {"vocabulary_size": 0}},
        {**config, "vocabulary": {}},
    ):
        save_checkpoint(path, checkpoint.tensors, {"config": wrong})
        with pytest.raises(VoiceError, match="is not a voice"):
            load_voice(path)
    save_checkpoint(path, checkpoint.tensors, {"config": {**config, "vocabulary": {"units": "bytes"}}})
    with pytest.raises(VoiceError, match="damaged"):
        load_voice(path)
    tensors = dict(checkpoint.tensors)
    tensors["classifier.weight"] = torch.zeros(tensors["classifier.weight"].shape, dtype=torch.int8)
    save_checkpoint(path, tensors, {"config": config})
    with pytest.raises(CheckpointError, match="has no scale"):
        load_voice(path)
    path.write_bytes(voice.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        load_voice(path)


# What cannot be learned from


@pytest.mark.parametrize(
    ("content", "settings", "error", "words"),
    [
        (b"", {}, TextError, "is empty"),
        (b"too short", {}, TrainingError, "9 characters, of which 8 are to learn from, but a sequence needs 17"),
        (b"aaaaaaaa" * 100, {}, TrainingError, "'a' and nothing else, 800 times"),
        (b"\0\1\2" * 100, {}, TextError, "is binary"),
        (b"caf\xe9 " * 100, {}, TextError, r"not UTF-8: the byte 0xE9 at offset 3 "),
        (b"ab\n" * 100, {"batch_size": 5, "accumulate": 2}, TrainingError, "divisible by 2"),
    ],
)
def test_bad_texts(
    tmp_path: Path, content: bytes, settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(error, match=words):
        trained(tmp_path / "out", path, **settings)
    assert not (tmp_path / "out" / "last.safetensors").exists()


def test_wrong_calls_fail_before_any_work(tmp_path: Path, text: Path) -> None:
    for call, error in (
        (lambda: train_char_rnn([tmp_path / "none"], SETTINGS, tmp_path / "out"), TextError),
        (lambda: train_char_rnn([text], SETTINGS, tmp_path / "out", start_from="shakespear"), WeightsError),
    ):
        with pytest.raises(error):
            call()
    engine = train_char_rnn([text], SETTINGS, tmp_path / "out", device="cpu")
    assert next(engine).done == 0
    engine.close()
    assert not (tmp_path / "out").exists()


def test_what_begins_as_no_text_is_refused_at_the_call(tmp_path: Path) -> None:
    for content in (b"\0\1\2" * 100, b"caf\xe9 " * 100):
        (tmp_path / "bad.txt").write_bytes(content)
        with pytest.raises(TextError, match=r"binary|not UTF-8"):
            train_char_rnn([tmp_path / "bad.txt"], SETTINGS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_an_unreadable_file_among_many(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / "texts" / f"{number}").mkdir(parents=True)
        (tmp_path / "texts" / f"{number}" / "text.txt").write_text(TEXT[:400])
    (tmp_path / "texts" / "4" / "latin.txt").write_bytes(b"\xe9" * 20)
    steps: list[Step] = []
    run(train_char_rnn([tmp_path / "texts"], SETTINGS, tmp_path / "out", device="cpu"), steps.append)
    told = " ".join(step.message or "" for step in steps)
    assert "from 10 files; skipped 1 that cannot be read, latin.txt first" in told


def test_vocabulary_error_is_a_text_error() -> None:
    assert issubclass(VocabularyError, TextError)
    assert issubclass(TextError, ValueError)


# The bundled voices


@pytest.mark.parametrize("name", list_voices())
def test_bundled_voices(name: str) -> None:
    path = locate(name)
    assert path is not None
    assert path.stat().st_size <= (2.5e6 if name == "shakespeare" else 1e6)
    loaded = load_voice(name)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert loaded.name == name
    assert loaded.sha256 in card
    assert entry(name).network == "char-rnn"
    assert loaded.copied is not None
    assert f"{sum(p.numel() for p in loaded.model.parameters()) / 1e6:.2f} million" in card


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("shakespeare", "tinyshakespeare.txt"),
        ("tolstoy", "war_and_peace.txt"),
        ("folk-tunes", "folk_tunes_abc.txt"),
        ("c-source", "xv6_c_source.txt"),
        ("latex", "algebraic_geometry_tex.txt"),
    ],
)
def test_bundled_voices_predict_as_their_cards_say(shared_data: Path, tmp_path: Path, name: str, file: str) -> None:
    path = shared_data / "text" / file
    card = (ROOT / "weights" / "voices" / f"{name}.md").read_text(encoding="utf-8")
    stated = float(card.split("nats per character | ")[1].split(" |")[0])
    if path.stat().st_size > 2e6:  # pieces of what it has not learned from, a fifth of it
        text = path.read_text(encoding="utf-8")
        pieces = [text[at : at + 4000] for at in range(len(text) * 9 // 10, len(text), 20_000)]
        (tmp_path / file).write_text("".join(pieces), encoding="utf-8")
        assert measured(name, tmp_path / file, streams=16).surprise.nats == pytest.approx(stated, abs=0.03)
        return
    found = measured(name, path, part="last-tenth", streams=16)
    assert found.surprise.nats == pytest.approx(stated, abs=2e-3)
    if name == "shakespeare":
        assert found.surprise.nats <= 1.45  # nanoGPT reports 1.4697 of its character model of 10 million weights
