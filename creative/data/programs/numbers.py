"""The paper's two tasks without a program: adding two numbers, and saying a number again."""

from __future__ import annotations

from creative.data.programs.curriculum import Hardness, Random
from creative.data.programs.generator import Sample


def addition(random: Random, hardness: Hardness) -> Sample:
    """Draw ``print(398345+425098)``: two numbers of as many digits as the level's length."""
    length = hardness(random).length
    a, b = (_number(random, length) for _ in range(2))
    return Sample(f"print({a}+{b})", str(a + b))


def memorisation(random: Random, hardness: Hardness) -> Sample:
    """Draw a number of as many digits as the level's length; the answer is the number."""
    number = str(_number(random, hardness(random).length))
    return Sample(number, number)


def _number(random: Random, length: int) -> int:
    """A number of exactly so many digits."""
    first = 10 ** (length - 1)
    return first - 1 + random(9 * first)
