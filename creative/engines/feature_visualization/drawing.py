"""Feature visualization: gradient ascent on a picture until a network sees in it as much as possible of one thing.

Olah, Mordvintsev, Schubert, Feature Visualization, 2017, https://distill.pub/2017/feature-visualization. Four parts
that go with one another in any combination, and one loop:

    pictures = FourierPictures([random_generator(0)], 224, 224)                                  # parameterisation
    score = Score([Channel("relu4_1", 17)], load_features(layers=["relu4_1"]))                   # objective
    robust = robust_transforms(jitter=8, rotate=10)                                              # transforms
    optimizer = Adam(pictures.parameters(), lr=0.1)                                              # optimiser
    run(ascend(pictures, score, robust, optimizer, steps=128))
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from creative.device import choose_device, fast_dtype, random_generator
from creative.engines.feature_visualization.measure import Between, Score, load_network
from creative.engines.feature_visualization.parameterization import FourierPictures, Parameterization, PixelPictures
from creative.engines.feature_visualization.plan import Plan, asked_for, make_plan
from creative.engines.feature_visualization.redirect import Redirected
from creative.engines.feature_visualization.transforms import Transform, robust_transforms
from creative.images import to_image
from creative.models.features import Classifier, Features
from creative.optimizers import Adam, Optimizer
from creative.options.feature_visualization import VisualizeSettings
from creative.options.objectives import Objective
from creative.progress import Step
from creative.provenance import describe_run

REDIRECTED_STEPS = 16
"""First steps, half of all at most, in which a picture that excites nothing yet is helped on."""


def ascend(
    pictures: Parameterization,
    score: Callable[[Tensor], Tensor],
    transforms: Transform,
    optimizer: Optimizer,
    *,
    steps: int,
    generators: Sequence[torch.Generator] | None = None,
) -> Generator[Step, None, Tensor]:
    """Make the score of each picture larger, step by step; the result is the pictures, (B, 3, H, W) in [0, 1].

    The learning rate falls along half a cosine to a tenth, so that the pictures come to rest.

    Args:
        pictures: what is changed.
        score: gives each picture's value, (B, 3, H, W) -> (B,), such as a ``Score``.
        transforms: what is done to the pictures before they are looked at, anew at each step.
        optimizer: of the parameters of ``pictures``.
        steps: how many.
        generators: of the transforms, one for each picture; None: all from the seed 0.
    """
    generators = generators or [random_generator(0) for _ in pictures.own]
    rates = [group["lr"] for group in optimizer.param_groups]
    redirected_until = min(REDIRECTED_STEPS, steps // 2)
    redirected = Redirected()
    for done in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (0.1 + 0.9 * (1 + math.cos(math.pi * done / steps)) / 2)
        optimizer.zero_grad(set_to_none=True)
        redirected.helped = False
        with redirected if done < redirected_until else contextlib.nullcontext():
            values = score(transforms(pictures(), generators))
            (-values.sum()).backward()
        optimizer.step()
        if not redirected.helped:
            redirected_until = 0
        yield Step(
            done + 1, steps, metrics={"objective": float(values.detach().mean())}, preview=lambda: pictures().detach()
        )
    return pictures().detach()


def visualize(
    objectives: str | Objective | Sequence[str | Objective] | None = None,
    settings: VisualizeSettings = VisualizeSettings(),  # noqa: B008 (frozen)
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
    return _sheet_of(draw(settings, weights=weights, device=device), settings)


def _sheet_of(drawing: Generator[Step, None, Drawn], settings: VisualizeSettings) -> Generator[Step, None, Image.Image]:
    drawn = yield from drawing
    image = drawn.plan.arrange(drawn.pictures)
    image.info["provenance"] = describe_run(
        "visualize",
        settings,
        weights={settings.network: drawn.weights_sha256},
        device=drawn.device,
        inputs={"network_weights": drawn.weights_source},
    )
    return image


@dataclass(frozen=True)
class Drawn:
    """Pictures in the order of their plan, and what they were made with."""

    pictures: list[Image.Image]
    plan: Plan
    device: torch.device
    weights_sha256: str
    weights_source: dict[str, str] | None


def draw(
    settings: VisualizeSettings, *, weights: str | Path | None = None, device: str | None = None
) -> Generator[Step, None, Drawn]:
    """The pictures that ``visualize`` makes a sheet of, one by one; arguments and errors are the same."""
    place = choose_device(device or "auto")
    network = load_network(asked_for(settings), settings.network, weights, place)
    planned = make_plan(settings, network)
    features = network.features if isinstance(network, Classifier) else network
    if settings.size + 2 * settings.pad < features.min_size:
        raise ValueError(
            f"size must be at least {features.min_size - 2 * settings.pad} for {settings.network} up to "
            f"{features.layers[-1]}, but is {settings.size}."
        )
    return _drawing(planned, settings, network, None if weights is None else Path(weights).name, place)


def _drawing(
    planned: Plan, settings: VisualizeSettings, network: Features | Classifier, file: str | None, device: torch.device
) -> Generator[Step, None, Drawn]:
    total = settings.steps * len(planned.batches)
    yield Step(0, total)
    dtype = _dtype(settings.precision, device)
    network = network.to(dtype)
    finished: list[Image.Image] = []

    for number, batch in enumerate(planned.batches):
        seeds = [settings.seed + planned.variants[index] for index in batch]
        pictures = make_pictures(settings, seeds, common=planned.morph, device=device)
        engine = ascend(
            pictures,
            _score(planned, batch, settings, network, dtype),
            robust_transforms(jitter=settings.jitter, scale=settings.scale, rotate=settings.rotate, pad=settings.pad),
            Adam(pictures.parameters(), lr=settings.learning_rate),
            steps=settings.steps,
            generators=[random_generator(seed) for seed in seeds],
        )

        def so_far(
            before: Sequence[Image.Image] = tuple(finished), pictures: Parameterization = pictures
        ) -> Image.Image:
            return planned.arrange([*before, *_images(pictures)])

        for step in engine:
            yield Step(number * settings.steps + step.done, total, step.metrics, so_far)
        finished += _images(pictures)
    features = network.features if isinstance(network, Classifier) else network
    source = {"file": file, "sha256": features.sha256} if file else None
    return Drawn(finished, planned, device, features.sha256, source)


def _score(
    planned: Plan, batch: range, settings: VisualizeSettings, network: Features | Classifier, dtype: torch.dtype
) -> Score | Between:
    objectives = [planned.objectives[index] for index in batch]
    if planned.morph:
        return Between(objectives[0], objectives[-1], len(objectives), network, dtype=dtype)
    return Score(objectives, network, diversity=settings.diversity, group=planned.group, dtype=dtype)


def _images(pictures: Parameterization) -> list[Image.Image]:
    with torch.no_grad():
        return [to_image(picture) for picture in pictures()]


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


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.bfloat16 if fast_dtype(device) is torch.bfloat16 else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
