"""Translating a video: frame by frame, with strokes that go along with the things that they are drawn on.

A generator draws each frame anew, and its strokes tremble. As in Ruder, Dosovitskiy and Brox, "Artistic style transfer
for videos" (2016, arXiv:1604.08610), what was drawn in the last frame is moved along the optical flow; where a thing is
still in view, the new frame is mixed with it.
"""

from __future__ import annotations

from collections.abc import Generator as Engine
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from creative.engines.cyclegan.translating import Translator, changed, load_translator
from creative.images import fit, resize, to_image, to_tensor
from creative.motion import follow, steadied
from creative.options.translate import BUNDLED_TRANSLATOR, TranslateVideoSettings
from creative.progress import Step, run
from creative.reel import Reel
from creative.video import Clip, VideoError, even, open_video


def translate_video(
    video: str | Path | Clip,
    path: str | Path,
    settings: TranslateVideoSettings = TranslateVideoSettings(),  # noqa: B008 (frozen)
    *,
    model: str | Path = BUNDLED_TRANSLATOR,
    device: str | torch.device | None = None,
) -> Engine[Step, None, Path]:
    """Translate every frame of a video. Its sound is kept.

    Args:
        video: the file, or a clip.
        path: of the result, .mp4 or .gif. The frames lie in a folder beside it until it is done; the same call goes on
            where a stopped one ended.
        settings, model, device: see ``translate``.

    Raises:
        ValueError: at the call, see ``translate``; or the file is no video or has no frames.
    """
    clip = video if isinstance(video, Clip) else open_video(video)
    translator = load_translator(model, settings.direction, device=device)
    reel = Reel(path, translator.describe("translate-video", settings, video=clip.source))
    return _along(clip, translator, reel, settings)


def _along(
    clip: Clip, translator: Translator, reel: Reel, settings: TranslateVideoSettings
) -> Engine[Step, None, Path]:
    size = even(fit(clip.size, min(settings.size, max(clip.size))))
    counts = [count for count in (clip.num_frames, settings.most_frames) if count is not None]
    total = min(counts, default=None)
    yield Step(0, total)
    begin = reel.open()
    if begin:
        yield Step(begin, total, preview=reel.last, message=f"Goes on from frame {begin}.")
    before: Image.Image | None = None
    number = 0
    frames = islice(clip.frames(), settings.most_frames)
    while True:
        try:
            frame = next(frames, None)
        except VideoError as error:
            yield Step(number, total, message=f"{error} The translation ends there.")
            break
        if frame is None:
            break
        frame = resize(frame, size)
        number += 1
        if number > begin:
            drawn = to_image(run(changed(translator, to_tensor(frame, translator.device), settings)))
            if before is not None and settings.steady:
                drawn = _steadied(drawn, frame, reel.last(), before, settings.steady)
            reel.add(drawn)
            yield Step(number, total, preview=reel.last)
        before = frame
    heard = reel.finish(clip.frames_per_second, sound=clip.path if clip.has_sound else None)
    if clip.has_sound and not heard:
        yield Step(number, number, message="The sound is left out: this kind of file cannot hold it.")
    return reel.path


def _steadied(
    drawn: Image.Image, frame: Image.Image, drawn_before: Image.Image, before: Image.Image, share: float
) -> Image.Image:
    """A translated frame mixed with what the one before comes to when it moves along, where that is still in view."""
    motion = follow(frame, before)
    if motion.cut:
        return drawn
    levels = steadied(np.asarray(drawn), motion.carried(np.asarray(drawn_before, np.float32)), motion.trust, share)
    return Image.fromarray(np.rint(levels.clip(0, 255)).astype(np.uint8))
