"""Masks: pictures in grey that say where."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from creative.images.opening import ImageError, rgb


def fitting_mask(mask: Image.Image, picture: Image.Image | None, word: str = "mask") -> Image.Image:
    """A mask as mode L, if it goes with a picture. It may be of any size but of the picture's shape; it is scaled.

    Args:
        mask: white where, black where not.
        picture: what it goes with; None where any shape will do.
        word: what it is called where it is wrong.

    Raises:
        ImageError: it has another shape, or is black everywhere.
    """
    grey = mask if mask.mode == "L" else rgb(mask).convert("L")  # rgb: deep greys would be cut off, not scaled
    if grey is not mask:
        grey.info = dict(mask.info)
    if picture is not None and not _alike(grey.size, picture.size):
        raise ImageError(
            f"The {word} has {grey.width} × {grey.height} pixels, another shape than the photo's "
            f"{picture.width} × {picture.height}; a mask is scaled, but not stretched."
        )
    if not grey.getextrema()[1]:
        raise ImageError(f"The {word} is black everywhere: nothing would be painted.")
    return grey


def recorded_masks(masks: Sequence[Image.Image | None], size: tuple[int, int]) -> list[Image.Image]:
    """Masks as a record has them: a white one of (width, height) for each that is None; none if all are."""
    given = any(mask is not None for mask in masks)
    return [mask if mask is not None else Image.new("L", size, 255) for mask in masks] if given else []


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two (width, height) are of one shape, up to 5 % or, where a picture is thin, a pixel."""
    width, height = size[1] * other[0] / other[1], size[0] * other[1] / other[0]  # which the other side asks for
    return any(abs(side - asked) <= max(1, 0.05 * asked) for side, asked in zip(size, (width, height), strict=True))
