"""Dreams: the gradient against finite differences, tiles against the whole, and what a dreamer would notice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from creative.engines.deep_dream import DreamError, Objective, dream, dream_video, dream_zoom, load_dreamer
from creative.engines.deep_dream.ascent import normalised, smoothed
from creative.engines.deep_dream.zoom import moved
from creative.images import open_mask, source_of, to_tensor
from creative.models.classes import class_number
from creative.models.features import Classifier, FeaturesError, untrained_features
from creative.options.deep_dream import (
    LOOKS,
    DreamSettings,
    DreamVideoSettings,
    DreamZoomSettings,
    Part,
    look_layers,
    parse_layers,
)
from creative.options.features import LAYERS
from creative.progress import Step, run
from creative.provenance import read_provenance
from creative.settings import SettingsError
from creative.video import open_video, save_video

SQUEEZENET = Path(__file__).parent.parent.parent / "shared/data/weights/squeezenet1_0_imagenet.safetensors"


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """Coloured clouds: something at every scale."""
    random = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, height, width)
    for side in (3, 9, 27, 81):
        noise = torch.rand(1, 3, side, side, generator=random)
        total += nn.functional.interpolate(noise, (height, width), mode="bicubic") / 4
    return total.clamp(0, 1)


def photo(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    pixels = picture(height, width, seed)[0].permute(1, 2, 0).numpy()
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


def quick(**changes: Any) -> DreamSettings:
    return DreamSettings(**{"size": 96, "octaves": 2, "steps": 2, "precision": "float32", **changes})


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# The objective -------------------------------------------------------------------------------------------------------


def classifier(features: Any) -> Classifier:
    channels = features(torch.rand(1, 3, 64, 64).to(features.scale.dtype))[features.layers[-1]].shape[1]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)).to(features.scale.dtype)
    return Classifier(features, head, ["a", "b", "c", "d", "e"])


def objective(kind: str, network: str = "squeezenet1_0", layers: tuple[str, ...] = ("fire3", "fire5")) -> Objective:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # random weights, but the same ones each time: a kink may be anywhere
        features = untrained_features(network, layers=layers).double()
    if kind == "class":
        return Objective(features, [], classifier=classifier(features), subject=3)
    parts = [Part(layer, (1, 4) if kind == "channels" else (), 0.5 + index) for index, layer in enumerate(layers)]
    guide = picture(70, 52, seed=9).double() if kind == "guide" else None
    return Objective(features, parts, maximise="mean" if kind == "mean" else "l2", guide=guide)


KINDS = ("l2", "mean", "channels", "guide", "class")


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_that_of_finite_differences(kind: str) -> None:
    goal, at = objective(kind), picture(64, 72).double()
    direction = torch.randn(at.shape, generator=torch.Generator().manual_seed(1)).double()
    slope = float((goal.gradient(at) * direction).sum())
    values = []
    for end in (at + 1e-8 * direction, at - 1e-8 * direction):
        goal.gradient(end)
        values.append(goal.value)
    assert slope == pytest.approx((values[0] - values[1]) / 2e-8, rel=1e-4)
    assert slope != 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("network", "layers"), [("squeezenet1_0", ("fire3", "fire5")), ("bundled", ("relu2_2", "relu3_2"))]
)
def test_tiles_give_the_gradient_of_the_whole(kind: str, network: str, layers: tuple[str, ...]) -> None:
    goal, at = objective(kind, network, layers), picture(109, 141).double()
    whole = goal.gradient(at)
    value = goal.value
    tiled = goal.gradient(at, tile=48)
    assert (tiled - whole).abs().max() < 1e-9 * whole.abs().max()
    assert goal.value == pytest.approx(value, rel=1e-9)


def test_a_class_in_tiles_is_exact_whatever_the_classifier() -> None:
    """Not only for a linear one on means: here places count, and there is a kink behind them; with a layer besides."""
    features = untrained_features("squeezenet1_0", layers=("fire3", "fire5")).double()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(1024, 9), nn.ReLU(), nn.Linear(9, 5))
    network = Classifier(features, head.double(), ["a", "b", "c", "d", "e"])
    goal, at = Objective(features, parse_layers(("fire3",)), classifier=network, subject=2), picture(109, 141).double()
    goal.balance(at, tile=48)
    whole = goal.gradient(at)
    value = goal.value
    assert (goal.gradient(at, tile=48) - whole).abs().max() < 1e-9 * whole.abs().max()
    assert goal.value == pytest.approx(value, rel=1e-9)
    layer_alone = Objective(features, parse_layers(("fire3",))).gradient(at)
    assert not torch.allclose(layer_alone / layer_alone.std(), whole / whole.std(), atol=0.1)


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        ("vgg16", "relu3_1"), ("googlenet", "inception3b"), ("inception_v3", "mixed5b"), ("resnet50", "layer2_1"),
        ("mobilenet_v2", "block5"),
    ],
)  # fmt: skip
def test_tiles_see_far_enough_with_every_kind_of_network(network: str, layer: str) -> None:
    goal = Objective(untrained_features(network, layers=(layer,)).double(), [Part(layer, (), 1.0)])
    at = picture(120, 112).double()
    whole = goal.gradient(at)
    assert goal.halo < 112
    assert (goal.gradient(at, tile=32) - whole).abs().max() < 1e-9 * whole.abs().max()


def test_tiles_agree_in_single_precision_too() -> None:
    features = untrained_features("bundled", layers=("relu4_1",))
    goal, at = Objective(features, [Part("relu4_1", (), 1.0)]), picture(200, 160)
    whole = goal.gradient(at)
    assert (goal.gradient(at, tile=64) - whole).abs().max() < 1e-4 * whole.abs().max()


def test_a_tile_sees_no_more_than_its_halo(monkeypatch: pytest.MonkeyPatch) -> None:
    features = untrained_features("bundled", layers=("relu3_3",))
    goal, seen = Objective(features, [Part("relu3_3", (), 1.0)]), []
    forward = type(features).forward
    monkeypatch.setattr(type(features), "forward", lambda self, x: seen.append(x.shape[-2:]) or forward(self, x))
    goal.gradient(torch.rand(1, 3, 700, 500), tile=128)
    assert len(seen) == 24
    assert max(max(size) for size in seen) <= 128 + 2 * goal.halo


def test_balanced_parts_have_the_same_say() -> None:
    features = untrained_features("squeezenet1_0", layers=("fire2", "fire9"))
    goal, at = Objective(features, parse_layers(("fire2", "fire9"))), picture(96, 96)
    goal.balance(at)
    sizes = [goal._gradient(at, 0, only)[0].std() for only in torch.diag(goal.scales)]
    assert float(sizes[0]) == pytest.approx(1, rel=1e-3)
    assert float(sizes[1]) == pytest.approx(1, rel=1e-3)


# What is done to it --------------------------------------------------------------------------------------------------


def test_smoothing_is_a_gaussian() -> None:
    impulse = torch.zeros(1, 3, 41, 41)
    impulse[:, :, 20, 20] = 1
    blurred = smoothed(impulse.clone(), 2.0)
    places = torch.arange(-5, 6.0)
    assert blurred.sum() == pytest.approx(3, rel=1e-4)
    row = blurred[0, 1, 20, 15:26]
    torch.testing.assert_close(row / row[5], torch.exp(-(places**2) / 8), rtol=1e-4, atol=1e-6)
    flat = torch.full((1, 3, 9, 30), 0.3)
    torch.testing.assert_close(smoothed(flat.clone(), 4.0), flat)


def test_normalising() -> None:
    gradient = torch.randn(1, 3, 64, 48) * 1e-6 + 1e-6
    assert normalised(gradient.clone(), "deviation").std() == pytest.approx(1, rel=1e-3)
    assert normalised(gradient.clone(), "mean").abs().mean() == pytest.approx(1, rel=1e-3)
    assert normalised(gradient.clone(), "bands").std() == pytest.approx(1, rel=1e-3)
    assert not normalised(torch.zeros(1, 3, 64, 48), "deviation").isnan().any()


def test_bands_bring_out_what_is_large() -> None:
    coarse = nn.functional.interpolate(torch.randn(1, 3, 4, 4), (64, 64), mode="bilinear")
    gradient = torch.randn(1, 3, 64, 64) + 0.1 * coarse

    def share(picture: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(picture, 16).std() / picture.std()

    assert share(normalised(gradient.clone(), "bands")) > 1.5 * share(gradient)


# Dreaming ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_makes_its_network_see_more(look: Any) -> None:
    begin = photo(96, 72)
    settings = DreamSettings(look=look, size=96, steps=4)
    dreamed = run(dream(begin, settings, device="cpu"))
    goal = load_dreamer(settings, device="cpu").objective
    values = []
    for image in (begin, dreamed):
        goal.gradient(to_tensor(image))
        values.append(goal.value)
    assert dreamed.size == begin.size
    assert values[1] > values[0] + 0.05 * abs(values[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "toucan"}, {"subject": "daisy", "layers": ("relu3_2",)}, {"guided": True}, {"maximise": "mean"},
        {"layers": ("relu3_1:4+9",)}, {"layers": ("relu2_2", "relu4_1=0.5")}, {"pooling": "average"},
        {"normalise": "mean"}, {"normalise": "bands"}, {"colours": "photo"}, {"blend": 0.5}, {"masked": True},
        {"tile": 48}, {"tile": 48, "subject": "castle"}, {"jitter": 0}, {"smoothing": 3}, {"precision": "auto"},
    ],
    ids=str,
)  # fmt: skip
def test_however_it_is_dreamed_the_objective_rises(changes: dict[str, Any]) -> None:
    guide = photo(70, 50, seed=8) if changes.pop("guided", False) else None
    mask = Image.new("L", (9, 9), 255) if changes.pop("masked", False) else None
    if mask is not None:
        mask.paste(0, (0, 0, 4, 9))
    settings = quick(steps=4, **changes)
    goal = load_dreamer(settings, guide=guide, device="cpu").objective
    goal.balance(to_tensor(photo()))
    values = []
    for image in (photo(), run(dream(photo(), settings, guide=guide, mask=mask, device="cpu"))):
        goal.gradient(to_tensor(image))
        values.append(goal.value)
    assert values[1] > values[0] + 0.01 * abs(values[0])


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason="the weights in ../shared are missing")
@pytest.mark.parametrize("look", LOOKS)
def test_every_look_works_with_another_network(look: Any) -> None:
    settings, begin = quick(look=look, network="squeezenet1_0", size=160, steps=4), photo(160, 120)
    goal = load_dreamer(settings, weights=SQUEEZENET, device="cpu").objective
    values = []
    for image in (begin, run(dream(begin, settings, weights=SQUEEZENET, device="cpu"))):
        goal.gradient(to_tensor(image))
        values.append(goal.value)
    assert values[1] > values[0] + 0.1 * abs(values[0])


def test_same_seed_same_bytes() -> None:
    first, again, other = (run(dream(photo(), quick(seed=seed), device="cpu")) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_what_is_recorded_makes_the_same_bytes() -> None:
    dreamed = run(dream(photo(), DreamSettings(size=96, steps=2, look="swirls"), device="cpu"))
    made = dreamed.info["provenance"]
    assert made.action == "dream"
    assert made.inputs["photo"][0].sha256 == source_of(photo())["sha256"]
    assert made.settings["layers"] == list(look_layers("swirls", "bundled"))
    assert run(dream(photo(), DreamSettings(**made.settings), device="cpu")).tobytes() == dreamed.tobytes()


def test_nothing_is_dreamed_without_strength_or_blend() -> None:
    for changes in ({"strength": 0}, {"blend": 0}):
        dreamed = run(dream(photo(), quick(**changes), device="cpu"))
        assert np.abs(np.asarray(dreamed, int) - np.asarray(photo(), int)).max() <= 1


def test_blend_is_between_photo_and_dream() -> None:
    whole, half = (np.asarray(run(dream(photo(), quick(blend=b), device="cpu")), float) for b in (1, 0.5))
    assert np.abs(half - (whole + np.asarray(photo(), float)) / 2).max() <= 1


def test_photo_keeps_its_colours() -> None:
    dreamed = run(dream(photo(), quick(colours="photo", strength=0.3), device="cpu"))
    was, now = (np.asarray(image.convert("YCbCr"), float) for image in (photo(), dreamed))
    inside = (np.asarray(dreamed).min(-1) > 0) & (np.asarray(dreamed).max(-1) < 255)  # where nothing was clipped
    assert np.abs(was - now)[inside][:, 1:].max() <= 2
    assert np.abs(was - now)[inside][:, 0].mean() > 1


def test_mask_keeps_what_is_black(tmp_path: Path) -> None:
    mask = Image.new("L", (50, 40), 0)
    mask.paste(255, (25, 0, 50, 40))  # of another size than the photo
    mask.save(tmp_path / "mask.png")
    dreamed = np.asarray(run(dream(photo(), quick(), mask=open_mask(tmp_path / "mask.png"), device="cpu")), int)
    change = np.abs(dreamed - np.asarray(photo(), int)).max(-1)
    assert change[:, :44].max() == 0
    assert change[:, 52:].mean() > 3


def test_guide_of_any_shape_changes_the_dream() -> None:
    plain, tall, wide = (
        run(dream(photo(), quick(layers=("relu3_2",)), guide=guide, device="cpu"))
        for guide in (None, photo(40, 90, seed=5), photo(90, 33, seed=6))
    )
    assert len({image.tobytes() for image in (plain, tall, wide)}) == 3


def test_each_channel_grows_most_when_it_is_dreamed_of() -> None:
    def means(channel: int) -> Tensor:
        settings = quick(layers=(f"relu3_1:{channel}",), maximise="mean", steps=4)
        dreamed = run(dream(photo(), settings, device="cpu"))
        features = load_dreamer(settings, device="cpu").features
        return features(to_tensor(dreamed))["relu3_1"].mean((0, 2, 3))

    seven, twelve = means(7), means(12)
    assert seven[7] > 1.2 * twelve[7]
    assert twelve[12] > 1.2 * seven[12]


def test_subject_becomes_likelier() -> None:
    from creative.models.features import load_classifier

    network = load_classifier("bundled", device="cpu")
    settings = quick(subject="daisy", steps=6)
    dreamed = run(dream(photo(), settings, device="cpu"))
    chances = [
        network(to_tensor(image)).softmax(1)[0, class_number(network.classes, "daisy")] for image in (photo(), dreamed)
    ]
    assert chances[1] > 10 * chances[0]


def test_tiles_or_not_is_the_same_dream() -> None:
    whole, tiled = (
        np.asarray(run(dream(photo(160, 120), quick(size=160, look="brushwork", tile=tile), device="cpu")), int)
        for tile in (0, 48)
    )
    assert np.abs(whole - tiled).mean() < 0.02


def test_detail_is_carried_from_octave_to_octave() -> None:
    """The next octave begins with all that was dreamed in the one before, on a base that is sharp again."""
    dreamer = load_dreamer(quick(), device="cpu")
    small, large = photo(48, 32), photo(96, 64)
    begun, picture = dreamer._begin(small, None, None)
    torch.testing.assert_close(picture, to_tensor(small))
    detail = torch.zeros_like(begun)
    detail[:, :, 8:24, 8:40] = -0.1
    base, carried = dreamer._begin(large, begun + detail, begun.clone())
    torch.testing.assert_close(base, to_tensor(large))
    change = carried - base
    torch.testing.assert_close(change[:, :, 20:44, 20:76], torch.full((1, 3, 24, 56), -0.1), atol=0.005, rtol=0)
    assert change[:, :, :8].abs().max() < 0.005


def test_octaves_grow_by_the_ratio() -> None:
    dreamer = load_dreamer(DreamSettings(octaves=3, octave_ratio=2, layers=("relu1_1",)), device="cpu")
    assert dreamer.plan((400, 200)).octaves == ((100, 50), (200, 100), (400, 200))


def test_octaves_go_by_the_size_of_the_picture() -> None:
    """What is dreamed is as large in the picture, whatever the size: the smallest octave stays the same."""
    dreamer = load_dreamer(DreamSettings(), device="cpu")
    coarsest = LOOKS[DreamSettings().look].coarsest
    for size in (256, 512, 1024, 2048, 4096):
        octaves = dreamer.plan((size, size * 3 // 4)).octaves
        assert octaves[-1][0] == size
        assert coarsest / 1.2 < octaves[0][0] < coarsest * 1.2
    assert dreamer.plan((90, 60)).octaves == ((90, 60),)


def test_a_narrow_picture_has_fewer_octaves_and_says_so() -> None:
    step = next(dream(photo(600, 60), DreamSettings(size=600, steps=1), device="cpu"))
    assert step.message is not None
    assert "instead of" in step.message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": ("relu3_9",)}, "relu3_1"),
        ({"layers": ("relu3_1:5000",)}, "channels, 0 to"),
        ({"octaves": 12}, "take"),
        ({"subject": "gold fish"}, "goldfish"),
        ({"subject": "toucan", "pooling": "average"}, "max-pooling"),
        ({"network": "squeezenet1_0", "layers": ("fire1",)}, "fire"),
    ],
)
def test_wrong_settings_are_told_at_the_call(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as found:
        dream(photo(), DreamSettings(size=96, **settings), weights=_weights(settings), device="cpu")
    assert "\n" not in str(found.value)


def _weights(settings: dict[str, Any]) -> Path | None:
    return SQUEEZENET if settings.get("network") == "squeezenet1_0" and SQUEEZENET.is_file() else None


@pytest.mark.parametrize(
    "values",
    [
        {"octaves": 0}, {"steps": 0}, {"size": 8}, {"size": 9000}, {"strength": float("nan")},
        {"layers": ("relu3_1=",)},
        {"layers": ("relu3_1=0",)}, {"layers": ("relu3_1=inf",)}, {"layers": ("relu 3",)}, {"layers": ("relu3_1:a",)},
        {"look": "dogs"}, {"octave_ratio": 1}, {"jitter": -1},
    ],
)  # fmt: skip
def test_impossible_settings(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        DreamSettings(**values)


def test_too_narrow_for_the_network() -> None:
    with pytest.raises(DreamError, match="pixels a side"):
        dream(photo(400, 1), DreamSettings(size=400), device="cpu")
    with pytest.raises(DreamError, match="guide"):
        dream(photo(), quick(layers=("relu5_1",)), guide=photo(200, 2), device="cpu")
    with pytest.raises(DreamError, match="give layers too"):
        dream(photo(), quick(subject="toucan"), guide=photo(), device="cpu")


def test_no_layer_is_missing_for_any_network() -> None:
    for network, names in LAYERS.items():
        for look in LOOKS:
            assert set(look_layers(look, network)) <= set(names)
    with pytest.raises(FeaturesError):
        dream(photo(), quick(layers=("nothing",)), device="cpu")


def test_class_by_name_or_number() -> None:
    classes = ["tench", "great_white_shark", "toucan"]
    assert class_number(classes, "Great White-Shark") == 1
    assert class_number(classes, "2") == 2
    for unknown, told in (("shark", "did you mean great_white_shark"), ("tucan", "toucan"), ("3", "0 to 2"), ("", "3")):
        with pytest.raises(FeaturesError, match=told):
            class_number(classes, unknown)


def test_stops_within_a_step_and_keeps_a_preview() -> None:
    engine = dream(photo(), quick(steps=50), device="cpu")
    assert next(engine).done == 0
    step = next(engine)
    assert step.done == 1
    assert step.total == 100
    assert step.preview is not None
    assert step.preview().size == (96, 64)
    engine.close()


def test_no_mode_leaks_and_none_is_minded() -> None:
    engine = dream(photo(), quick(), device="cpu")
    with torch.no_grad():
        next(engine)
        next(engine)
    next(engine)
    assert torch.is_grad_enabled()
    with torch.inference_mode():
        assert (
            run(dream(photo(), quick(), device="cpu")).tobytes() == run(dream(photo(), quick(), device="cpu")).tobytes()
        )


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason="the weights in ../shared are missing")
def test_a_real_network_by_path() -> None:
    settings = quick(network="squeezenet1_0", layers=("fire3=0.5", "fire5:7+8"))
    dreamed = run(dream(photo(), settings, weights=SQUEEZENET, device="cpu"))
    made = dreamed.info["provenance"]
    assert made.inputs["network_weights"][0].file == SQUEEZENET.name
    assert made.inputs["network_weights"][0].sha256 == made.weights["squeezenet1_0"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu() -> None:
    near, far = (np.asarray(run(dream(photo(), quick(), device=device)), int) for device in ("cpu", "cuda"))
    assert np.abs(near - far).mean() < 2


# Videos --------------------------------------------------------------------------------------------------------------


def journey(**changes: Any) -> DreamZoomSettings:
    values = {"size": 64, "seconds": 0.5, "frames_per_second": 10, "octaves": 1, "steps": 1, "first_steps": 1}
    return DreamZoomSettings(**{**values, "look": "brushwork", **changes})


def test_view_moves() -> None:
    still = journey(zoom=1)
    assert moved(photo(), still).tobytes() == photo().tobytes()
    square = photo(64, 64)
    turned = np.asarray(moved(square, journey(zoom=1, rotate=90, frames_per_second=1)), int)
    assert np.abs(turned - np.rot90(np.asarray(square, int), 1)).max() <= 1
    right = np.asarray(moved(photo(100, 64), journey(zoom=1, pan_x=0.1, frames_per_second=1)), int)
    assert np.abs(right[:, :80] - np.asarray(photo(100, 64), int)[:, 10:90]).max() <= 1
    larger = np.asarray(
        moved(photo(96, 96), journey(zoom=2, frames_per_second=1)).resize((48, 48), Image.Resampling.BOX), int
    )
    assert np.abs(larger - np.asarray(photo(96, 96), int)[24:72, 24:72]).mean() < 3


def test_journey_is_as_long_as_asked_and_carries_its_story(tmp_path: Path) -> None:
    path = run(dream_zoom(photo(), tmp_path / "a.mp4", journey(), device="cpu"))
    clip = open_video(path)
    assert clip.size == (64, 42)
    assert len(list(clip.frames())) == 5
    made = read_provenance(path)
    assert made is not None
    assert made.action == "dream-zoom"
    assert made.result["frames"] == 5
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "a.mp4.json"]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_stopped_journey_goes_on_to_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    whole = run(dream_zoom(photo(), tmp_path / f"whole{suffix}", journey(), device="cpu"))
    stopped = tmp_path / f"stopped{suffix}"
    engine = dream_zoom(photo(), stopped, journey(), device="cpu")
    for step in engine:
        if step.metrics.get("frame") == 4:
            break
    engine.close()
    assert not stopped.exists()
    messages = []
    run(dream_zoom(photo(), stopped, journey(), device="cpu"), lambda step: messages.append(step.message))
    assert "Goes on from frame 3 of 5." in messages
    assert stopped.read_bytes() == whole.read_bytes()


def test_frames_of_another_job_are_not_used(tmp_path: Path) -> None:
    engine = dream_zoom(photo(), tmp_path / "a.mp4", journey(), device="cpu")
    for step in engine:
        if step.metrics.get("frame") == 3:
            break
    engine.close()
    first = next(dream_zoom(photo(), tmp_path / "b.mp4", journey(seed=5), device="cpu"))
    assert first.done == 0
    other = run(dream_zoom(photo(), tmp_path / "a.mp4", journey(seed=5), device="cpu"))
    anew = run(dream_zoom(photo(), tmp_path / "c.mp4", journey(seed=5), device="cpu"))
    assert other.read_bytes() == anew.read_bytes()


def test_network_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    module = importlib.import_module("creative.engines.deep_dream.octaves")
    calls: list[str] = []
    load = module.load_features
    monkeypatch.setattr(module, "load_features", lambda *a, **k: calls.append("") or load(*a, **k))
    run(dream_zoom(photo(), tmp_path / "a.mp4", journey(), device="cpu"))
    assert len(calls) == 1


def film(path: Path, shifts: tuple[int, ...] = (0, 3, 6, 9), size: tuple[int, int] = (96, 64)) -> Path:
    """A texture that moves to the left."""
    texture = photo(size[0] + 20, size[1], seed=3)
    save_video([texture.crop((s, 0, s + size[0], size[1])) for s in shifts], path, 10)
    return path


def along(**changes: Any) -> DreamVideoSettings:
    return DreamVideoSettings(**{"size": 96, "octaves": 1, "steps": 2, "look": "brushwork", **changes})


def test_dream_sticks_to_what_moves(tmp_path: Path) -> None:
    film(tmp_path / "in.mp4")
    source = [np.asarray(frame, float) for frame in open_video(tmp_path / "in.mp4").frames()]

    def looseness(stick: float) -> float:
        path = run(dream_video(tmp_path / "in.mp4", tmp_path / f"{stick}.gif", along(stick=stick), device="cpu"))
        frames = [np.asarray(frame, float) for frame in open_video(path).frames()]
        detail = [a - b for a, b in zip(frames, source, strict=True)]
        return float(
            np.mean([np.abs(b[:, 8:-12] - a[:, 11:-9]).mean() / np.abs(b).mean() for a, b in pairwise(detail[1:])])
        )

    assert looseness(0.95) < 0.7 * looseness(0)


def test_stopped_dream_along_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    film(tmp_path / "in.mp4")
    whole = run(dream_video(tmp_path / "in.mp4", tmp_path / "whole.mp4", along(), device="cpu"))
    engine = dream_video(tmp_path / "in.mp4", tmp_path / "stopped.mp4", along(), device="cpu")
    for step in engine:
        if step.metrics.get("frame") == 3:
            break
    engine.close()
    again = run(dream_video(tmp_path / "in.mp4", tmp_path / "stopped.mp4", along(), device="cpu"))
    assert again.read_bytes() == whole.read_bytes()


def test_damaged_video_is_dreamed_as_far_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from creative.video import VideoError, reading

    film(tmp_path / "in.mp4")
    decoded = reading._decoded

    def breaking(path: Path) -> Iterator[Any]:
        for number, frame in enumerate(decoded(path)):
            if number == 3:
                raise VideoError("cut")
            yield frame

    clip = open_video(tmp_path / "in.mp4")
    monkeypatch.setattr(reading, "_decoded", breaking)
    messages: list[Step] = []
    path = run(dream_video(clip, tmp_path / "out.mp4", along(), device="cpu"), messages.append)
    assert any("damaged" in (step.message or "") for step in messages)
    monkeypatch.undo()
    assert 1 <= len(list(open_video(path).frames())) <= 3


def test_fewer_frames_when_asked(tmp_path: Path) -> None:
    film(tmp_path / "in.mp4")
    path = run(dream_video(tmp_path / "in.mp4", tmp_path / "out.mp4", along(most_frames=2), device="cpu"))
    assert len(list(open_video(path).frames())) == 2


def test_video_is_checked_at_the_call(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_text("no video")
    for bad in (tmp_path / "no.mp4", tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(ValueError, match=r"video|no file"):
            dream_video(bad, tmp_path / "out.mp4", along(), device="cpu")
    film(tmp_path / "in.mp4")
    with pytest.raises(ValueError, match="must end in"):
        dream_video(tmp_path / "in.mp4", tmp_path / "out.avi", along(), device="cpu")
