"""Style transfer as a user meets it: what it makes, that it repeats, stops, keeps to time and memory, and refuses."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageEnhance, ImageStat

from creative.engines.style_transfer import make_preset, stylize
from creative.engines.style_transfer.maps import CANVAS_FRAME, Maps
from creative.engines.style_transfer.optimizers import LBFGS, AveragedAdam, Smoothing, resized
from creative.engines.style_transfer.plan import Clock, Scale, bytes_per_pixel, fitting_tile, plan_scales
from creative.images import colour_statistics, open_image, open_mask, recoloured, save_image, to_tensor, with_lightness
from creative.metrics import style_quality
from creative.models.features import load_features, untrained_features
from creative.options.style_transfer import PresetSettings, StylizeSettings
from creative.progress import Step, run
from creative.provenance import find_input
from creative.style_presets import load_preset
from creative.weights import bundled_folder

pytestmark = pytest.mark.skipif(
    not (bundled_folder() / "features.safetensors").is_file(), reason="the bundled network has not been trained yet"
)
SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def photo(width: int = 96, height: int = 80) -> Image.Image:
    """Soft shapes."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    circle = np.hypot(x - width / 2, y - height / 2) < min(width, height) / 3
    channels = [x / width * 255, np.where(circle, 220, 60), y / height * 255]
    return Image.fromarray(np.stack(channels, 2).astype(np.uint8))


