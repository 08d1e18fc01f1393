"""New pictures by our own diffusion network, and those between two of them.

    sheet = run(generate(DiffuseSettings(num=16, domain="monet")))
    strip = run(between(3, 8, DiffuseSettings(num=8)))

A picture is drawn whole and small, and enlarged as often as it has to be: twice as large, with some noise, and drawn
again from nearer by, square by square.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.engines.diffusion.denoising import Aim, Descent, noise, to_pixels
from creative.engines.diffusion.diffuser import BUNDLED, Diffuser, choose_diffuser
from creative.images import contact_sheet, to_image
from creative.models.diffusion import DiffusionError
from creative.options.diffusion import DiffuseSettings
from creative.progress import Step

STEPS = 20
"""Times that noise is taken away, where nothing else is said."""
GUIDANCE = 2.0
"""How much more of the domain, where nothing else is said."""
ENLARGED = 0.5
"""Strength with which what was enlarged is drawn again."""
FRAMES = "frames"
"""Under which a strip's ``info`` holds its pictures."""


def generate(
    settings: DiffuseSettings | None = None,
    *,
    model: str | Path | Diffuser = BUNDLED,
    device: str = "auto",
) -> Generator[Step, None, Image.Image]:
    """Draw pictures of a domain; those of a sheet have the seeds from ``seed`` on.

    Args:
        settings: ``domain, num`` (16), ``steps`` (20), ``guidance, size, aspect, sampler, eta, seed``.
        model: a trained network's name or file, or a network.
        device: where to compute.

    Returns:
        The engine; its result is the sheet, its previews what the network sees under the noise.

    Raises:
        WeightsError, CheckpointError, DiffusionError: at once: no such network or domain, or a size below 16.
    """
    settings = settings or DiffuseSettings()
    diffuser = choose_diffuser(model, device)
    aim = make_aim(settings, diffuser)
    count = settings.num or 16
    start = noise([settings.seed + place for place in range(count)], canvas(settings, diffuser), diffuser.device)
    return _sheet(diffuser, aim, settings, start, round(count**0.5 + 0.49), {})


def between(
    seed_a: int,
    seed_b: int,
    settings: DiffuseSettings | None = None,
    *,
    model: str | Path | Diffuser = BUNDLED,
    device: str = "auto",
) -> Generator[Step, None, Image.Image]:
    """Draw the pictures on the way from one seed's to another's: both and ``num`` (8) in all, side by side.

    On the way is noise as strong as theirs (spherical interpolation). The result's ``info["frames"]`` are the pictures.

    Raises:
        WeightsError, CheckpointError, DiffusionError: at once; see ``generate``; or fewer than two pictures.
    """
    settings = settings or DiffuseSettings()
    diffuser = choose_diffuser(model, device)
    aim = make_aim(settings, diffuser)
    count = settings.num or 8
    if count < 2:
        raise DiffusionError("Between two pictures there are at least these two: set num to 2 or more.")
    ends = noise([seed_a, seed_b], canvas(settings, diffuser), diffuser.device)
    shares = torch.linspace(0, 1, count, device=diffuser.device)
    start = torch.cat([slerp(ends[:1], ends[1:], float(share)) for share in shares])
    return _sheet(
        diffuser, aim, settings, start, count if count <= 8 else round(count**0.5 + 0.49), {"between": seed_b}
    )


def slerp(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Noise on the way from one to another, as strong as they are: (B, 3, H, W) each; share 0 is one, 1 the other."""
    cosine = F.cosine_similarity(one.flatten(1), other.flatten(1)).clamp(-1, 1)
    angle = cosine.acos().view(-1, 1, 1, 1)
    if float(angle.sin().abs().min()) < 1e-4:  # the same, or opposite: there is no way of its own
        return torch.lerp(one, other, share)
    return (((1 - share) * angle).sin() * one + (share * angle).sin() * other) / angle.sin()


def make_aim(settings: DiffuseSettings, diffuser: Diffuser) -> Aim:
    """What the settings ask for, with what is None filled in.

    Raises:
        DiffusionError: there is no such domain.
    """
    return Aim(
        domain=diffuser.domain(settings.domain),
        guidance=GUIDANCE if settings.guidance is None else settings.guidance,
        steps=settings.steps or STEPS,
        sampler="ddim" if settings.sampler == "ddim" or (settings.sampler == "auto" and settings.eta) else "dpm",
        eta=settings.eta,
    )


def canvas(settings: DiffuseSettings, diffuser: Diffuser) -> tuple[int, int]:
    """Height and width at which a picture is begun: as high or as wide as the network's squares."""
    across, down = map(int, settings.aspect.split(":"))
    size, multiple = diffuser.config.size, diffuser.config.multiple
    sides = (size * side / min(across, down) for side in (down, across))
    height, width = (max(size, round(side / multiple) * multiple) for side in sides)
    return height, width


def _sheet(
    diffuser: Diffuser, aim: Aim, settings: DiffuseSettings, start: Tensor, columns: int, facts: dict[str, Any]
) -> Generator[Step, None, Image.Image]:
    size = fitted(start.shape[-2:], settings.size)
    enlargements = num_enlargements(start.shape[-2:], size)
    total = aim.steps + enlargements * max(1, int(aim.steps * ENLARGED))
    yield Step(0, total)

    def laid(pictures: Tensor) -> Image.Image:
        shown = scaled(to_pixels(pictures), size)
        return contact_sheet([*shown.split(columns)])

    done = 0
    descent, x, generator = Descent(diffuser.network, aim, start.device), start, diffuser.generator(settings.seed)
    for number in range(enlargements + 1):
        if number:
            x, level = enlarge(x), min(number, diffuser.config.num_levels - 1)
            descent = Descent(diffuser.network, replace(aim, level=level), x.device, strength=ENLARGED)
            fresh = torch.randn(x.shape, generator=generator, device=x.device)
            x = descent.noised(x, fresh)
        for guess in descent.steps(x, generator):
            done += 1
            yield Step(done, total, preview=previewed(laid, guess))
        x = descent.noisy.clamp(-1, 1)
    result = laid(x)
    if columns == len(x) or facts:
        result.info[FRAMES] = [to_image(picture) for picture in scaled(to_pixels(x), size)]
    result.info["provenance"] = diffuser.provenance(settings, {}, facts)
    return result


def previewed(laid: Callable[[Tensor], Image.Image], guess: Tensor) -> Callable[[], Image.Image]:
    """A preview that is made when somebody asks for it."""
    return lambda: laid(guess)


def fitted(canvas_size: Sequence[int], longest: int | None) -> tuple[int, int]:
    """Height and width of a picture with a longest side; None: as it was begun."""
    height, width = canvas_size
    if longest is None:
        return height, width
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def num_enlargements(begun: Sequence[int], wanted: tuple[int, int]) -> int:
    """How often a picture is to be made twice as large."""
    count = 0
    while max(begun) * 2**count < max(wanted):
        count += 1
    return count


def enlarge(pictures: Tensor) -> Tensor:
    """Twice as large, smoothly."""
    return F.interpolate(pictures, scale_factor=2, mode="bicubic", align_corners=False).clamp(-1, 1)


def scaled(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures in [0, 1] of height and width ``size``."""
    if tuple(pictures.shape[-2:]) == size:
        return pictures
    found = F.interpolate(pictures, size, mode="bicubic", antialias=True, align_corners=False)
    return found.clamp(0, 1)
