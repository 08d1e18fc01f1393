"""Feature visualization: gradient ascent on a picture until a network sees in it as much as possible of one thing.

Olah, Mordvintsev, Schubert, Feature Visualization, 2017, https://distill.pub/2017/feature-visualization. Four parts that
go with one another in any combination, and one loop:

    pictures = FourierPictures([random_generator(0)], 224, 224)                                  # parameterisation
    score = Score([Channel("relu4_1", 17)], load_features(layers=["relu4_1"]))                   # objective
    robust = robust_transforms(jitter=8, rotate=10)                                              # transforms
    optimizer = torch.optim.Adam(pictures.parameters(), lr=0.05)                                 # optimiser
    run(ascend(pictures, score, robust, optimizer, steps=128))
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from creative.device import choose_device, fast_dtype, random_generator
from creative.engines.feature_visualization.measure import (
    Score,
    channels_of_sheet,
    check_objectives,
    layers_of,
    needs_classifier,
)
from creative.engines.feature_visualization.parameterization import FourierPictures, Parameterization, PixelPictures
from creative.engines.feature_visualization.redirect import redirected
from creative.engines.feature_visualization.sheet import sheet
from creative.engines.feature_visualization.transforms import Transform, robust_transforms
from creative.images import to_image
from creative.models.features import Classifier, Features, load_classifier, load_features
from creative.options.feature_visualization import VisualizeSettings
from creative.options.objectives import Channel, Layer, Objective, channel_range, parse_objective
from creative.progress import Step
from creative.provenance import describe_run

REDIRECTED_STEPS = 16
"""First steps, a quarter of all at most, in which a picture that excites nothing yet is helped on."""
BATCH_PIXELS = 8 * 256 * 256
"""Pixels drawn at once unless the settings say otherwise: more fill the caches of a processor to no gain."""


def ascend(
    pictures: Parameterization,
    score: Score,
    transforms: Transform,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    generators: Sequence[torch.Generator] | None = None,
) -> Generator[Step, None, Tensor]:
    """Make the score of each picture larger, step by step; the result is the pictures, (B, 3, H, W) in [0, 1].

    The learning rate falls along half a cosine to a tenth, so that the pictures come to rest.

    Args:
        pictures: what is changed.
        score: gives each picture's value; its objectives are as many as the pictures.
        transforms: what is done to the pictures before they are looked at, anew at each step.
        optimizer: of the parameters of ``pictures``.
        steps: how many.
        generators: of the transforms, one for each picture; None: all from the seed 0.
    """
    generators = generators or [random_generator(0) for _ in score.objectives]
    rates = [group["lr"] for group in optimizer.param_groups]
    redirected_until = min(REDIRECTED_STEPS, steps // 4)
    for done in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (0.1 + 0.9 * (1 + math.cos(math.pi * done / steps)) / 2)
        optimizer.zero_grad(set_to_none=True)
        with redirected(done < redirected_until):
            values = score(transforms(pictures(), generators))
            (-values.sum()).backward()
        optimizer.step()
        yield Step(
            done + 1, steps, metrics={"objective": float(values.detach().mean())}, preview=lambda: pictures().detach()
        )
    return pictures().detach()


@dataclass(frozen=True)
class Plan:
    """The pictures that settings ask for, in the order of the sheet; ``group`` neighbours are variants of one thing."""

    objectives: list[Objective]
    labels: list[str]
    beginnings: list[int]
    group: int = 1
    morph: bool = False
    batches: list[range] = field(default_factory=list)


def plan(settings: VisualizeSettings, weights: str | Path | None = None) -> Plan:
    """What is to be drawn, once it is clear that the network has it all.

    Raises:
        ValueError: an objective names a layer, a channel or a class that is not there.
    """
    objectives: list[Objective] = []
    for text in settings.objectives:
        listed = channel_range(text)
        one = None if listed else parse_objective(text)
        if listed:
            objectives += [Channel(listed[0], channel) for channel in listed[1]]
        elif isinstance(one, Layer):
            objectives += channels_of_sheet(one.layer, settings.channels, settings.network, weights)
        elif one is not None:
            objectives.append(one)
    towards = parse_objective(settings.towards) if settings.towards is not None else None
    check_objectives([*objectives, *([towards] if towards else [])], settings.network, weights)
    if towards:
        frames = [number / (settings.frames - 1) for number in range(settings.frames)]
        first = objectives[0]
        made = [
            first if share == 0 else towards if share == 1 else (1 - share) * first + share * towards
            for share in frames
        ]
        labels = [f"{1 - share:.0%}" for share in frames]
        labels[0], labels[-1] = str(first), str(towards)
        return _batched(Plan(made, labels, [0] * len(made), len(made), morph=True), settings)
    variants = settings.variants
    return _batched(
        Plan(
            [objective for objective in objectives for _ in range(variants)],
            [str(objective) for objective in objectives for _ in range(variants)],
            [variant for _ in objectives for variant in range(variants)],
            variants,
        ),
        settings,
    )


def _batched(whole: Plan, settings: VisualizeSettings) -> Plan:
    """Variants and frames of one thing stay together, whatever the size of a batch: they look at one another."""
    room = settings.batch or max(1, BATCH_PIXELS // (settings.size + 2 * settings.pad) ** 2)
    size = max(1, room // whole.group) * whole.group
    count = len(whole.objectives)
    return Plan(
        whole.objectives,
        whole.labels,
        whole.beginnings,
        whole.group,
        whole.morph,
        [range(start, min(start + size, count)) for start in range(0, count, size)],
    )


def visualize(
    objectives: str | Objective | Sequence[str | Objective] | None = None,
    settings: VisualizeSettings = VisualizeSettings(),
    *,
    weights: str | Path | None = None,
    device: str | None = None,
) -> Generator[Step, None, Image.Image]:
    """Draw what a network looks for: one picture, or a sheet of many.

        run(visualize("relu4_1:17 - 0.5 * relu3_1:4", VisualizeSettings(size=320)))

    Args:
        objectives: in place of those of the settings: texts, or objectives (``creative.options.objectives``).
        settings: how.
        weights: a file of weights for the network, in place of its own.
        device: where to compute.

    Raises:
        ValueError: at the call: a network, layer, channel or class that is not there, or weights that are missing.
    """
    if objectives is not None:
        many = [objectives] if isinstance(objectives, str | Objective) else list(objectives)
        settings = settings.changed(objectives=tuple(str(objective) for objective in many))
    drawing = draw(settings, weights=weights, device=device)
    return _sheet_of(drawing, plan(settings, weights), settings)


def _sheet_of(
    drawing: Generator[Step, None, Drawn], planned: Plan, settings: VisualizeSettings
) -> Generator[Step, None, Image.Image]:
    drawn = yield from drawing
    image = _arranged(drawn.pictures, planned, settings)
    image.info["provenance"] = describe_run(
        "visualize",
        settings,
        weights={settings.network: drawn.weights},
        device=drawn.device,
        inputs={"network_weights": drawn.source} if drawn.source else {},
    )
    return image


@dataclass(frozen=True)
class Drawn:
    """Pictures in the order of the plan, and what they were made with."""

    pictures: list[Image.Image]
    values: list[float]
    weights: str
    device: torch.device
    source: dict[str, str] | None = None


def draw(
    settings: VisualizeSettings, *, weights: str | Path | None = None, device: str | None = None
) -> Generator[Step, None, Drawn]:
    """The pictures that ``visualize`` makes a sheet of, one by one; arguments and errors are the same."""
    planned = plan(settings, weights)
    place = choose_device(device or "auto")
    find_weights(settings.network, weights)
    return _drawing(planned, settings, weights, place)


def find_weights(network: str, weights: str | Path | None) -> Path:
    """Where a network's weights are, or the sentence that says how to get them."""
    from creative.weights import find

    return find("features" if network == "bundled" else network, weights)


