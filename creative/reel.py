"""The frames of a video in the making: kept beside it, one picture each, so that a stopped job goes on from there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from PIL import Image

from creative.files import explain, replacing
from creative.provenance import Provenance, write_sidecar
from creative.video import VideoError, check_video_output, save_video

_JOB, _FRAME, _SOURCE = "job.json", "frame_{:06d}.png", "source_{:06d}.png"


class Reel:
    """Frames in a folder ``NAME.mp4.frames`` beside the video to be; it goes when the video is there.

    Frames of another job (other settings, inputs or weights) are thrown away. A frame is always read back as it was
    saved, in 8 bits, so that a job that was stopped and resumed makes the same bytes as one that was not.

    Args:
        path: of the video.
        job: what is to be made.

    Raises:
        VideoError: the video could not be saved there.
    """

    def __init__(self, path: str | Path, job: Provenance) -> None:
        self.path, self.job = check_video_output(path), job
        self.folder = self.path.with_name(self.path.name + ".frames")
        self.count = 0

    def open(self) -> int:
        """Make the folder, or find it; the number of frames that are there already."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            note = self.folder / _JOB
            told = self.job.to_json()
            if not note.is_file() or note.read_text(encoding="ascii", errors="replace") != told:
                self._clear()
                with replacing(note) as beside:
                    beside.write_text(told, encoding="ascii")
        except OSError as error:
            raise VideoError(explain(error, self.folder)) from error
        while self._frame(self.count).is_file():
            self.count += 1
        return self.count

    def add(self, image: Image.Image) -> None:
        """Keep the next frame."""
        self._save(image, self._frame(self.count))
        self.count += 1

    def last(self) -> Image.Image:
        """The last frame kept."""
        return self.read(self.count - 1)

    def read(self, number: int) -> Image.Image:
        """A frame kept, the first being 0."""
        return _read(self._frame(number))

    def frames(self) -> Iterator[Image.Image]:
        """All frames kept, from the first."""
        return (self.read(number) for number in range(self.count))

    def keep_source(self, number: int, image: Image.Image) -> None:
        """Keep a frame of what the video is made from, for a job that goes through it more than once."""
        path = self._source(number)
        if not path.is_file():
            self._save(image, path)

    def source(self, number: int) -> Image.Image:
        """A frame of what the video is made from, kept before."""
        return _read(self._source(number))

    def finish(
        self, frames_per_second: Fraction | float, *, sound: Path | None = None, numbers: Sequence[int] | None = None
    ) -> bool:
        """Make the video and its sidecar, and remove the frames; whether the sound is in it.

        Args:
            frames_per_second: of the result.
            sound: a file whose sound track is copied.
            numbers: of the frames that the video is made of, in their order; None for all.
        """
        chosen = range(self.count) if numbers is None else numbers
        heard = save_video(map(self.read, chosen), self.path, frames_per_second, sound=sound)
        result = {**self.job.result, "frames": len(chosen)}
        write_sidecar(self.path, self.job.model_copy(update={"result": json.loads(json.dumps(result))}))
        with contextlib.suppress(OSError):  # what else somebody put there stays
            self._clear()
            (self.folder / _JOB).unlink()
            self.folder.rmdir()
        return heard

    def _clear(self) -> None:
        for old in (*self.folder.glob("frame_*.png"), *self.folder.glob("source_*.png")):
            old.unlink()

    def _frame(self, number: int) -> Path:
        return self.folder / _FRAME.format(number)

    def _source(self, number: int) -> Path:
        return self.folder / _SOURCE.format(number)

    def _save(self, image: Image.Image, path: Path) -> None:
        try:
            with replacing(path) as beside:
                image.save(beside, format="PNG", compress_level=1)
        except OSError as error:
            raise VideoError(explain(error, path)) from error


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
