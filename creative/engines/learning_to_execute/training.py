"""Learning to execute: the training on made-up programs, with a curriculum.

Zaremba and Sutskever, 2014, Learning to Execute, arXiv:1410.4615. Two ways of reading: ``Programs``, one at a time in
batches of about the same size, gradients through all of it; and ``Streams``, the paper's: rows of programs without end,
cut into pieces through which gradients flow, the state carried from piece to piece.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from creative.data.programs import Curriculum, Level, Sample, Writing, encode, make_batch, sample
from creative.data.programs.batches import CHARACTERS, END, GO
from creative.engines.learning_to_execute.calibration import fit_temperature
from creative.engines.learning_to_execute.evaluation import Accuracy, measure, measure_levels
from creative.engines.learning_to_execute.networks import levels_of, save_networks, trained_from
from creative.engines.training import Draw, Networks, Task, Update, mixed_seed, train
from creative.models.executor import Executor, ExecutorConfig, PlainExecutor, make_executor
from creative.options.execute import TrainExecuteSettings
from creative.progress import Step

_CHECKED = 200
"""Programs by which the curriculum is steered."""
_EVALUATED = 200
"""Programs per level of an evaluation while training."""


def train_execute(
    settings: TrainExecuteSettings | None = None,
    folder: Path = Path("out/train-execute"),
    *,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train a network to execute programs, to add or to memorise; returns the file of the finished network.

    It is measured at the end on programs that were held out, and its file says how well it did at each level.

    Args:
        settings: of the training; None, the defaults, is the recipe of the bundled network for programs.
        folder: for checkpoints and metrics.csv; a run that was stopped goes on from there.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        TrainingError: settings that cannot work, or differ from those of the run in ``folder``.

    Example:
        >>> run(train_execute(TrainExecuteSettings(length=1, nesting=1, steps=500), Path("out/small")))
    """
    settings = settings or TrainExecuteSettings()
    task = Streams(settings) if settings.reading == "stream" else Programs(settings)
    return _train(train(task, settings, Path(folder), device=device, resume=resume), device)


def _train(training: Generator[Step, None, Path], device: str) -> Generator[Step, None, Path]:
    path = yield from training
    (trained,) = trained_from(path, device=device).values()
    table = yield from measure_levels(trained, levels_of(trained))
    temperature = fit_temperature(trained, levels_of(trained))
    hardest = sample(range(10_000), lambda random: trained.level, task=trained.task)
    longest = max(len(found.answer) for found in hardest)
    return save_networks(path, {trained.task: trained.measured(table, longest, temperature)})


