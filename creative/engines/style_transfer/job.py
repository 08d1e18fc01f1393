"""What is to be painted: the pictures, the settings and the network, checked against each other before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from creative.device import choose_device, fast_dtype
from creative.engines.style_transfer.checks import (
    Keep,
    StyleError,
    check_types,
    checked_keep,
    checked_mask,
    checked_regions,
    checked_shape,
    checked_style_masks,
)
from creative.engines.style_transfer.maps import CANVAS_FRAME, Maps
from creative.engines.style_transfer.optimizers import PAIRS
from creative.engines.style_transfer.plan import Scale, fitting_tile, plan_scales
from creative.engines.style_transfer.regions import Regions
from creative.images import fit, in_rgb
from creative.losses import PIXELS
from creative.models.features import check_layers, load_features
from creative.options.style_transfer import StylizeSettings, layer_weights
from creative.style_presets import Preset

STYLE_LAYERS = {
    # Searched for by style at equal content: weights/features.md.
    "bundled": ("pixels", "relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_2"),
    "vgg16": ("pixels=0.5", "relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "vgg19": ("pixels=0.5", "relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "squeezenet1_0": ("pixels=0.5", "relu1", "fire3", "fire5", "fire7", "fire9"),
    "squeezenet1_1": ("pixels=0.5", "relu1", "fire3", "fire5", "fire7", "fire9"),
    "googlenet": ("pixels=0.5", "conv1", "conv3", "inception3a", "inception4a", "inception4d"),
    "inception_v3": ("pixels=0.5", "conv2a", "conv2b", "conv4a", "mixed5c", "mixed6b"),
    "resnet50": ("pixels=0.5", "relu1", "layer1_1", "layer1", "layer2", "layer3_2"),
    "mobilenet_v2": ("pixels=0.5", "relu1", "block1", "block3", "block6", "block10"),
}
CONTENT_LAYERS = {
    "bundled": ("relu4_1",),
    "vgg16": ("relu4_2",),
    "vgg19": ("relu4_2",),
    "squeezenet1_0": ("fire5",),
    "squeezenet1_1": ("fire5",),
    "googlenet": ("inception4a",),
    "inception_v3": ("mixed5d",),
    "resnet50": ("layer2",),
    "mobilenet_v2": ("block6",),
}


@dataclass(frozen=True)
class Job:
    """What is to be painted, once everything about it was checked."""

    content: Image.Image | None
    styles: tuple[Image.Image | Preset, ...]
    style_weights: tuple[float, ...]
    mask: Image.Image | None
    style_masks: tuple[Image.Image | None, ...]
    start: Image.Image | None
    keep: Keep | None
    content_map: Image.Image | None
    style_map: Image.Image | None
    regions: Regions | None
    settings: StylizeSettings
    maps: Maps
    style_layers: Mapping[str, float]
    content_layers: Mapping[str, float]
    scales: tuple[Scale, ...]
    tile: int
    device: torch.device

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the result."""
        return self.scales[-1].size

    def in_tiles(self, scale: Scale) -> bool:
        """Whether the gradient at a size is computed in tiles; Adam is used there."""
        return bool(self.tile) and scale.pixels > self.tile**2

    def by_adam(self, scale: Scale) -> bool:
        """Whether Adam is used at a size."""
        return self.settings.optimizer == "adam" or self.in_tiles(scale)


def checked_job(
    content: Image.Image | None,
    styles: tuple[Image.Image | Preset, ...],
    settings: StylizeSettings,
    mask: Image.Image | None,
    style_masks: tuple[Image.Image | None, ...],
    weights: Path | None,
    device: str | torch.device | None,
    start: Image.Image | None = None,
    keep: Keep | None = None,
    content_map: Image.Image | None = None,
    style_map: Image.Image | None = None,
) -> Job:
    """The job, if all that was given goes together.

    Raises:
        ValueError: it does not; see ``stylize``.
    """
    check_types(content, styles, settings, (mask, start, content_map, style_map))
    if not styles:
        raise StyleError("A style is missing: give a painting or a preset.")
    content, start = (in_rgb(picture) if picture is not None else None for picture in (content, start))
    styles = tuple(in_rgb(style) if isinstance(style, Image.Image) else style for style in styles)
    if settings.init == "instant" and start is None:
        raise StyleError("To start from what a painter makes, give that picture as start.")
    chosen = choose_device(device or "auto")
    style_layers = layer_weights(settings.style_layers or STYLE_LAYERS[settings.network])
    content_layers = layer_weights(settings.content_layers or CONTENT_LAYERS[settings.network])
    style_layers = {layer: weight for layer, weight in style_layers.items() if weight}
    content_layers = {layer: weight for layer, weight in content_layers.items() if weight} if content else {}
    if not style_layers:
        raise StyleError("All weights of style layers are 0: nothing of the style would be painted.")
    asked = [layer for layer in (*style_layers, *content_layers) if layer != PIXELS]
    check_layers(settings.network, asked or CONTENT_LAYERS[settings.network])
    _check_presets(styles, settings, style_layers)
    features = load_features(
        settings.network,
        layers=asked or CONTENT_LAYERS[settings.network],
        weights=weights,
        pooling=settings.pooling,
        device=chosen,
    )
    for style in styles:
        if isinstance(style, Preset) and style.network != features.sha256:
            raise StyleError(
                f"The preset {style.name} was made for other weights of the bundled network; make it again from its "
                "picture (creative preset PICTURE --name NAME), or give the picture itself."
            )
    maps = Maps(features, tuple({**style_layers, **content_layers}), _precision(settings, chosen))
    size = _size(content, content_map, settings)
    _check_sizes(content, styles, size, settings, features.min_size)
    return Job(
        content=content,
        styles=styles,
        style_weights=_style_weights(settings, len(styles)),
        mask=checked_mask(mask, content, "mask") if mask is not None else None,
        style_masks=checked_style_masks(style_masks, len(styles), content),
        start=checked_shape(start, size, "starting picture") if start is not None else None,
        keep=checked_keep(keep, size) if keep is not None else None,
        content_map=content_map,
        style_map=style_map,
        regions=checked_regions(content, styles, settings, style_masks, content_map, style_map),
        settings=settings,
        maps=maps,
        style_layers=style_layers,
        content_layers=content_layers,
        scales=(scales := tuple(plan_scales(size, settings, features.min_size))),
        tile=_tile(maps, scales, settings),
        device=chosen,
    )


