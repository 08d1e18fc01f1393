"""Settings of CycleGAN: training two translators between two folders of pictures, and measuring them.

Zhu et al. (2017), Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, arXiv:1703.10593.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from creative.options.training import RecipeSettings, Schedule
from creative.settings import Field, Folder, Inputs, Pictures, Settings, TranslatorName, WeightsFile

Objective = Literal["cycle", "patch_nce"]
Adversarial = Literal["least_squares", "vanilla", "hinge", "wgan_gp"]

PAPER: dict[str, Any] = {
    "steps": 1_257_400,
    "size": 286,
    "crop": 256,
    "width": 64,
    "num_blocks": 9,
    "residual": False,
    "norm": "instance",
    "initialisation": "normal",
    "discriminator_width": 64,
    "discriminator_layers": 3,
    "batch_size": 1,
    "learning_rate": 2e-4,
    "discriminator_rate": 1.0,
    "schedule": "linear",
    "decay_from": 0.5,
    "warmup": 0,
    "clip_norm": 0.0,
    "cycle_weight": 10.0,
    "cycle_every": 1,
    "backwards_every": 1,
    "identity_weight": 0.5,
    "identity_every": 1,
    "patch_weight": 1.0,
    "feature_weight": 0.0,
    "style_weight": 0.0,
    "content_weight": 0.0,
    "ema_decay": 0.999,
    "pool_size": 50,
}
"""What ``recipe="paper"`` puts in place of the defaults: Zhu et al.'s, 200 epochs of 6,287 photos; their networks have
up-sampling by transposed convolutions and no running average."""


class TrainCycleGANInputs(Inputs):
    """Two folders of pictures and, if one likes, a network to begin with."""

    a: Pictures = Field(
        title="Pictures A", description="Folder or zip of pictures of one kind, photos for example", positional=True
    )
    b: Pictures = Field(
        title="Pictures B",
        description="Folder or zip of pictures of the other kind, paintings for example",
        positional=True,
    )
    name: str | None = Field(
        None,
        pattern=r"^[\w-][\w.-]{0,79}$",
        title="Name",
        description="What it is called, to translate with it or to go on with it later; none: by the names of A and B",
    )
    start_from: TranslatorName | None = Field(
        None, title="Start from", description="A finished network to go on from; its size is kept"
    )


class TrainCycleGANSettings(RecipeSettings):
    """How two translators are trained: the defaults are the recipe of the bundled ones, made on a CPU."""

    RECIPES: ClassVar = {"paper": PAPER}

    recipe: Literal["cpu", "paper"] = Field(
        "cpu", title="Recipe", description="paper: the paper's networks and training wherever nothing else is said"
    )
    objective: Objective = Field(
        "cycle",
        title="Objective",
        description="cycle: there and back gives the same picture; patch_nce: a to b only, each patch stays itself",
        advanced=True,
    )
    steps: int = Field(6000, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    batch_size: int = Field(
        1, ge=1, le=1024, title="Batch size", description="Pictures of each kind per step", advanced=True
    )
    size: int = Field(
        256, ge=32, le=4096, title="Size", description="Short side that pictures are scaled to before cropping, pixels"
    )
    crop: int = Field(128, ge=32, le=2048, multiple_of=4, title="Crop", description="Side of the crops, pixels")
    width: int = Field(
        24, ge=1, le=256, title="Width", description="Channels of a generator's first layer", advanced=True
    )
    num_blocks: int = Field(6, ge=0, le=32, title="Blocks", description="Residual blocks of a generator", advanced=True)
    learning_rate: float = Field(
        4e-4,
        gt=0,
        le=10,
        title="Learning rate",
        widget="number",
        description="Step size of the generators' optimiser",
        advanced=True,
    )
    schedule: Schedule = Field(
        "linear", title="Schedule", description="How the learning rate falls to zero", advanced=True
    )
    decay_from: float = Field(
        0.4, ge=0, lt=1, title="Decay from", description="Part of the run before the rate falls", advanced=True
    )
    warmup: int = Field(
        50, ge=0, title="Warm-up", description="Steps in which the rate rises to its peak", advanced=True
    )
    ema_decay: float = Field(
        0.998,
        ge=0,
        lt=1,
        title="Averaging",
        widget="number",
        description="Decay of the weights' running average, which is what is kept; 0 keeps the last weights",
        advanced=True,
    )
    workers: int = Field(
        1,
        ge=0,
        le=64,
        title="Workers",
        description="Processes that load data; 0 loads between the steps",
        advanced=True,
    )
    save_every: int = Field(
        250, ge=1, title="Save every", description="Steps between saves of all that a resumed run needs", advanced=True
    )
    cycle_weight: float = Field(
        0.3,
        ge=0,
        le=1000,
        title="Cycle",
        description="Weight of the way there and back, λ",
        widget="number",
        advanced=True,
    )
    cycle_every: int = Field(
        6,
        ge=1,
        le=1000,
        title="Cycle every",
        description="Steps between two that go there and back, a to b and b to a in turn; their weight grows with it",
        advanced=True,
    )
    backwards_every: int = Field(
        3,
        ge=1,
        le=1000,
        title="Backwards every",
        description="Steps between two in which b to a learns as well",
        advanced=True,
    )
    identity_weight: float = Field(
        0.0,
        ge=0,
        le=1000,
        title="Identity",
        widget="number",
        description="Weight, relative to λ, of leaving alone what is of the wanted kind already",
        advanced=True,
    )
    identity_every: int = Field(
        1, ge=1, le=1000, title="Identity every", description="Steps between two that ask for it", advanced=True
    )
    patch_weight: float = Field(
        1.0,
        ge=0,
        le=1000,
        title="Patches",
        widget="number",
        description="Of the discriminators on patches of pixels",
        advanced=True,
    )
    feature_weight: float = Field(
        3.0,
        ge=0,
        le=1000,
        title="Features",
        widget="number",
        description="Of the discriminators that look through the bundled feature network",
        advanced=True,
    )
    style_weight: float = Field(
        2.0,
        ge=0,
        le=1000,
        title="Style",
        widget="number",
        description="Of the distance of Gram matrices from those of what shows the most alike in the wanted kind",
        advanced=True,
    )
    content_weight: float = Field(
        0.2,
        ge=0,
        le=1000,
        title="Content",
        widget="number",
        description="Of the distance of deep features kept",
        advanced=True,
    )
    nce_weight: float = Field(
        1.0, ge=0, le=1000, title="PatchNCE", widget="number", description="Of each patch staying itself", advanced=True
    )
    adversarial: Adversarial = Field(
        "least_squares", title="Adversarial loss", description="The discriminators' game", advanced=True
    )
    discriminator_rate: float = Field(
        1.0,
        gt=0,
        le=100,
        title="Discriminators' rate",
        description="Learning rate relative to the generators'",
        advanced=True,
    )
    discriminator_width: int = Field(
        32, ge=1, le=256, title="Discriminators' width", description="Channels of the first layer", advanced=True
    )
    discriminator_layers: int = Field(
        3,
        ge=1,
        le=6,
        title="Discriminators' layers",
        description="Halvings: 3 judge 70 pixels at a time",
        advanced=True,
    )
    pool_size: int = Field(
        50, ge=0, le=10_000, title="Pool", description="Earlier translations that discriminators see", advanced=True
    )
    residual: bool = Field(
        True,
        title="Residual",
        description="A generator draws what changes; it begins by changing nothing",
        advanced=True,
    )
    norm: Literal["instance", "none"] = Field(
        "none",
        title="Normalisation",
        description="Of the generators' maps: instance evens out contrast; none knows light from dark",
        advanced=True,
    )
    upsampling: Literal["resize", "transposed"] = Field(
        "resize",
        title="Up-sampling",
        description="transposed convolutions fit published files, but draw checkerboards",
        advanced=True,
    )
    initialisation: Literal["normal", "xavier", "orthogonal"] = Field(
        "xavier", title="Initialisation", description="Of the weights; normal has the deviation 0.02", advanced=True
    )
    alarms: bool = Field(
        True,
        title="Alarms",
        description="Stop when a discriminator has won, colours turn to their opposites, or nothing changes",
        advanced=True,
    )

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> TrainCycleGANSettings:
        if self.crop > self.size:
            raise ValueError(
                f"A crop of {self.crop} pixels cannot be cut out of pictures of {self.size}: set a larger size."
            )
        if not self.patch_weight and not self.feature_weight and not self.style_weight:
            raise ValueError("Nothing says what the pictures should look like: set patch_weight, say, above 0.")
        if self.objective == "patch_nce" and not self.nce_weight:
            raise ValueError("The objective patch_nce needs an nce_weight above 0.")
        return self


class EvaluateCycleGANInputs(Inputs):
    """The two kinds of pictures, and the network that translates between them."""

    a: Folder = Field(title="Pictures A", description="Folder of pictures to translate, photos say", positional=True)
    b: Folder = Field(title="Pictures B", description="Folder of pictures of the wanted kind", positional=True)
    network_weights: WeightsFile | None = Field(
        None, title="Network", description="The network's file; the bundled photo2monet if not given"
    )
    judge_weights: WeightsFile | None = Field(
        None, title="Judge", description="Weights of torchvision's squeezenet1_0, a judge that training has not seen"
    )
    sheet: Path | None = Field(
        None, title="Sheet", description="File for a picture of what is translated and what comes out"
    )


class EvaluateCycleGANSettings(Settings):
    """What a translation is measured on."""

    size: int = Field(256, ge=64, le=1024, multiple_of=4, title="Size", description="Side of the pictures, pixels")
    pictures: int = Field(100, ge=4, le=10_000, title="Pictures", description="Held-out pictures of each kind, at most")
    floor: int = Field(
        200, ge=4, le=10_000, title="Floor", description="Pictures of B for the floor, at most: those it learned from"
    )
    backwards: bool = Field(True, title="Backwards", description="Measure b to a as well")
