"""The state of a run, and what happens at each of its steps."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from creative.checkpoint import CheckpointError, read_metadata
from creative.data.draws import batches, mixed_seed
from creative.device import autocast, fast_dtype
from creative.engines.training import saving
from creative.engines.training.learner import Learner, PartUpdate
from creative.engines.training.metrics import MetricsFile, Tally
from creative.engines.training.modes import own_modes, seeded
from creative.engines.training.processes import Processes
from creative.engines.training.saving import TrainingError, check_same
from creative.engines.training.state import Average, load_optimizer
from creative.engines.training.task import Networks, Task, all_draws
from creative.files import explain
from creative.options.training import TrainingSettings

SAVE_SECONDS = 300.0
"""A run of one process saves at least this often, however slow its steps are; when it does changes nothing else."""


class Run:
    """A run in the making: built, or read back from ``last.safetensors``; then ``make_step`` until it is ``over``.

    All randomness is a function of seed, step and place in the batch, so no generator's state has to be kept.

    Attributes:
        step: steps made.
        best_file, last_file: what is written.
    """

    def __init__(
        self, task: Task, settings: TrainingSettings, folder: Path, device: torch.device, *, resume: bool
    ) -> None:
        self.processes = Processes(device)
        self.task, self.settings, self.device = task, settings, self.processes.device
        self.best_file, self.last_file = folder / "best.safetensors", folder / "last.safetensors"
        dtype = {"auto": fast_dtype(self.device), "float32": None, "bfloat16": torch.bfloat16}[settings.precision]
        self.dtype = dtype if dtype is torch.bfloat16 else None  # float16 would need its losses scaled
        self.step = self.saved_at = 0
        self.seconds = self._seconds_before = self._saved_seconds = 0.0
        self._started = time.monotonic()
        self.best: dict[str, Any] | None = None  # the step of the best file, and its metric's value
        self.since_best = 0  # evaluations
        self.numbers: dict[str, float] = {}  # as they are known now
        self._row: dict[str, float] = {}  # those of the last row of metrics.csv
        self._tally = Tally()  # of the steps' metrics since then
        if self.processes.agree(resume) != resume:
            raise TrainingError(f"{folder} is not the same for all processes: use a folder that every machine shares.")
        self._build()
        if resume:
            self._restore()
        self._metrics: MetricsFile | None = None
        if self.processes.rank == 0:
            for left in folder.glob(".*.tmp"):  # by a process that was killed while it saved
                left.unlink(missing_ok=True)
            self._metrics = MetricsFile(folder / "metrics.csv", self.step, events=settings.tensorboard)

    def _build(self) -> None:
        task, settings = self.task, self.settings
        task.device = self.device
        with seeded(mixed_seed(settings.seed, "networks"), self.device):
            self.networks: Networks = {name: net.to(self.device).train() for name, net in task.networks().items()}
            if task.channels_last:
                for network in self.networks.values():
                    network.to(memory_format=torch.channels_last)
            self.learner = Learner(task.optimizers(self.networks, settings), settings, self.processes)
            self.average = Average(self.networks, settings.ema_decay)
            self._dataset = task.dataset()
        self._num_items = len(self._dataset)  # type: ignore[arg-type]
        if not self._num_items:
            raise TrainingError("There is nothing to train on: the data has no items.")

    # The steps

    def batches(self) -> Iterator[Any]:
        """This process's share of the data from the present step on."""
        return batches(
            self._dataset,
            all_draws(self.task, self._num_items, self.settings),
            start=self.step,
            rank=self.processes.rank,
            ranks=self.processes.ranks,
            parts=self.settings.accumulate,
            workers=self.settings.workers,
            collate=self.task.collate,
            pin_memory=self.device.type == "cuda",
        )

    def next_batch(self, data: Iterator[Any]) -> list[Any]:
        """The parts of the next step's batch.

        Raises:
            TrainingError: the data is wrong, or a process that loads it has died.
        """
        try:
            return [next(data) for _ in range(self.settings.accumulate)]
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise TrainingError(
                "A process that loads data has died, most likely for want of memory: "
                "use fewer workers (0 loads between the steps) or a smaller batch, and start again to go on."
            ) from error
        except ValueError as error:  # from a worker it comes with its traceback in the message
            raise TrainingError(str(error).strip().splitlines()[-1].removeprefix("ValueError: ")) from error

    def make_step(self, parts: list[Any]) -> str | None:
        """Learn from one batch; then evaluate, log and save if it is time. Returns what is worth saying."""
        self._learn(parts)
        self.step += 1
        self.learner.note_finite(self.step)
        self.average.update(self.step)
        self._look_at_the_clock()
        every, ends, message = self.settings, self.over(), None
        evaluates, saves = (ends or self.step % n == 0 for n in (every.evaluate_every, every.save_every))
        saves |= self.processes.ranks == 1 and self.seconds - self._saved_seconds > SAVE_SECONDS
        logs = evaluates or self.step % every.log_every == 0
        if saves or logs or self.device.type == "cpu":  # elsewhere a look costs a wait for the device
            self._check_finite()
        if logs:
            self._average_metrics()
        if evaluates:
            message = self._evaluate()
        if logs:
            self._write_metrics()
        if saves or self.over():
            self._save()
        return message

    def _learn(self, parts: list[Any]) -> None:
        progress = self.progress()
        self.learner.set_rates(self.step, progress)
        for part, batch in enumerate(parts):
            # Dropout draws from the global generator: make it a function of the step.
            seed = mixed_seed(self.settings.seed, "step", self.step, part, self.processes.rank)
            update = PartUpdate(self.learner, self.step, part, progress, seed)
            with seeded(seed, self.device), autocast(self.device, self.dtype):
                found = self.task.step(self.processes.send(batch), update)
            self._tally.add(found)
        buffers = [b for network in self.networks.values() for b in network.buffers() if b.is_floating_point()]
        self.processes.mean_(buffers)

    def _check_finite(self) -> None:
        bad = self.learner.bad_step()
        if bad:
            kept = f"The checkpoint of step {self.saved_at} is kept" if self.saved_at else "Nothing was saved before"
            raise TrainingError(
                f"The loss was no longer a number at step {bad}. {kept}. Start again in another folder with a lower "
                f"learning rate (it was {self.settings.learning_rate:g}), stronger clipping, or precision float32."
            )

    # The budget

    def progress(self) -> float:
        """How much of the run is over, 0 to 1, by steps or by seconds, whichever is further."""
        timed = self.seconds / self.settings.seconds if self.settings.seconds else 0.0
        return min(1.0, max(self.step / self.settings.steps, timed))

    def over(self) -> bool:
        """Whether the budget is used up or patience is at its end."""
        return self.progress() >= 1.0 or self.since_best >= (self.settings.patience or math.inf)

    def total(self) -> int:
        """The steps in all, as far as can be told now."""
        steps, seconds = self.settings.steps, self.settings.seconds
        if not seconds or not self.step or not self.seconds:
            return steps
        return max(self.step, min(steps, math.ceil(self.step * seconds / self.seconds)))

    def _look_at_the_clock(self) -> None:
        seconds = self._seconds_before + time.monotonic() - self._started
        self.seconds = self.processes.agree(seconds) if self.settings.seconds else seconds

    # What is told

    def preview(self) -> Callable[[], Any]:
        """A sample of the averaged networks, when somebody asks for it."""

        def sample() -> Any:
            with self._aside():
                return self.task.sample(self.average.networks)

        return sample

    def _average_metrics(self) -> None:
        self._row = {"learning_rate": self.learner.rate, **self._tally.means(self.processes)}
        self._tally = Tally()

    def _write_metrics(self) -> None:
        self.numbers = {**self.numbers, **self._row}
        if self._metrics is not None:
            with self._told():
                self._metrics.write(self.step, {"seconds": round(self.seconds, 2), **self._row})

    def _evaluate(self) -> str | None:
        found: dict[str, float] = {}
        if self.processes.rank == 0:
            with self._aside():
                found = {name: float(value) for name, value in self.task.evaluate(self.average.networks).items()}
        found = self.processes.agree(found)
        self._row |= found
        name = self.task.best_metric
        if name is None:
            self.best = {"step": self.step}
            self._export()
            return None
        if name not in found:
            raise TrainingError(f"evaluate() gives {', '.join(found) or 'nothing'}, but the best is chosen by {name}.")
        sign = 1 if self.task.lower_is_better else -1
        better = self.best is None or sign * found[name] < sign * self.best["value"]
        if better and math.isfinite(found[name]):
            self.best, self.since_best = {"step": self.step, "value": found[name]}, 0
            self._export()
            return f"Step {self.step}: {name} {found[name]:.5g}, the best so far."
        self.since_best += 1
        if self.over() and self.settings.patience:
            return f"Step {self.step}: no better {name} in {self.since_best} evaluations, which is the end."
        return None

    # Saving and going on

    def _export(self) -> None:
        if self.processes.rank:
            return
        facts = {"task": type(self.task).__name__, "steps": self.step, "device": self.device.type, "metrics": self._row}
        with self._told():
            tensors = self.task.export(self.average.networks)
            saving.save_network(self.best_file, tensors, config=self.task.config(), settings=self.settings, facts=facts)

    def _save(self) -> None:
        extra = self.processes.gather(self.task.extra_state())
        if self.processes.rank == 0:
            if self.best is None:  # what an earlier run left here must not be taken for this one's
                self.best_file.unlink(missing_ok=True)
            tree = {
                "optimizers": {name: optimizer.state_dict() for name, optimizer in self.learner.optimizers.items()},
                "extra": extra,
                "sums": self._tally.sums,
            }
            facts = {
                "settings": self.settings.model_dump(mode="json"),
                "config": self.task.config(),
                "items": self._num_items,
                "processes": self.processes.ranks,
                "has_extra": any(extra),
                "step": self.step,
                "seconds": round(self.seconds, 3),
                "numbers": self.numbers,
                "num_summed": self._tally.count,
                "best": self.best,
                "since_best": self.since_best,
            }
            with self._told():
                saving.save_state(self.last_file, self._kinds(), tree, facts)
        self.processes.wait()
        self.saved_at, self._saved_seconds = self.step, self.seconds

    def finish(self) -> Path:
        """The best file, at the end of a run; its last weights, where evaluation never found a best."""
        if self.processes.rank == 0 and not self.best_file.exists():
            self._export()
        self.processes.wait()
        return self.best_file

    def save_stopped(self) -> None:
        """Save between two steps, on the way out."""
        # Several processes are stopped at different steps: they keep the last regular save.
        if self.processes.ranks == 1 and self.step > self.saved_at and not self.learner.bad_step():
            if self.task.best_metric is None:
                self._row = {}
                self.best = {"step": self.step}
                self._export()
            self._save()

    def _restore(self) -> None:
        facts = read_metadata(self.last_file)
        config = json.loads(json.dumps(self.task.config()))  # as it was read: tuples are lists
        now = {"config": config, "items": self._num_items, "processes": self.processes.ranks}
        if not facts.get("has_extra"):  # which would belong to the processes' shares of the batch
            del now["processes"]
        check_same({name: facts[name] for name in now}, now, self.last_file)
        tree = saving.load_state(self.last_file, self._kinds())
        for name, optimizer in self.learner.optimizers.items():
            load_optimizer(optimizer, tree["optimizers"][name])
        if facts.get("has_extra"):
            self.task.load_extra_state(tree["extra"][self.processes.rank])
        sums = {name: value.to(self.device) for name, value in tree["sums"].items()}
        self._tally, self.numbers = Tally(sums, facts["num_summed"]), facts["numbers"]
        self.step = self.saved_at = facts["step"]
        self.seconds = self._seconds_before = self._saved_seconds = facts["seconds"]
        self.best, self.since_best = facts["best"], facts["since_best"]

    def _kinds(self) -> dict[str, Networks]:
        return {"network": self.networks, "average": self.average.networks}

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (CheckpointError, OSError) as error:
            reason = explain(error, self.last_file) if isinstance(error, OSError) else str(error)
            kept = f"The checkpoint of step {self.saved_at} is intact" if self.saved_at else "Nothing was saved before"
            raise TrainingError(f"{reason} {kept}: make room and start again to go on from there.") from error

    def close(self) -> None:
        """Flush what is still to be written."""
        if self._metrics is not None:
            self._metrics.close()

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """For evaluations and samples: without gradients, and the same whenever it is asked for."""
        with own_modes(self.device), seeded(mixed_seed(self.settings.seed, "aside"), self.device), torch.no_grad():
            yield
