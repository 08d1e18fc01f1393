"""Every long job is a generator of Steps whose return value is the result.

The same engine then serves the library (``run``), the command line (a progress bar), the page (live previews, Stop) and
the tests. Closing the generator cancels the job within one step; its ``finally`` blocks clean up.

    def count(to: int) -> Generator[Step, None, str]:
        for done in range(to):
            yield Step(done, to)
        return "counted"

    assert run(count(3)) == "counted"
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Step:
    """Where a job stands.

    Attributes:
        done: steps finished so far; the first Step of a job has 0 and comes before anything slow.
        total: steps in all, or None where nobody can know.
        metrics: numbers worth watching, by name.
        preview: makes what the result would be now (a picture, a text); valid until the engine is resumed, so whoever
            watches decides how often a preview is worth its price.
        message: what a person should be told (a file skipped, a value adjusted); the library itself never prints.
        fraction: how much of the whole work is done, 0 to 1; said only where steps are not all as long.
    """

    done: int
    total: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    preview: Callable[[], Any] | None = None
    message: str | None = None
    fraction: float | None = None

    @property
    def share(self) -> float | None:
        """How much of the whole work is done, 0 to 1, as far as anybody can tell."""
        if self.fraction is not None:
            return self.fraction
        return min(1.0, self.done / self.total) if self.total else None


Engine = Generator[Step, None, Result]


def run(engine: Generator[Step, None, Result], on_step: Callable[[Step], object] | None = None) -> Result:
    """Run a job to its end and return its result.

    Args:
        engine: the job.
        on_step: called with every Step. If it raises, the job is cancelled and the error passed on.
    """
    try:
        while True:
            step = next(engine)
            if on_step is not None:
                on_step(step)
    except StopIteration as stop:
        return stop.value
    finally:
        engine.close()
