"""A small app that is quick: it blurs a picture step by step. ``python tests/e2e/toy.py FOLDER PORT`` serves it."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Literal

from PIL import Image, ImageFilter

from apps._app import Action, App
from creative.progress import Step
from creative.settings import Field, Inputs, MaskFile, PictureFile, Settings


class BlurInputs(Inputs):
    photo: tuple[PictureFile, ...] = Field(title="Photo", description="Picture to blur", positional=True, min_length=1)
    mask: MaskFile | None = Field(None, title="Mask", description="White where to blur", advanced=True)


class BlurSettings(Settings):
    size: int = Field(128, ge=16, le=2048, title="Size", description="Longest side, pixels")
    steps: int = Field(6, ge=1, le=1000, title="Steps", description="How many times to blur")
    radius: float = Field(2.0, gt=0, le=20, step=0.5, title="Radius", description="Of each blur, pixels")
    tone: Literal["colour", "grey"] = Field("colour", title="Tone", description="With colours or without")
    pause: float = Field(0.05, ge=0, le=10, title="Pause", description="Seconds a step takes", advanced=True)
    words: str = Field("", title="Words", description="Remembered and not used", advanced=True)
    sharp: bool = Field(False, title="Sharp", description="Sharpen at the end", advanced=True)


class EchoInputs(Inputs):
    pass


class EchoSettings(Settings):
    prompt: str = Field("once upon a time", widget="prompt", title="Prompt", description="What to repeat")
    times: int = Field(20, ge=1, le=500, title="Times", description="How often")


def start_blur(inputs: BlurInputs, settings: BlurSettings, device: str) -> Generator[Step, None, Image.Image]:
    from creative.images import fit, open_image, resize
    from creative.provenance import describe_run

    (photo,) = (open_image(path) for path in inputs.photo)
    provenance = describe_run("blur", settings, inputs={"photo": photo})

    def engine() -> Generator[Step, None, Image.Image]:
        yield Step(0, settings.steps)
        image = resize(photo, fit(photo.size, settings.size))
        if settings.tone == "grey":
            image = image.convert("L").convert("RGB")
        for done in range(1, settings.steps + 1):
            time.sleep(settings.pause)
            image = image.filter(ImageFilter.GaussianBlur(settings.radius))
            image.info["provenance"] = provenance
            yield Step(done, settings.steps, {"softness": done * settings.radius}, lambda image=image: image)
        return image

    return engine()


def start_echo(inputs: EchoInputs, settings: EchoSettings, device: str) -> Generator[Step, None, str]:
    text = ""
    yield Step(0, settings.times)
    for done in range(1, settings.times + 1):
        time.sleep(0.01)
        text += settings.prompt + "\n"
        yield Step(done, settings.times, preview=lambda text=text: text)
    return text


def examples(folder: Path) -> dict[str, dict[str, Path]]:
    from apps._samples import sample_photo

    return {"Lake": {"photo": sample_photo("Lake", folder / "lake.png")}}


BLUR = Action(
    "blur", "Blur", "Blur a photo, softly and slowly.", BlurInputs, BlurSettings, start_blur,
    batch="photo", examples=examples,
)  # fmt: skip
ECHO = Action("echo", "Echo", "Say it again.", EchoInputs, EchoSettings, start_echo, output="text")
TOY = App("toy", "Softly", "A toy that blurs photos and repeats words.", (BLUR, ECHO))


def main(folder: Path, port: int) -> None:
    """Serve a studio with the toy and, where it is there, style transfer."""
    from apps.studio import StudioSettings, build_studio, every_app, serve

    serve(build_studio([TOY, *every_app()], folder), StudioSettings(port=port, output=folder))


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]), int(sys.argv[2]))
