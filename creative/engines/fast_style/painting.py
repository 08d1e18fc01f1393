"""Painting a photo at once: the styles become codes, the codes are mixed, and the network paints in one pass.

Dumoulin, Shlens and Kudlur, "A Learned Representation for Artistic Style" (2017, arXiv:1610.07629); Ghiasi et al.,
"Exploring the structure of a real-time, arbitrary neural artistic stylization network" (2017, arXiv:1705.06830);
Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization" (2017,
arXiv:1703.06868).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from PIL import Image
from torch import Tensor

from creative.engines.fast_style.canvas import Canvas
from creative.engines.fast_style.painter import Painter, PainterError
from creative.engines.fast_style.request import (
    Style,
    checked_styles,
    precision_of,
    ready_painter,
    style_shares,
)
from creative.images import (
    colour_statistics,
    fit,
    fitting_mask,
    in_rgb,
    recoloured,
    recorded_masks,
    resize,
    to_image,
    to_tensor,
    with_lightness,
)
from creative.models.style_net import mixed
from creative.options.fast_style import InstantSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run
from creative.style_presets import Preset, style_source

LEAST = 1e-4
"""Share of a pixel below which no style covers it."""


def paint(
    photo: Image.Image,
    style: Style | Sequence[Style],
    settings: InstantSettings = InstantSettings(),  # noqa: B008 (frozen)
    *,
    painter: Painter | str | os.PathLike[str] | None = None,
    mask: Image.Image | None = None,
    style_masks: Sequence[Image.Image | None] | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Image.Image]:
    """Paint a photo in the style of one painting or several, in one pass of a network.

    Args:
        photo: of any size.
        style: a painting, a preset, or several to be mixed by ``settings.style_weights``.
        settings: how.
        painter: who paints: a name, a file, or one that ``load_painter`` has read. None: the painter of the preset, if
            it has one of its own, else the one for any painting.
        mask: where to paint, white; where black, the photo is kept. Of the photo's shape, at any size.
        style_masks: for each style where it is to be, or None for everywhere, which is recorded as a white mask of the
            result's size. Where there is none, the photo stays.
        device: "auto", "cpu", "cuda" or "mps"; a painter that was read stays where it is.

    Returns:
        The engine; its result is the painting, ``settings.size`` pixels long, with its provenance in ``info``.

    Raises:
        PainterError: pictures, masks and settings do not go together.
        ValueError: whatever else is wrong with the arguments (no such painter, no such device).

    Example:
        >>> painting = run(paint(photo, load_preset("starry-night"), InstantSettings(size=1920)))
    """
    photo = _checked_picture(photo, "photo", "open_image")
    styles = checked_styles(style)
    if not isinstance(settings, InstantSettings):
        raise PainterError(f"The settings must be InstantSettings, but are a {type(settings).__name__}.")
    weights = style_shares(settings, len(styles))
    masks = _checked_style_masks(style_masks, len(styles), photo)
    whole = _checked_mask(mask, photo, "mask") if mask is not None else None
    ready = ready_painter(styles, painter, device)
    return _paint(Job(photo, styles, weights, settings, whole, masks, ready, painter is not None))


@dataclass(frozen=True)
class Job:
    """What is to be painted, once everything about it was checked."""

    photo: Image.Image
    styles: tuple[Style, ...]
    style_weights: tuple[float, ...]
    settings: InstantSettings
    mask: Image.Image | None
    style_masks: tuple[Image.Image | None, ...]
    painter: Painter
    painter_given: bool

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the result."""
        return fit(self.photo.size, self.settings.size)

    @property
    def canvas(self) -> Canvas:
        """As the settings want it."""
        return Canvas(self.painter, self.settings.tile, precision_of(self.settings, self.painter.device))


def _paint(job: Job) -> Generator[Step, None, Image.Image]:
    width, height = job.size
    tiles = len(job.canvas.cut(height, width))
    shown = resize(job.photo, job.size)
    yield Step(0, tiles, preview=shown.copy, message=_notice(job, tiles))
    picture = to_tensor(shown, job.painter.device)
    codes, masks = _codes(job, picture), _shares(job)
    if masks is not None:  # where no style is to be the photo stays, whose code is 0
        codes = torch.cat([codes, torch.zeros_like(codes[:1])])
    painted = picture
    codes = job.painter.at_strength(codes, job.settings.strength)
    for done, painted in enumerate(job.canvas.paint(picture, codes, masks), 1):
        yield Step(done, tiles, preview=partial(_finished, job, picture, painted))
    return _finished(job, picture, painted)


# --- its parts, in order ---


