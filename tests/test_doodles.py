"""Doodles and maps as a user meets them: what goes where, that it repeats, and what is refused; and their parts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageStat

from creative.engines.style_transfer import stylize
from creative.engines.style_transfer.maps import Maps, framed
from creative.engines.style_transfer.objective import Aim, Objective
from creative.engines.style_transfer.patches import Patches
from creative.engines.style_transfer.proposing import propose_map
from creative.engines.style_transfer.regions import guess_map, match_maps, name_of, read_map
from creative.images import open_image, save_image
from creative.losses import moments
from creative.models.features import load_features
from creative.options.doodles import DoodleSettings
from creative.options.style_transfer import StylizeSettings
from creative.progress import Step, run
from creative.style_presets import load_preset
from creative.weights import bundled_folder

pytestmark = pytest.mark.skipif(
    not (bundled_folder() / "features.safetensors").is_file(), reason="the bundled network has not been trained yet"
)
RED, GREEN, BLUE, BLACK = (220, 60, 50), (60, 160, 75), (45, 90, 195), (0, 0, 0)


def flat(*colours: tuple[int, int, int], size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A map of upright stripes, the same width each."""
    image = Image.new("RGB", size)
    for number, colour in enumerate(colours):
        image.paste(colour, (size[0] * number // len(colours), 0, size[0] * (number + 1) // len(colours), size[1]))
    return image


def painting(size: tuple[int, int] = (144, 96)) -> Image.Image:
    """Rough orange to the left, rough blue to the right."""
    noise = np.random.default_rng(0).normal(0, 25, (size[1], size[0], 1))
    base = np.where(np.arange(size[0])[None, :, None] < size[0] / 2, (220, 130, 30), (30, 60, 160))
    return Image.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8))


def quick(**values: Any) -> StylizeSettings:
    return StylizeSettings(**{"size": 96, "iterations": (8,), "scales": 1, **values})


