"""The feature network: train it anew, measure it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from apps._app import Action, App
from creative.options.features import (
    EvaluateFeaturesInputs,
    EvaluateFeaturesSettings,
    FeaturesInputs,
    FeaturesSettings,
)
from creative.progress import Step

if TYPE_CHECKING:
    from creative.engines.features import Evaluation


def _teachers(inputs: FeaturesInputs) -> dict[str, Path | None]:
    return {"squeezenet1_0": inputs.squeezenet, "mobilenet_v2": inputs.mobilenet}


def _train(inputs: FeaturesInputs, settings: FeaturesSettings, device: str, out: Path) -> Generator[Step, None, Path]:
    from creative.engines.features import train_features

    return train_features(inputs.data, settings, out, teachers=_teachers(inputs), device=device)


def _evaluate(
    inputs: EvaluateFeaturesInputs, settings: EvaluateFeaturesSettings, device: str
) -> Generator[Step, None, str]:
    from creative.engines.features import evaluate_features

    return _report(
        evaluate_features(
            inputs.data, settings, network=inputs.network_weights, teachers=_teachers(inputs), device=device
        )
    )


def _report(engine: Generator[Step, None, Evaluation]) -> Generator[Step, None, str]:
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
            inputs=FeaturesInputs,
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
