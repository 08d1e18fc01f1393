"""What a picture is to be drawn for: a channel, a neuron, a direction or a class, and sums and products of these.

    Channel("relu4_1", 17) - 0.5 * Channel("relu3_1", 4)         # in Python
    parse_objective("relu4_1:17 - 0.5 * relu3_1:4")              # the same, from a command line

An objective says nothing about tensors: ``creative.engines.feature_visualization`` measures it. ``str`` of one is its
text, and the text parsed again is equal to it.

    LAYER:CHANNEL            the mean of a channel's map            relu4_1:17
    LAYER:CHANNEL@X,Y        one neuron of it, from 0 to 1          relu4_1:17@0.5,0.5      (@ alone: the middle one)
    LAYER{CHANNEL=WEIGHT...} a direction in the space of channels   relu4_1{17=1, 4=-0.5}
    class:NAME or NUMBER     a class of the classifier              class:golden_retriever
    LAYER                    all of a layer, as DeepDream does      relu4_1
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

MAX_LENGTH = 2000
"""Most characters of an objective's text."""
MAX_DEPTH = 30
"""Most parentheses and signs within one another."""
MAX_WORDS = 400
"""Most names, numbers and signs of an objective."""


class ObjectiveError(ValueError):
    """The text is no objective. The message is one sentence for a person."""


class Objective:
    """Something to be made large. Objectives add, subtract and multiply, with one another and with numbers."""

    def __add__(self, other: Objective | float) -> Objective:
        return Sum(self, _objective(other))

    def __radd__(self, other: Objective | float) -> Objective:
        return Sum(_objective(other), self)

    def __sub__(self, other: Objective | float) -> Objective:
        return Sum(self, Product(Constant(-1), _objective(other)))

    def __rsub__(self, other: Objective | float) -> Objective:
        return Sum(_objective(other), Product(Constant(-1), self))

    def __mul__(self, other: Objective | float) -> Objective:
        return Product(self, _objective(other))

    def __rmul__(self, other: Objective | float) -> Objective:
        return Product(_objective(other), self)

    def __truediv__(self, number: float) -> Objective:
        return Product(Constant(1 / number), self)

    def __neg__(self) -> Objective:
        return Product(Constant(-1), self)

    def parts(self) -> Iterator[Objective]:
        """What it is made of, down to the channels, neurons, directions, layers, classes and numbers."""
        yield self


@dataclass(frozen=True)
class Constant(Objective):
    """A number: what others are weighted by."""

    value: float

    def __str__(self) -> str:
        return _number(self.value)


@dataclass(frozen=True)
class Layer(Objective):
    """The mean square of a layer's map, half of it: whatever the layer sees already, more of it (DeepDream)."""

    layer: str

    def __str__(self) -> str:
        return self.layer


@dataclass(frozen=True)
class Channel(Objective):
    """The mean of one channel of a layer's map."""

    layer: str
    channel: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.channel}"


@dataclass(frozen=True)
class Neuron(Objective):
    """One value of a channel's map; ``x`` and ``y`` from 0, left and top, to 1."""

    layer: str
    channel: int
    x: float = 0.5
    y: float = 0.5

    def __str__(self) -> str:
        place = "" if (self.x, self.y) == (0.5, 0.5) else f"{_number(self.x)},{_number(self.y)}"
        return f"{self.layer}:{self.channel}@{place}"


@dataclass(frozen=True)
class Direction(Objective):
    """A direction in the space of a layer's channels: the map along it, weighted by how well it points there.

    At every place dot · max(0.1, cosine) of the map's value and the direction, averaged (Olah et al., Feature
    Visualization, 2017, https://distill.pub/2017/feature-visualization): large by pointing there, not by being large.

    Attributes:
        weights: (channel, weight) of each channel that has one.
    """

    layer: str
    weights: tuple[tuple[int, float], ...]

    def __str__(self) -> str:
        return f"{self.layer}{{{', '.join(f'{channel}={_number(weight)}' for channel, weight in self.weights)}}}"


