"""Look inside: which channels a photo excites, where, what they look for elsewhere, and what the network calls it.

After the Deep Visualization Toolbox (Yosinski, Clune, Nguyen, Fuchs, Lipson, Understanding Neural Networks Through Deep
Visualization, 2015, arXiv:1506.06579).

    inside = run(look_inside(photo))
    inside.classes[0].name, inside.layers[-1].channels[0].strength
    inside.sheet.save("inside.png")
    seen = inside.at(300, 200)                       # the channel shown there on the sheet: what a click means
    dreamed = run(dream_channel(photo, seen))        # the photo, with more of it
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from creative.device import choose_device, random_generator
from creative.engines.deep_dream import dream
from creative.engines.feature_visualization import draw
from creative.engines.feature_visualization.sheet import INK, PAPER, label_font, shortened
from creative.images import fit, resize, to_image, to_tensor
from creative.models.features import Classifier, load_classifier
from creative.options.deep_dream import DreamSettings
from creative.options.feature_visualization import VisualizeSettings
from creative.options.look_inside import LookInsideSettings
from creative.progress import Step
from creative.provenance import describe_run

Box = tuple[int, int, int, int]
"""Left, top, right and bottom on the sheet, pixels."""


@dataclass(frozen=True)
class SeenClass:
    """What the network calls the photo, and how sure it is, from 0 to 1."""

    name: str
    confidence: float


@dataclass(frozen=True)
class SeenChannel:
    """A channel that the photo excites.

    Attributes:
        network, layer, channel: which.
        strength: by the rank of the settings, for "distinct" how many times as much as the photo's scramble excites it.
        peak, mean: of its map.
        map: the photo, lit where the channel is active.
        looks_for: what excites it most, drawn from nothing; None where that was not asked for.
        box: where the sheet shows it.
    """

    network: str
    layer: str
    channel: int
    strength: float
    peak: float
    mean: float
    map: Image.Image
    looks_for: Image.Image | None
    box: Box

    @property
    def name(self) -> str:
        """As an objective of ``visualize`` and a layer of ``dream``: ``relu4_1:17``."""
        return f"{self.layer}:{self.channel}"

    def dream_settings(self, settings: DreamSettings = DreamSettings()) -> DreamSettings:  # noqa: B008 (frozen)
        """Settings that dream this channel into a photo."""
        return settings.changed(layers=(self.name,), network=self.network, subject=None)


@dataclass(frozen=True)
class SeenLayer:
    """The strongest channels of a layer, strongest first."""

    layer: str
    channels: tuple[SeenChannel, ...]


@dataclass(frozen=True)
class Inside:
    """What a network sees in a photo."""

    classes: tuple[SeenClass, ...]
    layers: tuple[SeenLayer, ...]
    sheet: Image.Image

    @property
    def picture(self) -> Image.Image:
        """The sheet: what is saved."""
        return self.sheet

    def at(self, x: int, y: int) -> SeenChannel | None:
        """The channel that the sheet shows at a point, in pixels of the sheet."""
        channels = (channel for layer in self.layers for channel in layer.channels)
        return next((one for one in channels if one.box[0] <= x < one.box[2] and one.box[1] <= y < one.box[3]), None)


def dream_channel(
    photo: Image.Image,
    seen: SeenChannel | str,
    settings: DreamSettings = DreamSettings(),  # noqa: B008 (frozen)
    *,
    weights: str | Path | None = None,
    device: str | None = None,
) -> Generator[Step, None, Image.Image]:
    """Dream one channel into a photo: one that was seen, or LAYER:CHANNEL of the settings' network."""
    chosen = settings.changed(layers=(seen,), subject=None) if isinstance(seen, str) else seen.dream_settings(settings)
    return dream(photo, chosen, weights=None if weights is None else Path(weights), device=device)


