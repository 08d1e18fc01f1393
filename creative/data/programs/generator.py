"""The paper's programs, drawn as its released code draws them (github.com/wojciechz/learning_to_execute, 04a1659).

A program is made from the inside out: ``nesting`` times one of six operations, which takes the expression so far as one
of its operands, whichever, and numbers for the others. Differs from the release in how it is written down: there lines
end in "#" and programs in "@", here in a line feed and nothing.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from creative.data.programs.curriculum import Hardness, Random
from creative.data.programs.language import NAMES

_POWERS = [10**length for length in range(19)]


class Sample(NamedTuple):
    """What is read, and what is to be written after it."""

    program: str
    answer: str


def compose(random: Random, hardness: Hardness) -> Sample:
    """Draw a program and what it prints, without the dot.

    Args:
        random: see ``creative.data.programs.Dice``.
        hardness: asked once for the nesting and once for every number.
    """
    draft = _Draft(random, hardness)
    for _ in range(hardness(random).nesting):
        expression, value = _OPERATIONS[random(6) - 1](draft)
        draft.inner = (expression, value)
    expression, value = draft.inner or draft.number()
    return Sample("\n".join([*draft.lines, f"print({expression})"]), str(value))


def split_of(sample: Sample) -> int:
    """Which tenth of all programs this one belongs to, 0 to 9, by a hash of program and answer.

    Nothing in tenth 0 (for tests) and tenth 1 (for steering the training) is ever trained on. The release holds two
    thirds out.
    """
    return zlib.crc32(f"{sample.program}@{sample.answer}.".encode()) % 10


OPERATIONS = {
    "loop": "for ",
    "condition": " if ",
    "product": "*",
    "assignment": ";",
    "sum or difference": "(",
}
"""What tells a program of one operation, in this order; without any of these a number is passed on."""


def operation_of(program: str) -> str:
    """Which operation a generated program of nesting 1 has."""
    inside = program.replace("print(", "").removesuffix(")")
    return next((name for name, mark in OPERATIONS.items() if mark in inside), "number passed on")


_Operand = tuple[str, int]


class _Draft:
    """A program in the making."""

    def __init__(self, random: Random, hardness: Hardness) -> None:
        self.random, self._hardness = random, hardness
        self.lines: list[str] = []
        self.inner: _Operand | None = None
        self._names = NAMES

    def number(self) -> _Operand:
        value = self.random(_POWERS[self._hardness(self.random).length])
        return str(value), value

    def operand(self) -> _Operand:
        inner, self.inner = self.inner, None
        return inner or self.number()

    def operands(self, count: int) -> list[_Operand]:
        """The expression so far at a random place among numbers."""
        if self.inner is None:
            return [self.number() for _ in range(count)]
        place = self.random(count) - 1
        inner = self.operand()
        return [inner if index == place else self.number() for index in range(count)]

    def small(self) -> int:
        """A multiplier, or how often a loop runs."""
        return self.random(4 * self._hardness(self.random).length)

    def name(self) -> str:
        """A variable that has not been used."""
        place = self.random(len(self._names)) - 1
        name = self._names[place]
        self._names = self._names.replace(name, "")
        return name


def _pair(draft: _Draft) -> _Operand:
    (left, a), (right, b) = draft.operands(2)
    if draft.random(2) == 1:
        return f"({left}+{right})", a + b
    return f"({left}-{right})", a - b


def _product(draft: _Draft) -> _Operand:
    (text, value), factor = draft.operand(), draft.small()
    if draft.random(2) == 1:
        return f"({text}*{factor})", value * factor
    return f"({factor}*{text})", value * factor


def _pass(draft: _Draft) -> _Operand:
    return draft.operand()


def _assignment(draft: _Draft) -> _Operand:
    name = draft.name()
    (left, a), (right, b) = draft.operands(2)
    draft.lines.append(f"{name}={left};")
    if draft.random(2) == 1:
        return f"({name}+{right})", a + b
    return f"({name}-{right})", a - b


def _loop(draft: _Draft) -> _Operand:
    name = draft.name()
    (start, a), (change, b) = draft.operands(2)
    count = draft.small()
    sign = "+" if draft.random(2) == 2 else "-"
    draft.lines += [f"{name}={start};", f"for x in range({count}):{name}{sign}={change}"]
    return name, a + count * b if sign == "+" else a - count * b


def _conditional(draft: _Draft) -> _Operand:
    (left, a), (right, b), (chosen, c), (other, d) = draft.operands(4)
    if draft.random(2) == 1:
        return f"({chosen} if {left}>{right} else {other})", c if a > b else d
    return f"({chosen} if {left}<{right} else {other})", c if a < b else d


_OPERATIONS = (_pair, _product, _pass, _assignment, _loop, _conditional)
