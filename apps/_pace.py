"""How fast a job goes and how long it will take: for the command line and the page alike."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from creative.progress import Step


@dataclass
class Pace:
    """How fast a job goes, and when a look at it is due."""

    started: float = field(default_factory=time.monotonic)
    whole: float | None = None
    """Seconds that the whole job takes at its present pace."""
    _last: tuple[float, float] | None = None
    _looked: float = 0.0

    def seen(self, step: Step) -> None:
        """Take note of a step."""
        now, share = time.monotonic(), step.share
        if share is None:
            return
        if self._last is None:
            self._last = (share, now)
        elif share > self._last[0]:
            gained, took = share - self._last[0], now - self._last[1]
            weight = 1.0 if self.whole is None else min(1.0, max(0.1, 5 * gained))
            self.whole = (1 - weight) * (self.whole or 0.0) + weight * took / gained
            self._last = (share, now)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def left(self, step: Step) -> float | None:
        """Seconds to the end, as far as one can tell."""
        if self.whole is None or step.share is None:
            return None
        return max(0.0, (1 - step.share) * self.whole)

    def due(self, every: float) -> bool:
        """Whether the last look is at least ``every`` seconds ago; if so, this is the next one."""
        now = time.monotonic()
        if now - self._looked < every:
            return False
        self._looked = now
        return True


def span(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
