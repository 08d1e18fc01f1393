"""L-BFGS and Adam for pictures: they take a picture and its gradient, and carry their state to the next size.

torch's own are for weights. For a picture that grows, the state must grow with it; and a picture's gradient is best
smoothed, since style transfer that moves coarse structures and colours first gets further in few steps and leaves less
grain.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.optimizers import AdamMoments

LARGEST_STEP = 0.1
"""The mean change of a value in one step of L-BFGS is at most this; colours are in [0, 1]."""
FIRST_STEP = 0.02
PAIRS = 8
"""Differences of pictures and of gradients that L-BFGS remembers."""
BETAS = (0.9, 0.99)
"""How much of Adam's running means stays in a step."""


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture (1, C, H, W) at another (height, width), bicubic, antialiased when it shrinks."""
    if tuple(picture.shape[-2:]) == size:
        return picture
    return F.interpolate(picture, size=size, mode="bicubic", align_corners=False, antialias=True)


class Smoothing:
    """Multiplies a picture's frequencies by 1 / frequency ** power: a preconditioner that favours what is coarse.

    As in Mordvintsev et al., "Differentiable Image Parameterizations" (2018), where the picture is optimised in Fourier
    space; as a preconditioner it leaves the minimum, and the optimiser, in the space of pixels.
    """

    def __init__(self, power: float) -> None:
        self.power = power
        self._size: tuple[int, ...] = ()
        self._gain = torch.empty(0)

    def __call__(self, values: Tensor) -> Tensor:
        """Smoothed values (1, C, H, W)."""
        if not self.power:
            return values
        height, width = values.shape[-2:]
        if self._size != (height, width):
            rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
            frequency = (rows.square() + columns.square()).sqrt().clamp(min=1 / max(height, width))
            self._gain, self._size = frequency.pow(-self.power).to(values), (height, width)
        return torch.fft.irfft2(torch.fft.rfft2(values) * self._gain, s=(height, width))


class LBFGS:
    """L-BFGS without a line search (Liu and Nocedal, 1989): one gradient a step.

    The two-loop recursion of Nocedal and Wright, "Numerical Optimization", algorithm 7.4, with a preconditioned first
    estimate of the inverse Hessian.
    """

    def __init__(self, smoothing: Smoothing, pairs: int = PAIRS) -> None:
        self.smoothing, self.pairs = smoothing, pairs
        self._steps: list[Tensor] = []  # differences of pictures,
        self._bends: list[Tensor] = []  # of their gradients,
        self._scales: list[Tensor] = []  # and one over the product of the two
        self._before: tuple[Tensor, Tensor] | None = None

    def step(self, picture: Tensor, gradient: Tensor) -> Tensor:
        """The next picture, in [0, 1]."""
        if self._before is not None:
            step, bend = picture - self._before[0], gradient - self._before[1]
            if (product := _dot(step, bend)) > 1e-12:  # else the curvature there is not positive
                self._steps = [*self._steps, step][-self.pairs :]
                self._bends = [*self._bends, bend][-self.pairs :]
                self._scales = [*self._scales, 1 / product][-self.pairs :]
        self._before = (picture, gradient)
        direction = self._direction(gradient)
        if not self._steps:
            direction *= FIRST_STEP / direction.abs().mean().clamp(min=1e-12)
        direction *= (LARGEST_STEP / direction.abs().mean().clamp(min=1e-12)).clamp(max=1)
        return (picture - direction).clamp_(0, 1)

    def _direction(self, gradient: Tensor) -> Tensor:
        direction, shares = gradient.clone(), []
        pairs = list(zip(self._steps, self._bends, self._scales, strict=True))
        for step, bend, scale in reversed(pairs):
            share = scale * _dot(step, direction)
            direction.addcmul_(bend, share, value=-1)
            shares.append(share)
        direction = self.smoothing(direction)
        if pairs:
            _, bend, scale = pairs[-1]
            direction = direction / (scale * _dot(bend, self.smoothing(bend)))
        for (step, bend, scale), share in zip(pairs, reversed(shares), strict=True):
            direction.addcmul_(step, share - scale * _dot(bend, direction))
        return direction

    def resize(self, size: tuple[int, int]) -> None:
        """Carry what was learnt about the curvature to pictures of another (height, width)."""
        self._before = None
        self._steps = [resized(step, size) for step in self._steps]
        self._bends = [resized(bend, size) for bend in self._bends]
        self._scales = [1 / _dot(step, bend) for step, bend in zip(self._steps, self._bends, strict=True)]

    def forget(self) -> None:
        """Start afresh: after a step that led astray."""
        self._steps, self._bends, self._scales, self._before = [], [], [], None

    def result(self, picture: Tensor) -> Tensor:
        """What to show for the picture: itself."""
        return picture


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return torch.dot(one.reshape(-1), other.reshape(-1))


class AveragedAdam:
    """Adam with an average of its iterates (Polyak and Juditsky, 1992)."""

    def __init__(self, learning_rate: float, *, averaged: bool) -> None:
        self.learning_rate, self.averaged = learning_rate, averaged
        self._moments = AdamMoments(betas=BETAS, eps=1e-12)
        self._average, self._weight = torch.zeros(()), 0.0

    def step(self, picture: Tensor, gradient: Tensor) -> Tensor:
        """The next picture, in [0, 1]."""
        step = self._moments.step(gradient, self.learning_rate)
        picture = torch.sub(picture, step, out=step).clamp_(0, 1)
        if self.averaged:
            self._weight = 0.9 * self._weight + 0.1
            self._average = torch.lerp(self._average.expand_as(picture), picture, 0.1 / self._weight)
        return picture

    def resize(self, size: tuple[int, int]) -> None:
        """Carry the running moments to pictures of another (height, width); the average begins anew."""
        self._moments.resize(lambda moment: resized(moment, size))
        self._average, self._weight = torch.zeros(()), 0.0

    def forget(self) -> None:
        """Start afresh."""
        self._moments = AdamMoments(betas=BETAS, eps=1e-12)
        self._average, self._weight = torch.zeros(()), 0.0

    def result(self, picture: Tensor) -> Tensor:
        """What to show for the picture: the average of the last ones."""
        return self._average if self.averaged and self._weight else picture
