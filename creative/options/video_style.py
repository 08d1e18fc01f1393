"""Settings of painting videos, and what a webcam sees: frame by frame, each along with the one before it."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from creative.options.style_transfer import LikenessSettings, StrokeSettings
from creative.settings import Field, Inputs, PainterName, StyleName, VideoFile, WeightsFile

_STYLE = Field(title="Style", description="A painting's file or a preset's name", positional=True)
_MORE_STYLES = Field((), title="More styles", description="Further paintings or presets to mix in", advanced=True)
_PAINTER = Field(
    None,
    title="Painter",
    description="The network that paints; none: the preset's own if there is one, else one for any painting",
    advanced=True,
)
_STEADY = Field(
    0.8,
    ge=0,
    le=0.95,
    step=0.05,
    title="Steadiness",
    description="How much of the strokes goes along with things as they move; 0: each frame by itself",
)


class StyleVideoInputs(Inputs):
    """A video and the style to paint it in."""

    video: VideoFile = Field(title="Video", description="Video to paint: MP4, MOV, WebM, GIF", positional=True)
    style: StyleName = _STYLE
    more_styles: tuple[StyleName, ...] = _MORE_STYLES
    painter: PainterName | None = _PAINTER
    network_weights: WeightsFile | None = Field(
        None,
        title="Network weights",
        description="To optimise, a file of weights for the network, in place of its own",
        advanced=True,
    )


class LiveStyleInputs(Inputs):
    """The style to paint a webcam's pictures in."""

    style: StyleName = _STYLE
    more_styles: tuple[StyleName, ...] = _MORE_STYLES
    painter: PainterName | None = _PAINTER


class LiveStyleSettings(StrokeSettings, LikenessSettings):
    """How to paint what comes from a webcam."""

    size: int = Field(
        288, ge=64, le=1024, title="Size", description="Longest side in pixels; a smaller one is painted faster"
    )
    steady: float = _STEADY


class VideoStyleSettings(StrokeSettings, LikenessSettings):
    """How to paint a video."""

    engine: Literal["instant", "optimise"] = Field(
        "instant",
        title="Engine",
        description="At once, in one pass of a trained network; or by optimisation, slower and nearer to the style",
    )
    size: int = Field(
        512, ge=64, le=4096, title="Size", description="Longest side of the video, pixels; a smaller one stays so"
    )
    steady: float = _STEADY
    passes: int = Field(
        1,
        ge=1,
        le=20,
        title="Passes",
        description="How often to go through the video, forward and backward in turn: more are steadier",
        advanced=True,
    )
    quality: Literal["draft", "good", "best"] = Field(
        "good", title="Quality", description="To optimise: how long to paint the first frame of a scene", advanced=True
    )
    iterations: int = Field(
        15, ge=1, le=10_000, title="Iterations", description="To optimise: for each further frame", advanced=True
    )
    most_frames: int | None = Field(
        None, ge=1, le=100_000, title="Most frames", description="Frames to paint at most; none: all", advanced=True,
        widget="number",
    )  # fmt: skip

    @pydantic.model_validator(mode="after")
    def _instant_optimises_nothing(self) -> Self:
        if self.engine == "instant":
            fields = type(self).model_fields
            odd = [name for name in ("quality", "iterations") if getattr(self, name) != fields[name].default]
            if odd:
                raise ValueError(f"The instant engine takes one pass of a network, in which {odd[0]} means nothing.")
        return self
