"""What is asked of a painter, by pictures and by videos alike, checked before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from PIL import Image

from creative.device import fast_dtype
from creative.engines.fast_style.painter import Painter, PainterError, choose_painter, load_painter
from creative.images import in_rgb
from creative.options.fast_style import ANY_PAINTING
from creative.options.style_transfer import StrokeSettings
from creative.style_presets import Preset

Style = Image.Image | Preset


def checked_styles(style: object) -> tuple[Style, ...]:
    """One style or several, pictures in RGB.

    Raises:
        PainterError: there is none, or one is neither a picture nor a preset.
    """
    given = tuple(style) if isinstance(style, list | tuple) else (style,)
    if not given:
        raise PainterError("A style is missing: give a painting or a preset.")
    styles: list[Style] = []
    for one in given:
        if isinstance(one, Preset):
            styles.append(one)
        elif isinstance(one, Image.Image):
            styles.append(in_rgb(one))
        else:
            kind = type(one).__name__
            raise PainterError(f"A style must be a picture (open_image) or a preset (load_preset), but is a {kind}.")
    return tuple(styles)


def style_shares(settings: StrokeSettings, count: int) -> tuple[float, ...]:
    """What each of so many styles counts for; they sum to 1.

    Raises:
        PainterError: there are more weights than styles, or fewer.
    """
    given = settings.style_weights or (1.0,) * count
    if len(given) != count:
        raise PainterError(f"style_weights must be one number for each of the {count} styles, but are {len(given)}.")
    return tuple(weight / sum(given) for weight in given)


def ready_painter(
    styles: Sequence[Style],
    painter: Painter | str | os.PathLike[str] | None,
    device: str | torch.device | None,
) -> Painter:
    """Who paints in these styles: the one that was read, or else ``choose_painter`` says who.

    Raises:
        PainterError: it cannot paint in them.
        ValueError: there is no such painter or device.
    """
    ready = painter if isinstance(painter, Painter) else load_painter(choose_painter(styles, painter), device=device)
    if ready.of_one_painting and len(styles) > 1:
        raise PainterError(
            f"{ready.name} paints in the style of one painting only; to mix several, leave it to {ANY_PAINTING}."
        )
    for style in styles:
        ready.check(style)
    return ready


def precision_of(settings: StrokeSettings, device: torch.device) -> torch.dtype | None:
    """What convolutions compute in; None for float32."""
    if settings.precision == "auto":  # a pixel changes by .15 of 255 on average, by 2.5 at most, and a third less time
        fast = fast_dtype(device)
        return fast if fast is torch.bfloat16 else None
    return torch.bfloat16 if settings.precision == "bfloat16" else None
