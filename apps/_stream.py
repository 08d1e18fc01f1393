"""A text on stdout as it grows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TextIO

from apps._pace import Pace

EVERY = 0.05
"""Seconds between two looks at what is there, at least."""


@dataclass
class Stream:
    """Writes what is new of a text. One that changes where it was written already waits for its end, and is then
    written once more as a whole.
    """

    out: TextIO
    written: str = ""
    _pace: Pace = field(default_factory=Pace)
    _open: bool = False

    @property
    def to_person(self) -> bool:
        """Whether a terminal shows it, where nothing else should move."""
        return self.out.isatty()

    def due(self) -> bool:
        """Whether it is time for another look."""
        return self._pace.due(EVERY)

    def grow(self, text: str) -> None:
        """Take the text so far. Line ends, and a sign whose bytes have not all come, wait for what follows."""
        text = text.rstrip("\n\ufffd")
        if text.startswith(self.written):
            self._write(text[len(self.written) :])
            self.written = text

    def end(self, text: str) -> None:
        """Take the whole text, and end its last line."""
        text = text.rstrip("\n")
        if text.startswith(self.written):
            self._write(text[len(self.written) :])
        elif not self.written.startswith(text):
            self._write("\n" * self._open + text)
        self._write("\n")
        self.written, self._open = "", False

    def pause(self) -> None:
        """Leave the line that is being written, so that something else may be said."""
        if self._open and self.to_person:
            self._write("\n")
            self._open = False

    def _write(self, text: str) -> None:
        if not text:
            return
        if self.to_person:  # a network's characters must not steer a terminal
            text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
        try:
            self.out.write(text)
        except UnicodeEncodeError:
            encoding = self.out.encoding or "ascii"
            self.out.write(text.encode(encoding, "replace").decode(encoding))
        self.out.flush()
        self._open = not text.endswith("\n")
