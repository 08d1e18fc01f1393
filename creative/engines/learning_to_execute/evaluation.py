"""How well a network executes programs that were held out: by character and by whole answer, level by level.

Accuracy by character is the paper's: each character is guessed from the true ones before it. A whole answer is right if
the network writes it by itself to the dot. Writing the likeliest character each time, it does so exactly when each
guess from the true ones before it is right: up to its first mistake these are its own. One reading measures both.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from creative.data.draws import mixed_seed
from creative.data.programs import Level, Sample, Writing, make_batch, operation_of, sample
from creative.metrics import wilson_interval
from creative.models.executor import Executor
from creative.progress import Step

if TYPE_CHECKING:
    from creative.engines.learning_to_execute.networks import Trained

_BATCH = 250
_TEST_SEED = 2014


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of answers written.

    Attributes:
        right_characters, characters: the dots among them.
        right_answers, answers: whole ones.
    """

    right_characters: int
    characters: int
    right_answers: int
    answers: int

    @property
    def per_character(self) -> float:
        """0 to 1."""
        return self.right_characters / self.characters if self.characters else 0.0

    @property
    def whole(self) -> float:
        """0 to 1."""
        return self.right_answers / self.answers if self.answers else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share of whole answers lies with 95 % confidence."""
        return wilson_interval(self.right_answers, self.answers)

    @property
    def text(self) -> str:
        """In per cent: characters / whole answers, the latter with their interval."""
        low, high = self.interval
        return f"{100 * self.per_character:.1f} / {100 * self.whole:.1f} ({100 * low:.0f} to {100 * high:.0f})"

    def counts(self) -> list[int]:
        """The four numbers."""
        return [self.right_characters, self.characters, self.right_answers, self.answers]

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(*(a + b for a, b in zip(self.counts(), other.counts(), strict=True)))


Table = dict[Level, Accuracy]


@torch.no_grad()
def measure(executor: Executor, samples: Sequence[Sample], writing: Writing, device: torch.device) -> Accuracy:
    """The accuracy on some samples; the network is in eval mode."""
    total = Accuracy(0, 0, 0, 0)
    ordered = sorted(samples, key=lambda found: len(found.program))
    for start in range(0, len(ordered), _BATCH):
        programs, lengths, answers = make_batch(ordered[start : start + _BATCH], writing).tensors(device)
        right, there = executor(programs, lengths, answers).argmax(-1) == answers, answers != 0
        counts = ((right & there).sum(), there.sum(), (right | ~there).all(1).sum(), torch.tensor(len(answers)))
        total += Accuracy(*(int(count) for count in counts))
    return total


def held_out(task: str, level: Level, count: int) -> list[Sample]:
    """The held-out programs of a level by which networks are compared: the same ones each time."""
    first = mixed_seed(_TEST_SEED, task, *level)
    return sample(range(first, first + count), lambda random: level, task=task, part="test")


def measure_levels(trained: Trained, levels: Sequence[Level], programs: int = 1000) -> Generator[Step, None, Table]:
    """Measure a network on held-out programs of each level; a generator of Steps that returns the table."""
    table: Table = {}
    for number, level in enumerate(levels):
        yield Step(number, len(levels), message=None)
        samples = held_out(trained.task, level, programs)
        table[level] = measure(trained.executor, samples, trained.writing, trained.device)
    yield Step(len(levels), len(levels))
    return table


def measure_operations(trained: Trained, programs: int = 1000) -> dict[str, Accuracy]:
    """By operation, on the held-out programs of one operation and the greatest length; nothing for other tasks."""
    if trained.task != "programs":
        return {}
    by_operation: dict[str, list[Sample]] = {}
    for one in held_out(trained.task, Level(trained.level.length, 1), programs):
        by_operation.setdefault(operation_of(one.program), []).append(one)
    return {
        name: measure(trained.executor, samples, trained.writing, trained.device)
        for name, samples in sorted(by_operation.items())
    }


def table_text(task: str, table: Table) -> str:
    """A table as Markdown: characters / whole answers in per cent, the latter with its 95 % interval."""
    lengths = sorted({level.length for level in table})
    nestings = sorted({level.nesting for level in table})
    head = ["nesting \\ length" if task == "programs" else "digits", *map(str, lengths)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for nesting in nestings:
        found = [table.get(Level(length, nesting)) for length in lengths]
        cells = [accuracy.text if accuracy else "" for accuracy in found]
        lines.append("| " + " | ".join([str(nesting) if task == "programs" else "%", *cells]) + " |")
    return "\n".join(lines)
