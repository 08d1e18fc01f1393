"""Samples as arrays of characters, without a loop over characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from creative.data.programs.generator import Sample

PAD = "\0"
END = "."
"""What an answer ends in."""
GO = "@"
"""What stands between program and answer."""
CHARACTERS = PAD + GO + END + "0123456789-" + "+*=<>();: \nabcdefghijklnoprstx"
"""All that occurs; a character's number is its place. Answers are made of the first 14."""
_NUMBERS = np.zeros(128, np.uint8)
_NUMBERS[np.frombuffer(CHARACTERS.encode(), np.uint8)] = np.arange(len(CHARACTERS), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Writing:
    """In which order things are written; an answer is turned round again before anybody sees it.

    Attributes:
        least_digit_first: the answer's last digit comes first: 12184 as 48121, -57 as 75-.
        reversed_input: the program is read backwards.
        doubled_input: the program is read twice.
    """

    least_digit_first: bool = False
    reversed_input: bool = False
    doubled_input: bool = False

    def program(self, text: str) -> str:
        """A program as it is read."""
        if self.reversed_input:
            text = text[::-1]
        return f"{text}{GO}{text}" if self.doubled_input else text

    def answer(self, text: str) -> str:
        """An answer as it is written, without its end; the same turns it round again."""
        return text[::-1] if self.least_digit_first else text


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples side by side, padded at their ends with 0.

    Attributes:
        programs: (B, T) uint8, with ``GO`` as the last character of each.
        lengths: (B,) int64, of the programs, ``GO`` included.
        answers: (B, U) uint8, with ``END`` as the last character of each.
    """

    programs: np.ndarray
    lengths: np.ndarray
    answers: np.ndarray

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Programs, lengths and answers as int64 on a device."""
        arrays = (self.programs, self.lengths, self.answers)
        programs, lengths, answers = (torch.from_numpy(array.astype(np.int64)).to(device) for array in arrays)
        return programs, lengths, answers


def encode(text: str) -> np.ndarray:
    """A text's characters as their numbers: (T,) uint8."""
    return _NUMBERS[np.frombuffer(text.encode(), np.uint8)]


def padded(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts as numbers (B, T) uint8, padded with 0, and their lengths (B,) int64."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    table = np.zeros((len(texts), int(lengths.max())), np.uint8)
    table[np.arange(table.shape[1]) < lengths[:, None]] = encode("".join(texts))
    return table, lengths


def make_batch(samples: Sequence[Sample], writing: Writing) -> Batch:
    """Samples as arrays."""
    programs, lengths = padded([writing.program(sample.program) + GO for sample in samples])
    answers, _ = padded([writing.answer(sample.answer) + END for sample in samples])
    return Batch(programs, lengths, answers)
