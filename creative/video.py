"""Video: frames in, upright and at a steady rate; frames out as MP4 or GIF.

    clip = open_video("street.mp4")              # a VideoError in one sentence where it is none
    save_video((soften(frame) for frame in clip.frames()), "soft.mp4", clip.frames_per_second, sound=clip.path)

Needs the extra ``video`` (PyAV), which is loaded where it is used. What moves between frames is in ``motion``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from creative.files import check_writable, explain, file_sha256, plain_name, replacing

SAVED_AS = (".mp4", ".gif")
"""The suffixes that videos are saved with."""
MAX_SIDE = 8192
"""Most pixels a side of a video that is opened."""
_RATES = Fraction(1, 10), Fraction(240)
_BT709 = 1  # the colour space of high definition, as players expect it


class VideoError(ValueError):
    """A video cannot be opened, read or saved. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A video that can be read.

    Attributes:
        path: its file.
        size: (width, height) as it is seen, turned as its metadata says.
        frames_per_second: the steady rate that ``frames`` gives them at.
        num_frames: how many there are about, or None where the file does not say.
        has_sound: whether a sound track goes with it.
    """

    path: Path
    size: tuple[int, int]
    frames_per_second: Fraction
    num_frames: int | None
    has_sound: bool

    @property
    def source(self) -> dict[str, str]:
        """For provenance: the file's name and SHA-256."""
        return {"file": plain_name(self.path), "sha256": file_sha256(self.path)}

    def frames(self) -> Iterator[Image.Image]:
        """Its frames in RGB, upright, at a steady rate: one that lasts longer comes more than once.

        Raises:
            VideoError: the file is damaged from here on.
        """
        count = 0
        shown: Image.Image | None = None
        try:
            for time, image in _decoded(self.path):
                due = round(time * self.frames_per_second)  # frames that should have been shown before this one
                while shown is not None and count < due:
                    yield shown
                    count += 1
                shown = image
            if shown is not None:
                yield shown
        except VideoError:
            raise VideoError(f"{self.path.name} is damaged after frame {count}.") from None


def even(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) with even sides, as MP4 wants them."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def open_video(path: str | os.PathLike[str]) -> Clip:
    """Look into a video.

    Raises:
        VideoError: there is no such file, it is no video, or it has no frames.
    """
    av = _av()
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path} is a folder, not a video." if path.is_dir() else f"There is no file {path}.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path.name} has no picture track: it is no video.")
            stream = container.streams.video[0]
            rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            rate = min(max(rate, _RATES[0]), _RATES[1]).limit_denominator(1001)
            count, sound = stream.frames or None, bool(container.streams.audio)
            duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"{path.name} is no video that can be read (MP4, MOV, WebM, GIF and others can).") from None
    try:
        first = next(_decoded(path), None)
    except VideoError:
        first = None
    if first is None:
        raise VideoError(f"{path.name} has no frames that can be read.")
    size = first[1].size
    if max(size) > MAX_SIDE:
        raise VideoError(f"{path.name} has {size[0]} × {size[1]} pixels; {MAX_SIDE} a side are allowed.")
    steady = round(duration * rate) if duration else count
    return Clip(path, size, rate, steady, sound)


def _decoded(path: Path) -> Iterator[tuple[float, Image.Image]]:
    """Seconds from the first frame, and the frame, turned upright."""
    av = _av()
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            begin: float | None = None
            for number, frame in enumerate(container.decode(stream)):
                rate = float(stream.average_rate or 25)
                time = frame.time if frame.time is not None else number / rate
                begin = time if begin is None else begin
                yield max(0.0, time - begin), _upright(frame)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path.name} is damaged or cut short.") from error


def _upright(frame: Any) -> Image.Image:
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    turns = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    turn = turns.get(round(frame.rotation) % 360)
    return image.transpose(turn) if turn is not None else image