def look_inside(
    photo: Image.Image,
    settings: LookInsideSettings = LookInsideSettings(),  # noqa: B008 (frozen)
    *,
    weights: str | Path | None = None,
    device: str | None = None,
) -> Generator[Step, None, Inside]:
    """What a network sees in a photo: the strongest channels of its layers, and the likeliest classes.

    Args:
        photo: of any size.
        settings: which layers and how many channels.
        weights: a file of weights for the network, in place of its own.
        device: where to compute.

    Raises:
        ValueError: at the call: an unknown layer, weights that are missing, a photo that is too narrow to look at.
    """
    place = choose_device(device or "auto")
    network = load_classifier(settings.network, layers=settings.chosen_layers(), weights=weights, device=place)
    small = resize(photo.convert("RGB"), fit(photo.size, settings.size))
    if min(small.size) < network.features.min_size:
        raise ValueError(
            f"The photo is too narrow to look at: at {settings.size} pixels it has {small.width} × {small.height}, "
            f"but {settings.network} needs {network.features.min_size} a side."
        )
    return _looking(photo, small, network, settings, weights, place)


def _looking(
    photo: Image.Image,
    small: Image.Image,
    network: Classifier,
    settings: LookInsideSettings,
    weights: str | Path | None,
    device: torch.device,
) -> Generator[Step, None, Inside]:
    yield Step(0, None)
    pixels = to_tensor(small, device)
    with torch.inference_mode():
        maps, logits = network.maps_and_logits(pixels)
        scrambled, _ = network.maps_and_logits(scramble(pixels, random_generator(settings.seed)))
        chosen = {
            layer: strongest(maps[layer][0], scrambled[layer][0], settings.rank, settings.channels)
            for layer in settings.chosen_layers()
        }
        confidence, places = logits[0].softmax(0).sort(descending=True)
    classes = tuple(
        SeenClass(network.classes[index].replace("_", " "), share)
        for index, share in zip(places.tolist()[: settings.classes], confidence.tolist(), strict=False)
    )
    found = [
        _Found(layer, channel, strength, maps[layer][0, channel])
        for layer, some in chosen.items()
        for channel, strength in some
    ]
    lit = [light(small, one.map, settings.tile) for one in found]

    def so_far(drawn: Sequence[Image.Image] = ()) -> tuple[Image.Image, list[Box]]:
        return _sheet(photo, classes, found, lit, drawn, settings)

    drawn: list[Image.Image] = []
    if settings.steps:
        drawing = draw(
            VisualizeSettings(
                objectives=tuple(f"{one.layer}:{one.channel}" for one in found),
                size=max(settings.tile, 96),
                steps=settings.steps,
                network=settings.network,
                seed=settings.seed,
            ),
            weights=weights,
            device=str(device),
        )
        while True:
            try:
                step = next(drawing)
            except StopIteration as end:
                drawn = [resize(one, (settings.tile, settings.tile)) for one in end.value.pictures]
                break
            yield Step(step.done, step.total, step.metrics, lambda: so_far()[0])
    sheet, boxes = so_far(drawn)
    seen = [
        SeenChannel(
            settings.network,
            one.layer,
            one.channel,
            one.strength,
            float(one.map.max()),
            float(one.map.mean()),
            lit[number],
            drawn[number] if drawn else None,
            boxes[number],
        )
        for number, one in enumerate(found)
    ]
    layers = tuple(
        SeenLayer(layer, tuple(one for one in seen if one.layer == layer)) for layer in settings.chosen_layers()
    )
    source = None if weights is None else {"file": Path(weights).name, "sha256": network.features.sha256}
    sheet.info["provenance"] = describe_run(
        "inside",
        settings,
        inputs={"photo": photo, "network_weights": source},
        weights={settings.network: network.features.sha256},
        device=device,
        result={
            "classes": [[one.name, round(one.confidence, 4)] for one in classes],
            "channels": [[one.name, round(one.strength, 4), list(one.box)] for one in seen],
        },
    )
    return Inside(classes, layers, sheet)


@dataclass(frozen=True)
class _Found:
    layer: str
    channel: int
    strength: float
    map: Tensor


