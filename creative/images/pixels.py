"""Pictures resized, turned into tensors and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from creative.images.opening import ImageError, rgb

if TYPE_CHECKING:
    import torch


def fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The (width, height) of the same shape whose longest side is ``longest``; each side at least 1."""
    if longest < 1 or min(size) < 1:
        raise ImageError(f"A size must be at least 1 pixel, but {size[0]} × {size[1]} is to be fitted into {longest}.")
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at another (width, height), resampled with Lanczos' filter, antialiased when it shrinks."""
    if min(size) < 1:
        raise ImageError(f"A picture must have at least 1 × 1 pixels, but {size[0]} × {size[1]} were asked for.")
    return image.resize(size, Resampling.LANCZOS) if image.size != size else image.copy()


def to_tensor(image: Image.Image, device: str | torch.device | None = None) -> torch.Tensor:
    """A picture as float32 in [0, 1]: (1, 3, H, W), or (1, 1, H, W) for mode L; any other mode is made RGB first."""
    import torch

    if image.mode not in {"RGB", "L"}:
        image = rgb(image)
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    pixels = pixels[None, None] if image.mode == "L" else pixels.permute(2, 0, 1)[None]
    return pixels.to(device).float().div_(255)


def to_image(tensor: torch.Tensor) -> Image.Image:
    """(1, C, H, W) or (C, H, W) with C 3 or 1 as a picture: clamped to [0, 1] and rounded; NaN becomes black."""
    pixels = tensor.detach()
    pixels = pixels[0] if pixels.ndim == 4 and pixels.shape[0] == 1 else pixels
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or not pixels.numel():
        raise ImageError(f"A picture is a tensor of shape (1, 3, H, W) or (1, 1, H, W), not {tuple(tensor.shape)}.")
    levels = pixels.float().nan_to_num(0.0).clamp_(0, 1).mul_(255).round_().byte().permute(1, 2, 0)
    array = levels.contiguous().cpu().numpy()
    return Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0])
