"""The pipeline that was used last, kept in main memory for the next job that asks for the same one.

Loading takes longer than a distilled pipeline takes to draw. One at a time is kept: it is freed when another is asked
for, when less memory is free than it holds itself, and when nobody has asked for a while. A job takes it away and puts
it back, so that no two jobs ever have the same one.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from creative.device import free_memory_mb
from creative.engines.diffusion.pipelines import memory
from creative.engines.diffusion.pipelines.loading import Adapter, add_adapter, add_lora, load_pipeline, quiet
from creative.engines.diffusion.pipelines.place import Task

KEPT_FOR = 900.0
"""Seconds that a pipeline waits to be asked for."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that loading takes: what is loaded from the same files by equal recipes is the same.

    Attributes:
        folder: of the pipeline.
        task: from words alone, from a photo, or filling a photo in.
        dtype: to compute in.
        controlnet: folder of one, or None.
        lora: files to add.
        adapter: an IP-Adapter to add, or None.
    """

    folder: Path
    task: Task
    dtype: torch.dtype
    controlnet: Path | None = None
    lora: tuple[Path, ...] = ()
    adapter: Adapter | None = None

    def files(self) -> tuple[tuple[str, int, int], ...]:
        """The files as they are now, by which a change is noticed: path, bytes, and when it was written."""
        places = [self.folder, *self.lora, *([self.controlnet] if self.controlnet is not None else [])]
        if self.adapter is not None:
            places += [self.adapter.weights, *([self.adapter.encoder] if self.adapter.encoder is not None else [])]
        found = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
        states = [(str(file.resolve()), file.stat()) for file in found if file.is_file()]
        return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A pipeline with what was added to it.

    Attributes:
        recipe: what was loaded.
        files: as they were then.
        pipeline: of diffusers, on the CPU.
        scheduler: its own, which a job may replace.
        added: SHA-256 of what was added, by name.
        used: whether a job has had it before.
    """

    recipe: Recipe
    files: tuple[tuple[str, int, int], ...]
    pipeline: Any
    scheduler: Any
    added: dict[str, str]
    used: bool = False


class _Shelf:
    """Room for one pipeline that nobody uses."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._one: Loaded | None = None
        self._end: threading.Timer | None = None

    def take(self, recipe: Recipe) -> Loaded | None:
        """What is kept, if it is of this recipe; it is kept no longer, whatever it is."""
        with self._guard:
            found, self._one = self._one, None
            if self._end is not None:
                self._end.cancel()
        if found is not None and found.recipe == recipe and found.files == recipe.files():
            return found
        if found is not None:
            del found
            gc.collect()
        return None

    def holds(self, recipe: Recipe) -> bool:
        """Whether ``take`` would find it."""
        with self._guard:
            one = self._one
        return one is not None and one.recipe == recipe and one.files == recipe.files()

    def put(self, loaded: Loaded) -> None:
        """Keep this one, and no other."""
        with self._guard:
            self._one = loaded
            if self._end is not None:
                self._end.cancel()
            self._end = threading.Timer(KEPT_FOR, self._forget, [loaded])
            self._end.daemon = True
            self._end.start()

    def clear(self) -> None:
        """Keep none."""
        with self._guard:
            one = self._one
        if one is not None:
            self._forget(one)

    def _forget(self, loaded: Loaded) -> None:
        with self._guard:
            if self._one is not loaded:
                return
            self._one = None
        gc.collect()


_SHELF = _Shelf()
is_kept, forget = _SHELF.holds, _SHELF.clear


@contextlib.contextmanager
def borrowed(recipe: Recipe, device: torch.device) -> Iterator[Loaded]:
    """A pipeline for one job alone: the one that was kept, or loaded now. Afterwards it is kept, unless the job failed.

    Args:
        recipe: which.
        device: that the job may put it on; it is kept in main memory.

    Raises:
        PipelineError: it cannot be read, or something does not fit it.
    """
    loaded = _SHELF.take(recipe) or _load(recipe)
    loaded.pipeline.scheduler = loaded.scheduler
    try:
        yield loaded
    except GeneratorExit:  # the job was stopped between two steps
        _keep(loaded, device)
        raise
    _keep(loaded, device)


def _load(recipe: Recipe) -> Loaded:
    files = recipe.files()
    pipeline = load_pipeline(recipe.folder, recipe.task, recipe.dtype, recipe.controlnet)
    added = add_lora(pipeline, recipe.lora)
    if recipe.adapter is not None:
        added |= add_adapter(pipeline, recipe.adapter)
    return Loaded(recipe, files, pipeline, pipeline.scheduler, added)


def _keep(loaded: Loaded, device: torch.device) -> None:
    with quiet():
        memory.make_room(loaded.pipeline, device)
    free = free_memory_mb(torch.device("cpu"))
    if free is None or free >= held_mb(loaded.pipeline):
        _SHELF.put(Loaded(loaded.recipe, loaded.files, loaded.pipeline, loaded.scheduler, loaded.added, used=True))


def held_mb(pipeline: Any) -> float:
    """What a pipeline's tensors take, MiB."""
    networks = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    tensors = {id(one): one for network in networks for one in [*network.parameters(), *network.buffers()]}
    return float(sum(one.nbytes for one in tensors.values())) / 2**20
