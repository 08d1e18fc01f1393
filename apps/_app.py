"""What an app is: a declaration that both command line and page are made from, and the one way to perform it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from creative.progress import Step
from creative.settings import Inputs, Settings

if TYPE_CHECKING:
    from PIL.Image import Image

    from apps._results import Place
    from creative.provenance import Provenance

OutputKind = Literal["image", "text", "video", "model", "folder"]
Values = Mapping[str, Any]
"""Of some fields of an action, by name."""
WRITES_ITSELF = {"video", "model", "folder"}
"""What an engine writes to a place that it is told, and goes on with there when it is started again."""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a result picture that can be clicked.

    Attributes:
        box: left, top, right and bottom in pixels of the picture.
        title: what the click does, in a few words.
        values: some inputs and settings of the action that it starts.
    """

    box: tuple[int, int, int, int]
    title: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clicks:
    """What a click on a result picture starts: another action of the same app, its form filled in.

    Attributes:
        verb: of that action.
        hint: tells that there is something to click.
        areas: of a result, from the inputs, the settings and what the engine returned.
    """

    verb: str
    hint: str
    areas: Callable[[Any, Any, Any], Sequence[Area]]


@dataclass(frozen=True, slots=True)
class Onward:
    """What a finished job leads to on a page: another action of the same app, its form filled in.

    Attributes:
        verb: of that action.
        title: what the button says.
        values: some of its inputs and settings, from those of the job. What was saved beside the result is given with
            them; where that makes none at all, there is no button.
    """

    verb: str
    title: str
    values: Callable[[Any, Any], Values]


@dataclass(frozen=True, slots=True)
class Live:
    """What a page does to the pictures of a webcam as they come: a tab of its own, with a form of its own.

    Attributes:
        inputs, settings: what it takes; no picture is among it, for that comes from the webcam.
        start: makes, of inputs, settings and the device's name, what turns a frame into another; it loads what it needs
            once. Called when the webcam starts, and again when something in the form is changed. Each visitor has one,
            and no two frames are in it at a time.
        title: what the tab says.
        summary: one sentence above it.
    """

    inputs: type[Inputs]
    settings: type[Settings]
    start: Callable[[Any, Any, str], Callable[[Image], Image]]
    title: str = "Webcam"
    summary: str = "See what your camera sees as it is made, frame by frame."


@dataclass(frozen=True, slots=True)
class Action:
    """One verb: what it is given, how it can be tuned, and the engine that does it.

    Attributes:
        verb: the word after ``creative`` on the command line, or two ("train features"); also the page's ``api_name``.
        title: what the button says, two words at most.
        summary: one sentence: the help text and the page's subtitle.
        inputs, settings: what it takes; every flag and every widget comes from these two.
        start: makes the engine from inputs, settings and the device's name. It loads what the inputs name and imports
            the engine inside, so that help costs no torch. Where the output is a video, a model or a folder, a fourth
            argument says where to; that engine writes it by itself and returns its path.
        output: what the result is. An engine returns a picture or a text, or an object of its own with ``.picture`` or
            ``.text`` and, if it likes, ``.provenance``; a text job's previews are the text so far.
        batch: the input field whose many files are separate jobs (a folder stands for its pictures), or None.
        together: the input field whose many files are one job, in which a folder stands for its pictures too, or None.
        examples: makes, in a folder, what a page offers to click: by title, the values of some inputs, or what makes
            them anew at each click.
        page: whether the action has a form on its app's page (training on a server may not).
        typed: whether it is a verb of the command line; a page may have several forms for the parts of one verb.
        place: from inputs and settings, where a model or a folder goes when nobody says; None for ``out/`` and a name
            made of the inputs'.
        show: what there is to see of the engine's result beyond its picture or text: an HTML fragment, escaped, that
            needs no script and nothing from elsewhere (inline SVG, ``<audio src="data:...">``, ``title=``,
            ``<details>``). It is shown under the result, and ``-o NAME.html`` saves it. A job that was stopped is
            shown where its preview is more than a bare text or picture.
        table: the result as a table, lines of values with commas between, which ``-o NAME.csv`` saves.
        over: whether a page lays the picture that went in over the result picture, to compare them; a sheet is no such.
        shows_all: the text is all in there too, so that at the end a page shows nothing else.
        report: what ``--json`` tells of a complete result besides, by names of its own: sentences, figures.
        clicks: what parts of the result picture lead to when they are clicked on a page.
        onward: what a finished job leads to.
        score: how many of a result's answers are right, and of how many; a page adds them up while it is visited.
        videos: the verb that takes over on the command line where the first word without a flag is a video or an
            animated GIF; its own flags hold then. None: a video is no picture.
        live: what the page does to a webcam's pictures, or None.
    """

    verb: str
    title: str
    summary: str
    inputs: type[Inputs]
    settings: type[Settings]
    start: Callable[..., Generator[Step, None, Any]]
    output: OutputKind = "image"
    batch: str | None = None
    together: str | None = None
    examples: Callable[[Path], Mapping[str, Values | Callable[[], Values]]] | None = None
    page: bool = True
    typed: bool = True
    place: Callable[[Any, Any], Path] | None = None
    show: Callable[[Any], str] | None = None
    table: Callable[[Any], str] | None = None
    over: bool = True
    shows_all: bool = False
    report: Callable[[Any], Mapping[str, Any]] | None = None
    clicks: Clicks | None = None
    onward: Onward | None = None
    score: Callable[[Any], tuple[int, int]] | None = None
    videos: str | None = None
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class App:
    """One application: a page of the studio, verbs of the command line."""

    name: str
    title: str
    summary: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A finished job: where the result is and what it took."""

    path: Path
    settings: Settings
    seconds: float
    peak_memory_mb: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    complete: bool = True
    """False where the job was stopped and the last preview was kept."""
    result: Any = None
    """What the engine returned, or the last preview."""
    shown: str = ""
    """What the action's ``show`` made of it."""
    beside: Mapping[str, Path] = field(default_factory=dict)
    """Files that were saved beside it, by the names of the inputs that they can be given as."""


