"""What a feature network costs: time and memory of the maps of some layers, and of the gradient of the picture."""

from __future__ import annotations

import contextlib
import ctypes
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from creative.models.features import Features


@dataclass(frozen=True)
class Cost:
    """Of a forward and backward pass to the picture."""

    forward_ms: float
    backward_ms: float
    held_mb: float
    """What is kept for the backward pass, without weights."""
    peak_mb: float
    """The most memory that is taken on the way, whatever for; NaN where the system does not tell."""


def measure_cost(features: Features, size: int, repeats: int = 3) -> Cost:
    """Time and memory of one picture's maps and of the gradient of their energy.

    The fastest of some repeats. On one thread of a CPU it is the processor's time that counts, so that a busy machine
    measures the same.
    """
    device = features.scale.device
    clock = _clock(device)
    forward, backward, held = math.inf, math.inf, 0.0
    for _ in range(repeats + 1):  # the first is for warming up, but may be the fastest all the same
        picture = torch.full((1, 3, size, size), 0.5, device=device, requires_grad=True)
        storages: dict[int, int] = {}

        def keep(tensor: torch.Tensor, storages: dict[int, int] = storages) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        start = clock()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            energy = _energy(features, picture)
        middle = clock()
        energy.backward()
        end = clock()
        forward, backward = min(forward, 1000 * (middle - start)), min(backward, 1000 * (end - middle))
        weights = {parameter.untyped_storage().data_ptr() for parameter in features.parameters()}
        held = sum(size for place, size in storages.items() if place not in weights) / 2**20
    return Cost(forward, backward, held, _peak(features, size))


def _energy(features: Features, picture: torch.Tensor) -> torch.Tensor:
    return torch.stack([map_.square().mean() for map_ in features(picture).values()]).sum()


def _clock(device: torch.device) -> Callable[[], float]:
    if device.type == "cuda":

        def synchronised() -> float:
            torch.cuda.synchronize(device)
            return time.perf_counter()

        return synchronised
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def _peak(features: Features, size: int) -> float:
    """The most memory that one forward and backward pass takes, in MiB; NaN where the system does not tell."""
    device = features.scale.device
    picture = torch.full((1, 3, size, size), 0.5, device=device, requires_grad=True)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _energy(features, picture).backward()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with contextlib.suppress(OSError, AttributeError):  # what was freed goes back to the system, so that it counts anew
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak of the resident set begins anew
        resident = _resident("VmRSS")
        _energy(features, picture).backward()
        return _resident("VmHWM") - resident
    except (OSError, KeyError):
        return math.nan


def _resident(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(dict(line.split(":", 1) for line in lines)[name].split()[0]) / 2**10
