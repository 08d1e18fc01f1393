"""A job as a page watches it: its turn, its steps, previews at a bearable price, its end. No gradio here."""

from __future__ import annotations

import contextlib
import time
import traceback
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event
from typing import Any, TypedDict

from PIL import Image

from apps import _app
from apps._app import Action, Saved
from apps._gallery import pair, save_jpeg, served
from apps._jobs import MACHINE, RUNNING, figures, line, waiting, working
from apps._pace import Pace, span
from creative.progress import Step
from creative.provenance import read_provenance
from creative.settings import Inputs, Settings, describe

PREVIEW_EVERY = 0.35
"""Seconds between two previews at least."""
PREVIEW_SHARE = 0.1
"""Of the time, at most, for previews: dear ones come less often."""
STATUS_EVERY = 0.1


class View(TypedDict, total=False):
    """What changes on the page: HTML, files that the site may serve, texts. What is left out stays."""

    status: str
    preview: str
    video: Any
    pair: str
    text: str
    download: str | None
    made: dict[str, Any]


class JobError(ValueError):
    """A job that failed for a reason that the page says already."""


def watch(
    action: Action, read: Callable[[], tuple[Inputs, Settings]], output: Path, owner: object, folder: Path
) -> Generator[View, None, None]:
    """The whole of a job as the page sees it. Closed (as when the tab is), it stops the job and frees the machine.

    Args:
        action: what to do.
        read: makes the inputs and settings of what the form holds; what it raises is told.
        output: the folder for results.
        owner: who may stop it, by ``RUNNING.stop(owner)``.
        folder: where to put what the site may serve.

    Raises:
        JobError: after the status line has said why.
    """
    yield View(status=line("working", ["Getting ready"]))
    try:
        inputs, settings = read()
        engine = _app.perform(action, inputs, settings, out=None if action.place else output)
        with contextlib.closing(engine), RUNNING.job(owner) as stop, MACHINE.place() as place:
            while place.before:
                if stop.is_set():
                    yield View(status=line("stopped", ["Stopped before its turn came"]))
                    return
                yield View(status=waiting(place.before))
                time.sleep(0.25)
            saved = yield from _follow(engine, stop, folder)
        if saved is None:
            yield View(status=line("stopped", ["Stopped before there was anything to keep"]))
        else:
            yield _result(action, saved, inputs, folder)
    except (ValueError, OSError) as problem:
        yield View(status=line("failed", [str(problem)]))
        raise JobError(str(problem)) from None
    except Exception as problem:
        traceback.print_exc()  # on the server; the page gets a sentence
        sentence = f"This failed unexpectedly ({type(problem).__name__}: {problem}); the server's log says more."
        yield View(status=line("failed", [sentence]))
        raise JobError(sentence) from None


def _follow(engine: Generator[Step, None, Saved], stop: Event, folder: Path) -> Generator[View, None, Saved | None]:
    """Pass the job's steps on to the page; returns what was saved, None where nothing was."""
    job, said, looked = Pace(), Pace(), Pace()
    wait = PREVIEW_EVERY
    messages: tuple[str, ...] = ()
    shown: list[Path] = []
    try:
        while not stop.is_set():
            step = next(engine)
            if step.message:
                messages = (*messages, step.message)[-4:]
            status = working(step, job, messages)
            if step.preview is not None and step.done and looked.due(wait):
                began = time.monotonic()
                view = _preview(step.preview(), shown, folder)
                wait = max(PREVIEW_EVERY, (time.monotonic() - began) / PREVIEW_SHARE)
                yield View(status=status, **view)
            elif said.due(STATUS_EVERY):
                yield View(status=status)
        engine.throw(KeyboardInterrupt)
    except StopIteration as end:
        return end.value
    except KeyboardInterrupt:
        return None
    finally:
        for path in shown[:-1]:
            path.unlink(missing_ok=True)
    return None


def _preview(preview: Any, shown: list[Path], folder: Path) -> View:
    """A picture as a small file that the page may fetch, old ones forgotten; or a text."""
    if not isinstance(preview, Image.Image):
        return View(text=str(preview))
    path = folder / "previews" / f"{uuid.uuid4().hex}.jpg"
    shown.append(Path(save_jpeg(preview, path)))
    if len(shown) > 4:
        shown.pop(0).unlink(missing_ok=True)
    return View(preview=str(path))


def _result(action: Action, saved: Saved, inputs: Inputs, folder: Path) -> View:
    """What was saved, as a file that carries its provenance, and how it was made."""
    parts = ["Done" if saved.complete else "Stopped; the last preview is kept", span(saved.seconds)]
    parts += [*figures(saved.metrics), saved.path.name]
    state = "done kept" if saved.complete else "stopped kept"
    made = read_provenance(saved.path) if saved.path.is_file() else None
    view = View(made=made.model_dump(mode="json") if made else saved.settings.model_dump(mode="json"))
    view["download"] = copy = served(saved.path, folder) if saved.path.is_file() else None
    if action.output == "text":
        view["text"] = saved.path.read_text(encoding="utf-8")
    elif action.output == "video" and copy is not None:
        view["video"] = {"value": copy, "visible": saved.path.suffix.lower() == ".mp4", "__type__": "update"}
    elif action.output == "image" and copy is not None:
        view["preview"] = copy
        before = _before(inputs, saved.path, folder)
        view["pair"] = pair(before, copy, saved.path) if before else ""
        state += " compared" if before else ""
    view["status"] = line(state, parts, messages=saved.messages)
    return view


def _before(inputs: Inputs, result: Path, folder: Path) -> str | None:
    """The picture that went in, at the size of the result and as any browser can show it."""
    from creative.images import open_image, resize

    for field in describe(type(inputs)):
        given = getattr(inputs, field.name) if field.file == "picture" else None
        given = given[0] if isinstance(given, tuple) and given else given
        if given:
            with Image.open(result) as image:
                size = image.size
            return save_jpeg(resize(open_image(given), size), folder / "before" / f"{uuid.uuid4().hex}.jpg")
    return None