def picture_of(result: Any) -> Any:
    """The picture of a result that may be more than one."""
    return getattr(result, "picture", result)


def text_of(result: Any) -> str:
    """The text of a result that may be more than one."""
    return str(getattr(result, "text", result))


def perform(
    action: Action,
    inputs: Inputs,
    settings: Settings,
    *,
    device: str = "auto",
    out: str | Path | None = None,
    suffix: str | None = None,
    repeats: Provenance | None = None,
) -> Generator[Step, None, Saved]:
    """Run one job and save its result; itself a generator of Steps.

    Closed, or thrown a KeyboardInterrupt, it stops the engine and saves the last preview as ``NAME-stopped``; thrown
    the KeyboardInterrupt, it also returns what it saved, and raises it again where there was nothing to save.

    Args:
        out: a file if it has a suffix, else a folder, where a name is made of the inputs' names; no other result is
            overwritten there. None: where the action puts its results, ``out/`` for most.
        suffix: of the file where ``out`` does not say it, such as ``.gif``; None for the usual one.
        repeats: the record of the job that this one repeats; what it says of names is kept.

    Raises:
        ValueError: at the call: inputs that are missing or wrong, or a place that cannot be written to.
    """
    from apps import _results as results

    began = time.monotonic()
    results.check(action, inputs)
    place = results.Place.of(action, inputs, settings, out, suffix)
    if action.output == "video" and not place.fixed:
        place = replace(place, path=place.free(results.job_key(action, inputs, settings)), fixed=True)
    writes_itself = action.output in WRITES_ITSELF
    engine = action.start(inputs, settings, device, *([place.path] if writes_itself else []))
    return _performing(_Job(action, inputs, settings, device, place, repeats), engine, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Job:
    action: Action
    inputs: Inputs
    settings: Settings
    device: str
    place: Place
    repeats: Provenance | None

    def save(self, result: Any, facts: Mapping[str, Any]) -> tuple[Path, str]:
        """Write a picture or a text with its provenance; a model or a folder has been written already.

        Returns:
            Where it is, and what the action shows of it.
        """
        from apps import _results as results
        from apps._show import page, show

        if self.action.output in WRITES_ITSELF:
            if result is not None and self.action.output == "video":
                results.complete_sidecar(Path(result), self.action, self.inputs, self.settings, self.repeats)
            return Path(result) if result is not None else self.place.path, show(
                self.action, result, complete=result is not None
            )
        made = results.record(self.provenance(result), self.action, self.inputs, self.settings, self.repeats)
        made = made.model_copy(update={"result": {**made.result, **facts}})
        plain = text_of(result) if self.action.output == "text" else picture_of(result)
        shown = show(self.action, result, complete=not facts)
        content = page(self.action, plain, made, shown) if results.is_page(self.place.path) else plain
        if results.is_table(self.place.path) and self.action.table is not None:
            content = self.action.table(result)
        return results.save(self.place, content, made, stopped=bool(facts)), shown

    def provenance(self, result: Any) -> Provenance:
        """What the engine says of how the result was made; else what is known without it."""
        from apps import _results as results
        from creative.device import choose_device
        from creative.provenance import describe_run

        info = getattr(picture_of(result), "info", None) or {}
        made = info.get("provenance") or getattr(result, "provenance", None)
        if made is not None:
            return made
        sources = results.sources(self.inputs)
        device = choose_device(self.device)
        return describe_run(self.action.verb, self.settings, inputs=sources, device=device)


def _performing(job: _Job, engine: Generator[Step, None, Any], seconds_before: float) -> Generator[Step, None, Saved]:
    began = time.monotonic()
    last: Step | None = None
    metrics: Mapping[str, float] = {}
    messages: list[str] = []
    facts: dict[str, Any] = {}
    try:
        while True:
            last = step = next(engine)
            metrics = step.metrics or metrics
            if step.message:
                messages.append(step.message)
            yield step
    except StopIteration as end:
        result = end.value
    except (GeneratorExit, KeyboardInterrupt):
        result = _kept(last)
        engine.close()
        if result is None and job.action.output not in WRITES_ITSELF:
            raise
        facts = {"complete": False, "steps": last.done if last else 0}
    finally:
        engine.close()
    path, shown = job.save(result if not facts or job.action.output in {"image", "text"} else None, facts)
    from apps._results import save_beside
    from creative.device import peak_memory_mb

    return Saved(
        path=path,
        settings=job.settings,
        seconds=seconds_before + time.monotonic() - began,
        peak_memory_mb=peak_memory_mb(),
        metrics=dict(metrics),
        messages=tuple(messages),
        complete=not facts,
        result=result,
        shown=shown,
        beside=save_beside(path.parent, picture_of(result)) if not facts else {},
    )


def _kept(step: Step | None) -> Any:
    """The preview of the last step, if it has one that still can be made."""
    if step is None or step.preview is None or not step.done:
        return None
    with contextlib.suppress(Exception):  # an engine that was interrupted between two steps may not have it any more
        return step.preview()
    return None
