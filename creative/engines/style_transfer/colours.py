"""Colours as moments, which mix as those of features do."""

from __future__ import annotations

from torch import Tensor

from creative import images
from creative.losses import Moments, moments


def colour_moments(picture: Tensor) -> Moments:
    """The moments of a picture's colours: (1, 3, H, W) -> mean (3,), covariance (3, 3)."""
    return moments(picture).normalised()


def recoloured(picture: Tensor, colours: Moments) -> Tensor:
    """The picture (1, 3, H, W) with the mean and covariance of other colours; see ``creative.images.recoloured``."""
    return images.recoloured(picture, colours.mean, colours.covariance)
