"""Settings of diffusion: drawing, restyling, filling in and blending, by our own small network or by a pipeline of
one's own.

``DiffuseInputs`` and ``DiffuseSettings`` are all there is; the forms of the page take what each of them needs.
"""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from creative.settings import DiffuserName, Field, Inputs, MaskFile, PictureFile, Settings, WeightsFile

Sampler = Literal["auto", "dpm", "ddim"]
Aspect = Literal["1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16"]
Memory = Literal["auto", "whole", "sliced", "offload", "sequential"]
BUNDLED_DIFFUSER = "diffusion"
MAX_PROMPT = 5000
"""Characters of a prompt, at most; a pipeline's tokenizer cuts it much shorter."""

_MODEL = Field(
    None, title="Model", description="A diffusion network of our own kind: a name or a file; none: the bundled one",
    advanced=True,
)  # fmt: skip
_PIPELINE = Field(
    None,
    title="Pipeline",
    description="A text-to-image pipeline of diffusers in place of our network: its folder, or its name on "
    "huggingface.co such as stabilityai/sd-turbo",
)
_PROMPT = Field("", title="Prompt", description="What a pipeline draws, in words", widget="prompt")
_NEGATIVE = Field(
    "", title="Negative prompt", description="What it should not look like, where the guidance is above 1",
    advanced=True,
)  # fmt: skip
_STYLE = Field(
    None, title="Style picture", description="Picture to take the style from; needs an IP-Adapter", advanced=True
)
_IP_ADAPTER = Field(
    None, title="IP-Adapter", description="Folder of an IP-Adapter's weights (.safetensors), for the style picture",
    advanced=True,
)  # fmt: skip
_CONTROLNET = Field(
    None, title="ControlNet", description="Folder of a ControlNet for canny edges, to keep the photo's structure",
    advanced=True,
)  # fmt: skip
_LORA = Field((), title="LoRA", description="LoRA files (.safetensors) to add to the pipeline", advanced=True)
_MASK = Field(None, title="Mask", description="White where to fill the photo in, black where to keep it; of any size")


def _sensible(prompt: str) -> str:
    if len(prompt) > MAX_PROMPT:
        raise ValueError(f"A prompt has at most {MAX_PROMPT:,} characters, but this one has {len(prompt):,}.")
    return prompt


class DiffuseInputs(Inputs):
    """What to begin with, and what draws."""

    photo: PictureFile | None = Field(
        None, title="Photo", description="Picture to restyle or to fill in; none: new ones are drawn", positional=True
    )
    mask: MaskFile | None = _MASK
    model: DiffuserName | None = _MODEL
    pipeline: str | None = _PIPELINE
    prompt: str = _PROMPT
    negative_prompt: str = _NEGATIVE
    style: PictureFile | None = _STYLE
    ip_adapter: str | None = _IP_ADAPTER
    controlnet: str | None = _CONTROLNET
    lora: tuple[WeightsFile, ...] = _LORA

    _short = pydantic.field_validator("prompt", "negative_prompt")(_sensible)

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mask is not None and self.photo is None:
            raise ValueError("A mask needs a photo to be filled in: give one.")
        if self.style is not None and self.ip_adapter is None:
            raise ValueError("A style picture needs an IP-Adapter: give its folder with ip_adapter.")
        if self.ip_adapter is not None and self.style is None:
            raise ValueError("An IP-Adapter needs a picture to take the style from: give one with style.")
        if self.controlnet is not None and self.photo is None:
            raise ValueError("A ControlNet needs a photo, whose structure is kept: give one.")
        if self.pipeline is None:
            given = {name for name in _OF_PIPELINES if getattr(self, name)}
            if given:
                name = min(given, key=_OF_PIPELINES.index)
                raise ValueError(
                    f"Our own network knows no {name}: it is for a pipeline of your own; name one with pipeline."
                )
        elif self.model is not None:
            raise ValueError("Give a model or a pipeline, not both.")
        return self


_OF_PIPELINES = ("prompt", "negative_prompt", "style", "ip_adapter", "controlnet", "lora")


class DiffuseSettings(Settings):
    """How to draw. What is None is as it suits what draws."""

    domain: str | None = Field(
        None, title="Domain",
        suggestions=("monet", "photo"),
        description="What our network draws: monet or photo; none: its second domain, or its first to fill a mask in",
    )  # fmt: skip
    num: int | None = Field(
        None,
        ge=1,
        le=64,
        title="Pictures",
        description="How many on a sheet; none: 16 new ones by our network, 1 of a photo or by a pipeline",
    )
    steps: int | None = Field(
        None, ge=1, le=1000, title="Steps",
        description="Times that noise is taken away; none: 20, or what the pipeline was made for",
    )  # fmt: skip
    strength: float | None = Field(
        None, ge=0, le=1, step=0.05, title="Strength",
        description="0 gives the photo back, 1 keeps nothing of it; none: 0.5, or 1 where a mask is filled in",
    )  # fmt: skip
    guidance: float | None = Field(
        None, ge=0, le=30, title="Guidance",
        description="How much more of the domain or the prompt than the network itself would give; 1 adds nothing",
    )  # fmt: skip
    size: int | None = Field(
        None, ge=16, le=4096, title="Size",
        description="Longest side of each picture, pixels; none: what the network was made for, or the photo's",
    )  # fmt: skip
    aspect: Aspect = Field("1:1", title="Aspect", description="Width to height of new pictures", advanced=True)
    sampler: Sampler = Field(
        "auto", title="Sampler", description="dpm: DPM-Solver++, good in few steps; ddim; auto: what suits",
        advanced=True,
    )  # fmt: skip
    eta: float = Field(
        0.0, ge=0, le=1, step=0.05, title="Eta", description="New noise per step of ddim, from none to 1", advanced=True
    )
    between: int | None = Field(
        None, ge=0, le=2**32 - 1, title="Between",
        description="A second seed: pictures on the way from the seed's to this one's", advanced=True,
    )  # fmt: skip
    lora_weight: float = Field(
        1.0, ge=-4, le=4, step=0.05, title="LoRA weight", description="How much of the LoRA files", advanced=True
    )
    style_weight: float = Field(
        0.6, ge=0, le=2, step=0.05, title="Style weight", description="How much of the style picture", advanced=True
    )
    control_weight: float = Field(
        0.8, ge=0, le=2, step=0.05, title="Control weight", description="How much of the photo's edges", advanced=True
    )
    memory: Memory = Field(
        "auto", title="Memory", advanced=True,
        description="Of a pipeline: whole; sliced; on a GPU only the part at work (offload) or layer by layer",
    )  # fmt: skip
