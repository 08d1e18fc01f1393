"""Painting at once as a user meets it: what strength, colours, weights and masks do, sizes, replay, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toy_painter import save_toy_painter

from apps._app import perform
from apps._painting import from_one_pass, shortened
from apps.style_transfer import APP
from creative.engines.fast_style import Painter, choose_painter, load_painter, paint
from creative.engines.fast_style import canvas as canvases
from creative.engines.fast_style.canvas import Canvas
from creative.engines.fast_style.painter import code_scale
from creative.engines.style_transfer import make_preset, stylize
from creative.images import colour_statistics, fit, lightness, open_image, resize, to_tensor
from creative.options.fast_style import InstantSettings
from creative.options.style_transfer import PresetSettings, StylizeInputs, StylizeSettings
from creative.progress import Step, run
from creative.style_presets import Preset, load_preset
from creative.trained import own_folder
from creative.weights import bundled_folder

pytestmark = pytest.mark.skipif(
    not (bundled_folder() / "features.safetensors").is_file(), reason="the bundled network has not been trained yet"
)


def picture(width: int = 120, height: int = 88, seed: int = 0) -> Image.Image:
    """Soft waves of colour."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 24
    waves = [np.sin(x * a + y * b + c) for a, b, c in random.normal(0, 1.5, (3, 3))]
    return Image.fromarray((127 + 100 * np.stack(waves, 2)).astype(np.uint8))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_painter(tmp_path_factory.mktemp("painters") / "toy.safetensors")


@pytest.fixture(scope="module")
def painter(toy: Path) -> Painter:
    return load_painter(toy, device="cpu")


def painted(painter: Painter, style: Any = None, mask: Any = None, style_masks: Any = None, **values: Any) -> Any:
    settings = InstantSettings(**{"size": 120, **values})
    style = picture(seed=7) if style is None else style
    return run(paint(picture(), style, settings, painter=painter, mask=mask, style_masks=style_masks))


def numbers(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image).astype(int)


def far(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(numbers(one) - numbers(other)).mean())


# --- what the settings do ---


def test_strength_goes_from_the_photo_to_more_than_the_style(painter: Painter) -> None:
    made = {strength: painted(painter, strength=strength) for strength in (0, 0.25, 0.5, 1)}
    distances = [far(made[strength], picture()) for strength in (0, 0.25, 0.5)]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert distances[1] > 1
    assert far(made[1], made[0.5]) > 1
    assert [code_scale(strength) for strength in (0, 0.25, 0.5, 1)] == [0, 0.5, 1, 1.5]


def test_weights_mix_styles_and_a_single_weight_is_that_style(painter: Painter) -> None:
    styles = [picture(seed=7), load_preset("starry-night")]
    alone = [painted(painter, [style]) for style in styles]
    assert far(painted(painter, styles, style_weights=(1, 0)), alone[0]) == 0
    assert far(painted(painter, styles, style_weights=(0, 3)), alone[1]) == 0
    mixed = painted(painter, styles)
    assert 0 < far(mixed, alone[0]) < far(alone[0], alone[1])


def test_styles_go_where_their_masks_are_white_and_the_photo_stays_where_none_is(painter: Painter) -> None:
    wide = np.zeros((88, 120), np.uint8)
    left, right = wide.copy(), wide.copy()
    left[:, :40], right[:, 80:] = 255, 255
    styles = [picture(seed=7), load_preset("starry-night")]
    made = painted(painter, styles, style_masks=[Image.fromarray(left), Image.fromarray(right)])
    between = numbers(made)[:, 56:64] - numbers(picture())[:, 56:64]
    assert np.abs(between).max() <= 1
    everywhere = painted(painter, styles, style_masks=[Image.fromarray(wide + 255), Image.fromarray(left)])
    unmasked = painted(painter, styles, style_masks=[None, Image.fromarray(left)])
    assert far(everywhere, unmasked) == 0
    records = [made.info["provenance"].inputs["style_masks"] for made in (everywhere, unmasked)]
    assert records[0] == records[1]
    swapped = painted(painter, styles, style_masks=[Image.fromarray(right), Image.fromarray(left)])
    assert far(made.crop((0, 0, 40, 88)), swapped.crop((0, 0, 40, 88))) > 2


