"""What each form of the page "Diffusion" asks for: parts of ``DiffuseInputs`` and ``DiffuseSettings``."""

from __future__ import annotations

from typing import Any

import pydantic

from creative.options.diffusion import Aspect, DiffuseInputs, DiffuseSettings, Memory, Sampler
from creative.settings import DiffuserName, Field, Inputs, MaskFile, PictureFile, Settings, WeightsFile

_GIVEN: dict[str, Any] = dict(DiffuseInputs.model_fields)
_SET: dict[str, Any] = dict(DiffuseSettings.model_fields)


class DrawInputs(Inputs):
    """What draws."""

    model: DiffuserName | None = _GIVEN["model"]


_DOMAIN = Field(
    "monet",
    title="Domain",
    suggestions=("monet", "photo"),
    description="What comes out: monet or photo; a network of your own knows its own two",
)
_STEPS = Field(20, ge=1, le=200, title="Steps", description="Times that noise is taken away; more is finer and slower")
_GUIDANCE = Field(
    2.0, ge=0, le=8, step=0.1, title="Guidance", widget="slider", advanced=True,
    description="How much more of the domain than the network itself would give; 1 adds nothing",
)  # fmt: skip


class DrawSettings(Settings):
    """How new pictures are drawn."""

    domain: str = _DOMAIN
    num: int = Field(16, ge=1, le=64, title="Pictures", description="How many to draw on a sheet")
    size: int = Field(
        64, ge=16, le=1024, step=16, title="Size", description="Longest side of each picture, pixels", widget="slider"
    )
    steps: int = _STEPS
    aspect: Aspect = _SET["aspect"]
    guidance: float = _GUIDANCE
    sampler: Sampler = _SET["sampler"]
    eta: float = _SET["eta"]


class BetweenSettings(Settings):
    """The way from one seed's picture to another's."""

    domain: str = _DOMAIN
    between: int = Field(
        1, ge=0, le=2**32 - 1, title="Second seed", widget="seed", description="The way ends with this seed's picture"
    )
    num: int = Field(8, ge=2, le=64, title="Pictures", description="How many on the way, both ends among them")
    size: int = Field(
        64, ge=16, le=1024, step=16, title="Size", description="Longest side of each picture, pixels", widget="slider"
    )
    steps: int = _STEPS
    guidance: float = _GUIDANCE
    sampler: Sampler = _SET["sampler"]
    eta: float = _SET["eta"]


class RestyleInputs(Inputs):
    """A photo, and what restyles it."""

    photo: PictureFile = Field(title="Photo", description="Picture to restyle", positional=True)
    model: DiffuserName | None = _GIVEN["model"]


class RestyleSettings(Settings):
    """How a photo is restyled."""

    domain: str = _DOMAIN
    strength: float = Field(
        0.5, ge=0, le=1, step=0.05, title="Strength", description="0 gives the photo back, 1 keeps nothing of it"
    )
    size: int = Field(
        384, ge=64, le=2048, step=16, title="Size", description="Longest side of the result, pixels", widget="slider"
    )
    steps: int = _STEPS
    num: int = Field(
        1, ge=1, le=16, title="Pictures", description="How many, each with noise of its own", advanced=True
    )
    guidance: float = _GUIDANCE
    sampler: Sampler = _SET["sampler"]
    eta: float = _SET["eta"]


class FillInputs(Inputs):
    """A photo, and where to fill it in."""

    photo: PictureFile = Field(title="Photo", description="Picture to fill in", positional=True)
    mask: MaskFile = Field(
        title="Mask", description="Paint over what is to be drawn anew", widget="brush", over="photo"
    )
    model: DiffuserName | None = _GIVEN["model"]


class FillSettings(Settings):
    """How a photo is filled in."""

    domain: str = Field(
        "photo", title="Domain", suggestions=("photo", "monet"), description="What to fill it in as: photo or monet"
    )
    steps: int = _STEPS
    size: int | None = Field(
        None, ge=64, le=4096, title="Size", description="Longest side of the result, pixels; none: the photo's own",
        advanced=True,
    )  # fmt: skip
    guidance: float = _GUIDANCE
    sampler: Sampler = _SET["sampler"]
    eta: float = _SET["eta"]


class PipelineInputs(Inputs):
    """A pipeline of one's own, and what it is to draw."""

    prompt: str = _GIVEN["prompt"]
    pipeline: str = Field(
        title="Pipeline",
        suggestions=("stabilityai/sd-turbo",),
        description="Folder of a text-to-image pipeline of diffusers, or its name on huggingface.co",
    )
    negative_prompt: str = _GIVEN["negative_prompt"]
    photo: PictureFile | None = Field(
        None, title="Photo", description="Picture to restyle or to fill in; none: a new one is drawn", positional=True
    )
    mask: MaskFile | None = Field(
        None,
        title="Mask",
        description="Paint over what is to be drawn anew; none: the whole photo is restyled",
        widget="brush",
        over="photo",
        advanced=True,
    )
    style: PictureFile | None = _GIVEN["style"]
    ip_adapter: str | None = _GIVEN["ip_adapter"]
    controlnet: str | None = _GIVEN["controlnet"]
    lora: tuple[WeightsFile, ...] = _GIVEN["lora"]

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> PipelineInputs:
        DiffuseInputs(**self.model_dump())
        return self


class PipelineSettings(Settings):
    """How it draws. What is None is as the pipeline was made for."""

    strength: float | None = Field(
        None,
        ge=0,
        le=1,
        title="Strength",
        description="0 gives a photo back, 1 keeps nothing of it; none: 0.5, or 1 under a mask",
    )
    num: int = Field(1, ge=1, le=16, title="Pictures", description="How many to draw on a sheet")
    steps: int | None = Field(
        None, ge=1, le=1000, title="Steps", description="Times that noise is taken away; none: as the pipeline needs"
    )
    guidance: float | None = Field(
        None, ge=0, le=30, title="Guidance", description="How closely it keeps to the words; none: as it needs"
    )
    size: int | None = Field(
        None, ge=16, le=4096, title="Size", description="Longest side, pixels; none: what the pipeline was made for"
    )
    aspect: Aspect = _SET["aspect"]
    sampler: Sampler = _SET["sampler"]
    eta: float = _SET["eta"]
    between: int | None = _SET["between"]
    lora_weight: float = _SET["lora_weight"]
    style_weight: float = _SET["style_weight"]
    control_weight: float = _SET["control_weight"]
    memory: Memory = _SET["memory"]
