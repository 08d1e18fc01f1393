"""Vocabularies: which number stands for which character, or for which byte.

vocabulary = Vocabulary.of("banana")
vocabulary.encode("nab"), vocabulary.decode([2, 0, 1])      # tensor([2, 0, 1]), "nab"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Units = Literal["characters", "bytes"]
Codes = NDArray[np.uint32]
"""Code points of characters, or bytes."""

NUM_CODES = 0x110000
"""Code points that there are."""


class TextError(ValueError):
    """A text cannot be read, or not be learned from. The message is one sentence for a person."""


class VocabularyError(TextError):
    """A text has characters that a vocabulary has not."""


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a network knows, in the order of their numbers; or the 256 bytes, of which any text is made.

    Attributes:
        characters: each once; None for bytes.

    Example:
        >>> vocabulary = Vocabulary.of("banana")
        >>> vocabulary.encode("nab").tolist(), vocabulary.decode([2, 0, 1])
        ([2, 0, 1], 'nab')
    """

    characters: str | None

    def __post_init__(self) -> None:
        if self.characters is not None and len(set(self.characters)) != len(self.characters):
            raise VocabularyError("A vocabulary has each character once.")

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The characters of a text, in the order of their code points."""
        return cls("".join(sorted(set(text))))

    @classmethod
    def of_bytes(cls) -> Vocabulary:
        """The 256 bytes."""
        return cls(None)

    @property
    def units(self) -> Units:
        """What the numbers stand for."""
        return "bytes" if self.characters is None else "characters"

    def __len__(self) -> int:
        return 256 if self.characters is None else len(self.characters)

    @property
    def table(self) -> NDArray[np.int32]:
        """The number of each code point, -1 for those that are not known; for bytes, of each byte."""
        return _table(self.characters)

    def encode(self, text: str) -> Tensor:
        """A text's numbers, (N,) int64; as bytes, those of its UTF-8.

        Raises:
            VocabularyError: it has characters that are not in the vocabulary.
        """
        if self.characters is None:
            return torch.from_numpy(np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64))
        ids = self.table[codes_of(text)]
        if (ids < 0).any():
            raise VocabularyError(f"The vocabulary has no {named(self.unseen(text))}.")
        return torch.from_numpy(ids.astype(np.int64))

    def decode(self, ids: Tensor | Sequence[int] | NDArray[Any]) -> str:
        """The text of some numbers; bytes that are no UTF-8 become U+FFFD."""
        numbers = np.asarray(ids)
        if self.characters is None:
            return numbers.astype(np.uint8).tobytes().decode("utf-8", "replace")
        return str(codes_of(self.characters)[numbers.astype(np.int64)].tobytes().decode("utf-32-le"))

    def unseen(self, text: str) -> list[str]:
        """The characters of a text that are not in the vocabulary, each once, in the order of the text."""
        known = set(text) if self.characters is None else set(self.characters)
        return [character for character in dict.fromkeys(text) if character not in known]

    def grow(self, text: str) -> Vocabulary:
        """With a text's new characters after the old ones, which keep their numbers."""
        if self.characters is None:
            return self
        return Vocabulary(self.characters + "".join(sorted(self.unseen(text))))

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        return (
            {"units": self.units} if self.characters is None else {"units": self.units, "characters": self.characters}
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Vocabulary:
        """From the checkpoint.

        Raises:
            VocabularyError: there is none in it.
        """
        units, characters = values.get("units"), values.get("characters")
        if units == "bytes":
            return cls(None)
        if units != "characters" or not isinstance(characters, str) or not characters:
            raise VocabularyError("There is no vocabulary in this file.")
        return cls(characters)


def named(characters: Iterable[str], most: int = 6) -> str:
    """Characters as a sentence can have them: quoted, those that cannot be seen by their code points."""
    every = list(characters)
    words = [f"'{c}'" if c.isprintable() and not c.isspace() else f"U+{ord(c):04X}" for c in every[:most]]
    return ", ".join(words) + (f" and {len(every) - most} more" if len(every) > most else "")


def codes_of(text: str) -> Codes:
    """The code points of a text, (N,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


@lru_cache(maxsize=16)  # not kept with the vocabulary, which worker processes are sent
def _table(characters: str | None) -> NDArray[np.int32]:
    if characters is None:
        return np.arange(256, dtype=np.int32)
    table = np.full(NUM_CODES, -1, np.int32)
    table[codes_of(characters)] = np.arange(len(characters), dtype=np.int32)
    return table
