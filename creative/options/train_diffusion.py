"""Settings of a diffusion network of our own: training it on two folders of pictures, and measuring it.

Ho et al. (2020), Denoising Diffusion Probabilistic Models, arXiv:2006.11239.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from creative.options.training import RecipeSettings
from creative.settings import DiffuserName, Field, Folder, Inputs, Pictures, Settings, WeightsFile

GPU: dict[str, Any] = {
    "steps": 200_000,
    "batch_size": 64,
    "learning_rate": 5e-4,
    "warmup": 1000,
    "ema_decay": 0.9995,
    "patch": 1,
    "channels": (32, 48, 64, 88),
    "workers": 4,
    "evaluate_every": 5000,
    "save_every": 2500,
}
"""What ``recipe="gpu"`` puts in place of the defaults: pixels instead of patches and far more steps. The file is as
small."""


class TrainDiffusionInputs(Inputs):
    """Two folders of pictures of two kinds."""

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
        description="What it is called, to draw with it or to go on with it later; none: by the names of A and B",
    )


class TrainDiffusionSettings(RecipeSettings):
    """How a network is trained to draw both kinds: the defaults are the recipe of the bundled one, made on a CPU."""

    RECIPES: ClassVar = {"gpu": GPU}

    recipe: Literal["cpu", "gpu"] = Field(
        "cpu", title="Recipe", description="gpu: finer and far longer wherever nothing else is said"
    )
    steps: int = Field(10_000, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    batch_size: int = Field(16, ge=1, le=4096, title="Batch size", description="Squares per step", advanced=True)
    size: int = Field(64, ge=16, le=256, multiple_of=8, title="Size", description="Side of the squares drawn, pixels")
    num_levels: int = Field(
        3,
        ge=1,
        le=4,
        title="Levels",
        description="Whole pictures; and halves of them; and quarters, to work on tiles of large pictures",
        advanced=True,
    )
    whole: float = Field(
        0.5,
        gt=0,
        le=1,
        title="Whole",
        description="Share of squares that show a whole picture; the other levels share the rest",
        advanced=True,
    )
    patch: int = Field(2, ge=1, le=4, title="Patch", description="Side of what the network takes as one", advanced=True)
    channels: tuple[int, ...] = Field(
        (40, 64, 88), title="Channels", description="Of the network's levels, each half as large", advanced=True
    )
    num_layers: int = Field(1, ge=1, le=4, title="Layers", description="Residual blocks of each level", advanced=True)
    num_attention: int = Field(
        1, ge=0, le=6, title="Attention", description="Levels with self-attention, from the smallest", advanced=True
    )
    prediction: Literal["v_prediction", "epsilon"] = Field(
        "v_prediction", title="Prediction", description="What comes out: the velocity or the noise", advanced=True
    )
    snr_limit: float = Field(
        5.0,
        ge=0,
        le=1000,
        title="Min-SNR",
        widget="number",
        description="Weigh timesteps by their signal-to-noise ratio up to this; 0: all alike",
        advanced=True,
    )
    drop_label: float = Field(
        0.12,
        ge=0,
        lt=1,
        title="Drop label",
        description="Share of squares whose kind is not told, for guidance",
        advanced=True,
    )
    warmup: int = Field(
        200, ge=0, title="Warm-up", description="Steps in which the rate rises to its peak", advanced=True
    )
    ema_decay: float = Field(
        0.999,
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

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> TrainDiffusionSettings:
        multiple = self.patch * 2 ** (len(self.channels) - 1)
        if not self.channels or any(width < 8 or width % 8 or width > 1024 for width in self.channels):
            raise ValueError("channels must be multiples of 8, from 8 to 1024, such as 40 64 88.")
        if self.size % multiple:
            raise ValueError(
                f"A size of {self.size} pixels cannot be halved {len(self.channels) - 1} times in patches of "
                f"{self.patch}: use a multiple of {multiple}."
            )
        return self


class EvaluateDiffusionInputs(Inputs):
    """The two kinds of pictures, and the network that draws them."""

    a: Folder = Field(title="Pictures A", description="Folder of pictures of its first kind", positional=True)
    b: Folder = Field(title="Pictures B", description="Folder of pictures of its second kind", positional=True)
    model: DiffuserName | None = Field(
        None, title="Model", description="The network: a name or a file; the bundled one if not given"
    )
    judge_weights: WeightsFile | None = Field(
        None, title="Judge", description="Weights of torchvision's squeezenet1_0, a judge of others"
    )
    sheet: Path | None = Field(
        None, title="Sheet", description="File for a picture of samples and the training pictures nearest to them"
    )


class EvaluateDiffusionSettings(Settings):
    """What is drawn to be measured."""

    num: int = Field(100, ge=4, le=10_000, title="Pictures", description="Pictures drawn of each kind, at most")
    floor: int = Field(
        400, ge=4, le=10_000, title="Floor", description="Training pictures of each kind for the floor, at most"
    )
    steps: int = Field(20, ge=1, le=1000, title="Steps", description="Times that noise is taken away")
    guidance: float = Field(
        1.0, ge=0, le=30, title="Guidance", description="How much more of the kind; 1 as it was learned"
    )