def check_video_output(path: str | os.PathLike[str]) -> Path:
    """``path``, if a video can be saved there: call it before a long job.

    Raises:
        VideoError: the suffix is none of ``SAVED_AS``, the folder cannot be written to, or the extra is missing.
    """
    _av()
    path = Path(path)
    if path.suffix.lower() not in SAVED_AS:
        raise VideoError(f"The name of a video must end in {' or '.join(SAVED_AS)}, but is {path.name or path}.")
    try:
        check_writable(path)
    except OSError as error:
        raise VideoError(explain(error, path)) from None
    return path


def save_video(
    frames: Iterable[Image.Image],
    path: str | os.PathLike[str],
    frames_per_second: Fraction | float,
    *,
    sound: Path | None = None,
) -> bool:
    """Save frames of one size as MP4 (H.264) or GIF by the path's suffix. The same frames make the same bytes.

    The file is written beside and then renamed. MP4 wants even sides: an odd one gets its last row or column twice.

    Args:
        frames: pictures of mode RGB; one at least.
        frames_per_second: of the result; GIFs know hundredths of a second only, and at most 50.
        sound: a file whose sound track is copied as far as the frames go, if MP4 can hold it.

    Returns:
        Whether the sound is in it.

    Raises:
        VideoError: there are no frames, or the file cannot be written.
    """
    path = check_video_output(path)
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise VideoError("There are no frames to make a video of.")
    pictures = chain([first], remaining)
    av = _av()
    try:
        with replacing(path) as beside:
            if path.suffix.lower() == ".gif":
                _save_gif(pictures, beside, float(frames_per_second))
                return False
            _encode(pictures, beside, Fraction(frames_per_second).limit_denominator(1001), first.size)
            return sound is not None and _add_sound(beside, sound)
    except OSError as error:  # av's own errors are OSErrors too
        if isinstance(error, av.error.FFmpegError) and not error.errno:
            raise VideoError(f"Could not write {path}: {error.strerror}.") from error
        raise VideoError(explain(error, path)) from error


def _encode(frames: Iterable[Image.Image], path: Path, rate: Fraction, size: tuple[int, int]) -> None:
    av = _av()
    width, height = size[0] + size[0] % 2, size[1] + size[1] % 2
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}) as container:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        options = {"crf": "17", "preset": "medium"}
        if codec == "libx264":
            options["x264-params"] = "mbtree=0"  # with it, the same frames were measured not to give the same bytes
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # the same bytes whatever the machine
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        for number, image in enumerate(frames):
            pixels = np.asarray(image)
            pixels = np.pad(pixels, ((0, height - size[1]), (0, width - size[0]), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _add_sound(video: Path, sound: Path) -> bool:
    """Put the sound track of another file into a video in place; False where there is none or it does not fit."""
    av = _av()
    with_sound = video.with_suffix(".sound.tmp")
    try:
        with av.open(str(video)) as seen, av.open(str(sound)) as heard:
            if not heard.streams.audio:
                return False
            options = {"fflags": "+bitexact", "movflags": "+faststart"}
            with av.open(str(with_sound), "w", format="mp4", options=options) as container:
                picture = container.add_stream_from_template(seen.streams.video[0])
                track = container.add_stream_from_template(heard.streams.audio[0])
                length = 0.0
                for packet in seen.demux(video=0):
                    if packet.dts is not None:
                        length = max(length, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                        packet.stream = picture
                        container.mux(packet)
                for packet in heard.demux(audio=0):
                    if packet.dts is not None and float(packet.pts * packet.time_base) < length:
                        packet.stream = track
                        container.mux(packet)
        with_sound.replace(video)
    except (av.error.FFmpegError, ValueError):
        return False
    finally:
        with_sound.unlink(missing_ok=True)
    return True


def _save_gif(frames: Iterable[Image.Image], path: Path, rate: float) -> None:
    pictures = (frame.quantize(256, Image.Quantize.MEDIANCUT) for frame in frames)
    first = next(pictures)
    step = max(20, round(100 / rate) * 10)
    first.save(path, format="GIF", save_all=True, append_images=pictures, duration=step, loop=0)


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise VideoError("Videos need PyAV: install it with `pip install creative[video]`.") from None
    return av
