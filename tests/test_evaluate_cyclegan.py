"""Measuring a CycleGAN: its yardsticks, what it keeps, what it spoils, and how that is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_cyclegan import draw

from creative.blocks.gan import GANError, PatchConfig, ResNetConfig, initialise
from creative.checkpoint import save_checkpoint
from creative.device import random_generator
from creative.engines.cyclegan import Report, evaluate_cyclegan
from creative.engines.cyclegan.distances import Ruler, checkerboard, describe, grain, matched_colours
from creative.models.cyclegan import CycleGANConfig, make_generator
from creative.models.features import load_features
from creative.options.cyclegan import EvaluateCycleGANSettings
from creative.progress import Step, run
from creative.weights import WeightsError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    for kind in ("hills", "stripes"):
        draw(folder / kind / "train", kind, count=8, size=72)
        draw(folder / kind / "test", kind, count=4, size=72, seed=1)
    return folder


def network(path: Path, *, both: bool = True) -> Path:
    """Two generators that change nothing."""
    config = CycleGANConfig(
        ResNetConfig(width=4, num_blocks=1, residual=True), PatchConfig(width=4), "hills", "stripes", 64
    )
    tensors: dict[str, torch.Tensor] = {}
    for direction in ("a_to_b", "b_to_a") if both else ("a_to_b",):
        generator = initialise(make_generator(config), "normal", random_generator(0))
        tensors |= {f"{direction}.{name}": value for name, value in generator.state_dict().items()}
    return save_checkpoint(path, tensors, {"config": config.to_json()})


SETTINGS = EvaluateCycleGANSettings(size=64, pictures=4, floor=8)


@pytest.fixture(scope="module")
def report(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("report")
    steps: list[Step] = []
    found = run(
        evaluate_cyclegan(
            data / "hills",
            data / "stripes",
            SETTINGS,
            weights=network(folder / "still.safetensors"),
            cache=folder,
            sheet_file=folder / "sheet.png",
            device="cpu",
        ),
        steps.append,
    )
    assert steps[0].done == 0
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.size == (4 * 64 + 3 * 4, 6 * 64 + 5 * 4)
    return found


def test_what_changes_nothing_is_as_far_as_the_untouched(report: Report) -> None:
    for direction in ("a_to_b", "b_to_a"):
        found = report.yardsticks[direction, "bundled"]
        for distances in (found.kernel, found.frechet):
            assert distances["translated"] == pytest.approx(distances["untouched"], rel=0.02)
            assert distances["floor"] < distances["colours"]
            assert distances["floor"] < 0.7 * distances["untouched"]
        quality = report.qualities[direction]
        assert quality.content < 1e-3 < quality.content_of_another
        assert quality.change < 1 / 255
        assert quality.round_trip is not None
        assert quality.round_trip < 1 / 255


def test_it_is_told_in_tables(report: Report) -> None:
    text = report.text
    for words in (
        "From hills to stripes",
        "From stripes to hills",
        "| hills, untouched",
        "| hills, colour statistics of stripes",
        "| **hills, translated**",
        "| stripes of the training set (the floor)",
        "checkerboard",
        "content distance",
    ):
        assert words in text, words
    assert str(report) == text
    metrics = report.metrics()
    assert metrics["a_to_b_bundled_kernel_floor"] < metrics["a_to_b_bundled_kernel_untouched"]
    assert report.provenance is not None
    assert report.provenance.weights["cyclegan"] == report.sha256


def test_one_direction_only(data: Path, tmp_path: Path) -> None:
    file = network(tmp_path / "one.safetensors", both=False)
    found = run(
        evaluate_cyclegan(data / "hills", data / "stripes", SETTINGS, weights=file, cache=tmp_path, device="cpu")
    )
    assert list(found.qualities) == ["a_to_b"]
    assert found.qualities["a_to_b"].round_trip is None


def test_what_is_missing_is_said_at_once(data: Path, tmp_path: Path) -> None:
    a, b = data / "hills", data / "stripes"
    with pytest.raises(GANError, match="holds no CycleGAN"):
        evaluate_cyclegan(a, b, weights=ROOT / "weights" / "features.safetensors")
    with pytest.raises(ValueError, match=r"nowhere\.safetensors"):
        evaluate_cyclegan(a, b, weights=tmp_path / "nowhere.safetensors")
    file = network(tmp_path / "one.safetensors")
    with pytest.raises(WeightsError, match=r"There is no weights file"):
        evaluate_cyclegan(a, b, weights=file, judge=tmp_path / "squeezenet.pth")
    with pytest.raises(ValueError, match="Both domains are"):
        evaluate_cyclegan(a, a, weights=file)


# What it measures with


def test_matched_colours_have_the_wanted_statistics_and_nothing_else() -> None:
    random = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[0.1, 0.02, 0], [0, 0.08, 0.03], [0.02, 0, 0.05]])
    pictures = 0.4 + torch.einsum("dc,bchw->bdhw", mixing, torch.randn(3, 3, 24, 20, generator=random)) / 2
    wanted = 0.5 + torch.einsum("dc,bchw->bdhw", mixing.flip(0), torch.randn(3, 3, 24, 20, generator=random)) / 2
    matched = matched_colours(pictures, wanted)
    for one, other, before in zip(matched, wanted, pictures, strict=True):
        assert torch.allclose(one.flatten(1).mean(1), other.flatten(1).mean(1), atol=1e-3)
        assert torch.allclose(torch.cov(one.flatten(1)), torch.cov(other.flatten(1)), atol=2e-4)
        # One linear map of the colours explains it.
        x = torch.cat([before.flatten(1), torch.ones(1, 480)]).T
        residual = one.flatten(1).T - x @ torch.linalg.lstsq(x, one.flatten(1).T).solution
        assert residual.abs().max() < 1e-3
    assert torch.allclose(matched_colours(pictures, pictures), pictures, atol=5e-3)


def test_checkerboards_are_seen_and_pictures_are_not() -> None:
    random = np.random.default_rng(0)
    white = random.normal(size=(4, 3, 128, 128))
    spectrum = 1 / (1 + 60 * np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)))
    natural = torch.from_numpy(np.fft.ifft2(np.fft.fft2(white) * spectrum).real * 0.5 + 0.5).float()
    y, x = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    clean = checkerboard(natural)
    assert clean < 2
    for pattern in ((x + y) % 2, x % 2, y % 2, (x // 2 + y // 2) % 2, (x % 4 == 0) * 1):
        assert checkerboard(natural + 0.02 * (pattern.float() - pattern.float().mean())) > 3 * clean
    assert grain(natural) < grain(natural + 0.05 * torch.from_numpy(white).float())


def test_a_ruler_measures_in_units_of_what_varies() -> None:
    features = load_features(layers=("relu2_1", "relu3_1"))
    random = torch.Generator().manual_seed(0)
    dark, bright = (torch.rand(12, 3, 32, 32, generator=random) * 0.3 + level for level in (0.1, 0.6))
    one, other = describe(features, dark), describe(features, bright)
    assert one.shape == (12, 2 * (48 + 96))
    ruler = Ruler.between("bundled", one, other)
    assert abs(ruler.kernel(one[:6], one[6:])) < 0.1 * ruler.kernel(one, other)
    assert ruler.frechet(one[:6], one[6:]) < 0.5 * ruler.frechet(one, other)
    flat = Ruler.between("bundled", one[:1].expand(4, -1), one[:1].expand(4, -1))  # nothing varies: no number explodes
    assert np.isfinite(flat.kernel(one, other))
