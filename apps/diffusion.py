"""Diffusion: drawing, restyling, filling in and blending, by our own small network or a pipeline of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps._app import Action, App, Area, Clicks, Values
from apps._samples import photos_to_try, sample_photo, sample_titles
from creative.options.diffusion import BUNDLED_DIFFUSER, DiffuseInputs, DiffuseSettings
from creative.options.diffusion_forms import (
    BetweenSettings,
    DrawInputs,
    DrawSettings,
    FillInputs,
    FillSettings,
    PipelineInputs,
    PipelineSettings,
    RestyleInputs,
    RestyleSettings,
)
from creative.options.train_diffusion import (
    EvaluateDiffusionInputs,
    EvaluateDiffusionSettings,
    TrainDiffusionInputs,
    TrainDiffusionSettings,
)
from creative.progress import Step
from creative.settings import Inputs, Settings

if TYPE_CHECKING:
    from creative.data.archives import Archive

Drawing = Generator[Step, None, Any]
LARGER = 256
"""Longest side in pixels of a picture that was clicked."""
UNPACKED = "unpacked"
"""The folder of a run for the pictures of zips."""


def _diffuse(inputs: DiffuseInputs, settings: DiffuseSettings, device: str) -> Drawing:
    """Whatever what is given asks for."""
    from creative.images import open_image, open_mask

    photo = open_image(inputs.photo) if inputs.photo is not None else None
    mask = open_mask(inputs.mask) if inputs.mask is not None else None
    if inputs.pipeline is not None:
        from creative.engines.diffusion.pipelines import draw_with_pipeline

        return draw_with_pipeline(
            inputs.pipeline,
            inputs.prompt,
            settings,
            photo=photo,
            mask=mask,
            negative_prompt=inputs.negative_prompt,
            style=open_image(inputs.style) if inputs.style is not None else None,
            ip_adapter=inputs.ip_adapter,
            controlnet=inputs.controlnet,
            lora=inputs.lora,
            device=device,
        )
    from creative.engines.diffusion import between, fill, generate, restyle

    ours: dict[str, Any] = {"model": inputs.model or BUNDLED_DIFFUSER, "device": device}
    if photo is not None and settings.between is not None:
        raise ValueError("Between two seeds new pictures are drawn: leave out the photo, or the second seed.")
    if photo is not None and mask is not None:
        return fill(photo, mask, settings, **ours)
    if photo is not None:
        return restyle(photo, settings, **ours)
    if settings.between is not None:
        return between(settings.seed, settings.between, settings, **ours)
    return generate(settings, **ours)


def _part(inputs: Inputs, settings: Settings, device: str) -> Drawing:
    """A form of the page, which asks for a part of what ``diffuse`` takes."""
    whole = DiffuseSettings(**settings.model_dump())
    return _recorded(_diffuse(DiffuseInputs(**inputs.model_dump()), whole, device), set(type(settings).model_fields))


def _recorded(drawing: Drawing, asked: set[str]) -> Drawing:
    """The form's own settings in the picture, and no others, so that it can be made again by the form."""
    picture = yield from drawing
    if (made := picture.info.get("provenance")) is not None:
        settings = {name: value for name, value in made.settings.items() if name in asked}
        picture.info["provenance"] = made.model_copy(update={"settings": settings})
    return picture


def _train(inputs: TrainDiffusionInputs, settings: TrainDiffusionSettings, device: str, out: Path) -> Drawing:
    from creative.data.archives import open_archive
    from creative.engines.diffusion import train_diffusion

    a, b = (path if path.is_dir() else open_archive(path) for path in (inputs.a, inputs.b))
    folders = [one if isinstance(one, Path) else one.folder(out / UNPACKED) for one in (a, b)]
    if all(folder.is_dir() for folder in folders):  # what is wrong is told at once
        return train_diffusion(folders[0], folders[1], settings, out, device=device)
    return _unpacked_and_trained(a, b, settings, device, out)


def _unpacked_and_trained(
    a: Path | Archive, b: Path | Archive, settings: TrainDiffusionSettings, device: str, out: Path
) -> Drawing:
    """The zips become folders beside the run, where they are found when it goes on."""
    from creative.data.archives import unpack
    from creative.engines.diffusion import train_diffusion

    one = a if isinstance(a, Path) else (yield from unpack(a, out / UNPACKED))
    other = b if isinstance(b, Path) else (yield from unpack(b, out / UNPACKED))
    return (yield from train_diffusion(one, other, settings, out, device=device))


def _place_of_model(inputs: TrainDiffusionInputs, settings: TrainDiffusionSettings) -> Path:
    from creative.trained import own_folder

    return own_folder("diffuser") / _name_of_model(inputs)


def _name_of_model(inputs: TrainDiffusionInputs) -> str:
    """``photo-monet`` of folders, or zips, called photo and monet."""
    names = [
        path.parent.name if path.stem.lower() in {"train", "test", "all"} else path.stem
        for path in (inputs.a, inputs.b)
    ]
    return inputs.name or "-".join(name or "pictures" for name in names)


def _evaluate(inputs: EvaluateDiffusionInputs, settings: EvaluateDiffusionSettings, device: str) -> Drawing:
    from creative.engines.diffusion import evaluate_diffusion

    return evaluate_diffusion(
        inputs.a,
        inputs.b,
        settings,
        model=inputs.model or BUNDLED_DIFFUSER,
        judge=inputs.judge_weights,
        sheet_file=inputs.sheet,
        device=device,
    )


