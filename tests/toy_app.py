"""A small app for tests, and ``creative`` with it: ``python tests/toy_app.py tint photo.png --steps 3``."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image, ImageEnhance

from apps._app import Action, App
from creative.images import ImageError, open_image, open_mask
from creative.progress import Step
from creative.settings import Field, Inputs, MaskFile, PictureFile, Settings


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


TINT = Action("tint", "Tint", "Shine a coloured light on pictures.", TintInputs, TintSettings, tint, batch="photo")


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
        Action("grow tree", "Grow", "Grow a tree.", GrowInputs, GrowSettings, grow, output="folder", page=False),
    ),
)


if __name__ == "__main__":
    from apps import _verbs
    from apps._cli import main

    found = _verbs.apps()
    _verbs.apps = lambda: [*found, APP]
    sys.exit(main())
