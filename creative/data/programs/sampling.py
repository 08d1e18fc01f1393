"""Samples from seeds: the same seed and level give the same program, whoever draws it and beside whichever others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from creative.data.programs.curriculum import Hardness, Random
from creative.data.programs.generator import Sample, compose, split_of
from creative.data.programs.numbers import addition, memorisation

TASKS: dict[str, Callable[[Random, Hardness], Sample]] = {
    "programs": compose,
    "addition": addition,
    "memorisation": memorisation,
}
HELD_OUT = {"test": (0,), "validation": (1,), "training": tuple(range(2, 10))}
"""The tenths (see ``split_of``) of each part of all programs."""
_MANY = 24  # random numbers that a seed gets at first; a program needs about ten per operation
_WEYL = np.uint64(0x9E3779B97F4A7C15)


class Dice:
    """Whole numbers from 1 to n, each as likely; the sequence belongs to the seed.

    SplitMix64 (Steele, Lea and Flood, 2014, Fast Splittable Pseudorandom Number Generators): for many seeds at once it
    costs a tenth of a microsecond a number, where a generator object a seed would cost twenty before its first.

    Args:
        seed: 0 ≤ seed < 2⁶³.
        numbers: its first 64-bit numbers, where they have been worked out already.
    """

    __slots__ = ("_left", "_seed", "_used")

    def __init__(self, seed: int, numbers: list[int] | None = None) -> None:
        self._seed = seed
        self._left = numbers if numbers is not None else []
        self._used = len(self._left)

    def __call__(self, highest: int) -> int:
        """The next one, 1 to ``highest``."""
        if not self._left:
            self._left = splitmix(np.array([self._seed], np.uint64), _MANY, self._used)[0].tolist()
            self._used += _MANY
        return 1 + (self._left.pop() * highest >> 64)


def splitmix(seeds: np.ndarray, count: int, start: int = 0) -> np.ndarray:
    """Numbers ``start`` to ``start + count`` of each seed's sequence: (B,) uint64 to (B, count) uint64."""
    steps = np.arange(start + 1, start + count + 1, dtype=np.uint64) * _WEYL
    z = seeds[:, None] + steps
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def sample(
    seeds: Sequence[int],
    hardness: Hardness | Sequence[Hardness],
    *,
    task: str = "programs",
    part: str = "training",
) -> list[Sample]:
    """A sample of each seed, from one part of all programs.

    Args:
        seeds: 0 ≤ seed < 2⁶³ each.
        hardness: see ``Curriculum.draw``; one for all, or one for each.
        task: one of ``TASKS``.
        part: ``training``, or ``validation`` or ``test``, which hold other programs.
    """
    draw, tenths = TASKS[task], HELD_OUT[part]
    numbers = splitmix(np.array(seeds, np.uint64), _MANY).tolist()
    each = [hardness] * len(numbers) if callable(hardness) else hardness
    return [
        _accepted(draw, Dice(seed, own), level, tenths) for seed, own, level in zip(seeds, numbers, each, strict=True)
    ]


def _accepted(
    draw: Callable[[Random, Hardness], Sample], dice: Dice, hardness: Hardness, tenths: tuple[int, ...]
) -> Sample:
    while True:
        found = draw(dice, hardness)
        if split_of(found) in tenths:
            return found
