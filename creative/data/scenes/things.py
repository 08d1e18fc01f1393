"""What is in a scene: things with a shape, a colour, a size and a place, and how they stand to one another.

A scene is a unit square, x to the right and y downward. All that is said here holds visibly or not at all: between
"left of" and "above" lie angles, between "small" and "large" sizes, that a clear scene (see ``is_clear``) has not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import numpy as np
from PIL import Image, ImageDraw

Points = list[tuple[float, float]]

COLOURS = {
    "red": (214, 44, 44),
    "orange": (245, 134, 32),
    "yellow": (250, 212, 46),
    "green": (52, 158, 70),
    "blue": (42, 102, 214),
    "purple": (132, 60, 172),
    "pink": (246, 138, 184),
    "black": (34, 34, 40),
    "white": (248, 248, 246),
}
"""Their RGB values, around which those of a picture lie."""
SIZES = {"small": (0.095, 0.105), "medium": (0.13, 0.145), "large": (0.19, 0.215)}
"""Radii; nobody calls a thing of medium size anything."""
COLUMNS = ROWS = (0.36, 0.64)
"""Where left ends and right begins, top ends and bottom begins; what is between is the middle."""

_TILT = 60  # degrees away from the axis up to which one thing is still left of another: to 30° it is above as well
_TILT_MARGIN = 7
_PLACE_MARGIN = 0.035
_GAP = 0.03
_BIGGER = 1.18
_GRID = 128  # pixels a side, in which it is measured how far things overlap


# Shapes: an outline around 0, at most 1 away from it, and the hole in it ----------------------------------------------


def _round(radius: float, x: float = 0.0, y: float = 0.0) -> Points:
    return [(x + radius * math.cos(t * math.tau / 48), y + radius * math.sin(t * math.tau / 48)) for t in range(48)]


def _star() -> Points:
    radii = (1.0, 0.42)
    return [(radii[n % 2] * math.sin(n * math.pi / 5), -radii[n % 2] * math.cos(n * math.pi / 5)) for n in range(10)]


def _heart() -> Points:
    turns = [t * math.tau / 48 for t in range(48)]
    return [
        (
            math.sin(t) ** 3 * 0.96,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17 - 0.06,
        )
        for t in turns
    ]


def _cross() -> Points:
    arm, end = 0.3, 0.94
    corner = [(arm, arm), (end, arm), (end, -arm)]
    turns = ((1, 0), (0, -1), (-1, 0), (0, 1))
    return [(x * c - y * s, x * s + y * c) for c, s in turns for x, y in corner]


def _moon() -> Points:
    # The outer edge runs around the left; the inner one, of a circle further right, runs back.
    outer = [(math.cos(t), math.sin(t)) for t in np.linspace(math.radians(50), math.radians(310), 40)]
    tip = math.radians(50)
    x, radius = 0.5, math.hypot(math.cos(tip) - 0.5, math.sin(tip))
    end = math.atan2(math.sin(tip), math.cos(tip) - x)
    inner = [(x + radius * math.cos(t), radius * math.sin(t)) for t in np.linspace(math.tau - end, end, 40)]
    return [(px + 0.17, py) for px, py in (*outer, *inner)]


_OUTLINES: dict[str, tuple[Points, Points]] = {
    "circle": (_round(0.94), []),
    "square": ([(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)], []),
    "triangle": ([(0, -0.92), (0.95, 0.72), (-0.95, 0.72)], []),
    "diamond": ([(0, -1), (0.64, 0), (0, 1), (-0.64, 0)], []),
    "star": (_star(), []),
    "heart": (_heart(), []),
    "cross": (_cross(), []),
    "ring": (_round(0.98), _round(0.67)),
    "moon": (_moon(), []),
}
SHAPES = tuple(_OUTLINES)


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing.

    Attributes:
        shape: one of ``SHAPES``.
        colour: one of ``COLOURS``.
        size: one of ``SIZES``.
        x, y: its centre, in [0, 1].
        radius: of the circle around it.
        angle: by which it is turned, degrees clockwise.
    """

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    angle: float = 0.0

    def outline(self) -> tuple[Points, Points]:
        """Its corners in the scene, and those of the hole in it (none but for the ring)."""
        turn = math.radians(self.angle)
        c, s = self.radius * math.cos(turn), self.radius * math.sin(turn)
        edge, hole = _OUTLINES[self.shape]
        return (
            [(self.x + px * c - py * s, self.y + px * s + py * c) for px, py in edge],
            [(self.x + px * c - py * s, self.y + px * s + py * c) for px, py in hole],
        )


# How two things stand to one another ----------------------------------------------------------------------------------


def _distance(a: Thing, b: Thing) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def apart(a: Thing, b: Thing) -> bool:
    """Whether the circles around two things do not meet."""
    return _distance(a, b) > a.radius + b.radius


def _tilt(dx: float, dy: float) -> float:
    """Degrees between a direction and the positive x axis, 0 to 180."""
    return abs(math.degrees(math.atan2(dy, dx)))


def left_of(a: Thing, b: Thing) -> bool:
    """Beside it, not within or over it, and more to the left than steeply above or below."""
    return apart(a, b) and _tilt(b.x - a.x, b.y - a.y) < _TILT


def above(a: Thing, b: Thing) -> bool:
    """Apart from it, and higher up rather than far to a side."""
    return apart(a, b) and _tilt(b.y - a.y, b.x - a.x) < _TILT


