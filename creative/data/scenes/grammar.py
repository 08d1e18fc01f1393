"""The sentences about scenes: written, read, and held against the things of a scene.

    sentence   = (things | relation | "a" NOUN "is" PLACE {"and" item}) ["on a" BACKGROUND "background"]
    things     = ["there is" | "there are"] item {"and" item}
    relation   = (["there is"] "a" NOUN | "a" NOUN "is") RELATION "a" NOUN
    item       = "a" NOUN [PLACE] | NUMBER NOUN
    NOUN       = ["small" | "large"] [COLOUR] (SHAPE | "shape")

RELATION, PLACE and the like are the keys of the tables in ``things`` and here; NOUN and verb agree with their number.
"A red circle" is true if at least one is there, "one red circle" and "two red circles" if it is exactly as many.
Whatever is said of two things is true if it is of any two, one thing never being both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NoReturn

from creative.data.scenes.drawing import BACKGROUNDS
from creative.data.scenes.things import COLOURS, PLACES, RELATIONS, SHAPES, SIZES, Thing, zone
from creative.data.words import tokenise

NUMBERS = ("one", "two", "three", "four", "five")
SAID_SIZES = ("small", "large")
MAX_ITEMS = 4
_PLURAL = {shape: f"{shape}es" if shape.endswith("s") else f"{shape}s" for shape in (*SHAPES, "shape")}
_SINGULAR = {plural: shape for shape, plural in _PLURAL.items()}
_PHRASES = {tuple(phrase.split()): phrase for phrase in (*RELATIONS, *PLACES)}


class SentenceError(ValueError):
    """A sentence is outside the grammar. The message says at which word."""


@dataclass(frozen=True, slots=True)
class Noun:
    """What a sentence calls a thing; None where it does not say."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None

    def fits(self, thing: Thing) -> bool:
        """Whether a thing may be called so."""
        return (
            self.shape in (None, thing.shape)
            and self.colour in (None, thing.colour)
            and self.size in (None, thing.size)
        )

    def words(self, *, plural: bool = False) -> str:
        """Without an article."""
        shape = self.shape or "shape"
        return " ".join(filter(None, (self.size, self.colour, _PLURAL[shape] if plural else shape)))

    def singular(self) -> str:
        """With its article."""
        words = self.words()
        return f"{_article(words)} {words}"


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


