"""What was made here before, under a page's form."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps._form_action import ActionForm, Updates
from apps._form_gradio import SITE, gr
from apps._gallery import Past, card, facts, past_results, served
from apps._show import frame_of
from creative.settings import NAMED


def build_gallery(page: gr.Blocks, output: Path, forms: Sequence[ActionForm] = ()) -> None:
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
            with gr.Column(scale=3, min_width=280):
                picture = gr.Image(
                    show_label=False, type="filepath", interactive=False, container=False, buttons=["fullscreen"]
                )
                film = gr.Video(show_label=False, interactive=False, container=False, loop=True, visible=False)
                text = gr.Textbox(show_label=False, lines=12, max_lines=24, interactive=False, buttons=["copy"],
                                  elem_classes="written", visible=False)  # fmt: skip
                shown = gr.HTML(elem_classes="showing", visible=False)
            with gr.Column(scale=2, min_width=280):
                how = gr.HTML()
                again = gr.Button("Use these settings", visible=bool(forms), elem_classes="again")
                download = gr.DownloadButton("Download")

    def refresh() -> Updates:
        past = past_results(output, actions)
        shown = [(card(one, SITE), one.caption) for one in past]
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
            panel: gr.Row(visible=True), download: copy, chosen: past.path.name,
            how: title + facts(past.provenance, defaults),
            **_looked_at(past, copy, picture, film, text, shown),
        }  # fmt: skip

    def use(name: str | None) -> list[Any]:
        values: list[Any] = []
        past = next((one for one in past_results(output, actions, limit=10**6) if one.path.name == name), None)
        fitting = next(
            (form for form in forms if past is not None and form.action.verb == past.provenance.action), None
        )
        for form in forms:
            values += (
                form.reuse(past)
                if past is not None and form is fitting
                else [gr.skip() for w in form.widgets for _ in w.components]
            )
        files_missing = any(w.field.file not in {None, "style", *NAMED} for w in fitting.inputs) if fitting else False
        more = "give it its files and start" if files_missing else "start when you like"
        gr.Info(f"The settings are in the form again; {more}.", title="Taken over")
        return values

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    page.load(refresh, None, [files, gallery], **quiet)
    for form in forms:
        form.done.then(refresh, None, [files, gallery], **quiet)
    gallery.select(choose, files, [panel, picture, film, text, shown, download, chosen, how], **quiet)
    if forms:
        told = {**quiet, "queue": True}  # without the queue gradio prints what should be told
        again.click(use, chosen, [c for form in forms for w in form.widgets for c in w.components], **told)


def _looked_at(past: Past, copy: str, picture: Any, film: Any, text: Any, shown: Any) -> Updates:
    """The result in the component that is made for its kind; the others go away."""
    moving = past.kind == "video" and past.path.suffix.lower() != ".gif"
    still = past.kind in {"picture", "video"} and not moving
    return {
        picture: gr.Image(copy if still else None, visible=still),
        film: gr.Video(copy if moving else None, visible=moving),
        text: gr.Textbox(past.text() if past.kind == "text" else None, visible=past.kind == "text"),
        shown: gr.HTML(frame_of(past.text()) if past.kind == "page" else None, visible=past.kind == "page"),
    }
