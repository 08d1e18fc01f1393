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
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from creative.device import random_generator
from creative.engines.style_transfer.colours import colour_moments, recoloured
from creative.engines.style_transfer.job import Job, Keep, StyleError, checked_job
from creative.engines.style_transfer.objective import Aim, Objective, Seen, framed
from creative.engines.style_transfer.optimizers import LBFGS, AveragedAdam, Smoothing, resized
from creative.engines.style_transfer.plan import Clock, Scale
from creative.images import fit, resize, source_of, to_image, to_tensor, with_lightness
from creative.losses import Moments, directions, projections
from creative.options.style_transfer import StylizeSettings, TextureSettings
from creative.progress import Step
from creative.provenance import describe_run
from creative.style_presets import PIXELS, Preset

CONTENT_WEIGHT, STRENGTH_RANGE = 0.2, 100.0
"""The content's weight at a strength of one half, and what it is divided by at 1 (and multiplied by at 0)."""
KEEP_WEIGHT = 100.0
SMOOTHING = 1.0
PROJECTIONS = 32
NOISE = 0.15
"""Standard deviation of the noise that a texture starts from."""


def stylize(
    content: Image.Image | None,
    style: Image.Image | Preset | Sequence[Image.Image | Preset],
    settings: StylizeSettings = StylizeSettings(),  # noqa: B008 (frozen)
    *,
    mask: Image.Image | None = None,
    style_masks: Sequence[Image.Image | None] | None = None,
    start: Image.Image | None = None,
    keep: tuple[Image.Image, Image.Image] | None = None,
    keep_weight: float = KEEP_WEIGHT,
    weights: Path | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Image.Image]:
    """Paint a photo in the style of one painting or several; without a photo, make a texture of the style.

    Args:
        content: the photo, or None for a texture.
        style: a painting, a preset, or several to be mixed by ``settings.style_weights``.
        settings: how.
        mask: where to paint, white; where black, the photo is kept. Of the photo's shape, at any size.
        style_masks: for each style where it is to be, or None for everywhere.
        start: the picture that painting begins with, of the result's shape; in place of what ``settings.init`` says,
            or, where that is "instant", what a trained painter made of the photo.
        keep: a picture, and a mask that is white where the result should equal it, both of the result's shape: the
            frame before, moved along, in a video (Ruder et al., "Artistic style transfer for videos", 2016,
            arXiv:1604.08610). It is not recorded in the provenance.
        keep_weight: how much ``keep`` counts against the style.
        weights: a file of weights for the network in place of its own.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The engine; its result is the painting, ``settings.size`` pixels long, with its provenance in ``info``.

    Raises:
        StyleError: pictures, masks and settings do not go together.
        ValueError: whatever else is wrong with the arguments (unknown layer, no weights, no such device).

    Example:
        >>> painting = run(stylize(photo, load_preset("starry-night"), StylizeSettings(size=768)))
    """
    styles = tuple(style) if isinstance(style, list | tuple) else (style,)
    kept = Keep(*keep, keep_weight) if keep is not None else None
    return _paint(
        checked_job(content, styles, settings, mask, tuple(style_masks or ()), weights, device, start=start, keep=kept)
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
        content = _sized(job.content, scale.size, job.device) if job.content is not None else None
        seen = [_see(job, style, scale, axes) for style in job.styles]
        height_width = (scale.size[1], scale.size[0])
        if picture is None:
            picture = _start(job, content, seen, height_width, generator)
        picture = resized(picture, height_width).clamp_(0, 1)
        objective = _objective(job, scale, content, seen, axes)
        optimizer = _optimizer(job, scale, optimizer, height_width)
        del content, seen
        while clock.goes_on(index, counts[index]):
            done = sum(counts)
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
                preview=partial(_finished, job, optimizer.result(picture), tuple(counts)),
                fraction=clock.fraction(index, counts[index]),
            )
        picture = optimizer.result(picture)
    assert picture is not None
    return _finished(job, picture, tuple(counts))


# --- its parts, in order ---


