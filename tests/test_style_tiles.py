"""The gradient in tiles is the gradient of the whole picture."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from creative.engines.style_transfer.maps import Maps, framed
from creative.engines.style_transfer.objective import Aim, Objective
from creative.losses import directions, projections
from creative.models.features import untrained_features

LAYERS = {
    "bundled": ({"pixels": 0.5, "relu1_1": 1, "relu2_2": 1, "relu3_1": 2}, {"relu3_1": 1, "relu2_1": 1}),
    "squeezenet1_0": ({"pixels": 1, "relu1": 1, "fire3": 1}, {"fire3": 1}),
    "vgg19": ({"relu1_1": 1, "relu2_1": 1}, {"relu2_2": 1}),
    "googlenet": ({"conv1": 1, "conv3": 1}, {"conv3": 1}),
    "mobilenet_v2": ({"relu1": 1, "block2": 1}, {"block2": 1}),
}


def finished(work: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def picture(height: int, width: int, seed: int) -> Tensor:
    return torch.rand(1, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def maps_of(network: str) -> Maps:
    style, content = LAYERS[network]
    layers = [layer for layer in {**style, **content} if layer != "pixels"]
    return Maps(untrained_features(network, layers=layers).double(), [*style, *content], None)


def objective(maps: Maps, network: str, size: tuple[int, int], tile: int, **options: Any) -> Objective:
    style, content = LAYERS[network]
    aims = options.pop("aims", None) or [Aim(maps.moments(picture(60, 71, 1), tuple(style)))]
    options = {"kind": "gram", "content_weight": 0.3, "smoothness": 2.0, "content": picture(*size, seed=2), **options}
    return Objective(maps, size, aims=aims, style_layers=style, content_layers=content, tile=tile, **options)


@pytest.mark.parametrize(("network", "kind"), [*((network, "gram") for network in LAYERS), ("bundled", "moments")])
def test_tiled_gradient_is_the_whole_one(network: str, kind: str) -> None:
    maps, size = maps_of(network), (117, 101)  # odd, and no multiple of anything
    whole, tiled = (objective(maps, network, size, tile, kind=kind) for tile in (0, 32))
    assert len(whole.tiles) == 1
    assert len(tiled.tiles) >= 9
    point = picture(*size, seed=3)
    losses, gradient = finished(whole.gradient(point))
    tiled_losses, tiled_gradient = finished(tiled.gradient(point))
    assert tiled_losses == pytest.approx(losses, rel=1e-6)
    torch.testing.assert_close(tiled_gradient, gradient, rtol=1e-9, atol=1e-9 * gradient.abs().max().item())


def test_tiled_gradient_with_masks_is_the_whole_one() -> None:
    maps, size, style = maps_of("bundled"), (110, 101), tuple(LAYERS["bundled"][0])
    left = torch.linspace(1, 0, 101).double().expand(1, 1, *size).clone()
    aims = [
        Aim(maps.moments(picture(60, 71, 1), style), 0.7, left),
        Aim(maps.moments(picture(71, 60, 4), style), 0.3, 1 - left),
    ]
    point = picture(*size, seed=3)
    found = [finished(objective(maps, "bundled", size, tile, aims=aims).gradient(point))[1] for tile in (0, 40)]
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9 * found[0].abs().max().item())


def test_tiled_gradient_without_a_photo_is_the_whole_one() -> None:
    maps, size = maps_of("bundled"), (101, 99)
    point = picture(*size, seed=3)
    found = [finished(objective(maps, "bundled", size, tile, content=None).gradient(point))[1] for tile in (0, 40)]
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-9 * found[0].abs().max().item())


def test_moments_gathered_in_tiles_are_the_whole_ones() -> None:
    maps, seen = maps_of("squeezenet1_0"), picture(133, 110, 5)
    whole, tiled = maps.moments(seen, maps.layers, 0), maps.moments(seen, maps.layers, 32)
    for layer in maps.layers:
        assert tiled[layer].count == whole[layer].count
        torch.testing.assert_close(tiled[layer].gram, whole[layer].gram)


@pytest.mark.parametrize("kind", ["gram", "moments", "sliced"])
def test_gradient_is_that_of_finite_differences(kind: str) -> None:
    maps, size, style = maps_of("bundled"), (40, 36), tuple(LAYERS["bundled"][0])
    options: dict[str, Any] = {"kind": kind}
    if kind == "sliced":
        seen = maps(picture(60, 71, 1))
        generator = torch.Generator().manual_seed(0)
        axes = {layer: directions(seen[layer].shape[1], 5, generator).double() for layer in style}
        options |= {"axes": axes, "aims": [Aim({layer: projections(seen[layer], axes[layer]) for layer in style})]}
    goal = objective(maps, "bundled", size, 0, **options)
    point = picture(*size, seed=3)
    _, gradient = finished(goal.gradient(point))
    towards = gradient / gradient.norm()

    def loss(step: float) -> float:
        still, direction = (framed(values, goal.frame) for values in (point, towards))
        moved = still + step * goal._faded(direction.clone())  # what lies in the frame is meant to count less
        core = maps(moved)
        return float(goal._style(goal._see(core, 0)) + goal._rest(moved, core, 0)[0])

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert slope == pytest.approx(gradient.norm().item(), rel=1e-3)


@pytest.mark.parametrize("size", [(101, 64), (47, 130), (30, 5)])
def test_the_frame_fades_in_place(size: tuple[int, int]) -> None:
    """A copy of the gradient and a map of the fading would be as large as the picture."""
    goal = objective(maps_of("bundled"), "bundled", size, 0, content=None)
    slope = picture(*goal.size, seed=3)
    rows, columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in goal.size)
    counted = np.minimum(1, (np.minimum(rows[:, None], columns) + 0.5) / goal.frame)
    expected, place = slope * torch.from_numpy(counted), slope.data_ptr()
    faded = goal._faded(slope)
    assert faded.data_ptr() == place
    torch.testing.assert_close(faded, expected, rtol=1e-6, atol=0)


def test_losses_start_near_one_for_any_layer() -> None:
    maps, size = maps_of("bundled"), (96, 96)
    photo = 0.3 * picture(*size, seed=2)
    goal = objective(maps, "bundled", size, 0, content=photo)
    losses, _ = finished(goal.gradient(photo))
    assert 0.5 < losses["style"] <= 1
    assert losses["content"] == 0
