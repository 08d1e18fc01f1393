"""How painting a video begins, and painting what a webcam sees."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from apps._painting import styles_of
from creative.options.video_style import LiveStyleInputs, LiveStyleSettings, StyleVideoInputs, VideoStyleSettings
from creative.progress import Step

if TYPE_CHECKING:
    from PIL.Image import Image


def paint_video(
    inputs: StyleVideoInputs, settings: VideoStyleSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    """Paint a video."""
    from creative.engines.video_style import style_video

    return style_video(
        inputs.video,
        styles_of(inputs),
        out,
        settings,
        painter=inputs.painter,
        weights=inputs.network_weights,
        device=device,
    )


def paint_live(inputs: LiveStyleInputs, settings: LiveStyleSettings, device: str) -> Callable[[Image], Image]:
    """What paints a webcam's frames as they come."""
    from creative.engines.video_style import live_painter

    return live_painter(styles_of(inputs), settings, painter=inputs.painter, device=device)
