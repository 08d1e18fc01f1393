"""Training a diffusion network: it learns which colour is of which kind, goes on as if never stopped, is measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_diffusion import COLOURS, SETTINGS, draw_colours

from creative.checkpoint import read_metadata
from creative.data.draws import Draw
from creative.data.pictures import PicturesError
from creative.data.unpaired import find_domains, pack_domains
from creative.device import DeviceError
from creative.engines.diffusion import evaluate_diffusion, load_diffuser, train_diffusion
from creative.engines.diffusion.denoising import Aim, drawn, noise
from creative.engines.diffusion.squares import Squares
from creative.engines.diffusion.training import Denoising
from creative.engines.training import TrainingError, train
from creative.models.diffusion import DiffusionConfig
from creative.options.train_diffusion import EvaluateDiffusionSettings, TrainDiffusionSettings
from creative.progress import run
from creative.settings import SettingsError


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return draw_colours(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="module")
def learned(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What 70 steps have taught, without any measuring on the way."""
    folder = tmp_path_factory.mktemp("learned")
    kinds = find_domains(*data)
    packed = run(pack_domains(kinds[0].training, kinds[1].training, folder, size=32))
    settings = SETTINGS.changed(steps=70, batch_size=8, learning_rate=1e-2, save_every=1000, evaluate_every=1000)
    torch.set_num_threads(1)
    return run(train(Denoising(packed, packed, settings, None, about=dict.fromkeys(COLOURS)), settings, folder))


def test_the_label_decides_the_colour(learned: Path) -> None:
    diffuser = load_diffuser(learned, device="cpu")
    assert diffuser.domains == tuple(COLOURS)
    for level in (0, 1):
        for name, colour in COLOURS.items():
            start = noise(range(4), (16, 16), diffuser.device)
            found = drawn(diffuser.network, start, Aim(name, level, guidance=1.5, steps=10)).mean((0, 2, 3)) * 255
            assert float((found - torch.tensor(colour)).abs().max()) < 45, (name, level, found)


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(data: tuple[Path, Path], tmp_path: Path) -> None:
    whole = run(train_diffusion(*data, SETTINGS, tmp_path / "whole", device="cpu"))
    job = train_diffusion(*data, SETTINGS, tmp_path / "stopped", device="cpu")
    steps = []
    for step in job:
        steps.append(step)
        if step.done == 4:
            job.close()
    again = run(train_diffusion(*data, SETTINGS, tmp_path / "stopped", device="cpu"))
    assert whole.read_bytes() == again.read_bytes()
    preview = steps[-1].preview
    assert preview is not None
    assert steps[0].done == 0
    config = read_metadata(whole)["config"]
    assert config["network"] == "diffusion"
    assert config["domains"] == ["rust", "teal"]
    metrics = (tmp_path / "whole" / "metrics.csv").read_text()
    assert "kernel_distance_rust" in metrics


def test_a_run_goes_on_with_its_own_pictures_and_settings_only(data: tuple[Path, Path], tmp_path: Path) -> None:
    run(train_diffusion(*data, SETTINGS.changed(steps=2, evaluate_every=100), tmp_path / "run", device="cpu"))
    with pytest.raises(TrainingError, match="trained with other pictures"):
        train_diffusion(*data[::-1], SETTINGS.changed(steps=2, evaluate_every=100), tmp_path / "run", device="cpu")
    with pytest.raises(TrainingError, match="channels"):
        train_diffusion(*data, SETTINGS.changed(channels=(16, 16)), tmp_path / "run", device="cpu")


def test_squares_are_functions_of_their_draws_and_show_what_their_labels_say(
    data: tuple[Path, Path], tmp_path: Path
) -> None:
    kinds = find_domains(*data)
    packed = run(pack_domains(kinds[0].training, kinds[1].training, tmp_path, size=32))
    config = DiffusionConfig(size=16, num_levels=2, channels=(8, 16), domains=tuple(COLOURS))
    squares = Squares(packed, config, whole=0.5, drop_label=0.2)
    seen = [squares[Draw(place % len(squares), place)] for place in range(120)]
    assert torch.equal(squares[Draw(3, 3)]["pixels"], seen[3]["pixels"])
    assert {int(square["label"]) for square in seen} == set(range(config.num_labels))
    for place, square in enumerate(seen):
        kind = int(place % len(squares) >= len(packed[0]))
        wanted = torch.tensor(list(COLOURS.values())[kind])
        assert float((square["pixels"].float().mean((1, 2)) - wanted).abs().max()) < 12
        assert int(square["label"]) // config.num_levels in (kind, 2)
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None] * 8, (32, 32, 3)).copy()
    spans = [np.ptp(squares.square(ramp, level, 0.5, 0.5, 0.5, 0.9)[0].numpy()) for level in (0, 1)]
    assert 1.6 < spans[0] / spans[1] < 2.2  # a level nearer shows half as much


def test_a_network_is_measured_against_the_floor(data: tuple[Path, Path], learned: Path, tmp_path: Path) -> None:
    settings = EvaluateDiffusionSettings(num=6, steps=3, floor=6)
    report = run(
        evaluate_diffusion(*data, settings, model=learned, cache=tmp_path, sheet_file=tmp_path / "s.png", device="cpu")
    )
    assert report.domains == ("rust", "teal")
    assert (tmp_path / "s.png").is_file()
    for domain in report.domains:
        measured = report.distances[domain, "bundled"].kernel
        assert measured["floor"] < 1 < measured["other"]  # the kinds are told apart
        assert measured["floor"] < measured["drawn"]
    assert "**drawn**" in report.text
    assert report.provenance is not None


def test_the_gpu_recipe_is_as_small_a_file(data: tuple[Path, Path]) -> None:
    from creative.models.diffusion import Diffusion

    for settings in (TrainDiffusionSettings(), TrainDiffusionSettings(recipe="gpu")):
        shape = DiffusionConfig(
            patch=settings.patch, channels=settings.channels, num_layers=settings.num_layers, domains=("photo", "monet")
        )
        assert sum(values.numel() for values in Diffusion(shape).parameters()) <= 2_000_000


def test_what_cannot_be_trained_is_refused_at_once(data: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="multiples of 8"):
        TrainDiffusionSettings(channels=(12, 20))
    with pytest.raises(SettingsError, match="multiple of 16"):
        TrainDiffusionSettings(size=40, channels=(8, 16, 16, 16))
    with pytest.raises(PicturesError, match="There is no folder"):
        train_diffusion(tmp_path / "none", data[1], SETTINGS, tmp_path / "out")
    with pytest.raises(DeviceError):
        train_diffusion(*data, SETTINGS, tmp_path / "out", device="nowhere")
