"""Robustness: a picture that a network still likes when it is moved, scaled, turned and framed shows what it looks for.

Without it, optimisation finds patterns of single pixels that mean nothing to us (Olah et al., Feature Visualization,
2017, https://distill.pub/2017/feature-visualization, "transformation robustness"). No transparency is involved.

    robust = Transforms([Pad(12), Jitter(8), Scale(0.9, 1.1), Rotate(10), Jitter(4)])
    seen = robust(pictures, generators)      # each picture by its own generator
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Transform = Callable[[Tensor, Sequence[torch.Generator]], Tensor]
"""Takes pictures (B, 3, H, W) and one generator for each; gives pictures, maybe of another size."""


class Affine:
    """A transform that only moves, scales and turns: neighbours of its kind are done in one resampling."""

    def matrix(self, generator: torch.Generator) -> Tensor:
        """A random 3×3 matrix in pixels about the centre, from what is seen to where it lies in the picture."""
        raise NotImplementedError

    def __call__(self, pictures: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """The pictures, each transformed by its own draw."""
        return _resample(pictures, torch.stack([self.matrix(generator) for generator in generators]))


@dataclass(frozen=True)
class Jitter(Affine):
    """Moves by up to ``pixels``, up or down, left or right, to whole pixels."""

    pixels: int

    def matrix(self, generator: torch.Generator) -> Tensor:
        """A shift."""
        matrix = torch.eye(3)
        matrix[:2, 2] = torch.randint(-self.pixels, self.pixels + 1, (2,), generator=generator).float()
        return matrix


@dataclass(frozen=True)
class Scale(Affine):
    """Magnifies by a factor between two."""

    smallest: float
    largest: float

    def matrix(self, generator: torch.Generator) -> Tensor:
        """A scaling; all factors' logarithms are as likely."""
        low, high = math.log(self.smallest), math.log(self.largest)
        factor = math.exp(low + (high - low) * _uniform(generator))
        return torch.diag(torch.tensor([1 / factor, 1 / factor, 1.0]))


@dataclass(frozen=True)
class Rotate(Affine):
    """Turns by up to ``degrees`` either way, small angles more often than large ones."""

    degrees: float

    def matrix(self, generator: torch.Generator) -> Tensor:
        """A turn by the mean of two even draws."""
        angle = math.radians(self.degrees) * (_uniform(generator) + _uniform(generator) - 1)
        cosine, sine = math.cos(angle), math.sin(angle)
        return torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Pad:
    """Frames the pictures with ``pixels`` of middle grey, so that nothing gains by running off the edge."""

    pixels: int

    def __call__(self, pictures: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """The framed pictures, larger by twice ``pixels``."""
        return F.pad(pictures, [self.pixels] * 4, value=0.5)


@dataclass(frozen=True)
class Transforms:
    """Transforms one after another; what lies beyond the edge is its mirror image."""

    steps: Sequence[Transform]

    def __call__(self, pictures: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """The pictures, transformed by every step."""
        matrices: Tensor | None = None
        for step in self.steps:
            if isinstance(step, Affine):
                drawn = torch.stack([step.matrix(generator) for generator in generators])
                matrices = drawn if matrices is None else matrices @ drawn
                continue
            if matrices is not None:
                pictures, matrices = _resample(pictures, matrices), None
            pictures = step(pictures, generators)
        if matrices is not None:
            pictures = _resample(pictures, matrices)
        return pictures


def robust_transforms(*, jitter: int = 8, scale: float = 0.1, rotate: float = 10, pad: int = 0) -> Transforms:
    """The usual ones: a frame, then jitter, scale and turn, then a finer jitter; 0 leaves one out.

    Args:
        jitter: most pixels of movement.
        scale: most change of size, 0.1 for between 1 / 1.1 and 1.1.
        rotate: most degrees of turn.
        pad: pixels of grey frame.
    """
    steps: list[Transform] = [Pad(pad)] if pad else []
    steps += [Jitter(jitter)] if jitter else []
    steps += [Scale(1 / (1 + scale), 1 + scale)] if scale else []
    steps += [Rotate(rotate)] if rotate else []
    steps += [Jitter(jitter // 2)] if jitter > 1 else []
    return Transforms(steps)


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


def _resample(pictures: Tensor, matrices: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) seen through matrices (B, 3, 3) in pixels about the centre."""
    height, width = pictures.shape[-2:]
    half = torch.tensor([width / 2, height / 2])
    theta = matrices[:, :2].clone()  # affine_grid wants both sides in halves of the picture's sides
    theta[:, :, 2] /= half
    theta[:, 0, 1] *= height / width
    theta[:, 1, 0] *= width / height
    grid = F.affine_grid(theta.to(pictures), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
