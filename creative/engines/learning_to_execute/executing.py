"""Have a network read a program and write what it prints, digit by digit, beside what it really prints."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from creative.data.draws import mixed_seed
from creative.data.programs import EASIEST, Level, Program, encode, read_program, sample
from creative.data.programs.batches import END, GO
from creative.engines.learning_to_execute.answering import LONGEST, Digit, write_answer
from creative.engines.learning_to_execute.evaluation import Accuracy
from creative.engines.learning_to_execute.networks import ExecuteError, Trained, load_trained
from creative.options.execute import ExecuteSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run

_BARE_SUM = re.compile(r"print\(\(?(\d+)\+(\d+)\)?\)")


def per_cent(share: float) -> int:
    """A share or a probability in per cent: 100 only where there is next to no doubt, from 99.95 on."""
    return 100 if share >= 0.9995 else min(99, round(100 * share))


@dataclass(frozen=True, slots=True)
class Neuron:
    """What one neuron holds while the program is read.

    Attributes:
        number: counted through the layers.
        text: what is read.
        values: after each character, in (-1, 1).
    """

    number: int
    text: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One program that was read, and what became of it.

    Attributes:
        program: as it was read.
        truth: what it prints.
        task: of the network that read it.
        digits: the characters written so far, in the network's own order; the last one is the dot.
        least_digit_first: whether that order is from the last digit on.
        neurons: those that change most, or the one asked for.
    """

    program: Program
    truth: str
    task: str
    digits: tuple[Digit, ...] = ()
    least_digit_first: bool = False
    neurons: tuple[Neuron, ...] = ()

    @property
    def shown(self) -> tuple[Digit, ...]:
        """The digits as a number is read, without the dot."""
        written = tuple(digit for digit in self.digits if digit.character != END)
        return written[::-1] if self.least_digit_first else written

    @property
    def complete(self) -> bool:
        """Whether the dot has been written."""
        return bool(self.digits) and self.digits[-1].character == END

    @property
    def over(self) -> bool:
        """Whether it has come to an end, or will not find one."""
        return self.complete or len(self.digits) >= LONGEST

    @property
    def answer(self) -> str:
        """What the network has written, as a number is read; a mark where more is to come."""
        found = "".join(digit.character for digit in self.shown)
        return found if self.complete else f"…{found}" if self.least_digit_first else f"{found}…"

    @property
    def confidence(self) -> float:
        """The probability that the network gives to its answer, 0 to 1."""
        return math.prod(digit.probability for digit in self.digits)

    @property
    def right(self) -> bool:
        """Whether the answer is what the program prints."""
        return self.complete and self.answer == self.truth

    @property
    def text(self) -> str:
        """The program, the answer with its confidence, and the truth; it only grows while digits come.

        Digits that come from the last one on are told when all are there.
        """
        lines = [self.program.text, "  network:"]
        if self.over:
            sure = f"{per_cent(self.confidence)} % sure" if self.complete else "it finds no end"
            lines[1] += f" {self.answer}   ({sure})"
            lines.append(f"  Python:  {self.truth}   ({'right' if self.right else 'wrong'})")
        elif self.digits and not self.least_digit_first:
            lines[1] += f" {self.answer.removesuffix('…')}"
        return "\n".join(lines)


@dataclass(frozen=True)
class Executed:
    """What came of a job.

    Attributes:
        readings: one for each program.
        accuracy: of the network that read the last one, measured on programs held out, by level.
        level: the hardest it was trained on.
        provenance: how it was made.
    """

    readings: tuple[Reading, ...]
    accuracy: dict[Level, Accuracy] = field(default_factory=dict)
    level: Level = EASIEST
    provenance: Provenance | None = None

    @property
    def answer(self) -> str:
        """Of the last program."""
        return self.readings[-1].answer

    @property
    def score(self) -> tuple[int, int]:
        """How many answers are right, and of how many."""
        done = [reading for reading in self.readings if reading.over]
        return sum(reading.right for reading in done), len(done)

    @property
    def text(self) -> str:
        """All of it; with several programs, the score at the end."""
        parts = [reading.text for reading in self.readings]
        if len(self.readings) > 1 and self.provenance is not None:
            right, done = self.score
            parts.append(f"Score: {right} of {done} right.")
        return "\n\n".join(parts) + "\n"