@dataclass(frozen=True)
class Class(Objective):
    """A class's logit, less the mean of all logits; the class by its number or its name."""

    name: str

    def __str__(self) -> str:
        return f"class:{self.name}"


@dataclass(frozen=True)
class Sum(Objective):
    """Two objectives added."""

    a: Objective
    b: Objective

    def parts(self) -> Iterator[Objective]:
        """The parts of both."""
        yield from self.a.parts()
        yield from self.b.parts()

    def __str__(self) -> str:
        if isinstance(self.b, Product) and self.b.a == Constant(-1):
            return f"{self.a} - {_in_product(self.b.b)}"
        return f"{self.a} + {_in_sum(self.b)}"


@dataclass(frozen=True)
class Product(Objective):
    """Two objectives multiplied: both must grow."""

    a: Objective
    b: Objective

    def parts(self) -> Iterator[Objective]:
        """The parts of both."""
        yield from self.a.parts()
        yield from self.b.parts()

    def __str__(self) -> str:
        if self.a == Constant(-1) and not isinstance(self.b, Constant):
            return f"-{_in_product(self.b)}"
        return f"{_in_product(self.a, left=True)} * {_in_product(self.b)}"


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _in_sum(part: Objective) -> str:
    return f"({part})" if isinstance(part, Sum) else str(part)


def _in_product(part: Objective, *, left: bool = False) -> str:
    plain = not isinstance(part, Sum | Product) or (left and isinstance(part, Product))
    return str(part) if plain else f"({part})"


def _objective(value: Objective | float) -> Objective:
    if isinstance(value, Objective):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return Constant(value)
    raise TypeError(f"An objective is combined with objectives and finite numbers, not with {value!r}.")


def channel_range(text: str) -> tuple[str, tuple[int, ...]] | None:
    """``"relu4_1:0-3,7"`` as ``("relu4_1", (0, 1, 2, 3, 7))``: many objectives at once; None where it is no list."""
    match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*:\s*(\d+(?:-\d+)?(?:\s*,\s*\d+(?:-\d+)?)*)\s*", text)
    if match is None or match[1] == "class" or match[2].isdigit():
        return None
    channels: list[int] = []
    for piece in match[2].split(","):
        first, _, last = (number.strip() for number in piece.partition("-"))
        begin, end = int(first), int(last or first)
        if end < begin or end - begin > 4096:
            raise ObjectiveError(f"{text!r}: channels from {begin} to {end} are no range.")
        channels.extend(range(begin, end + 1))
    return match[1], tuple(dict.fromkeys(channels))


