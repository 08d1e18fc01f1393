"""Which samples make up which step: a pure function of seed and step, so that a run can go on from the middle.

A dataset is asked for ``Draw(index, seed)`` instead of a bare index. All randomness of a sample (crop, colour, noise)
comes from the draw's seed; the batch of a step is then the same whatever the number of workers and of processes, and
whether or not the run was ever stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample to be made.

    Attributes:
        index: which item of the dataset, 0 ≤ index < len(dataset).
        seed: for ``creative.device.random_generator``: whatever is random about the sample.
    """

    index: int
    seed: int


Draws = Callable[[int], Sequence[Draw]]
"""The draws of a step, over all processes together."""


def mixed_seed(*parts: int | str) -> int:
    """One seed from several numbers and words, 0 ≤ seed < 2⁶³; near numbers give unrelated seeds."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


class Shuffled:
    """Draws that go through the whole dataset in a new random order each epoch; a step may straddle two.

    Args:
        size: items of the dataset.
        batch_size: draws per step.
        seed: of the order and of the draws.
    """

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> list[Draw]:
        """The draws of one step."""
        places = range(step * self.batch_size, (step + 1) * self.batch_size)
        return [Draw(self._index(place), mixed_seed(self.seed, "draw", place)) for place in places]

    def _index(self, place: int) -> int:
        epoch, item = divmod(place, self.size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, "epoch", epoch))
            self._epoch, self._order = epoch, torch.randperm(self.size, generator=generator)
        return int(self._order[item])


class Weighted:
    """Draws from several groups of items, each with a share of its own, however many items it has.

    Args:
        groups: the items of each.
        shares: how often each is drawn from, relative to one another.
        batch_size: draws per step.
        seed: of the choice and of the draws.
    """

    def __init__(self, groups: Sequence[Sequence[int]], shares: Sequence[float], batch_size: int, seed: int) -> None:
        self.groups, self.batch_size, self.seed = groups, batch_size, seed
        self._ends = torch.tensor(shares, dtype=torch.float64).cumsum(0) / sum(shares)

    def __call__(self, step: int) -> list[Draw]:
        """The draws of one step."""
        places = range(step * self.batch_size, (step + 1) * self.batch_size)
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, "weighted", step))
        group, item = torch.rand(2, self.batch_size, dtype=torch.float64, generator=generator)
        chosen = [self.groups[n] for n in torch.searchsorted(self._ends, group, right=True).tolist()]
        items = [group[int(len(group) * part)] for group, part in zip(chosen, item.tolist(), strict=True)]
        return [Draw(i, mixed_seed(self.seed, "draw", place)) for i, place in zip(items, places, strict=True)]


def share(draws: Sequence[Draw], rank: int, ranks: int, parts: int) -> list[list[Draw]]:
    """The draws of one process, cut into parts: process by process, part by part, all of equal size."""
    size = len(draws) // (ranks * parts)
    first = rank * parts * size
    return [list(draws[start : start + size]) for start in range(first, first + parts * size, size)]


def batches(
    dataset: Dataset[Any],
    draws: Draws,
    *,
    start: int = 0,
    rank: int = 0,
    ranks: int = 1,
    parts: int = 1,
    workers: int = 0,
    collate: Callable[[list[Any]], Any] | None = None,
    pin_memory: bool = False,
) -> Iterator[Any]:
    """Collated batches from step ``start`` on, without end: ``parts`` of them per step.

    The worker processes live until the iterator is dropped.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=_Endless(draws, start, rank, ranks, parts),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # DataLoader would draw its workers' base seed from the global one
    )
    return iter(loader)


class _Endless:
    """A batch sampler that knows where it starts and has no end."""

    def __init__(self, draws: Draws, start: int, rank: int, ranks: int, parts: int) -> None:
        self.draws, self.start, self.rank, self.ranks, self.parts = draws, start, rank, ranks, parts

    def __iter__(self) -> Iterator[list[Any]]:
        step = self.start
        while True:
            yield from share(self.draws(step), self.rank, self.ranks, self.parts)
            step += 1