def _codes(job: Job, picture: Tensor) -> Tensor:
    """(1, N), the styles mixed by weight; or one for each style, (K, N), where they have masks."""
    longest = max(job.size) * job.settings.style_scale
    like = picture if job.settings.colours != "painting" else None
    codes = [job.painter.code(style, longest, like=like) for style in job.styles]
    return torch.cat(codes) if any(job.style_masks) else mixed(codes, job.style_weights)


def _shares(job: Job) -> Tensor | None:
    """How much of each style there is at each pixel, and at last how much of none: (1, K + 1, H, W) that sum to 1."""
    if not any(job.style_masks):
        return None
    width, height = job.size
    everywhere = torch.ones(1, 1, height, width, device=job.painter.device)
    masks = [to_tensor(resize(mask, job.size)).to(everywhere) if mask else everywhere for mask in job.style_masks]
    found = torch.cat(masks, 1)
    weighted = found * found.new_tensor(job.style_weights).view(1, -1, 1, 1)
    total, covered = weighted.sum(1, keepdim=True), found.sum(1, keepdim=True).clamp(max=1)
    shares = torch.where(total > LEAST, weighted / total.clamp(min=LEAST), 0.0) * covered
    return torch.cat([shares, 1 - shares.sum(1, keepdim=True)], 1)


def _finished(job: Job, picture: Tensor, painted: Tensor) -> Image.Image:
    """The picture with colours and mask applied, and what it takes to make it again."""
    settings = job.settings
    with torch.no_grad():
        if settings.colours != "painting" and (job.painter.of_one_painting or _has_presets(job)):
            painted = recoloured(painted, *colour_statistics(picture))
        if settings.colours == "photo":
            painted = with_lightness(picture, painted)
        if job.mask is not None:
            painted = torch.lerp(picture, painted, to_tensor(resize(job.mask, job.size), picture.device))
        image = to_image(painted)
    image.info["provenance"] = _provenance(job)
    return image


def _has_presets(job: Job) -> bool:
    """Whose colours are those that they were made with; a painting is seen in the photo's colours instead."""
    return any(isinstance(style, Preset) for style in job.styles)


def _provenance(job: Job) -> Provenance:
    width, height = job.size
    canvas, painter = job.canvas, job.painter
    effective = job.settings.changed(tile=canvas.side(height, width), precision=_name(canvas.precision))
    styles = [style_source(style) for style in job.styles]
    given = {"file": painter.path.name, "sha256": painter.sha256} if job.painter_given else None
    return describe_run(
        "style",
        effective.recorded(),
        inputs={
            "photo": job.photo,
            "style": styles[0],
            "more_styles": styles[1:],
            "mask": job.mask,
            "style_masks": recorded_masks(job.style_masks, job.size),
            "painter": given,
        },
        weights={painter.name: painter.sha256},
        device=painter.device,
    )


def _notice(job: Job, tiles: int) -> str | None:
    (width, height), painter, style = job.size, job.painter, job.styles[0]
    told = [f"{width} × {height} pixels are painted in {tiles} tiles."] if tiles > 1 else []
    if painter.of_one_painting and not (isinstance(style, Preset) and style.name == painter.name):
        told.append(f"{painter.name} paints in the style of one painting, whatever style is given.")
    return " ".join(told) or None


def _name(precision: torch.dtype | None) -> str:
    return "float32" if precision is None else str(precision).removeprefix("torch.")


# --- what is checked before any work ---


def _checked_picture(picture: object, word: str, opened_by: str) -> Image.Image:
    """For callers from Python: paths, arrays and dictionaries are told what to become."""
    if not isinstance(picture, Image.Image):
        kind = type(picture).__name__
        raise PainterError(f"The {word} must be a picture ({opened_by} opens one), but is a {kind}.")
    return in_rgb(picture) if word == "photo" else picture


def _checked_mask(mask: object, photo: Image.Image, word: str) -> Image.Image:
    return fitting_mask(_checked_picture(mask, word, "open_mask"), photo, word)


def _checked_style_masks(masks: object, styles: int, photo: Image.Image) -> tuple[Image.Image | None, ...]:
    """One mask for each style, None for everywhere."""
    if not masks:
        return (None,) * styles
    given = tuple(masks) if isinstance(masks, list | tuple) else (masks,)
    if len(given) != styles:
        raise PainterError(f"There must be one style mask for each of the {styles} styles, but there are {len(given)}.")
    return tuple(
        _checked_mask(mask, photo, f"style mask {number}") if mask is not None else None
        for number, mask in enumerate(given, 1)
    )
