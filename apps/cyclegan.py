"""CycleGAN: photos into paintings and back, along videos, and between any two kinds of pictures of one's own."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps._app import Action, App, Onward
from apps._results import OUT
from apps._samples import photos_to_try
from creative.options.cyclegan import (
    EvaluateCycleGANInputs,
    EvaluateCycleGANSettings,
    TrainCycleGANInputs,
    TrainCycleGANSettings,
)
from creative.options.translate import (
    ExportOnnxInputs,
    ExportOnnxSettings,
    TranslateInputs,
    TranslateSettings,
    TranslateVideoInputs,
    TranslateVideoSettings,
)
from creative.progress import Step

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.data.archives import Archive

UNPACKED = "unpacked"
"""The folder of a run for the pictures of zips."""


def _translate(inputs: TranslateInputs, settings: TranslateSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.cyclegan.translating import translate
    from creative.images import open_image

    return translate(open_image(inputs.photo[0]), settings, model=inputs.model, device=device)


def _along(
    inputs: TranslateVideoInputs, settings: TranslateVideoSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.cyclegan.along import translate_video

    return translate_video(inputs.video, out, settings, model=inputs.model, device=device)


def _export(
    inputs: ExportOnnxInputs, settings: ExportOnnxSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.cyclegan.onnx import export_onnx

    return export_onnx(out, settings, model=inputs.model)


def _place_of_onnx(inputs: ExportOnnxInputs, settings: ExportOnnxSettings) -> Path:
    path = Path(inputs.model)
    name = path.parent.name if path.name == "best.safetensors" else path.stem
    return OUT / f"{name}-{settings.direction.replace('_', '-')}.onnx"


def _train(
    inputs: TrainCycleGANInputs, settings: TrainCycleGANSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.data.archives import open_archive
    from creative.engines.cyclegan import train_cyclegan
    from creative.trained import find_trained

    start = find_trained("translator", inputs.start_from) if inputs.start_from else None
    a, b = (path if path.is_dir() else open_archive(path) for path in (inputs.a, inputs.b))
    folders = [one if isinstance(one, Path) else one.folder(out / UNPACKED) for one in (a, b)]
    if all(folder.is_dir() for folder in folders):  # what is wrong is told at once
        return train_cyclegan(folders[0], folders[1], settings, out, start_from=start, device=device)
    return _unpacked_and_trained(a, b, settings, device, out, start)


def _unpacked_and_trained(
    a: Path | Archive, b: Path | Archive, settings: TrainCycleGANSettings, device: str, out: Path, start: Path | None
) -> Generator[Step, None, Path]:
    """The zips become folders beside the run, where they are found when it goes on."""
    from creative.data.archives import unpack
    from creative.engines.cyclegan import train_cyclegan

    one = a if isinstance(a, Path) else (yield from unpack(a, out / UNPACKED))
    other = b if isinstance(b, Path) else (yield from unpack(b, out / UNPACKED))
    return (yield from train_cyclegan(one, other, settings, out, start_from=start, device=device))


def _place_of_model(inputs: TrainCycleGANInputs, settings: TrainCycleGANSettings) -> Path:
    from creative.trained import own_folder

    return own_folder("translator") / _name_of_model(inputs)


def _name_of_model(inputs: TrainCycleGANInputs) -> str:
    """``photo2monet`` of folders, or zips, called photo and monet."""
    names = [
        path.parent.name if path.stem.lower() in {"train", "test", "all"} else path.stem
        for path in (inputs.a, inputs.b)
    ]
    return inputs.name or "2".join(name or "pictures" for name in names)


def _translate_with_it(inputs: TrainCycleGANInputs, settings: TrainCycleGANSettings) -> dict[str, Any]:
    return {"model": _name_of_model(inputs)}


def _evaluate(
    inputs: EvaluateCycleGANInputs, settings: EvaluateCycleGANSettings, device: str
) -> Generator[Step, None, Any]:
    from creative.engines.cyclegan import evaluate_cyclegan

    return evaluate_cyclegan(
        inputs.a,
        inputs.b,
        settings,
        weights=inputs.network_weights,
        judge=inputs.judge_weights,
        sheet_file=inputs.sheet,
        device=device,
    )


def _show_round_trip(picture: Image) -> str:
    from apps._cycle_html import show_round_trip

    return show_round_trip(picture.info.get("round_trip"))


APP = App(
    name="cyclegan",
    title="Translate",
    summary="Turn photos into paintings and back, by networks that learned it from unpaired pictures.",
    actions=(
        Action(
            verb="translate",
            title="Translate",
            summary="Turn a photo into a painting, or a painting into a photo: any model that was trained for it.",
            inputs=TranslateInputs,
            settings=TranslateSettings,
            start=_translate,
            batch="photo",
            examples=photos_to_try,
            show=_show_round_trip,
        ),
        Action(
            verb="translate-video",
            title="Along a video",
            summary="Translate a video so that the strokes stay with things as they move.",
            inputs=TranslateVideoInputs,
            settings=TranslateVideoSettings,
            start=_along,
            output="video",
        ),
        Action(
            verb="train cyclegan",
            title="Train",
            summary="Train a model between two kinds of pictures of your own: two folders or zips, nothing else.",
            inputs=TrainCycleGANInputs,
            settings=TrainCycleGANSettings,
            start=_train,
            output="folder",
            place=_place_of_model,
            onward=Onward("translate", "Translate with it", _translate_with_it),
        ),
        Action(
            verb="evaluate cyclegan",
            title="Measure",
            summary="Measure a model on held-out pictures, against untouched ones, matched colours and the floor.",
            inputs=EvaluateCycleGANInputs,
            settings=EvaluateCycleGANSettings,
            start=_evaluate,
            output="text",
            page=False,
        ),
        Action(
            verb="export-onnx",
            title="Export",
            summary="Take a model elsewhere: one direction of it as an ONNX file, for programs without PyTorch.",
            inputs=ExportOnnxInputs,
            settings=ExportOnnxSettings,
            start=_export,
            output="model",
            place=_place_of_onnx,
            page=False,
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
