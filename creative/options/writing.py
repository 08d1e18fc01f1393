"""Settings of writing in a voice, of scoring a text with one, and of looking inside it while it reads."""

from __future__ import annotations

import re
from typing import Any, Literal

import pydantic

from creative.options.char_rnn import Encoding
from creative.settings import Field, Inputs, Settings, TextFile, VoiceName

Unseen = Literal["replace", "refuse"]
Feature = Literal[
    "inside quotes",
    "inside brackets",
    "depth of brackets",
    "position in the line",
    "position in the word",
    "indentation",
    "capitals",
    "line in capitals",
    "start of a sentence",
    "digits",
    "vowels",
    "white space",
    "punctuation",
    "inside a comment",
    "inside mathematics",
]

_VOICE = Field("shakespeare", title="Voice", description="Who writes or reads: a bundled voice, or a voice's file")
_TRAINING_TEXT = Field(
    None,
    title="Training text",
    description="What the voice has learned, to tell what is copied to the letter; none: by the voice's fingerprints",
    advanced=True,
)
_UNSEEN = Field(
    "replace",
    title="Unseen",
    description="What to do with characters that the voice has never seen: read what is nearest, or refuse",
    advanced=True,
)


class WriteInputs(Inputs):
    """Who writes, and how the text begins."""

    voice: VoiceName = _VOICE
    prompt: str = Field("", title="Prompt", description="How the text begins", widget="prompt", max_length=100_000)
    training_text: TextFile | None = _TRAINING_TEXT


class WriteSettings(Settings):
    """How to go on from the prompt."""

    length: int = Field(600, ge=1, le=1_000_000, title="Length", description="Characters to write", widget="number")
    temperature: float = Field(
        0.6,
        ge=0,
        le=5,
        step=0.05,
        title="Temperature",
        widget="slider",
        description="0 takes the likeliest each time, 1 is as in the voice's texts, more is bolder",
    )
    variants: int = Field(1, ge=1, le=64, title="Variants", description="Texts to write side by side", widget="number")
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        step=0.01,
        title="Top p",
        description="Only the likeliest characters that have this probability together",
        advanced=True,
    )
    top_k: int | None = Field(
        None, ge=1, le=65536, title="Top k", description="Only so many of the likeliest characters", advanced=True
    )
    stop: str = Field(
        "",
        max_length=200,
        title="Stop at",
        description="Words that end the text, left out of it; \\n stands for a line's end",
        advanced=True,
    )
    unseen: Unseen = _UNSEEN
    precision: Literal["auto", "float32", "int8"] = Field(
        "auto", title="Precision", description="Of the large matrices; auto takes what is fastest", advanced=True
    )

    def stop_text(self) -> str:
        """The stop words with line ends and tabs in them."""
        return re.sub(r"\\([nt\\])", lambda found: {"n": "\n", "t": "\t", "\\": "\\"}[found[1]], self.stop)


class _ReadInputs(Inputs):
    file: TextFile | None = Field(None, title="File", description="A text to read", positional=True)
    text: str = Field(
        "", title="Text", description="The text itself, in place of a file", widget="prompt", max_length=1_000_000
    )
    voice: VoiceName = _VOICE

    @pydantic.model_validator(mode="after")
    def _one_text(self) -> Any:
        if self.file is None and not self.text:
            raise ValueError("There is nothing to read: give a file, or a text.")
        if self.file is not None and self.text:
            raise ValueError("There is a file and a text; give one of them.")
        return self


class ScoreInputs(_ReadInputs):
    """The text, and who is surprised by it."""

    training_text: TextFile | None = _TRAINING_TEXT


class ScoreSettings(Settings):
    """How much of the text is read, and how."""

    limit: int = Field(
        5000, ge=1, le=100_000, title="Limit", description="Characters that are read, from the beginning on"
    )
    guesses: int = Field(5, ge=0, le=10, title="Guesses", description="The voice's best guesses told at each place")
    encoding: Encoding = Field("utf-8", title="Encoding", description="Of the file", advanced=True)
    unseen: Unseen = _UNSEEN


class NeuronsInputs(_ReadInputs):
    """The text, and whose neurons are watched."""


class NeuronsSettings(Settings):
    """What to look for, and how much of the text is read."""

    neurons: tuple[str, ...] = Field(
        (),
        max_length=20,
        title="Neurons",
        description="To colour the text by, as LAYER:NUMBER; none: those that follow a feature best",
    )
    features: tuple[Feature, ...] = Field(
        (), title="Features", description="What neurons may follow; none: all that there are", advanced=True
    )
    count: int = Field(8, ge=1, le=15, title="Count", description="Features shown, those best followed first")
    limit: int = Field(
        20_000,
        ge=200,
        le=1_000_000,
        title="Limit",
        description="Characters that are read: found on the first half of them, told on the second",
        advanced=True,
    )
    shown: int = Field(
        900, ge=50, le=20_000, title="Shown", description="Characters of the text that are coloured", advanced=True
    )
    guesses: int = Field(
        5, ge=0, le=10, title="Guesses", description="The voice's best guesses told at each place", advanced=True
    )
    encoding: Encoding = Field("utf-8", title="Encoding", description="Of the file", advanced=True)
    unseen: Unseen = _UNSEEN

    @pydantic.field_validator("neurons")
    @classmethod
    def _well_formed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"\d{1,3}:\d{1,6}", name):
                raise ValueError(f"neurons are named as LAYER:NUMBER, such as 1:17, but there is {name!r}.")
        return names


class EvaluateTunesInputs(Inputs):
    """Who writes the tunes, and a collection to compare them with."""

    voice: VoiceName = Field("folk-tunes", title="Voice", description="A bundled voice's name, or a voice's file")
    collection: TextFile | None = Field(
        None, title="Collection", description="Tunes in abc notation that are measured in the same way"
    )


class EvaluateTunesSettings(Settings):
    """How many tunes, and how they are written."""

    count: int = Field(100, ge=1, le=10_000, title="Count", description="Tunes that are written, none picked")
    temperature: float = Field(0.7, ge=0, le=5, title="Temperature", description="As of `write`")
    top_p: float = Field(1.0, gt=0, le=1, title="Top p", description="As of `write`")
    length: int = Field(
        2000, ge=100, le=20_000, title="Length", description="Characters of a tune at most; longer ones are cut"
    )
