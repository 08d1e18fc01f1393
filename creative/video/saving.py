"""Videos out: frames as MP4 or GIF, with the sound of another file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from creative.files import check_writable, explain, replacing, shown
from creative.video.container import VideoError, load_av, picture_track

SAVED_AS = (".mp4", ".gif")
"""The suffixes that videos are saved with."""
_EARLY = 0.1  # seconds: sound that decoders need before the first frame
_BT709 = 1  # the colour space of high definition, as players expect it


def even(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) with even sides, as MP4 wants them."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def check_video_output(path: str | os.PathLike[str]) -> Path:
    """``path``, if a video can be saved there: call it before a long job.

    Raises:
        VideoError: the suffix is none of ``SAVED_AS``, the folder cannot be written to, or the extra is missing.
    """
    load_av()
    path = Path(path)
    if path.suffix.lower() not in SAVED_AS:
        raise VideoError(f"The name of a video must end in {' or '.join(SAVED_AS)}, but is {shown(path.name or path)}.")
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
    av = load_av()
    try:
        with replacing(path) as beside:
            if path.suffix.lower() == ".gif":
                _save_gif(pictures, beside, float(frames_per_second))
                return False
            _encode(pictures, beside, Fraction(frames_per_second).limit_denominator(1001), first.size)
            return sound is not None and _add_sound(beside, sound)
    except OSError as error:  # av's own errors are OSErrors too
        if isinstance(error, av.error.FFmpegError) and not error.errno:
            raise VideoError(f"Could not write {shown(path)}: {error.strerror}.") from error
        raise VideoError(explain(error, path)) from error


def _encode(frames: Iterable[Image.Image], path: Path, rate: Fraction, size: tuple[int, int]) -> None:
    av = load_av()
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
    av = load_av()
    with_sound = video.with_suffix(".sound.tmp")
    try:
        with av.open(str(video)) as seen, av.open(str(sound)) as heard:
            if not heard.streams.audio:
                return False
            begin = _begin(heard)
            options = {"fflags": "+bitexact", "movflags": "+faststart"}
            with av.open(str(with_sound), "w", format="mp4", options=options) as container:
                picture = container.add_stream_from_template(seen.streams.video[0])
                track = container.add_stream_from_template(heard.streams.audio[0])
                length, kept = 0.0, False
                for packet in seen.demux(video=0):
                    if packet.dts is not None:
                        length = max(length, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                        packet.stream = picture
                        container.mux(packet)
                for packet in heard.demux(audio=0):
                    if packet.dts is None or packet.pts is None:
                        continue
                    shift = round(begin / packet.time_base)
                    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                    if -_EARLY < float(packet.pts * packet.time_base) < length:
                        packet.stream, kept = track, True
                        container.mux(packet)
        if kept:
            with_sound.replace(video)
    except (av.error.FFmpegError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        return False
    finally:
        with_sound.unlink(missing_ok=True)
    return kept


def _begin(container: Any) -> Fraction:
    """When a file's pictures begin, seconds: the frames of a clip are counted from there."""
    stream = picture_track(container)
    return stream.start_time * stream.time_base if stream is not None and stream.start_time else Fraction(0)


def _save_gif(frames: Iterable[Image.Image], path: Path, rate: float) -> None:
    pictures = (frame.quantize(256, Image.Quantize.MEDIANCUT) for frame in frames)
    first = next(pictures)
    step = max(20, round(100 / rate) * 10)
    first.save(path, format="GIF", save_all=True, append_images=pictures, duration=step, loop=0)
