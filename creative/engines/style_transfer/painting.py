"""Style transfer: a picture is changed until a network sees a photo's content and a painting's style in it.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks" (2016, arXiv:1508.06576).

Differs from it in what makes it fast and calm: it goes from coarse to fine, as Gatys et al., "Controlling Perceptual
Factors in Neural Style Transfer" (2017, arXiv:1611.07865) advise for large pictures; the photo starts in the painting's
colours; each layer's loss is relative; the optimiser prefers coarse changes and keeps its state from size to size.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from creative.device import random_generator
from creative.engines.style_transfer.checks import Keep, StyleError
from creative.engines.style_transfer.finishing import finished
from creative.engines.style_transfer.job import Job, checked_job
from creative.engines.style_transfer.objective import Objective, Seen
from creative.engines.style_transfer.optimizers import LBFGS, AveragedAdam, Smoothing, resized
from creative.engines.style_transfer.plan import Clock, Scale
from creative.engines.style_transfer.seeing import Shapes, aims, first_picture, see, sized
from creative.losses import directions
from creative.options.style_transfer import StylizeSettings
from creative.progress import Step
from creative.style_presets import Preset

CONTENT_WEIGHT, STRENGTH_RANGE = 0.2, 100.0
"""The content's weight at a strength of one half, and what it is divided by at 1 (and multiplied by at 0)."""
KEEP_WEIGHT = 100.0
LIKENESS = 1.5
"""Weight, at a structure of 1, of the likeness to the painting's patches."""
REFRESH = 8
"""Steps after which the nearest patches are sought again."""
SMOOTHING = 1.0
PROJECTIONS = 32


def stylize(
    content: Image.Image | None,
    style: Image.Image | Preset | Sequence[Image.Image | Preset],
    settings: StylizeSettings = StylizeSettings(),  # noqa: B008 (frozen)
    *,
    mask: Image.Image | None = None,
    style_masks: Sequence[Image.Image | None] | None = None,
    content_map: Image.Image | None = None,
    style_map: Image.Image | None = None,
    start: Image.Image | None = None,
    keep: tuple[Image.Image, Image.Image] | None = None,
    keep_weight: float = KEEP_WEIGHT,
    weights: Path | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Image.Image]:
    """Paint a photo in the style of one painting or several; without a photo, make a texture of the style.

    With maps each part of the painting goes to its part of the photo; without a photo they make a doodle a painting.

    Args:
        content: the photo, or None for a texture.
        style: a painting, a preset, or several to be mixed by ``settings.style_weights``.
        settings: how.
        mask: where to paint, white; where black, the photo is kept. Of the photo's shape, at any size.
        style_masks: for each style where it is to be, or None for everywhere, which is recorded as a white mask of the
            result's size.
        content_map: regions in flat colours, of the photo's shape; without a photo the result has the map's shape.
        style_map: the painting's regions in the same colours; None: they are guessed from the painting's colours.
        start: the picture that painting begins with, of the result's shape; in place of what ``settings.init`` says,
            or, where that is "instant", what a trained painter made of the photo.
        keep: a picture, and a mask that is white where the result should equal it, both of the result's shape: the
            frame before, moved along, in a video (Ruder et al., "Artistic style transfer for videos", 2016,
            arXiv:1604.08610). It is not recorded in the provenance.
        keep_weight: how much ``keep`` counts against the style.
        weights: a file of weights for the network in place of its own.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The engine; its result is the painting, ``settings.size`` pixels long, with its provenance in ``info``. Where
        the painting's regions were guessed, ``info["beside"]["style_map"]`` is the map that was taken.

    Raises:
        StyleError: pictures, masks, maps and settings do not go together.
        ValueError: whatever else is wrong with the arguments (unknown layer, no weights, no such device).

    Example:
        >>> painting = run(stylize(photo, load_preset("starry-night"), StylizeSettings(size=768)))
    """
    styles = tuple(style) if isinstance(style, list | tuple) else (style,)
    kept = Keep(*keep, keep_weight) if keep is not None else None
    return _paint(
        checked_job(
            content,
            styles,
            settings,
            mask,
            (style_masks,) if isinstance(style_masks, Image.Image) else tuple(style_masks or ()),
            weights,
            device,
            start=start,
            keep=kept,
            content_map=content_map,
            style_map=style_map,
        )
    )


