"""Features of a text: what a reader can say of each place in it, as numbers. ``neurons`` finds who follows them.

features_of('He said "no" (twice).')["inside quotes"]      # 0 up to the first quotation mark, then 1, then 0
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from creative.options.writing import Feature

Values = NDArray[np.float32]


def features_of(text: str, names: Sequence[Feature] = ()) -> dict[Feature, Values]:
    """Features as numbers after each character has been read, (N,) each; those that never change are left out.

    Args:
        text: to look at.
        names: which; none: all.
    """
    found = {name: _FEATURES[name](text).astype(np.float32) for name in names or get_args(Feature)}
    return {name: values for name, values in found.items() if len(values) and values.min() < values.max()}


def _counted(text: str, update: Callable[[int, str], int]) -> NDArray[np.int64]:
    """A number that each character changes."""
    values, value = np.zeros(len(text), np.int64), 0
    for place, character in enumerate(text):
        value = update(value, character)
        values[place] = value
    return values


def _each(text: str, is_one: Callable[[str], bool]) -> NDArray[np.int64]:
    known = {character: is_one(character) for character in set(text)}
    return np.array([known[character] for character in text], np.int64)


def _between(text: str, pattern: str) -> NDArray[np.int64]:
    """1 from each match's first character up to, not at, its last: after that has been read it is over."""
    values = np.zeros(len(text), np.int64)
    for found in re.finditer(pattern, text, re.S):
        values[found.start() : found.end() - 1] = 1
    return values


def _depth(text: str) -> NDArray[np.int64]:
    return _counted(text, lambda depth, c: depth + 1 if c in "([{" else max(0, depth - 1) if c in ")]}" else depth)


def _indentation(text: str) -> NDArray[np.int64]:
    values, indent, at_start = np.zeros(len(text), np.int64), 0, True
    for place, character in enumerate(text):
        if character == "\n":
            indent, at_start = 0, True
        elif at_start and character in " \t":
            indent += 8 if character == "\t" else 1
        else:
            at_start = False
        values[place] = min(indent, 40)
    return values


def _line_in_capitals(text: str) -> NDArray[np.int64]:
    """1 while a line has two capitals or more and no small letter."""
    values = np.zeros(len(text), np.int64)
    for line in re.finditer(r"[^\n]+", text):
        so_far = line[0]
        small = re.search(r"[a-zß-ÿ]", so_far)
        end = small.start() if small else len(so_far)
        capitals = [place for place, character in enumerate(so_far[:end]) if character.isupper()]
        if len(capitals) > 1:
            values[line.start() + capitals[1] : line.start() + end] = 1
    return values


def _comment(text: str) -> NDArray[np.int64]:
    kinds = [r"/\*.*?\*/", r"//[^\n]*\n"] if "/*" in text or "//" in text else []
    if r"\begin{" in text or re.search(r"^K:", text, re.M):
        kinds = [r"(?<!\\)%[^\n]*\n"]
    return _between(text, "|".join(kinds)) if kinds else np.zeros(len(text), np.int64)


_FEATURES: dict[Feature, Callable[[str], NDArray[np.int64]]] = {
    "inside quotes": lambda text: _between(text, r'"(?:(?!\n\n)[^"])*"|“[^”]*”|``.*?\'\''),
    "inside brackets": lambda text: (_depth(text) > 0).astype(np.int64),
    "depth of brackets": _depth,
    "position in the line": lambda text: _counted(text, lambda n, c: 0 if c == "\n" else min(n + 1, 120)),
    "position in the word": lambda text: _counted(text, lambda n, c: min(n + 1, 20) if c.isalpha() else 0),
    "indentation": _indentation,
    "capitals": lambda text: _each(text, str.isupper),
    "line in capitals": _line_in_capitals,
    "start of a sentence": lambda text: _counted(
        text, lambda n, c: 1 if c in ".!?" else (1 if n and not c.isalpha() else 0)
    ),
    "digits": lambda text: _each(text, str.isdigit),
    "vowels": lambda text: _each(text, lambda c: c.lower() in "aeiou"),
    "white space": lambda text: _each(text, str.isspace),
    "punctuation": lambda text: _each(text, lambda c: c.isprintable() and not c.isalnum() and not c.isspace()),
    "inside a comment": _comment,
    "inside mathematics": lambda text: _between(text, r"\$\$.*?\$\$|\$(?:(?!\n\n)[^$])+\$|\\\[.*?\\\]"),
}
