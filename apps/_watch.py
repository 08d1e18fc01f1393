"""A job as a page watches it: its turn, its steps, previews at a bearable price, its end. No gradio here."""

from __future__ import annotations

import contextlib
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from threading import Event
from typing import Any, TypedDict

from PIL import Image

from apps import _app
from apps._app import Action, Area, Saved, picture_of, text_of
from apps._figures import pair, with_areas
from apps._gallery import save_jpeg, served
from apps._jobs import MACHINE, RUNNING, figures, line, waiting, working
from apps._pace import Pace, span
from apps._show import frame, page
from creative.progress import Step
from creative.provenance import Provenance, read_provenance
from creative.settings import Inputs, Settings, describe

PREVIEW_EVERY = 0.35
"""Seconds between two previews at least."""
TEXT_EVERY = 0.12
"""The same of a text, which costs less."""
PREVIEW_SHARE = 0.1
"""Of the time, at most, for previews: dear ones come less often."""
STATUS_EVERY = 0.1
OTHER_SHAPE = 0.05
"""How much wider or narrower a result may be than the picture that went in to be compared with it."""


class View(TypedDict, total=False):
    """What changes on the page: HTML, files that the site may serve, texts. What is left out stays.

    Attributes:
        figure: the result picture as HTML, to compare or to click.
        areas: what can be clicked of it.
        shown: what the action shows of the result besides.
        page: the file of the result as a page to look at.
    """

    status: str
    preview: str
    video: Any
    figure: str
    areas: Sequence[Area]
    text: str
    shown: str
    download: str | None
    page: str | None
    made: dict[str, Any]


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
    if action.output == "text":
        fresh["text"] = ""
    yield fresh
    try:
        inputs, settings = read()
        every = TEXT_EVERY if action.output == "text" else PREVIEW_EVERY
        engine = _app.perform(action, inputs, settings, out=None if action.place else output, suffix=suffix)
        with contextlib.closing(engine), RUNNING.job(owner) as stop, MACHINE.place() as place:
            while place.before:
                if stop.is_set():
                    yield View(status=line("stopped", ["Stopped before its turn came"]))
                    return
                yield View(status=waiting(place.before))
                time.sleep(0.25)
            saved = yield from _follow(engine, stop, folder, every)
        if saved is None:
            yield View(status=line("stopped", ["Stopped before there was anything to keep"]))
        else:
            yield _result(action, saved, inputs, settings, folder)
    except (ValueError, OSError) as problem:
        yield View(status=line("failed", [str(problem)]))
        raise JobError(str(problem)) from None
    except Exception as problem:
        traceback.print_exc()  # on the server; the page gets a sentence
        sentence = f"This failed unexpectedly ({type(problem).__name__}: {problem}); the server's log says more."
        yield View(status=line("failed", [sentence]))
        raise JobError(sentence) from None


def _follow(
    engine: Generator[Step, None, Saved], stop: Event, folder: Path, every: float
) -> Generator[View, None, Saved | None]:
    """Pass the job's steps on to the page; returns what was saved, None where nothing was."""
    job, said, looked = Pace(), Pace(), Pace()
    wait = every
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
                wait = max(every, (time.monotonic() - began) / PREVIEW_SHARE)
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
    preview = picture_of(preview)
    if not isinstance(preview, Image.Image):
        return View(text=text_of(preview))
    path = folder / "previews" / f"{uuid.uuid4().hex}.jpg"
    shown.append(Path(save_jpeg(preview, path)))
    if len(shown) > 4:
        shown.pop(0).unlink(missing_ok=True)
    return View(preview=str(path))


def _result(action: Action, saved: Saved, inputs: Inputs, settings: Settings, folder: Path) -> View:
    """What was saved, as a file that carries its provenance, and how it was made."""
    parts = ["Done" if saved.complete else "Stopped; the last preview is kept", span(saved.seconds)]
    parts += [*figures(saved.metrics), saved.path.name]
    state = "done kept" if saved.complete else "stopped kept"
    messages = saved.messages
    made = read_provenance(saved.path) if saved.path.is_file() else None
    view = View(made=made.model_dump(mode="json") if made else saved.settings.model_dump(mode="json"))
    view["download"] = copy = served(saved.path, folder) if saved.path.is_file() else None
    if action.output == "text":
        view["text"] = text_of(saved.result)
    elif action.output == "video" and copy is not None:
        if saved.path.suffix.lower() == ".gif":  # which is a picture to a browser
            view["preview"] = copy
        else:
            view["video"] = {"value": copy, "visible": True, "__type__": "update"}
            state += " filmed"
    elif action.output == "image" and copy is not None:
        view["preview"] = copy
        figure, areas = _figure(action, saved, inputs, settings, copy, folder)
        view["figure"] = figure
        if action.clicks is not None:
            view["areas"] = areas
            messages = (action.clicks.hint,) if areas else messages  # which says how to go on without a mouse
        state += " figured" if figure else ""
    if action.show is not None:
        view["shown"] = frame(saved.shown)
        view["page"] = _as_page(action, saved, made, folder) if made is not None and saved.shown else None
        state += " showing" if saved.shown else ""
    view["status"] = line(state, parts, messages=messages)
    return view


def _figure(
    action: Action, saved: Saved, inputs: Inputs, settings: Settings, copy: str, folder: Path
) -> tuple[str, Sequence[Area]]:
    """The result picture as HTML with what can be clicked of it, or beside the picture that went in; or neither."""
    if action.clicks is not None:
        areas = action.clicks.areas(inputs, settings, saved.result) if saved.complete else ()
        return (with_areas(copy, areas) if areas else ""), areas
    before = _before(inputs, saved.path, folder)
    return (pair(before, copy, saved.path) if before else ""), ()


def _as_page(action: Action, saved: Saved, made: Provenance, folder: Path) -> str:
    result = text_of(saved.result) if action.output == "text" else picture_of(saved.result)
    path = folder / "pages" / uuid.uuid4().hex / saved.path.with_suffix(".html").name
    path.parent.mkdir(parents=True)
    path.write_text(page(action, result, made, saved.shown), encoding="utf-8")
    return str(path)


def _before(inputs: Inputs, result: Path, folder: Path) -> str | None:
    """The picture that went in, at the size of the result and as any browser can show it; None for another shape."""
    from creative.images import open_image, resize

    for field in describe(type(inputs)):
        given = getattr(inputs, field.name) if field.file == "picture" else None
        given = given[0] if isinstance(given, tuple) and given else given
        if given:
            with Image.open(result) as image:
                size = image.size
            photo = open_image(given)
            if abs(photo.width / photo.height / (size[0] / size[1]) - 1) > OTHER_SHAPE:
                return None
            return save_jpeg(resize(photo, size), folder / "before" / f"{uuid.uuid4().hex}.jpg")
    return None
