"""From the declaration of an app to its page in the browser.

Every widget comes from ``creative.settings.describe``: a new field of a settings class appears here by itself. A page
is a ``gr.Blocks`` of its own; ``apps.studio`` serves one, or all of them as one site.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from apps._app import App
from apps._form_action import ActionForm, Updates
from apps._form_gallery import build_gallery
from apps._form_gradio import gr
from apps._form_live import LiveForm
from apps._form_presets import offer_presets, offer_trained
from apps._form_widgets import build_widget
from apps._jobs import RUNNING
from creative.options.studio import StudioSettings

__all__ = ["build_gallery", "build_page", "build_widget", "gr", "launch"]

EMPTY = "What you make appears here."


def build_page(app: App, output: Path = Path("out")) -> gr.Blocks:
    """The page of an app.

    Args:
        app: its declaration.
        output: the folder that results are saved in, and whose earlier results are shown.
    """
    with gr.Blocks(title=app.title, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as page:
        gr.HTML(f"<header><h1>{html.escape(app.title)}</h1><p>{html.escape(app.summary)}</p></header>")
        actions = [action for action in app.actions if action.page]
        forms, tabs = [], None
        live: list[LiveForm] = []
        if len(actions) == 1 and actions[0].live is None:
            forms.append(ActionForm(actions[0], output, EMPTY))
        else:
            with gr.Tabs(elem_classes="actions") as tabs:
                for action in actions:
                    with gr.Tab(action.title, id=action.verb, render_children=True):
                        lead = EMPTY if action.summary == app.summary else action.summary
                        forms.append(ActionForm(action, output, lead))
                    if action.live is not None:
                        with gr.Tab(action.live.title, id=f"live {action.verb}", render_children=True):
                            live.append(LiveForm(action, output))
        for form in forms:
            _follow_clicks(form, forms, tabs)
            _lead_on(form, forms, tabs)
        offer_presets(page, forms, live)
        offer_trained(page, forms, live)
        build_gallery(page, output, forms)
    return page


def _follow_clicks(form: ActionForm, forms: list[ActionForm], tabs: Any) -> None:
    """A click on a part of the result picture fills in another action's form and starts it; a button leads back."""
    clicks = form.action.clicks
    if clicks is None:
        return
    target = next(other for other in forms if other.action.verb == clicks.verb)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    fields = [component for widget in target.widgets for component in widget.components]

    def fill(areas: Any, request: gr.Request, event: gr.EventData) -> Updates:
        number = event.area
        if not isinstance(number, int) or not 0 <= number < len(areas):
            raise gr.Error("There is nothing to click there.", title="Nothing there", print_exception=False)
        if RUNNING.has((request.session_hash, target.action.verb)):
            raise gr.Error(f"{target.action.title} is at work; stop it first.", title="Busy", print_exception=False)
        area = areas[number]
        advanced = any(widget.field.advanced and area.values.get(widget.field.name) for widget in target.widgets)
        return {
            **target.filled(area.values), tabs: gr.Tabs(selected=target.action.verb),
            target.stage.back: gr.Button(f"\u2190 {form.action.title}", visible=True),
            **({target.more: gr.Accordion(open=True)} if advanced else {}),
        }  # fmt: skip

    filled = form.stage.figure.click(fill, form.stage.areas, [*fields, tabs, target.stage.back, target.more], **quiet)
    start = f"() => setTimeout(() => document.getElementById('{target.start_id}').click(), 150)"
    filled.success(None, None, None, js=start, api_visibility="private")
    target.stage.back.click(
        lambda: (gr.Tabs(selected=form.action.verb), gr.Button(visible=False)), None, [tabs, target.stage.back], **quiet
    )


def _lead_on(form: ActionForm, forms: list[ActionForm], tabs: Any) -> None:
    """A button under a finished job opens the form of the action that it leads to, filled in."""
    onward = form.action.onward
    if onward is None:
        return
    target = next(other for other in forms if other.action.verb == onward.verb)
    fields = [component for widget in target.widgets for component in widget.components]

    def fill(values: Any) -> Updates:
        return {**target.filled(values), tabs: gr.Tabs(selected=onward.verb)}

    form.stage.onward.click(
        fill, form.stage.values, [*fields, tabs], api_visibility="private", show_progress="hidden", queue=False
    )


def launch(app: App) -> None:
    """Serve one app's page on this machine, until Ctrl-C."""
    from apps.studio import serve

    settings = StudioSettings()
    serve(build_page(app, settings.output), settings, busy_port_moves=True)
