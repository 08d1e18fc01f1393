"""A region of a photo drawn anew so that it fits what is around it, by our own diffusion network.

    whole = run(fill(photo, mask, DiffuseSettings(domain="photo")))

The photo is filled small, where the network sees all of it, and then from size to size: what was drawn is enlarged and
drawn again with the finer pixels around it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.engines.diffusion.denoising import Aim, Descent, guessed, predict, to_pixels
from creative.engines.diffusion.diffuser import BUNDLED, Diffuser, choose_diffuser
from creative.engines.diffusion.drawing import ENLARGED, make_aim, previewed
from creative.engines.diffusion.restyling import LARGEST
from creative.engines.diffusion.schedule import make_repainter
from creative.engines.diffusion.tiles import ladder, level_of, pad
from creative.images import fit, resize, to_image, to_tensor
from creative.models.diffusion import Diffusion, DiffusionError
from creative.options.diffusion import DiffuseSettings
from creative.progress import Step


def fill(
    photo: Image.Image,
    mask: Image.Image,
    settings: DiffuseSettings | None = None,
    *,
    model: str | Path | Diffuser = BUNDLED,
    device: str = "auto",
) -> Generator[Step, None, Image.Image]:
    """Draw what a mask covers; every other pixel stays as it is.

    Args:
        photo: of any size, which the result has too unless ``size`` says otherwise.
        mask: white where it is to be filled, black elsewhere; of any size.
        settings: ``domain`` of what is drawn (the first), ``steps`` (20), ``strength`` (1; less keeps something of what
            is under the mask, 0 all of it), ``guidance, size, sampler, eta, seed``. It is drawn with at most 512 pixels
            along the photo's longest side, and enlarged to fit.
        model: a trained network's name or file, or a network.
        device: where to compute.

    Raises:
        WeightsError, CheckpointError, DiffusionError: at once: no such network or domain, or nothing is covered.
    """
    settings = settings or DiffuseSettings()
    diffuser = choose_diffuser(model, device)
    _aim_of(settings, diffuser)
    covered = mask.convert("L")
    if covered.getextrema()[1] < 128:  # type: ignore[operator]
        raise DiffusionError("The mask covers nothing: paint white where the photo is to be filled in.")
    return _fill(photo, mask, settings, diffuser)


def _aim_of(settings: DiffuseSettings, diffuser: Diffuser) -> Aim:
    """As ``make_aim``, but what is filled in is of the first domain, as photos are, where nothing else is said."""
    return make_aim(settings.changed(domain=settings.domain or diffuser.domains[0]), diffuser)


def _fill(
    photo: Image.Image, mask: Image.Image, settings: DiffuseSettings, diffuser: Diffuser
) -> Generator[Step, None, Image.Image]:
    shown = resize(photo, fit(photo.size, settings.size or max(photo.size)))
    strength = 1.0 if settings.strength is None else settings.strength
    aim, config = _aim_of(settings, diffuser), diffuser.config
    width, height = fit(shown.size, min(LARGEST, max(shown.size)))
    sizes = ladder(height, width, config) if strength else []
    counts = [_count(aim, strength if not number else strength * ENLARGED, not number) for number in range(len(sizes))]
    yield Step(0, sum(counts) or 1, preview=shown.copy)
    picture = to_tensor(shown, diffuser.device)
    holes = to_tensor(mask.convert("RGB").resize(shown.size, Image.Resampling.BILINEAR), diffuser.device)[:, :1] >= 0.5

    def laid(signed: Tensor) -> Image.Image:
        drawn = F.interpolate(to_pixels(signed), picture.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)
        return to_image(torch.where(holes, drawn, picture))

    generator, found, done = diffuser.generator(settings.seed), picture * 2 - 1, 0
    for number, size in enumerate(sizes):
        stage = replace(aim, level=level_of(min(size), config))
        known = F.interpolate(picture, size, mode="bicubic", antialias=True).clamp(0, 1) * 2 - 1
        hole = (F.interpolate(holes.float(), size, mode="area") > 0).float()
        begun = torch.lerp(known, F.interpolate(found, size, mode="bicubic", antialias=True).clamp(-1, 1), hole)
        start, around, inside = (pad(each, config) for each in (begun, known, hole))
        way = _repainted if not number and strength == 1 else _redrawn
        share = strength * ENLARGED if number else strength
        for guess in way(diffuser.network, stage, start, around, inside, share, generator):
            done += 1
            found = guess[..., : size[0], : size[1]]
            yield Step(min(done, sum(counts)), sum(counts), preview=previewed(laid, found))
    result = laid(found)
    result.info["provenance"] = diffuser.provenance(settings, {"photo": photo, "mask": mask})
    return result


def _count(aim: Aim, strength: float, first: bool) -> int:
    if first and strength == 1:
        return len(make_repainter(None, aim.steps).timesteps)
    return max(1, int(aim.steps * strength + 1e-6))


def _redrawn(
    network: Diffusion,
    aim: Aim,
    begun: Tensor,
    known: Tensor,
    hole: Tensor,
    strength: float,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Noise is put over what there is and taken away again; at each step what is known is as noisy as it has to be."""
    descent = Descent(network, aim, begun.device, strength=strength)
    fresh = torch.randn(begun.shape, generator=generator, device=begun.device)
    for step, guess in enumerate(descent.steps(descent.noised(begun, fresh), generator), 1):
        descent.noisy = torch.lerp(descent.noised(known, fresh, step), descent.noisy, hole)
        yield torch.lerp(known, guess if step < len(descent.timesteps) else descent.noisy.clamp(-1, 1), hole)


def _repainted(
    network: Diffusion,
    aim: Aim,
    begun: Tensor,
    known: Tensor,
    hole: Tensor,
    strength: float,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """The hole out of pure noise. Now and then the way goes back some steps, so that what is drawn comes to agree with
    what is known (Lugmayr et al., 2022, RePaint, arXiv:2201.09865).
    """
    scheduler = make_repainter(network.config, aim.steps, begun.device)
    noisy = torch.randn(begun.shape, generator=generator, device=begun.device)
    before = scheduler.timesteps[0] + 1
    for timestep in scheduler.timesteps:
        if timestep > before:
            noisy = scheduler.undo_step(noisy, int(before), generator)
        else:
            said = predict(network, noisy, timestep, aim)
            guess = guessed(scheduler, said, noisy, timestep, network.config.prediction)
            kept = scheduler.alphas_cumprod[timestep].to(noisy)
            said = (noisy - kept.sqrt() * guess) / (1 - kept).sqrt()  # as noise, which is what the scheduler takes
            noisy = scheduler.step(said, int(timestep), noisy, known, 1 - hole, generator).prev_sample
        before = timestep
        yield torch.lerp(known, guess, hole)
