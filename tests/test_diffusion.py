"""Our own diffusion network: its noise, its tiles, drawing, restyling and filling."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_diffusion import untrained

from creative.checkpoint import CheckpointError, save_checkpoint
from creative.engines.diffusion import Diffuser, between, fill, generate, load_diffuser, restyle
from creative.engines.diffusion.denoising import Aim, Descent, guessed, noise, predict
from creative.engines.diffusion.drawing import FRAMES, slerp
from creative.engines.diffusion.schedule import loss_weights, make_noiser, make_repainter, make_sampler
from creative.engines.diffusion.tiles import in_tiles, ladder, level_of, pad, starts
from creative.images import resize
from creative.models.diffusion import DiffusionConfig, DiffusionError, load_diffusion
from creative.options.diffusion import DiffuseSettings
from creative.progress import run
from creative.weights import WeightsError


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Diffuser:
    return untrained(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    random = np.random.default_rng(0)
    return resize(Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8)), (37, 26))


class Knowing(torch.nn.Module):
    """A network that has seen the picture: the velocity it should find, whatever the noise."""

    def __init__(self, clean: torch.Tensor, prediction: str = "v_prediction") -> None:
        super().__init__()
        self.clean = clean
        self.config = DiffusionConfig(size=16, num_levels=2, channels=(8, 16), prediction=prediction)  # type: ignore[arg-type]
        self.kept = make_noiser(self.config).alphas_cumprod

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        kept = self.kept[times].view(-1, 1, 1, 1)
        found = (noisy - kept.sqrt() * self.clean) / (1 - kept).sqrt()
        return found if self.config.prediction == "epsilon" else kept.sqrt() * found - (1 - kept).sqrt() * self.clean


# The noise


def test_the_velocity_and_the_picture_under_the_noise_are_those_of_the_paper() -> None:
    config = DiffusionConfig()
    noiser, random = make_noiser(config), torch.Generator().manual_seed(0)
    clean, eps = torch.rand(4, 3, 8, 8, generator=random) * 2 - 1, torch.randn(4, 3, 8, 8, generator=random)
    for place in (0, 250, 700, 990):
        times = torch.full((4,), place)
        # Nichol and Dhariwal's cosine, from which the betas differ where they are cut off at 0.999 only.
        kept = torch.cos(torch.tensor((place + 1) / 1000 + 0.008) / 1.008 * torch.pi / 2) ** 2
        kept = kept / torch.cos(torch.tensor(0.008) / 1.008 * torch.pi / 2) ** 2
        signal, weight = kept.sqrt(), (1 - kept).sqrt()
        noisy = noiser.add_noise(clean, eps, times)
        assert torch.allclose(noisy, signal * clean + weight * eps, atol=2e-4)
        velocity = noiser.get_velocity(clean, eps, times)
        assert torch.allclose(velocity, signal * eps - weight * clean, atol=2e-4)
        assert torch.allclose(guessed(noiser, velocity, noisy, times[0], "v_prediction"), clean, atol=2e-3)
    last = make_sampler(config, "dpm", 20, torch.device("cpu"))
    assert int(last.timesteps[0]) == 999
    assert float(noiser.alphas_cumprod[-1]) < 1e-6


def test_min_snr_weights_are_those_of_the_paper_but_for_pure_noise() -> None:
    noiser, times = make_noiser(DiffusionConfig()), torch.tensor([5, 300, 600, 999])
    kept = noiser.alphas_cumprod[times]
    ratio = kept / (1 - kept)
    assert torch.allclose(loss_weights(noiser, "epsilon", times, 5.0), ratio.clamp(max=5) / ratio, rtol=1e-3)
    velocity = loss_weights(noiser, "v_prediction", times, 5.0)
    assert torch.allclose(velocity[:3], ratio[:3].clamp(0.5, 5) / (ratio[:3] + 1), rtol=1e-3)
    assert 0.4 < float(velocity[3]) < 0.6  # in pure noise the domain's colours are learned
    assert loss_weights(noiser, "v_prediction", times, 0.0).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("sampler", ["dpm", "ddim"])
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_a_network_that_knows_the_picture_draws_it(sampler: str, prediction: str) -> None:
    clean = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.8
    network = Knowing(clean, prediction)
    descent = Descent(network, Aim("a", steps=20, sampler=sampler), torch.device("cpu"))  # type: ignore[arg-type]
    last = list(descent.steps(noise([0], (16, 16), torch.device("cpu"))))[-1]
    assert float((descent.noisy - clean).abs().max()) < (0.02 if prediction == "v_prediction" else 0.1)
    assert float((last - clean).abs().max()) < 0.02


def test_guidance_goes_away_from_what_is_said_of_no_domain(toy: Diffuser) -> None:
    x = noise([1, 2], (16, 16), toy.device)
    told = predict(toy.network, x, 500, Aim("teal"))
    untold = predict(toy.network, x, 500, Aim("teal", guidance=0.0))
    guided = predict(toy.network, x, 500, Aim("teal", guidance=3.0))
    assert torch.allclose(guided, untold + 3 * (told - untold), atol=1e-2)
    assert float((told - untold).abs().max()) > 1e-3


def test_labels_tell_domains_and_levels_apart(toy: Diffuser) -> None:
    config = toy.config
    labels = [config.label(domain, level) for domain in (*config.domains, None) for level in range(2)]
    assert sorted(labels) == list(range(config.num_labels))
    with pytest.raises(DiffusionError, match="no domain 'monet'; there are rust, teal"):
        config.label("monet", 0)


# Tiles


def test_a_picture_of_one_tile_is_seen_as_it_is(toy: Diffuser) -> None:
    x = noise([3], (16, 16), toy.device)
    labels, times = torch.tensor([toy.config.label("rust", 1)]), torch.tensor([400])
    assert torch.equal(in_tiles(lambda y: toy.network(y, times, labels), x, 16), toy.network(x, times, labels))


def test_tiles_cover_everything_and_agree_where_they_overlap() -> None:
    x = torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    seen = []

    def see(squares: torch.Tensor) -> torch.Tensor:
        seen.append(squares.shape)
        return squares * 2

    assert torch.allclose(in_tiles(see, x, 16), x * 2, atol=1e-5)  # what each tile says of itself, wherever it is
    assert seen == [(2 * 4 * 6, 3, 16, 16)]
    assert starts(16, 16, 8) == [0]
    assert starts(17, 16, 8) == [0, 1]
    assert starts(32, 16, 8) == [0, 8, 16]


def test_a_square_is_as_near_as_the_picture_is_large() -> None:
    config = DiffusionConfig()
    assert [level_of(side, config) for side in (10, 64, 128, 256, 2000)] == [0, 0, 1, 2, 2]
    assert ladder(256, 320, config) == [(64, 80), (128, 160), (256, 320)]
    assert pad(torch.rand(1, 3, 1, 65), config).shape == (1, 3, 64, 72)


# Drawing


def test_a_sheet_repeats_by_its_seed_and_each_picture_by_its_own(toy: Diffuser) -> None:
    settings = DiffuseSettings(num=4, steps=3, seed=7, guidance=1)
    sheet = run(generate(settings, model=toy))
    assert sheet.size == (36, 36)
    assert sheet.tobytes() == run(generate(settings, model=toy)).tobytes()
    other = run(generate(settings.changed(seed=8, num=1), model=toy))
    assert np.abs(np.asarray(sheet.crop((20, 0, 36, 16)), int) - np.asarray(other, int)).max() <= 2
    record = other.info["provenance"]
    assert record.action == "diffuse"
    assert record.settings["seed"] == 8
    assert record.weights == {"diffusion": toy.sha256}


def test_previews_show_what_is_seen_under_the_noise_and_a_job_stops_within_a_step(toy: Diffuser) -> None:
    job = generate(DiffuseSettings(num=2, steps=4, guidance=1), model=toy)
    assert next(job).done == 0
    step = next(job)
    assert (step.done, step.total) == (1, 4)
    assert step.preview is not None
    assert step.preview().size == (36, 16)
    job.close()


def test_between_begins_with_one_picture_and_ends_with_the_other(toy: Diffuser) -> None:
    settings = DiffuseSettings(num=3, steps=2, guidance=1)
    strip = run(between(4, 9, settings, model=toy))
    assert len(strip.info[FRAMES]) == 3
    assert strip.info["provenance"].result == {"between": 9}
    for seed, frame in ((4, strip.info[FRAMES][0]), (9, strip.info[FRAMES][2])):
        alone = run(generate(DiffuseSettings(num=1, steps=2, seed=seed, guidance=1), model=toy))
        assert np.abs(np.asarray(alone, int) - np.asarray(frame, int)).max() <= 2
    one, other = noise([1], (16, 16), toy.device), noise([2], (16, 16), toy.device)
    assert float(slerp(one, other, 0.5).std()) == pytest.approx(1.0, abs=0.05)  # a plain mean would have 0.7
    assert torch.allclose(slerp(one, one, 0.5), one, atol=1e-3)


def test_larger_pictures_are_enlarged_and_have_the_size_asked_for(toy: Diffuser) -> None:
    picture = run(generate(DiffuseSettings(num=1, steps=2, size=40, aspect="3:2", guidance=1), model=toy))
    assert picture.size == (40, 27)


# Restyling


def test_a_strength_of_0_gives_the_photo_back_and_a_small_one_makes_one_step(toy: Diffuser, photo: Image.Image) -> None:
    same = run(restyle(photo, DiffuseSettings(strength=0), model=toy))
    assert np.abs(np.asarray(same, int) - np.asarray(photo, int)).max() <= 1
    steps = list(restyle(photo, DiffuseSettings(strength=0.05, steps=4, guidance=1), model=toy))
    assert "one step is made" in (steps[0].message or "")
    assert steps[-1].done == steps[-1].total


def test_restyling_repeats_keeps_the_size_and_knows_its_photo(toy: Diffuser, photo: Image.Image) -> None:
    settings = DiffuseSettings(strength=0.5, steps=4, seed=2, guidance=1)
    one, same = (run(restyle(photo, settings, model=toy)) for _ in range(2))
    assert one.size == photo.size
    assert one.tobytes() == same.tobytes()
    assert one.info["provenance"].inputs["photo"]
    assert one.tobytes() != run(restyle(photo, settings.changed(seed=3), model=toy)).tobytes()
    assert run(restyle(photo, settings.changed(num=2, size=20), model=toy)).size == (44, 14)


# Filling


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
def test_filling_keeps_every_pixel_that_is_not_covered(toy: Diffuser, photo: Image.Image, strength: float) -> None:
    mask = Image.new("L", (74, 52))  # of another size than the photo
    mask.paste(255, (20, 10, 40, 30))
    filled = run(fill(photo, mask, DiffuseSettings(steps=6, strength=strength, guidance=1), model=toy))
    before, after = np.asarray(photo, int), np.asarray(filled, int)
    changed = (before != after).any(2)
    assert changed[5:15, 10:20].mean() > 0.9 if strength else not changed.any()
    changed[5:15, 10:20] = False
    assert not changed.any()


def test_the_repainter_goes_back_now_and_then() -> None:
    times = make_repainter(None, 20).timesteps
    assert (times[1:] > times[:-1]).any()
    assert int(times[-1]) == 0


# What is refused


def test_what_cannot_be_drawn_is_refused_at_once(toy: Diffuser, photo: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(DiffusionError, match="no domain 'monet' in toy; it draws rust and teal"):
        generate(DiffuseSettings(domain="monet"), model=toy)
    with pytest.raises(DiffusionError, match="at least these two"):
        between(0, 1, DiffuseSettings(num=1), model=toy)
    with pytest.raises(DiffusionError, match="covers nothing"):
        fill(photo, Image.new("L", photo.size), DiffuseSettings(), model=toy)
    with pytest.raises(WeightsError, match="no diffuser called 'nobody'"):
        load_diffuser("nobody")
    other = save_checkpoint(tmp_path / "other.safetensors", {"x": torch.zeros(1)}, {"config": {"network": "cyclegan"}})
    with pytest.raises(DiffusionError, match="holds no diffusion network of ours"):
        load_diffusion(other)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(toy.path.read_bytes()[:3000])
    with pytest.raises(CheckpointError):
        load_diffusion(cut)


def test_a_shape_goes_through_a_file_and_a_wrong_one_is_told() -> None:
    config = DiffusionConfig(domains=("photo", "monet"))
    assert DiffusionConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(DiffusionError, match="multiples of 8"):
        DiffusionConfig(channels=(12, 20))
    with pytest.raises(DiffusionError, match="use a multiple of 8"):
        DiffusionConfig(size=36)
    with pytest.raises(DiffusionError, match="missing or wrong"):
        DiffusionConfig.from_json({"network": "diffusion"})