def _check_presets(
    styles: Sequence[Image.Image | Preset], settings: StylizeSettings, style_layers: Mapping[str, float]
) -> None:
    presets = [style for style in styles if isinstance(style, Preset)]
    if not presets:
        return
    name = presets[0].name
    if settings.network != "bundled":
        raise StyleError(
            f"The preset {name} holds the style as the bundled network sees it; for {settings.network}, give the "
            "picture itself."
        )
    if settings.style_loss == "sliced":
        raise StyleError(f"The preset {name} holds moments only; the sliced loss needs the picture itself.")
    if settings.init == "style" and isinstance(styles[0], Preset):
        raise StyleError(f"The preset {name} has no picture to start from; give the picture itself.")
    if settings.pooling != "max":
        raise StyleError(f"The preset {name} was made with max pooling; for average pooling, give the picture itself.")
    for layer in style_layers:
        if layer not in presets[0].layers:
            raise StyleError(f"The preset {name} does not hold {layer}, only {', '.join(presets[0].layers)}.")


def _check_sizes(
    content: Image.Image | None,
    styles: Sequence[Image.Image | Preset],
    size: tuple[int, int],
    settings: StylizeSettings,
    least: int,
) -> None:
    network = "the bundled network" if settings.network == "bundled" else settings.network
    pictures = [("photo", content)] + [("painting", style) for style in styles if isinstance(style, Image.Image)]
    for word, picture in pictures:
        if picture is not None and min(picture.size) < least:
            width, height = picture.size
            raise StyleError(
                f"The {word} has {width} × {height} pixels, but {network} needs at least {least} on each side."
            )
    width, height = size
    if min(width, height) < least:
        raise StyleError(
            f"The result would have {width} × {height} pixels, but {network} needs at least {least} on each "
            "side; ask for a larger size or a less narrow picture."
        )


def _style_weights(settings: StylizeSettings, styles: int) -> tuple[float, ...]:
    given = settings.style_weights or (1.0,) * styles
    if len(given) != styles:
        raise StyleError(f"style_weights must be one number for each of the {styles} styles, but are {len(given)}.")
    return tuple(weight / sum(given) for weight in given)


def _size(content: Image.Image | None, content_map: Image.Image | None, settings: StylizeSettings) -> tuple[int, int]:
    """(width, height) of the result: of the photo's shape, else the map's, else of the shape that is asked for."""
    if content is not None or content_map is not None:
        return fit((content or content_map).size, settings.size)  # type: ignore[union-attr]
    aspect = settings.aspect or 1.0
    return fit((round(1000 * aspect), 1000), settings.size)


def _tile(maps: Maps, scales: Sequence[Scale], settings: StylizeSettings) -> int:
    """The side of the tiles; 0 for none, as no size asked for needs them."""
    pixels = max(scale.pixels for scale in scales)
    seen = max((scale.size[0] + 2 * CANVAS_FRAME) * (scale.size[1] + 2 * CANVAS_FRAME) for scale in scales)
    tile = settings.tile if settings.tile is not None else fitting_tile(maps, seen, settings, PAIRS)
    tile = -(-tile // maps.multiple) * maps.multiple
    tile = tile if pixels > tile**2 else 0
    if tile and settings.style_loss == "sliced":
        raise StyleError(
            "The sliced style loss does not add up over tiles, and the picture does not fit into memory whole; choose "
            "gram or moments, a smaller size, or allow more memory."
        )
    return tile


def _precision(settings: StylizeSettings, device: torch.device) -> torch.dtype | None:
    if settings.precision == "auto":
        fast = fast_dtype(device)
        return fast if fast is torch.bfloat16 else None  # float16 would need its gradients scaled
    return torch.bfloat16 if settings.precision == "bfloat16" else None
