"""The one training loop."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import creative
from creative.checkpoint import CheckpointError, load_checkpoint, load_into, read_metadata, save_checkpoint
from creative.data.draws import batches, mixed_seed
from creative.device import autocast, choose_device, fast_dtype, num_threads, random_generator
from creative.engines.training.metrics import MetricsFile, has_tensorboard
from creative.engines.training.state import Average, flatten, load_optimizer, restore, stored
from creative.engines.training.task import Networks, Task, default_draws
from creative.options.training import TrainingSettings
from creative.progress import Step

MAY_CHANGE = {"steps", "seconds", "workers", "log_every", "evaluate_every", "save_every", "patience", "tensorboard"}
"""Settings with which a run may go on though it began with others."""


class TrainingError(ValueError):
    """A run that cannot start, go on or be saved. The message is one sentence or two for a person."""


def train(
    task: Task, settings: TrainingSettings, folder: Path, *, device: str | torch.device = "auto", resume: bool = True
) -> Generator[Step, None, Path]:
    """Train a task's networks; returns ``folder/best.safetensors``, the averaged networks (EMA) at their best.

    ``folder`` also gets ``last.safetensors``, all that is needed to go on exactly, and ``metrics.csv``. A run that was
    stopped or killed at any moment goes on from there when it is started again: on a CPU, with the same number of
    threads, to the same bytes as if it had never stopped (unless a time budget decided anything).

    Under ``torchrun --nproc-per-node N`` the batch is shared out to N processes, and the result is that of one process
    with the same batch up to rounding. Only the first process writes.

    Args:
        task: what is trained.
        settings: for how long and how. Those in ``MAY_CHANGE`` may differ when a run goes on. The learning rate is a
            function of step / steps, so a run made longer goes on where the longer run's schedule is at that step.
        folder: made if it is not there.
        device: where to compute.
        resume: go on from ``folder/last.safetensors`` if it is there; otherwise it will be overwritten.

    Returns:
        A generator of Steps, one per training step; ``preview`` is ``task.sample`` on the averaged networks. Closing it
        stops the run and saves it.

    Raises:
        TrainingError: at once, for settings that cannot work or differ from the saved run's; on the way, when the loss is
            no longer a number or nothing can be saved.

    Example:
        >>> path = run(train(Fit(), TrainingSettings(steps=200), Path("out/fit")))
    """
    folder, chosen = Path(folder), choose_device(device)
    ranks = int(os.environ.get("WORLD_SIZE", 1))
    if settings.batch_size % (ranks * settings.accumulate):
        raise TrainingError(
            f"A batch of {settings.batch_size} cannot be cut evenly into {ranks} processes × {settings.accumulate} parts: "
            f"choose a batch_size divisible by {ranks * settings.accumulate}."
        )
    if settings.tensorboard and not has_tensorboard():
        raise TrainingError(
            "TensorBoard is not installed: pip install 'creative[tensorboard]', or leave tensorboard off."
        )
    last = folder / "last.safetensors"
    saved = read_metadata(last) if resume and last.exists() else None
    if saved is not None:
        check_same(saved.get("settings", {}), settings.model_dump(mode="json"), last)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return _train(task, settings, folder, chosen, resume=saved is not None)


def check_same(before: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Refuse to go on with other settings (or another configuration) than a run began with, naming the first difference."""
    for name in sorted({*before, *now} - MAY_CHANGE):
        if before.get(name) != now.get(name):
            raise TrainingError(
                f"{path} was trained with {name} = {before.get(name)!r}, but now it is {now.get(name)!r}: go on with the "
                f"old value, choose another folder, or start again without resuming."
            )


def learning_rate_factor(settings: TrainingSettings, step: int, progress: float) -> float:
    """What the learning rate is multiplied with, 0 to 1.

    Args:
        step: steps done before this one.
        progress: how much of the run is over, 0 to 1.
    """
    rise = min(1.0, (step + 1) / (settings.warmup + 1))
    gone = max(0.0, (progress - settings.decay_from) / (1 - settings.decay_from))
    fall = {"constant": 1.0, "linear": 1 - gone, "cosine": (1 + math.cos(math.pi * gone)) / 2}[settings.schedule]
    return rise * fall


def _train(
    task: Task, settings: TrainingSettings, folder: Path, device: torch.device, *, resume: bool
) -> Generator[Step, None, Path]:
    yield Step(0, settings.steps, message="Preparing networks and data.")
    run = _Run(task, settings, folder, device, resume=resume)
    data: Iterator[Any] = iter(())
    try:
        if resume:
            yield Step(run.step, run.total(), message=f"Goes on from step {run.step}.")
            if run.over() and run.best_file.exists():
                return run.best_file
        data = run.batches()
        while not run.over():
            numbers, message = run.make_step(data)
            yield Step(run.step, run.total(), numbers, run.preview(), message)
        return run.best_file
    except GeneratorExit:
        run.save_stopped()
        raise
    finally:
        del data  # ends the worker processes
        run.close()


