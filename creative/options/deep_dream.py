"""Settings of DeepDream: pictures, journeys into a picture, and dreams along a video; and the looks one can ask for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pydantic

from creative.options.features import BUNDLED, LAYERS
from creative.options.style_transfer import Network
from creative.settings import Field, Inputs, MaskFile, PictureFile, Settings, VideoFile, WeightsFile

LookName = Literal["creatures", "castles", "birds", "heads", "eyes", "swirls", "brushwork"]


@dataclass(frozen=True, slots=True)
class Look:
    """A name for settings that go well together; whatever is set by itself goes before the look.

    Attributes:
        layers: of the bundled network; none where a subject is dreamed of.
        depth: where it looks in other networks, from 0, the first layer, to 1, the last.
        coarsest: longest side in pixels of the smallest octave, by which larger pictures have more octaves: the same
            things are seen as large in the picture, whatever its size.
        octave_ratio, steps, step_size, smoothing, subject: see ``DreamSettings``.
    """

    layers: tuple[str, ...]
    depth: float
    coarsest: int
    octave_ratio: float
    steps: int
    step_size: float
    smoothing: float
    subject: str | None = None


LOOKS: dict[LookName, Look] = {
    "creatures": Look(("relu5_2",), 1.0, 185, 1.4, 10, 0.014, 0.7),
    "castles": Look((), 1.0, 185, 1.4, 10, 0.014, 0.8, "castle"),
    "birds": Look((), 1.0, 185, 1.4, 10, 0.014, 0.8, "cock"),
    "heads": Look(("relu5_1",), 0.85, 130, 1.4, 12, 0.015, 0.7),
    "eyes": Look(("relu4_3",), 0.7, 130, 1.4, 10, 0.014, 0.7),
    "swirls": Look(("relu4_1",), 0.55, 185, 1.4, 10, 0.010, 0.6),
    "brushwork": Look(("relu3_3",), 0.4, 185, 1.4, 10, 0.008, 0.5),
}

_WEIGHTS = Field(
    None, title="Network weights", description="A file of weights for the network, in place of its own", advanced=True
)
_GUIDE = Field(None, title="Guide", description="A second picture that says what to look for", advanced=True)


class DreamInputs(Inputs):
    """A photo (or many) to dream into."""

    photo: tuple[PictureFile, ...] = Field(
        title="Photo",
        description="Picture to dream into; several files or a folder for a batch",
        positional=True,
        min_length=1,
    )
    guide: PictureFile | None = _GUIDE
    mask: MaskFile | None = Field(
        None, title="Mask", description="White where to dream, black where to keep the photo", advanced=True
    )
    network_weights: WeightsFile | None = _WEIGHTS


class DreamZoomInputs(Inputs):
    """A photo to travel into."""

    photo: PictureFile = Field(title="Photo", description="Picture that the journey begins in", positional=True)
    guide: PictureFile | None = _GUIDE
    network_weights: WeightsFile | None = _WEIGHTS


class DreamVideoInputs(Inputs):
    """A video to dream along."""

    video: VideoFile = Field(title="Video", description="Video to dream into: MP4, MOV, WebM, GIF", positional=True)
    guide: PictureFile | None = _GUIDE
    network_weights: WeightsFile | None = _WEIGHTS


class DreamSettings(Settings):
    """How to dream: a look, and whatever is to differ from it."""

    look: LookName = Field("creatures", title="Look", description="What is seen in the picture")
    size: int = Field(768, ge=32, le=8192, title="Size", description="Longest side of the result, pixels")
    strength: float = Field(
        1.0, ge=0, le=3, step=0.05, title="Strength", description="How far each step goes; 1 is the look's own"
    )
    blend: float = Field(
        1.0, ge=0, le=1, step=0.05, title="Blend", description="From 0, the photo, to 1, the dream alone"
    )
    colours: Literal["dream", "photo"] = Field(
        "dream", title="Colours", description="The dream's, or the photo's: then only lightness is dreamed"
    )
    subject: str | None = Field(
        None,
        max_length=80,
        title="Subject",
        description="A thing to see everywhere, such as toucan (ImageNet's classes)",
    )
    network: Network = Field("bundled", title="Network", description="Network that dreams", advanced=True)
    layers: tuple[str, ...] = Field(
        (),
        title="Layers",
        description="As NAME, NAME=WEIGHT, or NAME:CHANNEL+CHANNEL=WEIGHT; none: by the look",
        advanced=True,
    )
    maximise: Literal["l2", "mean"] = Field(
        "l2", title="Maximise", description="Mean square of what the layers see, or their mean", advanced=True
    )
    octaves: int | None = Field(
        None,
        ge=1,
        le=20,
        title="Octaves",
        description="Sizes dreamed one after another, small to large; none: by the look and the size",
        advanced=True,
    )
    octave_ratio: float | None = Field(
        None, ge=1.05, le=4, step=0.05, title="Octave ratio", description="From one octave's size to the next",
        advanced=True,
    )  # fmt: skip
    steps: int | None = Field(None, ge=1, le=1000, title="Steps", description="Steps in each octave", advanced=True)
    step_size: float | None = Field(
        None, gt=0, le=1, title="Step size", description="Of a step at strength 1, in parts of the range of colours",
        advanced=True,
    )  # fmt: skip
    jitter: int = Field(
        32, ge=0, le=512, title="Jitter", description="Most pixels the picture is shifted by in a step", advanced=True
    )
    normalise: Literal["deviation", "mean", "bands"] = Field(
        "deviation",
        title="Normalise",
        description="Gradient by its deviation, by its mean size, or each band of frequencies by its deviation",
        advanced=True,
    )
    smoothing: float | None = Field(
        None, ge=0, le=10, step=0.1, title="Smoothing", description="Blur of the gradient: deviation in pixels",
        advanced=True,
    )  # fmt: skip
    pooling: Literal["max", "average"] = Field(
        "max", title="Pooling", description="How the network shrinks its maps; average is softer", advanced=True
    )
    tile: int | None = Field(
        None, ge=0, le=8192, title="Tile", description="Side of the tiles for large sizes, pixels; 0: whole",
        advanced=True,
    )  # fmt: skip
    precision: Literal["auto", "float32"] = Field(
        "auto", title="Precision", description="Half precision where it is faster, or single precision", advanced=True
    )

    @pydantic.field_validator("layers")
    @classmethod
    def _layers_parse(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        parse_layers(layers)
        return layers

    def resolved(self) -> dict[str, Any]:
        """All values with those left open filled in from the look, but for octaves, which go by the picture's size."""
        look = LOOKS[self.look]
        values = self.model_dump()
        for name in ("octave_ratio", "steps", "step_size", "smoothing"):
            if values[name] is None:
                values[name] = getattr(look, name)
        if not values["layers"] and self.subject is None:
            values["layers"], values["subject"] = look_layers(self.look, self.network), look.subject
        return values


