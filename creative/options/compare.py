"""Settings of comparing: one photo painted in all the ways that there are, side by side."""

from __future__ import annotations

from typing import Any, Literal

import pydantic

from creative.options.translate import BUNDLED_TRANSLATOR
from creative.settings import (
    DiffuserName,
    Field,
    Inputs,
    PainterName,
    PictureFile,
    Settings,
    StyleName,
    TranslatorName,
    WeightsFile,
)

WayName = Literal["optimisation", "instant", "cyclegan", "diffusion"]
WAYS: tuple[WayName, ...] = ("optimisation", "instant", "cyclegan", "diffusion")
"""In the order in which they are tried, which is that of their papers."""
OF_ONE_PAINTING: frozenset[WayName] = frozenset({"optimisation", "instant"})
"""Those that need a painting; the others know kinds of pictures."""
DOMAINS = ("monet", "photo")
"""What the bundled networks know kinds of pictures by; such a word in the style's place means the kind."""


class CompareInputs(Inputs):
    """A photo, what it is to look like, and who paints."""

    photo: PictureFile = Field(title="Photo", description="Picture to paint in every way", positional=True)
    style: StyleName | None = Field(
        None,
        title="Style",
        description="A painting's file or a preset's name; CycleGAN and diffusion need none, and know monet",
        positional=True,
    )
    domain: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        title="Kind of pictures",
        suggestions=DOMAINS,
        description="For CycleGAN and diffusion, which know kinds and no single painting; none: each one's second kind",
    )
    painter: PainterName | None = Field(
        None,
        title="Painter",
        description="Who paints instantly: a network by name or file; none: the style's own, or one for any style",
        advanced=True,
    )
    model: TranslatorName = Field(
        BUNDLED_TRANSLATOR, title="Model", description="CycleGAN's network: a name or a file", advanced=True
    )
    diffuser: DiffuserName | None = Field(
        None, title="Diffusion network", description="A name or a file; none: the bundled one", advanced=True
    )
    judge_weights: WeightsFile | None = Field(
        None,
        title="Second judge",
        description="Weights of torchvision's squeezenet1_0, which no way paints by, to measure distances with as well",
        advanced=True,
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _domain_for_style(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("style") in DOMAINS and values.get("domain") is None:
            return {**values, "style": None, "domain": values["style"]}
        return values


class CompareSettings(Settings):
    """How the photo is painted, the same for every way."""

    ways: tuple[WayName, ...] = Field(
        (),
        title="Ways",
        description="Which to try, in the order given; none: all that can be",
    )
    size: int = Field(320, ge=64, le=2048, title="Size", description="Longest side of each picture, pixels")
    strength: float = Field(
        0.5,
        ge=0,
        le=1,
        step=0.05,
        title="Strength",
        description="From 0, the photo or nearly so, to 1, as much as a way can; 0.5 is what is usual for each",
    )
    quality: Literal["draft", "good", "best"] = Field(
        "good", title="Quality", description="How many iterations optimisation spends"
    )
    steps: int = Field(
        20, ge=1, le=1000, title="Diffusion steps", description="Times that noise is taken away", advanced=True
    )

    @pydantic.field_validator("ways")
    @classmethod
    def _each_once(cls, ways: tuple[WayName, ...]) -> tuple[WayName, ...]:
        if len(set(ways)) < len(ways):
            raise ValueError(f"Each way is tried once, but ways are {', '.join(ways)}.")
        return ways