def _drawings(folder: Path) -> Mapping[str, Values | Callable[[], Values]]:
    return {
        "Sixteen Monets": {"domain": "monet", "num": 16, "size": 64, "steps": 20},
        "Sixteen photos": {"domain": "photo", "num": 16, "size": 64, "steps": 20},
        "In a hurry: four steps": {"domain": "monet", "num": 16, "size": 64, "steps": 4},
    }


def _ways(folder: Path) -> Mapping[str, Values | Callable[[], Values]]:
    return {
        "Between two Monets": {"domain": "monet", "seed": 0, "between": 1},
        "Between two photos": {"domain": "photo", "seed": 3, "between": 7},
    }


def _each(inputs: DrawInputs, settings: DrawSettings, result: Any) -> Sequence[Area]:
    """The pictures of a sheet, each of which can be drawn larger: those that follow have the seeds that follow."""
    from creative.images.sheets import MARGIN

    if settings.num == 1:
        return ()
    columns = round(settings.num**0.5 + 0.49)
    rows = math.ceil(settings.num / columns)
    width, height = (result.width + MARGIN) // columns, (result.height + MARGIN) // rows
    larger = max(LARGER, settings.size)
    found = []
    for number in range(settings.num):
        left, top = number % columns * width, number // columns * height
        box = (left, top, left + width - MARGIN, top + height - MARGIN)
        seed = (settings.seed + number) % 2**32
        found.append(Area(box, "Draw it larger", {"seed": seed, "num": 1, "size": larger}))
    return found


def _prompts(folder: Path) -> Mapping[str, Values | Callable[[], Values]]:
    return {
        "A harbour": {"prompt": "a harbour at dusk, oil painting, thick brushstrokes"},
        "A teapot": {"prompt": "product photo of a teapot made of moss, soft light"},
        "A map": {"prompt": "hand-drawn map of an island, ink and watercolour"},
    }


def _gaps(folder: Path) -> Mapping[str, Values | Callable[[], Values]]:
    """A photo with a part of it painted out."""
    from PIL import Image, ImageDraw

    from creative.images import save_image

    found: dict[str, Values | Callable[[], Values]] = {}
    for title in sample_titles():
        photo, mask = sample_photo(title, folder / f"{title.lower()}.png"), folder / f"{title.lower()}-gap.png"
        if not mask.exists():
            with Image.open(photo) as opened:
                width, height = opened.size
            gap = Image.new("L", (width, height))
            box = (0.58 * width, 0.12 * height, 0.86 * width, 0.42 * height)
            ImageDraw.Draw(gap).ellipse(box, fill=255)
            save_image(gap, mask)
        found[title] = {"photo": photo, "mask": mask}
    return found


APP = App(
    name="diffusion",
    title="Diffusion",
    summary="Pictures out of noise: new ones, photos restyled and filled in, by a network that learned to take noise "
    "away.",
    actions=(
        Action(
            verb="diffuse",
            title="Diffuse",
            summary="Draw new pictures out of noise; restyle a photo, or fill it in; with a pipeline of your own, too.",
            inputs=DiffuseInputs,
            settings=DiffuseSettings,
            start=_diffuse,
            page=False,
        ),
        Action(
            verb="draw",
            title="Draw",
            summary="Draw new pictures out of noise: paintings or photos that nobody has made.",
            inputs=DrawInputs,
            settings=DrawSettings,
            start=_part,
            examples=_drawings,
            clicks=Clicks("draw", "Click a picture to draw it larger.", _each),
            typed=False,
        ),
        Action(
            verb="restyle",
            title="Restyle",
            summary="Bury a photo in noise, and let it be dug out as a painting.",
            inputs=RestyleInputs,
            settings=RestyleSettings,
            start=_part,
            examples=photos_to_try,
            typed=False,
        ),
        Action(
            verb="fill-in",
            title="Fill in",
            summary="Paint over a part of a photo, and let it be drawn anew so that it fits.",
            inputs=FillInputs,
            settings=FillSettings,
            start=_part,
            examples=_gaps,
            typed=False,
        ),
        Action(
            verb="in-between",
            title="In between",
            summary="Walk from one picture to another through the noise that they are drawn from.",
            inputs=DrawInputs,
            settings=BetweenSettings,
            start=_part,
            examples=_ways,
            typed=False,
        ),
        Action(
            verb="pipeline",
            title="From words",
            summary="Draw from words, or from words and a photo, by a pipeline of your own such as SD-Turbo."
            + ("" if find_spec("transformers") else " It needs more packages: `pip install creative[diffusion]`."),
            inputs=PipelineInputs,
            settings=PipelineSettings,
            start=_part,
            examples=_prompts,
            typed=False,
        ),
        Action(
            verb="train diffusion",
            title="Train",
            summary="Train a diffusion network on two kinds of pictures of your own: two folders or zips.",
            inputs=TrainDiffusionInputs,
            settings=TrainDiffusionSettings,
            start=_train,
            output="folder",
            place=_place_of_model,
            page=False,
        ),
        Action(
            verb="evaluate diffusion",
            title="Measure",
            summary="Measure what a diffusion network draws against held-out pictures of both kinds, and the floor.",
            inputs=EvaluateDiffusionInputs,
            settings=EvaluateDiffusionSettings,
            start=_evaluate,
            output="text",
            page=False,
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
