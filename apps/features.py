"""The feature network: train it anew, measure it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from apps._app import Action, App
from apps._results import OUT
from creative.options.features import (
    ClassifierSettings,
    EvaluateFeaturesInputs,
    EvaluateFeaturesSettings,
    FeaturesInputs,
    FeaturesSettings,
    TrainClassifierInputs,
    TrainFeaturesInputs,
)
from creative.progress import Step

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.engines.features import Artist, Evaluation, Painter
    from creative.options.style_transfer import Network


def _teachers(inputs: FeaturesInputs) -> dict[str, Path | None]:
    return {"squeezenet1_0": inputs.squeezenet, "mobilenet_v2": inputs.mobilenet}


def _train(
    inputs: TrainFeaturesInputs, settings: FeaturesSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.features import train_features

    teachers = _teachers(inputs)
    return train_features(inputs.data, settings, out, teachers=teachers, start_from=inputs.start_from, device=device)


def _train_classifier(
    inputs: TrainClassifierInputs, settings: ClassifierSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.features import train_classifier

    return train_classifier(
        inputs.data,
        settings,
        out,
        teachers=_teachers(inputs),
        network=inputs.network_weights,
        cache=OUT / "train-classifier",
        device=device,
    )


def _evaluate(
    inputs: EvaluateFeaturesInputs, settings: EvaluateFeaturesSettings, device: str
) -> Generator[Step, None, Evaluation]:
    if len(inputs.photos) != len(inputs.paintings):
        raise ValueError(
            f"There are {len(inputs.photos)} photos and {len(inputs.paintings)} paintings; each photo needs a painting."
        )
    from creative.engines.features import Material, evaluate_features, save_untrained
    from creative.images import check_output, open_image

    if inputs.sheet is not None:
        check_output(inputs.sheet)
    cache = OUT / "evaluate-features"
    untrained = save_untrained(cache / "untrained.safetensors", inputs.network_weights)
    material = Material(
        data=inputs.data,
        pairs=[(open_image(a), open_image(b)) for a, b in zip(inputs.photos, inputs.paintings, strict=True)],
        painters=_painters(inputs, settings, untrained, device),
        artists=_artists(inputs, settings, untrained, device),
        scenes=inputs.scenes,
        untrained=untrained,
    )
    engine = evaluate_features(
        material,
        settings,
        network=inputs.network_weights,
        teachers=_teachers(inputs),
        cache=cache,
        device=device,
    )
    return _with_sheet(engine, inputs.sheet)


def _painters(
    inputs: EvaluateFeaturesInputs, settings: EvaluateFeaturesSettings, untrained: Path, device: str
) -> dict[str, Painter]:
    """What paints with the network, with SqueezeNet and with random weights of the network's shape."""
    from creative.engines.style_transfer import stylize
    from creative.options.style_transfer import StylizeSettings

    usual = StylizeSettings(size=settings.paint_size, seed=settings.seed)

    def painter(network: Network, weights: Path | None, strength: float = usual.strength) -> Painter:
        chosen = usual.changed(network=network, strength=strength)
        return lambda photo, painting: stylize(photo, painting, chosen, weights=weights, device=device)

    own = inputs.network_weights
    return {
        "bundled": painter("bundled", own),
        **{f"bundled, strength {one:g}": painter("bundled", own, one) for one in settings.strengths},
        "squeezenet1_0": painter("squeezenet1_0", inputs.squeezenet),
        "random weights": painter("bundled", untrained),
    }


def _artists(
    inputs: EvaluateFeaturesInputs, settings: EvaluateFeaturesSettings, untrained: Path, device: str
) -> dict[str, Artist]:
    """What draws with the network, with SqueezeNet and with random weights of the network's shape."""

    def artist(network: Network, weights: Path | None) -> Artist:
        return lambda objectives: _draw(objectives, network, weights, settings, device)

    return {
        "bundled": artist("bundled", inputs.network_weights),
        "squeezenet1_0": artist("squeezenet1_0", inputs.squeezenet),
        "random weights": artist("bundled", untrained),
    }


def _draw(
    objectives: Sequence[str], network: Network, weights: Path | None, settings: EvaluateFeaturesSettings, device: str
) -> Generator[Step, None, list[Image]]:
    from creative.engines.feature_visualization import draw
    from creative.options.feature_visualization import VisualizeSettings

    chosen = VisualizeSettings(
        objectives=tuple(objectives),
        size=settings.drawing_size,
        steps=settings.drawing_steps,
        network=network,
        seed=settings.seed,
    )
    return (yield from draw(chosen, weights=weights, device=device)).pictures


def _with_sheet(engine: Generator[Step, None, Evaluation], path: Path | None) -> Generator[Step, None, Evaluation]:
    """The report, and a picture of what was drawn where one is asked for."""
    from creative.images import save_image

    found = yield from engine
    picture = _sheet(found)
    if path is not None and picture is not None:
        save_image(picture, path)
        yield Step(1, 1, found.metrics(), lambda: found, f"What it draws is in {path}.")
    return found


def _sheet(found: Evaluation) -> Image | None:
    """What the network draws: classes with what the teacher sees in them, then channels, stage by stage."""
    from creative.engines.feature_visualization import sheet

    if not found.drawn:
        return None
    drawings = next(iter(found.drawn.values())).drawings
    return sheet([one.picture for one in drawings], [one.label for one in drawings], columns=8)


def _show(found: Evaluation) -> str:
    """The tables, and what the network draws."""
    parts = []
    for table in found.tables():
        head, *rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in (table.head, *table.rows))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        note = f"<p class='soft'>{html.escape(table.note)}</p>" if table.note else ""
        about = html.escape(table.about)
        parts.append(f"<p>{about}</p><table><tr>{head.replace('td>', 'th>')}</tr>{body}</table>{note}")
    picture = _sheet(found)
    if picture is not None:
        file = io.BytesIO()
        picture.save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        parts.append(f'<figure><img src="data:image/png;base64,{data}" alt="What it draws"></figure>')
    return "".join(parts)


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
            verb="train classifier",
            title="Name things",
            summary="Fit the feature network's classifier to two ImageNet networks; what it sees stays as it is.",
            inputs=TrainClassifierInputs,
            settings=ClassifierSettings,
            start=_train_classifier,
            output="model",
            page=False,
        ),
        Action(
            verb="evaluate features",
            title="Measure",
            summary="Measure a feature network: what it recognises, knows of its teachers, costs, draws and paints.",
            inputs=EvaluateFeaturesInputs,
            settings=EvaluateFeaturesSettings,
            start=_evaluate,
            output="text",
            page=False,
            show=_show,
        ),
    ),
)
