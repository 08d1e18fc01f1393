"""Training captioners, in a few seconds each: what they learn, what they refuse, and that a run repeats."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from creative.checkpoint import load_checkpoint, save_checkpoint
from creative.data.captions import CaptionedPicture, CaptionsError
from creative.data.draws import Draw
from creative.data.scenes import draw_scene
from creative.data.words import WordsError, WordVocabulary
from creative.engines.captioning import learning, seen, training
from creative.engines.captioning.evaluation import Part, evaluate_caption, truth
from creative.engines.captioning.lessons import PictureLessons, SceneLessons, collate, split_pictures
from creative.engines.captioning.likeness import Likeness, fit_likeness
from creative.engines.captioning.networks import join_captioners, load_captioner, square, squares
from creative.engines.captioning.refit import refit_likeness
from creative.engines.captioning.seen import see_pictures, turned
from creative.engines.captioning.training import train_caption
from creative.engines.training import TrainingError
from creative.images import ImageError
from creative.models.captioner import CaptionerError
from creative.options.caption import EvaluateCaptionSettings, TrainCaptionSettings
from creative.progress import run

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 210), "white": (240, 240, 240)}
TINY: dict[str, Any] = {
    "encoder": "own", "picture_size": 32, "grid": 4, "encoder_width": 4, "views": 2, "steps": 6, "batch_size": 4,
    "sentences": 2, "embedding_size": 12, "hidden_size": 12, "memory_size": 12, "num_heads": 2, "max_words": 12,
    "evaluate_every": 3, "warmup": 0, "samples": 2, "beam": 2, "self_critical": 0.5, "precision": "float32",
}  # fmt: skip


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LIKENESS_SCENES", 16)
    monkeypatch.setattr(learning, "STEERED", 16)


def save_captions(folder: Path, count: int = 24, *, sentence: str = "a {} field seen from above") -> Path:
    """Pictures of one colour each, and sentences that say it; every fourth is to test with."""
    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(0)
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "caption", "split"])
        for number in range(count):
            name = list(COLOURS)[number // 2 % 4]
            noise = np.random.default_rng(number).integers(-20, 20, (24, 24, 3))
            pixels = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:03}.png")
            split = "test" if number % 4 == 3 else "train"
            table.writerow([f"{number:03}.png", sentence.replace("{}", name), split])
            table.writerow([f"{number:03}.png", dice.choice(["it is {}", "there is {} land"]).format(name), split])
    return folder


def tiny(**changed: Any) -> TrainCaptionSettings:
    return TrainCaptionSettings(**{**TINY, **changed})


def test_it_learns_to_say_the_colour(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 32)
    sizes = {"encoder_width": 8, "hidden_size": 32, "memory_size": 24, "embedding_size": 16}
    settings = tiny(
        **sizes, steps=220, batch_size=8, learning_rate=5e-3, dropout=0.0, concepts=1.0, self_critical=0.05,
        label_smoothing=0.0, ema_decay=0.0, evaluate_every=220, held_out=False,
    )  # fmt: skip
    path = run(train_caption(data, settings, tmp_path / "out", device="cpu"))
    report = run(evaluate_caption(path, data, EvaluateCaptionSettings(part="001-010"), device="cpu"))
    assert report.metrics()["bleu_1"] > 0.9
    assert {said.split()[-1] for _, said, _ in report.shown} <= {*COLOURS, "above", "land"}
    assert all(one in report.text for one in ("bleu_4", "people among themselves", "001-010"))


def test_a_run_repeats_and_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 12)
    whole = run(train_caption(data, tiny(), tmp_path / "whole", device="cpu"))
    stopped = train_caption(data, tiny(), tmp_path / "stopped", device="cpu")
    for step in stopped:
        if step.metrics and step.done == 4:
            break
    stopped.close()
    again = run(train_caption(data, tiny(), tmp_path / "stopped", device="cpu"))
    assert whole.read_bytes() == again.read_bytes()


def test_other_words_do_not_go_on(tmp_path: Path) -> None:
    run(train_caption(save_captions(tmp_path / "data", 8), tiny(steps=1), tmp_path / "out", device="cpu"))
    other = save_captions(tmp_path / "other", 8, sentence="{} quite another thing")
    with pytest.raises(TrainingError, match="trained with other words"):
        run(train_caption(other, tiny(steps=2), tmp_path / "out", device="cpu"))


def test_with_another_feature_network_what_its_pictures_are_like_is_learned_anew(tmp_path: Path) -> None:
    made = run(train_caption("scenes", tiny(steps=1, self_critical=0.0), tmp_path / "out", device="cpu"))
    file = load_checkpoint(made)
    old = {**file.metadata, "config": {**file.metadata["config"], "eye": "0" * 64}}
    path = save_checkpoint(tmp_path / "old.safetensors", file.tensors, old)
    assert load_captioner(made, device="cpu").likeness is not None
    assert load_captioner(path, device="cpu").likeness is None  # it would take scenes for something else
    run(refit_likeness(path, path, folder=tmp_path / "seen", device="cpu"))
    again = load_checkpoint(path)
    assert again.metadata == file.metadata
    assert all(torch.equal(tensor, again.tensors[name]) for name, tensor in file.tensors.items())


def test_what_is_seen_is_seen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = save_captions(tmp_path / "data", 8)
    settings = tiny(
        encoder="features", layers=("relu1_2", "relu2_1"), picture_size=32, grid=2, views=4, steps=2, self_critical=0.0
    )
    run(train_caption(data, settings, tmp_path / "out", device="cpu"))
    monkeypatch.setattr(seen._Looking, "__call__", lambda *_: pytest.fail("seen again"))
    run(train_caption(data, settings.changed(steps=3), tmp_path / "out", device="cpu"))


def test_views_are_those_of_the_turned_pictures(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(file)
    from creative.models.caption_encoders import EncoderConfig, make_encoder

    encoder = make_encoder(EncoderConfig("features", layers=("relu1_1",), picture_size=20, grid=2))
    kept = run(see_pictures([file], encoder, tmp_path / "cache", size=20, views=8))
    picture = squares([Image.open(file)], 20)
    for view in range(8):
        expected = encoder(turned(picture, view))
        # Half precision, and products in bfloat16 where the machine has it.
        torch.testing.assert_close(torch.tensor(kept.grids[view]).float(), expected, atol=0.05, rtol=0.05)
    assert len({turned(picture, view).numpy().tobytes() for view in range(8)}) == 8


def test_corrupt_pictures_are_skipped_counted_and_named(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 12)
    (data / "004.png").write_bytes(b"\x89PNG and no more")
    messages = []
    settings = tiny(steps=1)
    run(train_caption(data, settings, tmp_path / "out", device="cpu"), lambda step: messages.append(step.message or ""))
    assert any("Skipped" in message and "004.png" in message for message in messages)
    assert any("skipped 1 that cannot be read, 004.png first" in message for message in messages)
    for file in data.glob("*.png"):
        file.write_bytes(b"nothing")
    with pytest.raises(ImageError, match="None of"):
        run(train_caption(data, settings, tmp_path / "new", device="cpu"))


@pytest.mark.parametrize("sentence", ["{}", " ".join(["{}"] * 200), "поле {} 畑", "{}!"])
def test_captions_of_any_length_and_script(tmp_path: Path, sentence: str) -> None:
    data = save_captions(tmp_path / "data", 8, sentence=sentence)
    path = run(train_caption(data, tiny(steps=2, units="characters", min_count=1), tmp_path / "out", device="cpu"))
    assert run(evaluate_caption(path, data, device="cpu")).metrics()["bleu_1"] >= 0


def test_what_nothing_can_be_learned_from_is_told(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 8)
    with pytest.raises(CaptionsError, match="no file or folder"):
        train_caption(tmp_path / "nowhere", tiny())
    with pytest.raises(WordsError, match="Lower the least count"):
        run(train_caption(data, tiny(min_count=500), tmp_path / "out", device="cpu"))
    with pytest.raises(TrainingError, match="encoder own"):
        train_caption("scenes", TrainCaptionSettings())
    with pytest.raises(CaptionerError, match="a grid of 4"):
        train_caption(data, tiny(grid=5))
    (data / "captions.csv").write_text("000.png,one picture\n")
    with pytest.raises(CaptionsError, match="at least 2 are needed"):
        train_caption(data, tiny())


def test_a_vocabulary_of_one_word(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 8)
    rows = [f"{number:03}.png,land" for number in range(8)]
    (data / "captions.csv").write_text("\n".join(["file,caption", *rows]))
    path = run(train_caption(data, tiny(steps=2), tmp_path / "out", device="cpu"))
    assert len(load_captioner(path).vocabulary) == 4


def test_scenes_are_learned_from_without_end(tmp_path: Path) -> None:
    settings = tiny(views=1, steps=4, picture_size=32, grid=8)
    path = run(train_caption("scenes", settings, tmp_path / "out", device="cpu"))
    report = run(evaluate_caption(path, None, EvaluateCaptionSettings(scenes=10, shown=2), device="cpu"))
    assert report.truths["test"].whole.tries == 10
    assert "compositional scenes" in report.text
    assert 0 <= report.metrics()["truth_of_two_test"] <= 1 or "two" not in report.truths["test"].kinds


def test_sentences_about_scenes_are_held_against_them() -> None:
    scenes = [draw_scene(seed, kind="two") for seed in range(40)]
    told = [scene.sentences(1)[0] for scene in scenes]
    assert truth(scenes, told).whole == Part(40, 40)
    related = sum(scene.is_true(one) and " and " not in one for scene, one in zip(scenes, told, strict=True))
    assert truth(scenes, told).two == Part(related, 40)
    assert truth(scenes, [*told[1:], told[0]]).whole.value < 0.5
    assert truth(scenes[:1], ["not of this grammar"]).whole == Part(0, 1)


def test_rewards_for_scenes_are_for_sentences_that_are_true_and_say_enough() -> None:
    lessons = SceneLessons(WordVocabulary(("a",)), size=32, each=1)
    reward = lessons.rewards()
    index = next(index for index in range(100) if lessons.scene(index).kind == "two")
    scene = lessons.scene(index)
    told = [one for seed in range(50) for one in scene.sentences(5, seed=seed)]
    assert reward(index, next(one for one in told if " and " not in one)) == 1.0
    assert reward(index, next(one for one in told if " and " in one)) == 0.0  # says nothing of how they stand
    thing = scene.things[0]
    assert reward(index, f"there is a {thing.shape}".replace("a octagon", "an octagon")) == 0.0
    assert reward(index, "a shape above a shape") == 0.0
    assert reward(index, "words, words, words") == 0.0


def test_rewards_for_pictures_are_cider_d(tmp_path: Path) -> None:
    from creative.caption_metrics import cider_d

    vocabulary = WordVocabulary.of(["a red field", "a blue field", "it is red", "blue land"])
    sentences = [("a red field", "it is red"), ("a blue field", "blue land")]
    pictures = [CaptionedPicture(tmp_path / f"{place}.png", "train", told) for place, told in enumerate(sentences)]
    lessons = PictureLessons(pictures, None, [0, 1], vocabulary, each=1, max_words=9, views=1)  # type: ignore[arg-type]
    expected = cider_d({0: "a red field", 1: "red"}, {place: list(told) for place, told in enumerate(sentences)})
    reward = lessons.rewards()
    assert (reward(0, "a red field") + reward(1, "red")) / 2 == pytest.approx(expected)


def test_neighbours_are_held_out_together(tmp_path: Path) -> None:
    pictures = [CaptionedPicture(tmp_path / f"{place:03}.png", "train", ("a",)) for place in range(120)]
    training_part, held_out = split_pictures({"train": pictures, "val": []})
    assert [int(one.path.stem) for one in held_out] == [*range(54, 60), *range(114, 120)]
    assert len(training_part) == 108
    given = split_pictures({"train": pictures[:5], "val": pictures[5:7]})
    assert (len(given[0]), len(given[1])) == (5, 2)


def test_lessons_are_a_function_of_their_draw(tmp_path: Path) -> None:
    vocabulary = WordVocabulary.of(["a red circle and a blue star"])
    lessons = SceneLessons(vocabulary, size=32, each=3)
    one, same, other = (lessons[Draw(index, 0)] for index in (5, 5, 6))
    assert torch.equal(one["grid"], same["grid"])
    assert not torch.equal(one["grid"], other["grid"])
    batch = collate([one, other])
    assert batch["read"].shape == batch["write"].shape == batch["there"].shape
    assert len(batch["read"]) == 6


def test_captioners_that_write_together(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 8)
    paths = [
        run(train_caption(data, tiny(steps=1, seed=seed), tmp_path / f"out{seed}", device="cpu")) for seed in (0, 1)
    ]
    both = load_captioner(join_captioners(paths, tmp_path / "both.safetensors"))
    assert len(both.captioners) == len(both.encoders) == 2
    alone = [load_captioner(path).captioners[0].words.weight for path in paths]
    for mine, theirs in zip(both.captioners, alone, strict=True):
        torch.testing.assert_close(mine.words.weight, theirs, atol=2e-3, rtol=0)
    assert run(evaluate_caption(both, data)).metrics()["bleu_1"] >= 0
    other = run(train_caption(data, tiny(steps=1, hidden_size=8), tmp_path / "other", device="cpu"))
    with pytest.raises(CaptionerError, match="another shape"):
        join_captioners([paths[0], other], tmp_path / "not.safetensors")


def test_a_captioner_is_gone_on_from(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 8)
    first = run(train_caption(data, tiny(steps=1), tmp_path / "first", device="cpu"))
    settings = tiny(steps=1, hidden_size=40, learning_rate=1e-9)
    second = run(train_caption(data, settings, tmp_path / "second", start_from=first, device="cpu"))
    before, after = (load_captioner(path).captioners[0] for path in (first, second))
    torch.testing.assert_close(before.reading.state_dict(), after.reading.state_dict(), atol=2e-3, rtol=0)


def test_files_that_are_no_captioner_are_refused(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 8)
    path = run(train_caption(data, tiny(steps=1), tmp_path / "out", device="cpu"))
    file = load_checkpoint(path)
    nothing = save_checkpoint(tmp_path / "nothing.safetensors", {"a": torch.zeros(1)}, {})
    with pytest.raises(CaptionerError, match="is not a captioner"):
        load_captioner(nothing)
    metadata = json.loads(json.dumps(file.metadata))
    metadata["config"]["vocabulary"]["words"].append("more")
    with pytest.raises(CaptionerError, match="is damaged"):
        load_captioner(save_checkpoint(tmp_path / "more.safetensors", file.tensors, metadata))


def test_a_captioner_trained_with_another_encoder_is_refused(tmp_path: Path) -> None:
    data = save_captions(tmp_path / "data", 8)
    settings = tiny(encoder="features", layers=("relu1_1",), picture_size=32, grid=2, steps=1, self_critical=0.0)
    file = load_checkpoint(run(train_caption(data, settings, tmp_path / "out", device="cpu")))
    metadata = json.loads(json.dumps(file.metadata))
    metadata["config"]["encoder"]["sha256"] = "0" * 64
    with pytest.raises(CaptionerError, match="trained with another bundled network"):
        load_captioner(save_checkpoint(tmp_path / "other.safetensors", file.tensors, metadata))


def test_pictures_of_another_kind_are_told() -> None:
    generator = torch.Generator().manual_seed(0)
    own = torch.randn(300, 12, generator=generator) @ torch.randn(12, 12, generator=generator)
    far = 6 * torch.randn(100, 12, generator=generator)
    near = own[:100] + 0.3 * torch.randn(100, 12, generator=generator)
    for others in (None, far[:50] + 20, far[:50]):  # the last of them no plane can tell
        likeness = Likeness.of(fit_likeness(own[:200], own[200:], others).tensors())
        assert likeness is not None
        assert (likeness(near) <= 1).float().mean() > 0.9
        assert (likeness(far + 10) > 1).float().mean() > 0.9
    shifted = own[:100] + 1.5 * own.std(0) * torch.tensor([1.0] + [0.0] * 11)  # not far, but the others are there
    blind = fit_likeness(own[:200], own[200:])
    seeing = fit_likeness(own[:200], own[200:], own[200:] + 3 * own.std(0) * torch.tensor([1.0] + [0.0] * 11))
    assert seeing(shifted).mean() > blind(shifted).mean()


def test_a_square_shows_the_whole_picture() -> None:
    wide = Image.new("RGB", (60, 20), "red")
    wide.paste("blue", (50, 0, 60, 20))
    small = square(wide, 12)
    assert small.shape == (3, 12, 12)
    assert small[0, 6, 0] > 200
    assert small[2, 6, 11] > 200