@dataclass(frozen=True, slots=True)
class Item:
    """Things that a sentence speaks of.

    Attributes:
        noun: what they are.
        number: exactly how many; None for "a": at least one.
        place: where it is, one of ``PLACES``; only of one thing.
    """

    noun: Noun
    number: int | None = None
    place: str | None = None

    def words(self, *, verb: str = "") -> str:
        """As a sentence has it."""
        if self.number is not None:
            return f"{NUMBERS[self.number - 1]} {self.noun.words(plural=self.number > 1)}"
        return " ".join(filter(None, (self.noun.singular(), verb if self.place else "", self.place)))

    def fits(self, thing: Thing) -> bool:
        """Whether a thing is one of those."""
        return self.noun.fits(thing) and (self.place is None or PLACES[self.place](*zone(thing)))


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a sentence says, however it is put.

    Attributes:
        items: what is there.
        relation: how the first of two items stands to the second, one of ``RELATIONS``.
        background: one of ``BACKGROUNDS``.
    """

    items: tuple[Item, ...]
    relation: str | None = None
    background: str | None = None

    def words(self, *, there: bool = False, verb: bool = False) -> str:
        """The sentence, with "there is" in front or with "is" in the middle."""
        said = "is" if verb and not there and (self.relation or len(self.items) == 1) else ""
        between = f" {said} {self.relation} ".replace("  ", " ") if self.relation else " and "
        words = between.join(item.words(verb="" if self.relation else said) for item in self.items)
        number = self.items[0].number
        start = ("there is " if number in (None, 1) else "there are ") if there else ""
        end = f" on {_article(self.background)} {self.background} background" if self.background else ""
        return f"{start}{words}{end}"

    def holds(self, things: Sequence[Thing], background: str) -> bool:
        """Whether it is true of some things, in the order in which they are painted, and their background."""
        if self.background not in (None, background):
            return False
        if self.relation:
            test, (first, second) = RELATIONS[self.relation], self.items
            return any(
                first.fits(a) and second.fits(b) and test(a, b, i > j)
                for (i, a), (j, b) in permutations(enumerate(things), 2)
            )
        counted = [item for item in self.items if item.number is not None]
        if any(sum(item.fits(thing) for thing in things) != item.number for item in counted):
            return False
        single = [item for item in self.items if item.number is None]
        return any(
            all(item.fits(thing) for item, thing in zip(single, chosen, strict=True))
            for chosen in permutations(things, len(single))
        )


def read_sentence(text: str) -> Sentence:
    """Understand a sentence; case, punctuation and blanks do not matter.

    Raises:
        SentenceError: it is outside the grammar.

    Example:
        >>> read_sentence("A red circle is above a star.").relation
        'above'
    """
    return _Reader(tokenise(text)).sentence()


class _Reader:
    """Walks through the words of a sentence."""

    def __init__(self, words: list[str]) -> None:
        self.words, self.place = words, 0

    def sentence(self) -> Sentence:
        there = self._take("there")
        verb = self._one_of(("is", "are"), 'after "there"') if there else None
        first = self._item(there=there)
        if verb and (verb == "is") != (first.number in (None, 1)):
            raise SentenceError(f'"there {verb}" goes with another number than {first.words()!r} has.')
        relation = self._phrase(RELATIONS) if first.number is None and first.place is None else None
        items = [first]
        if relation:
            items.append(Item(self._noun()))
        else:
            if self._was("is"):
                self._refuse("a place or a relation")
            while self._take("and"):
                items.append(self._item(there=True))
        background = self._background()
        if self.place < len(self.words):
            self._refuse("the end of the sentence")
        if len(items) > MAX_ITEMS:
            raise SentenceError(f"A sentence speaks of at most {MAX_ITEMS} kinds of things.")
        return Sentence(tuple(items), relation, background)

    def _item(self, *, there: bool) -> Item:
        word = self._peek()
        if word in NUMBERS:
            self.place += 1
            number = NUMBERS.index(word) + 1
            return Item(self._kind(plural=number > 1), number)
        noun = self._noun()
        if not there:
            self._take("is")
        return Item(noun, None, self._phrase(PLACES))

    def _noun(self) -> Noun:
        """With its article."""
        article = self._one_of(("a", "an"), "at the beginning of what is there")
        start = self.place
        noun = self._kind(plural=False)
        if article != _article(self.words[start]):
            raise SentenceError(f'It is "{_article(self.words[start])} {self.words[start]}", not "{article}".')
        return noun

    def _kind(self, *, plural: bool) -> Noun:
        size = self._any(SAID_SIZES)
        colour = self._any(tuple(COLOURS))
        word = self._peek()
        shape = _SINGULAR.get(word) if plural else word if word in _PLURAL else None
        if shape is None:
            self._refuse("several shapes" if plural else "a shape")
        self.place += 1
        return Noun(None if shape == "shape" else shape, colour, size)

    def _phrase(self, phrases: Mapping[str, object]) -> str | None:
        for words, phrase in _PHRASES.items():
            if phrase in phrases and tuple(self.words[self.place : self.place + len(words)]) == words:
                self.place += len(words)
                return phrase
        return None

    def _background(self) -> str | None:
        if not self._take("on"):
            return None
        article = self._one_of(("a", "an"), 'after "on"')
        background = self._one_of(BACKGROUNDS, "before the word background")
        if article != _article(background) or not self._take("background"):
            self._refuse("the word background")
        return background

    def _peek(self) -> str:
        return self.words[self.place] if self.place < len(self.words) else ""

    def _was(self, word: str) -> bool:
        return self.place > 0 and self.words[self.place - 1] == word

    def _take(self, word: str) -> bool:
        return self._any((word,)) is not None

    def _any(self, words: Sequence[str]) -> str | None:
        word = self._peek()
        if word and word in words:
            self.place += 1
            return word
        return None

    def _one_of(self, words: Sequence[str], where: str) -> str:
        word = self._any(words)
        if word is None:
            self._refuse(f"{' or '.join(words)} {where}")
        return word

    def _refuse(self, expected: str) -> NoReturn:
        found = f'"{self._peek()}"' if self._peek() else "nothing more"
        raise SentenceError(f"Word {self.place + 1}: expected {expected}, found {found}.")


def vocabulary_of_grammar() -> Iterator[str]:
    """Every word that a sentence can have, each once."""
    words = ["there", "is", "are", "and", "a", "an", "on", "background"]
    phrases = [word for phrase in _PHRASES for word in phrase]
    yield from dict.fromkeys([*words, *NUMBERS, *SAID_SIZES, *COLOURS, *_PLURAL, *_SINGULAR, *phrases, *BACKGROUNDS])


assert set(SAID_SIZES) < set(SIZES)