def test_a_mask_keeps_the_photo_where_it_is_black(painter: Painter) -> None:
    mask = np.zeros((44, 60), np.uint8)  # of half the photo's size
    mask[:, 30:] = 255
    made = painted(painter, mask=Image.fromarray(mask))
    assert np.array_equal(numbers(made)[:, :52], numbers(picture())[:, :52])
    assert np.array_equal(numbers(made)[:, 68:], numbers(painted(painter))[:, 68:])


def test_colours_of_the_photo_are_kept_and_matched(painter: Painter) -> None:
    photo, plain = to_tensor(picture()), to_tensor(painted(painter))
    kept = to_tensor(painted(painter, colours="photo"))
    chroma = [(seen - lightness(seen)).flatten() for seen in (photo, plain, kept)]
    assert (chroma[2] - chroma[0]).abs().mean() < 0.2 * (chroma[1] - chroma[0]).abs().mean()
    for colours in ("matched", "photo"):  # a preset has its own colours, and its own lightness
        made = to_tensor(painted(painter, load_preset("starry-night"), colours=colours))
        assert torch.allclose(colour_statistics(made)[0], colour_statistics(photo)[0], atol=0.04)  # clipped


def test_stroke_size_is_the_size_at_which_a_style_is_seen(painter: Painter) -> None:
    style = picture(600, 440, seed=7)
    assert far(painted(painter, style, size=200, style_scale=2), painted(painter, style, size=200)) > 0.3
    small = resize(style, fit(style.size, 200))
    assert torch.allclose(painter.code(style, 200), painter.code(small, 512), atol=1e-5)


def test_a_preset_is_as_good_as_its_picture(painter: Painter) -> None:
    style = picture(256, 192, seed=7)
    preset = run(make_preset(style, PresetSettings(name="waves", swatch=0), device="cpu"))
    assert torch.allclose(painter.code(preset, 256), painter.code(style, 256), atol=0.01)


# --- sizes ---


def test_tiles_show_no_seams(painter: Painter) -> None:
    """Sides that no tile divides, mixed codes, and masks: the whole picture to 1e-4."""
    photo = to_tensor(picture(301, 213))
    codes = torch.cat([painter.code(picture(seed=7)), painter.code(load_preset("udnie"))])
    ramp = torch.linspace(0, 1, 301).expand(1, 1, 213, 301)
    for given, masks in ((codes[:1], None), (codes, torch.cat([ramp, 1 - ramp], 1))):
        whole = list(Canvas(painter, 0).paint(photo, given, masks))
        tiled = list(Canvas(painter, 64).paint(photo, given, masks))
        assert len(whole) == 1
        assert len(tiled) == 20
        assert (whole[0] - tiled[-1]).abs().max() < 1e-4


