"""Training the feature network: it learns from a tiny teacher, repeats, resumes, stops, and is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from creative.checkpoint import load_checkpoint, read_metadata
from creative.data.pictures import PicturesError, centre_crops, find_pictures, pack_pictures, split_pictures
from creative.device import random_generator
from creative.engines.features import (
    Distillation,
    Evaluation,
    Hint,
    Painter,
    Share,
    evaluate_features,
    measure_cost,
    save_untrained,
    score_styles,
    train_features,
)
from creative.engines.features import evaluation as evaluation_module
from creative.engines.features.styles import JUDGE_LAYERS
from creative.engines.training import train
from creative.models.features import Classifier, Features, load_classifier, load_features, untrained_features
from creative.models.vgg import VGGConfig
from creative.options.features import EvaluateFeaturesSettings, FeaturesSettings
from creative.progress import Engine, Step, run

HINTS = (Hint("toy", "relu1", "relu1_1"), Hint("toy", "relu2", "relu2_1"))
SHAPE = VGGConfig((8, 12), (1, 1), 5)


def teacher() -> Classifier:
    generator = random_generator(3)
    relu1 = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
    relu2 = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 10, 3, padding=1), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 5))
    for module in (relu1, relu2, head):
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.4, generator=generator)
    features = Features("toy", [("relu1", "", relu1), ("relu2", "", relu2)], ["relu1", "relu2"])
    return Classifier(features, head, ["a", "b", "c", "d", "e"])


def draw_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = random.integers(0, 256, (random.integers(2, 9), 5, 3), np.uint8)
        image = Image.fromarray(coarse).resize((80, 72), Image.Resampling.BICUBIC)
        image.save(folder / f"n{number:08d}_{'abcde'[number % 5]}.png")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("data") / "pictures", 40)


def settings(**values: object) -> FeaturesSettings:
    toy = {"batch_size": 8, "crop": 64, "workers": 0, "warmup": 5, "precision": "float32", "learning_rate": 1e-2}
    return FeaturesSettings(**{**toy, "evaluate_every": 1000, "save_every": 1000, "ema_decay": 0.9, **values})


def task(data: Path, chosen: FeaturesSettings) -> Distillation:
    train_files, held_out = split_pictures(find_pictures([data]))
    packs = [run(pack_pictures(files, data.parent / "cache", short_side=72)) for files in (train_files, held_out)]
    return Distillation(packs[0], packs[1], {"toy": teacher()}, chosen, SHAPE, HINTS)


def fit(data: Path, folder: Path, **values: object) -> tuple[Path, dict[str, float]]:
    chosen = settings(**values)
    steps: list[Step] = []
    path = run(train(task(data, chosen), chosen, folder, device="cpu"), steps.append)
    return path, dict(steps[-1].metrics)


def test_the_student_learns_to_see_like_its_teacher(data: Path, tmp_path: Path) -> None:
    path, metrics = fit(data, tmp_path / "run", steps=100, log_every=10)
    assert metrics["explained_toy_relu1"] > 0.6
    assert metrics["explained_toy_relu2"] > 0.4, metrics
    assert metrics["agreement"] >= 0.5
    # The file is the folded network; what it sees goes together with what the teacher sees.
    assert {"config", "settings", "training"} <= set(read_metadata(path))
    assert {tensor.dtype for tensor in load_checkpoint(path).tensors.values()} == {torch.float16}
    assert not [name for name in load_checkpoint(path).tensors if "norm" in name or "regressors" in name]
    network = load_classifier("bundled", weights=path)
    _, held_out = split_pictures(find_pictures([data]))
    pictures = centre_crops(run(pack_pictures(held_out, tmp_path / "cache")), 64)
    agree = (network(pictures).argmax(1) == teacher()(pictures).argmax(1)).float().mean()
    assert agree >= 0.5
    maps = load_features("bundled", layers=["relu1_1", "relu2_1"], weights=path)(pictures)
    for map_ in maps.values():
        assert 0.3 < map_.mean() < 3


def test_same_seed_same_bytes(data: Path, tmp_path: Path) -> None:
    first, second, other = (fit(data, tmp_path / str(n), steps=6, seed=n // 2)[0].read_bytes() for n in range(3))
    assert first == second
    assert first != other


def test_a_stopped_run_goes_on(data: Path, tmp_path: Path) -> None:
    whole, _ = fit(data, tmp_path / "whole", steps=8)
    chosen = settings(steps=8)
    engine = train(task(data, chosen), chosen, tmp_path / "cut", device="cpu")
    for step in engine:
        if step.done == 3:
            engine.close()
    again, _ = fit(data, tmp_path / "cut", steps=8)
    assert again.read_bytes() == whole.read_bytes()


def test_previews_are_pictures_of_the_maps(data: Path, tmp_path: Path) -> None:
    chosen = settings(steps=2)
    engine = train(task(data, chosen), chosen, tmp_path / "run", device="cpu")
    sizes = [step.preview().size for step in engine if step.preview is not None]
    assert (4 * 64, 3 * 64) in sizes


def test_wrong_data_is_told_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(PicturesError, match="There is no folder"):
        train_features([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PicturesError, match="No picture was found"):
        train_features([tmp_path / "empty"])
    with pytest.raises(ValueError, match="held out"):
        train_features([draw_pictures(tmp_path / "one", 1)])


def test_missing_teachers_are_told_at_the_call(data: Path) -> None:
    with pytest.raises(ValueError, match="squeezenet1_0"):
        train_features([data])
    with pytest.raises(ValueError, match="no weights file"):
        train_features([data], teachers={"squeezenet1_0": Path("nowhere.safetensors")})


def test_it_can_be_cancelled_from_the_start(data: Path, tmp_path: Path, shared_data: Path) -> None:
    engine = train_features([data], settings(steps=1000), tmp_path / "run", teachers=real_teachers(shared_data))
    assert next(engine).done == 0
    engine.close()
    assert not list((tmp_path).rglob("*.safetensors"))


def real_teachers(shared_data: Path) -> dict[str, Path | None]:
    names = ("squeezenet1_0", "mobilenet_v2")
    return {name: shared_data / "weights" / f"{name}_imagenet.safetensors" for name in names}


def test_the_real_recipe_runs(data: Path, tmp_path: Path, shared_data: Path) -> None:
    chosen = settings(steps=2, batch_size=4)
    (draw_pictures(tmp_path / "data", 12) / "broken.png").write_bytes(b"not a picture")
    messages: list[str] = []
    path = run(
        train_features([tmp_path / "data"], chosen, tmp_path / "run", teachers=real_teachers(shared_data)),
        lambda step: messages.append(step.message or ""),
    )
    assert any("broken.png" in message for message in messages)
    config = read_metadata(path)["config"]
    assert config["network"] == VGGConfig().to_json()
    assert len(config["classes"]) == 1000
    assert set(config["teachers"]) == {"squeezenet1_0", "mobilenet_v2"}
    assert load_features("bundled", layers=["relu5_2"], weights=path)(torch.rand(1, 3, 32, 32))["relu5_2"].numel()


# Measuring


def test_wilsons_interval() -> None:
    low, high = Share(10, 95).interval  # R: prop.test(10, 95, correct = FALSE)
    assert (low, high) == (pytest.approx(0.0582, abs=2e-4), pytest.approx(0.1831, abs=2e-4))
    assert str(Share(0, 0)) == "no labels"


def test_a_network_explains_itself_and_not_noise() -> None:
    features = untrained_features("bundled", layers=["relu1_1"])
    pictures = torch.rand(4, 3, 32, 32, generator=random_generator(0))
    map_ = features(pictures)["relu1_1"]
    for target, expected in ((2 * map_ + 1, 1.0), (torch.rand(map_.shape, generator=random_generator(1)), 0.0)):
        regression = evaluation_module._Regression(Hint("x", "y", "relu1_1"))
        regression.fit(map_[:3], target[:3])
        regression.solve()
        regression.judge(map_[3:], target[3:])
        assert 1 - regression.squared / regression.variance == pytest.approx(expected, abs=0.02)


def test_cost_counts_what_is_kept_for_the_backward_pass() -> None:
    features = untrained_features("bundled", layers=["relu1_1"])
    small, large = (measure_cost(features, size, repeats=1) for size in (32, 64))
    assert large.held_mb == pytest.approx(4 * small.held_mb, rel=0.2)
    assert small.forward_ms > 0


def test_the_untouched_photo_and_the_painting_itself_score_as_they_must(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    photo, painting = (Image.fromarray(random.integers(0, 256, (80, 80, 3), np.uint8)) for _ in range(2))

    def giving(picture: Image.Image) -> Painter:
        def paint(photo: Image.Image, painting: Image.Image) -> Engine[Image.Image]:
            yield Step(0, 1, preview=lambda: picture)
            return picture

        return paint

    judge = untrained_features("squeezenet1_0", layers=JUDGE_LAYERS)
    engine = score_styles([(photo, painting)], {"photo": giving(photo), "painting": giving(painting)}, judge)
    found = run(engine)
    assert (found["photo"].style, found["photo"].content) == (pytest.approx(1, abs=1e-4), pytest.approx(0, abs=1e-4))
    assert (found["painting"].style, found["painting"].grain) == (pytest.approx(0, abs=1e-4), pytest.approx(1))
    report = Evaluation(styles=found)
    assert "| painting | 0.000 |" in str(report)
    assert report.metrics()["photo_content"] == pytest.approx(0, abs=1e-4)


def test_untrained_weights_are_a_network_and_repeat(tmp_path: Path) -> None:
    first, second = (save_untrained(tmp_path / f"{number}.safetensors") for number in range(2))
    assert first.read_bytes() == second.read_bytes()
    maps = load_features(layers=["relu5_2"], weights=first)(torch.rand(1, 3, 64, 64))
    assert maps["relu5_2"].std() > 0


def test_photos_and_paintings_must_be_as_many(data: Path) -> None:
    from apps.features import APP
    from creative.options.features import EvaluateFeaturesInputs

    measure = APP.actions[1]
    inputs = EvaluateFeaturesInputs(data=(data,), photos=(data / "n00000000_a.png",))
    with pytest.raises(ValueError, match="1 photos and 0 paintings"):
        measure.start(inputs, EvaluateFeaturesSettings(), "cpu")


def test_evaluation_of_the_bundled_network(data: Path, tmp_path: Path, shared_data: Path) -> None:
    chosen = EvaluateFeaturesSettings(size=64, fit_pictures=20, speed_size=64, repeats=1)
    engine = evaluate_features(
        [data], chosen, teachers=real_teachers(shared_data), cache=tmp_path / "cache", device="cpu"
    )
    metrics: dict[str, float] = {}
    report = run(engine, lambda step: metrics.update(step.metrics))
    assert metrics.keys() >= {"agreement_with_mobilenet_v2", "explained_squeezenet1_fire5", "vgg19_forward_ms"}
    assert report.explained["squeezenet1_fire3"] > 0.2
    assert "| vgg19 |" in str(report)
