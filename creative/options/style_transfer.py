"""Settings of style transfer by optimisation, of texture synthesis and of style presets."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal, Self

import pydantic

from creative.settings import Field, Inputs, MaskFile, PainterName, PictureFile, Settings, StyleName, WeightsFile

Network = Literal[
    "bundled",
    "vgg16",
    "vgg19",
    "squeezenet1_0",
    "squeezenet1_1",
    "googlenet",
    "inception_v3",
    "resnet50",
    "mobilenet_v2",
]


class StylizeInputs(Inputs):
    """A photo (or many) and the style to paint it in."""

    photo: tuple[PictureFile, ...] = Field(
        title="Photo",
        description="Picture to paint; several files or a folder for a batch",
        positional=True,
        min_length=1,
    )
    style: StyleName = Field(title="Style", description="A painting's file or a preset's name", positional=True)
    more_styles: tuple[StyleName, ...] = Field(
        (), title="More styles", description="Further paintings or presets to mix in", advanced=True
    )
    mask: MaskFile | None = Field(
        None, title="Mask", description="White where to paint, black where to keep the photo", advanced=True
    )
    style_masks: tuple[MaskFile, ...] = Field(
        (), title="Style masks", description="For each style in turn, white where it is to be painted", advanced=True
    )
    content_map: PictureFile | None = Field(
        None,
        title="Map",
        description="The photo's regions in flat colours, to be painted like those of the style map",
        advanced=True,
        widget="brush",
        over="photo",
    )
    style_map: PictureFile | None = Field(
        None,
        title="Style map",
        description="The painting's regions in the same colours; none: guessed from its colours",
        advanced=True,
        widget="brush",
        over="style",
    )
    start: PictureFile | None = Field(
        None,
        title="Starting picture",
        description="Picture that painting begins with, of the photo's shape; none: as start from says",
        advanced=True,
    )
    painter: PainterName | None = Field(
        None,
        title="Painter",
        description="Who paints instantly: a network by name or file; none: the style's own, or one for any style",
        advanced=True,
    )
    network_weights: WeightsFile | None = Field(
        None,
        title="Network weights",
        description="A file of weights for the network, in place of its own",
        advanced=True,
    )


class TextureInputs(Inputs):
    """A style to make a new texture from: no photo."""

    style: StyleName = Field(title="Style", description="A painting's file or a preset's name", positional=True)
    more_styles: tuple[StyleName, ...] = Field(
        (), title="More styles", description="Further paintings or presets to mix in", advanced=True
    )
    network_weights: WeightsFile | None = Field(
        None,
        title="Network weights",
        description="A file of weights for the network, in place of its own",
        advanced=True,
    )


class CanvasSettings(Settings):
    """How large."""

    size: int = Field(512, ge=64, le=8192, title="Size", description="Longest side of the result, pixels")


class LikenessSettings(CanvasSettings):
    """How much of a photo stays."""

    strength: float = Field(
        0.5, ge=0, le=1, step=0.05, title="Strength", description="From 0, nearly the photo, to 1, nearly all style"
    )
    colours: Literal["painting", "photo", "matched"] = Field(
        "painting",
        title="Colours",
        description="The painting's; the photo's (only lightness is painted); or the painting's matched to the photo's",
    )


class PhotoSettings(LikenessSettings):
    """What painting by optimisation needs with a photo only."""

    init: Literal["content", "noise", "style", "instant"] = Field(
        "content",
        title="Start from",
        description="Picture that painting starts from; instant: what one pass paints, which saves most iterations",
        advanced=True,
    )
    content_layers: tuple[str, ...] = Field(
        (),
        title="Content layers",
        description="Layers as NAME or NAME=WEIGHT; none: those that suit the network",
        advanced=True,
    )

    @pydantic.field_validator("content_layers")
    @classmethod
    def _content_layers_parse(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        layer_weights(layers)
        return layers


class StrokeSettings(CanvasSettings):
    """What all painting needs, with a photo or without, by optimisation or at once."""

    style_scale: float = Field(
        1.0,
        ge=0.25,
        le=4,
        step=0.05,
        title="Stroke size",
        description="Scale of the style: above 1 its strokes are larger",
    )
    style_weights: tuple[float, ...] = Field(
        (), title="Style weights", description="One weight for each style; none: all the same", advanced=True
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", title="Precision", description="Of the network; auto takes bfloat16 where it is fast", advanced=True
    )
    tile: int | None = Field(
        None,
        ge=0,
        le=8192,
        title="Tile",
        description="Side of the tiles to compute in, pixels; 0: whole; none: as memory allows",
        advanced=True,
    )

    @pydantic.field_validator("style_weights")
    @classmethod
    def _weights_weigh(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if any(weight < 0 for weight in weights) or (weights and not sum(weights)):
            raise ValueError(f"style_weights must be 0 or more with at least one above 0, but are {weights}.")
        return weights


class BrushSettings(StrokeSettings):
    """What painting by optimisation needs with a photo or without."""

    quality: Literal["draft", "good", "best"] = Field(
        "good", title="Quality", description="How many iterations to spend, unless seconds or iterations say it"
    )
    seconds: float | None = Field(
        None,
        gt=0,
        le=86400,
        widget="number",
        title="Seconds",
        description="Time to take for the best picture within it",
    )
    network: Network = Field(
        "bundled", title="Network", description="Network whose features are compared", advanced=True
    )
    pooling: Literal["max", "average"] = Field(
        "max", title="Pooling", description="How the network shrinks its maps; average is softer", advanced=True
    )
    style_layers: tuple[str, ...] = Field(
        (),
        title="Style layers",
        description="Layers as NAME or NAME=WEIGHT; none: those that suit the network",
        advanced=True,
    )
    style_loss: Literal["gram", "moments", "sliced"] = Field(
        "moments",
        title="Style loss",
        description="Gram matrices; means and covariances; or sliced Wasserstein distance of the features",
        advanced=True,
    )
    total_variation: float = Field(
        0.3, ge=0, le=100, title="Smoothness", description="Weight of total variation, against grain", advanced=True
    )
    iterations: tuple[int, ...] = Field(
        (), title="Iterations", description="Iterations at each scale, coarsest first; none: by quality", advanced=True
    )
    scales: int | None = Field(
        None, ge=1, le=16, title="Scales", description="Sizes painted one after another, coarse to fine", advanced=True
    )
    optimizer: Literal["auto", "lbfgs", "adam"] = Field(
        "auto", title="Optimizer", description="L-BFGS, or Adam, which takes less memory", advanced=True
    )
    learning_rate: float = Field(
        0.03,
        gt=0,
        le=1,
        title="Learning rate",
        description="Step of Adam, in parts of the range of colours",
        advanced=True,
    )
    average: bool = Field(
        True,
        title="Averaged iterate",
        description="Average the last iterates of Adam for a calmer picture",
        advanced=True,
    )
    memory: int | None = Field(
        None, ge=64, le=10**6, title="Memory", description="Most memory to take, MiB; none: what is free", advanced=True
    )
    aspect: float | None = Field(
        None,
        ge=0.1,
        le=10,
        title="Aspect",
        description="Width over height of a texture; a photo keeps its own",
        advanced=True,
    )

    @pydantic.field_validator("style_layers")
    @classmethod
    def _style_layers_parse(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        layer_weights(layers)
        return layers

    @pydantic.field_validator("iterations")
    @classmethod
    def _iterations_count(cls, iterations: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= count <= 100_000 for count in iterations) or (iterations and not sum(iterations)):
            raise ValueError(
                f"iterations must be counts from 0 to 100000 with at least one above 0, but are {iterations}."
            )
        return iterations


class RegionSettings(Settings):
    """What painting by maps needs."""

    structure: float = Field(
        0.5,
        ge=0,
        le=1,
        step=0.05,
        title="Structure",
        description="With maps, from 0, strokes and colours only, to 1, whole shapes of the painting",
        advanced=True,
    )


class PaceSettings(Settings):
    """At once, or step by step."""

    instant: bool = Field(
        False,
        title="Instant",
        description="Paint at once, in one pass of a network that learned it; nothing is optimised",
    )


class StylizeSettings(RegionSettings, BrushSettings, PhotoSettings, PaceSettings):
    """How to paint: the defaults suit most pairs of photo and painting."""

    @pydantic.model_validator(mode="after")
    def _instant_optimises_nothing(self) -> Self:
        if self.instant:
            kept = {*LikenessSettings.model_fields, *StrokeSettings.model_fields, "instant"}
            fields = type(self).model_fields
            odd = [name for name in fields if name not in kept and getattr(self, name) != fields[name].default]
            if odd:
                raise ValueError(
                    f"Instant painting is one pass, in which {odd[0]} means nothing: leave out {odd[0]}, or instant."
                )
        return self


class TextureSettings(BrushSettings):
    """How to make a texture: as to paint, less what is about a photo."""

    init: Literal["noise", "style"] = Field(
        "noise", title="Start from", description="Noise in the style's colours, or the painting itself", advanced=True
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _as_recorded_before(cls, values: Any) -> Any:
        """Textures once recorded the settings of a photo as well, which meant nothing to them."""
        of_photo = {"strength", "colours", "init", "content_layers"}
        if not isinstance(values, dict) or not of_photo <= values.keys():
            return values
        start = {"init": "style"} if values["init"] == "style" else {}
        return {name: value for name, value in values.items() if name not in of_photo | {"instant"}} | start


class PresetInputs(Inputs):
    """The picture whose style to keep."""

    picture: PictureFile = Field(title="Picture", description="The painting whose style to keep", positional=True)


class PresetSettings(Settings):
    """What a style preset is called, and what it remembers."""

    name: str = Field(
        title="Name",
        description="What it is called by: small letters, digits and hyphens",
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length=60,
    )
    title: str = Field("", max_length=120, title="Title", description="The painting's title; none: from the name")
    painter: str = Field("", max_length=120, title="Painter", description="Who painted it")
    year: int | None = Field(None, ge=-40000, le=2200, title="Year", description="When it was painted", widget="number")
    swatch: int = Field(
        96,
        ge=0,
        le=256,
        title="Swatch",
        description="Side of the small texture that shows it, pixels; 0: none",
        advanced=True,
    )


def layer_weights(layers: Sequence[str]) -> dict[str, float]:
    """``("fire3", "fire5=0.5")`` as ``{"fire3": 1.0, "fire5": 0.5}``.

    Raises:
        ValueError: something is not a layer's name with a weight, or a layer comes twice.
    """
    table: dict[str, float] = {}
    for layer in layers:
        name, _, weight = layer.partition("=")
        try:
            value = float(weight) if "=" in layer else 1.0
        except ValueError:
            value = math.nan
        if not re.fullmatch(r"\w+(\.\w+)*", name) or not math.isfinite(value) or value < 0:
            raise ValueError(
                f"A layer is given as NAME or NAME=WEIGHT with a weight of 0 or more, but one is {layer!r}."
            )
        if name in table:
            raise ValueError(f"The layer {name!r} is given twice.")
        table[name] = value
    return table
