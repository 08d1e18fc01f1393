"""A network's answers, character by character."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from creative.data.programs import CHARACTERS, Sample, Writing, make_batch
from creative.data.programs.batches import END
from creative.engines.learning_to_execute.networks import Trained
from creative.models.executor import Executor

_END = CHARACTERS.index(END)
LONGEST = 40
"""Characters after which an answer is taken as finished."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A character of an answer.

    Attributes:
        character: a digit, the sign, or the dot that ends the answer.
        probability: that the network gives to it, 0 to 1.
        guesses: the likeliest characters with their probabilities, this one first.
    """

    character: str
    probability: float
    guesses: tuple[tuple[str, float], ...]


def write_answer(trained: Trained, program: str, guesses: int = 3) -> Iterator[Digit]:
    """Read a program and write its answer, the likeliest character each time, in the network's own order."""
    batch = make_batch([Sample(program, "")], trained.writing)
    programs, lengths, _ = batch.tensors(trained.device)
    with torch.no_grad():
        memory = trained.executor.read(programs, lengths)
    ids = None
    for _ in range(LONGEST):
        with torch.no_grad():
            logits, memory = trained.executor.write(ids, memory)
        chances, order = _chances(logits)[0].sort(descending=True)
        found = [(CHARACTERS[place], float(chance)) for chance, place in zip(chances, order.tolist(), strict=True)]
        yield Digit(*found[0], tuple(found[:guesses]))
        ids = order[:1]
        if int(ids) == _END:
            return


def _chances(logits: torch.Tensor) -> torch.Tensor:
    """Probabilities; padding and what stands before the answer are never written."""
    logits = logits.float().clone()
    logits[:, :_END] = -torch.inf
    return logits.softmax(-1)


@torch.no_grad()
def answer_all(executor: Executor, samples: Sequence[Sample], writing: Writing, device: torch.device) -> list[str]:
    """Answers to many programs at once, as one reads them, without dots."""
    programs, lengths, _ = make_batch(samples, writing).tensors(device)
    memory = executor.read(programs, lengths)
    ids, written = None, list[torch.Tensor]()
    over = torch.zeros(len(samples), dtype=torch.bool, device=device)
    while not over.all() and len(written) < LONGEST:
        logits, memory = executor.write(ids, memory)
        ids = _chances(logits).argmax(-1)
        written.append(torch.where(over, _END, ids))
        over |= ids == _END
    rows = torch.stack(written, 1).tolist()
    return [writing.answer("".join(CHARACTERS[number] for number in row).split(END)[0]) for row in rows]
