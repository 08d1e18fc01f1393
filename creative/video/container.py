"""What reading a video and saving one have in common: PyAV, where a file's pictures are, and what goes wrong."""

from __future__ import annotations

from typing import Any


class VideoError(ValueError):
    """A video cannot be opened, read or saved. The message is one sentence for a person."""


def load_av() -> Any:
    """The package av, which is loaded where it is used.

    Raises:
        VideoError: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise VideoError("Videos need PyAV: install it with `pip install creative[video]`.") from None
    return av


def picture_track(container: Any) -> Any:
    """The first track of moving pictures, which the cover of a song is not; or None."""
    cover = load_av().stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & cover), None)
