"""A job as a page watches it: its turn, its steps, previews at a bearable price, its end. No gradio here."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event

from apps import _app
from apps._app import Action, Saved
from apps._curves import curves
from apps._jobs import MACHINE, RUNNING, line, told, waiting, working
from apps._pace import Pace
from apps._results import Place
from apps._views import View, preview_view, result_view, several_view
from creative.progress import Step
from creative.settings import Inputs, Settings

PREVIEW_EVERY = 0.35
"""Seconds between two previews at least."""
TEXT_EVERY = 0.12
"""The same of a text, which costs less."""
PREVIEW_SHARE = 0.1
"""Of the time, at most, for previews: dear ones come less often."""
STATUS_EVERY = 0.1
CURVES_EVERY = 3.0


class JobError(ValueError):
    """A job that failed for a reason that the page says already."""


def watch(
    action: Action,
    read: Callable[[], tuple[Inputs, Settings]],
    output: Path,
    owner: object,
    folder: Path,
    *,
    suffix: str | None = None,
) -> Generator[View, None, None]:
    """The whole of a job as the page sees it. Closed (as when the tab is), it stops the job and frees the machine.

    Args:
        action: what to do.
        read: makes the inputs and settings of what the form holds; what it raises is told.
        output: the folder for results.
        owner: who may stop it, by ``RUNNING.stop(owner)``.
        folder: where to put what the site may serve.
        suffix: of the result's file; None for the usual one.

    Raises:
        JobError: after the status line has said why.
    """
    fresh = View(status=line("working", ["Getting ready"]))
    if action.output == "folder":
        fresh["curves"] = ""
    if action.output == "text":
        fresh["text"] = ""
    yield fresh
    try:
        inputs, settings = read()
        jobs = _jobs(action, inputs)
        out = None if action.place else output
        engine = _app.perform(action, jobs[0], settings, out=out, suffix=suffix)  # so that wrong input is told at once
        with contextlib.closing(engine), RUNNING.job(owner) as stop, MACHINE.place() as place:
            while place.before:
                if stop.is_set():
                    yield View(status=line("stopped", ["Stopped before its turn came"]))
                    return
                yield View(status=waiting(place.before))
                time.sleep(0.25)
            if len(jobs) == 1:
                numbers = _numbers(action, jobs[0], settings, out)
                saved = yield from _follow(engine, stop, folder, action.output, numbers=numbers)
            else:
                engine.close()
                yield from _each(action, jobs, settings, out, stop, folder)
                return
        if saved is None:
            yield View(status=line("stopped", ["Stopped before there was anything to keep"]))
        else:
            yield result_view(action, saved, inputs, settings, folder)
    except (ValueError, OSError) as problem:
        if isinstance(problem, OSError):
            traceback.print_exc()  # on the server; the page gets a sentence
        yield View(status=line("failed", [told(problem)]))
        raise JobError(told(problem)) from None
    except Exception as problem:
        traceback.print_exc()
        sentence = f"This failed unexpectedly ({type(problem).__name__}: {problem}); the server's log says more."
        yield View(status=line("failed", [sentence]))
        raise JobError(sentence) from None


def _numbers(action: Action, inputs: Inputs, settings: Settings, out: Path | None) -> Path | None:
    """Where a training writes its numbers as they come."""
    if action.output != "folder":
        return None
    return Place.of(action, inputs, settings, out).path / "metrics.csv"


def _jobs(action: Action, inputs: Inputs) -> list[Inputs]:
    """One job's inputs for each file of the batch field."""
    several = getattr(inputs, action.batch) if action.batch is not None else ()
    return [inputs.changed(**{str(action.batch): (one,)}) for one in several] if len(several) > 1 else [inputs]


def _each(
    action: Action, jobs: list[Inputs], settings: Settings, out: Path | None, stop: Event, folder: Path
) -> Generator[View, None, None]:
    """One job after another; one that fails is told of and left."""
    began = time.monotonic()
    done: list[tuple[Inputs, Saved]] = []
    wrong: list[str] = []
    for number, inputs in enumerate(jobs, 1):
        if stop.is_set():
            break
        try:
            with contextlib.closing(_app.perform(action, inputs, settings, out=out)) as engine:
                saved = yield from _follow(engine, stop, folder, action.output, f"{number} of {len(jobs)}")
        except (ValueError, OSError) as problem:
            wrong.append(told(problem))
            continue
        if saved is not None:
            done.append((inputs, saved))
    if done:
        yield several_view(action, done, wrong, time.monotonic() - began, folder)
    elif wrong:
        raise ValueError(" ".join(wrong[:3]))
    else:
        yield View(status=line("stopped", ["Stopped before there was anything to keep"]))


def _follow(
    engine: Generator[Step, None, Saved],
    stop: Event,
    folder: Path,
    output: str,
    lead: str = "",
    *,
    numbers: Path | None = None,
) -> Generator[View, None, Saved | None]:
    """Pass the job's steps on to the page; returns what was saved, None where nothing was.

    Args:
        lead: which of several jobs it is.
        numbers: the metrics.csv of a training, to be drawn as curves.
    """
    job, said, looked, drawn = Pace(), Pace(), Pace(), Pace()
    wait = every = TEXT_EVERY if output == "text" else PREVIEW_EVERY
    messages: tuple[str, ...] = ()
    shown: list[Path] = []
    try:
        while not stop.is_set():
            step = next(engine)
            if step.message:
                messages = (*messages, step.message)[-4:]
            status = working(step, job, messages, lead)
            if step.preview is not None and step.done and looked.due(wait):
                began = time.monotonic()
                view = preview_view(step.preview(), shown, folder)
                wait = max(every, (time.monotonic() - began) / PREVIEW_SHARE)
                yield View(status=status, **view)
            elif said.due(STATUS_EVERY):
                yield View(status=status)
            if numbers is not None and step.metrics and drawn.due(CURVES_EVERY):
                yield View(curves=curves(numbers))
        engine.throw(KeyboardInterrupt)
    except StopIteration as end:
        return end.value
    except KeyboardInterrupt:
        return None
    finally:
        for path in shown[:-1]:
            path.unlink(missing_ok=True)
    return None
