"""Pictures of what a network paints: photos down, paintings across."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from creative.images import to_image
from creative.models.style_net import StyleNet


@torch.no_grad()
def sheet(network: StyleNet, photos: Tensor, paintings: Sequence[Image.Image], codes: Sequence[Tensor]) -> Image.Image:
    """Photos in the first column, paintings in the first row, each photo in each style where they meet.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        paintings: as many as codes.
        codes: (1, N) each.
    """
    height, width = photos.shape[-2:]
    canvas = Image.new("RGB", (width * (len(codes) + 1), height * (len(photos) + 1)), (24, 24, 24))
    for row, photo in enumerate(photos.split(1), 1):
        canvas.paste(to_image(photo), (0, row * height))
    for column, (painting, code) in enumerate(zip(paintings, codes, strict=True), 1):
        small = painting.copy()
        small.thumbnail((width, height))
        canvas.paste(small, (column * width + (width - small.width) // 2, (height - small.height) // 2))
        for row, photo in enumerate(photos.split(1), 1):
            canvas.paste(to_image(network(photo, code)), (column * width, row * height))
    return canvas
