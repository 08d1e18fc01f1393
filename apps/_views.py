"""What a page shows of a job: its previews, and its result with how it was made. No gradio here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from PIL import Image

from apps._app import Action, Area, Saved, picture_of, text_of
from apps._curves import curves
from apps._figures import pair, with_areas
from apps._gallery import save_jpeg, served
from apps._jobs import figures, line
from apps._pace import span
from apps._show import frame, page
from creative.provenance import Provenance, read_provenance
from creative.settings import Inputs, Settings, describe

OTHER_SHAPE = 0.05
"""How much wider or narrower a result may be than the picture that went in to be compared with it."""


class View(TypedDict, total=False):
    """What changes on the page: HTML, files that the site may serve, texts. What is left out stays.

    Attributes:
        figure: the result picture as HTML, to compare or to click.
        areas: what can be clicked of it.
        shown: what the action shows of the result besides.
        page: the file of the result as a page to look at.
        several: the files of the results of several jobs.
        score: how many of the result's answers are right, and of how many.
        curves: a training's numbers as they went, as HTML.
        onward: values for the form of the action that this one leads to.
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
    several: list[str]
    score: tuple[int, int]
    curves: str
    onward: Mapping[str, Any]
    made: dict[str, Any]


def preview_view(preview: Any, shown: list[Path], folder: Path) -> View:
    """A picture as a small file that the page may fetch, old ones forgotten; or a text."""
    preview = picture_of(preview)
    if not isinstance(preview, Image.Image):
        return View(text=text_of(preview))
    path = folder / "previews" / f"{uuid.uuid4().hex}.jpg"
    shown.append(Path(save_jpeg(preview, path)))
    if len(shown) > 12:  # a browser may lag behind
        shown.pop(0).unlink(missing_ok=True)
    return View(preview=str(path))


def result_view(action: Action, saved: Saved, inputs: Inputs, settings: Settings, folder: Path) -> View:
    """What was saved, as a file that carries its provenance, and how it was made."""
    kept = "Stopped; start again to go on" if action.output == "folder" else "Stopped; the last preview is kept"
    parts = ["Done" if saved.complete else kept, span(saved.seconds)]
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
        state += (" showing alone" if action.shows_all else " showing") if saved.shown else ""
    if action.score is not None:
        view["score"] = action.score(saved.result)
    if action.output == "folder":
        made_file = saved.path if saved.path.is_file() else saved.path / "best.safetensors"
        view["curves"] = curves(made_file.parent / "metrics.csv")
        view["download"] = served(made_file, folder) if made_file.is_file() else None
        state += " filed" if made_file.is_file() else ""
        messages = messages[-4:]
    if action.onward is not None and (action.output != "folder" or view["download"]):
        beside = {name: Path(served(path, folder)) for name, path in saved.beside.items()}
        view["onward"] = {**action.onward.values(inputs, settings), **beside}
        state += " onward" if view["onward"] else ""
    view["status"] = line(state, parts, messages=messages)
    return view


def _figure(
    action: Action, saved: Saved, inputs: Inputs, settings: Settings, copy: str, folder: Path
) -> tuple[str, Sequence[Area]]:
    """The result picture as HTML with what can be clicked of it, or beside the picture that went in; or neither."""
    if action.clicks is not None:
        areas = action.clicks.areas(inputs, settings, saved.result) if saved.complete else ()
        return (with_areas(copy, areas) if areas else ""), areas
    before = _before(inputs, saved.path, folder) if action.over else None
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


def several_view(
    action: Action, done: Sequence[tuple[Inputs, Saved]], wrong: Sequence[str], seconds: float, folder: Path
) -> View:
    """What came of several jobs that one start began: their pictures, or their texts one after another.

    Args:
        wrong: a sentence for each that failed.
    """
    whole = all(saved.complete for _, saved in done)
    failed = f"{len(wrong)} failed" if wrong else ""
    parts = ["Done" if whole else "Stopped", f"{len(done)} results", *filter(None, [failed]), span(seconds)]
    view = View(several=[], made={saved.path.name: saved.settings.model_dump(mode="json") for _, saved in done})
    state = "done" if whole else "stopped"
    if action.output == "text":
        view["text"] = "\n\n".join(f"{saved.path.name}\n{text_of(saved.result)}" for _, saved in done)
    else:
        view["several"] = [served(saved.path, folder) for _, saved in done]
        state += " several"
    view["status"] = line(state, parts, messages=tuple(wrong[-4:]))
    return view
