"""Painting a stream of frames that has no end: what a webcam sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from creative.engines.fast_style import Painter
from creative.engines.fast_style.request import Style, checked_styles, style_shares
from creative.engines.video_style.ways import Carried, Instant
from creative.images import fit, resize
from creative.motion import follow
from creative.options.video_style import LiveStyleSettings
from creative.progress import run


def live_painter(
    style: Style | Sequence[Style],
    settings: LiveStyleSettings = LiveStyleSettings(),  # noqa: B008 (frozen)
    *,
    painter: Painter | str | Path | None = None,
    device: str | torch.device | None = None,
) -> Callable[[Image.Image], Image.Image]:
    """What paints one frame after another, each along with the one before it.

    Args:
        style, painter, device: see ``style_video``.
        settings: how; frames are made as small as they say, for speed.

    Returns:
        A function from a frame to the painted frame, ``settings.size`` pixels long. It remembers the last frame: one
        for each stream, not to be called from two threads at a time. A frame of another size begins anew.

    Raises:
        ValueError: at the call: no such painter, or it cannot paint in these styles.
    """
    styles = checked_styles(style)
    if not isinstance(settings, LiveStyleSettings):
        raise ValueError(f"The settings must be LiveStyleSettings, but are a {type(settings).__name__}.")
    style_shares(settings, len(styles))
    return _Live(Instant(styles, settings, painter=painter, device=device), settings)


class _Live:
    def __init__(self, way: Instant, settings: LiveStyleSettings) -> None:
        self.way, self.settings = way, settings
        self.before: tuple[Image.Image, Image.Image] | None = None

    def __call__(self, frame: Image.Image) -> Image.Image:
        frame = resize(frame.convert("RGB"), fit(frame.size, min(self.settings.size, max(frame.size))))
        if self.before is None or self.before[0].size != frame.size:
            self.before = None
            self.way.begin(frame)
        carried = None
        if self.before is not None and self.settings.steady:
            motion = follow(frame, self.before[0])
            if not motion.cut:
                carried = Carried(motion.carried(np.asarray(self.before[1], np.float32)), motion.trust)
        painted = run(self.way.paint(frame, carried))
        self.before = frame, painted
        return painted.copy()
