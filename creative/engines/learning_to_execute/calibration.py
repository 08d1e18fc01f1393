"""Whether answers are right as often as the network says: its calibration, and the temperature that mends it.

Guo, Pleiss, Sun and Weinberger, 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599. A confidence is that
of a whole answer, the product over its characters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from creative.data.draws import mixed_seed
from creative.data.programs import Level, Sample, sample
from creative.engines.learning_to_execute.answering import Written, answer_all
from creative.engines.learning_to_execute.evaluation import held_out
from creative.metrics import wilson_interval
from creative.progress import Step

if TYPE_CHECKING:
    from creative.engines.learning_to_execute.networks import Trained

BINS = 10
_FEWEST = 20
"""Right and wrong answers without which no temperature is fitted: there would be nothing to tell it by."""
_TEMPERATURES = torch.logspace(-1, 1, 81, base=3.0).tolist()


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence.

    Attributes:
        low, high: the confidences, 0 to 1.
        answers, right: how many there are, and how many of them are right.
        said: the mean of their confidences.
    """

    low: float
    high: float
    answers: int
    right: int
    said: float

    @property
    def share(self) -> float:
        """How many of them are right, 0 to 1."""
        return self.right / self.answers if self.answers else 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidences beside what came of them.

    Attributes:
        bins: ten, from the least sure answers to the surest.
    """

    bins: tuple[Bin, ...]

    @property
    def error(self) -> float:
        """The expected calibration error: how far shares are from what was said, 0 to 1, weighed by answers."""
        answers = sum(one.answers for one in self.bins)
        return sum(one.answers * abs(one.share - one.said) for one in self.bins) / answers if answers else 0.0

    @property
    def text(self) -> str:
        """As Markdown: what was said, how often, and how often it was right, with the 95 % interval."""
        lines = ["| said, % | answers | right, % |", "|---|---|---|"]
        for one in self.bins:
            if one.answers:
                low, high = (100 * end for end in wilson_interval(one.right, one.answers))
                told = f"{100 * one.share:.1f} ({low:.0f} to {high:.0f})"
                lines.append(f"| {100 * one.low:.0f} to {100 * one.high:.0f} | {one.answers:,} | {told} |")
        return "\n".join([f"Expected calibration error of its confidence: {100 * self.error:.1f} %.", "", *lines])


def calibration_of(confidences: Tensor, right: Tensor) -> Calibration:
    """Put answers into bins: confidences (N,) from 0 to 1, and whether each answer was right (N,)."""
    confidences, right = confidences.double(), right.double()
    places = (confidences * BINS).long().clamp(max=BINS - 1)
    counts, sums, rights = (
        torch.zeros(BINS, dtype=torch.float64).index_add(0, places, values).tolist()
        for values in (torch.ones_like(confidences), confidences, right)
    )
    return Calibration(
        tuple(
            Bin(place / BINS, (place + 1) / BINS, int(count), int(good), total / count if count else 0.0)
            for place, (count, total, good) in enumerate(zip(counts, sums, rights, strict=True))
        )
    )


def measure_calibration(
    trained: Trained, levels: Sequence[Level], programs: int = 1000
) -> Generator[Step, None, Calibration]:
    """Of a network on the held-out programs that it is measured on, all levels together."""
    parts = []
    for number, level in enumerate(levels):
        yield Step(number, len(levels))
        written, right = _answered(trained, held_out(trained.task, level, programs))
        parts.append((written.confidences(trained.temperature), right))
    confidences, rights = zip(*parts, strict=True)
    return calibration_of(torch.cat(confidences), torch.cat(rights))


def fit_temperature(trained: Trained, levels: Sequence[Level], programs: int = 500) -> float:
    """The temperature at which confidences come true best on validation programs, those that steer the training.

    It makes the likelihood of which answers are right and which are wrong the greatest; 1 where nearly all are one or
    the other.
    """
    first = mixed_seed(0, "temperature")
    levels = [level for level in levels for _ in range(programs)]
    hardness = [lambda random, level=level: level for level in levels]
    samples = sample(range(first, first + len(levels)), hardness, task=trained.task, part="validation")
    written, right = _answered(trained, samples)
    if min(int(right.sum()), int((~right).sum())) < _FEWEST:
        return 1.0
    return best_temperature(written.confidences, right)


def _answered(trained: Trained, samples: Sequence[Sample]) -> tuple[Written, Tensor]:
    """Answers, and whether each is right (N,)."""
    written = answer_all(trained.executor, samples, trained.writing, trained.device)
    return written, torch.tensor([a == one.answer for a, one in zip(written.answers, samples, strict=True)])


def best_temperature(confidences: Callable[[float], Tensor], right: Tensor) -> float:
    """The likeliest temperature for confidences (N,) at a temperature, and whether each answer was right (N,)."""

    def surprise(temperature: float) -> float:
        said = confidences(temperature).double().clamp(1e-9, 1 - 1e-9)
        return -float(torch.where(right, said.log(), (-said).log1p()).mean())

    found = min(_TEMPERATURES, key=surprise)
    return 1.0 if math.isclose(found, 1.0) else round(found, 4)
