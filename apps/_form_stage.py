"""The stage beside a form: where the work is watched and what was made is seen. The style sheet shows what the status
line says there is."""

from __future__ import annotations

from typing import Any

from apps._app import Action
from apps._form_gradio import gr
from apps._jobs import line
from apps._views import View

AREAS = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-area]");
  if (button) trigger("click", { area: Number(button.dataset.area) });
});"""


class Stage:
    """What a job's views are shown in, rendered into the current column."""

    def __init__(self, action: Action, lead: str) -> None:
        self.back = gr.Button("Back", size="sm", visible=False, elem_classes="back")
        self.status = gr.HTML(line("idle", [lead], keys=True), elem_classes="said", label="Status")
        self.preview = gr.Image(
            type="filepath", interactive=False, show_label=False, container=False, buttons=["fullscreen"],
            label="Picture", elem_classes="preview", visible=action.output != "text",
        )  # fmt: skip
        self.video = gr.Video(
            label="Video", interactive=False, show_label=False, container=False, loop=True, visible=False,
            elem_classes="film", render=action.output == "video",
        )  # fmt: skip
        self.figure = gr.HTML(
            elem_classes="figure", label="Picture to click" if action.clicks else "Before and after", js_on_load=AREAS
        )
        self.areas = gr.State(())
        self.curves = gr.HTML(label="Curves", elem_classes="curves", render=action.output == "folder")
        self.several = gr.Gallery(
            label="Results", show_label=False, columns=2, object_fit="contain", height="auto", interactive=False,
            container=False, buttons=["download", "fullscreen"], elem_classes="several",
            render=action.batch is not None and action.output == "image",
        )  # fmt: skip
        self.text = gr.Textbox(
            label="Text", show_label=False, placeholder=" ", lines=5, max_lines=40, interactive=False, buttons=["copy"],
            elem_classes="written", visible=action.output == "text",
        )  # fmt: skip
        self.score, self.total = gr.State((0, 0)), gr.State((0, 0))
        self.tally = gr.HTML(label="Score", elem_classes="tally", render=action.score is not None)
        with gr.Row(elem_classes="keep"):
            self.download = gr.DownloadButton("Download", size="md", elem_classes="download")
            self.page = gr.DownloadButton(
                "Download as a page", size="md", elem_classes="download page", render=action.show is not None
            )
        self.values = gr.State({})
        self.onward = gr.Button(
            action.onward.title if action.onward else "Go on", variant="primary", elem_classes="onward",
            render=action.onward is not None,
        )  # fmt: skip
        self.shown = gr.HTML(label="More of it", elem_classes="showing", render=action.show is not None)
        with gr.Accordion("How it was made", open=False, elem_classes="made"):
            self.made = gr.JSON(label="How it was made", show_label=False, container=False, max_height=400)
        self.outputs: dict[str, Any] = {
            "status": self.status, "preview": self.preview, "figure": self.figure, "text": self.text,
            "download": self.download, "made": self.made,
        }  # fmt: skip
        if action.output == "video":
            self.outputs["video"] = self.video
        if action.batch is not None and action.output == "image":
            self.outputs["several"] = self.several
        if action.clicks is not None:
            self.outputs["areas"] = self.areas
        if action.output == "folder":
            self.outputs["curves"] = self.curves
        if action.onward is not None:
            self.outputs["onward"] = self.values
        if action.score is not None:
            self.outputs["score"] = self.score
        if action.show is not None:
            self.outputs |= {"shown": self.shown, "page": self.page}

    def updates(self, view: View) -> dict[Any, Any]:
        """A view as changes of components."""
        changed = {self.outputs[name]: value for name, value in view.items() if name in self.outputs}
        if not self.text.visible and "text" in view:  # the sample of a model that learns to write
            changed[self.text] = gr.Textbox(view["text"], visible=True)
        if "score" in self.outputs:
            changed[self.score] = view.get("score", (0, 0))
        return changed

    def keep_score(self, done: Any) -> None:
        """Add the score of each job that is done to those before it in this visit."""

        def add(score: tuple[int, int], total: tuple[int, int]) -> tuple[tuple[int, int], str]:
            right, answers = (new + old for new, old in zip(score, total, strict=True))
            told = f"<p>On this visit <b>{right}</b> of <b>{answers}</b> right</p>" if answers else ""
            return (right, answers), told

        if "score" in self.outputs:
            done.success(
                add, [self.score, self.total], [self.total, self.tally],
                api_visibility="private", show_progress="hidden", queue=False,
            )  # fmt: skip
