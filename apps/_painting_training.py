"""How the training of painters begins, where they are put, and what is kept beside them."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creative.options.instant_style import (
    EvaluateInstantStyleInputs,
    EvaluateInstantStyleSettings,
    TrainFastStyleInputs,
    TrainFastStyleSettings,
    TrainInstantStyleInputs,
    TrainInstantStyleSettings,
)
from creative.options.style_transfer import PresetSettings
from creative.progress import Step

if TYPE_CHECKING:
    from creative.style_presets import Preset

ANY = "any-painting"
"""What a network for any painting is called when nobody says."""


def train_any(
    inputs: TrainInstantStyleInputs, settings: TrainInstantStyleSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    """Train a network for any painting, or only its predictor where the bundled features are others than they were."""
    from creative.engines.instant_style import refit_predictor, train_instant_style

    start = _found(inputs.start_from)
    if inputs.old_features is not None:
        if start is None:
            raise ValueError("The old features are those of a network to start from, but none was given.")
        return refit_predictor(
            start, inputs.old_features, [*inputs.styles, *inputs.photos], settings, out, device=device
        )
    return train_instant_style(
        inputs.photos,
        inputs.styles,
        settings,
        out,
        judge_weights=inputs.judge_weights,
        start_from=start,
        device=device,
    )


def place_of_any(inputs: TrainInstantStyleInputs, settings: TrainInstantStyleSettings) -> Path:
    """Among the painters of one's own."""
    from creative.trained import own_folder

    return own_folder("painter") / (inputs.name or ANY)


def paint_with_any(inputs: TrainInstantStyleInputs, settings: TrainInstantStyleSettings) -> dict[str, Any]:
    """What the form of painting is filled in with."""
    return {"instant": True, "painter": inputs.name or ANY}


def train_one(
    inputs: TrainFastStyleInputs, settings: TrainFastStyleSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    """Train a network for one painting, and keep the painting's style as a preset of the same name.

    By that name both engines know the style: ``creative style PHOTO NAME``, with ``--instant`` and without.
    """
    from creative.engines.instant_style import train_fast_style
    from creative.engines.style_transfer import make_preset
    from creative.images import open_image
    from creative.trained import own_folder
    from creative.weights import list_presets

    painting, name = open_image(Path(inputs.painting)), name_of_one(inputs)
    engine = train_fast_style(
        painting,
        inputs.photos,
        settings,
        out,
        judge_weights=inputs.judge_weights,
        start_from=_found(inputs.start_from),
        name=name,
        device=device,
    )
    if out.resolve().parent != own_folder("painter").resolve():
        return engine
    known = name in list_presets()
    preset = None if known else make_preset(painting, PresetSettings(name=name), device=device)
    return _with_preset(engine, preset, name)


def _with_preset(
    engine: Generator[Step, None, Path], preset: Generator[Step, None, Preset] | None, name: str
) -> Generator[Step, None, Path]:
    from creative.style_presets import save_preset
    from creative.weights import own_presets_folder

    path = yield from engine
    if preset is not None:
        save_preset((yield from preset), own_presets_folder() / f"{name}.safetensors")
    yield Step(1, 1, message=f"To paint with it: creative style PHOTO {name} --instant")
    return path


def place_of_one(inputs: TrainFastStyleInputs, settings: TrainFastStyleSettings) -> Path:
    """Among the painters of one's own."""
    from creative.trained import own_folder

    return own_folder("painter") / name_of_one(inputs)


def paint_with_one(inputs: TrainFastStyleInputs, settings: TrainFastStyleSettings) -> dict[str, Any]:
    """What the form of painting is filled in with."""
    return {"instant": True, "style": name_of_one(inputs)}


def name_of_one(inputs: TrainFastStyleInputs) -> str:
    """As presets are called: ``The Wave.JPG`` as ``the-wave``."""
    words = re.findall(r"[a-z0-9]+", (inputs.name or Path(inputs.painting).stem).lower())
    return "-".join(words)[:60].strip("-") or "painting"


def evaluate_any(
    inputs: EvaluateInstantStyleInputs, settings: EvaluateInstantStyleSettings, device: str
) -> Generator[Step, None, Any]:
    """Measure a network."""
    from creative.engines.instant_style import evaluate_instant_style

    return evaluate_instant_style(
        inputs.photos,
        [Path(style) for style in inputs.styles],
        settings,
        painter=inputs.painter,
        judge_weights=inputs.judge_weights,
        sheet_file=inputs.sheet,
        device=device,
    )


def _found(painter: str | None) -> Path | None:
    from creative.trained import find_trained

    return find_trained("painter", painter) if painter else None
