"""A network's answers, character by character."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creative.data.programs import CHARACTERS, Sample, Writing, make_batch
from creative.data.programs.batches import END
from creative.engines.learning_to_execute.networks import Trained
from creative.models.executor import NUM_ANSWER_CHARACTERS, Executor

_END = CHARACTERS.index(END)
LONGEST = 40
"""Characters after which an answer is taken as finished."""
_BATCH = 250


@dataclass(frozen=True, slots=True)
class Digit:
    """A character of an answer.

    Attributes:
        character: a digit, the sign, or the dot that ends the answer.
        probability: that the network gives to it, 0 to 1, at its file's temperature.
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
        chances, order = (possible(logits)[0] / trained.temperature).softmax(-1).sort(descending=True)
        found = [(CHARACTERS[place], float(chance)) for chance, place in zip(chances, order.tolist(), strict=True)]
        yield Digit(*found[0], tuple(found[:guesses]))
        ids = order[:1]
        if int(ids) == _END:
            return


def possible(logits: Tensor) -> Tensor:
    """Logits in which what is never written, padding and the mark before an answer, has no chance."""
    logits = logits.float().clone()
    logits[..., :_END] = -torch.inf
    return logits


@dataclass(frozen=True, slots=True)
class Written:
    """Answers to many programs.

    Attributes:
        answers: as one reads them, without dots.
        ids: of the characters written, (B, U), padded with 0.
        logits: that they were chosen by, (B, U, A).
    """

    answers: list[str]
    ids: Tensor
    logits: Tensor

    def confidences(self, temperature: float = 1.0) -> Tensor:
        """The probability of each whole answer, (B,), with logits divided by a temperature."""
        chances = (self.logits / temperature).log_softmax(-1)
        chosen = chances.gather(-1, self.ids[..., None])[..., 0]
        return chosen.masked_fill(self.ids == 0, 0).sum(1).exp()


def answer_all(executor: Executor, samples: Sequence[Sample], writing: Writing, device: torch.device) -> Written:
    """Answers to many programs at once, the likeliest character each time, in the programs' order."""
    order = sorted(range(len(samples)), key=lambda place: len(samples[place].program))
    ids = torch.zeros((len(samples), LONGEST), dtype=torch.int64)
    logits = torch.zeros((len(samples), LONGEST, NUM_ANSWER_CHARACTERS))
    for start in range(0, len(samples), _BATCH):
        rows = order[start : start + _BATCH]
        found = _answer([samples[row] for row in rows], executor, writing, device)
        for whole, part in zip((ids, logits), found, strict=True):
            whole[rows, : part.shape[1]] = part.cpu()
    texts = ["".join(CHARACTERS[number] for number in row if number) for row in ids.tolist()]
    return Written([writing.answer(text.split(END)[0]) for text in texts], ids, logits)


@torch.no_grad()
def _answer(
    samples: Sequence[Sample], executor: Executor, writing: Writing, device: torch.device
) -> tuple[Tensor, Tensor]:
    programs, lengths, _ = make_batch(samples, writing).tensors(device)
    memory = executor.read(programs, lengths)
    ids, written, chosen_by = None, list[Tensor](), list[Tensor]()
    over = torch.zeros(len(samples), dtype=torch.bool, device=device)
    while not over.all() and len(written) < LONGEST:
        logits, memory = executor.write(ids, memory)
        logits = possible(logits)
        ids = logits.argmax(-1)
        written.append(ids.masked_fill(over, 0))
        chosen_by.append(logits)
        over = over | (ids == _END)
    return torch.stack(written, 1), torch.stack(chosen_by, 1)