def execute(
    program: str | None = None,
    settings: ExecuteSettings | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "auto",
) -> Generator[Step, None, Executed]:
    """Read a program and write what it prints.

    The program is never run by Python: an interpreter that knows nothing but its language (see
    ``creative.data.programs.read_program``) works out the true answer.

    Args:
        program: its text; None: programs are made up as the settings say.
        settings: what is made up and shown.
        weights: the network's file; None is the bundled one.
        device: where to compute.

    Returns:
        A generator of Steps, one for each digit, whose preview is the ``Executed`` so far.

    Raises:
        ProgramError: at once: the program is not in the language.
        ExecuteError, WeightsError: at once: there is no network for it.

    Example:
        >>> run(execute("a=(12+30)\\nprint((a-2))")).answer
        '40'
    """
    settings = settings or ExecuteSettings()
    networks = load_trained(weights, device=device)
    jobs = _made_up(networks, settings) if program is None else [_given(read_program(program), networks, settings)]
    for _, trained in jobs:
        if settings.neuron is not None and settings.neuron >= trained.num_neurons:
            last = trained.num_neurons - 1
            raise ExecuteError(f"There is no neuron {settings.neuron}; this network's are numbered from 0 to {last}.")
    return _executing(jobs, settings)


_Job = tuple[Program, Trained]


def _given(program: Program, networks: dict[str, Trained], settings: ExecuteSettings) -> _Job:
    bare = _BARE_SUM.fullmatch(program.text)
    adder = networks.get("addition")
    if settings.task == "addition":
        if not bare:
            raise ExecuteError("The network for addition reads nothing but a sum of two numbers: print(12345+67890).")
        return _sum(bare, program), _of(networks, "addition")
    if settings.task == "auto" and bare and adder and len(bare[1]) == len(bare[2]) <= adder.level.length:
        return _sum(bare, program), adder
    return program, _of(networks, "programs")


def _sum(bare: re.Match[str], program: Program) -> Program:
    """A sum as the network for sums has learned to read it."""
    length = max(len(bare[1]), len(bare[2]))
    return Program(f"print({bare[1]}+{bare[2]})", program.answer, length, 1)


def _made_up(networks: dict[str, Trained], settings: ExecuteSettings) -> list[_Job]:
    task = "addition" if settings.task == "addition" else "programs"
    level = Level(settings.length, 1 if task == "addition" else settings.nesting)
    first = mixed_seed(settings.seed, task, *level)
    found = sample(range(first, first + settings.count), lambda random: level, task=task, part="test")
    programs = [Program(text, int(answer), *level) for text, answer in found]
    return [(program, _of(networks, task)) for program in programs]


def _of(networks: dict[str, Trained], task: str) -> Trained:
    if task not in networks:
        there = ", ".join(networks)
        raise ExecuteError(
            f"This file has no network for {task}, only for {there}: choose another file or another task."
        )
    return networks[task]


def _executing(jobs: list[_Job], settings: ExecuteSettings) -> Generator[Step, None, Executed]:
    """Its Steps count characters, those of the true answers."""
    sizes = [len(str(program.answer)) + 1 for program, _ in jobs]
    total, before = sum(sizes), 0
    yield Step(0, total)
    readings: list[Reading] = []
    for (program, trained), size in zip(jobs, sizes, strict=True):
        for message in _warnings(program, trained):
            yield Step(before, total, message=message)
        reading = Reading(program, str(program.answer), trained.task, (), trained.writing.least_digit_first)
        for digit in write_answer(trained, program.text, settings.guesses):
            reading = replace(reading, digits=(*reading.digits, digit))
            so_far = Executed((*readings, reading), trained.accuracy, trained.level)
            done = before + min(len(reading.digits), size)
            yield Step(done, total, _score(so_far), partial(_same, so_far))
        readings.append(replace(reading, neurons=tuple(_neurons(trained, program, settings.neuron))))
        before += size
    trained = jobs[-1][1]
    made = describe_run("execute", settings, weights={"execute": trained.sha256}, device=trained.device)
    executed = Executed(tuple(readings), trained.accuracy, trained.level, made)
    yield Step(total, total, _score(executed), partial(_same, executed))
    return executed


def _same(executed: Executed) -> Executed:
    return executed


def _score(executed: Executed) -> dict[str, float]:
    right, done = executed.score
    return {"right": right, "programs": done}


def _warnings(program: Program, trained: Trained) -> Iterator[str]:
    """What nobody should be surprised by."""
    length, nesting = trained.level
    if program.length > length or program.nesting > nesting:
        yield (
            f"This program (length {program.length}, nesting {program.nesting}) is harder than what the network has "
            f"learned (length {length}, nesting {nesting}): do not expect much."
        )
    elif len(str(program.answer)) > trained.longest > 0:
        yield (
            f"The true answer has {len(str(program.answer))} characters, the longest that the network has learned "
            f"{trained.longest}: do not expect it to be right."
        )


@torch.no_grad()
def _neurons(trained: Trained, program: Program, wanted: int | None) -> Iterator[Neuron]:
    """What neurons hold while the program is read: the one asked for, or the three that change most."""
    text = trained.writing.program(program.text) + GO
    ids = torch.from_numpy(encode(text)).long().to(trained.device)
    values = trained.executor.hidden(ids).float().flatten(1)
    most = values.std(0, correction=0).topk(min(3, values.shape[1])).indices.tolist()
    for number in most if wanted is None else [wanted]:
        yield Neuron(number, text, tuple(values[:, number].tolist()))
