"""Networks that have learned to execute, in files: one file may hold one for each task."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from creative.checkpoint import Checkpoint, load_checkpoint, load_into, read_metadata, save_checkpoint
from creative.data.programs import TASKS, Level, Writing
from creative.data.programs.batches import CHARACTERS
from creative.device import choose_device
from creative.engines.learning_to_execute.evaluation import Accuracy, Table
from creative.models.executor import Executor, ExecutorConfig, make_executor
from creative.options.execute import EXECUTE
from creative.weights import find


class ExecuteError(ValueError):
    """A file without a network that executes, or without the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A network that has learned one task.

    Attributes:
        executor: in eval mode.
        task: ``programs``, ``addition`` or ``memorisation``.
        writing: in which order it reads and writes.
        level: the hardest that it was trained on.
        longest: characters of the longest answer in training, without the dot.
        accuracy: measured on programs held out, by level.
        temperature: logits are divided by, so that confidences come true.
        device: where it is.
        about: what the file says of it.
        source, sha256: the file.
    """

    executor: Executor
    task: str
    writing: Writing
    level: Level
    longest: int
    accuracy: Table
    temperature: float
    device: torch.device
    about: Mapping[str, Any]
    source: Path
    sha256: str

    @property
    def num_neurons(self) -> int:
        """Of the layers that read."""
        return self.executor.config.hidden_size * self.executor.config.num_layers

    def measured(self, table: Table, longest: int, temperature: float) -> Trained:
        """The same, with what was measured at its end."""
        rows = [[*level, *found.counts()] for level, found in table.items()]
        about = {**self.about, "accuracy": rows, "longest": longest, "temperature": temperature}
        return replace(self, accuracy=table, longest=longest, temperature=temperature, about=about)


def load_trained(
    path: str | os.PathLike[str] | None = None, *, device: str | torch.device = "auto"
) -> dict[str, Trained]:
    """The networks of a file by task; of the bundled file, if no path is given.

    Raises:
        WeightsError: there is no such file.
        CheckpointError: it is damaged.
        ExecuteError: it holds something else.
    """
    if path is not None and not Path(path).is_file():
        raise ExecuteError(f"There is no file {path}.")
    return trained_from(Path(path) if path is not None else find(EXECUTE), device=device)


def trained_from(path: Path, *, device: str | torch.device = "auto") -> dict[str, Trained]:
    """The networks of a file by task; see ``load_trained``."""
    chosen = choose_device(device)
    checkpoint = load_checkpoint(path)
    networks = checkpoint.metadata.get("config", {}).get("networks")
    if not isinstance(networks, dict) or not networks:
        raise ExecuteError(f"{path.name} does not hold a network that has learned to execute.")
    return {task: _trained(task, networks[task], checkpoint, chosen) for task in TASKS if task in networks}


def _trained(task: str, about: Mapping[str, Any], checkpoint: Checkpoint, device: torch.device) -> Trained:
    path = checkpoint.path
    if about.get("characters") != CHARACTERS:
        raise ExecuteError(f"{path.name} was trained on other characters than this version reads.")
    try:
        executor = make_executor(ExecutorConfig.from_json(about["network"]))
        writing, level = Writing(**about["writing"]), Level(*about["level"])
        accuracy = {Level(row[0], row[1]): Accuracy(*row[2:]) for row in about.get("accuracy", [])}
        temperature = float(about.get("temperature", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise ExecuteError(f"{path.name} does not say what its network is like ({error}).") from None
    load_into(
        executor, {n.removeprefix(f"{task}."): t for n, t in checkpoint.tensors.items() if n.startswith(f"{task}.")}
    )
    executor.to(device).eval().requires_grad_(False)
    return Trained(
        executor,
        task,
        writing,
        level,
        about.get("longest", 0),
        accuracy,
        temperature,
        device,
        about,
        path,
        checkpoint.sha256,
    )


def save_networks(path: Path, networks: Mapping[str, Trained]) -> Path:
    """Write networks, trained each by itself, into one file; half precision, and how each of them was made."""
    tensors: dict[str, torch.Tensor] = {}
    config: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for task, trained in networks.items():
        for name, tensor in trained.executor.state_dict().items():
            tensors[f"{task}.{name}"] = tensor.half()
        config[task] = dict(trained.about)
        made = read_metadata(trained.source)
        own = made.get("training", {}).get(task)
        training[task] = own or {
            name: made[name] for name in ("settings", "training", "versions", "threads") if name in made
        }
    return save_checkpoint(path, tensors, {"format": 1, "config": {"networks": config}, "training": training})


def join_networks(paths: list[Path], path: Path) -> Path:
    """Put the networks of several files, one task each, into one: how the bundled file is made.

    Raises:
        ExecuteError: two files have the same task.
    """
    networks: dict[str, Trained] = {}
    for given in paths:
        found = trained_from(Path(given), device="cpu")
        if networks.keys() & found.keys():
            raise ExecuteError(f"{given} holds a network for the same task as a file before it.")
        networks |= found
    return save_networks(path, networks)


def levels_of(trained: Trained, *, length: int | None = None, nesting: int | None = None) -> list[Level]:
    """All levels up to what it was trained on, or up to others: by nesting, then by length."""
    nestings = range(1, (nesting or trained.level.nesting) + 1) if trained.task == "programs" else [1]
    return [Level(long, nested) for nested in nestings for long in range(1, (length or trained.level.length) + 1)]