def scramble(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """The same colours and frequencies with nothing in them: every phase shifted at random, (1, 3, H, W) in [0, 1]."""
    height, width = pixels.shape[-2:]
    noise = torch.fft.rfft2(torch.randn(height, width, generator=generator)).to(pixels.device)
    turned = torch.fft.rfft2(pixels) * (noise / noise.abs().clamp(min=1e-12))
    mean = pixels.mean((2, 3), keepdim=True)
    turned[..., 0, 0] = mean[..., 0, 0] * height * width
    return torch.fft.irfft2(turned, s=(height, width)).clamp(0, 1)


def strongest(map_: Tensor, scrambled: Tensor, rank: str, count: int) -> list[tuple[int, float]]:
    """The channels that a photo excites most, with their strength, strongest first.

    Args:
        map_, scrambled: of the photo and of its scramble, (C, H, W).
        rank: "mean", "peak", or "distinct": the mean over what the scramble's is, a quarter of the layer's average
            added to it so that channels that are nearly always off do not win by next to nothing.
        count: at most.
    """
    if rank == "peak":
        strength = map_.amax((1, 2))
    elif rank == "mean":
        strength = map_.mean((1, 2))
    else:
        usual = scrambled.mean((1, 2)).clamp(min=0)
        strength = map_.mean((1, 2)) / (usual + usual.mean() / 4 + 1e-12)
    values, channels = strength.topk(min(count, len(strength)))
    return list(zip(channels.tolist(), values.tolist(), strict=True))


def light(photo: Image.Image, map_: Tensor, side: int) -> Image.Image:
    """The middle square of a photo, lit where a channel's map is active and dark elsewhere."""
    picture = to_tensor(photo)
    active = F.interpolate(map_[None, None].float().cpu(), picture.shape[-2:], mode="bicubic").clamp(min=0)
    active = (active / active.max().clamp(min=1e-12)).sqrt()
    grey = picture.mean(1, keepdim=True) * 0.3
    lit = to_image(grey + (picture - grey) * active)
    edge = min(lit.size)
    left, top = (lit.width - edge) // 2, (lit.height - edge) // 2
    return resize(lit.crop((left, top, left + edge, top + edge)), (side, side))


def _sheet(
    photo: Image.Image,
    classes: Sequence[SeenClass],
    found: Sequence[_Found],
    lit: Sequence[Image.Image],
    drawn: Sequence[Image.Image],
    settings: LookInsideSettings,
) -> tuple[Image.Image, list[Box]]:
    """Left the photo and its classes; right a row for each layer: the maps, and what the channels look for."""
    side = settings.tile
    gap, font = max(6, side // 16), label_font(side + 24)
    line = round(font.size * 1.7)
    cell = (side * 2 if settings.steps else side) + gap
    layers = settings.chosen_layers()
    widest = max(sum(one.layer == layer for one in found) for layer in layers)
    across = 2 * side
    shown = resize(photo.convert("RGB"), fit(photo.size, across))
    height = max(len(layers) * (side + line + gap) + gap, shown.height + len(classes) * (line + 4) + 4 * gap)
    whole = Image.new("RGB", (across + 3 * gap + widest * (cell + gap), height), PAPER)
    pen = ImageDraw.Draw(whole)
    whole.paste(shown, (gap, gap))
    top = shown.height + 2 * gap
    for one in classes:
        share = f"{one.confidence:.0%}"
        pen.rectangle((gap, top, gap + round(across * one.confidence), top + line - 2), fill=(233, 214, 178))
        name = shortened(one.name, font, across - round(font.getlength(share)) - 12)
        pen.text((gap + 4, top + line / 2 - 1), name, INK, font, anchor="lm")
        pen.text((gap + across - 4, top + line / 2 - 1), share, INK, font, anchor="rm")
        top += line + 4
    boxes: list[Box] = []
    for row, layer in enumerate(layers):
        members = [number for number, one in enumerate(found) if one.layer == layer]
        for column, number in enumerate(members):
            left, top = across + 3 * gap + column * (cell + gap), gap + row * (side + line + gap)
            whole.paste(lit[number], (left, top))
            if settings.steps:
                place = (left + side, top, left + 2 * side, top + side)
                whole.paste(drawn[number] if drawn else (236, 233, 226), place[:2] if drawn else place)
            label = f"{layer}:{found[number].channel}   {found[number].strength:.3g}"
            label += "x" if settings.rank == "distinct" else ""
            pen.text((left + (cell - gap) / 2, top + side + line / 2), label, INK, font, anchor="mm")
            boxes.append((left, top, left + cell - gap, top + side))
    return whole, boxes
