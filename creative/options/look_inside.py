"""Settings of looking inside: what a network sees in a photo, layer by layer."""

from __future__ import annotations

from typing import Literal

from creative.options.features import BUNDLED, LAYERS
from creative.options.style_transfer import Network
from creative.settings import Field, Inputs, PictureFile, Settings, WeightsFile


class LookInsideInputs(Inputs):
    """The photo to look at with a network's eyes."""

    photo: PictureFile = Field(title="Photo", description="Picture that the network looks at", positional=True)
    network_weights: WeightsFile | None = Field(
        None,
        title="Network weights",
        description="A file of weights for the network, in place of its own",
        advanced=True,
    )


class LookInsideSettings(Settings):
    """How deep to look, and how much to show."""

    channels: int = Field(4, ge=1, le=12, title="Channels", description="Strongest channels shown of each layer")
    rank: Literal["distinct", "mean", "peak"] = Field(
        "distinct",
        title="Strongest by",
        description="How much more than in a scramble of the photo; the mean; or the largest value",
    )
    classes: int = Field(5, ge=0, le=20, title="Classes", description="Most likely classes to name")
    layers: tuple[str, ...] = Field(
        (), max_length=12, title="Layers", description="Layers to look into; none: four along the depth", advanced=True
    )
    network: Network = Field("bundled", title="Network", description="Network to look with", advanced=True)
    size: int = Field(
        320,
        ge=96,
        le=1024,
        title="Size",
        description="Longest side that the photo is looked at in, pixels",
        advanced=True,
    )
    tile: int = Field(
        144, ge=64, le=512, title="Tile", description="Side of each small picture of the sheet, pixels", advanced=True
    )
    steps: int = Field(
        48,
        ge=0,
        le=10_000,
        title="Steps",
        description="To draw what a channel looks for; 0: only its map",
        advanced=True,
    )

    def chosen_layers(self) -> tuple[str, ...]:
        """Those asked for, or four along the network's depth."""
        if self.layers:
            return self.layers
        if self.network == BUNDLED:
            return ("relu2_2", "relu3_3", "relu4_3", "relu5_2")
        names = LAYERS[self.network]
        return tuple(names[round(part * (len(names) - 1))] for part in (0.3, 0.55, 0.8, 1.0))
