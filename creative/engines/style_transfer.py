"""Style transfer by optimisation (skeleton: the interface that others build on)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from PIL import Image

from creative.options.style_transfer import PresetSettings, StylizeSettings
from creative.progress import Step
from creative.style_presets import Preset


def stylize(
    content: Image.Image | None,
    style: Image.Image | Preset | Sequence[Image.Image | Preset],
    settings: StylizeSettings = StylizeSettings(),
    *,
    mask: Image.Image | None = None,
    style_masks: Sequence[Image.Image | None] | None = None,
    weights: Path | None = None,
    device: str | None = None,
) -> Generator[Step, None, Image.Image]:
    """Paint ``content`` in a style; without content, make a texture of the style."""
    raise NotImplementedError


def make_preset(
    picture: Image.Image, settings: PresetSettings, *, device: str | None = None
) -> Generator[Step, None, Preset]:
    """The statistics of a picture's style, to paint with later without the picture."""
    raise NotImplementedError