def _axes(job: Job, generator: torch.Generator) -> dict[str, Tensor]:
    if job.settings.style_loss != "sliced":
        return {}
    maps = job.maps(torch.zeros(1, 3, *[max(64, job.maps.features.min_size)] * 2, device=job.device))
    return {layer: directions(maps[layer].shape[1], PROJECTIONS, generator) for layer in job.style_layers}


def _see(job: Job, style: Image.Image | Preset, scale: Scale, axes: Mapping[str, Tensor]) -> dict[str, Seen]:
    """What the loss compares of a style, at the size that suits a size of the painting."""
    longest = max(scale.size) * job.settings.style_scale
    if isinstance(style, Preset):
        return {layer: _moved(values, job.device) for layer, values in style.moments(longest).items()}
    # Never larger than the painting is: a blown-up painting has no fine strokes to teach.
    least = math.ceil(job.maps.features.min_size * max(style.size) / min(style.size))
    longest = min(max(longest, least), max(style.size))
    picture = _sized(style, fit(style.size, round(longest)), job.device)
    if job.settings.colours != "painting" and job.content is not None:
        picture = recoloured(picture, colour_moments(_sized(job.content, fit(job.content.size, 256), job.device)))
    with torch.no_grad():
        if axes:
            maps = job.maps(framed(picture))
            return {layer: projections(maps[layer], axes[layer]) for layer in job.style_layers}
        return dict(job.maps.moments(framed(picture), tuple(job.style_layers), job.tile))


def _start(
    job: Job,
    content: Tensor | None,
    seen: Sequence[Mapping[str, Seen]],
    size: tuple[int, int],
    generator: torch.Generator,
) -> Tensor:
    """The picture to start from, (1, 3, H, W)."""
    settings = job.settings
    if job.start is not None:
        return _sized(job.start, (size[1], size[0]), job.device)
    colours = _mixed_colours(job, seen)
    if settings.init == "style":
        first = job.styles[0]
        assert isinstance(first, Image.Image)
        return _covering(first, (size[1], size[0]), job.device)
    if content is None or settings.init == "noise":
        noise = 0.5 + NOISE * torch.randn(1, 3, *size, generator=generator).to(job.device)
        return recoloured(noise, colours)
    return recoloured(content, colours) if settings.colours == "painting" else content.clone()


def _objective(
    job: Job, scale: Scale, content: Tensor | None, seen: Sequence[Mapping[str, Seen]], axes: Mapping[str, Tensor]
) -> Objective:
    settings, keep = job.settings, job.keep
    return Objective(
        job.maps,
        (scale.size[1], scale.size[0]),
        content,
        _aims(job, scale, seen),
        style_layers=job.style_layers,
        content_layers=job.content_layers,
        content_weight=CONTENT_WEIGHT * STRENGTH_RANGE ** (1 - 2 * settings.strength),
        smoothness=settings.total_variation,
        kind=settings.style_loss,
        axes={layer: axis.to(job.device) for layer, axis in axes.items()},
        tile=job.tile if job.in_tiles(scale) else 0,
        keep=(_sized(keep.picture, scale.size, job.device), _sized(keep.mask, scale.size, job.device))
        if keep
        else None,
        keep_weight=keep.weight if keep else 0.0,
    )


def _aims(job: Job, scale: Scale, seen: Sequence[Mapping[str, Seen]]) -> list[Aim]:
    """One aim for each style; styles that are to be everywhere are mixed into one."""
    everywhere = _sized_mask(job.mask, scale.size, job.device)
    if job.settings.style_loss != "sliced" and not any(job.style_masks):
        mixed: dict[str, Seen] = {}
        for layer in job.style_layers:
            parts = [values[layer] for values in seen]
            moments = [
                part.normalised() * w
                for part, w in zip(parts, job.style_weights, strict=True)
                if isinstance(part, Moments)
            ]
            mixed[layer] = sum(moments[1:], start=moments[0])
        return [Aim(mixed, mask=everywhere)]
    aims = []
    for values, weight, own in zip(seen, job.style_weights, job.style_masks, strict=True):
        mask = _sized_mask(own, scale.size, job.device)
        both = (
            mask * everywhere
            if mask is not None and everywhere is not None
            else mask
            if mask is not None
            else everywhere
        )
        aims.append(Aim(values, weight, both))
    return aims


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


