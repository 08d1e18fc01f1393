"""Videos in: their frames upright and at a steady rate, whatever the file is like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from creative.files import file_sha256, plain_name, shown
from creative.video.container import VideoError, load_av, picture_track

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


def open_video(path: str | os.PathLike[str]) -> Clip:
    """Look into a video.

    Raises:
        VideoError: there is no such file, it is no video, or it has no frames.
    """
    av = load_av()
    path = Path(path)
    if not path.is_file():
        raise VideoError(
            f"{shown(path)} is a folder, not a video." if path.is_dir() else f"There is no file {shown(path)}."
        )
    try:
        with _opened(path) as container:
            stream = picture_track(container)
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
    return load_av().open(str(path), options={"format_whitelist": _FORMATS})


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
    av = load_av()
    try:
        with _opened(path) as container:
            stream = picture_track(container)
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
