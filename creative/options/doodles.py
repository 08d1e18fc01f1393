"""Settings of doodles: a scribble in flat colours that becomes a painting, region by region."""

from __future__ import annotations

from typing import Literal

from creative.options.style_transfer import BrushSettings, RegionSettings
from creative.settings import Field, Inputs, PictureFile, WeightsFile


class DoodleInputs(Inputs):
    """A scribble in flat colours, and the painting that it is to become."""

    style: PictureFile = Field(title="Painting", description="The painting whose parts are taken", positional=True)
    map: PictureFile = Field(
        title="Doodle", description="A scribble in flat colours, one for each region of the result", widget="brush"
    )
    style_map: PictureFile | None = Field(
        None,
        title="Style map",
        description="The painting's regions in the same colours; none: guessed from its colours",
        widget="brush",
        over="style",
    )
    network_weights: WeightsFile | None = Field(
        None,
        title="Network weights",
        description="A file of weights for the network, in place of its own",
        advanced=True,
    )


class DoodleSettings(BrushSettings, RegionSettings):
    """How to make a doodle a painting: as to make a texture, region by region."""

    structure: float = Field(
        0.5,
        ge=0,
        le=1,
        step=0.05,
        title="Structure",
        description="From 0, strokes and colours only, to 1, whole shapes of the painting",
    )
    init: Literal["noise", "style"] = Field(
        "noise", title="Start from", description="Noise in each region's colours, or the painting itself", advanced=True
    )
