"""Training the feature network: it learns from a tiny teacher, repeats, resumes and stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from creative.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from creative.data.pictures import PicturesError, centre_crops, find_pictures, pack_pictures, split_pictures
from creative.device import random_generator
from creative.engines.features import (
    Distillation,
    Hint,
    train_features,
)
from creative.engines.training import train
from creative.models.features import Classifier, Features, load_classifier, load_features
from creative.models.vgg import VGGConfig
from creative.options.features import FeaturesSettings
from creative.progress import Step, run

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


def task(data: Path, chosen: FeaturesSettings, start: Path | None = None) -> Distillation:
    train_files, held_out = split_pictures(find_pictures([data]))
    packs = [run(pack_pictures(files, data.parent / "cache", short_side=72)) for files in (train_files, held_out)]
    checkpoint = load_checkpoint(start) if start else None
    names: dict[str, Any] = {"network": SHAPE, "hints": HINTS, "class_teacher": "toy", "folders": [data]}
    return Distillation(packs[0], packs[1], {"toy": teacher()}, chosen, checkpoint, **names)


def fit(data: Path, folder: Path, start: Path | None = None, **values: object) -> tuple[Path, dict[str, float]]:
    chosen = settings(**values)
    steps: list[Step] = []
    path = run(train(task(data, chosen, start), chosen, folder, device="cpu"), steps.append)
    return path, dict(steps[-1].metrics)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned a little."""
    return fit(data, tmp_path_factory.mktemp("finished"), steps=30)[0]


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


def test_a_stopped_run_from_a_finished_network_goes_on(data: Path, finished: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "steps": 8,
        "frozen_stages": 1,
        "shares": (1.0,),
        "cutmix": 0.5,
        "unnatural": 0.4,
        "painted": 0.25,
        "optimizer": "muon",
    }
    whole, _ = fit(data, tmp_path / "whole", finished, **values)
    chosen = settings(**values)
    engine = train(task(data, chosen, finished), chosen, tmp_path / "cut", device="cpu")
    for step in engine:
        if step.done == 3:
            engine.close()
    again, _ = fit(data, tmp_path / "cut", finished, **values)
    assert again.read_bytes() == whole.read_bytes()
    assert read_metadata(whole)["config"]["started_from"] == load_checkpoint(finished).sha256


def test_training_goes_on_from_a_finished_network(data: Path, finished: Path, tmp_path: Path) -> None:
    before, _ = fit(data, tmp_path / "before", finished, steps=1, learning_rate=1e-12, weight_decay=0)
    _, held_out = split_pictures(find_pictures([data]))
    pictures = centre_crops(run(pack_pictures(held_out, tmp_path / "cache")), 64)
    first, second = (load_classifier("bundled", weights=path) for path in (finished, before))
    torch.testing.assert_close(second(pictures), first(pictures), rtol=0.02, atol=0.02)
    # The regressions are as good as they can be from the first step.
    _, metrics = fit(data, tmp_path / "on", finished, steps=1, learning_rate=1e-12)
    _, fresh = fit(data, tmp_path / "fresh", steps=1, learning_rate=1e-12)
    assert metrics["explained_toy_relu2"] > 0.3 > fresh["explained_toy_relu2"]


def test_frozen_stages_stay_and_the_others_learn(data: Path, finished: Path, tmp_path: Path) -> None:
    path, metrics = fit(data, tmp_path / "run", finished, steps=20, frozen_stages=1)
    assert "explained_toy_relu2" in metrics
    assert "explained_toy_relu1" not in metrics
    before, after = (load_checkpoint(file).tensors for file in (finished, path))
    names = [name for name in before if name.endswith("weight")]
    # Each layer is scaled as a whole at the end: only directions can be compared.
    turned = {n: float(F.cosine_similarity(before[n].float().flatten(), after[n].float().flatten(), 0)) for n in names}
    assert turned.pop("features.conv1_1.weight") > 0.99999
    assert max(turned.values()) < 0.999


def test_wrong_starts_are_told(data: Path, finished: Path, tmp_path: Path, shared_data: Path) -> None:
    with pytest.raises(ValueError, match="leave at least one"):
        task(data, settings(frozen_stages=2), finished)
    with pytest.raises(ValueError, match="which one to start from"):
        train_features([data], settings(frozen_stages=1))
    with pytest.raises(ValueError, match="1 folders of pictures, but 2 shares"):
        train_features([data], settings(shares=(1, 2)))
    with pytest.raises(ValueError, match="holds no network"):
        train_features([data], start_from=real_teachers(shared_data)["mobilenet_v2"])
    checkpoint = load_checkpoint(finished)
    config = {**checkpoint.metadata["config"], "classes": list("vwxyz")}
    other = save_checkpoint(tmp_path / "other.safetensors", checkpoint.tensors, {"config": config})
    with pytest.raises(ValueError, match="other classes"):
        task(data, settings(), other)


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
