"""Style presets and trained networks on offer, kept as they are now: one may have been made meanwhile."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Sequence
from typing import Any

from apps._form_action import ActionForm
from apps._form_gradio import gr
from apps._form_live import LiveForm
from apps._form_widgets import OWN, Widget, preset_choices, preset_names, spoken, trained_choices


def offer_presets(page: gr.Blocks, forms: Sequence[ActionForm], live: Sequence[LiveForm] = ()) -> None:
    """Keep the presets on offer, their titles and their swatches as they are now: one may have been made meanwhile."""
    widgets = [w for w in _widgets(forms, live) if w.field.file == "style"]
    if not widgets:
        return
    pictures = gr.HTML(elem_classes="hidden")

    def offer() -> list[Any]:
        titles, sheet = _presets()
        return [sheet, *(gr.update(choices=preset_choices(w.field, titles), visible=bool(titles)) for w in widgets)]

    choices = [pictures, *(w.components[0] for w in widgets)]
    events = [page.load, *(form.done.then for form in forms if form.action.output in {"model", "folder"})]
    for event in events:
        event(offer, None, choices, api_visibility="private", show_progress="hidden")


def offer_trained(page: gr.Blocks, forms: Sequence[ActionForm], live: Sequence[LiveForm] = ()) -> None:
    """Keep the trained networks on offer as they are now."""
    widgets = [w for w in _widgets(forms, live) if w.field.file in OWN]
    if not widgets:
        return

    def offer() -> list[Any]:
        return [gr.update(choices=trained_choices(w.field)) for w in widgets]

    events = [page.load, *(form.done.then for form in forms if form.action.output in {"model", "folder"})]
    for event in events:
        event(offer, None, [w.components[0] for w in widgets], api_visibility="private", show_progress="hidden")


def _widgets(forms: Sequence[ActionForm], live: Sequence[LiveForm]) -> list[Widget]:
    return [w for form in forms for w in form.widgets] + [w for form in live for w in form.widgets]


def _presets() -> tuple[dict[str, str], str]:
    """The presets' titles by name, and a style sheet that gives each one's button its picture."""
    from creative.style_presets import load_preset

    titles: dict[str, str] = {}
    rules = ['.swatches input[value=""]{background-image:none!important}']
    for name in preset_names():
        with contextlib.suppress(ValueError, OSError):  # a broken one is not offered
            preset = load_preset(name)
            titles[name] = preset.title or spoken(name)
            if preset.swatch is not None:
                file = io.BytesIO()
                preset.swatch.convert("RGB").save(file, "WEBP", quality=80)
                picture = f"url(data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()})"
                rules.append(f'.swatches input[value="{name}"]{{background-image:{picture}!important}}')
    return titles, f"<style>{''.join(rules)}</style>"
