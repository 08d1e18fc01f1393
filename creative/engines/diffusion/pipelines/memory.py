"""How much of a pipeline is on the device at once: what fits into the memory there is, and less when it did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from creative.device import free_memory_mb
from creative.options.diffusion import Memory

TOLD = {
    "whole": "whole",
    "sliced": "whole, its pictures decoded in tiles",
    "offload": "with only the part at work on the GPU",
    "sequential": "with only the layer at work on the GPU, which is slow",
}
"""What the levels are called, from the fastest to the most frugal."""
_MB_PER_PIXEL = 0.012  # of 512 × 512 pixels about 3 GB, nearly all of it in the decoder, in 16 bits
_MB_TILED = 900.0
_SPARE = 1.1


def levels(device: torch.device) -> tuple[Memory, ...]:
    """The levels that a device has, the fastest first."""
    return ("whole", "sliced", "offload", "sequential") if device.type != "cpu" else ("whole", "sliced")


def choose_level(
    files: Mapping[str, Sequence[Path]],
    device: torch.device,
    dtype: torch.dtype,
    size: tuple[int, int],
    *,
    held_mb: float = 0.0,
) -> Memory:
    """The fastest level that fits into what is free.

    Args:
        files: the safetensors of each part.
        device, dtype: where and in what it computes.
        size: width and height of the pictures, pixels.
        held_mb: what the pipeline has taken of the device's memory already, MiB.
    """
    free = free_memory_mb(device)
    if free is None:
        return "whole"
    free += held_mb
    parts = [sum(_mb(file, dtype) for file in own) for own in files.values()]
    drawing = _MB_PER_PIXEL * size[0] * size[1] * (2 if dtype == torch.float32 else 1)
    needed = {
        "whole": sum(parts) + drawing,
        "sliced": sum(parts) + min(drawing, _MB_TILED),
        "offload": max(parts) + min(drawing, _MB_TILED),
    }
    fitting = (level for level in levels(device) if needed.get(level, 0.0) * _SPARE < free)
    return next(fitting, levels(device)[-1])


def _mb(file: Path, dtype: torch.dtype) -> float:
    """What a file's tensors take once they are loaded."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        name = next(iter(opened.keys()), None)
        bits = {"F16": 2, "BF16": 2, "F64": 8}.get(opened.get_slice(name).get_dtype(), 4) if name else 4
    return file.stat().st_size / 2**20 * dtype.itemsize / bits


def next_level(level: Memory, device: torch.device) -> Memory | None:
    """The level that takes less; None after the last."""
    known = levels(device)
    place = known.index(level) + 1 if level in known else len(known)
    return known[place] if place < len(known) else None


def arrange(pipeline: Any, level: Memory, device: torch.device) -> None:
    """Put a pipeline where the level says."""
    pipeline.remove_all_hooks()
    autoencoder = getattr(pipeline, "vae", None)
    for name in ("slicing", "tiling"):
        switch = getattr(autoencoder, f"{'disable' if level == 'whole' else 'enable'}_{name}", None)
        if switch is not None:
            switch()
    if level == "offload":
        pipeline.enable_model_cpu_offload(device=device)
    elif level == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)


def make_room(pipeline: Any, device: torch.device) -> None:
    """Take a pipeline off the device."""
    pipeline.remove_all_hooks()
    if device.type != "cpu":
        pipeline.to("cpu")
        getattr(torch, device.type).empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is that of a device, or of the machine, without memory left."""
    words = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in words
        or "out of memory" in words
    )
