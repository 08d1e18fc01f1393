"""The plan of a painting: its sizes from coarse to fine, the steps at each, what fits into memory, and the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from creative.device import free_memory_mb
from creative.engines.style_transfer.maps import Maps
from creative.images import fit
from creative.options.style_transfer import StylizeSettings

COARSEST, RATIO = 128, math.sqrt(2)
ITERATIONS = {"draft": 12, "good": 25, "best": 100}
"""At each size up to 512 pixels; fewer beyond, where what is left to do is fine detail."""
FULL_SIZE = 512
FEWEST = 4
ACTIVATIONS = 1.7
"""Most memory of a gradient over what its graph holds: the maps being worked on come on top."""
PICTURES = 10
"""Copies of the picture in float32 beside the optimiser's: gradient, photo, step, previews."""
MOST_BYTES = 8192
"""For each pixel; no network takes more, so where this fits there is nothing to measure."""
SHARE_OF_FREE = 0.8
TILE_MEMORY = 500
"""MiB that one tile may take."""


@dataclass(frozen=True, slots=True)
class Scale:
    """One size of the painting: (width, height) in pixels, and how often to step there."""

    size: tuple[int, int]
    iterations: int

    @property
    def pixels(self) -> int:
        """Their number."""
        return self.size[0] * self.size[1]


def plan_scales(size: tuple[int, int], settings: StylizeSettings, least: int) -> list[Scale]:
    """The sizes from coarse to fine for a result of (width, height), none with a side below ``least``.

    Raises:
        ValueError: iterations are given for another number of sizes.
    """
    longest = max(size)
    given = settings.iterations
    count = settings.scales or (
        len(given) if len(given) > 1 else 1 + round(math.log(max(longest / COARSEST, 1), RATIO))
    )
    smaller = [fit(size, max(1, round(longest / RATIO**step))) for step in range(count - 1, 0, -1)]
    sizes = [*(one for one in smaller if min(one) >= least), size]
    if len(given) > 1 and len(given) != len(sizes):
        raise ValueError(
            f"iterations must be one number or one for each of the {len(sizes)} sizes, but are {len(given)}."
        )
    given = given if len(given) != 1 else given * len(sizes)
    return [Scale(one, given[i] if given else _iterations(settings, max(one))) for i, one in enumerate(sizes)]


def _iterations(settings: StylizeSettings, longest: int) -> int:
    return max(FEWEST, round(ITERATIONS[settings.quality] * min(1, FULL_SIZE / longest)))


# --- memory ---


def bytes_per_pixel(maps: Maps) -> float:
    """Bytes that a gradient through the network takes for each pixel of the picture, measured on a small one."""
    side = max(96, maps.features.min_size)
    seen: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    picture = torch.zeros(1, 3, side, side, device=maps.device, dtype=maps.features.scale.dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = maps(picture)  # while they live no two have the same address
    del kept
    return ACTIVATIONS * sum(seen.values()) / side**2


def fitting_tile(maps: Maps, pixels: int, settings: StylizeSettings, pairs: int) -> int:
    """The side of the tiles to paint so many pixels in: 0 where the whole picture fits into memory."""
    free = free_memory_mb(maps.device)
    budget = settings.memory if settings.memory is not None else free * SHARE_OF_FREE if free is not None else math.inf
    if pixels * MOST_BYTES <= budget * 2**20:
        return 0
    each = bytes_per_pixel(maps)
    if pixels * (each + 12 * (PICTURES + 2 * pairs)) <= budget * 2**20:
        return 0
    outer = math.sqrt(min(TILE_MEMORY, budget / 2) * 2**20 / each)
    return max(maps.multiple, int(outer - 2 * maps.halo) // maps.multiple * maps.multiple, maps.halo)


# --- time ---


class Clock:
    """Shares a time budget out among sizes, from the steps measured so far.

    Args:
        seconds: to take from now on, or None for as long as the plan takes.
        scales: the plan; its iterations say in which proportion the sizes are to get steps.
    """

    def __init__(self, seconds: float | None, scales: Sequence[Scale]) -> None:
        self.scales = scales
        self.started = time.monotonic()
        self.end = None if seconds is None else self.started + seconds
        self._cost: float | None = None  # seconds a pixel of one step
        self._entered = self.started

    def enter(self, index: int) -> bool:
        """Whether to work at a size at all; the finest ones are left out when time is short."""
        self._entered = time.monotonic()
        return self.end is None or index == 0 or index <= self._finest(index)

    def goes_on(self, index: int, done: int) -> bool:
        """Whether another step at this size, after so many, is due."""
        if self.end is None:
            return done < self.scales[index].iterations
        now = time.monotonic()
        if done:
            self._cost = (now - self._entered) / done / self.scales[index].pixels
        if not done:
            return True
        until = self._entered + (self.end - self._entered) * self._plan(index, index) / self._plan(
            index, max(index, self._finest(index))
        )
        return now + self._step(index) / 2 <= until

    def total(self, index: int, done: int, before: int) -> int | None:
        """Steps in all, as far as one can tell."""
        if self.end is None:
            return sum(scale.iterations for scale in self.scales)
        if not self._cost:
            return None
        left = max(0.0, self.end - time.monotonic()) / self._cost
        finest = max(index, self._finest(index))
        steps = sum(scale.iterations for scale in self.scales[index : finest + 1])
        return before + done + round(left * steps / self._plan(index, finest))

    def fraction(self, index: int, done: int) -> float:
        """How much of the work is over after so many steps at a size: a step takes as long as it has pixels."""
        if self.end is not None:
            now = time.monotonic()
            return min(1.0, (now - self.started) / max(self.end - self.started, 1e-9))
        work = [scale.iterations * scale.pixels for scale in self.scales]
        return (sum(work[:index]) + done * self.scales[index].pixels) / max(1, sum(work))

    def _finest(self, index: int) -> int:
        """The last size that gets a fair number of steps in the time left when this one was entered; -1 for none."""
        assert self.end is not None
        left = (self.end - self._entered) / max(self._cost or 0.0, 1e-12)
        reached = (
            last
            for last in range(len(self.scales) - 1, index - 1, -1)
            if left / max(self._plan(index, last), 1) * self.scales[last].iterations >= FEWEST
        )
        return next(reached, -1)

    def _plan(self, first: int, last: int) -> int:
        """Pixels to step over at the sizes from first to last, as planned."""
        return sum(scale.iterations * scale.pixels for scale in self.scales[first : last + 1])

    def _step(self, index: int) -> float:
        return (self._cost or 0.0) * self.scales[index].pixels
