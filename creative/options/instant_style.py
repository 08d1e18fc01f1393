"""Settings of the networks that paint in one pass: training one for any painting or for one, and measuring them."""

from __future__ import annotations

from pathlib import Path

from creative.options.training import TrainingSettings
from creative.settings import Field, Folder, Inputs, PainterName, PictureFile, Settings, WeightsFile


class TrainInstantStyleInputs(Inputs):
    """Photos to paint and paintings to learn from."""

    photos: tuple[Folder, ...] = Field(
        title="Photos", description="Folders of photos; folders called test or val are left out", min_length=1
    )
    styles: tuple[Folder, ...] = Field(
        title="Paintings",
        description="Folders of paintings; each folder is drawn from as often as the others",
        min_length=1,
    )
    judge_weights: WeightsFile | None = Field(
        None, title="Judge", description="Weights of torchvision's squeezenet1_0; found or asked for if not given"
    )
    start_from: PainterName | None = Field(
        None, title="Start from", description="A finished network of this kind to go on from"
    )
    old_features: WeightsFile | None = Field(
        None,
        title="Old features",
        description="The feature network that it was trained with, where the bundled one is another now: then only the "
        "predictor learns, to see paintings as before",
    )
    name: str | None = Field(
        None,
        pattern=r"^[\w-][\w.-]{0,79}$",
        title="Name",
        description="What the network is called, to paint with it later; none: any-painting",
    )


class PainterTrainingSettings(TrainingSettings):
    """What both kinds of training share."""

    batch_size: int = Field(4, ge=1, le=1024, title="Batch size", description="Photos painted per step", advanced=True)
    crop: int = Field(128, ge=64, le=1024, multiple_of=8, title="Crop", description="Side of the crops, pixels")
    size: int = Field(
        256, ge=64, le=4096, title="Size", description="Short side that photos are decoded at, pixels", advanced=True
    )
    ema_decay: float = Field(
        0.99,
        ge=0,
        lt=1,
        title="Averaging",
        widget="number",
        description="Decay of the weights' running average, which is what is kept; 0 keeps the last weights",
        advanced=True,
    )
    warmup: int = Field(
        50, ge=0, title="Warm-up", description="Steps in which the rate rises to its peak", advanced=True
    )
    workers: int = Field(
        0,
        ge=0,
        le=64,
        title="Workers",
        description="Processes that load data; 0 loads between the steps",
        advanced=True,
    )
    content_weight: float = Field(
        0.16, ge=0, le=100, title="Content", widget="number", description="How much of the photo is to stay"
    )
    texture_weight: float = Field(
        0.8,
        ge=0,
        le=100,
        title="Texture",
        widget="number",
        description="Of colours and finest strokes, as pixels and the bundled network's first layers see them",
        advanced=True,
    )
    smoothness: float = Field(
        0.1, ge=0, le=1000, title="Smoothness", widget="number", description="Of total variation", advanced=True
    )


class TrainInstantStyleSettings(PainterTrainingSettings):
    """How the network for any painting is trained."""

    steps: int = Field(16_000, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    learning_rate: float = Field(
        1.5e-3,
        gt=0,
        le=10,
        title="Learning rate",
        widget="number",
        description="Step size of the optimiser at its peak",
    )
    variants: int = Field(
        560,
        ge=1,
        le=100_000,
        title="Variants",
        description="Of each folder's paintings: sizes, crops and colours seen in training, all together",
        advanced=True,
    )
    held_out: tuple[str, ...] = Field(
        (),
        title="Held out",
        description="Paintings to measure with only: parts of their files' names",
        advanced=True,
    )


class TrainFastStyleInputs(Inputs):
    """One painting, and photos to learn to paint."""

    painting: PictureFile = Field(title="Painting", description="The painting's file", positional=True)
    photos: tuple[Folder, ...] = Field(
        title="Photos", description="Folders of photos; folders called test or val are left out", min_length=1
    )
    judge_weights: WeightsFile | None = Field(
        None, title="Judge", description="Weights of torchvision's squeezenet1_0; found or asked for if not given"
    )
    start_from: PainterName | None = Field(
        None,
        title="Start from",
        description="The network for any painting to begin with; the bundled one if not given",
        advanced=True,
    )
    name: str | None = Field(
        None,
        pattern=r"^[\w-][\w.-]{0,79}$",
        title="Name",
        description="What the painter is called, to paint with it later; none: by the painting's file",
    )


class TrainFastStyleSettings(PainterTrainingSettings):
    """How a network for one painting is trained: it begins as the network for any painting in this style."""

    steps: int = Field(1500, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    learning_rate: float = Field(
        1.5e-3,
        gt=0,
        le=10,
        title="Learning rate",
        widget="number",
        description="Step size of the optimiser at its peak",
    )
    style_size: int = Field(
        384, ge=64, le=2048, title="Painting's size", description="Longest side at which the painting is seen, pixels"
    )
    evaluate_every: int = Field(
        500, ge=1, title="Evaluate every", description="Steps between evaluations on held-out data", advanced=True
    )
    save_every: int = Field(
        250, ge=1, title="Save every", description="Steps between saves of all that a resumed run needs", advanced=True
    )


class EvaluateInstantStyleInputs(Inputs):
    """Photos, the paintings to paint them in, and the network."""

    photos: tuple[Folder, ...] = Field(title="Photos", description="Folders of photos to paint", min_length=1)
    styles: tuple[PictureFile, ...] = Field(title="Paintings", description="Paintings' files", min_length=1)
    painter: PainterName = Field("instant-style", title="Painter", description="The network that paints")
    judge_weights: WeightsFile | None = Field(
        None, title="Judge", description="Weights of torchvision's squeezenet1_0; found or asked for if not given"
    )
    sheet: Path | None = Field(None, title="Sheet", description="File for a picture of each photo in each painting")


class EvaluateInstantStyleSettings(Settings):
    """What a painter is measured on."""

    size: int = Field(256, ge=64, le=2048, title="Size", description="Longest side of the photos, pixels")
    pairs: int = Field(10, ge=1, le=10_000, title="Pairs", description="Pairs of a photo and a painting")
    strength: float = Field(1.0, ge=0, le=1.5, title="Strength", description="Of the style's code; 0 leaves the photo")
