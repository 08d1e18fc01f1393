"""A small app for tests, and ``creative`` with it: ``python tests/toy_app.py tint photo.png --steps 3``."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image, ImageEnhance

from apps._app import Action, App
from creative.images import ImageError, open_image, open_mask
from creative.progress import Step
from creative.settings import Field, Inputs, MaskFile, PictureFile, Settings, VideoFile

if TYPE_CHECKING:
    from creative.provenance import Provenance


class TintInputs(Inputs):
    """A photo, or many."""

    photo: tuple[PictureFile, ...] = Field(title="Photo", description="Pictures to tint", positional=True, min_length=1)
    colour: Literal["red", "green", "blue"] = Field(title="Colour", description="Colour of the light", positional=True)
    mask: MaskFile | None = Field(None, title="Mask", description="White where to tint", advanced=True)


class TintSettings(Settings):
    """How to tint."""

    steps: int = Field(3, ge=1, le=1000, title="Steps", description="Passes over the picture")
    strength: float = Field(0.5, ge=0, le=1, title="Strength", description="Of the light")
    gentle: bool = Field(True, title="Gentle", description="Take care of the shadows")
    pause: float = Field(0, ge=0, le=60, title="Pause", description="Between two passes, seconds", advanced=True)
    curve: tuple[float, ...] = Field((), title="Curve", description="Levels to pass through", advanced=True)
    fail: Literal["no", "value", "fault", "memory"] = Field(
        "no", title="Fail", description="What to go wrong at the second pass", advanced=True
    )


def tint(inputs: TintInputs, settings: TintSettings, device: str) -> Generator[Step, None, Image.Image]:
    """Check everything, then hand back the engine."""
    photo = open_image(inputs.photo[0])
    mask = open_mask(inputs.mask) if inputs.mask else None
    if mask is not None and mask.size != photo.size:
        raise ValueError(f"The mask has {mask.size} pixels and the photo {photo.size}; they must be of one size.")
    return _tinted(photo, inputs, settings)


def _tinted(photo: Image.Image, inputs: TintInputs, settings: TintSettings) -> Generator[Step, None, Image.Image]:
    yield Step(0, settings.steps, message="Light on.")
    image = photo
    light = Image.new("RGB", photo.size, inputs.colour)
    try:
        for done in range(1, settings.steps + 1):
            if done == 2 and settings.fail != "no":
                raise {"value": ImageError("The lamp broke."), "fault": KeyError("lamp"), "memory": MemoryError()}[
                    settings.fail
                ]
            image = Image.blend(image, light, settings.strength / settings.steps)
            if settings.gentle:
                image = ImageEnhance.Contrast(image).enhance(1 + settings.seed / 1000)
            yield Step(done, settings.steps, metrics={"light": done / settings.steps}, preview=image.copy)
            time.sleep(settings.pause)
        return image
    finally:
        if settings.pause:
            print("light off", file=sys.stderr)


def show_light(picture: Image.Image) -> str:
    """Its mean colour."""
    red, green, blue = picture.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return f"<p>Its mean is <code>{red} {green} {blue}</code>.</p>"


TINT = Action(
    "tint", "Tint", "Shine a coloured light on pictures.", TintInputs, TintSettings, tint,
    batch="photo", show=show_light, videos="tint film",
)  # fmt: skip


class FilmInputs(Inputs):
    """A film."""

    video: VideoFile = Field(title="Video", description="Film to tint", positional=True)
    colour: Literal["red", "green", "blue"] = Field(title="Colour", description="Colour of the light", positional=True)


class FilmSettings(Settings):
    """How to tint it."""

    flow: float = Field(0.5, ge=0, le=1, title="Flow", description="From frame to frame")
    curve: tuple[float, ...] = Field((), title="Curve", description="Levels to pass through", advanced=True)


def film(inputs: FilmInputs, settings: FilmSettings, device: str) -> Generator[Step, None, str]:
    """Name it."""
    yield Step(0, 1)
    return f"{inputs.video.name} in {inputs.colour}, flow {settings.flow}\n"


class SayInputs(Inputs):
    """Words to say."""

    prompt: str = Field("hello", title="Prompt", description="What to say", widget="prompt")


class SaySettings(Settings):
    """How to say them."""

    times: int = Field(2, ge=1, le=9, title="Times", description="How often")


def say(inputs: SayInputs, settings: SaySettings, device: str) -> Generator[Step, None, str]:
    """Say it a few times."""
    said: list[str] = []
    for done in range(settings.times):
        yield Step(done, settings.times, preview=lambda: "".join(said))
        said.append(inputs.prompt + "\n")
    return "".join(said)


class TellSettings(Settings):
    """How to tell it."""

    letters: int = Field(12, ge=1, le=100_000, title="Letters", description="How many to tell")
    pause: float = Field(0, ge=0, le=60, title="Pause", description="Between two letters, seconds", advanced=True)
    change: int = Field(0, ge=0, title="Change", description="Letter at which the first one is changed", advanced=True)
    fail: bool = Field(False, title="Fail", description="Lose the thread at the end", advanced=True)


@dataclass(frozen=True)
class Tale:
    """A text, and how long each word of it is."""

    text: str
    provenance: Provenance | None = None


def tell(inputs: SayInputs, settings: TellSettings, device: str) -> Generator[Step, None, Tale]:
    """Tell the prompt again and again, letter by letter."""
    from creative.provenance import describe_run

    made = describe_run("tell", settings, weights={"voice": "0" * 64})
    text = ""
    yield Step(0, settings.letters)
    for done in range(1, settings.letters + 1):
        text += inputs.prompt[(done - 1) % len(inputs.prompt)]
        if done == settings.change:
            text = text[0].swapcase() + text[1:]
        yield Step(done, settings.letters, preview=lambda text=text: Tale(text, made))
        time.sleep(settings.pause)
    if settings.fail:
        raise ImageError("The thread is lost.")
    return Tale(text, made)


def show_tale(tale: Tale) -> str:
    """Each word with its length."""
    words = (f"<b title='{len(word)} letters'>{html.escape(word)}</b>" for word in tale.text.split())
    return f"<h2>Words</h2><p>{' '.join(words)}</p>"


class GrowSettings(Settings):
    """How tall."""

    height: int = Field(3, ge=1, le=9, title="Height", description="Of the tree, rings")
    pause: float = Field(0, ge=0, le=60, title="Pause", description="Between two rings, seconds", advanced=True)


class GrowInputs(Inputs):
    """Nothing."""


def grow(inputs: GrowInputs, settings: GrowSettings, device: str, out: Path) -> Generator[Step, None, Path]:
    """Write a ring a step into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        for done in range(settings.height):
            yield Step(done, settings.height)
            time.sleep(settings.pause)
            (out / f"ring-{done}").write_text("o")
    except GeneratorExit:  # between two steps
        (out / "stopped").write_text("here")
        raise
    return out


APP = App(
    "toy",
    "Toy",
    "Lights.",
    (
        TINT,
        Action("say", "Say", "Say something a few times.", SayInputs, SaySettings, say, output="text"),
        Action("tell", "Tell", "Tell it slowly.", SayInputs, TellSettings, tell, output="text", show=show_tale),
        Action("grow tree", "Grow", "Grow a tree.", GrowInputs, GrowSettings, grow, output="folder", page=False),
        Action("tint film", "Film", "Tint a film.", FilmInputs, FilmSettings, film, output="text"),
    ),
)


def main(words: list[str] | None = None) -> int:
    """``creative``, with the toy's verbs."""
    from apps import _verbs
    from apps._cli import main as command_line

    found = _verbs.apps()
    _verbs.apps = lambda: [*found, APP]
    return command_line(words)


if __name__ == "__main__":
    sys.exit(main())
