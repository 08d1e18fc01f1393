"""The surroundings a run computes in, whatever the caller has set; the caller's are left as they were."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import torch


@contextlib.contextmanager
def own_modes(device: torch.device) -> Iterator[None]:
    """Gradients on, no inference mode, no autocast."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The global generator, which layers' initialisation and dropout draw from, seeded.

    Not by ``torch.manual_seed`` and ``fork_rng``: on machines without a GPU those spend most of a millisecond on noting
    down where they were called from, in case one appears.
    """
    state = torch.get_rng_state()
    gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        torch.default_generator.manual_seed(seed)
        if gpu is not None:
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(state)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu, device)


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Put off Ctrl-C to the end of the block, so that no step is made by half; a second one interrupts at once."""
    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()  # the only one to be interrupted
    if not in_main_thread or before is not signal.default_int_handler:  # or somebody else has a plan
        yield
        return
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt
