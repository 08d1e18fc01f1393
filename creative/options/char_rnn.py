"""Settings of the character-level recurrent network: its training on texts, and measuring a voice.

A voice is a trained network with its vocabulary in one file: a bundled one, or made by ``creative train char-rnn``.
"""

from __future__ import annotations

from typing import Literal

from creative.options.training import TrainingSettings
from creative.settings import Field, Inputs, Settings, TextFile, VoiceName

CellKind = Literal["rnn", "gru", "lstm", "peephole"]
Units = Literal["characters", "bytes"]
Encoding = Literal["utf-8", "utf-16", "latin-1", "windows-1252"]


class TrainCharRNNInputs(Inputs):
    """What is read and, if one likes, whose voice it begins with."""

    text: tuple[TextFile, ...] = Field(
        title="Text",
        description="Text to learn from: files, or folders of files; the last tenth is held out for measuring",
        positional=True,
        min_length=1,
    )
    start_from: VoiceName | None = Field(
        None,
        title="Start from",
        description="A voice to go on from: a bundled one's name or a file; its size is kept, new characters are added",
    )


class CharRNNSettings(TrainingSettings):
    """How a voice is trained."""

    steps: int = Field(5000, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    batch_size: int = Field(
        32, ge=1, le=65536, title="Batch size", description="Places in the text that are read on from side by side"
    )
    learning_rate: float = Field(
        3e-3, gt=0, le=10, title="Learning rate", widget="number", description="Step size of the optimiser at its peak"
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
        500, ge=1, title="Evaluate every", description="Steps between evaluations on held-out data", advanced=True
    )
    hidden_size: int = Field(
        384,
        ge=1,
        le=8192,
        title="Hidden size",
        description="Numbers that each layer remembers from character to character",
    )
    num_layers: int = Field(2, ge=1, le=16, title="Layers", description="Recurrent layers, one upon the other")
    dropout: float = Field(
        0.3, ge=0, lt=1, title="Dropout", description="Part of each layer's output that is set to zero in training"
    )
    units: Units = Field("characters", title="Units", description="What is read and written: characters, or raw bytes")
    encoding: Encoding = Field("utf-8", title="Encoding", description="Of the texts; bytes need none", advanced=True)
    kind: CellKind = Field("lstm", title="Cell", description="The recurrent cell", advanced=True)
    sequence_length: int = Field(
        128,
        ge=1,
        le=65536,
        title="Sequence length",
        description="Characters per step that gradients flow back through; what is remembered reaches further",
        advanced=True,
    )
    embedding_size: int | None = Field(
        None,
        ge=1,
        le=8192,
        title="Embedding size",
        description="Numbers per character; none for one-hot",
        advanced=True,
    )
    layer_norm: bool = Field(False, title="Layer norm", description="Normalise the gates (slower)", advanced=True)
    residual: bool = Field(
        False, title="Residual", description="Each layer but the first adds to its input", advanced=True
    )
    weight_drop: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Weight drop",
        description="Part of the weights from step to step that is set to zero in training",
        advanced=True,
    )
    forget: float = Field(
        0.01,
        ge=0,
        le=1,
        title="Forget",
        description="Chance per step that a place's memory is emptied, so that beginning without any is learned too",
        advanced=True,
    )
    saved_as: Literal["float32", "float16", "int8"] = Field(
        "float16", title="Saved as", description="Precision of the finished file", advanced=True
    )


class EvaluateVoiceInputs(Inputs):
    """A voice, and the text that it is to predict."""

    voice: VoiceName = Field("shakespeare", title="Voice", description="A bundled voice's name, or a voice's file")
    text: tuple[TextFile, ...] = Field(title="Text", description="Text files or folders", min_length=1)


class EvaluateVoiceSettings(Settings):
    """What is measured, and how."""

    part: Literal["all", "last-tenth"] = Field(
        "all", title="Part", description="All of the text, or the last tenth, which training holds out"
    )
    streams: int = Field(
        1,
        ge=1,
        le=4096,
        title="Streams",
        description="1 reads in one pass; more read side by side, each from 1,000 characters before its part: faster",
        advanced=True,
    )
    encoding: Encoding = Field("utf-8", title="Encoding", description="Of the text", advanced=True)
    unseen: Literal["skip", "refuse"] = Field(
        "skip", title="Unseen", description="What to do with characters that the voice does not know"
    )
