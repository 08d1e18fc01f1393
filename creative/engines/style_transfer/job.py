"""What is to be painted: the pictures, the settings and the network, checked against each other before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from creative.device import choose_device, fast_dtype
from creative.engines.style_transfer.objective import FRAME, Maps
from creative.engines.style_transfer.optimizers import PAIRS
from creative.engines.style_transfer.plan import Scale, fitting_tile, plan_scales
from creative.engines.style_transfer.regions import Regions, guess_map, match_maps
from creative.images import fit
from creative.losses import PIXELS
from creative.models.features import check_layers, load_features
from creative.options.style_transfer import StylizeSettings, layer_weights
from creative.style_presets import Preset

STYLE_LAYERS = {
    "bundled": ("pixels=0.5", "relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
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


class StyleError(ValueError):
    """A painting cannot be made of what was given. The message is one sentence for a person."""


@dataclass(frozen=True)
class Keep:
    """What the result should equal in places: for a video, the frame before, moved along with what is in it.

    Attributes:
        picture: RGB, of the result's shape.
        mask: L, white where it counts.
        weight: of the loss, the mean squared difference over the picture's values, against the style's.
    """

    picture: Image.Image
    mask: Image.Image
    weight: float


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
    _check_types(content, styles, settings, (mask, start, content_map, style_map))
    if not styles:
        raise StyleError("A style is missing: give a painting or a preset.")
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
    _check_sizes(content, styles, _size(content, content_map, settings), settings, features.min_size)
    size = _size(content, content_map, settings)
    return Job(
        content=content,
        styles=styles,
        style_weights=_style_weights(settings, len(styles)),
        mask=_checked_mask(mask, content, "mask") if mask is not None else None,
        style_masks=_checked_style_masks(style_masks, len(styles), content),
        start=_checked_shape(start, size, "starting picture") if start is not None else None,
        keep=_checked_keep(keep, size) if keep is not None else None,
        content_map=content_map,
        style_map=style_map,
        regions=_checked_regions(content, styles, settings, style_masks, content_map, style_map),
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


def _check_types(content: object, styles: Sequence[object], settings: object, others: Sequence[object]) -> None:
    """For callers from Python: paths, arrays and dictionaries are told what to become."""
    given = [("The photo", content), *(("A style", style) for style in styles)]
    given += zip(("The mask", "The starting picture", "The map", "The style map"), others, strict=True)
    for word, value in given:
        if word == "A style":
            if not isinstance(value, Image.Image | Preset):
                kind = type(value).__name__
                raise StyleError(f"A style must be a picture (open_image) or a preset (load_preset), but is a {kind}.")
        elif value is not None and not isinstance(value, Image.Image):
            raise StyleError(
                f"{word} must be a picture (open_image opens one) or None, but is a {type(value).__name__}."
            )
    if not isinstance(settings, StylizeSettings):
        raise StyleError(f"The settings must be StylizeSettings, but are a {type(settings).__name__}.")


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


def _checked_mask(mask: Image.Image, content: Image.Image | None, word: str) -> Image.Image:
    """A mask as mode L. It may be of any size but of the photo's shape; it is scaled."""
    if content is None and word == "mask":
        raise StyleError("A mask keeps parts of a photo, but there is no photo.")
    grey = mask if mask.mode == "L" else mask.convert("L")
    if grey is not mask:
        grey.info = dict(mask.info)
    if content is not None:
        shape, own = content.width / content.height, grey.width / grey.height
        if not 0.95 < shape / own < 1.05:
            raise StyleError(
                f"The {word} has {grey.width} × {grey.height} pixels, another shape than the photo's "
                f"{content.width} × {content.height}; a mask is scaled, but not stretched."
            )
    if not grey.getextrema()[1]:
        raise StyleError(f"The {word} is black everywhere: nothing would be painted.")
    return grey


def _checked_style_masks(
    masks: Sequence[Image.Image | None], styles: int, content: Image.Image | None
) -> tuple[Image.Image | None, ...]:
    if masks and len(masks) != styles:
        raise StyleError(f"There must be one style mask for each of the {styles} styles, but there are {len(masks)}.")
    words = (f"style mask {number}" for number in range(1, styles + 1))
    checked = [
        _checked_mask(m, content, word) if m is not None else None for m, word in zip(masks, words, strict=False)
    ]
    return tuple(checked) or (None,) * styles


def _checked_regions(
    content: Image.Image | None,
    styles: Sequence[Image.Image | Preset],
    settings: StylizeSettings,
    style_masks: Sequence[Image.Image | None],
    content_map: Image.Image | None,
    style_map: Image.Image | None,
) -> Regions | None:
    """What of the painting goes where, if there are maps."""
    if content_map is None:
        if style_map is not None:
            raise StyleError("A style map says what the colours of another map mean; give that map as well.")
        return None
    painting = styles[0]
    if len(styles) > 1:
        raise StyleError(f"Maps say which part of one painting goes where, but there are {len(styles)} styles.")
    if isinstance(painting, Preset):
        raise StyleError(f"The preset {painting.name} has no picture that a map could be of; give the picture itself.")
    if any(style_masks):
        raise StyleError("Maps and style masks both say where the style goes; give one of them.")
    if settings.style_loss == "sliced":
        raise StyleError("The sliced style loss knows no regions; with maps choose gram or moments.")
    if content is not None:
        _checked_shape(content_map, content.size, "map", "photo")
    if style_map is None:
        return guess_map(content_map, painting)
    return match_maps(content_map, _checked_shape(style_map, painting.size, "style map", "painting"))


def _checked_shape(picture: Image.Image, size: tuple[int, int], word: str, other: str = "result") -> Image.Image:
    """A picture that is scaled to another's (width, height)."""
    if not 0.95 < picture.width / picture.height * size[1] / size[0] < 1.05:
        raise StyleError(
            f"The {word} has {picture.width} × {picture.height} pixels, another shape than the {other}'s "
            f"{size[0]} × {size[1]}; it is scaled, but not stretched."
        )
    return picture


def _checked_keep(keep: Keep, size: tuple[int, int]) -> Keep:
    mask = keep.mask if keep.mask.mode == "L" else keep.mask.convert("L")
    return Keep(
        _checked_shape(keep.picture, size, "picture to keep"),
        _checked_shape(mask, size, "mask of the picture to keep"),
        keep.weight,
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
    seen = max((scale.size[0] + 2 * FRAME) * (scale.size[1] + 2 * FRAME) for scale in scales)
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
