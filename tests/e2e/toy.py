"""A small app that is quick: it blurs a picture step by step. ``python tests/e2e/toy.py FOLDER PORT`` serves it."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

from PIL import Image, ImageFilter

from apps._app import Action, App, Area, Clicks, Live
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


class DoodleInputs(Inputs):
    photo: tuple[PictureFile, ...] = Field(title="Photo", description="Picture to blur", positional=True, min_length=1)
    regions: PictureFile | None = Field(
        None, title="Regions", description="A colour for each thing", widget="brush", over="photo"
    )
    mask: MaskFile | None = Field(None, title="Mask", description="Where to blur", widget="brush", over="photo")
    sign: PictureFile | None = Field(None, title="Sign", description="On nothing", widget="brush", advanced=True)


class MirrorInputs(Inputs):
    mask: MaskFile | None = Field(None, title="Mask", description="Of no use", advanced=True)


class MirrorSettings(Settings):
    tint: Literal["red", "blue"] = Field("red", title="Tint", description="Of what is seen")
    break_it: bool = Field(False, title="Break it", description="Refuse to see")


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


def show_echo(text: str) -> str:
    """The text once more, with what would be dangerous if it could be."""
    told = html.escape(text.splitlines()[0])
    attack = "<script>parent.hacked = 1</script><img src=x onerror='parent.hacked = 2'>"
    return f"<h2>Words</h2><p title='a word'>{told} {{{{this}}}} ${{1 + 1}}</p><p style='height:600px'>tall</p>{attack}"


def start_tiles(inputs: BlurInputs, settings: BlurSettings, device: str) -> Generator[Step, None, Image.Image]:
    from creative.images import open_image, resize

    photo = resize(open_image(inputs.photo[0]), (100, 100))

    def engine() -> Generator[Step, None, Image.Image]:
        yield Step(0, 1)
        sheet = Image.new("RGB", (400, 200), "white")
        sheet.paste(photo, (50, 50))
        sheet.paste(photo.rotate(90), (250, 50))
        return sheet

    return engine()


def tiles(inputs: BlurInputs, settings: BlurSettings, sheet: Image.Image) -> list[Area]:
    given = {"photo": inputs.photo[0], "size": settings.size}
    return [
        Area((50, 50, 150, 150), "Blur it little", {**given, "steps": 2, "words": "little"}),
        Area((250, 50, 350, 150), "Blur it much", {**given, "steps": 300}),
    ]


def start_film(inputs: BlurInputs, settings: BlurSettings, device: str, out: Path) -> Generator[Step, None, Path]:
    from creative.images import open_image, resize
    from creative.provenance import describe_run, write_sidecar
    from creative.video import save_video

    photo = resize(open_image(inputs.photo[0]), (64, 48))

    def engine() -> Generator[Step, None, Path]:
        frames = []
        for done in range(settings.steps):
            yield Step(done, settings.steps, preview=lambda: photo)
            frames.append(photo.rotate(20 * done))
        save_video(frames, out, 8)
        write_sidecar(out, describe_run("film", settings))
        return out

    return engine()


def start_doodle(inputs: DoodleInputs, settings: BlurSettings, device: str) -> Generator[Step, None, Image.Image]:
    from creative.images import open_image

    def engine() -> Generator[Step, None, Image.Image]:
        yield Step(0, 1)
        photo = open_image(inputs.photo[0])
        maps = [open_image(path) for path in (inputs.regions, inputs.mask) if path]
        sheet = Image.new("RGB", (photo.width, photo.height * len(maps)))
        for place, one in enumerate(maps):
            sheet.paste(one, (0, place * photo.height))
        return sheet

    return engine()


def signs(folder: Path) -> dict[str, dict[str, Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 90), "white").save(folder / "sign.png")
    return {"Sign": {"sign": folder / "sign.png"}}


def start_mirror(inputs: MirrorInputs, settings: MirrorSettings, device: str) -> Callable[[Image.Image], Image.Image]:
    if settings.break_it:
        raise ValueError("The mirror is <broken>.")
    return lambda frame: Image.blend(frame, Image.new("RGB", frame.size, settings.tint), 0.9)


def examples(folder: Path) -> dict[str, dict[str, Path]]:
    from apps._samples import sample_photo

    return {"Lake": {"photo": sample_photo("Lake", folder / "lake.png")}}


BLUR = Action(
    "blur", "Blur", "Blur a photo, softly and slowly.", BlurInputs, BlurSettings, start_blur,
    batch="photo", examples=examples, live=Live(MirrorInputs, MirrorSettings, start_mirror),
)  # fmt: skip
ECHO = Action("echo", "Echo", "Say it again.", EchoInputs, EchoSettings, start_echo, output="text", show=show_echo)
TILES = Action(
    "tiles", "Tiles", "Lay it out.", BlurInputs, BlurSettings, start_tiles,
    batch="photo", clicks=Clicks("blur", "Click a tile to blur it.", tiles),
)  # fmt: skip
FILM = Action("film", "Film", "Turn it round.", BlurInputs, BlurSettings, start_film, output="video", batch="photo")
DOODLE = Action(
    "doodle", "Doodle", "Paint where.", DoodleInputs, BlurSettings, start_doodle, batch="photo", examples=signs
)  # fmt: skip
TOY = App("toy", "Softly", "A toy that blurs photos and repeats words.", (BLUR, ECHO, TILES, FILM, DOODLE))


def main(folder: Path, port: int) -> None:
    """Serve a studio with the toy and, where it is there, style transfer."""
    from apps.studio import StudioSettings, build_studio, every_app, serve

    serve(build_studio([TOY, *every_app()], folder), StudioSettings(port=port, output=folder))


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]), int(sys.argv[2]))
