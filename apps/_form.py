"""From the declaration of an app to its page in the browser.

Every widget comes from ``creative.settings.describe``: a new field of a settings class appears here by itself. A page
is a ``gr.Blocks`` of its own; ``apps.studio`` serves one, or all of them as one site.
"""

from __future__ import annotations

import atexit
import contextlib
import html
import inspect
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported, which would report its use
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr

from apps._app import Action, App
from apps._gallery import Past, facts, past_results, served, thumbnail
from apps._jobs import RUNNING, line
from apps._watch import JobError, watch
from creative.options.studio import StudioSettings
from creative.settings import Description, Record, describe

__all__ = ["build_gallery", "build_page", "build_widget", "gr", "launch"]

EMPTY = "What you make appears here."
Updates: TypeAlias = dict[Any, Any]


def _private_folder() -> Path:
    """Where uploads and what is shown lie while this process lives; nobody else may read them there."""
    folder = Path(tempfile.mkdtemp(prefix="creative-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


SITE = _private_folder()


# Widgets -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Widget:
    """What a field looks like: one component or two, and how their values become the field's and back."""

    field: Description
    components: tuple[Any, ...]
    read: Callable[..., Any]
    """The components' values to the field's; None for nothing given."""
    write: Callable[[Any], tuple[Any, ...]]
    """The field's value to the components'."""


def _same(value: Any) -> Any:
    return value


def _single(
    field: Description, component: Any, read: Callable[[Any], Any] = _same, write: Callable[[Any], Any] = _same
) -> Widget:
    return Widget(field, (component,), read, lambda value: (write(value),))


def _unchecked(component: Any) -> Any:
    """Leave the checking of numbers to the settings, whose sentence names the field."""
    component.preprocess = _same
    return component


def build_widget(field: Description, *, batch: bool = False) -> Widget:
    """The widget that a field deserves, rendered into the current layout.

    Args:
        field: the description.
        batch: whether its many files would be jobs of their own; a page takes one at a time.
    """
    texts = {"label": field.title, "info": field.description or None}
    if field.file == "style":
        return _styles(field) if field.many else _style(field)
    if field.file in {"picture", "mask"} and (batch or not field.many):
        return _picture(field, batch=batch)
    if field.file == "folder":
        return _single(field, gr.Textbox(**texts, value=_text(field.default)), lambda text: text or None, _text)
    if field.file is not None:
        return _files(field)
    if field.choices is not None:
        return _choice(field, texts)
    if field.type is bool:
        return _single(field, gr.Checkbox(**texts, value=bool(field.default)), write=bool)
    if field.type in {int, float} and not field.many:
        return _number(field, texts)
    if field.many:
        several = gr.Textbox(**texts, value=_listed(field.default), placeholder="Separated by commas")
        return _single(field, several, _unlisted(field.type), _listed)
    lines = 3 if field.widget == "prompt" else 1
    box = gr.Textbox(**texts, value=_text(field.default), lines=lines, max_lines=max(lines, 12))
    return _single(field, box, lambda text: (text or None) if field.optional or field.required else text or "", _text)


def _choice(field: Description, texts: Mapping[str, Any]) -> Widget:
    assert field.choices is not None
    choices = [
        (str(choice).replace("_", " ").capitalize() if str(choice).islower() else str(choice), choice)
        for choice in field.choices
    ]
    if field.many:
        return _single(
            field, gr.CheckboxGroup(choices, value=list(field.default or ()), **texts), tuple, lambda v: list(v or ())
        )
    if field.optional:
        choices.insert(0, ("As usual", ""))
    value = field.default if field.default is not None else choices[0][1]
    kind = gr.Radio if len(choices) <= 4 else gr.Dropdown
    return _single(
        field, kind(choices, value=value, **texts), lambda v: None if v == "" else v, lambda v: "" if v is None else v
    )


def _number(field: Description, texts: Mapping[str, Any]) -> Widget:
    whole, low, high = field.type is int, field.minimum, field.maximum
    if field.widget == "seed":
        with gr.Row(elem_classes="seed", equal_height=True):
            number = _unchecked(gr.Number(**texts, value=field.default, precision=0, scale=4, min_width=120))
            dice = gr.Button("Roll", size="sm", scale=1, min_width=64, elem_classes="dice")
        dice.click(None, None, number, js="() => Math.floor(Math.random() * 4294967296)", api_visibility="private")
        return _single(field, number)
    if field.optional:  # a number box cannot be empty
        box = gr.Textbox(**texts, value=_text(field.default), placeholder="None", max_lines=1)
        return _single(field, box, lambda text: next(iter(_unlisted(field.type)(text)), None), _text)
    step = field.step or (1 if whole else None)
    if low is not None and high is not None and field.widget != "number":
        step = step or (high - low) / 100
        if field.widget == "slider" or (high - low) / step <= 200:
            return _single(field, _unchecked(gr.Slider(low, high, value=field.default, step=step, **texts)))
    return _single(
        field,
        _unchecked(
            gr.Number(**texts, value=field.default, precision=0 if whole else None, step=step or 1, min_width=120)
        ),
    )


def _picture(field: Description, *, batch: bool) -> Widget:
    picture = gr.Image(
        label=_title(field), type="filepath", sources=["upload", "clipboard"], height=210, buttons=[],
        placeholder=f"{field.title}\ndrop, paste or click", elem_classes=["picture", field.file or ""],
    )  # fmt: skip
    picture.preprocess = _path  # the file as it came: our own opening knows its dangers and tells them
    return _single(field, picture, lambda path: ((path,) if batch else path) if path else None, lambda _: None)


def _files(field: Description) -> Widget:
    kinds = {"picture": ["image"], "mask": ["image"], "text": ["text"], "weights": [".safetensors", ".pth", ".pt"]}
    kinds["video"] = ["video", ".gif"]
    files = gr.File(
        label=_title(field), file_count="multiple" if field.many else "single", height=110,
        file_types=kinds.get(field.file or ""), type="filepath", elem_classes="files",
    )  # fmt: skip
    return _single(
        field, files, lambda paths: (tuple(paths) if field.many else paths) if paths else None, lambda _: None
    )


def _style(field: Description) -> Widget:
    """Presets to pick by their swatches, and a painting of one's own, which counts where there is one."""
    names = _preset_names()
    presets = gr.Radio(
        [(_spoken(name), name) for name in names], value=names[0] if names else None, label=field.title,
        info="Pick one, or give a painting of your own below", elem_classes="swatches", visible=bool(names),
    )  # fmt: skip
    own = gr.Image(
        label=f"{field.title} of your own", type="filepath", sources=["upload", "clipboard"], height=130, buttons=[],
        placeholder="A painting of your own: drop, paste or click", elem_classes=["picture", "own"],
    )  # fmt: skip
    own.preprocess = _path
    presets.input(None, None, own, js="() => null", api_visibility="private")
    own.upload(None, None, presets, js="() => null", api_visibility="private")
    return Widget(
        field,
        (presets, own),
        lambda name, path: path or name or None,
        lambda value: (value if value in _preset_names() else None, None),
    )


def _styles(field: Description) -> Widget:
    """Several styles: presets by name, and files."""
    presets = gr.Dropdown(
        [(_spoken(name), name) for name in _preset_names()], multiselect=True, label=field.title, info=field.description
    )
    files = gr.File(
        label=f"{field.title} of your own",
        file_count="multiple",
        file_types=["image"],
        height=110,
        elem_classes="files",
    )
    return Widget(
        field,
        (presets, files),
        lambda names, paths: (*(names or ()), *(paths or ())),
        lambda value: (list(value or ()), None),
    )


def _path(payload: Any) -> str | None:
    return None if payload is None else payload.path


def _title(field: Description) -> str:
    return field.title if field.required else f"{field.title}, if any"


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _listed(value: Any) -> str:
    return ", ".join(str(one) for one in value or ())


def _unlisted(kind: type) -> Callable[[str | None], tuple[Any, ...]]:
    """Text to values of a kind; what is not one is left as text, for the settings to name."""

    def parse(word: str) -> Any:
        with contextlib.suppress(ValueError):
            return kind(word)
        return word

    return lambda text: tuple(parse(word.strip()) for word in (text or "").split(",") if word.strip())


def _spoken(name: str) -> str:
    return name.replace("-", " ").capitalize()


def _preset_names() -> list[str]:
    from creative.weights import list_presets

    return list(list_presets())


# A page -------------------------------------------------------------------------------------------------------------


def build_page(app: App, output: Path = Path("out")) -> gr.Blocks:
    """The page of an app.

    Args:
        app: its declaration.
        output: the folder that results are saved in, and whose earlier results are shown.
    """
    with gr.Blocks(title=app.title, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as page:
        gr.HTML(f"<header><h1>{html.escape(app.title)}</h1><p>{html.escape(app.summary)}</p></header>")
        actions = [action for action in app.actions if action.page]
        if len(actions) == 1:
            forms = [_Form(actions[0], output, EMPTY)]
        else:
            forms = []
            with gr.Tabs(elem_classes="actions"):
                for action in actions:
                    with gr.Tab(action.title, render_children=True):
                        forms.append(_Form(action, output, EMPTY if action.summary == app.summary else action.summary))
        _offer_presets(page, forms)
        build_gallery(page, output, forms)
    return page


class _Form:
    """The form of one action, with the stage beside it where the work is watched."""

    def __init__(self, action: Action, output: Path, lead: str) -> None:
        self.action, self.output = action, output
        with gr.Row(elem_classes="desk"):
            with gr.Column(scale=4, min_width=320, elem_classes="form"):
                examples = gr.Row(elem_classes="examples", visible=action.examples is not None)
                self.inputs = self._fields(action.inputs, advanced=False)
                self.settings = self._fields(action.settings, advanced=False)
                with gr.Accordion("More settings", open=False, elem_classes="advanced") as more:
                    advanced = [self._fields(record, advanced=True) for record in (action.inputs, action.settings)]
                    self.inputs, self.settings = self.inputs + advanced[0], self.settings + advanced[1]
                more.visible = bool(advanced[0] or advanced[1])
                with gr.Row(elem_classes="act"):
                    self.start = gr.Button(action.title, variant="primary", size="lg", elem_classes="start")
                    self.stop = gr.Button("Stop", variant="stop", size="lg", elem_classes="stop")
            with gr.Column(scale=7, min_width=320, elem_classes="stage"):
                self.status = gr.HTML(line("idle", [lead], keys=True), elem_classes="said", label="Status")
                self.preview = gr.Image(
                    type="filepath", interactive=False, show_label=False, container=False, buttons=["fullscreen"],
                    label="Picture", elem_classes="preview", visible=action.output != "text",
                )  # fmt: skip
                if action.output == "video":
                    self.video = gr.Video(
                        label="Video", interactive=False, show_label=False, container=False, loop=True, visible=False,
                        elem_classes="film",
                    )  # fmt: skip
                self.pair = gr.HTML(elem_classes="compare", label="Before and after")
                self.text = gr.Textbox(
                    label="Text", show_label=False, lines=18, max_lines=40, interactive=False, buttons=["copy"],
                    elem_classes="written", visible=action.output == "text",
                )  # fmt: skip
                with gr.Row(elem_classes="keep"):
                    self.download = gr.DownloadButton("Download", size="md", elem_classes="download")
                with gr.Accordion("How it was made", open=False, elem_classes="made"):
                    self.made = gr.JSON(label="How it was made", show_label=False, container=False, max_height=400)
        with examples:
            self._offer_examples()
        self.outputs = {
            "status": self.status, "preview": self.preview, "pair": self.pair, "text": self.text,
            "download": self.download, "made": self.made,
        }  # fmt: skip
        if action.output == "video":
            self.outputs["video"] = self.video
        self.done = self.start.click(
            self._handler(), [component for widget in self.widgets for component in widget.components],
            list(self.outputs.values()),
            api_name=action.verb, api_description=action.summary, show_progress="hidden", trigger_mode="once",
            concurrency_id="machine", concurrency_limit=32,
        )  # fmt: skip
        self.stop.click(self._halt, None, None, queue=False, api_visibility="private", show_progress="hidden")

    def _fields(self, record: type[Record], *, advanced: bool) -> list[Widget]:
        return [
            build_widget(field, batch=field.name == self.action.batch)
            for field in describe(record)
            if field.advanced is advanced
        ]

    def _offer_examples(self) -> None:
        """A button for each example, which puts its values into the form."""
        if self.action.examples is None:
            return
        gr.HTML("<p>No picture at hand? Try one of these.</p>")
        for title, values in self.action.examples(SITE / "examples").items():
            filled = {
                widget.components[0]: str(value) if isinstance(value, Path) else widget.write(value)[0]
                for widget in self.inputs
                if (value := values.get(widget.field.name)) is not None
            }
            picture = next((value for value in values.values() if isinstance(value, Path)), None)
            icon = thumbnail(picture, SITE, side=96) if picture is not None else None
            button = gr.Button(title, icon=icon, size="sm", min_width=0, elem_classes="example")
            button.click(
                lambda filled=filled: filled, None, list(filled),
                api_visibility="private", show_progress="hidden", queue=False,
            )  # fmt: skip

    @property
    def widgets(self) -> list[Widget]:
        """In the order in which their values come."""
        return self.inputs + self.settings

    def _handler(self) -> Callable[..., Generator[Updates, None, None]]:
        """``handle`` with parameters named as the fields, for those who call it from a program."""

        def handle(request: gr.Request, *values: Any) -> Generator[Updates, None, None]:
            owner = (request.session_hash, self.action.verb)
            try:
                for view in watch(self.action, lambda: self._read(values), self.output, owner, SITE):
                    yield {self.outputs[name]: value for name, value in view.items()}
            except JobError as problem:  # the page says it already; for those who call it from a program
                sentence = html.escape(str(problem), quote=False)
                raise gr.Error(sentence, visible=False, print_exception=False) from None

        parameters = [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        for widget in self.widgets:
            first, *rest = [widget.field.name, *(f"{widget.field.name}_picture" for _ in widget.components[1:])]
            optional = bool(rest) or not widget.field.required or parameters[-1].default is None
            for name in (
                first,
                *rest,
            ):  # gradio takes a component's own value for None, and asks for what has no default
                default = None if optional else inspect.Parameter.empty
                parameters.append(inspect.Parameter(name, parameters[0].kind, default=default))
        handle.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return handle

    def _read(self, values: Sequence[Any]) -> tuple[Any, Any]:
        """The components' values as the action's inputs and settings."""
        rest = iter(values)
        given: dict[str, Any] = {}
        for widget in self.widgets:
            value = widget.read(*(next(rest) for _ in widget.components))
            if value is not None:
                given[widget.field.name] = value
        for widget in self.inputs:
            if widget.field.required and widget.field.name not in given:
                raise ValueError(f"Please give a {widget.field.title.lower()} first.")
        names = {widget.field.name for widget in self.inputs}
        inputs = self.action.inputs(**{name: value for name, value in given.items() if name in names})
        settings = self.action.settings(**{name: value for name, value in given.items() if name not in names})
        return inputs, settings

    def _halt(self, request: gr.Request) -> None:
        RUNNING.stop((request.session_hash, self.action.verb))

    def reuse(self, past: Past) -> list[Any]:
        """The values of all components for a result's settings; what cannot be given again is left."""
        values: list[Any] = []
        for widget in self.widgets:
            recorded = past.provenance.settings.get(widget.field.name)
            if widget in self.settings and widget.field.name in past.provenance.settings:
                values += widget.write(recorded)
            elif widget.field.file == "style" and not widget.field.many:
                names = [Path(source.file).stem for source in past.provenance.inputs.get(widget.field.name, [])]
                known = bool(names) and names[0] in _preset_names()
                values += widget.write(names[0]) if known else [gr.skip() for _ in widget.components]
            else:
                values += [gr.skip() for _ in widget.components]
        return values


def _offer_presets(page: gr.Blocks, forms: Sequence[_Form]) -> None:
    """Keep the presets on offer, their titles and their swatches as they are now: one may have been made meanwhile."""
    choices = [w.components[0] for form in forms for w in form.widgets if w.field.file == "style"]
    if not choices:
        return
    pictures = gr.HTML(elem_classes="hidden")

    def offer() -> list[Any]:
        titles, sheet = _presets()
        offered = [(title, name) for name, title in titles.items()]
        return [sheet, *(gr.update(choices=offered, visible=bool(offered)) for _ in choices)]

    events = [page.load, *(form.done.then for form in forms if form.action.output == "model")]
    for event in events:
        event(offer, None, [pictures, *choices], api_visibility="private", show_progress="hidden")


def _presets() -> tuple[dict[str, str], str]:
    """The presets' titles by name, and a style sheet that gives each one's button its picture."""
    import base64
    import io

    from creative.style_presets import load_preset

    titles: dict[str, str] = {}
    rules = []
    for name in _preset_names():
        with contextlib.suppress(ValueError, OSError):  # a broken one is not offered
            preset = load_preset(name)
            titles[name] = preset.title or _spoken(name)
            if preset.swatch is not None:
                file = io.BytesIO()
                preset.swatch.convert("RGB").save(file, "WEBP", quality=80)
                picture = f"url(data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()})"
                rules.append(f'.swatches input[value="{name}"]{{background-image:{picture}!important}}')
    return titles, f"<style>{''.join(rules)}</style>"


# Earlier results ----------------------------------------------------------------------------------------------------


def build_gallery(page: gr.Blocks, output: Path, forms: Sequence[_Form] = ()) -> None:
    """The results in the output folder, newest first; a click shows how one was made and, on an app's page, takes its
    settings over into the form.

    Args:
        page: refreshed when it loads.
        output: the folder.
        forms: those whose results are shown, and that a result's settings can go back to; none: everybody's results.
    """
    actions = {form.action.verb for form in forms} if forms else None
    with gr.Column(elem_classes="past"):
        gr.HTML("<h2>Made here</h2>")
        files = gr.State([])
        gallery = gr.Gallery(
            show_label=False, columns=6, fit_columns=False, height="auto", object_fit="cover", allow_preview=False,
            buttons=[], interactive=False, container=False, elem_classes="results",
        )  # fmt: skip
        chosen = gr.State(None)
        with gr.Row(visible=False, elem_classes="chosen") as panel:
            picture = gr.Image(
                show_label=False, type="filepath", interactive=False, container=False, buttons=["fullscreen"], scale=3
            )
            with gr.Column(scale=2, min_width=280):
                how = gr.HTML()
                again = gr.Button("Use these settings", visible=bool(forms), elem_classes="again")
                download = gr.DownloadButton("Download")

    def refresh() -> Updates:
        past = past_results(output, actions)
        shown = [(thumbnail(one.path, SITE), one.caption) for one in past]
        return {files: [one.path.name for one in past], gallery: gr.Gallery(shown, visible=bool(shown))}

    def choose(names: list[str], event: gr.SelectData) -> Updates:
        found = [one for one in past_results(output, actions, limit=10**6) if one.path.name == names[event.index]]
        if not found:
            raise gr.Error("That file is no longer in the output folder.", title="Gone", print_exception=False)
        past = found[0]
        copy = served(past.path, SITE)
        title = f"<h3>{html.escape(past.path.name)}</h3>"
        form = next((form for form in forms if form.action.verb == past.provenance.action), None)
        defaults = {w.field.name: w.field.default for w in form.settings} if form else {}
        return {
            panel: gr.Row(visible=True), picture: copy, download: copy, chosen: past.path.name,
            how: title + facts(past.provenance, defaults),
        }  # fmt: skip

    def use(name: str | None) -> list[Any]:
        values: list[Any] = []
        past = next((one for one in past_results(output, actions, limit=10**6) if one.path.name == name), None)
        for form in forms:
            fits = past is not None and form.action.verb == past.provenance.action
            values += form.reuse(past) if fits and past else [gr.skip() for w in form.widgets for _ in w.components]
        gr.Info("The settings are in the form again; give it its pictures and start.", title="Taken over")
        return values

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    page.load(refresh, None, [files, gallery], **quiet)
    for form in forms:
        form.done.then(refresh, None, [files, gallery], **quiet)
    gallery.select(choose, files, [panel, picture, download, chosen, how], **quiet)
    if forms:
        again.click(use, chosen, [c for form in forms for w in form.widgets for c in w.components], **quiet)


def launch(app: App) -> None:
    """Serve one app's page on this machine, until Ctrl-C."""
    from apps.studio import serve

    settings = StudioSettings()
    serve(build_page(app, settings.output), settings, busy_port_moves=True)
