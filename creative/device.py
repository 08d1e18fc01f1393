"""Which device to compute on, in which precision, and where randomness comes from."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]


class DeviceError(ValueError):
    """The device asked for is not there."""


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """The device called ``name``; ``auto`` takes a GPU where there is one.

    Raises:
        DeviceError: there is no such device on this machine.
    """
    if isinstance(name, torch.device):
        return name
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind = name.split(":")[0]
    if kind not in available:
        raise DeviceError(f"There is no device {name!r}; the choices are auto, cpu, cuda and mps.")
    if not available[kind]:
        there = ", ".join(k for k, yes in available.items() if yes)
        raise DeviceError(f"No {kind} device was found on this machine; there is {there}. Use --device auto or cpu.")
    return torch.device(name)


def random_generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator of random numbers with its own state; nothing in creative draws from the global one."""
    return torch.Generator(device=device).manual_seed(seed)


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """The precision in which autocast trains faster on this device, or None where float32 is as fast.

    bfloat16 on GPUs that have it and on CPUs with AVX512-bf16 or AMX, where it is about 1.6 times as fast.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return None


def autocast(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager[object]:
    """``torch.autocast`` for ``dtype``, or nothing for None. Never yield from a generator inside it: the mode leaks."""
    if dtype is None:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def num_threads() -> int:
    """The threads torch computes with: part of what makes a result repeatable to the byte."""
    return torch.get_num_threads()


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in MiB (resident set; the GPU's own allocator is not in it)."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def free_memory_mb(device: torch.device) -> float | None:
    """Memory that can still be taken on the device in MiB, a container's limit included; None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 2**20
    try:
        table = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(table["MemAvailable"].split()[0]) / 2**10
    except (OSError, KeyError, ValueError):
        return None
    with contextlib.suppress(OSError, ValueError):  # no limit set, or no control groups here
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, (limit - used) / 2**20)
    return free