def _drawing(
    planned: Plan, settings: VisualizeSettings, weights: str | Path | None, device: torch.device
) -> Generator[Step, None, Drawn]:
    total = settings.steps * len(planned.batches)
    yield Step(0, total)
    network = _load(planned.objectives, settings.network, weights, device)
    features = network.features if isinstance(network, Classifier) else network
    dtype = _dtype(settings.precision, device)
    network = network.to(dtype)
    finished: list[Image.Image] = []
    values: list[float] = []

    for number, batch in enumerate(planned.batches):
        objectives = [planned.objectives[index] for index in batch]
        beginnings = [settings.seed + planned.beginnings[index] for index in batch]
        pictures = make_pictures(settings, beginnings, common=planned.morph, device=device)
        score = Score(
            objectives,
            network,
            diversity=0.0 if planned.morph else settings.diversity,
            group=planned.group,
            dtype=dtype,
        )
        engine = ascend(
            pictures,
            score,
            robust_transforms(
                jitter=settings.jitter, scale=settings.scale, rotate=settings.rotate, pad=settings.pad
            ),
            torch.optim.Adam(pictures.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99)),
            steps=settings.steps,
            generators=[random_generator(beginning) for beginning in beginnings],
        )
        while True:
            try:
                step = next(engine)
            except StopIteration as end:
                finished += [to_image(picture) for picture in end.value]
                break

            def preview(step: Step = step) -> Image.Image:
                assert step.preview is not None
                return _arranged([*finished, *(to_image(picture) for picture in step.preview())], planned, settings)

            values_now = dict(step.metrics)
            yield Step(number * settings.steps + step.done, total, values_now, preview)
        values.append(values_now["objective"])
    source = None
    if weights is not None:
        source = {"file": Path(weights).name, "sha256": features.sha256}
    return Drawn(finished, values, features.sha256, device, source)


def make_pictures(
    settings: VisualizeSettings, seeds: Sequence[int], *, common: bool, device: torch.device
) -> Parameterization:
    """The parameterisation that the settings name, each picture from the noise of its seed."""
    generators = [random_generator(seed) for seed in seeds]
    size, decorrelate = settings.size, settings.decorrelate
    if settings.parameterization == "pixels":
        return PixelPictures(generators, size, size, decorrelate=decorrelate, common=common, device=device)
    return FourierPictures(
        generators, size, size, decay=settings.decay, decorrelate=decorrelate, common=common, device=device
    )


def _load(
    objectives: Sequence[Objective], network: str, weights: str | Path | None, device: torch.device
) -> Features | Classifier:
    layers = layers_of(objectives)
    if needs_classifier(objectives):
        return load_classifier(network, layers=layers, weights=weights, device=device)
    return load_features(network, layers=layers, weights=weights, device=device)


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.bfloat16 if fast_dtype(device) is torch.bfloat16 else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def _arranged(pictures: Sequence[Image.Image], planned: Plan, settings: VisualizeSettings) -> Image.Image:
    columns = settings.columns or (len(planned.objectives) if planned.morph else None)
    if columns is None and planned.group > 1:
        columns = planned.group if len(planned.objectives) > planned.group else None
    labels = planned.labels if settings.labels else None
    return sheet(pictures, labels, columns=columns, places=len(planned.objectives))