def painting(width: int = 112, height: int = 96, seed: int = 0) -> Image.Image:
    """Stripes in orange and blue, with rough edges."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    noise = np.random.default_rng(seed).normal(size=(height, width))
    stripes = np.sin((x + y + 3 * noise) / (3 + seed)) > 0
    colours = np.where(stripes[..., None], (230, 130, 30), (30, 50, 140))
    return Image.fromarray(colours.astype(np.uint8))


def quick(**values: Any) -> StylizeSettings:
    return StylizeSettings(**{"size": 80, "iterations": (3,), "scales": 2, **values})


def pixels(image: Image.Image) -> bytes:
    return image.tobytes()


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


# --- what it makes ---


def test_the_result_has_more_of_the_style_and_still_the_content() -> None:
    content, style = photo(128, 128), painting(128, 128)
    made = run(stylize(content, style, StylizeSettings(size=128, iterations=(25,))))
    features = load_features("bundled", layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_2"))
    score = style_quality(to_tensor(content), to_tensor(style), to_tensor(made), features, content_layer="relu3_3")
    assert score.style < 0.5
    other = style_quality(to_tensor(content), to_tensor(style), to_tensor(style), features, content_layer="relu3_3")
    assert score.content < 0.9 * other.content
    assert score.grain < 1.2


@pytest.mark.parametrize(("size", "expected"), [(64, (64, 53)), (100, (100, 83))])
def test_the_longest_side_is_as_asked(size: int, expected: tuple[int, int]) -> None:
    assert run(stylize(photo(), painting(), quick(size=size))).size == expected


@pytest.mark.parametrize(
    "values",
    [
        {"style_loss": "moments"},
        {"style_loss": "sliced"},
        {"optimizer": "adam"},
        {"optimizer": "adam", "average": False},
        {"init": "noise"},
        {"init": "style"},
        {"tile": 64},
        {"pooling": "average"},
        {"style_scale": 2.0},
        {"style_layers": ("relu1_1", "relu3_1=2"), "content_layers": ("relu2_2=0.5", "relu3_1")},
        {"style_layers": ("pixels",), "strength": 1.0},
        {"precision": "float32"},
    ],
    ids=str,
)
def test_every_way_paints_something_and_the_same_each_time(values: dict[str, Any]) -> None:
    first, again = (run(stylize(photo(), painting(), quick(**values))) for _ in range(2))
    assert first.size == (80, 67)
    assert difference(first, photo().resize(first.size)) > 2
    assert pixels(first) == pixels(again)


def test_the_seed_matters_where_there_is_chance() -> None:
    one, other = (run(stylize(photo(), painting(), quick(init="noise", seed=seed))) for seed in (1, 2))
    assert pixels(one) != pixels(other)


def test_strength_goes_from_photo_to_painting() -> None:
    plain = photo().resize((80, 67))
    weak, strong = (
        run(stylize(photo(), painting(), quick(strength=s, colours="photo", iterations=(10,)))) for s in (0, 1)
    )
    assert difference(weak, plain) < difference(strong, plain)


def test_a_texture_has_no_photo_and_any_shape() -> None:
    made = run(stylize(None, painting(), quick(size=96, aspect=1.5)))
    assert made.size == (96, 64)
    assert made.info["provenance"].action == "texture"


def test_a_picture_in_its_own_style_stays_itself() -> None:
    made = run(stylize(photo(), photo(), quick(size=96)))
    assert difference(made, photo()) < 12


def test_there_is_no_rim() -> None:
    """Nothing of the photo says where its borders are, and nothing of the painting should."""
    settings = StylizeSettings(size=192, iterations=(20,), scales=1, strength=1.0)
    y, x = np.mgrid[:144, :192]
    depth = np.minimum(np.minimum(x, 191 - x), np.minimum(y, 143 - y))
    rims = []
    for preset in ("the-scream", "starry-night", "great-wave"):
        painted = run(stylize(Image.new("RGB", (192, 144), (120, 120, 120)), load_preset(preset), settings))
        levels = np.asarray(painted.convert("L"), float) / 255
        rims.append(abs(levels[depth < 4].mean() - levels[(depth >= 12) & (depth < 36)].mean()))
    assert np.mean(rims) < 0.09  # .05, and .14 with a frame of 8 pixels


def test_there_is_no_line_where_the_frame_ends() -> None:
    settings = StylizeSettings(size=160, iterations=(40,), scales=1, strength=1.0)
    painted = run(stylize(Image.new("RGB", (160, 160), (200, 190, 170)), load_preset("great-wave"), settings))
    detail = np.abs(np.diff(np.asarray(painted.convert("L"), float), 2, axis=0)).mean(1)
    at, near = detail[CANVAS_FRAME - 2 : CANVAS_FRAME], detail[[34, 35, 36, 41, 42, 43]]
    assert at.mean() < 1.6 * near.mean()  # 2.4 where the frame counts up to its end


def test_colours_of_the_photo_are_kept() -> None:
    content = photo().resize((80, 67))
    made = run(stylize(content, painting(), quick(colours="photo")))
    one, other = (np.asarray(image.convert("YCbCr"), float)[..., 1:] for image in (made, content))
    assert np.abs(one - other).mean() < 6  # clipping costs some
    painted = run(stylize(content, painting(), quick()))
    assert np.abs(np.asarray(painted.convert("YCbCr"), float)[..., 1:] - other).mean() > 20


def test_with_the_photo_s_colours_a_preset_darkens_no_photo() -> None:
    """A painting's lightness is fitted to the photo's before it is painted, a preset's after."""
    content = ImageEnhance.Brightness(photo()).enhance(1.5)
    made = run(stylize(content, load_preset("starry-night"), quick(colours="photo", iterations=(10,), strength=1.0)))
    one, other = (float(ImageStat.Stat(image.convert("L")).mean[0]) for image in (made, content))
    assert abs(one - other) < 16  # 60 where it is not


def test_matched_colours_have_the_photo_s_mean() -> None:
    content = photo()
    matched = run(stylize(content, painting(), quick(colours="matched", iterations=(10,))))
    painted = run(stylize(content, painting(), quick(iterations=(10,))))
    mean = np.array(ImageStat.Stat(content).mean)
    assert np.abs(ImageStat.Stat(matched).mean - mean).sum() < np.abs(ImageStat.Stat(painted).mean - mean).sum()


def test_masked_parts_of_the_photo_are_untouched() -> None:
    mask = Image.new("L", (48, 40))
    mask.paste(255, (24, 0, 48, 40))
    made = run(stylize(photo(80, 64), painting(), quick(size=80), mask=mask))
    kept = (0, 0, 36, 64)
    assert pixels(made.crop(kept)) == pixels(photo(80, 64).crop(kept))
    assert difference(made.crop((44, 0, 80, 64)), photo(80, 64).crop((44, 0, 80, 64))) > 5


