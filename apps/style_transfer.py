"""Style transfer: paint a photo like a painting, make a texture, keep a style as a preset."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps._app import Action, App, Live, Onward, Values
from apps._doodles import doodles_to_try, show_guess
from apps._painting import paint, styles_of
from apps._painting_training import (
    evaluate_any,
    paint_with_any,
    paint_with_one,
    place_of_any,
    place_of_one,
    train_any,
    train_one,
)
from apps._painting_videos import paint_live, paint_video
from apps._samples import photos_to_try
from creative.options.doodles import DoodleInputs, DoodleSettings
from creative.options.instant_style import (
    EvaluateInstantStyleInputs,
    EvaluateInstantStyleSettings,
    TrainFastStyleInputs,
    TrainFastStyleSettings,
    TrainInstantStyleInputs,
    TrainInstantStyleSettings,
)
from creative.options.style_transfer import (
    PresetInputs,
    PresetSettings,
    StylizeInputs,
    StylizeSettings,
    TextureInputs,
    TextureSettings,
)
from creative.options.video_style import LiveStyleInputs, LiveStyleSettings, StyleVideoInputs, VideoStyleSettings
from creative.progress import Step

if TYPE_CHECKING:
    from creative.style_presets import Preset

CORRECT = "Correct the guessed regions"


def _make_texture(inputs: TextureInputs, settings: TextureSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.style_transfer import stylize

    chosen = StylizeSettings(**settings.model_dump())
    return stylize(None, styles_of(inputs), chosen, weights=inputs.network_weights, device=device)


def _paint_doodle(inputs: DoodleInputs, settings: DoodleSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.style_transfer import stylize
    from creative.images import open_image

    return stylize(
        None,
        open_image(inputs.style),
        StylizeSettings(**settings.model_dump()),
        content_map=open_image(inputs.map),
        style_map=open_image(inputs.style_map) if inputs.style_map else None,
        weights=inputs.network_weights,
        device=device,
    )


def _nothing_more(inputs: Any, settings: Any) -> Values:
    """To correct a map that was guessed takes that map alone."""
    return {}


def _keep_style(inputs: PresetInputs, settings: PresetSettings, device: str, out: Path) -> Generator[Step, None, Path]:
    from creative.engines.style_transfer import make_preset
    from creative.images import open_image

    if out.exists():
        raise ValueError(f"There is a preset {out} already; choose another name, or remove that file first.")
    return _saving(make_preset(open_image(inputs.picture), settings, device=device), out)


def _saving(engine: Generator[Step, None, Preset], out: Path) -> Generator[Step, None, Path]:
    from creative.style_presets import save_preset

    saved = save_preset((yield from engine), out)
    yield Step(1, 1, message=f"To paint with it: creative style PHOTO {saved.stem}")
    return saved


def _place_of_preset(inputs: PresetInputs, settings: PresetSettings) -> Path:
    from creative.weights import own_presets_folder

    return own_presets_folder() / f"{settings.name}.safetensors"


APP = App(
    name="style_transfer",
    title="Style transfer",
    summary="Paint a photo in the style of a painting.",
    actions=(
        Action(
            verb="style",
            title="Paint",
            summary="Paint a photo in the style of a painting.",
            inputs=StylizeInputs,
            settings=StylizeSettings,
            start=paint,
            batch="photo",
            examples=photos_to_try,
            videos="style-video",
            show=show_guess,
            onward=Onward("style", CORRECT, _nothing_more),
        ),
        Action(
            verb="style-video",
            title="Paint video",
            summary="Paint a video so that the strokes stay with things as they move.",
            inputs=StyleVideoInputs,
            settings=VideoStyleSettings,
            start=paint_video,
            output="video",
            live=Live(LiveStyleInputs, LiveStyleSettings, paint_live),
        ),
        Action(
            verb="texture",
            title="Make texture",
            summary="Make a new texture from a painting's strokes and colours alone.",
            inputs=TextureInputs,
            settings=TextureSettings,
            start=_make_texture,
        ),
        Action(
            verb="doodle",
            title="Doodle",
            summary="Turn a scribble in flat colours into a painting, region by region.",
            inputs=DoodleInputs,
            settings=DoodleSettings,
            start=_paint_doodle,
            examples=doodles_to_try,
            show=show_guess,
            onward=Onward("doodle", CORRECT, _nothing_more),
        ),
        Action(
            verb="preset",
            title="Keep style",
            summary="Keep a picture's style under a name, to paint with later without the picture.",
            inputs=PresetInputs,
            settings=PresetSettings,
            start=_keep_style,
            output="model",
            place=_place_of_preset,
        ),
        Action(
            verb="train fast-style",
            title="Train",
            summary="Train a network that paints at once in one painting's style, better than the one for any.",
            inputs=TrainFastStyleInputs,
            settings=TrainFastStyleSettings,
            start=train_one,
            output="folder",
            place=place_of_one,
            onward=Onward("style", "Paint with it", paint_with_one),
        ),
        Action(
            verb="train instant-style",
            title="Train for any",
            summary="Train a network that paints in any painting's style at once, on photos and paintings of your own.",
            inputs=TrainInstantStyleInputs,
            settings=TrainInstantStyleSettings,
            start=train_any,
            output="folder",
            place=place_of_any,
            page=False,
            onward=Onward("style", "Paint with it", paint_with_any),
        ),
        Action(
            verb="evaluate instant-style",
            title="Measure",
            summary="Measure a network that paints at once: style, content, grain, colours, checkerboard.",
            inputs=EvaluateInstantStyleInputs,
            settings=EvaluateInstantStyleSettings,
            start=evaluate_any,
            output="text",
            page=False,
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
