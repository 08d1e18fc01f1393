"""A journey into a dream: each frame is the one before, moved a little, and dreamed on (2015's endless zoom)."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.engines.deep_dream.octaves import Dreamer, Plan, load_dreamer
from creative.images import fit, resize, to_image, to_tensor
from creative.options.deep_dream import DreamZoomSettings
from creative.progress import Step
from creative.reel import Reel
from creative.video import even

Colours = tuple[Tensor, Tensor]
STEADINESS = 0.9
"""How much of a drift of the colours is taken back in a second."""


def dream_zoom(
    photo: Image.Image,
    path: str | Path,
    settings: DreamZoomSettings = DreamZoomSettings(),  # noqa: B008 (frozen)
    *,
    guide: Image.Image | None = None,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Path]:
    """Make a video that travels into a photo and what is dreamed there.

    Args:
        photo: what the journey begins in.
        path: of the video, .mp4 or .gif. The frames lie in a folder beside it until it is done; the same call goes on
            where a stopped one ended.
        settings, guide, weights, device: see ``dream``.

    Raises:
        ValueError: at the call, see ``dream``; or the video could not be saved there.
    """
    size = even(fit(photo.size, settings.size))
    dreamer = load_dreamer(settings, guide=guide, weights=weights, device=device)
    frame, first = dreamer.plan(size), dreamer.plan(size, steps=settings.first_steps)
    reel = Reel(path, dreamer.describe("dream-zoom", frame, photo=photo, guide=guide))
    return _travel(photo, dreamer, first, frame, reel, settings)


def _travel(
    photo: Image.Image, dreamer: Dreamer, first: Plan, frame: Plan, reel: Reel, settings: DreamZoomSettings
) -> Generator[Step, None, Path]:
    count = max(1, round(settings.seconds * settings.frames_per_second))
    total = first.total + frame.total * (count - 1)
    yield Step(0, total, message=first.message)
    begin = reel.open()
    if begin:
        message = f"Goes on from frame {begin} of {count}."
        yield Step(_done(begin, first, frame), total, preview=reel.last, message=message)
    colours = None
    for number in range(begin, count):
        if number == 0:
            before = resize(photo, frame.size)
        else:
            colours = colours or _colours(to_tensor(next(reel.frames())))
            before = moved(reel.last(), settings, colours)
        plan = frame if number else first
        done = _done(number, first, frame)
        for step in dreamer.steps(before, plan, seed=settings.seed + number):
            if step.done:
                yield Step(done + step.done, total, {**step.metrics, "frame": number + 1}, step.preview)
            picture = step.preview
        assert picture is not None
        reel.add(picture())
    reel.finish(settings.frames_per_second)
    return reel.path


def _done(frames: int, first: Plan, frame: Plan) -> int:
    return first.total + frame.total * (frames - 1) if frames else 0


def moved(image: Image.Image, settings: DreamZoomSettings, colours: Colours | None = None) -> Image.Image:
    """The view one frame later: zoomed, turned and panned about the middle; beyond the border it is mirrored.

    Args:
        image: the frame before.
        settings: what the view does in a second.
        colours: to go back towards. A dream that feeds on itself drifts to the colour that its network likes best.
    """
    rate = settings.frames_per_second
    scale = settings.zoom ** (-1 / rate)
    angle = math.radians(settings.rotate / rate)
    width, height = image.size
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    # Where to look, for each pixel of the new view, in halves of width and height from the middle.
    matrix = torch.tensor(
        [
            [cosine, -sine * height / width, 2 * settings.pan_x / rate],
            [sine * width / height, cosine, 2 * settings.pan_y / rate],
        ]
    )
    picture: Tensor = to_tensor(image)
    places = F.affine_grid(matrix[None], [1, 3, height, width], align_corners=False)
    picture = F.grid_sample(picture, places, mode="bicubic", padding_mode="reflection", align_corners=False)
    if colours is not None:
        mean, deviation = _colours(picture)
        steady = (picture - mean) / deviation.clamp(min=0.01) * colours[1] + colours[0]
        picture = torch.lerp(picture, steady, 1 - (1 - STEADINESS) ** (1 / rate))
    return to_image(picture)


def _colours(picture: Tensor) -> Colours:
    """Mean and deviation of each colour: (1, 3, 1, 1) each."""
    return picture.mean((2, 3), keepdim=True), picture.std((2, 3), keepdim=True)
