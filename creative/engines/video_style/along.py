"""Painting a video: each frame along with the one before it, in one pass through the video or several.

Ruder, Dosovitskiy and Brox, "Artistic style transfer for videos" (2016, arXiv:1604.08610): what was painted in a frame
is moved along the optical flow to the next, and kept there where it is still in view. A further pass goes through the
video the other way, so that what comes into view is painted as it will be.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from creative.device import choose_device
from creative.engines.fast_style import Painter
from creative.engines.fast_style.request import Style, checked_styles, style_shares
from creative.engines.video_style.ways import Carried, Instant, Optimising, Way
from creative.files import file_sha256, plain_name
from creative.images import fit, resize
from creative.motion import follow, warp_error
from creative.options.video_style import VideoStyleSettings
from creative.progress import Step
from creative.provenance import describe_run
from creative.reel import Reel
from creative.style_presets import style_source
from creative.video import Clip, VideoError, even, open_video


def style_video(
    video: str | Path | Clip,
    style: Style | Sequence[Style],
    path: str | Path,
    settings: VideoStyleSettings = VideoStyleSettings(),  # noqa: B008 (frozen)
    *,
    painter: Painter | str | Path | None = None,
    weights: Path | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Path]:
    """Paint a video so that strokes stay with things as they move. Its sound is kept.

    Steps tell as ``flicker`` how far frames differ from the ones before them, moved along, and as ``flicker_input`` how
    far those of the video do: the mean so far of ``warp_error`` in levels of 255.

    Args:
        video: the file, or a clip.
        style: a painting, a preset, or several to be mixed by ``settings.style_weights``.
        path: of the result, .mp4 or .gif. The frames lie in a folder beside it until it is done; the same call goes on
            where a stopped one ended.
        settings: how.
        painter: who paints, with the instant engine: a name, a file, or one that ``load_painter`` has read. None: the
            painter of the preset, if it has one of its own, else the one for any painting.
        weights: to optimise, a file of weights for the network in place of its own.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The engine; its result is the path.

    Raises:
        ValueError: at the call: the file is no video or has no frames, or styles and settings do not go together.

    Example:
        >>> run(style_video("street.mp4", load_preset("starry-night"), "painted.mp4"))
    """
    clip = video if isinstance(video, Clip) else open_video(video)
    styles = checked_styles(style)
    if not isinstance(settings, VideoStyleSettings):
        raise ValueError(f"The settings must be VideoStyleSettings, but are a {type(settings).__name__}.")
    style_shares(settings, len(styles))
    for name, given, needed in (("a painter", painter, "instant"), ("a network's weights", weights, "optimise")):
        if given is not None and settings.engine != needed:
            raise ValueError(f"The {settings.engine} engine has no use for {name}; leave that out, or choose {needed}.")
    size = even(fit(clip.size, min(settings.size, max(clip.size))))
    way: Way
    if settings.engine == "instant":
        way = Instant(styles, settings, painter=painter, device=device)
    else:
        way = Optimising(styles, settings, size, weights=weights, device=device)
    inputs = {
        "video": clip.source,
        "style": style_source(styles[0]),
        "more_styles": [style_source(one) for one in styles[1:]],
        "painter": _file(way.painter.path) if isinstance(way, Instant) and painter is not None else None,
        "network_weights": _file(weights) if weights is not None and settings.engine == "optimise" else None,
    }
    made = describe_run(
        "style-video", settings, inputs=inputs, weights=way.weights, device=choose_device(device or "auto")
    )
    return _Job(clip, way, settings, size, Reel(path, made)).run()


def _file(path: Path) -> dict[str, str]:
    return {"file": plain_name(path), "sha256": file_sha256(path)}


@dataclass
class _Flicker:
    """Warp errors so far, of results and of the frames that they were made of."""

    results: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)

    def metrics(self) -> dict[str, float]:
        if not self.results:
            return {}
        return {"flicker": float(np.mean(self.results)), "flicker_input": float(np.mean(self.frames))}


@dataclass
class _Job:
    clip: Clip
    way: Way
    settings: VideoStyleSettings
    size: tuple[int, int]
    reel: Reel
    cuts: int = 0
    flicker: _Flicker = field(default_factory=_Flicker)
    total: int | None = None

    def run(self) -> Generator[Step, None, Path]:
        """Through the video, and back, as often as the settings say."""
        reel, passes = self.reel, self.settings.passes
        expected = _least(self.clip.num_frames, self.settings.most_frames)
        self.total = expected * passes if expected else None
        yield Step(0, self.total)
        begin = reel.open()
        if begin:
            yield Step(begin, self.total, preview=reel.last, message=f"Goes on from frame {begin}.")
        count = yield from self._first_pass(begin)
        self.total = count * passes
        if self.cuts:
            told = f"{self.cuts} scene cuts were" if self.cuts > 1 else "A scene cut was"
            yield Step(count, self.total, message=f"{told} found, over which no strokes are carried.")
        for number in range(1, passes):
            yield from self._further_pass(number, count)
        last = range((passes - 1) * count, passes * count)
        heard = reel.finish(
            self.clip.frames_per_second,
            sound=self.clip.path if self.clip.has_sound else None,
            numbers=last if passes % 2 else last[::-1],
        )
        if self.clip.has_sound and not heard:
            yield Step(reel.count, self.total, message="The sound is left out: this kind of file cannot hold it.")
        return reel.path

    def _first_pass(self, begin: int) -> Generator[Step, None, int]:
        """Paint the frames as they come, from number ``begin``; how many there are."""
        frames, number = self._frames(), 0
        before: Image.Image | None = None
        while True:
            try:
                frame = next(frames, None)
            except VideoError as error:
                yield Step(number, self.total, message=f"{error} The painting ends there.")
                return number
            if frame is None:
                return number
            if before is None:
                self.way.begin(frame)
            if self.settings.passes > 1:
                self.reel.keep_source(number, frame)
            if number >= begin:
                yield from self._paint(number, frame, before)
            before, number = frame, number + 1

    def _further_pass(self, number: int, count: int) -> Generator[Step, None, None]:
        """Go through all frames again, the other way than in the pass before."""
        before: Image.Image | None = None
        for place in range(count):
            index = number * count + place
            frame = self.reel.source(place if number % 2 == 0 else count - 1 - place)
            if index >= self.reel.count:
                yield from self._paint(index, frame, before, own=self.reel.read(number * count - 1 - place))
            before = frame

    def _paint(
        self, number: int, frame: Image.Image, before: Image.Image | None, own: Image.Image | None = None
    ) -> Generator[Step, None, None]:
        """Paint one frame and keep it."""
        motion = follow(frame, before) if before is not None else None
        carried, last = None, np.zeros(0, np.float32)
        if motion is not None:
            last = np.asarray(self.reel.last(), np.float32)
            self.cuts += motion.cut and own is None
            if not motion.cut and self.settings.steady:
                carried = Carried(motion.carried(last), motion.trust)
        if frame == before and own is None:  # a video of a varying rate shows a frame more than once
            painted = self.reel.last()
        else:
            painting = self.way.paint(frame, carried, own)
            while True:
                try:
                    step = next(painting)
                except StopIteration as end:
                    painted = end.value
                    break
                if step.done and step.done != step.total:
                    share = (number + (step.share or 0)) / self.total if self.total else None
                    yield Step(number, self.total, step.metrics, step.preview, fraction=share)
        self.reel.add(painted)
        if motion is not None and not motion.cut and (seen := motion.trust > 0.5).any():
            self.flicker.results.append(warp_error(np.asarray(painted), last, motion.flow, seen))
            self.flicker.frames.append(warp_error(np.asarray(frame), np.asarray(before), motion.flow, seen))
        yield Step(number + 1, self.total, self.flicker.metrics(), self.reel.last)

    def _frames(self) -> Iterator[Image.Image]:
        for frame in islice(self.clip.frames(), self.settings.most_frames):
            yield resize(frame, self.size)


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)
