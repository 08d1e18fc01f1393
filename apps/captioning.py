"""Captioning: a network looks at pictures and writes a sentence about each; train one, measure one."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from apps._app import Action, App, Values
from apps._samples import sample_photo, sample_titles
from creative.options.caption import (
    CaptionInputs,
    CaptionSettings,
    EvaluateCaptionInputs,
    EvaluateCaptionSettings,
    TrainCaptionInputs,
    TrainCaptionSettings,
)
from creative.progress import Step


def _caption(inputs: CaptionInputs, settings: CaptionSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.captioning import caption

    return _checked(inputs, caption(inputs.pictures, settings, model=inputs.model, device=device))


def _checked(inputs: CaptionInputs, captioning: Generator[Step, None, Any]) -> Generator[Step, None, Any]:
    """What was said, and of drawn scenes whether it is true."""
    from apps._caption_scenes import check, told

    captions = check((yield from captioning), inputs.pictures)
    if (verdict := told(captions)) is not None:
        count = len(captions.descriptions)
        yield Step(count, count, message=verdict)
    return captions


def _train(
    inputs: TrainCaptionInputs, settings: TrainCaptionSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.captioning import train_caption

    return train_caption(
        inputs.data,
        settings,
        out,
        pictures=inputs.pictures,
        others=inputs.others,
        start_from=inputs.start_from,
        network_weights=inputs.network_weights,
        device=device,
    )


def _evaluate(
    inputs: EvaluateCaptionInputs, settings: EvaluateCaptionSettings, device: str
) -> Generator[Step, None, Any]:
    from creative.engines.captioning import evaluate_caption

    return evaluate_caption(
        inputs.model, inputs.data, settings, pictures=inputs.pictures, others=inputs.others, device=device
    )


def _show(captions: Any) -> str:
    from apps._caption_html import show_captions

    return show_captions(captions, getattr(captions, "verdicts", None))


def _table(captions: Any) -> str:
    return str(captions.csv)


def _report(captions: Any) -> dict[str, Any]:
    report: dict[str, Any] = captions.to_json()
    return report


def _examples(folder: Path) -> Mapping[str, Values | Callable[[], Values]]:
    """A scene that is drawn anew at each click, and a photo of what no bundled captioner has ever seen."""

    def scene() -> Values:
        from apps._caption_scenes import save_scene

        return {"pictures": save_scene(random.SystemRandom().randrange(10**6), folder / "scenes"), "model": None}

    from creative.trained import list_trained

    title = sample_titles()[0]
    photo = sample_photo(title, folder / f"{title.lower()}.png")
    scenes: dict[str, Values | Callable[[], Values]] = (
        {"A new scene": scene} if "scenes" in list_trained("captioner") else {}
    )
    return {**scenes, f"A {title.lower()} it knows nothing of": {"pictures": photo, "model": None}}


APP = App(
    name="captioning",
    title="Caption",
    summary="A network looks at a picture and says in a sentence what it sees, and where.",
    actions=(
        Action(
            verb="caption",
            title="Caption",
            summary="Say in a sentence what is in a picture, word by word with where it is seen.",
            inputs=CaptionInputs,
            settings=CaptionSettings,
            start=_caption,
            output="text",
            together="pictures",
            examples=_examples,
            show=_show,
            shows_all=True,
            table=_table,
            report=_report,
        ),
        Action(
            verb="train caption",
            title="Train",
            summary="Train a captioner on pictures with sentences of your own, or on drawn scenes.",
            inputs=TrainCaptionInputs,
            settings=TrainCaptionSettings,
            start=_train,
            output="folder",
            page=False,
        ),
        Action(
            verb="evaluate caption",
            title="Measure",
            summary="Measure a captioner's sentences against people's, or against the truth about drawn scenes.",
            inputs=EvaluateCaptionInputs,
            settings=EvaluateCaptionSettings,
            start=_evaluate,
            output="text",
            page=False,
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
