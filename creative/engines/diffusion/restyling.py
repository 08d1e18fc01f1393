"""A photo as a picture of another kind, by our own diffusion network.

Meng et al. (2021), SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations,
arXiv:2108.01073: the photo is made noisy and drawn again as the other kind.

    painting = run(restyle(photo, DiffuseSettings(domain="monet", strength=0.5)))
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from creative.engines.diffusion.denoising import Descent, to_pixels
from creative.engines.diffusion.diffuser import BUNDLED, Diffuser, choose_diffuser
from creative.engines.diffusion.drawing import make_aim, previewed
from creative.engines.diffusion.tiles import level_of, pad
from creative.images import contact_sheet, fit, resize, to_image, to_tensor
from creative.options.diffusion import DiffuseSettings
from creative.progress import Step

STRENGTH = 0.5
"""How much noise a photo is given, where nothing else is said."""
LARGEST = 512
"""Longest side in pixels of a restyled photo, where nothing else is said."""


def restyle(
    photo: Image.Image,
    settings: DiffuseSettings | None = None,
    *,
    model: str | Path | Diffuser = BUNDLED,
    device: str = "auto",
) -> Generator[Step, None, Image.Image]:
    """Draw a photo as a picture of another kind.

    Args:
        photo: of any size; what is larger than the network's squares is drawn in squares that overlap.
        settings: ``domain, num`` (1), ``steps`` (20), ``strength`` (0.5; 0 gives the photo itself), ``guidance, size``
            (of its longest side; at most 512), ``sampler, eta, seed``.
        model: a trained network's name or file, or a network.
        device: where to compute.

    Returns:
        The engine; its result is the picture, or a sheet of ``num`` with the seeds from ``seed`` on.

    Raises:
        WeightsError, CheckpointError, DiffusionError: at once: no such network or domain.
    """
    settings = settings or DiffuseSettings()
    diffuser = choose_diffuser(model, device)
    make_aim(settings, diffuser)
    return _restyle(photo, settings, diffuser)


def _restyle(photo: Image.Image, settings: DiffuseSettings, diffuser: Diffuser) -> Generator[Step, None, Image.Image]:
    strength = STRENGTH if settings.strength is None else settings.strength
    small = resize(photo, fit(photo.size, settings.size or min(LARGEST, max(photo.size))))
    aim = make_aim(settings, diffuser)
    count = max(1, int(aim.steps * strength + 1e-6)) if strength else 0
    message = None
    if strength and aim.steps * strength < 1 - 1e-6:
        message = f"A strength of {strength:g} of {aim.steps} steps is less than one: one step is made."
    yield Step(0, count or 1, preview=small.copy, message=message)
    original = to_tensor(small, diffuser.device)
    padded = pad(original, diffuser.config) * 2 - 1
    height, width = original.shape[-2:]
    results = original.expand(settings.num or 1, -1, -1, -1)

    def laid(pictures: Tensor) -> Image.Image:
        shown = to_pixels(pictures)[..., :height, :width]
        return to_image(shown) if len(shown) == 1 else contact_sheet([*shown.split(round(len(shown) ** 0.5 + 0.49))])

    if strength:
        aim = replace(aim, level=level_of(min(height, width), diffuser.config))
        descent = Descent(diffuser.network, aim, diffuser.device, strength=strength)
        generator = diffuser.generator(settings.seed)
        start = padded.expand(len(results), -1, -1, -1)
        fresh = torch.randn(start.shape, generator=generator, device=diffuser.device)
        for done, guess in enumerate(descent.steps(descent.noised(start, fresh), generator), 1):
            yield Step(done, count, preview=previewed(laid, guess))
        result = laid(descent.noisy)
    else:
        result = laid(padded.expand(len(results), -1, -1, -1))
    result.info["provenance"] = diffuser.provenance(settings, {"photo": photo})
    return result
