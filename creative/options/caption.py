"""Settings of captioning: describing pictures, training a captioner, measuring one.

A captioner is a trained network with its vocabulary and with what it needs to tell pictures of its own kind from
others, in one file: a bundled one, or made by ``creative train caption``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import pydantic

from creative.options.features import BUNDLED
from creative.options.training import TrainingSettings
from creative.settings import CaptionerName, Field, FileOf, Folder, Inputs, PictureFile, Settings, WeightsFile

CAPTIONERS = ("aerial", "scenes")
"""The bundled captioners by name."""
CaptionData = Annotated[str, FileOf("captions")]
"""A folder or file with captions, or ``scenes`` for pictures that are drawn as it goes."""
SCENES = "scenes"


class CaptionInputs(Inputs):
    """Pictures, and who describes them."""

    pictures: tuple[PictureFile, ...] = Field(
        title="Picture",
        description="Pictures to describe, or folders of them",
        positional=True,
        min_length=1,
        widget="camera",
    )
    model: CaptionerName | None = Field(
        None,
        title="Model",
        description="aerial (photos from above), scenes (drawn shapes), a file; for everyday photos a pretrained "
        "one, its folder or its name on huggingface.co; none: whichever knows the picture",
    )


class CaptionSettings(Settings):
    """How sentences are found, and what is told besides."""

    decoding: Literal["beam", "sample"] = Field(
        "beam",
        title="Decoding",
        description="The likeliest sentences by beam search, or some drawn at random",
        advanced=True,
    )
    beam: int = Field(
        3, ge=1, le=50, title="Beam", description="Sentences kept while searching; 1 takes the likeliest word each time"
    )
    sentences: int = Field(3, ge=1, le=50, title="Sentences", description="Told of each picture, the best first")
    temperature: float = Field(
        0.7,
        gt=0,
        le=5,
        step=0.05,
        title="Temperature",
        description="Of drawing at random: less is safer, more is bolder",
        widget="slider",
        advanced=True,
    )
    length_penalty: float = Field(
        0.7,
        ge=0,
        le=2,
        title="Length penalty",
        description="A sentence's score is its log-probability / length to this power; more makes sentences longer",
        advanced=True,
    )
    max_words: int = Field(40, ge=1, le=200, title="Words", description="Of a sentence, at most", advanced=True)
    guesses: int = Field(
        5,
        ge=0,
        le=20,
        title="Guesses",
        description="Labels told of a picture that no model knows the like of",
        advanced=True,
    )
    anyway: bool = Field(
        False,
        title="Describe anyway",
        description="Also pictures unlike all that the model was trained on; expect inventions",
    )

    @pydantic.model_validator(mode="after")
    def _enough(self) -> CaptionSettings:
        if self.decoding == "beam" and "sentences" in self.model_fields_set and self.sentences > self.beam > 1:
            raise ValueError(
                f"A beam of {self.beam} finds {self.beam} sentences, not {self.sentences}: widen the beam."
            )
        return self

    @property
    def num_sentences(self) -> int:
        """Sentences that are told of each picture."""
        return self.sentences if self.decoding == "sample" else min(self.sentences, self.beam)


class TrainCaptionInputs(Inputs):
    """What it learns from."""

    data: CaptionData = Field(
        title="Data",
        description="A folder or file of pictures with captions (Flickr8k, COCO, Karpathy's split, CSV, our own), or "
        "scenes: drawn as it goes",
        positional=True,
    )
    pictures: Folder | None = Field(
        None, title="Pictures", description="Where the pictures are, if not beside the captions"
    )
    others: tuple[Folder, ...] = Field(
        (), title="Others", description="Folders of all kinds of other pictures, to learn what it does not know"
    )
    start_from: WeightsFile | None = Field(
        None, title="Start from", description="A captioner with the same encoder to go on from"
    )
    network_weights: WeightsFile | None = Field(
        None, title="Network", description="The feature network's file; found if not given"
    )


class TrainCaptionSettings(TrainingSettings):
    """How a captioner is trained: the defaults are the recipe of the bundled one for aerial photos."""

    steps: int = Field(2400, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    batch_size: int = Field(32, ge=1, le=65536, title="Batch size", description="Pictures per step")
    learning_rate: float = Field(
        2e-3, gt=0, le=10, title="Learning rate", widget="number", description="Step size of the optimiser at its peak"
    )
    weight_decay: float = Field(
        0.05, ge=0, le=10, title="Weight decay", widget="number", description="AdamW's decoupled decay", advanced=True
    )
    ema_decay: float = Field(
        0.995,
        ge=0,
        lt=1,
        title="Averaging",
        widget="number",
        description="Decay of the weights' running average, which is what is kept; 0 keeps the last weights",
        advanced=True,
    )
    workers: int = Field(
        0,
        ge=0,
        le=64,
        title="Workers",
        description="Processes that load data; 0 loads between the steps",
        advanced=True,
    )
    evaluate_every: int = Field(
        200, ge=1, title="Evaluate every", description="Steps between evaluations on held-out pictures", advanced=True
    )
    encoder: Literal["features", "own"] = Field(
        "features",
        title="Encoder",
        description="A feature network as it is, its maps kept on disk; or a small network of its own, trained with it",
    )
    network: str = Field(BUNDLED, title="Network", description="Whose maps are read", advanced=True)
    layers: tuple[str, ...] = Field(
        ("relu3_3", "pool4", "relu5_2"), title="Layers", description="Of that network", advanced=True, min_length=1
    )
    picture_size: int = Field(
        224, ge=32, le=1024, title="Picture size", description="Side to which pictures are resized, pixels"
    )
    grid: int = Field(
        7, ge=1, le=64, title="Grid", description="Places along a side that the encoder tells apart", advanced=True
    )
    views: Literal[1, 2, 4, 8] = Field(
        4,
        title="Views",
        description="Of each picture in training: 2 mirrored, 4 also turned, 8 all; where captions do not name sides",
    )
    encoder_width: int = Field(
        32, ge=4, le=1024, title="Encoder width", description="Channels of an own encoder's first stage", advanced=True
    )
    units: Literal["words", "characters"] = Field(
        "words", title="Units", description="What sentences are written in", advanced=True
    )
    min_count: int = Field(
        2, ge=1, le=1000, title="Word count", description="Words met less often are left out", advanced=True
    )
    max_words: int = Field(
        40, ge=2, le=1000, title="Longest", description="Words of a caption that are read", advanced=True
    )
    sentences: int = Field(3, ge=1, le=50, title="Sentences", description="Per picture and step", advanced=True)
    embedding_size: int = Field(96, ge=2, le=4096, title="Embedding size", description="Per word", advanced=True)
    hidden_size: int = Field(128, ge=2, le=4096, title="Hidden size", description="Of each LSTM", advanced=True)
    memory_size: int = Field(
        96, ge=2, le=4096, title="Memory size", description="Numbers per place of the picture", advanced=True
    )
    num_heads: int = Field(
        2, ge=1, le=64, title="Attention", description="Places looked at for each word", advanced=True
    )
    dropout: float = Field(0.5, ge=0, lt=1, title="Dropout", description="In training")
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, title="Label smoothing", description="Probability kept for other words", advanced=True
    )
    doubly_stochastic: float = Field(
        0.005,
        ge=0,
        le=100,
        title="Look everywhere",
        description="Weight of the regulariser by which every place is to be looked at once",
        advanced=True,
    )
    concepts: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Concepts",
        description="Weight of telling from the picture's places which words are about it; for an own encoder",
        advanced=True,
    )
    scheduled_sampling: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Scheduled sampling",
        description="Share of the words read in training that are the network's own, at the end",
        advanced=True,
    )
    self_critical: float = Field(
        0.2,
        ge=0,
        lt=1,
        title="Self-critical",
        description="Part of the run, its end, in which CIDEr-D of its own sentences is what it learns from",
    )
    samples: int = Field(
        5, ge=2, le=50, title="Samples", description="Sentences drawn of a picture in that part", advanced=True
    )
    beam: int = Field(3, ge=1, le=50, title="Beam", description="Of the evaluations while training", advanced=True)
    held_out: bool = Field(
        True,
        title="Hold out",
        description="Steer by pictures that it does not learn from; off: learn from all but the test pictures",
        advanced=True,
    )
    saved_as: Literal["float32", "float16", "int8"] = Field(
        "int8", title="Saved as", description="Precision of the finished file", advanced=True
    )


class EvaluateCaptionInputs(Inputs):
    """A captioner, and captioned pictures that it is measured on."""

    model: CaptionerName = Field(
        "aerial", title="Model", description="A bundled captioner's name, or a captioner's file"
    )
    data: CaptionData | None = Field(
        None, title="Data", description="As of training; none: scenes drawn for the captioner of scenes"
    )
    pictures: Folder | None = Field(
        None, title="Pictures", description="Where the pictures are, if not beside the captions"
    )
    others: Folder | None = Field(
        None, title="Others", description="A folder of other pictures, which are to be told from its own kind"
    )


class EvaluateCaptionSettings(Settings):
    """What is measured, and how sentences are found."""

    split: Literal["train", "val", "test"] = Field("test", title="Split", description="Part of the data")
    part: str = Field(
        "",
        max_length=200,
        title="Part",
        description="Measured by itself too: pictures whose file's name begins with a number in FIRST-LAST, as 00-20",
    )
    scenes: int = Field(1000, ge=10, le=1_000_000, title="Scenes", description="Drawn, for a captioner of scenes")
    beam: int = Field(3, ge=1, le=50, title="Beam", description="Sentences kept while searching; 1: greedy")
    length_penalty: float = Field(0.7, ge=0, le=2, title="Length penalty", description="As of `caption`", advanced=True)
    shown: int = Field(20, ge=0, le=10_000, title="Shown", description="Sentences that the report quotes")

    @pydantic.field_validator("part")
    @classmethod
    def _is_range(cls, part: str) -> str:
        first, _, last = part.partition("-")
        if part and not (first.isdigit() and last.isdigit() and int(first) <= int(last)):
            raise ValueError(f"part is two numbers such as 00-20, but is {part!r}.")
        return part

    def begins(self, name: str) -> bool:
        """Whether a file's name begins with a number in ``part``."""
        first, _, last = self.part.partition("-")
        number = re.match(r"\d+", name)
        return bool(self.part) and number is not None and int(first) <= int(number[0]) <= int(last)
