"""How long a part of a job takes, and how much memory it holds on top of what was held before."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import torch

from creative.progress import Step

Result = TypeVar("Result")
_STATM = Path("/proc/self/statm")
EVERY = 0.005
"""Seconds between looks at the memory held."""


class Meter:
    """Measures a generator of Steps while it works, and not what is done with its Steps in between.

    Attributes:
        seconds: of work so far.
        memory_mb: the most that was held on top of what was held at the beginning, MiB: on a GPU what PyTorch had
            allocated there; else the process's resident set, looked at every 5 ms. None where the system does not say.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self._cuda = device if device.type == "cuda" else None
        self._before: float | None = None
        self._most: float | None = None
        self._works, self._over = threading.Event(), threading.Event()

    @property
    def memory_mb(self) -> float | None:
        """See above."""
        most = self._most if self._cuda is None else float(torch.cuda.max_memory_allocated(self._cuda))
        return None if most is None or self._before is None else max(0.0, most - self._before) / 2**20

    def run(self, engine: Generator[Step, None, Result]) -> Generator[Step, None, Result]:
        """The same engine, measured; closed with this."""
        self._begin()
        try:
            while True:
                with self._measured():
                    try:
                        step = next(engine)
                    except StopIteration as end:
                        result: Result = end.value
                        break
                yield step
        finally:
            self._over.set()
            self._works.set()  # the watch wakes up, and ends
            engine.close()
        return result

    def _begin(self) -> None:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # what was given back to the C library only would be missed
            ctypes.CDLL(None).malloc_trim(0)
        self._before = self._most = self._held()
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
        elif self._most is not None:
            threading.Thread(target=self._watch, daemon=True).start()

    @contextlib.contextmanager
    def _measured(self) -> Iterator[None]:
        began = time.perf_counter()
        self._works.set()
        try:
            yield
        finally:
            self._works.clear()
            self._look()
            self.seconds += time.perf_counter() - began

    def _watch(self) -> None:
        while self._works.wait() and not self._over.is_set():
            self._look()
            time.sleep(EVERY)

    def _look(self) -> None:
        held = self._held() if self._cuda is None else None
        if held is not None and self._most is not None:
            self._most = max(self._most, held)

    def _held(self) -> float | None:
        """Bytes."""
        if self._cuda is not None:
            return float(torch.cuda.memory_allocated(self._cuda))
        with contextlib.suppress(OSError, ValueError, IndexError):
            return float(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return None
