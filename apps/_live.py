"""What is done to a webcam's frames: one function for each visitor, kept while frames come. No gradio here."""

from __future__ import annotations

import base64
import binascii
import io
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from apps._app import Live
from apps._jobs import MACHINE

SIDE = 1024
"""Longest side of the frames that a page sends, pixels."""
MAX_BYTES = 4 * 2**20
"""Of a frame as it is sent, in base64."""
MAX_VISITORS = 4
"""How many visitors' functions are kept."""
FORGOTTEN_AFTER = 60.0
"""Seconds without a frame."""
PATIENCE = 5.0
"""Seconds that a frame waits for those of others."""


class Busy(Exception):  # noqa: N818 (it is no error: the next frame may have more luck)
    """The frame has to be left out: somebody's job runs, or others' frames come first."""


@dataclass
class _Visitor:
    values: Any
    change: Callable[[Image.Image], Image.Image]
    seen: float = field(default_factory=time.monotonic)


class Streams:
    """The visitors' functions. Frames go through them one at a time, whoever sent them."""

    def __init__(self) -> None:
        self._visitors: dict[Hashable, _Visitor] = {}
        self._turn = threading.Lock()

    def frame(self, owner: Hashable, live: Live, inputs: Any, settings: Any, picture: str) -> str:
        """One frame, changed: a JPEG as a data URL, as it came.

        Args:
            owner: whose it is; another of theirs goes through the same function while inputs and settings are the same.
            live: what is done to frames.
            inputs, settings: records of its kinds.
            picture: of the webcam: a JPEG as a data URL, from 16 to ``SIDE`` pixels a side.

        Raises:
            ValueError: it is no picture, or what is asked for cannot be done.
            Busy: it has to be left out.
        """
        image = _opened(picture)
        if MACHINE.busy or not self._turn.acquire(timeout=PATIENCE):
            raise Busy
        try:
            self._forget(owner)
            visitor = self._visitors.get(owner)
            if visitor is None or visitor.values != (inputs, settings):
                visitor = _Visitor((inputs, settings), live.start(inputs, settings, "auto"))
                self._visitors[owner] = visitor
            changed = visitor.change(image)
            visitor.seen = time.monotonic()
        finally:
            self._turn.release()
        return _closed(changed)

    def end(self, owner: Hashable) -> None:
        """Forget a visitor's function."""
        self._visitors.pop(owner, None)

    def _forget(self, present: Hashable) -> None:
        """Whoever went away, and whoever was longest away where there are too many for another."""
        others = [(visitor.seen, owner) for owner, visitor in list(self._visitors.items()) if owner != present]
        others.sort(key=lambda one: one[0])
        for left, (seen, owner) in zip(range(len(others), 0, -1), others, strict=True):
            if left >= MAX_VISITORS or time.monotonic() - seen > FORGOTTEN_AFTER:
                self.end(owner)

    def __len__(self) -> int:
        return len(self._visitors)


STREAMS = Streams()
"""Of every page of this process."""


def _opened(picture: str) -> Image.Image:
    head, _, data = picture.partition(",")
    problem = ValueError("The camera's picture did not arrive whole.")
    if head != "data:image/jpeg;base64" or len(picture) > MAX_BYTES:
        raise problem
    try:
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True)), formats=["JPEG"]) as image:
            if max(image.size) > SIDE or min(image.size) < 16:
                raise problem
            return image.convert("RGB")
    except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise problem from None


def _closed(image: Image.Image) -> str:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
