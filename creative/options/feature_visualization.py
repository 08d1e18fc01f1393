"""Settings of feature visualization: what a neuron, a channel, a layer or a class wants to see, drawn from nothing."""

from __future__ import annotations

from typing import Literal

import pydantic

from creative.options.objectives import MAX_LENGTH, Layer, channel_range, parse_objective
from creative.options.style_transfer import Network
from creative.settings import Field, Inputs, Settings, WeightsFile

MAX_PICTURES = 256
"""Most pictures of one sheet."""
MAX_PIXELS = 64_000_000
"""Most pixels of one sheet."""


class VisualizeInputs(Inputs):
    """Nothing but, where the network is not the bundled one, the file of its weights."""

    network_weights: WeightsFile | None = Field(
        None,
        title="Network weights",
        description="A file of weights for the network, in place of its own",
        advanced=True,
    )


class VisualizeSettings(Settings):
    """What to draw and how."""

    objectives: tuple[str, ...] = Field(
        ("relu5_2",),
        title="What to draw",
        description=(
            "LAYER (a sheet of its channels), LAYER:CHANNEL, LAYER:0-15, LAYER:CHANNEL@X,Y (a neuron), "
            "LAYER{3=1, 7=-0.5} (a direction), class:NAME; with + - * between"
        ),
        positional=True,
        min_length=1,
        max_length=MAX_PICTURES,
    )
    towards: str | None = Field(
        None,
        max_length=MAX_LENGTH,
        title="Towards",
        description="A second objective: a row of pictures leads from the first to it",
    )
    size: int = Field(256, ge=32, le=4096, title="Size", description="Side of each picture, pixels")
    steps: int = Field(64, ge=1, le=100_000, title="Steps", description="Steps of gradient ascent for each picture")
    channels: int = Field(
        9, ge=1, le=MAX_PICTURES, title="Channels", description="Channels that a sheet of a whole layer shows"
    )
    variants: int = Field(
        1, ge=1, le=16, title="Variants", description="Pictures of each objective, from different beginnings"
    )
    diversity: float = Field(
        1.0,
        ge=0,
        le=100,
        step=0.1,
        title="Diversity",
        description="How much the variants of an objective must differ",
        advanced=True,
    )
    frames: int = Field(
        7, ge=2, le=64, title="Frames", description="Pictures from the first objective to the second", advanced=True
    )
    network: Network = Field("bundled", title="Network", description="Network to look into", advanced=True)
    parameterization: Literal["fourier", "pixels"] = Field(
        "fourier",
        title="Parameterisation",
        description="A picture's frequencies, or its pixels, which gives finer, harsher patterns",
        advanced=True,
    )
    decorrelate: bool = Field(
        True, title="Decorrelated colours", description="Step along the axes of photos' colours", advanced=True
    )
    decay: float = Field(
        1.0,
        ge=0,
        le=3,
        step=0.05,
        title="Softness",
        description="How much large shapes are favoured over fine lines; in photos about 1.25",
        advanced=True,
    )
    jitter: int = Field(8, ge=0, le=256, title="Jitter", description="Most pixels that it is moved by", advanced=True)
    scale: float = Field(
        0.1, ge=0, le=1, step=0.01, title="Scale", description="Most that it is enlarged or shrunk by", advanced=True
    )
    rotate: float = Field(
        10, ge=0, le=180, title="Turn", description="Most degrees that it is turned by", advanced=True
    )
    pad: int = Field(
        0, ge=0, le=256, title="Frame", description="Pixels of grey around it while it is drawn", advanced=True
    )
    learning_rate: float = Field(
        0.1, gt=0, le=10, title="Learning rate", description="Step of Adam at the beginning", advanced=True
    )
    columns: int | None = Field(
        None, ge=1, le=MAX_PICTURES, title="Columns", description="Of a sheet; none: about square", advanced=True
    )
    labels: bool = Field(
        True, title="Labels", description="Write below each picture of a sheet what it is", advanced=True
    )
    batch: int | None = Field(
        None, ge=1, le=MAX_PICTURES, title="Batch", description="Pictures drawn at once; none: by size", advanced=True
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title="Precision",
        description="Of the network's arithmetic; auto: bfloat16 where it is faster",
        advanced=True,
    )

    @pydantic.field_validator("objectives")
    @classmethod
    def _objectives_parse(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            if channel_range(text) is None:
                parse_objective(text)
        return texts

    @pydantic.field_validator("towards")
    @classmethod
    def _towards_parses(cls, text: str | None) -> str | None:
        if text is not None:
            parse_objective(text)
        return text

    @pydantic.model_validator(mode="after")
    def _fits(self) -> VisualizeSettings:
        if self.towards is not None and self.variants > 1:
            raise ValueError("A row of pictures towards a second objective has one variant, so variants must be 1.")
        pictures = self.frames if self.towards is not None else self.num_objectives() * self.variants
        if pictures > MAX_PICTURES or pictures * self.size**2 > MAX_PIXELS:
            raise ValueError(
                f"{pictures} pictures of {self.size} pixels are more than one sheet may have: "
                f"{MAX_PICTURES} pictures, {MAX_PIXELS // 10**6} million pixels. Draw fewer, or smaller ones."
            )
        return self

    def num_objectives(self) -> int:
        """How many are asked for, at most: a layer may have fewer channels than a sheet has room for."""
        count = 0
        for text in self.objectives:
            listed = channel_range(text)
            count += len(listed[1]) if listed else self.channels if isinstance(parse_objective(text), Layer) else 1
        return count
