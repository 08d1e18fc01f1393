"""Checks of what a painting is to be made of: masks, maps and pictures against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from creative.engines.style_transfer.regions import Regions, guess_map, match_maps
from creative.images import ImageError, fitting_mask
from creative.options.style_transfer import StylizeSettings
from creative.style_presets import Preset

WHITE = (255, 255)
"""The extremes of a mask that is white everywhere."""


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


def check_types(content: object, styles: Sequence[object], settings: object, others: Sequence[object]) -> None:
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


def checked_picture(picture: object, word: str, opened_by: str) -> Image.Image:
    """A picture, if it is one: callers from Python may give a path."""
    if not isinstance(picture, Image.Image):
        kind = type(picture).__name__
        raise StyleError(f"The {word} must be a picture ({opened_by} opens one), but is a {kind}.")
    return picture


def checked_mask(mask: object, content: Image.Image | None, word: str) -> Image.Image:
    """A mask as mode L. It may be of any size but of the photo's shape; it is scaled."""
    if content is None and word == "mask":
        raise StyleError("A mask keeps parts of a photo, but there is no photo.")
    try:
        return fitting_mask(checked_picture(mask, word, "open_mask"), content, word)
    except ImageError as error:
        raise StyleError(str(error)) from None


def checked_style_masks(
    masks: Sequence[Image.Image | None], styles: int, content: Image.Image | None
) -> tuple[Image.Image | None, ...]:
    """One mask for each style, None for everywhere, which a white one comes to up to rounding."""
    if masks and len(masks) != styles:
        raise StyleError(f"There must be one style mask for each of the {styles} styles, but there are {len(masks)}.")
    words = (f"style mask {number}" for number in range(1, styles + 1))
    checked = [checked_mask(m, content, word) if m is not None else None for m, word in zip(masks, words, strict=False)]
    return tuple(m if m is None or m.getextrema() != WHITE else None for m in checked) or (None,) * styles


def checked_regions(
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
        checked_shape(content_map, content.size, "map", "photo")
    if style_map is None:
        return guess_map(content_map, painting)
    return match_maps(content_map, checked_shape(style_map, painting.size, "style map", "painting"))


def checked_shape(picture: Image.Image, size: tuple[int, int], word: str, other: str = "result") -> Image.Image:
    """A picture that is scaled to another's (width, height)."""
    if not 0.95 < picture.width / picture.height * size[1] / size[0] < 1.05:
        raise StyleError(
            f"The {word} has {picture.width} × {picture.height} pixels, another shape than the {other}'s "
            f"{size[0]} × {size[1]}; it is scaled, but not stretched."
        )
    return picture


def checked_keep(keep: Keep, size: tuple[int, int]) -> Keep:
    """What is to be kept, if it has the shape of the result's (width, height)."""
    mask = keep.mask if keep.mask.mode == "L" else keep.mask.convert("L")
    return Keep(
        checked_shape(keep.picture, size, "picture to keep"),
        checked_shape(mask, size, "mask of the picture to keep"),
        keep.weight,
    )