def _finished(job: Job, picture: Tensor, counts: tuple[int, ...]) -> Image.Image:
    """The picture at its final size with colours and mask applied, and what it takes to make it again."""
    with torch.no_grad():
        picture = resized(picture.detach(), (job.size[1], job.size[0])).clamp(0, 1)
        if job.content is not None and (job.settings.colours != "painting" or job.mask is not None):
            content = _sized(job.content, job.size, job.device)
            if job.settings.colours != "painting":
                presets = any(isinstance(style, Preset) for style in job.styles)
                if job.settings.colours == "photo":
                    picture = with_lightness(content, picture)
                elif presets:
                    picture = recoloured(picture, colour_moments(content))
            mask = _sized_mask(job.mask, job.size, job.device)
            if mask is not None:
                picture = torch.lerp(content, picture, mask)
        image = to_image(picture)
    image.info["provenance"] = _provenance(job, counts)
    return image


def _provenance(job: Job, counts: tuple[int, ...]) -> Any:
    features, settings = job.maps.features, job.settings
    effective = settings.changed(
        iterations=counts,
        scales=len(counts),
        seconds=None,
        tile=job.tile,
        memory=None,
        precision=_name(job.maps.precision),
    )
    styles = [_source(style) for style in job.styles]
    return describe_run(
        "style" if job.content is not None else "texture",
        effective if job.content is not None else TextureSettings(**effective.model_dump()),
        inputs={
            "photo": job.content,
            "style": styles[0],
            "more_styles": styles[1:],
            "mask": job.mask,
            "style_masks": [mask for mask in job.style_masks if mask is not None],
            "start": job.start if settings.init != "instant" else None,
        },
        weights={**_weights_of(job.start), settings.network: features.sha256},
        device=job.device,
        result={"iterations": list(counts)},
    )


def _weights_of(picture: Image.Image | None) -> dict[str, str]:
    """The networks that made a picture, where it was made here."""
    made = picture.info.get("provenance") if picture is not None else None
    return dict(made.weights) if made is not None else {}


def _notice(job: Job) -> str | None:
    if not any(job.in_tiles(scale) for scale in job.scales):
        return None
    width, height = job.size
    told = f"{width} × {height} pixels are painted in tiles of {job.tile}, by Adam, which takes less memory."
    return told.replace("by Adam", "by Adam instead of L-BFGS") if job.settings.optimizer == "lbfgs" else told


def _name(precision: torch.dtype | None) -> str:
    return "float32" if precision is None else str(precision).removeprefix("torch.")


# --- pictures ---


def _sized(image: Image.Image, size: tuple[int, int], device: torch.device) -> Tensor:
    return to_tensor(resize(image, size), device)


def _sized_mask(mask: Image.Image | None, size: tuple[int, int], device: torch.device) -> Tensor | None:
    return _sized(mask, size, device) if mask is not None else None


def _covering(image: Image.Image, size: tuple[int, int], device: torch.device) -> Tensor:
    """The middle of a picture, scaled to cover (width, height)."""
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = max(size[0], round(image.width * scale)), max(size[1], round(image.height * scale))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    return to_tensor(resize(image, (width, height)).crop((left, top, left + size[0], top + size[1])), device)


def _mixed_colours(job: Job, seen: Sequence[Mapping[str, Seen]]) -> Moments:
    parts = []
    for style, values, weight in zip(job.styles, seen, job.style_weights, strict=True):
        if isinstance(style, Preset):
            colours = values[PIXELS]
            assert isinstance(colours, Moments)
        else:
            colours = colour_moments(_sized(style, fit(style.size, 256), job.device))
        parts.append(colours * weight)
    return sum(parts[1:], start=parts[0])


def _source(style: Image.Image | Preset) -> dict[str, str]:
    if isinstance(style, Preset):
        return {"file": style.file or style.name, "sha256": style.sha256}
    return source_of(style)


def _moved(values: Moments, device: torch.device) -> Moments:
    return Moments(values.count.to(device), values.first.to(device), values.second.to(device))
