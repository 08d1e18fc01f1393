"""How hard the programs are, and when they become harder: the paper's four strategies, the rule of its release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

STRATEGIES = ("baseline", "naive", "mix", "combined")
Random = Callable[[int], int]
"""A whole number from 1 to the one given, each as likely."""


class Level(NamedTuple):
    """How hard a program is: numbers up to 10^length, and so many operations."""

    length: int
    nesting: int


EASIEST = Level(1, 1)
Hardness = Callable[[Random], Level]
"""Draws a level; see ``Curriculum.draw``."""


@dataclass
class Curriculum:
    """A strategy on its way.

    ``baseline`` draws programs of the target's level only; ``naive`` those of the present level, which rises; ``mix``
    any length and nesting up to the target's; ``combined`` one in five as mix does and the others as naive does.

    Args:
        strategy: one of ``STRATEGIES``.
        target: the hardest level.
        threshold: the held-out accuracy above which it gets harder.
        patience: so many measurements without progress count as a stall, after which it gets harder too.
        review: once the hardest level is reached, go through all levels in turn, a program each (and one as before):
            numbers drawn one by one, as mix does, are hardly ever all short.

    Attributes:
        now: the present level.
    """

    strategy: str
    target: Level
    threshold: float = 0.95
    patience: int = 5
    review: bool = False
    now: Level = EASIEST
    _history: list[float] = field(default_factory=list)

    def draw(self, random: Random) -> Level:
        """A level. The release asks for one not once a program but once a number in it, and so does the generator."""
        if self.strategy == "mix" or (self.strategy == "combined" and random(5) == 1):
            return Level(random(self.target.length), random(self.target.nesting))
        return self.target if self.strategy == "baseline" else self.now

    def hardness(self, number: int) -> Hardness:
        """How the levels of the program of that number are drawn: ``draw``, or a level where all are gone through."""
        if not self.review or self.now != self.target:
            return self.draw
        longest, deepest = self.target
        place = number % (longest * deepest + 1)
        if place == longest * deepest:
            return self.draw
        level = Level(1 + place % longest, 1 + place // longest)
        return lambda random: level

    def measured(self, held_out: float, training: float) -> bool:
        """Take note of the accuracies, 0 to 1, at the present level; whether that calls for something harder.

        It does above the threshold, and when training is no better than ``patience`` measurements ago. Differs from the
        release, where it has to be worse: of numbers of one digit there are so few sums that all are known by heart, at
        an accuracy of 1 that can neither rise nor fall, while those held out cannot be guessed.
        """
        stalls = len(self._history) >= self.patience and self._history[-self.patience] >= training
        calls = held_out > self.threshold or stalls
        self._history = [training] if calls else [*self._history, training][-self.patience :]
        return calls

    def harder(self) -> bool:
        """Go one level up: length to its maximum, then nesting by one and length from 1. False at the top."""
        if self.now.length < self.target.length:
            self.now = Level(self.now.length + 1, self.now.nesting)
        elif self.now.nesting < self.target.nesting:
            self.now = Level(1, self.now.nesting + 1)
        else:
            return False
        return True

    def state(self) -> dict[str, Any]:
        """What it needs to go on."""
        return {"now": list(self.now), "history": list(self._history)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` gave."""
        self.now, self._history = Level(*state["now"]), list(state["history"])
