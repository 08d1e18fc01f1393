"""Video: frames in, upright and at a steady rate; frames out as MP4 or GIF.

    clip = open_video("street.mp4")              # a VideoError in one sentence where it is none
    save_video((soften(frame) for frame in clip.frames()), "soft.mp4", clip.frames_per_second, sound=clip.path)

Needs the extra ``video`` (PyAV), which is loaded where it is used. What moves between frames is in ``motion``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from creative.files import check_writable, explain, file_sha256, plain_name, replacing, shown

SAVED_AS = (".mp4", ".gif")
"""The suffixes that videos are saved with."""
MAX_SIDE = 8192
"""Most pixels a side of a video that is opened."""
_RATES = Fraction(1, 10), Fraction(240)
_FASTEST = 120  # frames a second that are believed without counting them
_LOST = 0.1  # share of the frames that may find no place at the mean rate
_LOOKED_AT = 500  # frames by which the rate is judged: some seconds of film
_FORMATS = (  # no lists of other files, no texts and no single pictures, all of which FFmpeg would open
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpeg,mpegts,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,"
    "dv,mxf,nut,rm,wtv,mjpeg,yuv4mpegpipe"
)
_EARLY = 0.1  # seconds: sound that decoders need before the first frame
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
        count, until, damaged = 0, 0, False
        now: Image.Image | None = None
        try:
            for time, seconds, image in _decoded(self.path):
                due = round(time * self.frames_per_second)  # frames that should have been shown before this one
                while now is not None and count < due:
                    yield now
                    count += 1
                now, until = image, round((time + seconds) * self.frames_per_second)
        except VideoError:
            damaged = True
        if now is not None:
            for _ in range(max(1, until - count)):
                yield now
                count += 1
        if damaged:
            raise VideoError(f"{shown(self.path.name)} is damaged after frame {count}.")


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
        raise VideoError(
            f"{shown(path)} is a folder, not a video." if path.is_dir() else f"There is no file {shown(path)}."
        )
    try:
        with _opened(path) as container:
            stream = _picture_track(container)
            if stream is None:
                raise VideoError(f"{shown(path.name)} has no picture track: it is no video.")
            _check_sides(path, (stream.width, stream.height))
            count, sound = stream.frames or None, bool(container.streams.audio)
            duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
            rate = min(max(_steady_rate(container, stream), _RATES[0]), _RATES[1]).limit_denominator(1001)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(
            f"{shown(path.name)} is no video that can be read (MP4, MOV, WebM, GIF and others can)."
        ) from None
    try:
        first = next(_decoded(path), None)
    except VideoError:
        first = None
    if first is None:
        raise VideoError(f"{shown(path.name)} has no frames that can be read.")
    size = first[2].size
    _check_sides(path, size)
    steady = round(duration * rate) if duration else count
    return Clip(path, size, rate, steady, sound)


def _opened(path: Path) -> Any:
    return _av().open(str(path), options={"format_whitelist": _FORMATS})


def _picture_track(container: Any) -> Any:
    """The first track of moving pictures, which the cover of a song is not; or None."""
    cover = _av().stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & cover), None)


def _check_sides(path: Path, size: tuple[int, int]) -> None:
    if max(size) > MAX_SIDE:
        raise VideoError(f"{shown(path.name)} has {size[0]} × {size[1]} pixels; {MAX_SIDE} a side are allowed.")


def _steady_rate(container: Any, stream: Any) -> Fraction:
    """Frames a second: the mean, or where frames last as they like enough for the short ones.

    What a file says itself is often the rate that its clock could show: a thousand, where a browser recorded.
    """
    mean = Fraction(stream.average_rate or stream.guessed_rate or 25)
    packets = islice(container.demux(stream), _LOOKED_AT)
    times = np.unique([packet.pts for packet in packets if packet.pts is not None]) * float(stream.time_base or 1)
    if len(times) < 3:
        return mean
    if mean > _FASTEST:
        mean = Fraction((len(times) - 1) / (times[-1] - times[0]))
    places = np.rint((times - times[0]) * float(mean))
    if len(np.unique(places)) >= (1 - _LOST) * len(places):
        return mean
    return Fraction(1 / np.quantile(np.diff(times), _LOST, method="lower"))


def _decoded(path: Path) -> Iterator[tuple[float, float, Image.Image]]:
    """Seconds from the first frame, how many it lasts (0 where nobody says), and the frame as it is to be seen."""
    av = _av()
    try:
        with _opened(path) as container:
            stream = _picture_track(container)
            begin: float | None = None
            for number, frame in enumerate(container.decode(stream)):
                rate = float(stream.average_rate or 25)
                time = frame.time if frame.time is not None else number / rate
                begin = time if begin is None else begin
                lasts = float((frame.duration or 0) * frame.time_base) if frame.time_base else 0.0
                yield max(0.0, time - begin), lasts, _upright(frame, stream.sample_aspect_ratio)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{shown(path.name)} is damaged or cut short.") from error


def _upright(frame: Any, aspect: Fraction | None) -> Image.Image:
    """A frame turned as its metadata says, its pixels square: ``aspect`` is a pixel's width over its height."""
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    if aspect and aspect != 1 and Fraction(1, 4) <= aspect <= 4:  # beyond that it is nonsense
        wide, high = max(aspect, Fraction(1)), max(1 / aspect, Fraction(1))
        image = image.resize((round(image.width * wide), round(image.height * high)), Image.Resampling.BICUBIC)
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
            raise VideoError(f"Could not write {shown(path)}: {error.strerror}.") from error
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
    stream = _picture_track(container)
    return stream.start_time * stream.time_base if stream is not None and stream.start_time else Fraction(0)


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