class Rows(Dataset[int]):
    """The rows of a batch by number: what is in them the task makes up, who knows how hard it should be."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, draw: Draw) -> int:
        return draw.index


class Execution(Task):
    """What both ways of reading share: network, curriculum, measuring."""

    best_metric = "whole"
    lower_is_better = False

    def __init__(self, settings: TrainExecuteSettings) -> None:
        self.settings = settings
        self.writing = Writing(settings.least_digit_first, settings.reversed_input, settings.doubled_input)
        nesting = settings.nesting if settings.task == "programs" else 1
        target = Level(settings.length, nesting)
        self.curriculum = Curriculum(settings.curriculum, target, settings.threshold, review=settings.review)
        self.rate = 1.0
        self.shape = ExecutorConfig(
            hidden_size=settings.hidden_size,
            num_layers=settings.num_layers,
            num_heads=settings.num_heads,
            both_ways=settings.both_ways and settings.num_heads > 0,
            writer_size=settings.writer_size,
            writer_layers=settings.writer_layers,
            thinking=settings.thinking,
            dropout=settings.dropout,
        )

    def networks(self) -> Networks:
        """The executor."""
        self.network = make_executor(self.shape)
        if self.settings.optimizer == "sgd":
            for parameter in self.network.parameters():
                torch.nn.init.uniform_(parameter, -0.08, 0.08)  # as the release does, biases and all
        return {"executor": self.network}

    def optimizers(self, networks: Networks, settings: Any) -> dict[str, torch.optim.Optimizer]:
        """AdamW, or the paper's plain gradient descent."""
        made = super().optimizers(networks, settings)
        if self.settings.optimizer == "sgd":
            made = {"all": torch.optim.SGD(self.network.parameters(), lr=settings.learning_rate)}
        self._optimizers = made
        return made

    def dataset(self) -> Rows:
        """The rows' numbers."""
        return Rows(self.settings.batch_size)

    def draws(self, step: int, settings: Any) -> Sequence[Draw]:
        """All rows at each step."""
        return [Draw(row, 0) for row in range(settings.batch_size)]

    def make_up(self, seed: int, count: int, *, level: Level | None = None, part: str = "training") -> list[Sample]:
        """So many samples from a seed: at the curriculum's levels, or at one level."""
        seeds = range(seed, seed + count)
        hardness = map(self.curriculum.hardness, seeds) if level is None else [lambda random: level] * count
        return sample(seeds, list(hardness), task=self.settings.task, part=part)

    def check(self, step: int) -> None:
        """Before a step: is it time to get harder? Every process finds the same, as all have the same weights."""
        settings, curriculum = self.settings, self.curriculum
        if not step or step % settings.check_every:
            return
        if settings.curriculum in {"baseline", "mix"} and settings.rate_decay == 1:
            return
        accuracies = [
            self._accuracy(
                self.network,
                self.make_up(mixed_seed(settings.seed, part, step), _CHECKED, level=curriculum.now, part=part),
            )
            for part in ("validation", "training")
        ]
        if curriculum.measured(accuracies[0].per_character, accuracies[1].per_character) and not curriculum.harder():
            self.rate *= settings.rate_decay

    def learn(self, loss: Tensor, update: Update) -> None:
        """Make a step, at the learning rate as it has decayed."""
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] *= self.rate
        update(loss)

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """Accuracies of whole answers and of characters, level by level and their means."""
        target, found = self.curriculum.target, {}
        executor = _executor(networks)
        for length in range(1, target.length + 1):
            for nesting in range(1, target.nesting + 1):
                level = Level(length, nesting)
                samples = self.make_up(mixed_seed(0, *level), _EVALUATED, level=level, part="validation")
                found[level] = self._accuracy(executor, samples)
        means = {
            "whole": float(np.mean([accuracy.whole for accuracy in found.values()])),
            "characters": float(np.mean([accuracy.per_character for accuracy in found.values()])),
        }
        now = {"length": self.curriculum.now.length, "nesting": self.curriculum.now.nesting}
        return means | now | {f"whole_{length}_{nesting}": a.whole for (length, nesting), a in found.items()}

    def sample(self, networks: Networks) -> str:
        """Held-out programs of the present level with the network's answers and the true ones."""
        from creative.engines.learning_to_execute.answering import answer_all

        samples = self.make_up(0, 4, level=self.curriculum.now, part="validation")
        answers = answer_all(_executor(networks), samples, self.writing, self.device).answers
        return "\n\n".join(
            f"{program}\n{answer}" + ("" if answer == truth else f"   (it is {truth})")
            for (program, truth), answer in zip(samples, answers, strict=True)
        )

    def extra_state(self) -> dict[str, Any]:
        """Where the curriculum is."""
        return {"curriculum": self.curriculum.state(), "rate": self.rate}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.curriculum.load_state(state["curriculum"])
        self.rate = state["rate"]

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """Half precision, under the task's name."""
        state = _executor(networks).state_dict()
        return {f"{self.settings.task}.{name}": tensor.half() for name, tensor in state.items()}

    def config(self) -> dict[str, Any]:
        """What is needed to use it."""
        about = {
            "network": self.shape.to_json(),
            "writing": {name: getattr(self.writing, name) for name in Writing.__slots__},
            "characters": CHARACTERS,
            "level": list(self.curriculum.target),
        }
        return {"networks": {self.settings.task: about}}

    def _accuracy(self, executor: Executor, samples: Sequence[Sample]) -> Accuracy:
        was = executor.training
        executor.eval()
        found = measure(executor, samples, self.writing, self.device)
        executor.train(was)
        return found


def _executor(networks: Networks) -> Executor:
    executor = networks["executor"]
    assert isinstance(executor, Executor)
    return executor


