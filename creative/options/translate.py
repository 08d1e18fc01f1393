"""Settings of translating pictures by a CycleGAN's generators: pictures, videos, and taking a generator elsewhere."""

from __future__ import annotations

from typing import Literal

from creative.settings import Field, Inputs, PictureFile, Settings, TranslatorName, VideoFile

Direction = Literal["a_to_b", "b_to_a"]
BUNDLED_TRANSLATOR = "photo2monet"

_MODEL = Field(
    BUNDLED_TRANSLATOR,
    title="Model",
    description="What translates: a bundled network's name, one's own, or a file (.safetensors, or a published .pth)",
)
_DIRECTION = Field(
    "a_to_b", title="Direction", description="For photo2monet, a to b paints a photo; b to a takes a painting back"
)


class TranslateInputs(Inputs):
    """A picture (or many), and what translates it."""

    photo: tuple[PictureFile, ...] = Field(
        title="Photo",
        description="Picture to translate; several files or a folder for a batch",
        positional=True,
        min_length=1,
    )
    model: TranslatorName = _MODEL


_SEED = Field(
    0,
    ge=0,
    le=2**32 - 1,
    title="Seed",
    widget="seed",
    description="Of no use here: nothing is left to chance",
    advanced=True,
)


class TranslateVideoInputs(Inputs):
    """A video, and what translates it."""

    video: VideoFile = Field(title="Video", description="Video to translate: MP4, MOV, WebM, GIF", positional=True)
    model: TranslatorName = _MODEL


class ExportOnnxInputs(Inputs):
    """The model to be taken elsewhere."""

    model: TranslatorName = _MODEL


class TranslatingSettings(Settings):
    """What pictures and videos have in common."""

    seed: int = _SEED
    direction: Direction = _DIRECTION
    strength: float = Field(
        1.0,
        ge=0,
        le=2,
        step=0.05,
        title="Strength",
        description="0 gives the picture back, 1 the translation; above, what it changes is exaggerated",
    )
    stroke_size: float | None = Field(
        None,
        ge=0.5,
        le=16,
        step=0.1,
        title="Stroke size",
        description="Above 1, changes are drawn in a copy so many times smaller; none: in the size of the training",
    )
    size: int = Field(
        768, ge=16, le=8192, title="Size", description="Longest side of the result, pixels; a smaller photo stays so"
    )
    tile: int | None = Field(
        None,
        ge=0,
        le=8192,
        title="Tile",
        description="Side of the tiles that large pictures are drawn in, pixels; 0: whole; none: by size",
        advanced=True,
    )


class TranslateSettings(TranslatingSettings):
    """How to translate a picture."""

    show: Literal["translation", "pair", "round-trip", "both-ways"] = Field(
        "translation",
        title="Show",
        description="The translation; the photo beside it; the way back as well; or that in both directions",
    )
    cycle: bool = Field(
        True,
        title="Cycle",
        description="Also translate a small copy there and back, to be seen under the result",
        advanced=True,
    )


class TranslateVideoSettings(TranslatingSettings):
    """How to translate a video."""

    size: int = Field(
        512, ge=16, le=4096, title="Size", description="Longest side of the video, pixels; a smaller one stays so"
    )
    steady: float = Field(
        0.6,
        ge=0,
        le=0.95,
        step=0.05,
        title="Steadiness",
        description="How much of the strokes goes along with things as they move; 0: each frame by itself",
    )
    most_frames: int | None = Field(
        None, ge=1, le=100_000, title="Most frames", description="Frames to translate at most; none: all",
        advanced=True, widget="number",
    )  # fmt: skip


class ExportOnnxSettings(Settings):
    """Which of the model's generators."""

    seed: int = _SEED
    direction: Direction = _DIRECTION