def parse_objective(text: str) -> Objective:
    """The objective that a text says; see the top of this file for the language.

    Raises:
        ObjectiveError: it says none; the message points to the place.
    """
    if len(text) > MAX_LENGTH:
        raise ObjectiveError(f"An objective has {MAX_LENGTH} characters at most, but this one has {len(text)}.")
    return _Parser(text).whole()


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<klass>class\s*:\s*(?:"[^"]*"|[\w.'-]+))
      | (?P<name>[A-Za-z_][\w.]*)
      | (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
      | (?P<sign>[-+*/(){}:@,=])
    )""",
    re.VERBOSE,
)


class _Parser:
    """Recursive descent: sum → product → signed → atom. Nothing is ever evaluated as Python."""

    def __init__(self, text: str) -> None:
        self.text, place = text, 0
        self.tokens: list[tuple[str, str, int]] = []
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                self._fail(place + len(text[place:]) - len(text[place:].lstrip()))
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind], match.start(kind)))
            place = match.end()
        if len(self.tokens) > MAX_WORDS:
            raise ObjectiveError(f"An objective has {MAX_WORDS} names, numbers and signs at most.")
        self.tokens.append(("end", "", len(text)))
        self.position = 0

    def whole(self) -> Objective:
        objective = self._sum(0)
        self._expect("end")
        if all(isinstance(part, Constant) for part in objective.parts()):
            raise ObjectiveError(f"{self.text!r} is a number, not an objective: nothing in it can grow.")
        return objective

    def _sum(self, depth: int) -> Objective:
        if depth > MAX_DEPTH:
            raise ObjectiveError(f"An objective has {MAX_DEPTH} parentheses and signs within one another at most.")
        objective = self._product(depth)
        while sign := self._take("+", "-"):
            other = self._product(depth)
            objective = objective + other if sign == "+" else objective - other
        return objective

    def _product(self, depth: int) -> Objective:
        objective = self._signed(depth)
        while sign := self._take("*", "/"):
            if sign == "*":
                objective = objective * self._signed(depth)
                continue
            place = self.tokens[self.position][2]
            divisor = self._number("a number to divide by")
            if not divisor:
                self._fail(place, "a number to divide by that is not 0")
            objective = objective / divisor
        return objective

    def _signed(self, depth: int) -> Objective:
        if depth > MAX_DEPTH:
            raise ObjectiveError(f"An objective has {MAX_DEPTH} parentheses and signs within one another at most.")
        if self._take("-"):
            inner = self._signed(depth + 1)
            return Constant(-inner.value) if isinstance(inner, Constant) else -inner
        if self._take("+"):
            return self._signed(depth + 1)
        if self._take("("):
            objective = self._sum(depth + 1)
            self._expect(")")
            return objective
        return self._atom()

    def _atom(self) -> Objective:
        kind, word, place = self.tokens[self.position]
        if kind == "number":
            return Constant(self._number("a number"))
        self.position += 1
        if kind == "klass":
            name = word.partition(":")[2].strip().strip('"').strip()
            return Class(re.sub(r"\s+", "_", name)) if name else self._fail(place, "the name of a class")
        if kind != "name":
            self._fail(place)
        if self._take("{"):
            return Direction(word, self._weights())
        if not self._take(":"):
            return Layer(word)
        channel = self._whole_number("the number of a channel")
        if not self._take("@"):
            return Channel(word, channel)
        if self.tokens[self.position][0] != "number":
            return Neuron(word, channel)
        x = self._fraction()
        self._expect(",")
        return Neuron(word, channel, x, self._fraction())

    def _weights(self) -> tuple[tuple[int, float], ...]:
        weights: dict[int, float] = {}
        while True:
            place = self.tokens[self.position][2]
            channel = self._whole_number("the number of a channel")
            if channel in weights:
                self._fail(place, "each channel once")
            self._expect("=")
            sign = -1 if self._take("-") else 1
            weights[channel] = sign * self._number("a weight")
            if not self._take(","):
                break
        self._expect("}")
        if not any(weights.values()):
            self._fail(self.tokens[self.position - 1][2], "a weight that is not 0")
        return tuple(weights.items())

    def _fraction(self) -> float:
        place = self.tokens[self.position][2]
        value = self._number("a place from 0 to 1")
        return value if 0 <= value <= 1 else self._fail(place, "a place from 0 to 1")

    def _whole_number(self, what: str) -> int:
        kind, word, place = self.tokens[self.position]
        if kind != "number" or not word.isdigit() or len(word) > 6:
            self._fail(place, what)
        self.position += 1
        return int(word)

    def _number(self, what: str) -> float:
        kind, word, place = self.tokens[self.position]
        if kind != "number" or not math.isfinite(float(word)):
            self._fail(place, what)
        self.position += 1
        return float(word)

    def _take(self, *signs: str) -> str:
        kind, word, _ = self.tokens[self.position]
        if kind != "sign" or word not in signs:
            return ""
        self.position += 1
        return word

    def _expect(self, sign: str) -> None:
        kind, _, place = self.tokens[self.position]
        if (kind == "end") if sign == "end" else self._take(sign):
            return
        self._fail(place, "" if sign == "end" else repr(sign))

    def _fail(self, place: int, expected: str = "") -> NoReturn:
        found = repr(self.text[place : place + 12]) if self.text[place:].strip() else "the end"
        wanted = expected or "LAYER:CHANNEL, such as relu4_1:17"
        raise ObjectiveError(f"{self.text!r} is no objective: at character {place + 1}, {found}, expected {wanted}.")