_VIDEO_STEPS = "Steps in each octave of a frame; frames build on one another, so few will do"


class DreamZoomSettings(DreamSettings):
    """How to travel into a dream: each frame is the one before, moved a little and dreamed on."""

    size: int = Field(512, ge=32, le=4096, title="Size", description="Longest side of the video, pixels")
    seconds: float = Field(
        10, gt=0, le=600, step=0.5, title="Seconds", description="Length of the video", widget="number"
    )
    frames_per_second: int = Field(24, ge=1, le=60, title="Frames per second", description="How smooth it is")
    zoom: float = Field(
        1.3, ge=0.25, le=8, step=0.05, title="Zoom", description="How much larger things become in a second"
    )
    rotate: float = Field(0, ge=-360, le=360, step=1, title="Rotate", description="Degrees a second, clockwise below 0")
    pan_x: float = Field(
        0,
        ge=-2,
        le=2,
        step=0.05,
        title="Pan sideways",
        description="Widths a second that the view moves, right above 0",
    )
    pan_y: float = Field(
        0, ge=-2, le=2, step=0.05, title="Pan upright", description="Heights a second that the view moves, down above 0"
    )
    octaves: int | None = Field(
        2, ge=1, le=20, title="Octaves", description="Sizes dreamed in each frame, small to large", advanced=True
    )
    steps: int | None = Field(2, ge=1, le=1000, title="Steps", description=_VIDEO_STEPS, advanced=True)
    first_steps: int = Field(
        10, ge=0, le=1000, title="First steps", description="Steps in each octave of the first frame",
        advanced=True,
    )  # fmt: skip


class DreamVideoSettings(DreamSettings):
    """How to dream along a video: what was dreamed in a frame is carried to the next along the optical flow."""

    size: int = Field(512, ge=32, le=4096, title="Size", description="Longest side of the video, pixels")
    stick: float = Field(
        0.9, ge=0, le=1, step=0.05, title="Stick", description="How much of the dream stays with things as they move"
    )
    octaves: int | None = Field(
        3, ge=1, le=20, title="Octaves", description="Sizes dreamed in each frame, small to large", advanced=True
    )
    steps: int | None = Field(4, ge=1, le=1000, title="Steps", description=_VIDEO_STEPS, advanced=True)
    most_frames: int | None = Field(
        None, ge=1, le=100_000, title="Most frames", description="Frames to dream at most; none: all", advanced=True,
        widget="number",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of what is dreamed of: its channels (none: all of them) and its weight."""

    layer: str
    channels: tuple[int, ...]
    weight: float


def parse_layers(layers: Sequence[str]) -> tuple[Part, ...]:
    """``("fire5", "fire7:3+12=0.5")`` as parts.

    Raises:
        ValueError: something is not a layer's name with channels and a weight.
    """
    parts = []
    for text in layers:
        match = re.fullmatch(r"\s*([A-Za-z]\w*)(?::(\d{1,6}(?:\+\d{1,6})*))?(?:=([^=]+))?\s*", text)
        try:
            weight = float(match[3]) if match and match[3] else 1.0
        except ValueError:
            weight = math.nan
        if match is None or not math.isfinite(weight) or weight <= 0:
            raise ValueError(
                "A layer is given as NAME, NAME=WEIGHT or NAME:CHANNEL+CHANNEL=WEIGHT with a weight above 0, "
                f"but one is {text!r}."
            )
        channels = tuple(sorted({int(number) for number in match[2].split("+")})) if match[2] else ()
        parts.append(Part(match[1], channels, weight))
    return tuple(parts)


def look_layers(look: LookName, network: str) -> tuple[str, ...]:
    """The layers that a look takes from a network; none if it has a subject instead."""
    if network == BUNDLED or LOOKS[look].subject is not None:
        return LOOKS[look].layers
    names = [name for name in LAYERS[network] if not name.startswith(("pool", "conv", "norm"))]
    return (names[min(len(names) - 1, round(LOOKS[look].depth * (len(names) - 1)))],)
