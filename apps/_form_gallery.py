"""What was made here before, under a page's form."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps._form_action import ActionForm, Updates
from apps._form_gradio import SITE, gr
from apps._gallery import facts, past_results, served, thumbnail


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