def _paint(job: Job) -> Generator[Step, None, Image.Image]:
    """From coarse to fine: see the styles, then step along the gradient."""
    settings, clock = job.settings, Clock(job.settings.seconds, job.scales)
    counts = [0] * len(job.scales)
    yield Step(0, clock.total(0, 0, 0), message=_notice(job))
    generator = random_generator(settings.seed)
    picture: Tensor | None = None
    optimizer: LBFGS | AveragedAdam | None = None
    for index, scale in enumerate(job.scales):
        if not clock.enter(index) or not any(one.iterations for one in job.scales[index:]):
            break
        if not scale.iterations:
            continue
        axes = _axes(job, generator)
        content = sized(job.content, scale.size, job.device) if job.content is not None else None
        seen = see(job, scale, axes)
        height_width = (scale.size[1], scale.size[0])
        if picture is None:
            picture = first_picture(job, content, seen, height_width, generator)
        picture = resized(picture, height_width).clamp_(0, 1)
        objective = _objective(job, scale, content, seen, axes)
        optimizer = _optimizer(job, scale, optimizer, height_width)
        shapes = Shapes(job, scale, objective.frame) if objective.likeness else None
        del content, seen
        while clock.goes_on(index, counts[index]):
            done = sum(counts)
            if shapes is not None and shapes.useful and counts[index] % REFRESH == 0:
                objective.follow(*shapes.model(picture))
                optimizer.resize(height_width)  # what is minimised is another now
            parts = objective.gradient(picture)
            while True:
                try:
                    next(parts)
                except StopIteration as stop:
                    losses, gradient = stop.value
                    break
                total = clock.total(index, counts[index], done - counts[index])
                yield Step(done, total, fraction=clock.fraction(index, counts[index]))
            if not math.isfinite(losses["style"]) or not bool(torch.isfinite(gradient).all()):
                raise StyleError("The painting ran into numbers that are not finite; try --precision float32.")
            picture = optimizer.step(picture, gradient)
            counts[index] += 1
            yield Step(
                done + 1,
                clock.total(index, counts[index], done + 1 - counts[index]),
                metrics={**losses, "size": max(scale.size)},
                preview=partial(finished, job, optimizer.result(picture), tuple(counts)),
                fraction=clock.fraction(index, counts[index]),
            )
        picture = optimizer.result(picture)
    assert picture is not None
    return finished(job, picture, tuple(counts))


# --- its parts, in order ---


def _axes(job: Job, generator: torch.Generator) -> dict[str, Tensor]:
    if job.settings.style_loss != "sliced":
        return {}
    maps = job.maps(torch.zeros(1, 3, *[max(64, job.maps.features.min_size)] * 2, device=job.device))
    return {layer: directions(maps[layer].shape[1], PROJECTIONS, generator) for layer in job.style_layers}


def _objective(
    job: Job, scale: Scale, content: Tensor | None, seen: Sequence[Mapping[str, Seen]], axes: Mapping[str, Tensor]
) -> Objective:
    settings, keep = job.settings, job.keep
    return Objective(
        job.maps,
        (scale.size[1], scale.size[0]),
        content,
        aims(job, scale, seen),
        style_layers=job.style_layers,
        content_layers=job.content_layers,
        content_weight=CONTENT_WEIGHT * STRENGTH_RANGE ** (1 - 2 * settings.strength),
        smoothness=settings.total_variation,
        kind=settings.style_loss,
        axes={layer: axis.to(job.device) for layer, axis in axes.items()},
        tile=job.tile if job.in_tiles(scale) else 0,
        keep=(sized(keep.picture, scale.size, job.device), sized(keep.mask, scale.size, job.device)) if keep else None,
        keep_weight=keep.weight if keep else 0.0,
        likeness=LIKENESS * settings.structure if job.regions is not None else 0.0,
    )


def _optimizer(
    job: Job, scale: Scale, before: LBFGS | AveragedAdam | None, size: tuple[int, int]
) -> LBFGS | AveragedAdam:
    """The one in use, its state carried over; or a new one where the kind changes."""
    kind = AveragedAdam if job.by_adam(scale) else LBFGS
    if isinstance(before, kind):
        before.resize(size)
        return before
    if kind is AveragedAdam:
        return AveragedAdam(job.settings.learning_rate, averaged=job.settings.average and not job.in_tiles(scale))
    return LBFGS(Smoothing(SMOOTHING))


def _notice(job: Job) -> str | None:
    of_regions = job.regions.notice if job.regions is not None else None
    if not any(job.in_tiles(scale) for scale in job.scales):
        return of_regions
    width, height = job.size
    told = f"{width} × {height} pixels are painted in tiles of {job.tile}, by Adam, which takes less memory."
    told = told.replace("by Adam", "by Adam instead of L-BFGS") if job.settings.optimizer == "lbfgs" else told
    return f"{of_regions} {told}" if of_regions else told