class Programs(Execution):
    """One program at a time: batches of programs of about the same size, gradients through all of each."""

    def __init__(self, settings: TrainExecuteSettings) -> None:
        super().__init__(settings)
        self._pool_number = -1
        self._pool: list[Sample] = []
        self._drawn_at: dict[str, Any] = {}

    def step(self, batch: Tensor, update: Update) -> dict[str, Tensor]:
        """Cross-entropy of the answers' characters."""
        if update.part == 0:
            self.check(update.step)
        samples = [self.chunk(update.step)[row] for row in batch.tolist()]
        programs, lengths, answers = make_batch(samples, self.writing).tensors(self.device)
        logits = self.network(programs, lengths, answers).float()
        loss = F.cross_entropy(logits.flatten(0, 1), answers.flatten(), ignore_index=0)
        self.learn(loss, update)
        right = (logits.detach().argmax(-1) == answers)[answers != 0].float().mean()
        return {"loss": loss, "trained_characters": right}

    def chunk(self, step: int) -> list[Sample]:
        """The samples of a step: its share of a pool that was sorted by size, so that there is little padding.

        Which share is drawn, or every pool would go from small to large.
        """
        settings = self.settings
        number, place = divmod(step, settings.pool)
        if number != self._pool_number:
            self._drawn_at = self.curriculum.state()
            self._fill(number)
        order = torch.randperm(
            settings.pool, generator=torch.Generator().manual_seed(mixed_seed(settings.seed, "order", number))
        )
        start = int(order[place]) * settings.batch_size
        return self._pool[start : start + settings.batch_size]

    def _fill(self, number: int) -> None:
        settings = self.settings
        seed = mixed_seed(settings.seed, "pool", number)
        self._pool = self.make_up(seed, settings.batch_size * settings.pool)
        self._pool.sort(key=lambda found: (len(found.program), len(found.answer)))
        self._pool_number = number

    def extra_state(self) -> dict[str, Any]:
        """Also at which level the present pool was drawn."""
        return super().extra_state() | {"pool": self._pool_number, "drawn_at": self._drawn_at}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Draw the pool again."""
        super().load_extra_state(state)
        if state["pool"] >= 0:
            now = self.curriculum.state()
            self._drawn_at = dict(state["drawn_at"])
            self.curriculum.load_state(self._drawn_at)
            self._fill(state["pool"])
            self.curriculum.load_state(now)


class Streams(Execution):
    """The paper's way: each row of a batch is a stream of programs; in a step ``unroll`` characters of it are read."""

    def __init__(self, settings: TrainExecuteSettings) -> None:
        super().__init__(settings)
        self._next = [0] * settings.batch_size  # how many programs each row has had
        self._left = [np.zeros((0,), np.uint8)] * settings.batch_size  # characters made up but not read
        self._marks = [np.zeros((0,), bool)] * settings.batch_size  # which of them are an answer's
        self._state: tuple[Tensor, ...] | None = None

    def step(self, batch: Tensor, update: Update) -> dict[str, Tensor]:
        """The sum over a piece's answers' characters of their cross-entropy, mean over rows: the release's loss."""
        if update.part == 0:
            self.check(update.step)
        rows, unroll = batch.tolist(), self.settings.unroll
        for row in rows:
            while len(self._left[row]) <= unroll:
                self._more(row)
        ids = torch.from_numpy(np.stack([self._left[row][: unroll + 1] for row in rows]).astype(np.int64))
        asked = torch.from_numpy(np.stack([self._marks[row][1 : unroll + 1] for row in rows])).to(self.device)
        ids = ids.to(self.device)
        for row in rows:
            self._left[row], self._marks[row] = self._left[row][unroll:], self._marks[row][unroll:]
        assert isinstance(self.network, PlainExecutor)
        if self._state is None:
            self._state = self.network.model.initial_state(self.settings.batch_size)
        logits, state = self.network.model(ids[:, :-1], tuple(part[:, batch] for part in self._state))
        for whole, part in zip(self._state, state, strict=True):
            whole[:, batch] = part.detach().to(whole.dtype)
        losses = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (losses * asked.flatten()).sum() / len(rows)
        self.learn(loss, update)
        right = ((logits.detach().argmax(-1) == ids[:, 1:]) & asked).sum() / asked.sum().clamp(min=1)
        return {"loss": loss, "trained_characters": right}

    def _more(self, row: int) -> None:
        """Give a row another program and its answer."""
        (found,) = self.make_up(mixed_seed(self.settings.seed, "row", row, self._next[row]), 1)
        program = encode(self.writing.program(found.program) + GO)
        answer = encode(self.writing.answer(found.answer) + END)
        self._left[row] = np.concatenate([self._left[row], program, answer])
        asked = np.arange(len(program) + len(answer)) >= len(program)
        self._marks[row] = np.concatenate([self._marks[row], asked])
        self._next[row] += 1

    def extra_state(self) -> dict[str, Any]:
        """Also what is left of each row's stream, and the network's state there."""
        return super().extra_state() | {
            "next": list(self._next),
            "left": [torch.from_numpy(left) for left in self._left],
            "marks": [torch.from_numpy(marks) for marks in self._marks],
            "state": self._state,
        }

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on where the streams were."""
        super().load_extra_state(state)
        self._next = list(state["next"])
        self._left = [left.numpy() for left in state["left"]]
        self._marks = [marks.numpy() for marks in state["marks"]]
        if state["state"] is not None:
            self._state = tuple(part.to(self.device) for part in state["state"])
