"""Dreams along a video: what was dreamed in a frame goes with the things it was dreamed on, along the optical flow.

The flow's use follows Ruder, Dosovitskiy and Brox, "Artistic style transfer for videos" (2016, arXiv:1604.08610): the
change made to the last frame is warped to the next, but for what has come into view, and dreaming goes on from there.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from creative.engines.deep_dream.octaves import Dreamer, Plan, load_dreamer
from creative.images import fit, resize
from creative.motion import optical_flow, still_visible, warped
from creative.options.deep_dream import LOOKS, DreamVideoSettings
from creative.progress import Step
from creative.reel import Reel
from creative.video import Clip, VideoError, even, open_video


def dream_video(
    video: str | Path | Clip,
    path: str | Path,
    settings: DreamVideoSettings = DreamVideoSettings(),  # noqa: B008 (frozen)
    *,
    guide: Image.Image | None = None,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Path]:
    """Dream into every frame of a video so that the dream sticks to things as they move. Its sound is kept.

    Args:
        video: the file, or a clip.
        path: of the result, .mp4 or .gif. The frames lie in a folder beside it until it is done; the same call goes on
            where a stopped one ended.
        settings, guide, weights, device: see ``dream``.

    Raises:
        ValueError: at the call, see ``dream``; or the file is no video or has no frames.
    """
    clip = video if isinstance(video, Clip) else open_video(video)
    size = even(fit(clip.size, settings.size))
    dreamer = load_dreamer(settings, guide=guide, weights=weights, device=device)
    plan = dreamer.plan(size)
    reel = Reel(path, dreamer.describe("dream-video", plan, video=clip.source, guide=guide))
    return _along(clip, dreamer, plan, reel, settings)


def _along(
    clip: Clip, dreamer: Dreamer, plan: Plan, reel: Reel, settings: DreamVideoSettings
) -> Generator[Step, None, Path]:
    first = replace(plan, steps=max(plan.steps, LOOKS[settings.look].steps))  # later ones build on one another
    count = _least(clip.num_frames, settings.most_frames)
    total = first.total + plan.total * (count - 1) if count else None
    yield Step(0, total, message=plan.message)
    begin = reel.open()
    done, dreamed = 0, None
    if begin:
        dreamed = reel.last()
        done = first.total + plan.total * (begin - 1)
        yield Step(done, total, preview=dreamed.copy, message=f"Goes on from frame {begin}.")
    before: Image.Image | None = None
    frames = islice(clip.frames(), settings.most_frames)
    number = -1
    while True:
        try:
            frame = next(frames, None)
        except VideoError as error:
            yield Step(done, total, message=f"{error} The dream ends there.")
            break
        if frame is None:
            break
        number += 1
        frame = resize(frame, plan.size)
        if number >= begin:
            start = carried(dreamed, before, frame, settings.stick) if dreamed and before else frame
            base = done
            steps = dreamer.steps(frame, plan if number else first, seed=settings.seed + number, start=start)
            for step in steps:
                done = base + step.done
                if step.done:
                    yield Step(done, total, {**step.metrics, "frame": number + 1}, step.preview)
                picture = step.preview
            assert picture is not None
            reel.add(picture())
            dreamed = reel.last()
        before = frame
    heard = reel.finish(clip.frames_per_second, sound=clip.path if clip.has_sound else None)
    if clip.has_sound and not heard:
        yield Step(done, done, message="The sound is left out: this kind of file cannot hold it.")
    return reel.path


def carried(dreamed: Image.Image, before: Image.Image, frame: Image.Image, stick: float) -> Image.Image:
    """The next frame with what was dreamed in the one before, where that is still in view.

    Args:
        dreamed: the frame before, dreamed.
        before: the frame before as it was.
        frame: the next frame as it is.
        stick: how much of the dream to carry, 0 to 1.
    """
    flow, back = optical_flow(frame, before), optical_flow(before, frame)
    detail = np.asarray(dreamed, np.float32) - np.asarray(before, np.float32)
    share = stick * still_visible(flow, back)[..., None]
    levels = np.asarray(frame, np.float32) + share * warped(detail, flow)
    return Image.fromarray(np.rint(levels.clip(0, 255)).astype(np.uint8))


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)
