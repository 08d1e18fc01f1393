"""Look inside: which channels are strongest, where, and what a click on the sheet means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from creative.device import random_generator
from creative.engines.look_inside import Inside, dream_channel, light, look_inside, scramble, strongest
from creative.images import open_image, resize, to_image, to_tensor
from creative.models.features import load_classifier
from creative.options.deep_dream import DreamSettings
from creative.options.look_inside import LookInsideSettings
from creative.progress import run

SETTINGS = LookInsideSettings(rank="mean", layers=("relu1_2", "relu3_1"), channels=2, size=96, tile=64, steps=2)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Image.Image:
    """Stripes on the left half, nothing on the right."""
    picture = torch.full((1, 3, 90, 120), 0.5)
    picture[..., :60] += 0.4 * torch.sin(torch.arange(60) * 0.8)
    path = tmp_path_factory.mktemp("photos") / "stripes.png"
    to_image(picture).save(path)
    return open_image(path)


@pytest.fixture(scope="module")
def inside(photo: Image.Image) -> Inside:
    return run(look_inside(photo, SETTINGS))


def test_strongest_by_each_rank() -> None:
    map_, scrambled = torch.zeros(4, 2, 2), torch.ones(4, 2, 2)
    map_[0], map_[1, 0, 0], map_[2] = 3.0, 10.0, 2.5
    scrambled[0], scrambled[2] = 8.0, 0.5
    assert strongest(map_, scrambled, "mean", 2) == [(0, 3.0), (1, 2.5)]
    assert strongest(map_, scrambled, "peak", 1) == [(1, 10.0)]
    assert strongest(map_, scrambled, "distinct", 1)[0][0] == 2
    assert len(strongest(map_, scrambled, "mean", 99)) == 4


def test_a_scramble_keeps_the_spectrum_and_the_mean() -> None:
    photo = 0.5 + 0.05 * torch.randn(1, 3, 40, 50, generator=random_generator(0)).clamp(-3, 3)
    other = scramble(photo, random_generator(1))
    assert not torch.allclose(photo, other, atol=0.01)
    assert torch.allclose(photo.mean((2, 3)), other.mean((2, 3)), atol=1e-4)
    before, after = torch.fft.rfft2(photo).abs(), torch.fft.rfft2(other).abs()
    assert torch.allclose(before[..., 1:-1], after[..., 1:-1], rtol=0.02, atol=0.02)


def test_light_falls_where_the_channel_is_active() -> None:
    map_ = torch.zeros(8, 8)
    map_[:, :4] = 1
    lit = to_tensor(light(Image.new("RGB", (80, 80), "white"), map_, 64))
    assert lit[..., :24].min() > 0.9
    assert lit[..., 40:].max() < 0.4


def test_the_channels_are_those_of_the_network(photo: Image.Image, inside: Inside) -> None:
    assert [layer.layer for layer in inside.layers] == ["relu1_2", "relu3_1"]
    maps = load_classifier(layers=["relu3_1"]).features(to_tensor(resize(photo, (96, 72))))
    for seen in inside.layers[1].channels:
        assert seen.peak == pytest.approx(float(maps["relu3_1"][0, seen.channel].max()), rel=0.02)
    strengths = [seen.strength for seen in inside.layers[1].channels]
    assert strengths == sorted(strengths, reverse=True)


def test_classes_come_with_confidence_most_likely_first(inside: Inside) -> None:
    shares = [one.confidence for one in inside.classes]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-6


def test_a_click_on_the_sheet_finds_the_channel(inside: Inside) -> None:
    for layer in inside.layers:
        for seen in layer.channels:
            left, top, right, bottom = seen.box
            assert inside.at(left, top) is inside.at(right - 1, bottom - 1) is seen
            assert right <= inside.sheet.width
            assert bottom <= inside.sheet.height
            assert inside.sheet.crop((left, top, left + 64, bottom)).tobytes() == seen.map.tobytes()
    assert inside.at(1, 1) is None


def test_a_channel_that_was_seen_is_dreamed_into_the_photo(photo: Image.Image, inside: Inside) -> None:
    seen = inside.layers[1].channels[0]
    assert seen.dream_settings().layers == (seen.name,)
    small = DreamSettings(size=96, octaves=1, steps=3, jitter=0)
    dreamed = run(dream_channel(photo, seen, small))
    assert dreamed.tobytes() == run(dream_channel(photo, seen.name, small)).tobytes()
    network = load_classifier(layers=["relu3_1"]).features
    before = network(to_tensor(resize(photo, dreamed.size)))["relu3_1"][0, seen.channel]
    assert network(to_tensor(dreamed))["relu3_1"][0, seen.channel].square().mean() > before.square().mean()


def test_same_photo_same_sheet_and_provenance_says_how(photo: Image.Image, inside: Inside) -> None:
    again = run(look_inside(photo, SETTINGS))
    assert again.sheet.tobytes() == inside.sheet.tobytes()
    made = inside.sheet.info["provenance"]
    assert made.action == "inside"
    assert made.inputs["photo"][0].file == "stripes.png"
    assert LookInsideSettings(**made.settings) == SETTINGS
    assert [name for name, _, _ in made.result["channels"]] == [
        seen.name for layer in inside.layers for seen in layer.channels
    ]


def test_without_steps_only_maps(photo: Image.Image) -> None:
    steps = []
    inside = run(look_inside(photo, SETTINGS.changed(steps=0, classes=0)), steps.append)
    assert steps[0].done == 0
    assert inside.classes == ()
    assert inside.layers[0].channels[0].looks_for is None


@pytest.mark.parametrize(
    ("changes", "size", "message"),
    [
        ({"layers": ("relu9_1",)}, (80, 80), "has no layer 'relu9_1'"),
        ({"layers": ()}, (1, 400), "too narrow"),
        ({"network": "vgg16", "layers": ()}, (80, 80), "creative weights get vgg16"),
    ],
)
def test_what_cannot_be_looked_at_is_told_at_the_call(
    changes: dict, size: tuple[int, int], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        look_inside(Image.new("RGB", size), SETTINGS.changed(**changes))
