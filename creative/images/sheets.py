"""Pictures side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from creative.images.pixels import to_image

if TYPE_CHECKING:
    from torch import Tensor

MARGIN = 4
"""Pixels between the pictures."""


def contact_sheet(rows: Sequence[Tensor]) -> Image.Image:
    """Rows of pictures under one another, on white.

    Args:
        rows: (B, 3, H, W) each, in [0, 1], all of the same H and W; shorter rows leave room at their end.
    """
    import torch

    height, width = rows[0].shape[-2:]
    columns = max(map(len, rows))
    across = columns * (width + MARGIN) - MARGIN
    down = len(rows) * (height + MARGIN) - MARGIN
    paper = torch.ones(3, down, across)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = row * (height + MARGIN), column * (width + MARGIN)
            paper[:, top : top + height, left : left + width] = picture.float().cpu()
    return to_image(paper)
