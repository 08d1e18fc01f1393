"""Jobs on a page: whose turn it is, how to stop one, and what to say meanwhile. No gradio here."""

from __future__ import annotations

import contextlib
import html
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from apps._pace import Pace, span
from creative.files import shown
from creative.progress import Step


def told(problem: ValueError | OSError) -> str:
    """One sentence on what went wrong, for a page: of a file it has the name only, as visitors know no folders here."""
    if not isinstance(problem, OSError):
        return str(problem)
    name = Path(os.fsdecode(problem.filename)).name if isinstance(problem.filename, str | bytes) else ""
    known = ": ".join(part for part in (shown(name), (problem.strerror or "").lower()) if part)
    return f"A file could not be read or written{f' ({known})' if known else ''}; the server's log says more."


class Turns:
    """One job at a time, first come, first served, whichever thread asks.

    A lock with a queue that can be looked into, so that a page can say how many are before it; and a place in it can
    be given up, so that a closed tab or a Stop while waiting leaves no trace.
    """

    def __init__(self) -> None:
        self._waiting: deque[object] = deque()
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """A place in the queue; left, however the job ends."""
        place = Place(self)
        with self._guard:
            self._waiting.append(place)
        try:
            yield place
        finally:
            with self._guard:
                self._waiting.remove(place)

    @property
    def busy(self) -> bool:
        """Whether somebody's job is running."""
        return bool(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)


@dataclass(frozen=True, eq=False)
class Place:
    """Somebody's place in the queue."""

    turns: Turns

    @property
    def before(self) -> int:
        """How many jobs come first; 0 means that it is this one's turn."""
        with self.turns._guard:
            return self.turns._waiting.index(self)


MACHINE = Turns()
"""The machine is one: every page of this process takes its turn here."""


class Running:
    """The jobs that can be told to stop, by who started them."""

    def __init__(self) -> None:
        self._stops: dict[object, threading.Event] = {}

    @contextlib.contextmanager
    def job(self, owner: object) -> Iterator[threading.Event]:
        """While it lasts, ``stop(owner)`` sets the event."""
        event = threading.Event()
        self._stops[owner] = event
        try:
            yield event
        finally:
            if self._stops.get(owner) is event:
                del self._stops[owner]

    def stop(self, owner: object) -> bool:
        """Ask the owner's job to stop after its step; False where there is none."""
        event = self._stops.get(owner)
        if event is not None:
            event.set()
        return event is not None

    def has(self, owner: object) -> bool:
        """Whether the owner has a job."""
        return owner in self._stops

    def stop_all(self) -> None:
        """Ask every job to stop after its step."""
        for event in list(self._stops.values()):
            event.set()


RUNNING = Running()
"""The jobs of every page of this process."""


def figures(metrics: Mapping[str, float]) -> list[str]:
    """The metrics worth a glance, at most three."""
    return [f"{name.replace('_', ' ')} {value:.3g}" for name, value in list(metrics.items())[:3]]


KEYS = "<p><kbd>Ctrl</kbd> <kbd>Enter</kbd> starts, <kbd>Esc</kbd> stops</p>"


def line(
    state: str, parts: list[str], *, done: float | None = None, messages: tuple[str, ...] = (), keys: bool = False
) -> str:
    """The status line. The style sheet goes by ``state``: idle, waiting, working, done, stopped, failed, kept."""
    bar = "" if done is None else f'<div class="bar"><i style="width:{min(1.0, max(0.0, done)):.1%}"></i></div>'
    text = " <span>·</span> ".join(html.escape(part, quote=False) for part in parts)
    notes = "".join(f"<p class='note'>{html.escape(message, quote=False)}</p>" for message in messages)
    inside = f"<p>{text}</p>{bar}{notes}{KEYS if keys else ''}"
    if state == "idle":
        inside = f"<div>{inside}</div>"
    aloud = "off" if state == "working" else "polite"  # not every step to those who listen
    return f'<div class="status {state}" role="status" aria-live="{aloud}">{inside}</div>'


def working(step: Step, pace: Pace, messages: tuple[str, ...] = (), lead: str = "") -> str:
    """The status line of a job at a step; ``lead`` says which of several jobs it is."""
    pace.seen(step)
    if not step.done:
        parts = ["Getting ready"]
    elif step.total:
        parts = [f"Step {step.done} of {step.total}"]
    else:
        parts = [f"Step {step.done}"]
    left = pace.left(step)
    if left is not None:
        parts.append(f"about {span(left)} left" if left >= 9.95 else "a few seconds left")
    parts += figures(step.metrics)
    return line("working", [lead, *parts] if lead else parts, done=step.share, messages=messages)


def waiting(before: int) -> str:
    """The status line of a job that waits for its turn."""
    jobs = "Another job is running" if before == 1 else f"{before} jobs come first"
    return line("working waiting", [jobs, "yours starts by itself"])