def test_style_masks_put_each_style_in_its_place() -> None:
    red, green = (Image.new("RGB", (96, 96), colour) for colour in ("#d03020", "#20a040"))
    left = Image.new("L", (96, 80))
    left.paste(255, (0, 0, 48, 80))
    made = run(
        stylize(
            photo(), [red, green], quick(iterations=(15,), strength=1.0), style_masks=[left, ImageChops.invert(left)]
        )
    )
    halves = [ImageStat.Stat(made.crop(box)).mean for box in ((0, 0, 36, 67), (44, 0, 80, 67))]
    assert halves[0][0] > halves[0][1]
    assert halves[1][1] > halves[1][0]


def test_weights_of_several_styles_mix_their_colours() -> None:
    red, green = (Image.new("RGB", (96, 96), colour) for colour in ("#d03020", "#20a040"))

    def redness(*weights: float) -> float:
        made = run(stylize(None, [red, green], quick(style_weights=weights)))
        mean = ImageStat.Stat(made).mean
        return mean[0] - mean[1]

    assert redness(1, 0) > redness(1, 1) > redness(0, 1)


def test_painting_begins_with_the_picture_given() -> None:
    start = Image.new("RGB", (160, 134), "#20a040")
    made = run(stylize(photo(), painting(), quick(iterations=(1,), scales=1), start=start))
    assert difference(made, start.resize(made.size)) < 10
    assert difference(made, run(stylize(photo(), painting(), quick(iterations=(1,), scales=1)))) > 20


@pytest.mark.parametrize("values", [{}, {"tile": 64}], ids=str)
def test_what_is_to_be_kept_is_kept_where_its_mask_is_white(values: dict[str, Any]) -> None:
    kept, left = Image.new("RGB", (96, 80), "#20a040"), Image.new("L", (96, 80))
    left.paste(255, (0, 0, 48, 80))
    settings = quick(iterations=(12,), learning_rate=0.1, average=False, **values)
    made = run(stylize(photo(), painting(), settings, keep=(kept, left), keep_weight=1000.0))
    halves = [difference(made.crop(box), kept.crop((0, 0, 36, 67))) for box in ((0, 0, 36, 67), (44, 0, 80, 67))]
    assert halves[0] < 15
    assert halves[1] > 40


# --- provenance, time, memory ---


def test_a_result_says_how_to_make_it_again(tmp_path: Path) -> None:
    made = run(stylize(photo(), painting(), StylizeSettings(size=80, seconds=0.8, tile=0)))
    noted = made.info["provenance"]
    assert noted.settings["seconds"] is None
    assert sum(noted.settings["iterations"]) > 0
    again = run(stylize(photo(), painting(), StylizeSettings(**noted.settings)))
    first = save_image(made, tmp_path / "first.png").read_bytes()
    assert save_image(again, tmp_path / "again.png").read_bytes() == first


def test_a_style_that_goes_everywhere_is_recorded_as_a_white_mask(tmp_path: Path) -> None:
    half = Image.new("L", (96, 80))
    half.paste(255, (48, 0, 96, 80))
    styles, settings = [painting(), painting(seed=3)], quick(scales=1, iterations=(1,))
    made = run(stylize(photo(), styles, settings, style_masks=[None, half]))
    Image.new("RGB", made.size, "white").save(tmp_path / "white.png")
    half.save(tmp_path / "half.png")
    recorded = made.info["provenance"].inputs["style_masks"]
    found = [find_input(source, tmp_path / "out.png") for source in recorded]
    assert [path.name for path in found] == ["white.png", "half.png"]
    again = run(stylize(photo(), styles, settings, style_masks=[open_mask(path) for path in found]))
    assert pixels(again) == pixels(made)
    assert "style_masks" not in run(stylize(photo(), styles, settings)).info["provenance"].inputs