class _Run:
    """The state of a run, and what happens at each of its steps."""

    def __init__(
        self, task: Task, settings: TrainingSettings, folder: Path, device: torch.device, *, resume: bool
    ) -> None:
        from accelerate import PartialState

        self.state = PartialState(cpu=device.type == "cpu")
        if self.state.num_processes > 1 and device.type == "cuda":
            device = torch.device("cuda", self.state.local_process_index)
        self.task, self.settings, self.folder, self.device = task, settings, folder, device
        self.best_file, self.last_file = folder / "best.safetensors", folder / "last.safetensors"
        wanted = {"auto": fast_dtype(device), "float32": None, "bfloat16": torch.bfloat16}[settings.precision]
        self.dtype = wanted if wanted is torch.bfloat16 else None  # float16 would need its losses scaled
        self.step, self.seconds_before, self.started, self.saved_at = 0, 0.0, time.monotonic(), 0
        self.elapsed = 0.0
        self.best: dict[str, Any] | None = None
        self.evaluation: dict[str, float] = {}
        self.numbers: dict[str, float] = {}
        self.since_best = 0
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.bad_step = torch.tensor(-1, device=device)
        with self._modes(), torch.random.fork_rng(devices=self._cuda()):
            torch.manual_seed(mixed_seed(settings.seed, "networks"))
            task.device = device
            self.networks: Networks = {name: net.to(device).train() for name, net in task.networks().items()}
            if task.channels_last:
                for network in self.networks.values():
                    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.optimizers = task.optimizers(self.networks, settings)
            self.average = Average(self.networks, settings.ema_decay)
            self.dataset = task.dataset()
        self.size = len(self.dataset)  # type: ignore[arg-type]
        if not self.size:
            raise TrainingError("There is nothing to train on: the data has no items.")
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
        if resume:
            self._restore()
        self.metrics: MetricsFile | None = None
        if self.state.is_main_process:
            events = folder / "tensorboard" if settings.tensorboard else None
            self.metrics = MetricsFile(folder / "metrics.csv", self.step, events)

    # One step

    def batches(self) -> Iterator[Any]:
        return batches(
            self.dataset,
            default_draws(self.task, self.size, self.settings),
            start=self.step,
            rank=self.state.process_index,
            ranks=self.state.num_processes,
            parts=self.settings.accumulate,
            workers=self.settings.workers,
            collate=self.task.collate,
            pin_memory=self.device.type == "cuda",
        )

    def make_step(self, data: Iterator[Any]) -> tuple[dict[str, float], str | None]:
        """Learn from one batch, then log, evaluate and save if it is time; returns the numbers and a message."""
        self._learn(data)
        self.step += 1
        self.average.update(self.step)
        self._clock()
        settings, message = self.settings, None
        ends = self.over()
        if ends or self.step % settings.evaluate_every == 0:
            message = self._evaluate()
            if settings.patience is not None and self.since_best >= settings.patience:
                message, ends = (
                    f"Stops early: no better {self.task.best_metric} in {settings.patience} evaluations.",
                    True,
                )
                self.since_best = settings.patience
        due = ends or self.step % settings.save_every == 0
        if self.device.type == "cpu" or due or self.step % settings.log_every == 0:
            self._check_finite()
        if ends or self.step % settings.log_every == 0 or self.step % settings.evaluate_every == 0:
            self._log()
        if due:
            self._save()
        return self.numbers, message

    def _learn(self, data: Iterator[Any]) -> None:
        from accelerate.utils import send_to_device

        progress = self.progress()
        factor = learning_rate_factor(self.settings, self.step, progress)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        with self._modes(), torch.random.fork_rng(devices=self._cuda()):
            for part in range(self.settings.accumulate):
                batch = send_to_device(next(data), self.device, non_blocking=True)
                seed = mixed_seed(self.settings.seed, "step", self.step, part, self.state.process_index)
                torch.manual_seed(seed)  # dropout draws from the global generator: make it a function of the step
                update = _Update(self, part, progress, random_generator(seed))
                with autocast(self.device, self.dtype):
                    found = self.task.step(batch, update)
                for name, value in found.items():
                    value = value.detach().float()
                    self.sums[name] = self.sums[name] + value if name in self.sums else value
                self.count += 1
        self._average_buffers()

    def note_finite(self, value: Tensor) -> None:
        bad = ~torch.isfinite(value.detach()) & (self.bad_step < 0)
        self.bad_step = torch.where(bad, self.step + 1, self.bad_step)

    def average_gradients(self, parameters: list[Tensor]) -> None:
        """The mean over processes, as if the batch had been in one."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.state.num_processes > 1 and gradients:
            self._reduce(gradients)

    def _average_buffers(self) -> None:
        buffers = [b for net in self.networks.values() for b in net.buffers() if b.is_floating_point()]
        if self.state.num_processes > 1 and buffers:
            self._reduce(buffers)

    def _reduce(self, tensors: list[Tensor]) -> None:
        from accelerate.utils import reduce

        # Differs from DistributedDataParallel: reduced once, after the backward pass, so that tasks see their own plain
        # networks and may use them as often and in whatever order they like.
        flat = reduce(torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors]), "mean")
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.detach().copy_(mean.view(tensor.shape))

    # Budget

    def progress(self) -> float:
        timed = self.elapsed / self.settings.seconds if self.settings.seconds else 0.0
        return min(1.0, max(self.step / self.settings.steps, timed))

    def over(self) -> bool:
        impatient = self.settings.patience is not None and self.since_best >= self.settings.patience
        return self.progress() >= 1.0 or impatient

    def total(self) -> int:
        """The steps in all, as far as can be told now."""
        steps, seconds = self.settings.steps, self.settings.seconds
        if not seconds or not self.step or not self.elapsed:
            return steps
        return max(self.step, min(steps, math.ceil(self.step * seconds / self.elapsed)))

    def _clock(self) -> None:
        elapsed = self.seconds_before + time.monotonic() - self.started
        self.elapsed = self._agree(elapsed) if self.settings.seconds else elapsed

    def _agree(self, value: Any) -> Any:
        """The first process's value, in all of them."""
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    # What is told

    def preview(self) -> Callable[[], Any]:
        def sample() -> Any:
            with self._aside():
                return self.task.sample(self.average.networks)

        return sample

    def _evaluate(self) -> str | None:
        found: dict[str, float] = {}
        if self.state.is_main_process:
            with self._aside():
                found = {name: float(value) for name, value in self.task.evaluate(self.average.networks).items()}
        self.evaluation = found = self._agree(found)
        name = self.task.best_metric
        if name is None:
            self._export()
            return None
        if name not in found:
            raise TrainingError(
                f"The best metric {name!r} is not among those of evaluate: {', '.join(found) or 'none'}."
            )
        sign = 1 if self.task.lower_is_better else -1
        value = found[name]
        if math.isfinite(value) and (self.best is None or sign * value < sign * self.best["value"]):
            self.best, self.since_best = {"value": value, "step": self.step}, 0
            self._export()
            return f"Step {self.step}: {name} {value:.5g}, the best so far."
        self.since_best += 1
        return None

    def _log(self) -> None:
        names, values = list(self.sums), [value for value in self.sums.values()]
        means: list[float] = []
        if values:
            stacked = torch.stack([value.reshape(()) for value in values]) / self.count
            if self.state.num_processes > 1:
                from accelerate.utils import reduce

                stacked = reduce(stacked, "mean")
            means = stacked.tolist()
        self.sums, self.count = {}, 0
        evaluated, self.evaluation = self.evaluation, {}
        rate = next(iter(next(iter(self.optimizers.values())).param_groups))["lr"]
        row = {"learning_rate": rate, **dict(zip(names, means, strict=True)), **evaluated}
        self.numbers = {**self.numbers, **row}
        if self.metrics is not None:
            self.metrics.write(self.step, {"seconds": round(self.elapsed, 2), **row})

    def _check_finite(self) -> None:
        bad = int(self.bad_step)
        if bad >= 0:
            kept = f"The checkpoint of step {self.saved_at} is kept" if self.saved_at else "Nothing had been saved yet"
            raise TrainingError(
                f"The loss stopped being a number at step {bad}. {kept}. Start again in another folder with a lower "
                f"learning rate (it was {self.settings.learning_rate:g}), stronger clipping, or precision float32."
            )

    # Saving and going on

    def _export(self) -> None:
        if not self.state.is_main_process:
            return
        tensors = {name: stored(value) for name, value in self.task.export(self.average.networks).items()}
        metadata = {
            "format": 1,
            "task": type(self.task).__name__,
            "config": self.task.config(),
            "settings": self.settings.model_dump(mode="json"),
            "training": {
                "steps": self.step,
                "samples": self.step * self.settings.batch_size,
                "metrics": self.evaluation,
            },
            "versions": {
                "creative": creative.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            "device": self.device.type,
            "threads": num_threads(),
        }
        self._write(self.best_file, tensors, metadata)

    def save_stopped(self) -> None:
        """Save on the way out; several processes may be at different steps then, so they keep the last regular save."""
        if self.state.num_processes == 1 and self.step > self.saved_at and int(self.bad_step) < 0:
            self._save()
            if self.task.best_metric is None:
                self._export()

    def _save(self) -> None:
        tensors: dict[str, Tensor] = {}
        for kind, networks in (("network", self.networks), ("average", self.average.networks)):
            for name, network in networks.items():
                for key, value in network.state_dict().items():
                    tensors[f"{kind}.{name}.{key}"] = stored(value)
        tree = {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "extra": self._gather(self.task.extra_state()),
            "sums": self.sums,
        }
        metadata = {
            "format": 1,
            "task": type(self.task).__name__,
            "config": self.task.config(),
            "settings": self.settings.model_dump(mode="json"),
            "items": self.size,
            "processes": self.state.num_processes,
            "step": self.step,
            "seconds": round(self.elapsed, 3),
            "count": self.count,
            "numbers": self.numbers,
            "best": self.best,
            "since_best": self.since_best,
            "tree": flatten(tree, "state", tensors),
        }
        if self.state.is_main_process:
            self._write(self.last_file, tensors, metadata)
        self.saved_at = self.step

    def _gather(self, extra: dict[str, Any]) -> list[dict[str, Any]]:
        if self.state.num_processes == 1 or not extra:
            return [extra]
        tensors: dict[str, Tensor] = {}
        tree = flatten(extra, "extra", tensors)
        from accelerate.utils import gather_object

        return [restore(tree, tensors) for tree, tensors in gather_object([(tree, tensors)])]

    def _write(self, path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        try:
            save_checkpoint(path, tensors, metadata)
        except (CheckpointError, OSError) as error:
            kept = f"; the checkpoint of step {self.saved_at} is intact" if self.saved_at else ""
            raise TrainingError(
                f"Step {self.step} could not be saved{kept}: {error} Make room and start again: the run goes on from there."
            ) from error

    def _restore(self) -> None:
        checkpoint = load_checkpoint(self.last_file)
        facts, tensors = checkpoint.metadata, checkpoint.tensors
        check_same({"config": facts["config"]}, {"config": self.task.config()}, self.last_file)
        check_same({"items of data": facts["items"]}, {"items of data": self.size}, self.last_file)
        for kind, networks in (("network", self.networks), ("average", self.average.networks)):
            for name, network in networks.items():
                prefix = f"{kind}.{name}."
                load_into(network, {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        tree = restore(facts["tree"], tensors)
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, tree["optimizers"][name])
        if any(tree["extra"]):
            check_same({"processes": facts["processes"]}, {"processes": self.state.num_processes}, self.last_file)
            self.task.load_extra_state(tree["extra"][self.state.process_index])
        self.sums = {name: value.to(self.device) for name, value in tree["sums"].items()}
        self.count, self.numbers = facts["count"], facts["numbers"]
        self.step = self.saved_at = facts["step"]
        self.seconds_before = self.elapsed = facts["seconds"]
        self.best, self.since_best = facts["best"], facts["since_best"]

    def close(self) -> None:
        if self.metrics is not None:
            self.metrics.close()

    # Modes: whatever the caller's thread has set, a run computes in its own, and leaves the caller's as they were

    @contextlib.contextmanager
    def _modes(self) -> Iterator[None]:
        with torch.inference_mode(False), torch.enable_grad():
            yield

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """For evaluations and samples: no gradients, randomness that is the same whenever it is asked for."""
        with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=self._cuda()):
            torch.manual_seed(mixed_seed(self.settings.seed, "aside"))
            yield

    def _cuda(self) -> list[torch.device]:
        return [self.device] if self.device.type == "cuda" else []


class _Update:
    """Learns from one loss; see ``task.Update``."""

    def __init__(self, run: _Run, part: int, progress: float, generator: torch.Generator) -> None:
        self._run = run
        self.step, self.part, self.progress, self.generator = run.step, part, progress, generator

    def __call__(self, loss: Tensor, optimizer: str | None = None, *, retain_graph: bool = False) -> None:
        run, settings = self._run, self._run.settings
        if optimizer is None and len(run.optimizers) > 1:
            raise TrainingError(f"Say which optimiser learns from this loss: {', '.join(run.optimizers)}.")
        learner = run.optimizers[optimizer] if optimizer else next(iter(run.optimizers.values()))
        parameters = [p for group in learner.param_groups for p in group["params"] if p.requires_grad]
        run.note_finite(loss)
        with torch.autocast(run.device.type, enabled=False):
            if self.part == 0:
                learner.zero_grad(set_to_none=True)
            (loss / settings.accumulate).backward(inputs=parameters, retain_graph=retain_graph)
            if self.part == settings.accumulate - 1:
                run.average_gradients(parameters)
                if settings.clip_norm:
                    run.note_finite(torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm))
                learner.step()
                torch.clear_autocast_cache()  # its casts of the weights are those before this update
