"""The form of what is done to a webcam's frames, with the picture beside it.

The browser sends a frame when the one before has come back, so that nothing piles up however slow the machine is;
Gradio's own stream sends them at a steady rate, and its box says nothing of a camera that is refused.
"""

from __future__ import annotations

import html
import json
import traceback
from pathlib import Path
from typing import Any

from apps._app import Action
from apps._form_action import fields_of, read_form
from apps._form_gradio import gr
from apps._form_widgets import Widget
from apps._jobs import told
from apps._live import SIDE, STREAMS, Busy

SCRIPT = (Path(__file__).parent / "_live.js").read_text(encoding="utf-8")
MINUTES = 10
"""How long a camera is on before it has to be started again."""
ANSWERED = "(text) => { dispatchEvent(new CustomEvent('live', { detail: text })); }"


class LiveForm:
    """A form and a picture, rendered into the current layout.

    Args:
        action: one with ``live``.
        output: the folder for results.
    """

    def __init__(self, action: Action, output: Path) -> None:
        assert action.live is not None
        self.action, self.live = action, action.live
        name = f"live-{'-'.join(action.verb.split())}"
        with gr.Row(elem_classes="desk"):
            with gr.Column(scale=4, min_width=320, elem_classes="form"):
                self.inputs = fields_of(self.live.inputs, output, advanced=False)
                self.settings = fields_of(self.live.settings, output, advanced=False)
                with gr.Accordion("More settings", open=False, elem_classes="advanced") as more:
                    advanced = [
                        fields_of(record, output, advanced=True) for record in (self.live.inputs, self.live.settings)
                    ]
                self.inputs, self.settings = self.inputs + advanced[0], self.settings + advanced[1]
                more.visible = bool(advanced[0] or advanced[1])
                with gr.Row(elem_classes="act"):
                    start = gr.Button("Start the camera", variant="primary", size="lg", elem_classes="start")
                    stop = gr.Button("Stop", variant="stop", size="lg", elem_classes="stop")
            with gr.Column(scale=7, min_width=320, elem_classes="stage"):
                camera = gr.HTML(self._camera(name), js_on_load=SCRIPT, label=self.live.title, padding=False)
                answer = gr.Textbox(label="Frame", visible="hidden")
        quiet: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
        components = [component for widget in self.widgets for component in widget.components]
        camera.submit(self._answer, components, answer, trigger_mode="once", **quiet).then(
            None, answer, None, js=ANSWERED, **quiet
        )
        camera.stop(self._end, None, None, **quiet)
        for button, does in ((start, "start"), (stop, "stop")):
            tell = f"() => {{ dispatchEvent(new CustomEvent('camera', {{ detail: ['{name}', '{does}'] }})); }}"
            button.click(None, None, None, js=tell, **quiet)

    @property
    def widgets(self) -> list[Widget]:
        """In the order in which their values come."""
        return self.inputs + self.settings

    def _camera(self, name: str) -> str:
        lead = html.escape(self.live.summary)
        return (
            f'<div class="camera" data-name="{name}" data-side="{SIDE}" data-minutes="{MINUTES}">'
            f'<div class="status idle" role="status"><div><p>{lead}</p>'
            "<p>Nothing is kept of what the camera sees.</p></div></div>"
            '<figure><canvas></canvas><video muted playsinline></video><button type="button">Other camera</button>'
            "</figure></div>"
        )

    def _answer(self, request: gr.Request, event: gr.EventData, *values: Any) -> str:
        """What becomes of a frame, as JSON: a picture, or what there is to say."""
        owner = (request.session_hash, self.action.verb)
        answer: dict[str, Any] = {"name": event.name, "number": event.number}
        try:
            inputs, settings = read_form(self.live, self.inputs, self.settings, values)
            answer["picture"] = STREAMS.frame(owner, self.live, inputs, settings, str(event.frame))
        except Busy:
            answer["wait"] = "Somebody's job is running; the camera goes on after it."
        except (ValueError, OSError) as problem:
            if isinstance(problem, OSError):
                traceback.print_exc()  # on the server; the page gets a sentence
            answer["failed"] = told(problem)
        except Exception as problem:
            traceback.print_exc()
            answer["failed"] = f"This failed unexpectedly ({type(problem).__name__}); the server's log says more."
        if "failed" in answer:
            STREAMS.end(owner)
        return json.dumps(answer)

    def _end(self, request: gr.Request) -> None:
        STREAMS.end((request.session_hash, self.action.verb))
