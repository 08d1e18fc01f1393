"""Pictures on their way into a pipeline and out of it: sizes that fit, edges, noise, and rough previews."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from creative.device import random_generator
from creative.images import contact_sheet, fit, resize, to_image, to_tensor
from creative.options.diffusion import DiffuseSettings

_SD_COLOURS = ((0.35, 0.23, 0.32), (0.33, 0.50, 0.24), (-0.28, 0.18, 0.27), (-0.21, -0.26, -0.72))
"""Red, green and blue of each channel that Stable Diffusion's autoencoder draws in, by linear regression."""


@dataclass(frozen=True)
class Frame:
    """The size that is asked for, the size that is drawn, and the photo and the mask in the latter.

    Attributes:
        asked: width and height of a result, pixels.
        drawn: at least as large, both multiples of what the pipeline works in.
        photo: in the drawn size, its last row and column repeated; None where there is none.
        mask: mode L, black and white, as the photo.
        told: what was adjusted.
    """

    asked: tuple[int, int]
    drawn: tuple[int, int]
    photo: Image.Image | None = None
    mask: Image.Image | None = None
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, photo: Image.Image | None, mask: Image.Image | None, settings: DiffuseSettings, multiple: int) -> Frame:
        """The frame for a photo, or for pictures of the aspect and size that the settings say.

        Args:
            multiple: what the sides must be multiples of, pixels.
        """
        assert settings.size is not None
        wide, high = (int(side) for side in settings.aspect.split(":"))
        asked = fit(photo.size if photo is not None else (wide, high), settings.size)
        drawn = (math.ceil(asked[0] / multiple) * multiple, math.ceil(asked[1] / multiple) * multiple)
        told = []
        if drawn != asked:
            told.append(f"{asked[0]} × {asked[1]} pixels are drawn as {drawn[0]} × {drawn[1]}, and cut to size.")
        if photo is None:
            return cls(asked, drawn, told=told)
        if mask is not None and mask.size != photo.size:
            told.append(
                f"The mask of {mask.width} × {mask.height} pixels is stretched to the photo's "
                f"{photo.width} × {photo.height}."
            )
        cut = None
        if mask is not None:
            cut = _padded(resize(mask.convert("L"), asked).point(lambda level: 255 * (level >= 128)), drawn)
        return cls(asked, drawn, _padded(resize(photo.convert("RGB"), asked), drawn), cut, told)

    def framed(self, picture: Image.Image) -> Image.Image:
        """A picture that was drawn, in the size asked for; of a photo that is filled in only what the mask says."""
        if picture.size != self.drawn:
            picture = resize(picture, self.drawn)
        if self.mask is not None and self.photo is not None:
            picture = Image.composite(picture.convert("RGB"), self.photo, self.mask)
        return picture.convert("RGB").crop((0, 0, *self.asked))


def _padded(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """With its last row and column repeated up to a size."""
    pixels = np.asarray(picture)
    room = [(0, size[1] - pixels.shape[0]), (0, size[0] - pixels.shape[1]), (0, 0)][: pixels.ndim]
    return Image.fromarray(np.pad(pixels, room, mode="edge"))


def edges(photo: Image.Image) -> Image.Image:
    """White edges on black by Canny's detector, as ControlNets for canny edges were trained on."""
    import cv2

    found = cv2.Canny(np.asarray(photo.convert("L")), 100, 200)
    return Image.fromarray(found).convert("RGB")


def noise_between(pipeline: Any, first: int, second: int, share: float, size: tuple[int, int]) -> Tensor:
    """Noise between those of two seeds, on the sphere: (1, C, h, w); a share of 0 is the first seed's."""
    scale = int(pipeline.vae_scale_factor)
    shape = (1, int(pipeline.unet.config.in_channels), size[1] // scale, size[0] // scale)
    a, b = (torch.randn(shape, generator=random_generator(seed)) for seed in (first, second))
    angle = torch.arccos(((a * b).sum() / (a.norm() * b.norm())).clamp(-1, 1))
    if float(angle) < 1e-4:  # the same seed twice
        return a.to(pipeline.dtype)
    between = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
    return between.to(pipeline.dtype)


@torch.no_grad()
def roughly(latents: Tensor, size: tuple[int, int]) -> Image.Image:
    """What a pipeline is drawing, without its decoder: (1, C, h, w) as a blurred picture of the (width, height)."""
    found = latents.detach()[:1].float().cpu()
    if found.shape[1] == 4:
        picture = torch.einsum("bchw,cd->bdhw", found, torch.tensor(_SD_COLOURS)) / 2 + 0.5
    else:
        picture = (found.mean(1, keepdim=True) / (2 * found.std() + 1e-6) + 0.5).expand(-1, 3, -1, -1)
    return resize(to_image(picture), size)


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one size in rows, as near to a square as their number allows; a single one as it is."""
    if len(pictures) == 1:
        return pictures[0].copy()
    columns = math.ceil(math.sqrt(len(pictures)))
    return contact_sheet(torch.cat([to_tensor(picture) for picture in pictures]).split(columns))
