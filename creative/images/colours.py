"""Lightness and colours of pictures that are tensors already."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue add to lightness (ITU-R BT.601)."""


def lightness(picture: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W)."""
    return (picture * picture.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def with_lightness(picture: Tensor, lighter: Tensor) -> Tensor:
    """The picture's colours at the lightness of another of the same size, (B, 3, H, W) each in [0, 1].

    Its chroma in YIQ is kept, but where a colour would be out of range.
    """
    return (picture + lightness(lighter - picture)).clamp(0, 1)