def test_a_starting_picture_is_recorded_as_an_input(tmp_path: Path) -> None:
    start = open_image(save_image(painting(96, 80), tmp_path / "start.png"))
    made = run(stylize(photo(), painting(), quick(), start=start)).info["provenance"]
    assert made.inputs["start"][0].file == "start.png"
    made = run(stylize(photo(), painting(), quick(init="instant"), start=start)).info["provenance"]
    assert "start" not in made.inputs, "it is made again, as init says"


def test_a_stopped_job_s_preview_says_how_to_make_it_again() -> None:
    engine = stylize(photo(), painting(), quick(iterations=(4, 4)))
    step = [next(engine) for _ in range(7)][-1]
    assert step.done == 6
    assert step.preview is not None
    kept = step.preview()
    engine.close()
    assert kept.info["provenance"].settings["iterations"] == [4, 2]
    assert pixels(run(stylize(photo(), painting(), StylizeSettings(**kept.info["provenance"].settings)))) == pixels(
        kept
    )


@pytest.mark.parametrize("seconds", [1.0, 2.0])
def test_a_time_budget_is_kept(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", time.process_time)  # others may be using the processor too
    started = time.process_time()
    made = run(stylize(photo(256, 256), painting(), StylizeSettings(size=256, seconds=seconds)))
    assert made.size == (256, 256)
    assert time.process_time() - started < 1.5 * seconds + 1


def test_the_clock_shares_time_out_and_leaves_out_what_it_cannot_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    scales = [Scale((10, 10), 10), Scale((20, 20), 10), Scale((400, 400), 10)]

    def spent(seconds: float) -> list[int]:
        now[0] = 0.0
        clock, counts = Clock(seconds, scales), [0, 0, 0]
        for index, scale in enumerate(scales):
            if not clock.enter(index):
                break
            while clock.goes_on(index, counts[index]):
                now[0] += scale.pixels * 1e-4  # seconds of a step
                counts[index] += 1
        assert now[0] <= seconds * 1.2
        return counts

    assert spent(165.0) == pytest.approx([10, 10, 10], abs=1)
    assert spent(330.0) == pytest.approx([20, 20, 20], abs=2)
    assert spent(10.0)[2] == 0  # one step alone would take 16 seconds
    assert spent(10.0)[1] > 50


def test_memory_that_is_short_leads_to_tiles_and_is_told() -> None:
    settings = StylizeSettings(size=320, iterations=(1,), scales=1, memory=64)
    steps: list[Step] = []
    made = run(stylize(photo(320, 320), painting(), settings), steps.append)
    assert made.info["provenance"].settings["tile"] > 0
    assert "tiles" in (steps[0].message or "")
    assert len(steps) > 3  # one for each tile and pass, so that it can be stopped within a step


def test_memory_is_estimated_from_what_the_network_keeps() -> None:
    features = untrained_features("vgg19", layers=("relu1_1",))
    kept = bytes_per_pixel(Maps(features, ("relu1_1",), None))
    assert 64 * 4 <= kept <= 3 * 64 * 4  # 64 channels in float32, overwritten by the ReLU, and room
    maps, pixels_ = Maps(features, ("relu1_1",), None), 4096 * 4096
    assert fitting_tile(maps, pixels_, StylizeSettings(memory=10**6), 8) == 0
    assert 0 < fitting_tile(maps, pixels_, StylizeSettings(memory=3000), 8) < 4096


def test_sizes_go_from_coarse_to_fine() -> None:
    scales = plan_scales((512, 256), StylizeSettings(), least=16)
    assert [scale.size[0] for scale in scales] == [128, 181, 256, 362, 512]
    assert len(plan_scales((512, 32), StylizeSettings(), least=16)) == 3  # the coarser ones would be too narrow
    assert [s.iterations for s in plan_scales((512, 256), StylizeSettings(iterations=(7,)), least=16)] == [7] * 5
    with pytest.raises(ValueError, match="iterations must be"):
        plan_scales((512, 256), StylizeSettings(iterations=(1, 2), scales=3), least=16)


# --- progress ---


def test_steps_are_counted_and_previewed() -> None:
    steps: list[Step] = []
    run(stylize(photo(), painting(), quick()), steps.append)
    assert [step.done for step in steps] == list(range(7))
    assert {step.total for step in steps} == {6}
    assert steps[0].preview is None
    assert {"style", "content", "size"} <= set(steps[-1].metrics)
    assert steps[-1].metrics["style"] < steps[1].metrics["style"]


def test_previews_have_the_result_s_size_from_the_start() -> None:
    for step in stylize(photo(), painting(), quick()):
        if step.preview is not None:
            assert step.preview().size == (80, 67)


def test_it_stops_within_a_step_and_runs_on_any_thread() -> None:
    engine = stylize(photo(), painting(), quick(iterations=(1000,)))
    next(engine)
    threads = [threading.Thread(target=lambda: next(engine)) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    engine.close()
    with pytest.raises(StopIteration):
        next(engine)


def test_the_work_left_is_told_by_pixels() -> None:
    told = []
    run(stylize(photo(), painting(), quick(size=96, iterations=(2, 2))), lambda step: told.append(step.share))
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1
    assert told[2] < 0.4, "half of the steps, but the small ones"


def test_no_mode_of_torch_leaks_to_the_consumer() -> None:
    for values in ({}, {"tile": 64}):
        for _ in stylize(photo(), painting(), quick(iterations=(1,), **values)):
            assert torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()
            assert not torch.is_autocast_enabled("cpu")


# --- what it refuses ---

REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: stylize("photo.jpg", painting()), "photo must be a picture .* but is a str"),  # type: ignore[arg-type]
    (lambda: stylize(photo(), None), "style must be a picture .* but is a NoneType"),  # type: ignore[arg-type]
    (lambda: stylize(photo(), "starry-night"), "style must be a picture .* but is a str"),  # type: ignore[arg-type]
    (lambda: stylize(photo(), np.zeros((9, 9, 3))), "but is a ndarray"),  # type: ignore[arg-type]
    (lambda: stylize(photo(), painting(), {"size": 64}), "must be StylizeSettings"),  # type: ignore[arg-type]
    (lambda: stylize(photo(), []), "style is missing"),
    (lambda: stylize(Image.new("RGB", (1, 1)), painting()), "1 × 1 pixels"),
    (lambda: stylize(Image.new("RGB", (1, 4000)), painting()), "1 × 4000 pixels"),
    (lambda: stylize(Image.new("RGB", (40, 4000)), painting(), quick(size=64)), "result would have 1 × 64"),
    (
        lambda: stylize(photo(), Image.new("RGB", (4000, 1))),
        "4000 × 1 pixels, but the bundled network needs",
    ),
    (lambda: stylize(photo(), painting(), quick(style_layers=("relu9_9",))), "no layer 'relu9_9'"),
    (lambda: stylize(photo(), painting(), quick(style_layers=("relu1_1=0",))), "weights of style layers are 0"),
    (lambda: stylize(photo(), painting(), quick(style_layers=("relu1_1=nan",))), "NAME=WEIGHT"),
    (lambda: stylize(photo(), painting(), quick(style_weights=(1, 2))), "one number for each of the 1 styles"),
    (lambda: stylize(photo(), painting(), quick(), mask=Image.new("L", (10, 100), 255)), "another shape"),
    (lambda: stylize(photo(), painting(), quick(), mask=Image.new("L", (96, 80))), "black everywhere"),
    (lambda: stylize(None, painting(), quick(), mask=Image.new("L", (96, 80), 255)), "there is no photo"),
    (lambda: stylize(photo(), painting(), quick(init="instant")), "give that picture as start"),
    (lambda: stylize(photo(), painting(), quick(), start="a.png"), "starting picture must be a picture"),  # type: ignore[arg-type]
    (lambda: stylize(photo(), painting(), quick(), start=painting(90, 90)), "starting picture has 90 × 90 .* another"),
    (lambda: stylize(photo(), painting(), quick(), keep=(photo(), photo(90, 90))), "mask of the picture to keep has"),
    (lambda: stylize(photo(), painting(), quick(), style_masks=[None, None]), "one style mask for each of the 1"),
    (
        lambda: stylize(photo(), painting(), quick(), style_masks=["a.png"]),
        "style mask 1 must be a picture .* is a str",
    ),  # type: ignore[list-item]
    (lambda: stylize(photo(), painting(), quick(), style_masks=Image.new("L", (9, 99), 9)), "style mask 1 has 9 × 99"),  # type: ignore[arg-type]
    (lambda: make_preset("a.png", PresetSettings(name="a")), "painting must be a picture .* but is a str"),  # type: ignore[arg-type]
    (lambda: stylize(photo(), painting(), quick(style_loss="sliced", tile=32)), "does not add up over tiles"),
    (lambda: stylize(photo(), painting(), quick(), device="abacus"), "no device 'abacus'"),
    (lambda: stylize(photo(), painting(), quick(iterations=(1, 2, 3))), "iterations must be"),
    (lambda: stylize(photo(), painting(), quick(), weights=Path("/no/such/file.safetensors")), "no/such/file"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_painted_is_refused_at_the_call(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_size_is_scaled() -> None:
    assert run(stylize(photo(), painting(), quick(), mask=Image.new("L", (960, 800), 255))).size == (80, 67)


# --- its parts ---


@pytest.mark.parametrize("make", [lambda: LBFGS(Smoothing(1.0)), lambda: AveragedAdam(0.02, averaged=True)])
def test_optimizers_find_a_picture_and_go_on_at_another_size(make: Callable[[], LBFGS | AveragedAdam]) -> None:
    target = torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    optimizer, picture = make(), torch.full((1, 3, 12, 10), 0.5)
    for size in ((12, 10), (24, 20)):
        goal = resized(target, size)
        picture = resized(picture, size)
        optimizer.resize(size)
        before = (picture - goal).square().mean()
        for _ in range(60):
            picture = optimizer.step(picture, 2 * (picture - goal) / goal.numel())
        assert (optimizer.result(picture) - goal).square().mean() < 0.02 * before


def test_lbfgs_finds_the_minimum_of_an_ill_conditioned_bowl() -> None:
    scale = torch.logspace(0, 3, 48).view(1, 3, 4, 4)
    optimizer, picture = LBFGS(Smoothing(0.0)), torch.full((1, 3, 4, 4), 0.9)
    for _ in range(120):
        picture = optimizer.step(picture, scale * (picture - 0.4))
    assert (picture - 0.4).abs().max() < 1e-2


def test_smoothing_favours_what_is_coarse() -> None:
    x = torch.arange(32.0)
    waves = [torch.sin(2 * math.pi * x / period).expand(1, 3, 32, 32) for period in (16, 4)]
    coarse, fine = (Smoothing(1.0)(wave).abs().max() / wave.abs().max() for wave in waves)
    assert coarse / fine == pytest.approx(4, rel=1e-3)
    assert torch.equal(Smoothing(0.0)(waves[0]), waves[0])


def test_recoloured_pictures_have_the_wanted_mean_and_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (0.5 + 0.05 * torch.randn(1, 3, 64, 64, generator=generator) for _ in range(2))
    other = other * torch.tensor([1.5, 0.5, 1.0]).view(1, 3, 1, 1)
    wanted = colour_statistics(other)
    mean, covariance = colour_statistics(recoloured(one, *wanted))
    torch.testing.assert_close(mean, wanted[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(covariance, wanted[1], atol=1e-4, rtol=0)


def test_lightness_is_taken_and_colour_kept() -> None:
    grey, colour = torch.full((1, 3, 2, 2), 0.6), torch.tensor([0.6, 0.4, 0.3]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    made = with_lightness(colour, grey)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert (made * weights).sum(1).mean().item() == pytest.approx(0.6)
    torch.testing.assert_close(made[:, 0] - made[:, 1], colour[:, 0] - colour[:, 1])


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there")
def test_real_weights_of_another_network_paint_by_path() -> None:
    weights = SHARED / "weights" / "squeezenet1_0_imagenet.safetensors"
    made = run(stylize(photo(), painting(), quick(network="squeezenet1_0"), weights=weights))
    assert list(made.info["provenance"].weights) == ["squeezenet1_0"]
