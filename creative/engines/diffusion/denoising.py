"""What a network sees under the noise, and the noise taken away step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.data.draws import mixed_seed
from creative.device import autocast, fast_dtype, random_generator
from creative.engines.diffusion.schedule import Sampler, make_sampler
from creative.engines.diffusion.tiles import in_tiles
from creative.models.diffusion import Diffusion, Prediction

MOST = 64
"""Squares that go through the network at once."""
SEEN = 64
"""Side in pixels, at least, of pictures that a feature network is to judge."""


@dataclass(frozen=True)
class Aim:
    """What is to be drawn, and how.

    Attributes:
        domain: the kind of picture.
        level: how near; see ``DiffusionConfig``.
        guidance: 1 what the network says of the domain; above, as much further away from what it says of none (Ho and
            Salimans, 2022, Classifier-Free Diffusion Guidance, arXiv:2207.12598).
        away_from: a domain to be further away from, in place of none.
        steps: times that noise is taken away, from pure noise on.
        sampler: ``dpm`` (Lu et al., 2022, DPM-Solver++, arXiv:2211.01095) or ``ddim`` (Song et al., 2020,
            arXiv:2010.02502).
        eta: new noise per step of ``ddim``, 0 to 1.
        overlap: of neighbouring squares, pixels; None: half a square.
    """

    domain: str
    level: int = 0
    guidance: float = 1.0
    away_from: str | None = None
    steps: int = 20
    sampler: Sampler = "dpm"
    eta: float = 0.0
    overlap: int | None = None


@torch.no_grad()
def predict(network: Diffusion, noisy: Tensor, timestep: Tensor | int, aim: Aim) -> Tensor:
    """What the network says is in the noise: (B, 3, H, W) -> the same; in overlapping squares where it is larger."""
    config = network.config
    labels = [config.label(aim.domain, aim.level)]
    if aim.guidance != 1:
        labels.append(config.label(aim.away_from, aim.level))

    def see(squares: Tensor) -> Tensor:
        found = []
        for part in squares.split(max(1, MOST // len(labels))):
            count = len(part)
            told = torch.tensor(labels, device=part.device).repeat_interleave(count)
            times = torch.as_tensor(timestep, device=part.device).expand(len(told))
            with autocast(part.device, fast_dtype(part.device)):
                said = network(part.repeat(len(labels), 1, 1, 1), times, told)
            found.append(said if len(labels) == 1 else torch.lerp(said[count:], said[:count], aim.guidance))
        return torch.cat(found)

    return in_tiles(see, noisy, config.size, aim.overlap)


def noise(seeds: Sequence[int], size: tuple[int, int], device: torch.device) -> Tensor:
    """One noise (height, width) for each seed, (B, 3, H, W): the same whatever else is drawn with it."""
    made = [torch.randn(1, 3, *size, generator=random_generator(mixed_seed(seed, "noise"))) for seed in seeds]
    return torch.cat(made).to(device)


class Descent:
    """The way from noise, or from a picture with noise, down to a picture.

    Attributes:
        scheduler: of diffusers.
        timesteps: those that are left to go; fewer than ``aim.steps`` where it begins with a picture.
        noisy: the pictures on the way, (B, 3, H, W); between two steps they may be changed.
    """

    def __init__(self, network: Diffusion, aim: Aim, device: torch.device, *, strength: float = 1.0) -> None:
        self.network, self.aim = network, aim
        self.noisy = torch.empty(0)
        self.scheduler = make_sampler(network.config, aim.sampler, aim.steps, device)
        count = max(1, min(aim.steps, int(aim.steps * strength + 1e-6)))
        self.timesteps = self.scheduler.timesteps[aim.steps - count :]
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(aim.steps - count)

    def noised(self, clean: Tensor, noise_: Tensor, step: int = 0) -> Tensor:
        """Pictures in [-1, 1] as noisy as they are before a step; after the last they are clean."""
        if step >= len(self.timesteps):
            return clean
        return self.scheduler.add_noise(clean, noise_, self.timesteps[step : step + 1].repeat(len(clean)))

    def steps(self, start: Tensor, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """After each step: what the network sees under the noise, in [-1, 1]; ``noisy`` is what it goes on with."""
        self.noisy = start
        extra = {"eta": self.aim.eta, "generator": generator} if self.aim.sampler == "ddim" else {}
        for timestep in self.timesteps:
            said = predict(self.network, self.noisy, timestep, self.aim)
            guess = guessed(self.scheduler, said, self.noisy, timestep, self.network.config.prediction)
            self.noisy = self.scheduler.step(said, timestep, self.noisy, **extra).prev_sample
            yield guess


def drawn(network: Diffusion, start: Tensor, aim: Aim) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] out of noise, at once."""
    descent = Descent(network, aim, start.device)
    for _ in descent.steps(start):
        pass
    return to_pixels(descent.noisy)


def guessed(scheduler: Any, said: Tensor, noisy: Tensor, timestep: Tensor, prediction: Prediction) -> Tensor:
    """The picture that the network sees under the noise, in [-1, 1]."""
    kept = scheduler.alphas_cumprod[int(timestep)].to(noisy)
    signal, noise_ = kept.sqrt(), (1 - kept).sqrt()
    if prediction == "v_prediction":
        return (signal * noisy - noise_ * said).clamp(-1, 1)
    return ((noisy - noise_ * said) / signal.clamp(min=1e-4)).clamp(-1, 1)


def to_pixels(signed: Tensor) -> Tensor:
    """From [-1, 1] to [0, 1]."""
    return (signed.float() + 1).div(2).clamp(0, 1)


def seen_at(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] large enough for a network that halves them often to see more than a point of each."""
    if min(pictures.shape[-2:]) >= SEEN:
        return pictures
    return F.interpolate(pictures, (SEEN, SEEN), mode="bilinear", align_corners=False)
