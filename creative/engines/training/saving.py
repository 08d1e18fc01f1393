"""What a run writes and reads: ``last.safetensors`` to go on from, ``best.safetensors`` to use."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import creative
from creative.checkpoint import load_checkpoint, load_into, save_checkpoint
from creative.device import num_threads
from creative.engines.training.state import flatten, restore, stored
from creative.options.training import TrainingSettings

MAY_CHANGE = {"steps", "seconds", "workers", "log_every", "evaluate_every", "save_every", "patience", "tensorboard"}
"""Settings with which a run may go on though it began with others."""


class TrainingError(ValueError):
    """A run that cannot start, go on or be saved. The message is a sentence or two for a person."""


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with anything but what a run began with, naming the differences.

    Raises:
        TrainingError: something other than ``MAY_CHANGE`` differs.
    """
    names = [name for name in {**before, **now} if name not in MAY_CHANGE and before.get(name) != now.get(name)]
    if names:
        old, new = (", ".join(f"{name} = {values.get(name)!r}" for name in names) for values in (before, now))
        raise TrainingError(
            f"{path} was trained with {old}, but now there is {new}: "
            "go on with what it was, choose another folder, or start again without resuming."
        )


def save_network(
    path: Path, tensors: Mapping[str, Tensor], *, config: Mapping[str, Any], settings: TrainingSettings, facts: Mapping
) -> Path:
    """Write a trained network as one file: tensors, and as metadata what is needed to build it and how it was made.

    No dates and no seconds are in it: the same training gives the same bytes.

    Args:
        tensors: by name; copied to the CPU, their precision kept.
        config: what is needed to build the network again, as JSON.
        settings: of its training.
        facts: steps made, metrics reached.
    """
    metadata = {
        "format": 1,
        "config": dict(config),
        "settings": settings.model_dump(mode="json"),
        "training": dict(facts),
        "versions": {"creative": creative.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "threads": num_threads(),
    }
    save_checkpoint(path, {name: stored(tensor) for name, tensor in tensors.items()}, metadata)
    return path


def save_state(
    path: Path, networks: Mapping[str, Mapping[str, nn.Module]], tree: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Write all that a resumed run needs.

    Args:
        path: ``last.safetensors``.
        networks: by kind (``network``, ``average``) and name.
        tree: nested state of tensors and plain values.
        facts: JSON.
    """
    tensors = {
        f"{kind}.{name}.{key}": stored(value)
        for kind, members in networks.items()
        for name, network in members.items()
        for key, value in network.state_dict().items()
    }
    state = flatten(tree, "state", tensors)
    save_checkpoint(path, tensors, {"format": 1, **facts, "state": state})


def load_state(path: Path, networks: Mapping[str, Mapping[str, nn.Module]]) -> dict[str, Any]:
    """Fill the networks; returns the tree that ``save_state`` was given. The facts are the file's metadata."""
    checkpoint = load_checkpoint(path)
    for kind, members in networks.items():
        for name, network in members.items():
            prefix = f"{kind}.{name}."
            own = {key.removeprefix(prefix): t for key, t in checkpoint.tensors.items() if key.startswith(prefix)}
            load_into(network, own)
    tree: dict[str, Any] = restore(checkpoint.metadata["state"], checkpoint.tensors)
    return tree
