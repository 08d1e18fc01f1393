"""The feature network: train it anew, measure it."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from apps._app import Action, App
from creative.options.features import (
    EvaluateFeaturesInputs,
    EvaluateFeaturesSettings,
    FeaturesInputs,
    FeaturesSettings,
    TrainFeaturesInputs,
)
from creative.progress import Step

if TYPE_CHECKING:
    from creative.engines.features import Evaluation, Painter


def _teachers(inputs: FeaturesInputs) -> dict[str, Path | None]:
    return {"squeezenet1_0": inputs.squeezenet, "mobilenet_v2": inputs.mobilenet}


def _train(
    inputs: TrainFeaturesInputs, settings: FeaturesSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.features import train_features

    teachers = _teachers(inputs)
    return train_features(inputs.data, settings, out, teachers=teachers, start_from=inputs.start_from, device=device)


def _evaluate(
    inputs: EvaluateFeaturesInputs, settings: EvaluateFeaturesSettings, device: str
) -> Generator[Step, None, str]:
    if len(inputs.photos) != len(inputs.paintings):
        raise ValueError(
            f"There are {len(inputs.photos)} photos and {len(inputs.paintings)} paintings; each photo needs a painting."
        )
    from creative.engines.features import evaluate_features
    from creative.images import open_image

    folder = tempfile.TemporaryDirectory(prefix="creative-")
    engine = evaluate_features(
        inputs.data,
        settings,
        network=inputs.network_weights,
        teachers=_teachers(inputs),
        pairs=[(open_image(a), open_image(b)) for a, b in zip(inputs.photos, inputs.paintings, strict=True)],
        painters=_painters(inputs, settings, device, Path(folder.name)),
        device=device,
    )
    return _report(engine, folder)


def _painters(
    inputs: EvaluateFeaturesInputs, settings: EvaluateFeaturesSettings, device: str, folder: Path
) -> dict[str, Painter]:
    """What paints with the network, with SqueezeNet and with random weights of the network's shape."""
    from creative.engines.features import save_untrained
    from creative.engines.style_transfer import stylize
    from creative.options.style_transfer import Network, StylizeSettings

    def painter(network: Network, weights: Path | None) -> Painter:
        chosen = StylizeSettings(network=network, size=settings.paint_size)
        return lambda photo, painting: stylize(photo, painting, chosen, weights=weights, device=device)

    return {
        "bundled": painter("bundled", inputs.network_weights),
        "squeezenet1_0": painter("squeezenet1_0", inputs.squeezenet),
        "random weights": painter("bundled", save_untrained(folder / "untrained.safetensors")),
    }


def _report(
    engine: Generator[Step, None, Evaluation], folder: tempfile.TemporaryDirectory[str]
) -> Generator[Step, None, str]:
    with folder:
        return str((yield from engine))


APP = App(
    name="features",
    title="Feature network",
    summary="The network by which the suite sees: train it anew, measure it.",
    actions=(
        Action(
            verb="train features",
            title="Train",
            summary="Train the bundled feature network anew from two ImageNet networks on folders of pictures.",
            inputs=TrainFeaturesInputs,
            settings=FeaturesSettings,
            start=_train,
            output="folder",
            page=False,
        ),
        Action(
            verb="evaluate features",
            title="Measure",
            summary="Measure a feature network: what it recognises, what it knows of its teachers, what it costs.",
            inputs=EvaluateFeaturesInputs,
            settings=EvaluateFeaturesSettings,
            start=_evaluate,
            output="text",
            page=False,
        ),
    ),
)