def test_a_picture_above_the_limit_is_cut_by_itself(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = painted(painter, size=240)
    monkeypatch.setattr(canvases, "WHOLE", 20_000)
    monkeypatch.setattr(canvases, "TILE", 128)
    steps: list[Any] = []
    settings = InstantSettings(size=240)
    made = run(paint(picture(), picture(seed=7), settings, painter=painter), steps.append)
    assert [step.done for step in steps] == [0, 1, 2, 3, 4]
    assert "4 tiles" in steps[0].message
    assert steps[1].preview().size == made.size == (240, 176)
    assert made.info["provenance"].settings["tile"] == 128
    assert far(made, whole) < 15  # measured on a smaller copy, and the toy exaggerates


@pytest.mark.parametrize("size", [(3, 2), (1, 40), (200, 9), (37, 41)])
def test_narrow_and_odd_photos_are_painted_too(painter: Painter, size: tuple[int, int]) -> None:
    made = run(paint(picture(*size), load_preset("udnie"), InstantSettings(size=64), painter=painter))
    assert made.size == fit(size, 64)


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16"])
def test_pictures_that_nobody_opened_are_painted_as_if_open_image_had(painter: Painter, mode: str) -> None:
    def of(seed: int) -> Image.Image:
        if mode == "I;16":
            return Image.fromarray(np.asarray(picture(seed=seed).convert("L")).astype(np.uint16) * 257)
        return picture(seed=seed).convert(mode)

    by_optimisation = StylizeSettings(size=64, scales=1, iterations=(1,))
    made, opened = (
        [
            run(paint(change(of(0)), change(of(7)), InstantSettings(size=64), painter=painter)),
            run(stylize(change(of(0)), change(of(7)), by_optimisation, device="cpu")),
        ]
        for change in (lambda image: image, open_image)
    )
    assert [far(one, other) for one, other in zip(made, opened, strict=True)] == [0, 0]


def test_a_grey_painting_is_kept_like_any(painter: Painter) -> None:
    presets = [
        run(make_preset(style, PresetSettings(name="grey", swatch=0), device="cpu"))
        for style in (picture(seed=7).convert("L"), picture(seed=7).convert("L").convert("RGB"))
    ]
    codes = [painter.code(preset) for preset in presets]
    assert torch.equal(*codes)


def test_a_deep_mask_is_as_soft_as_it_looks(painter: Painter) -> None:
    ramp = np.tile(np.linspace(0, 255, 120).round(), (88, 1))
    soft, deep = (Image.fromarray((ramp * scale).astype(kind)) for scale, kind in ((1, np.uint8), (257, np.uint16)))
    assert far(painted(painter, mask=deep), painted(painter, mask=soft)) == 0


def test_a_photo_thinner_than_a_network_s_least_is_painted_in_tiles_too(painter: Painter) -> None:
    photo, style = picture(200, 6), load_preset("udnie")
    settings = InstantSettings(size=200)
    whole, tiled = (run(paint(photo, style, settings.changed(tile=tile), painter=painter)) for tile in (0, 64))
    assert tiled.info["provenance"].settings["tile"] == 64
    assert far(tiled, whole) < 1
    assert far(whole, photo) > 1


def test_precision_changes_little(painter: Painter) -> None:
    assert 0 < far(painted(painter, precision="bfloat16"), painted(painter, precision="float32")) < 3


# --- painters by name ---


def test_a_preset_s_own_painter_paints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path))
    preset = load_preset("starry-night")
    save_toy_painter(own_folder("painter") / "waves.safetensors", of_one=True)
    waves = Preset("waves", "Waves", "", None, preset.network, preset.statistics)
    assert choose_painter([waves]) == choose_painter(["waves"]) == "waves"
    assert choose_painter([waves], "other") == "other"
    assert choose_painter([waves, preset]) == choose_painter([picture()]) == "instant-style"
    steps: list[Any] = []
    made = run(paint(picture(), waves, InstantSettings(size=120)), steps.append)
    assert list(made.info["provenance"].weights) == ["waves"]
    assert steps[0].message is None
    told: list[Any] = []
    run(paint(picture(), preset, InstantSettings(size=120), painter="waves"), told.append)
    assert "one painting" in told[0].message
    with pytest.raises(ValueError, match="one painting only"):
        paint(picture(), [waves, preset], painter="waves")


# --- the command ---


def action(verb: str = "style") -> Any:
    return next(one for one in APP.actions if one.verb == verb)


