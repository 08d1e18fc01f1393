"""The feature networks and their layers by name; the settings of training and of measuring our own one.

Layers are listed in order of depth. Every network is a chain: a layer's map depends on all layers before it and on no
other. The names are the literature's where it has some (``relu3_1``, ``fire5``, ``inception4c``) and otherwise count
from one: ``layer2`` is the end of the second stage of a ResNet, ``layer2_1`` its first block.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import pydantic

from creative.options.training import TrainingSettings
from creative.settings import Field, Folder, Inputs, PictureFile, Settings, WeightsFile

BUNDLED = "bundled"


def _vgg(*convolutions: int, last_pool: bool = True) -> Iterator[str]:
    for stage, count in enumerate(convolutions, 1):
        for number in range(1, count + 1):
            yield from (f"conv{stage}_{number}", f"relu{stage}_{number}")
        if stage < len(convolutions) or last_pool:
            yield f"pool{stage}"


def _squeezenet(*pools: int) -> Iterator[str]:
    yield from ("conv1", "relu1", "pool1")
    for number in range(2, 10):
        yield f"fire{number}"
        if number in pools:
            yield f"pool{number}"


def _resnet(*blocks: int) -> Iterator[str]:
    yield from ("conv1", "norm1", "relu1", "pool1")
    for stage, count in enumerate(blocks, 1):
        yield from (f"layer{stage}_{number}" for number in range(1, count))
        yield f"layer{stage}"


_GOOGLENET = (
    "conv1 pool1 conv2 conv3 pool2 inception3a inception3b pool3 inception4a inception4b inception4c inception4d"
)
_GOOGLENET += " inception4e pool4 inception5a inception5b"
_INCEPTION = "conv1a conv2a conv2b pool1 conv3b conv4a pool2 mixed5b mixed5c mixed5d mixed6a mixed6b mixed6c mixed6d"
_INCEPTION += " mixed6e mixed7a mixed7b mixed7c"

LAYERS: dict[str, tuple[str, ...]] = {
    BUNDLED: tuple(_vgg(2, 2, 3, 3, 2, last_pool=False)),
    "vgg16": tuple(_vgg(2, 2, 3, 3, 3)),
    "vgg19": tuple(_vgg(2, 2, 4, 4, 4)),
    "squeezenet1_0": tuple(_squeezenet(4, 8)),
    "squeezenet1_1": tuple(_squeezenet(3, 5)),
    "googlenet": tuple(_GOOGLENET.split()),
    "inception_v3": tuple(_INCEPTION.split()),
    "resnet50": tuple(_resnet(3, 4, 6, 3)),
    "mobilenet_v2": ("relu1", *(f"block{number}" for number in range(1, 18)), "relu18"),
}


class FeaturesInputs(Inputs):
    """Pictures to learn from and the two networks to learn from."""

    data: tuple[Folder, ...] = Field(
        title="Pictures", description="Folders of pictures; folders called test or val are left out", min_length=1
    )
    squeezenet: WeightsFile | None = Field(
        None, title="SqueezeNet", description="Weights of torchvision's squeezenet1_0; found or asked for if not given"
    )
    mobilenet: WeightsFile | None = Field(
        None, title="MobileNet", description="Weights of torchvision's mobilenet_v2; found or asked for if not given"
    )


class TrainFeaturesInputs(FeaturesInputs):
    """What to learn from, and where to begin."""

    start_from: WeightsFile | None = Field(
        None, title="Start from", description="A finished network of this kind, to go on from; otherwise from nothing"
    )


class TrainClassifierInputs(FeaturesInputs):
    """What to learn classes from, and the network that is to tell them."""

    network_weights: WeightsFile | None = Field(
        None, title="Network", description="The network's file; the bundled one if not given"
    )


class EvaluateFeaturesInputs(FeaturesInputs):
    """The network to be measured, the pictures to measure it with and its teachers."""

    data: tuple[Folder, ...] = Field(
        (), title="Pictures", description="The folders that it was trained on: what was held out there measures it"
    )
    network_weights: WeightsFile | None = Field(
        None, title="Network", description="The network's file; the bundled one if not given"
    )
    photos: tuple[PictureFile, ...] = Field(
        (), title="Photos", description="To be painted with it and with other networks, each in one of the paintings"
    )
    paintings: tuple[PictureFile, ...] = Field((), title="Paintings", description="As many as photos")
    scenes: Folder | None = Field(
        None,
        title="Scenes",
        description="Pictures called KIND_NUMBER.jpg, with a captions.json that says each one's split",
    )
    sheet: Path | None = Field(
        None, title="Sheet", description="File for a picture of what it draws, classes and channels"
    )


Optimizer = Literal["adamw", "muon"]
Measurement = Literal["recognition", "maps", "cost", "drawings", "scenes", "styles"]


class EvaluateFeaturesSettings(Settings):
    """What is measured, and how thoroughly."""

    only: tuple[Measurement, ...] = Field(
        (), title="Only", description="Measure these alone; none: all that there is something to measure with"
    )
    sizes: tuple[int, ...] = Field(
        (128, 160, 192, 224), title="Sizes", description="Sides of the photos to be recognised, pixels", min_length=1
    )
    map_size: int = Field(
        160, ge=64, le=512, title="Map size", description="Side of the pictures whose maps are compared, pixels"
    )
    fit_pictures: int = Field(
        256, ge=8, le=10_000, title="Pictures to fit", description="For the regressions whose variance is measured"
    )
    speed_size: int = Field(
        512, ge=64, le=4096, title="Speed size", description="Side of the picture that speed is measured at, pixels"
    )
    repeats: int = Field(3, ge=1, le=100, title="Repeats", description="Of the time measurements; the fastest counts")
    drawings: int = Field(12, ge=2, le=1000, title="Drawings", description="Classes that each network draws")
    drawing_size: int = Field(128, ge=32, le=512, title="Drawing size", description="Of the drawings, pixels")
    drawing_steps: int = Field(48, ge=1, le=10_000, title="Drawing steps", description="Of gradient ascent")
    channels: int = Field(3, ge=0, le=24, title="Channels", description="Of each stage, drawn for the sheet")
    scene_size: int = Field(160, ge=32, le=512, title="Scene size", description="Side of the scenes, pixels")
    paint_size: int = Field(256, ge=64, le=1024, title="Painting size", description="Of the painted photos, pixels")
    strengths: tuple[float, ...] = Field(
        (0.3,),
        title="Strengths",
        description="Further ones to paint at, to compare at equal content",
        max_length=8,
    )

    @pydantic.field_validator("sizes")
    @classmethod
    def _sizes_fit(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 32 <= size <= 512 for size in sizes):
            raise ValueError(f"sizes must be from 32 to 512 pixels, but are {', '.join(map(str, sizes))}.")
        return tuple(sorted(set(sizes)))

    @pydantic.field_validator("strengths")
    @classmethod
    def _strengths_are(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= strength <= 1 for strength in strengths):
            raise ValueError(f"strengths must be from 0 to 1, but are {', '.join(map(str, strengths))}.")
        return tuple(dict.fromkeys(strengths))

    def measured(self) -> tuple[Measurement, ...]:
        """What is asked for, in the order of measuring."""
        every: tuple[Measurement, ...] = get_args(Measurement)
        return tuple(name for name in every if not self.only or name in self.only)


class FeaturesSettings(TrainingSettings):
    """How the feature network is trained: the defaults come near the recipe of the bundled one."""

    steps: int = Field(5200, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    batch_size: int = Field(32, ge=1, le=4096, title="Batch size", description="Pictures per step")
    learning_rate: float = Field(
        3e-3, gt=0, le=10, title="Learning rate", widget="number", description="Step size of the optimiser at its peak"
    )
    weight_decay: float = Field(
        1e-2, ge=0, le=10, title="Weight decay", widget="number", description="Decoupled decay", advanced=True
    )
    optimizer: Optimizer = Field(
        "adamw", title="Optimiser", description="muon learns the kernels by Muon, the rest by AdamW", advanced=True
    )
    warmup: int = Field(
        200, ge=0, title="Warm-up", description="Steps in which the rate rises to its peak", advanced=True
    )
    workers: int = Field(
        1,
        ge=0,
        le=64,
        title="Workers",
        description="Processes that load data; 0 loads between the steps",
        advanced=True,
    )
    crop: int = Field(112, ge=64, le=512, multiple_of=16, title="Crop", description="Side of the crops, pixels")
    short_side: int = Field(
        160, ge=64, le=1024, title="Short side", description="Of the decoded pictures, pixels", advanced=True
    )
    shares: tuple[float, ...] = Field(
        (),
        title="Shares",
        description="How much of a batch comes from each folder, relative to one another; by number if not given",
        advanced=True,
    )
    cutmix: float = Field(
        0.0, ge=0, le=1, title="CutMix", description="Part of the crops that a piece of another is put into"
    )
    unnatural: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Unnatural",
        description="Part of the crops that get another's details, noise, or another crop mixed in",
        advanced=True,
    )
    painted: float = Field(
        0.0,
        ge=0,
        le=0.5,
        title="Painted",
        description="Part of each batch that was painted by style transfer with the network as it then was",
        advanced=True,
    )
    frozen_stages: int = Field(
        0,
        ge=0,
        title="Frozen stages",
        description="So many first stages of the network started from stay as they are, which makes steps faster",
        advanced=True,
    )
    logit_weight: float = Field(
        0.0, ge=0, le=100, title="Logit weight", description="Of the classes' logits against the maps", advanced=True
    )
    class_weight: float = Field(
        0.1,
        ge=0,
        le=100,
        title="Class weight",
        description="Of the class probabilities against the maps",
        advanced=True,
    )
    class_ramp: float = Field(
        0.3, gt=0, le=1, title="Class ramp", description="Part of the run in which it rises from 0", advanced=True
    )
    temperature: float = Field(
        2.0, gt=0, le=100, title="Temperature", description="At which class probabilities are compared", advanced=True
    )


class ClassifierSettings(Settings):
    """How the feature network's classifier is fitted: the defaults are the recipe of the bundled one."""

    crops: int = Field(8000, ge=10, le=10**6, title="Crops", description="Random crops to learn from")
    size: int = Field(160, ge=32, le=512, title="Size", description="Of the crops as the network sees them, pixels")
    short_side: int = Field(
        256, ge=64, le=1024, title="Short side", description="Of the decoded pictures, pixels", advanced=True
    )
    area: float = Field(
        0.35, gt=0, le=1, title="Area", description="Least part of a picture that a crop shows", advanced=True
    )
    shares: tuple[float, ...] = Field(
        (),
        title="Shares",
        description="How many crops come from each folder, relative to one another; by number if not given",
        advanced=True,
    )
    penalty: float = Field(
        0.01, gt=0, le=100, title="Penalty", description="Of large weights, for each crop", advanced=True
    )
