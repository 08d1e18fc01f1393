"""Scenes and sentences from seeds: what is trained on, and what is held out from it.

Two things are held out: a tenth each of all scenes, by a hash of what is in them and where, for tests and to steer the
training by; and for each shape one colour that it never has in training, to see whether a red star is recognised by
who has seen stars and red things but no red star.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from creative.data.draws import mixed_seed
from creative.data.programs.sampling import Dice
from creative.data.scenes.drawing import BACKGROUNDS, ground_for, paint
from creative.data.scenes.grammar import SAID_SIZES, Item, Noun, Sentence, read_sentence
from creative.data.scenes.things import COLOURS, PLACES, RELATIONS, SHAPES, SIZES, Thing, apart, is_clear, zone

KINDS = {"one": 20, "two": 45, "touching": 10, "many": 25}
"""The kinds of scenes and how many in a hundred there are of each, unless another kind is asked for."""
PARTS = ("training", "validation", "test", "compositional")
HELD_OUT_PAIRS = {shape: list(COLOURS)[(2 * place + 1) % len(COLOURS)] for place, shape in enumerate(SHAPES)}
"""The colour that each shape never has in training: an orange circle, a red star and so on."""
_TENTHS = {"test": (0,), "validation": (1,), "training": tuple(range(2, 10)), "compositional": tuple(range(10))}
_TRIES = 120
_CONTAINERS = ("circle", "square", "ring")


@dataclass(frozen=True)
class Scene:
    """Things on a background.

    Attributes:
        kind: one of ``KINDS``.
        things: in the order in which they are painted, 1 to 7.
        background: one of ``BACKGROUNDS``.
        ground: the background's colour, one of ``drawing.GROUNDS``.
        seed: of colours, patterns and sentences.
    """

    kind: str
    things: tuple[Thing, ...]
    background: str
    ground: str
    seed: int

    def picture(self, size: int = 96) -> Image.Image:
        """The scene as an RGB picture of ``size`` pixels a side, at least 16; always the same."""
        return paint(self.things, self.background, self.ground, self.seed, size)

    def sentences(self, count: int = 5, *, seed: int = 0, backgrounds: float = 0.0) -> list[str]:
        """Up to ``count`` different true sentences, the first one by chance and not the best.

        Args:
            count: how many; simple scenes may have fewer.
            seed: for other ones.
            backgrounds: the share of sentences that speak of the background too.
        """
        dice = Dice(mixed_seed(self.seed, "sentences", seed))
        found: dict[str, None] = {}
        for _ in range(6 * count):
            sentence = _WRITERS[self.kind](self, dice)
            if _chance(dice, backgrounds):
                sentence = Sentence(sentence.items, sentence.relation, self.background)
            found[sentence.words(there=_chance(dice, 0.2), verb=_chance(dice, 0.3))] = None
            if len(found) == count:
                break
        return list(found)

    def is_true(self, sentence: str | Sentence) -> bool:
        """Whether a sentence of the grammar is literally true of this scene.

        Raises:
            SentenceError: it is outside the grammar.
        """
        read = read_sentence(sentence) if isinstance(sentence, str) else sentence
        return read.holds(self.things, self.background)


def draw_scene(seed: int, *, part: str = "training", kind: str | None = None) -> Scene:
    """A scene from a seed, always the same.

    Args:
        seed: 0 ≤ seed < 2⁶³.
        part: one of ``PARTS``: ``validation`` and ``test`` have scenes that training never has; in ``compositional``
            ones at least one thing has a colour that its shape never has in training.
        kind: one of ``KINDS``; None to draw it too.

    Example:
        >>> scene = draw_scene(7, kind="two")
        >>> scene.is_true(scene.sentences()[0])
        True
    """
    if part not in PARTS:
        raise ValueError(f"There is no part {part!r} of the scenes: {', '.join(PARTS)} are.")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"There is no kind {kind!r} of scenes: {', '.join(KINDS)} are.")
    dice = Dice(mixed_seed("scene", part, seed))
    chosen = kind or _weighted(dice, KINDS)
    while True:
        things = _COMPOSERS[chosen](_Palette(dice, compositional=part == "compositional"))
        if things is None or split_of(things) not in _TENTHS[part]:
            continue
        background = _pick(dice, BACKGROUNDS)
        return Scene(chosen, things, background, ground_for(things, dice), dice(1 << 62))


def split_of(things: Sequence[Thing]) -> int:
    """Which tenth of all scenes this one belongs to, 0 to 9: by its things, their sizes and rough places."""
    said = sorted(f"{t.size} {t.colour} {t.shape} {int(4 * t.x)} {int(4 * t.y)}" for t in things)
    return zlib.crc32("; ".join(said).encode()) % 10


def _pick(dice: Dice, choices: Sequence[str]) -> str:
    return choices[dice(len(choices)) - 1]


def _chance(dice: Dice, probability: float) -> bool:
    return dice(1 << 20) <= probability * (1 << 20)


def _weighted(dice: Dice, weights: dict[str, int]) -> str:
    number = dice(sum(weights.values()))
    for name, weight in weights.items():
        number -= weight
        if number <= 0:
            return name
    raise AssertionError


def _between(dice: Dice, low: float, high: float) -> float:
    return low + (high - low) * dice(1 << 30) / (1 << 30)


# Scenes -------------------------------------------------------------------------------------------------------------


class _Palette:
    """Shapes with colours as the part of the scenes has them, and places where there is room."""

    def __init__(self, dice: Dice, *, compositional: bool) -> None:
        self.dice, self._unusual = dice, compositional

    def kind(self, shape: str | None = None, colour: str | None = None) -> tuple[str, str]:
        """A shape and a colour; the first one asked for is an unusual pair if the part of the scenes is."""
        unusual, self._unusual = self._unusual, False
        while True:
            pair = shape or _pick(self.dice, SHAPES), colour or _pick(self.dice, tuple(COLOURS))
            if unusual and colour is None:
                return pair[0], HELD_OUT_PAIRS[pair[0]]
            if HELD_OUT_PAIRS[pair[0]] != pair[1]:
                return pair

    def place(
        self,
        things: tuple[Thing, ...],
        pair: tuple[str, str],
        size: str,
        *,
        near: tuple[float, float, float] | None = None,
    ) -> tuple[Thing, ...] | None:
        """Some things and one more that leaves nothing in doubt, None if no place was found.

        Args:
            near: to be about there, x, y and how far around, perhaps over or under another; None for apart from all.
        """
        dice, (shape, colour) = self.dice, pair
        radius = _between(dice, *SIZES[size])
        angle = 0.0 if shape in {"circle", "ring"} else _between(dice, -11, 11)
        for _ in range(_TRIES):
            if near:
                x, y = (_between(dice, middle - near[2], middle + near[2]) for middle in near[:2])
            else:
                x, y = (_between(dice, radius, 1 - radius) for _ in "xy")
            new = Thing(shape, colour, size, x, y, radius, angle)
            if (near or all(apart(new, thing) for thing in things)) and is_clear((*things, new), len(things)):
                return (*things, new)
        return None


def _one(palette: _Palette) -> tuple[Thing, ...] | None:
    return palette.place((), palette.kind(), _pick(palette.dice, tuple(SIZES)))


def _two(palette: _Palette) -> tuple[Thing, ...] | None:
    first, second = palette.kind(), palette.kind()
    things = palette.place((), first, _pick(palette.dice, tuple(SIZES)))
    if things is None or first == second:
        return None
    return palette.place(things, second, _pick(palette.dice, tuple(SIZES)))


def _touching(palette: _Palette) -> tuple[Thing, ...] | None:
    dice = palette.dice
    within = _chance(dice, 0.38)  # the other kind finds a place less often: about as many of both
    first = palette.kind(_pick(dice, _CONTAINERS) if within else None)
    second = palette.kind()
    if first[1] == second[1]:
        return None
    things = palette.place((), first, "large" if within else _pick(dice, ("medium", "large")))
    if things is None:
        return None
    behind = things[0]
    reach = 0.05 if within else 0.3
    size = "small" if within else _pick(dice, ("medium", "large"))
    things = palette.place(things, second, size, near=(behind.x, behind.y, reach))
    return None if things is None or apart(*things) else things


def _many(palette: _Palette) -> tuple[Thing, ...] | None:
    dice = palette.dice
    number = 1 + dice(4)
    same = _weighted(dice, {"both": 6, "shape": 3, "colour": 1})
    shape, colour = palette.kind()
    size = _pick(dice, ("small", "medium") if number > 3 else tuple(SIZES))
    things: tuple[Thing, ...] = ()
    for index in range(number):
        pair = (shape, colour)
        if index and same != "both":
            pair = palette.kind(shape if same == "shape" else None, colour if same == "colour" else None)
        more = palette.place(things, pair, size)
        if more is None:
            return None
        things = more
    for _ in range(dice(3) - 1):
        pair = palette.kind()
        if pair[0] != shape and pair[1] != colour:
            things = palette.place(things, pair, _pick(dice, ("small", "medium"))) or things
    return things


_COMPOSERS: dict[str, Callable[[_Palette], tuple[Thing, ...] | None]] = {
    "one": _one,
    "two": _two,
    "touching": _touching,
    "many": _many,
}


# Sentences ----------------------------------------------------------------------------------------------------------


def _noun(thing: Thing, dice: Dice, sizes: float) -> Noun:
    said = thing.size in SAID_SIZES and _chance(dice, sizes)
    return Noun(thing.shape, thing.colour, thing.size if said else None)


def _place(thing: Thing, dice: Dice) -> str | None:
    true = [place for place, holds in PLACES.items() if holds(*zone(thing))]
    if not true:
        return None
    return true[-1] if _chance(dice, 0.7) else _pick(dice, true)  # the last one says most


def _write_one(scene: Scene, dice: Dice) -> Sentence:
    thing = scene.things[0]
    return Sentence((Item(_noun(thing, dice, 0.5), place=_place(thing, dice) if _chance(dice, 0.8) else None),))


def _write_pair(scene: Scene, dice: Dice) -> Sentence:
    pair = list(enumerate(scene.things))
    (i, a), (j, b) = pair if _chance(dice, 0.5) else pair[::-1]
    if scene.kind == "two" and _chance(dice, 0.12):
        return Sentence((Item(_noun(a, dice, 0.3), place=_place(a, dice)), Item(_noun(b, dice, 0.3))))
    true = [name for name, holds in RELATIONS.items() if holds(a, b, i > j)]
    compared = [name for name in true if name.endswith("than")]
    others = [name for name in true if name not in compared]
    relation = _pick(dice, compared if compared and _chance(dice, 0.12) else others)
    sizes = 0.0 if relation in compared else 0.25
    return Sentence((Item(_noun(a, dice, sizes)), Item(_noun(b, dice, sizes))), relation)


def _write_many(scene: Scene, dice: Dice) -> Sentence:
    nouns = [_noun(thing, dice, 0.2) for thing in scene.things]
    first = nouns[0]
    shapes, colours = ({getattr(thing, what) for thing in scene.things[:2]} for what in ("shape", "colour"))
    group = Noun(first.shape if len(shapes) == 1 else None, first.colour if len(colours) == 1 else None, first.size)
    number = sum(group.fits(thing) for thing in scene.things)
    items = [Item(group, number)] if number <= 5 else []
    others = [noun for noun, thing in zip(nouns, scene.things, strict=True) if not group.fits(thing)]
    if others and (not items or _chance(dice, 0.35)):
        items.append(Item(others[dice(len(others)) - 1]))
    return Sentence(tuple(items or [Item(first)]))


_WRITERS: dict[str, Callable[[Scene, Dice], Sentence]] = {
    "one": _write_one,
    "two": _write_pair,
    "touching": _write_pair,
    "many": _write_many,
}
