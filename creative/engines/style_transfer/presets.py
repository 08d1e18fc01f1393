"""Making style presets: a painting's statistics at several sizes, and a swatch to know it by."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from creative.device import choose_device
from creative.engines.style_transfer.checks import StyleError, checked_picture
from creative.engines.style_transfer.job import STYLE_LAYERS as COMPARED
from creative.engines.style_transfer.maps import Maps, framed
from creative.engines.style_transfer.painting import stylize
from creative.images import fit, in_rgb, resize, to_tensor
from creative.losses import PIXELS
from creative.models.features import load_features
from creative.models.style_net import STYLE_LAYERS
from creative.options.style_transfer import PresetSettings, StylizeSettings, layer_weights
from creative.progress import Step
from creative.style_presets import Preset

SIZES = (128, 181, 256, 512, 1024)
"""Longest sides at which a painting is looked at, pixels; none larger than it is, but for its own."""


def make_preset(
    picture: Image.Image, settings: PresetSettings, *, device: str | torch.device | None = None
) -> Generator[Step, None, Preset]:
    """The statistics of a picture's style as the bundled network sees it, to paint with later without the picture.

    It holds the layers that styles are compared by and those that painters for any painting look at.

    Raises:
        StyleError: the picture is none, or too small.
    """
    picture = checked_picture(picture, "painting", "open_image")
    chosen = choose_device(device or "auto")
    layers = {*layer_weights(COMPARED["bundled"]), *STYLE_LAYERS} - {PIXELS}
    features = load_features("bundled", layers=tuple(layers), device=chosen)
    if min(picture.size) < features.min_size:
        width, height = picture.size
        raise StyleError(f"The picture has {width} × {height} pixels, too few to see a style in.")
    return _make(in_rgb(picture), settings, Maps(features, (PIXELS, *features.layers), None), chosen)


def _make(
    picture: Image.Image, settings: PresetSettings, maps: Maps, device: torch.device
) -> Generator[Step, None, Preset]:
    least = -(-maps.features.min_size * max(picture.size) // min(picture.size))
    sizes = sorted({min(max(size, least), max(picture.size)) for size in SIZES})
    total = len(sizes) + bool(settings.swatch)
    yield Step(0, total)
    statistics: dict[int, Any] = {}
    for size in sizes:
        seen = to_tensor(resize(picture, fit(picture.size, size)), device)
        with torch.no_grad():
            found = maps.moments(framed(seen), maps.layers, 1024)
        statistics[size] = {layer: values.normalised() for layer, values in found.items()}
        yield Step(len(statistics), total)
    title = settings.title or settings.name.replace("-", " ").capitalize()
    preset = Preset(settings.name, title, settings.painter, settings.year, maps.features.sha256, statistics)
    if not settings.swatch:
        return preset
    options = StylizeSettings(size=max(64, settings.swatch), seed=settings.seed, iterations=(80,), style_scale=1.5)
    engine = stylize(None, preset, options, device=device)
    swatch = yield from _as_one_step(engine, len(sizes), total)
    return replace(preset, swatch=resize(swatch, (settings.swatch, settings.swatch)))


def _as_one_step(
    engine: Generator[Step, None, Image.Image], done: int, total: int
) -> Generator[Step, None, Image.Image]:
    """The swatch as one step of making the preset, with its previews."""
    while True:
        try:
            step = next(engine)
        except StopIteration as stop:
            return stop.value
        yield Step(done, total, preview=step.preview)
