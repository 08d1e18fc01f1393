"""``train``: the one training loop, seen from outside."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import torch

from creative.checkpoint import read_metadata
from creative.device import choose_device
from creative.engines.training.metrics import has_tensorboard
from creative.engines.training.modes import own_modes, whole
from creative.engines.training.run import Run
from creative.engines.training.saving import TrainingError, check_same
from creative.engines.training.task import Task
from creative.files import explain
from creative.options.training import TrainingSettings
from creative.progress import Step


def train(
    task: Task, settings: TrainingSettings, folder: Path, *, device: str | torch.device = "auto", resume: bool = True
) -> Generator[Step, None, Path]:
    """Train a task's networks; returns ``folder/best.safetensors``, their running averages (EMA) at their best.

    ``folder`` also gets ``last.safetensors``, all that is needed to go on, and ``metrics.csv``. A run that was stopped
    or killed at any moment goes on when it is started again: on a CPU with the same number of threads to the same bytes
    as if it had never stopped (unless a time budget decided anything).

    Under ``torchrun --nproc-per-node N`` each batch is shared out to N processes, and the result is that of one process
    with the same batch up to rounding (networks that look across the batch, as batch norm does, excepted). Only the
    first process writes.

    Args:
        task: what is trained.
        settings: for how long and how. ``MAY_CHANGE`` names those that may differ when a run goes on. The learning rate
            is a function of step / steps, so a run made longer goes on where the longer schedule is at that step.
        folder: made if it is not there.
        device: where to compute.
        resume: go on from ``folder/last.safetensors`` if it is there; otherwise it will be overwritten.

    Returns:
        A generator of Steps, one per training step; metrics are refreshed every ``log_every``, the preview is
        ``task.sample`` on the averaged networks. Closing it, or Ctrl-C, stops the run within a step and saves it.

    Raises:
        TrainingError: at once for settings that cannot work or differ from the saved run's; on the way when the loss is
            no longer a number or nothing can be saved.
        CheckpointError: at once, when ``last.safetensors`` is damaged.

    Example:
        >>> path = run(train(Fit(), TrainingSettings(steps=200), Path("out/fit")))
    """
    folder, chosen = Path(folder), choose_device(device)
    check_run(settings, folder, resume=resume)
    resume = resume and (folder / "last.safetensors").exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(explain(error, folder)) from error
    return _train(task, settings, folder, chosen, resume)


def check_run(settings: TrainingSettings, folder: Path, *, resume: bool = True) -> None:
    """What ``train`` checks at once; for engines that prepare much before it, so that they need not do it in vain.

    Args:
        settings, folder, resume: see ``train``.

    Raises:
        TrainingError: settings that cannot work, or differ from those of the run in ``folder``.
        CheckpointError: ``last.safetensors`` is damaged.
    """
    shares = int(os.environ.get("WORLD_SIZE", 1)) * settings.accumulate
    if settings.batch_size % shares:
        raise TrainingError(
            f"A batch of {settings.batch_size} cannot be cut evenly into {shares} shares (processes × accumulate): "
            f"choose a batch_size divisible by {shares}."
        )
    if settings.tensorboard and not has_tensorboard():
        raise TrainingError("TensorBoard is missing: pip install 'creative[tensorboard]', or leave tensorboard off.")
    last = folder / "last.safetensors"
    if resume and last.exists():
        check_same(read_metadata(last).get("settings", {}), settings.model_dump(mode="json"), last)


def _train(
    task: Task, settings: TrainingSettings, folder: Path, device: torch.device, resume: bool
) -> Generator[Step, None, Path]:
    yield Step(0, settings.steps, message="Preparing networks and data.")
    with own_modes(device):
        run = Run(task, settings, folder, device, resume=resume)
    data: Iterator[Any] | None = None
    try:
        if resume:
            yield Step(run.step, run.total(), dict(run.numbers), run.preview(), f"Goes on from step {run.step}.")
        while not run.over():
            with own_modes(device):
                data = run.batches() if data is None else data
                batch = run.next_batch(data)
                with whole():
                    message = run.make_step(batch)
            yield Step(run.step, run.total(), dict(run.numbers), run.preview(), message)
    except (GeneratorExit, KeyboardInterrupt):  # both come between two steps
        with own_modes(device):
            run.save_stopped()
        raise
    finally:
        del data  # with which its worker processes end
        run.close()
    with own_modes(device):
        return run.finish()