@lru_cache(maxsize=4096)
def _mask(thing: Thing, filled: bool) -> np.ndarray:
    image = Image.new("1", (_GRID, _GRID))
    draw = ImageDraw.Draw(image)
    edge, hole = thing.outline()
    draw.polygon([(x * _GRID - 0.5, y * _GRID - 0.5) for x, y in edge], fill=1)
    if hole and not filled:
        draw.polygon([(x * _GRID - 0.5, y * _GRID - 0.5) for x, y in hole], fill=0)
    return np.asarray(image)


def _shared(a: Thing, b: Thing) -> float:
    """How much of the smaller one of two things lies in the other."""
    one, other = _mask(a, False), _mask(b, False)
    return float((one & other).sum() / max(1, min(one.sum(), other.sum())))


def inside(a: Thing, b: Thing) -> bool:
    """Wholly within its outline, with some room; in a ring, within its hole."""
    if _distance(a, b) >= b.radius or a.radius >= b.radius:
        return False
    roomy = _mask(replace(a, radius=1.07 * a.radius), False)
    return not (roomy & ~_mask(b, True)).any() and (b.shape != "ring" or not (roomy & _mask(b, False)).any())


def overlaps(a: Thing, b: Thing) -> bool:
    """A part of each is over or under the other, and neither lies inside."""
    return not apart(a, b) and _shared(a, b) > 0.08 and not inside(a, b) and not inside(b, a)


def bigger(a: Thing, b: Thing) -> bool:
    """Visibly so, whatever their shapes."""
    return a.radius > _BIGGER * b.radius


def covers(a: Thing, b: Thing, a_is_later: bool) -> bool:
    """In front of it: painted later, and over a part of it."""
    return a_is_later and not apart(a, b) and _shared(a, b) > 0.08


Relation = Callable[[Thing, Thing, bool], bool]
RELATIONS: dict[str, Relation] = {
    "to the left of": lambda a, b, later: left_of(a, b),
    "to the right of": lambda a, b, later: left_of(b, a),
    "above": lambda a, b, later: above(a, b),
    "below": lambda a, b, later: above(b, a),
    "inside": lambda a, b, later: inside(a, b),
    "around": lambda a, b, later: inside(b, a),
    "overlapping": lambda a, b, later: overlaps(a, b),
    "in front of": lambda a, b, later: covers(a, b, later),
    "behind": lambda a, b, later: covers(b, a, not later),
    "bigger than": lambda a, b, later: bigger(a, b),
    "smaller than": lambda a, b, later: bigger(b, a),
}
"""What a sentence can say of two things, the second one painted before the first one or (``later`` False) after it."""


# Where a thing is -----------------------------------------------------------------------------------------------------


def zone(thing: Thing) -> tuple[str, str]:
    """The row and the column that a thing is in: top, middle or bottom, and left, middle or right."""
    row = "top" if thing.y < ROWS[0] else "bottom" if thing.y > ROWS[1] else "middle"
    column = "left" if thing.x < COLUMNS[0] else "right" if thing.x > COLUMNS[1] else "middle"
    return row, column


PLACES: dict[str, Callable[[str, str], bool]] = {
    "on the left": lambda row, column: column == "left",
    "on the right": lambda row, column: column == "right",
    "at the top": lambda row, column: row == "top",
    "at the bottom": lambda row, column: row == "bottom",
    "in the middle": lambda row, column: row == column == "middle",
    "in the top left corner": lambda row, column: (row, column) == ("top", "left"),
    "in the top right corner": lambda row, column: (row, column) == ("top", "right"),
    "in the bottom left corner": lambda row, column: (row, column) == ("bottom", "left"),
    "in the bottom right corner": lambda row, column: (row, column) == ("bottom", "right"),
}
"""What a sentence can say of where a thing is."""


def is_clear(things: Sequence[Thing], new: int = 0) -> bool:
    """Whether everything that can be said of some things is visibly true or visibly not.

    Args:
        things: in the order in which they are painted.
        new: only what these have to do with, from this one on; the others are known to be clear.
    """
    if not all(_well_placed(thing) for thing in things[new:]):
        return False
    pairs = ((a, b) for (_, a), (place, b) in combinations(enumerate(things), 2) if place >= new)
    return all(_clear_pair(a, b) for a, b in pairs)


def _well_placed(thing: Thing) -> bool:
    edges = (abs(value - edge) for value in (thing.x, thing.y) for edge in COLUMNS)
    return min(edges) > _PLACE_MARGIN and all(
        thing.radius + 0.01 <= value <= 0.99 - thing.radius for value in (thing.x, thing.y)
    )


def _clear_pair(a: Thing, b: Thing) -> bool:
    """Whether ``b``, painted over ``a``, leaves no doubt about the two."""
    distance, near = _distance(a, b), a.radius + b.radius
    if distance > near:
        dx, dy = abs(a.x - b.x), abs(a.y - b.y)
        tilt = math.degrees(math.atan2(dy, dx))
        return distance > near + _GAP and min(abs(tilt - _TILT), abs(tilt - (90 - _TILT))) > _TILT_MARGIN
    if a.colour == b.colour:
        return False
    if inside(b, a):
        return True
    # What is behind must still be seen for what it is.
    return not inside(a, b) and 0.14 < _shared(a, b) < 0.42 and distance > 0.45 * near
