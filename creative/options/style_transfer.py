"""Settings of style transfer by optimisation."""

from __future__ import annotations

from typing import Literal

from creative.settings import Field, Inputs, MaskFile, PictureFile, Settings, StyleName

Network = Literal[
    "bundled", "vgg16", "vgg19", "squeezenet1_0", "squeezenet1_1", "googlenet", "inception_v3", "resnet50", "mobilenet_v2"
]


class StylizeInputs(Inputs):
    """A photo (or many) and the style to paint it in."""

    photo: tuple[PictureFile, ...] = Field(
        title="Photo", description="Picture to paint; several files or a folder for a batch", positional=True, min_length=1
    )
    style: StyleName = Field(title="Style", description="A painting's file or a preset's name", positional=True)
    mask: MaskFile | None = Field(None, title="Mask", description="White where to paint, black where to keep the photo")


class StylizeSettings(Settings):
    """How to paint: the defaults suit most pairs of photo and painting."""

    size: int = Field(512, ge=64, le=8192, title="Size", description="Longest side of the result, pixels")
    network: Network = Field("bundled", title="Network", description="Network whose features are compared", advanced=True)
