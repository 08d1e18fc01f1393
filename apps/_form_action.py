"""The form of one action: its fields, its examples, Start and Stop; and what becomes of what is filled in."""

from __future__ import annotations

import html
import inspect
import json
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from apps._app import Action, Live, Values
from apps._form_gradio import SITE, gr
from apps._form_stage import Stage
from apps._form_widgets import Widget, build_widget, preset_names
from apps._gallery import Past, thumbnail
from apps._jobs import RUNNING
from apps._watch import JobError, watch
from creative.files import file_sha256
from creative.provenance import Source
from creative.settings import NAMED, Record, describe

Updates: TypeAlias = dict[Any, Any]
SAVED_AS = {
    "video": ("A GIF plays anywhere; an MP4 is smaller", [("MP4", "mp4"), ("GIF", "gif")]),
    "text": ("Of many pictures a table is handier", [("Text", "txt"), ("CSV table", "csv")]),
}
"""What kinds of file there are to choose from, and why one might."""


class ActionForm:
    """The form of one action, with the stage beside it where the work is watched, rendered into the current layout."""

    def __init__(self, action: Action, output: Path, lead: str) -> None:
        self.action, self.output = action, output
        self.start_id = f"start-{'-'.join(action.verb.split())}"
        with gr.Row(elem_classes="desk"):
            with gr.Column(scale=4, min_width=320, elem_classes="form"):
                examples = gr.Row(elem_classes="examples", visible=action.examples is not None)
                many = {action.batch, action.together}
                self.inputs = fields_of(action.inputs, output, advanced=False, batch=many)
                self.settings = fields_of(action.settings, output, advanced=False)
                with gr.Accordion("More settings", open=False, elem_classes="advanced") as self.more:
                    advanced = [
                        fields_of(record, output, advanced=True, batch=many)
                        for record in (action.inputs, action.settings)
                    ]
                    self.inputs, self.settings = self.inputs + advanced[0], self.settings + advanced[1]
                self.more.visible = bool(advanced[0] or advanced[1])
                told, kinds = SAVED_AS["video" if action.output == "video" else "text"]
                self.kind = gr.Radio(kinds, value=kinds[0][1], label="Save as", info=told, render=self.offers_kinds)
                with gr.Row(elem_classes="act"):
                    self.start = gr.Button(
                        action.title, variant="primary", size="lg", elem_classes="start", elem_id=self.start_id
                    )
                    self.stop = gr.Button("Stop", variant="stop", size="lg", elem_classes="stop")
            with gr.Column(scale=7, min_width=320, elem_classes="stage"):
                self.stage = Stage(action, lead)
        with examples:
            self._offer_examples()
        self.done = self.start.click(
            self._handler(),
            [*(component for widget in self.widgets for component in widget.components), *self._kinds()],
            list(self.stage.outputs.values()),
            api_name=action.verb, api_description=action.summary, show_progress="hidden", trigger_mode="once",
            concurrency_id="machine", concurrency_limit=32,
        )  # fmt: skip
        self.stage.keep_score(self.done)
        self.stop.click(self._halt, None, None, queue=False, api_visibility="private", show_progress="hidden")

    def _offer_examples(self) -> None:
        """A button for each example, which puts its values into the form."""
        if self.action.examples is None:
            return
        of_pictures = any(field.file == "picture" and field.required for field in describe(self.action.inputs))
        gr.HTML(f"<p>{'No picture at hand? Try' if of_pictures else 'Try'} one of these.</p>")
        for title, values in self.action.examples(SITE / "examples").items():
            first = values() if callable(values) else values
            picture = next((value for value in first.values() if isinstance(value, Path)), None)
            icon = thumbnail(picture, SITE, side=96) if picture is not None else None
            button = gr.Button(title, icon=icon, size="sm", min_width=0, elem_classes="example")
            self._fill_in(button, first, values if callable(values) else None)

    def _fill_in(self, button: Any, values: Values, new: Callable[[], Values] | None) -> None:
        """Have a button put values into the form: these, or what is made anew at each click.

        What is known beforehand the browser writes by itself: an answer of the server's may come late, and would take
        away what was typed meanwhile. Files come from the server.
        """
        known = {} if new else {name: value for name, value in values.items() if not isinstance(value, Path)}
        if known:
            written = self.filled(known)
            held = json.dumps([component.postprocess(value) for component, value in written.items()])
            button.click(None, None, list(written), js=f"() => {held}", api_visibility="private")
        rest = self.filled({name: value for name, value in values.items() if name not in known})
        if rest:
            button.click(
                lambda: self.filled(new()) if new else rest, None, list(rest),
                api_visibility="private", show_progress="hidden", queue=False,
            )  # fmt: skip

    def filled(self, values: Mapping[str, Any]) -> Updates:
        """The components with some fields' values; a file is given as its path."""
        changed: Updates = {}
        for widget in self.widgets:
            if widget.field.name in values:
                value = values[widget.field.name]
                written = widget.show(value) if isinstance(value, Path) else widget.write(value)
                changed |= dict(zip(widget.components, written, strict=False))
        return changed

    @property
    def widgets(self) -> list[Widget]:
        """In the order in which their values come."""
        return self.inputs + self.settings

    def _kinds(self) -> list[Any]:
        """The choice of a kind of file, where there is one."""
        return [self.kind] if self.offers_kinds else []

    @property
    def offers_kinds(self) -> bool:
        """Whether somebody may choose what kind of file the result is saved as."""
        return self.action.output == "video" or self.action.table is not None

    def _handler(self) -> Callable[..., Generator[Updates, None, None]]:
        """``handle`` with parameters named as the fields, for those who call it from a program."""

        def handle(request: gr.Request, *values: Any) -> Generator[Updates, None, None]:
            owner = (request.session_hash, self.action.verb)
            try:
                suffix = f".{values[-1]}" if self._kinds() and values[-1] else None
                for view in watch(self.action, lambda: self._read(values), self.output, owner, SITE, suffix=suffix):
                    yield self.stage.updates(view)
            except JobError as problem:  # the page says it already; for those who call it from a program
                sentence = html.escape(str(problem), quote=False)
                raise gr.Error(sentence, visible=False, print_exception=False) from None

        parameters = [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        for widget in self.widgets:
            for name in widget.names:  # gradio takes a component's own value for None, and asks for what has no default
                needed = widget.field.required and (len(widget.names) == 1 or widget.second == "more")
                optional = not needed or parameters[-1].default is None or name != widget.names[0]
                default = None if optional else inspect.Parameter.empty
                parameters.append(inspect.Parameter(name, parameters[0].kind, default=default))
        for _ in self._kinds():
            parameters.append(inspect.Parameter("save_as", parameters[0].kind, default=None))
        handle.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return handle

    def _read(self, values: Sequence[Any]) -> tuple[Any, Any]:
        return read_form(self.action, self.inputs, self.settings, values)

    def _halt(self, request: gr.Request) -> None:
        RUNNING.stop((request.session_hash, self.action.verb))

    def _painting(self, recorded: Sequence[Source]) -> Path | None:
        """What was painted for a result, which lies beside it."""
        for source in recorded:
            path = self.output / source.file
            if path.is_file() and file_sha256(path) == source.sha256:
                return path
        return None

    def reuse(self, past: Past) -> list[Any]:
        """The values of all components for a result's settings; what cannot be given again is left."""
        values: list[Any] = []
        for widget in self.widgets:
            recorded = past.provenance.settings.get(widget.field.name)
            if widget in self.settings and widget.field.name in past.provenance.settings:
                values += widget.write(recorded)
            elif widget.field.file in {"style", *NAMED} and not widget.field.many:
                found = past.provenance.inputs.get(widget.field.name, [])
                name = next((_name(widget.field.file, one) for one in found), None)
                none = widget.field.optional and not found
                values += widget.write(name) if name or none else [gr.skip() for _ in widget.components]
            elif widget.field.widget == "brush":
                kept = self._painting(past.provenance.inputs.get(widget.field.name, []))
                values += widget.write(kept)
            elif widget.field.file is None:
                values += widget.write(
                    past.provenance.result.get("given", {}).get(widget.field.name, widget.field.default)
                )
            else:
                values += [gr.skip() for _ in widget.components]
        return values


def fields_of(
    record: type[Record], output: Path, *, advanced: bool, batch: Collection[str | None] = ()
) -> list[Widget]:
    """The widgets of a record's basic or advanced fields, rendered into the current layout.

    Args:
        output: the folder for results.
        batch: fields whose many files are given in several ways.
    """
    return [
        build_widget(field, batch=field.name in batch, output=output)
        for field in describe(record)
        if field.advanced is advanced
    ]


def read_form(
    asked: Action | Live, inputs: Sequence[Widget], settings: Sequence[Widget], values: Sequence[Any]
) -> tuple[Any, Any]:
    """The components' values, in the widgets' order, as inputs and settings.

    Raises:
        ValueError: something is missing or wrong.
    """
    rest = iter(values)
    given: dict[str, Any] = {}
    for widget in (*inputs, *settings):
        value = widget.read(*(next(rest) for _ in widget.components))
        if value is not None and value != widget.field.default:  # what was left as it was is not given: see recipes
            given[widget.field.name] = value
    for widget in inputs:
        if widget.field.required and widget.field.name not in given:
            raise ValueError(f"Please give a {widget.field.title.lower()} first.")
    names = {widget.field.name for widget in inputs}
    return (
        asked.inputs(**{name: value for name, value in given.items() if name in names}),
        asked.settings(**{name: value for name, value in given.items() if name not in names}),
    )


def _name(kind: str, source: Source) -> str | None:
    """Under which a style or a trained network is here."""
    from creative.trained import name_of

    stem = Path(source.file).stem
    return name_of(kind, source.sha256) if kind in NAMED else stem if stem in preset_names() else None
