"""The feature network's classifier: a closed form that names what nobody taught it, and leaves the maps alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from creative.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from creative.data.pictures import PicturesError
from creative.device import random_generator
from creative.engines.features import classifier as engine
from creative.engines.features import fit_classifier, train_classifier
from creative.models.features import Classifier, Features, FeaturesError, load_classifier, load_features
from creative.models.vgg import VGG, VGGConfig
from creative.options.features import ClassifierSettings
from creative.progress import run

SHAPE = VGGConfig((6, 9), (1, 1), 5)
CLASSES = ["a", "b", "c", "d", "e"]


def teacher(name: str, seed: int) -> Classifier:
    generator = random_generator(seed)
    body = nn.Sequential(nn.Conv2d(3, 12, 3, 2, padding=1), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))
    for parameter in [*body.parameters(), *head.parameters()]:
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return Classifier(Features(name, [("relu", "", body)], ["relu"]), head, CLASSES)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tensors = {name: tensor.half() for name, tensor in VGG(SHAPE).state_dict().items()}
    about = {"config": {"network": SHAPE.to_json(), "classes": CLASSES}, "training": {"steps": 7}}
    return save_checkpoint(tmp_path / "network.safetensors", tensors, about)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(24):
        coarse = random.integers(0, 256, (random.integers(2, 6), 4, 3), np.uint8)
        Image.fromarray(coarse).resize((80, 64), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def train(data: Path, network: Path, out: Path, monkeypatch: pytest.MonkeyPatch, **values: object) -> Path:
    def load(name: str, **rest: object) -> Classifier:
        return load_classifier(weights=network) if name == "bundled" else teacher(name, len(name))

    monkeypatch.setattr(engine, "load_classifier", load)
    monkeypatch.setattr(engine, "TEACHER_SIZE", 64)
    settings = ClassifierSettings(**{"crops": 200, "size": 32, "short_side": 64, **values})
    steps: list[dict[str, float]] = []
    job = train_classifier([data], settings, out, network=network, cache=data.parent / "cache", device="cpu")
    path = run(job, lambda step: steps.append(dict(step.metrics)))
    assert 0 <= steps[-1]["agreement"] <= 1
    return path


def test_only_the_classifier_is_another(
    data: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = train(data, network, tmp_path / "new.safetensors", monkeypatch)
    before, after = load_checkpoint(network), load_checkpoint(path)
    assert before.tensors.keys() == after.tensors.keys()
    for name, tensor in before.tensors.items():
        assert torch.equal(tensor, after.tensors[name]) == name.startswith("features."), name
        assert tensor.dtype == after.tensors[name].dtype
    about = read_metadata(path)
    assert about["training"] == {"steps": 7}
    assert about["classifier"]["settings"]["crops"] == 200
    assert set(about["classifier"]["teachers"]) == {"squeezenet1_0", "mobilenet_v2"}
    maps = [load_features(layers=["relu1_1"], weights=one).sha256 for one in (network, path)]
    assert maps[0] == maps[1]
    again = train(data, network, tmp_path / "again.safetensors", monkeypatch)
    assert again.read_bytes() == path.read_bytes()


def known(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, logits that follow from them with noise on some classes, and pictures, two crops of each."""
    generator = random_generator(seed)
    seen = torch.randn(count, 8, generator=generator) * torch.arange(1, 9) + 3
    truth = torch.randn(8, 6, generator=random_generator(1))
    noise = torch.randn(count, 6, generator=generator) * torch.tensor([0.0, 0, 0, 12, 12, 12])
    return seen, (seen - 3) / torch.arange(1, 9) @ truth * 3 + noise, torch.arange(count) // 2


def test_every_class_has_its_turn() -> None:
    seen, told, pictures = known(600, 0)
    (weights, bias), agreement = fit_classifier(seen, {"toy": told}, pictures, 0.01)
    logits = seen @ weights.T + bias
    # In equal units: mean 0 and one deviation for all, though half of them are badly explained.
    torch.testing.assert_close(logits.mean(0), torch.zeros(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(logits.std(0), logits.std(0).mean().expand(6), rtol=1e-3, atol=0)
    assert logits.argmax(1).bincount(minlength=6).min() > 0.05 * len(seen)
    fresh, truth, _ = known(600, 5)
    found = ((fresh @ weights.T + bias).argmax(1) == truth.argmax(1)).float().mean()
    assert 0.3 < agreement < 0.95
    assert abs(float(found) - agreement) < 0.08  # what cross-validation promises holds on others


def test_it_is_as_sure_as_it_should_be() -> None:
    seen, told, pictures = known(900, 0)
    (weights, bias), _ = fit_classifier(seen, {"toy": told}, pictures, 0.01)
    fresh, truth, _ = known(900, 7)

    def surprise(scale: float) -> float:
        return float(F.cross_entropy(scale * (fresh @ weights.T + bias), truth.softmax(1)))

    assert surprise(1.0) < min(surprise(0.7), surprise(1.4))


def test_two_teachers_count_alike_whatever_their_units() -> None:
    seen, told, pictures = known(300, 0)
    other = told.flip(1)
    plain, _ = fit_classifier(seen, {"one": told, "two": other}, pictures, 0.01)
    loud, _ = fit_classifier(seen, {"one": told, "two": 50 * other + 7}, pictures, 0.01)
    torch.testing.assert_close(loud[0], plain[0], rtol=1e-3, atol=1e-4)


def test_what_cannot_work_is_said_at_once(
    data: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FeaturesError, match="1 folders of pictures, but 2 shares"):
        train(data, network, tmp_path / "x.safetensors", monkeypatch, shares=(1.0, 2.0))
    with pytest.raises(PicturesError, match="no folder"):
        train(tmp_path / "none", network, tmp_path / "x.safetensors", monkeypatch)
    monkeypatch.setattr(f"{__name__}.CLASSES", ["a", "b", "c", "d", "z"])
    with pytest.raises(FeaturesError, match="other classes than"):
        train(data, network, tmp_path / "x.safetensors", monkeypatch)
    assert not (tmp_path / "x.safetensors").exists()
