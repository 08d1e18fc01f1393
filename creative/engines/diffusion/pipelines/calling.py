"""A pipeline is one plain call; here it is run so that it can be watched after each step, and stopped there.

The call runs on a thread of its own, which waits after each step until whoever watches asks for the next.
"""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from creative.engines.diffusion.pipelines.loading import quiet


@dataclass(frozen=True, slots=True)
class Moment:
    """A pipeline after one of its steps.

    Attributes:
        step: number of the step, from 1.
        latents: what it draws in, (1, C, h, w); None where it does not say.
    """

    step: int
    latents: Tensor | None


class _Stopped(Exception):  # noqa: N818 (it is no error)
    pass


def call(pipeline: Any, **values: Any) -> Generator[Moment, None, Any]:
    """Call a pipeline; a ``Moment`` after each of its steps, and in the end what it returns.

    Closed, it stops the pipeline within the step and waits for its thread to end.

    Args:
        pipeline: of diffusers.
        values: what it is called with.
    """
    reports: queue.Queue[tuple[str, Any]] = queue.Queue()
    go_on, stop = threading.Semaphore(0), threading.Event()

    def after(_: Any, number: int, __: Any, found: dict[str, Any]) -> dict[str, Any]:
        if stop.is_set():
            raise _Stopped
        reports.put(("moment", Moment(number + 1, found.get("latents"))))
        go_on.acquire()
        if stop.is_set():
            raise _Stopped
        return found

    if "callback_on_step_end" in inspect.signature(pipeline.__call__).parameters:
        values["callback_on_step_end"] = after

    def work() -> None:
        try:
            with quiet():
                reports.put(("done", pipeline(**values)))
        except BaseException as error:  # whatever it is, it is raised where the call was made
            error.__traceback__ = None  # its frames would keep the memory that may have run out
            reports.put(("error", error))

    thread = threading.Thread(target=work, name="pipeline", daemon=True)
    thread.start()
    try:
        while True:
            what, found = reports.get()
            if what == "done":
                return found
            if what == "error":
                raise found
            yield found
            go_on.release()
    finally:
        stop.set()
        go_on.release()
        thread.join()