@pytest.mark.parametrize("values", [{"instant": True}, {"init": "instant", "iterations": (2,), "scales": 1}])
def test_the_command_paints_and_replays_to_the_byte(values: dict[str, Any], toy: Path, tmp_path: Path) -> None:
    from apps._replay import read

    picture().save(tmp_path / "photo.png")
    inputs = StylizeInputs(photo=(tmp_path / "photo.png",), style="starry-night", painter=str(toy))
    settings = StylizeSettings(size=120, **values)
    saved = run(perform(action(), inputs, settings, device="cpu", out=tmp_path / "made.png"))
    found = read(saved.path, [toy], {"style": action()})
    out = tmp_path / "again.png"
    again = run(perform(found.action, found.inputs, found.settings, device="cpu", out=out, repeats=found.made))
    assert saved.path.read_bytes() == again.path.read_bytes()
    assert found.made.inputs["painter"][0].file == "toy.safetensors"
    assert any(name.startswith("toy") for name in found.made.weights)


def test_optimisation_shows_first_and_may_begin_with_what_one_pass_paints(toy: Path, tmp_path: Path) -> None:
    picture().save(tmp_path / "photo.png")
    inputs = StylizeInputs(photo=(tmp_path / "photo.png",), style="starry-night", painter=str(toy))

    def first(**values: Any) -> tuple[Image.Image, Image.Image]:
        engine = action().start(inputs, StylizeSettings(size=120, scales=1, iterations=(2,), **values), "cpu")
        previews: list[Image.Image] = []
        made = run(engine, lambda step: previews.append(step.preview()) if step.done and step.preview else None)
        return previews[0], made

    at_once = painted(load_painter(toy), load_preset("starry-night"))
    shown, usual = first()
    assert far(shown, at_once) == 0
    shown, begun = first(init="instant")
    assert far(shown, at_once) == 0
    assert far(begun, at_once) < far(usual, at_once)


def test_from_one_pass_fewer_iterations_are_planned_unless_they_are_given() -> None:
    assert (shortened(StylizeSettings()).scales, shortened(StylizeSettings()).iterations) == (1, (12,))
    assert shortened(StylizeSettings(size=1024, quality="draft")).scales == 3
    timed = shortened(StylizeSettings(seconds=5))
    assert (timed.scales, timed.iterations, timed.seconds) == (1, (), 5)
    for values in ({"iterations": (7,)}, {"scales": 4}):
        assert shortened(StylizeSettings(**values)) == StylizeSettings(**values)


def test_what_one_pass_paints_first_can_be_stopped_at_each_tile() -> None:
    closed: list[str] = []

    def job(name: str, total: int) -> Generator[Step, None, Image.Image]:
        try:
            for done in range(total):
                yield Step(done, total)
            return picture()
        finally:
            closed.append(name)

    tiled, optimising = job("one pass", 9), job("optimisation", 30)
    engine = from_one_pass(tiled, picture(seed=1), optimising)
    assert [(step.done, step.total) for step in islice(engine, 3)] == [(0, 30)] * 3
    assert tiled.gi_frame is not None, "it was run to its end before anybody could stop it"
    engine.close()
    assert sorted(closed) == ["one pass", "optimisation"]


def test_a_missing_painter_costs_only_the_first_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creative.engines.fast_style.painter.find_trained", _nobody)
    picture().save(tmp_path / "photo.png")
    inputs = StylizeInputs(photo=(tmp_path / "photo.png",), style="starry-night")
    engine = action().start(inputs, StylizeSettings(size=120, scales=1, iterations=(1,)), "cpu")
    shown = [step.preview().size for step in engine if step.done and step.preview]
    assert shown[0] == (120, 88)
    with pytest.raises(ValueError, match="nobody"):
        action().start(inputs, StylizeSettings(size=120, instant=True), "cpu")


def _nobody(*_: object) -> Path:
    raise ValueError("There is nobody.")


def test_a_painter_trained_for_one_painting_is_called_like_its_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept beside it is a preset, so that both engines know the style by that name."""
    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path))
    picture(96, 96, seed=7).save(tmp_path / "The Wave.PNG")
    train = action("train fast-style")
    inputs = train.inputs(painting=str(tmp_path / "The Wave.PNG"), photos=(tmp_path,))
    place = train.place(inputs, train.settings())
    assert place == own_folder("painter") / "the-wave"

    def toy_training(painting: Image.Image, photos: Any, settings: Any, folder: Path, **_: Any) -> Any:
        yield Step(0, 1)
        return save_toy_painter(folder / "best.safetensors", of_one=True)

    monkeypatch.setattr("creative.engines.instant_style.train_fast_style", toy_training)
    monkeypatch.setattr("apps._painting_training.PresetSettings", partial(PresetSettings, swatch=0))
    told: list[Any] = []
    run(train.start(inputs, train.settings(), "cpu", place), told.append)
    assert told[-1].message == "To paint with it: creative style PHOTO the-wave --instant"
    assert load_preset("the-wave").network == load_preset("udnie").network
    assert train.onward.values(inputs, train.settings()) == {"instant": True, "style": "the-wave"}
    style = StylizeInputs(photo=(tmp_path / "The Wave.PNG",), style="the-wave")
    made = run(action().start(style, StylizeSettings(size=96, instant=True), "cpu"))
    assert list(made.info["provenance"].weights) == ["the-wave"]


# --- what is refused ---


def _other_features(path: Path) -> Path:
    from creative.checkpoint import load_checkpoint, save_checkpoint

    known = load_checkpoint(path)
    config = {**known.metadata["config"], "features": "0" * 64}
    return save_checkpoint(path.with_name("other.safetensors"), known.tensors, {"config": config})


REFUSED: dict[str, tuple[Callable[[Painter], object], str]] = {
    "a path for a photo": (lambda p: paint("photo.png", picture(), painter=p), "must be a picture"),  # type: ignore[arg-type]
    "no style": (lambda p: paint(picture(), [], painter=p), "style is missing"),
    "a name for a style": (lambda p: paint(picture(), "udnie", painter=p), "a preset"),  # type: ignore[arg-type]
    "other settings": (lambda p: paint(picture(), picture(), StylizeSettings(), painter=p), "InstantSettings"),  # type: ignore[arg-type]
    "weights for another number": (lambda p: painted(p, style_weights=(1, 2)), "one number for each of the 1"),
    "a mask of another shape": (lambda p: painted(p, mask=Image.new("L", (88, 120), 9)), "another shape"),
    "a black mask": (lambda p: painted(p, mask=Image.new("L", (120, 88))), "black everywhere"),
    "a path for a mask": (lambda p: painted(p, mask="mask.png"), "The mask must be a picture"),
    "a path for a style mask": (lambda p: painted(p, style_masks=["mask.png"]), "The style mask 1 must be a picture"),
    "too many style masks": (lambda p: painted(p, style_masks=[None, None]), "one style mask for each of the 1"),
    "a tiny painting": (lambda p: painted(p, picture(4, 200)), "at least"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_painted_is_refused_at_the_call(case: str, painter: Painter) -> None:
    attempt, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        attempt(painter)


def test_a_file_that_is_no_painter_is_refused(tmp_path: Path, toy: Path) -> None:
    with pytest.raises(ValueError, match="holds no network that paints"):
        load_painter(bundled_folder() / "features.safetensors")
    with pytest.raises(ValueError, match="There is no file"):
        load_painter(tmp_path / "gone.safetensors")
    other = load_painter(_other_features(toy))
    for style in (picture(), load_preset("udnie")):
        with pytest.raises(ValueError, match="other weights"):
            paint(picture(), style, painter=other)


@pytest.mark.parametrize("name", ["iterations", "seconds", "init", "quality", "network"])
def test_what_only_optimisation_knows_is_refused(name: str) -> None:
    known = {"iterations": (3,), "seconds": 4.0, "init": "noise", "quality": "best", "network": "vgg19"}
    given: dict[str, Any] = {name: known[name]}
    with pytest.raises(ValueError, match=f"leave out {name}"):
        StylizeSettings(instant=True, **given)
    assert json.loads(StylizeSettings(instant=True, size=99).model_dump_json())["instant"] is True