def halves(image: Image.Image) -> list[list[float]]:
    """The mean colour of the left half and of the right, clear of the border between them."""
    width, height = image.size
    boxes = ((0, 0, width // 2 - 8, height), (width // 2 + 8, 0, width, height))
    return [ImageStat.Stat(image.crop(box)).mean for box in boxes]


# --- what it makes ---


@pytest.mark.parametrize("content", [None, Image.new("RGB", (96, 64), (128, 128, 128))], ids=["doodle", "photo"])
def test_each_region_is_painted_like_its_own_and_swapped_colours_swap_them(content: Image.Image | None) -> None:
    for colours, warm in (((RED, BLUE), 0), ((BLUE, RED), 1)):
        made = run(stylize(content, painting(), quick(), content_map=flat(*colours), style_map=flat(RED, BLUE)))
        assert made.size == (96, 64)
        sides = halves(made)
        assert sides[warm][0] > 150
        assert sides[warm][2] < 90
        assert sides[1 - warm][2] > sides[1 - warm][0] + 60


def test_without_a_style_map_the_regions_are_guessed_and_it_is_told() -> None:
    steps: list[Step] = []
    made = run(stylize(None, painting(), quick(), content_map=flat(BLUE, RED)), steps.append)
    sides = halves(made)
    assert sides[0][2] > sides[0][0]
    assert sides[1][0] > sides[1][2]
    assert "guessed" in (steps[0].message or "")


def test_the_guess_is_a_style_map_of_the_same_regions() -> None:
    wanted, picture = flat(BLUE, RED), painting()
    made = run(stylize(None, picture, quick(iterations=(1,)), content_map=wanted))
    guess = made.info["beside"]["style_map"]
    assert guess.size == picture.size
    assert {colour for _, colour in guess.getcolors()} == {BLUE, RED}
    read, guessed = match_maps(wanted, guess), guess_map(wanted, picture)
    rows, columns = (np.arange(side) * 4 // 3 for side in picture.size[::-1])  # of 144 pixels 192 were looked at
    assert (read.source == guessed.source[np.ix_(rows, columns)]).mean() > 0.97
    assert guess_map(wanted, painting((3000, 2000))).guess((3000, 2000)).size == (1024, 683)  # type: ignore[union-attr]
    said = run(stylize(None, picture, quick(iterations=(1,)), content_map=wanted, style_map=guess))
    assert "beside" not in said.info
    alone = run(stylize(None, picture, quick(iterations=(1,)), content_map=flat(RED)))
    assert "beside" not in alone.info, "of one region there is nothing to guess"


def test_a_guess_is_saved_shown_and_led_to(tmp_path: Path) -> None:
    """By its content: what somebody changed is left as it is."""
    from apps._app import perform
    from apps._brush import PALETTE, is_painting
    from apps._views import result_view
    from apps.style_transfer import APP

    action = next(action for action in APP.actions if action.verb == "doodle")
    save_image(flat(BLUE, RED), tmp_path / "map.png")
    save_image(painting(), tmp_path / "painting.png")
    inputs = action.inputs(map=tmp_path / "map.png", style=tmp_path / "painting.png")
    settings = action.settings(size=64, iterations=(1,), scales=1)
    saved = run(perform(action, inputs, settings, out=tmp_path / "out"))
    path = saved.beside["style_map"]
    assert path.parent == saved.path.parent
    assert open_image(path).tobytes() == saved.result.info["beside"]["style_map"].tobytes()
    assert "data:image/png" in saved.shown
    view = result_view(action, saved, inputs, settings, tmp_path / "site")
    led = view["onward"]["style_map"]
    assert is_painting(led, PALETTE), "it can be changed on the canvas"
    assert "onward" in view["status"]
    path.write_bytes(b"changed")
    again = run(perform(action, inputs, settings, out=tmp_path / "out"))
    assert again.beside["style_map"] == path
    assert path.read_bytes() == b"changed"
    told = inputs.changed(style_map=led)
    saved = run(perform(action, told, settings, out=tmp_path / "told.png"))
    view = result_view(action, saved, told, settings, tmp_path / "site")
    assert (saved.beside, saved.shown, view["onward"]) == ({}, "", {})
    assert "onward" not in view["status"]
    assert "showing" not in view["status"]


def test_what_of_the_painting_is_not_used_is_told() -> None:
    engine = stylize(None, painting(), quick(), content_map=flat(RED), style_map=flat(RED, BLUE))
    assert "blue (#2d5ac3)" in (next(engine).message or "")
    engine.close()


def test_a_doodle_repeats_itself_and_says_how_it_was_made(tmp_path: Path) -> None:
    given: dict[str, Any] = {"content_map": flat(BLUE, RED), "style_map": flat(RED, BLUE)}
    given = {name: open_image(save_image(image, tmp_path / f"{name}.png")) for name, image in given.items()}
    first = run(stylize(None, painting(), quick(structure=0.3), **given))
    noted = first.info["provenance"]
    assert noted.action == "doodle"
    assert {name: noted.inputs[name][0].file for name in ("map", "style_map")} == {
        "map": "content_map.png",
        "style_map": "style_map.png",
    }
    settings = DoodleSettings(**noted.settings)
    assert settings.structure == 0.3
    again = run(stylize(None, painting(), StylizeSettings(**settings.model_dump()), **given))
    assert again.tobytes() == first.tobytes()


def test_a_photo_with_maps_says_so_too() -> None:
    made = run(stylize(painting((96, 64)), painting(), quick(iterations=(1,)), content_map=flat(RED, BLUE)))
    assert made.info["provenance"].action == "style"
    assert "content_map" in made.info["provenance"].inputs
    assert "style_map" not in made.info["provenance"].inputs


@pytest.mark.parametrize("content", [None, painting((96, 64))], ids=["doodle", "photo"])
def test_structure_matters(content: Image.Image | None) -> None:
    given: dict[str, Any] = {"content_map": flat(BLUE, RED), "style_map": flat(RED, BLUE)}
    one, other = (run(stylize(content, painting(), quick(structure=s, iterations=(2,)), **given)) for s in (0.0, 1.0))
    assert one.tobytes() != other.tobytes()


# --- maps ---


def test_a_map_s_colours_are_found_through_antialiasing_and_jpeg() -> None:
    clean = Image.new("RGB", (300, 200), BLUE)
    clean.paste(GREEN, (0, 120, 300, 200))
    clean.paste(RED, (100, 30, 160, 90))
    small, file = clean.resize((150, 100), Image.Resampling.LANCZOS), io.BytesIO()
    small.save(file, "JPEG", quality=60)
    colours, index = read_map(Image.open(file), "map")
    assert len(colours) == 3
    for found, wanted in zip(colours, (BLUE, GREEN, RED), strict=True):
        assert np.abs(np.subtract(found, wanted)).max() < 8
    ideal = np.asarray(clean.resize((150, 100), Image.Resampling.NEAREST)).astype(int)
    assert (np.abs(np.array(colours)[index] - ideal).max(-1) < 30).mean() > 0.99


def test_pixels_between_two_regions_go_to_one_of_them_not_to_a_third_of_their_mixed_colour() -> None:
    """Half way from black to white is the grey of a region elsewhere."""
    image = flat((0, 0, 0), (255, 255, 255), (128, 128, 128), size=(120, 60))
    image.paste((120, 120, 120), (39, 0, 41, 60))
    _, index = read_map(image, "map")
    assert len(np.unique(index[:, :70])) == 2


def test_every_region_s_masks_sum_to_one_at_any_size() -> None:
    regions = match_maps(flat(RED, GREEN, BLUE), flat(BLUE, RED, GREEN))
    for size in ((96, 64), (31, 17), (200, 140)):
        masks = regions.targets(size, torch.device("cpu"))
        assert masks.shape == (3, 1, size[1], size[0])
        torch.testing.assert_close(masks.sum(0), torch.ones(1, size[1], size[0]))


def test_guessed_regions_are_where_the_colours_are() -> None:
    index = propose_map(painting(), [BLUE, RED], [0.5, 0.5])
    assert (index[:, : index.shape[1] // 2 - 8] == 1).mean() > 0.95
    assert (index[:, index.shape[1] // 2 + 8 :] == 0).mean() > 0.95
    assert guess_map(flat(GREEN), painting()).count == 1


@pytest.mark.parametrize(
    ("colour", "name"), [((60, 120, 220), "blue (#3c78dc)"), ((0, 0, 0), "black (#000000)"), (RED, "red (#dc3c32)")]
)
def test_colours_have_names(colour: tuple[int, int, int], name: str) -> None:
    assert name_of(colour) == name


# --- its parts ---


def maps() -> Maps:
    layers = ("relu1_1", "relu3_1")
    return Maps(load_features("bundled", layers=layers), ("pixels", *layers), None)


def test_a_region_s_moments_are_those_of_its_own_pixels() -> None:
    """Of the pixels exactly; deeper, of positions that see none of what is beyond the border."""
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    picture[..., 48:] *= 0.2
    mask = torch.zeros(1, 1, 64, 96)
    mask[..., :48] = 1
    (found,) = maps().moments_within(picture, ("pixels", "relu3_1"), [mask])
    torch.testing.assert_close(found["pixels"].mean, picture[..., :48].mean((0, 2, 3)))
    torch.testing.assert_close(found["pixels"].gram, moments(picture[..., :48]).gram)
    other = picture.clone()
    other[..., 60:] = 1 - other[..., 60:]
    (changed,) = maps().moments_within(other, ("relu3_1",), [mask])
    torch.testing.assert_close(changed["relu3_1"].mean, found["relu3_1"].mean, rtol=1e-3, atol=1e-5)


def test_moments_of_regions_add_up_over_tiles() -> None:
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(1)).round()
    whole, tiled = (maps().moments_within(picture, ("relu1_1", "relu3_1"), [mask, 1 - mask], t) for t in (0, 32))
    for one, other in zip(whole, tiled, strict=True):
        for layer in ("relu1_1", "relu3_1"):
            torch.testing.assert_close(one[layer].gram, other[layer].gram, rtol=1e-3, atol=1e-5)


def test_the_gradient_of_a_region_s_loss_is_that_of_its_finite_differences() -> None:
    network = maps()
    network.features.double()
    generator = torch.Generator().manual_seed(0)
    picture, style = (torch.rand(1, 3, 32, 40, generator=generator).double() for _ in range(2))
    mask = torch.zeros(1, 1, 32, 40).double()
    mask[..., :20] = 1
    both = [mask, 1 - mask]
    seen = network.moments_within(framed(style), ("pixels", "relu3_1"), [framed(one) for one in both])
    objective = Objective(
        network,
        (32, 40),
        None,
        [Aim(values, 0.5, one) for values, one in zip(seen, both, strict=True)],
        style_layers={"pixels": 1.0, "relu3_1": 1.0},
        content_layers={},
        content_weight=0.0,
        smoothness=0.1,
        kind="moments",
        likeness=0.5,
    )
    objective.follow("relu3_1", network(framed(style, objective.frame))["relu3_1"].detach() * 0.9)

    def loss(at: torch.Tensor) -> float:
        still, moved = (framed(values, objective.frame) for values in (picture, at - picture))
        seen_picture = still + objective._faded(moved.clone())  # what lies in the frame is meant to count less
        core = network(seen_picture)
        return float(objective._style(objective._see(core, 0)) + objective._rest(seen_picture, core, 0)[0])

    try:
        next(objective.gradient(picture))
    except StopIteration as stop:
        gradient = stop.value[1]
    direction = torch.randn(picture.shape, generator=generator).double()
    with torch.no_grad():
        measured = (loss(picture + 1e-7 * direction) - loss(picture - 1e-7 * direction)) / 2e-7
    assert (gradient * direction).sum().item() == pytest.approx(measured, rel=1e-3)


def test_a_painting_s_own_features_are_made_of_its_own_patches() -> None:
    features = torch.rand(1, 8, 12, 10, generator=torch.Generator().manual_seed(0))
    regions = torch.zeros(1, 2, 12, 10)
    regions[:, 0, :, :5], regions[:, 1, :, 5:] = 1, 1
    patches = Patches(features, regions)
    torch.testing.assert_close(patches.vote(features, regions), features)
    pale = 0.1 * features + 0.3
    torch.testing.assert_close(patches.vote(pale, regions), features, msg="pale pictures find bright patches")


def test_patches_come_from_the_same_region() -> None:
    generator = torch.Generator().manual_seed(0)
    features = 0.01 * torch.rand(1, 4, 12, 12, generator=generator)
    features[..., 6:] += 1
    regions = torch.zeros(1, 2, 12, 12)
    regions[:, 0, :, :6], regions[:, 1, :, 6:] = 1, 1
    made = Patches(features, regions).vote(torch.rand(1, 4, 9, 12, generator=generator), regions.flip(1)[:, :, :9])
    assert made[..., :5].mean() > 0.9
    assert made[..., 7:].mean() < 0.1


# --- what it refuses ---

MANY = [(9 + 60 * (number % 5), 90 * (number // 5), 99) for number in range(13)]
TWO: dict[str, Any] = {"content_map": flat(RED, BLUE), "style_map": flat(RED, BLUE)}
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: stylize(None, painting(), quick(), content_map=flat(RED, GREEN), style_map=flat(RED, BLUE)),
        r"map has green \(#3ca04b\), which the style map lacks: it has blue",
    ),
    (
        lambda: stylize(None, painting(), quick(), content_map=flat(RED, BLACK), style_map=flat(RED, BLUE)),
        r"black \(#000000\) \(what is not painted counts as black\)",
    ),
    (lambda: stylize(None, painting(), quick(), style_map=flat(RED)), "give that map as well"),
    (lambda: stylize(painting((96, 64)), painting(), quick(), style_map=flat(RED)), "give that map as well"),
    (lambda: stylize(painting((64, 64)), painting(), quick(), **TWO), "map has 96 × 64 .* than the photo's 64 × 64"),
    (lambda: stylize(None, painting((64, 96)), quick(), **TWO), "style map has 96 × 64 .* painting's 64 × 96"),
    (lambda: stylize(None, [painting(), painting()], quick(), **TWO), "one painting .* 2 styles"),
    (lambda: stylize(None, load_preset("starry-night"), quick(), **TWO), "starry-night has no picture"),
    (lambda: stylize(None, painting(), quick(), style_masks=[Image.new("L", (9, 6), 255)], **TWO), "style masks both"),
    (lambda: stylize(None, painting(), quick(style_loss="sliced"), **TWO), "sliced style loss knows no regions"),
    (lambda: stylize(None, painting(), quick(), content_map="map.png"), "The map must be a picture"),  # type: ignore[arg-type]
    (
        lambda: stylize(None, painting(), quick(), content_map=Image.effect_noise((96, 64), 90).convert("RGB")),
        "map has no flat colours",
    ),
    (
        lambda: stylize(None, painting(), quick(), content_map=flat(*MANY, size=(130, 64))),
        "map has 13 colours, but a map has at most 12",
    ),
    (lambda: stylize(None, painting(), quick(), content_map=Image.new("RGB", (4000, 1))), "result would have 96 × 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_does_not_go_together_is_refused_at_the_call(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
