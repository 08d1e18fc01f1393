"""Masks: pictures in grey that say where."""

from __future__ import annotations

from PIL import Image

from creative.images.opening import ImageError, rgb


def fitting_mask(mask: Image.Image, picture: Image.Image, word: str = "mask") -> Image.Image:
    """A mask as mode L, if it goes with a picture. It may be of any size but of the picture's shape; it is scaled.

    Args:
        word: what it is called where it is wrong.

    Raises:
        ImageError: it has another shape, or is black everywhere.
    """
    grey = mask if mask.mode == "L" else rgb(mask).convert("L")  # rgb: deep greys would be cut off, not scaled
    if grey is not mask:
        grey.info = dict(mask.info)
    if not 0.95 < (picture.width / picture.height) / (grey.width / grey.height) < 1.05:
        raise ImageError(
            f"The {word} has {grey.width} × {grey.height} pixels, another shape than the photo's "
            f"{picture.width} × {picture.height}; a mask is scaled, but not stretched."
        )
    if not grey.getextrema()[1]:
        raise ImageError(f"The {word} is black everywhere: nothing would be painted.")
    return grey
