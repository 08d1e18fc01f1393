"""What a text copies from the text that its voice has learned, so that nobody takes memory for invention.

With the training text at hand the search is exact: the longest matches, found by rolling hashes and compared letter by
letter. A bundled voice brings, in place of a text of megabytes, a set of its fingerprints: the hashes of every ``w``-th
window of ``k`` characters (on a grid as in rsync: Tridgell and Mackerras, The rsync algorithm, 1996). A text that is
looked at with all of its windows, as here, needs no more, and with half as many fingerprints as winnowing (Schleimer,
Wilkerson and Aiken, Winnowing: Local Algorithms for Document Fingerprinting, 2003) there is the same guarantee: every
copied run of at least ``t = w + k - 1`` characters is found. Each window of ``k`` characters that was not copied is
taken for copied with a chance of 1 in 65,536.

    stored = fingerprints(training_text)            # a uint8 tensor of at most 120 KB, part of the voice's checkpoint
    copied = read_fingerprints(stored).find(text)
    copied.share, copied.longest
    copied = find_copied(text, training_text)       # exact
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creative.data.vocabulary import codes_of

__all__ = ["Copied", "Fingerprints", "Passage", "Search", "find_copied", "fingerprints", "read_fingerprints"]

WINDOW = 32
"""Characters that count as copied, at least: five or six words. Shorter runs are in any text of the same language."""

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

_MAGIC = b"copied-1"
_HEADER = struct.Struct("<8sIIQII")  # magic, window, grid, characters of the text, buckets, items
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SLICE = 1 << 20  # characters whose windows are hashed at a time


class CopyingError(ValueError):
    """Fingerprints that are none. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Characters ``start`` to ``end`` of a text that stand in the training text just so.

    ``source`` is where they begin there, in characters, as far as that is known.
    """

    start: int
    end: int
    source: int | None = None

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Copied:
    """What a text copies.

    Attributes:
        passages: in the order of the text; none within another, though two may overlap.
        characters: of the text.
        at_least: every copied run of so many characters is among the passages.
        exact: whether passages are whole. Found by fingerprints, one may go on at either end, for less than the grid's
            width, and may be several in truth that overlap by 32 characters less the grid's width or more.
    """

    passages: tuple[Passage, ...]
    characters: int
    at_least: int
    exact: bool

    @property
    def longest(self) -> Passage | None:
        """The longest passage, the first of several."""
        return max(self.passages, key=len, default=None)

    @property
    def share(self) -> float:
        """Of the text's characters, those in a passage: 0 to 1."""
        covered, end = 0, 0
        for passage in self.passages:
            covered += max(0, passage.end - max(passage.start, end))
            end = max(end, passage.end)
        return covered / self.characters if self.characters else 0.0


# Fingerprints -------------------------------------------------------------------------------------------------------


def fingerprints(text: str, *, window: int = WINDOW, max_bytes: int = 120_000) -> Tensor:
    """The fingerprints of a training text, (N,) uint8 with N at most ``max_bytes``: same text, same bytes.

    The grid is as fine as fits: with 120 KB, runs of 50 characters are found for certain in a text of a million
    characters, of 88 in one of three million. The hashes are kept as an Elias-Fano code, 18 bits for each.

    Args:
        text: what the voice has learned.
        window: characters of a window, ``k``.
        max_bytes: of the result.

    Raises:
        ValueError: a window or a budget too small to mean anything.
    """
    if window < 8 or max_bytes < 1000:
        raise ValueError(f"Fingerprints need a window of 8 characters and 1,000 bytes, not {window} and {max_bytes}.")
    room = int((max_bytes - _HEADER.size) / 2.25) - 1
    windows = max(0, len(text) - window + 1)
    grid = max(1, -(-windows // room))
    step = grid * max(1, _SLICE // grid)
    found = [
        _window_hashes(codes_of(text[start : start + step + window - 1]), window)[:step:grid]
        for start in range(0, windows, step)
    ]
    hashes = np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)
    buckets = len(hashes)
    values = np.unique(_values(hashes, buckets))
    bits = np.zeros(buckets + len(values), np.uint8)
    bits[(values >> np.uint64(16)).astype(np.int64) + np.arange(len(values))] = 1
    header = _HEADER.pack(_MAGIC, window, grid, len(text), buckets, len(values))
    data = header + (values & np.uint64(0xFFFF)).astype("<u2").tobytes() + np.packbits(bits).tobytes()
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


@dataclass(frozen=True)
class Fingerprints:
    """A set of fingerprints, ready to be asked.

    Attributes:
        window, grid: ``k`` and ``w``, in characters.
        characters: of the training text.
        buckets: that the hashes are spread over.
        values: the hashes that there are, (N,) uint64, in order.
    """

    window: int
    grid: int
    characters: int
    buckets: int
    values: Hashes

    @property
    def at_least(self) -> int:
        """Characters of a copied run that is found for certain."""
        return self.window + self.grid - 1

    def find(self, text: str) -> Copied:
        """The passages of a text that stand in the training text, as far as fingerprints tell."""
        hits: Places = np.zeros(0, np.int64)
        if len(text) >= self.window and len(self.values):
            hashes = _values(_window_hashes(codes_of(text), self.window), self.buckets)
            places = np.searchsorted(self.values, hashes).clip(max=len(self.values) - 1)
            hits = np.flatnonzero(self.values[places] == hashes)
        first: dict[int, int] = {}  # where the run of a hit began: the windows of one run are a grid's width apart
        runs: dict[int, int] = {}
        for hit in hits.tolist():
            first[hit] = first.get(hit - self.grid, hit)
            runs[first[hit]] = hit + self.window
        return Copied(_outermost(Passage(*run) for run in runs.items()), len(text), self.at_least, exact=False)


def read_fingerprints(stored: Tensor) -> Fingerprints:
    """The set that ``fingerprints`` has made.

    Raises:
        CopyingError: it is something else, or damaged.
    """
    data = stored.cpu().contiguous().numpy().tobytes() if stored.dtype == torch.uint8 else b""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise CopyingError("These are no fingerprints of a training text.")
    _, window, grid, characters, buckets, items = _HEADER.unpack_from(data)
    size = _HEADER.size + 2 * items + (buckets + items + 7) // 8
    if len(data) != size or not window or not grid or items > buckets:
        raise CopyingError(f"The fingerprints of the training text are damaged: {len(data)} bytes in place of {size}.")
    low = np.frombuffer(data, "<u2", items, _HEADER.size).astype(np.uint64)
    bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=_HEADER.size + 2 * items), count=buckets + items)
    places = np.flatnonzero(bits)
    if len(places) != items:
        raise CopyingError("The fingerprints of the training text are damaged: they do not add up.")
    values = ((places - np.arange(items)).astype(np.uint64) << np.uint64(16)) | low
    return Fingerprints(window, grid, characters, buckets, values)


def _values(hashes: Hashes, buckets: int) -> Hashes:
    """64 bits as one of ``buckets`` and 16 bits more."""
    bucket = ((hashes >> np.uint64(32)) * np.uint64(buckets)) >> np.uint64(32)
    return (bucket << np.uint64(16)) | (hashes & np.uint64(0xFFFF))


# The training text itself -------------------------------------------------------------------------------------------


def find_copied(text: str, training_text: str | Iterable[str], *, at_least: int = WINDOW) -> Copied:
    """The passages of a text that stand in the training text, exactly: each as long as it can be.

    Args:
        text: whose memory is in doubt.
        training_text: whole, or in parts one after another.
        at_least: characters of the shortest passage worth telling.
    """
    search = Search(text, at_least=at_least)
    for part in [training_text] if isinstance(training_text, str) else training_text:
        search.add(part)
    return search.result()


class Search:
    """An exact search, which is given the training text in parts of any size: some megabytes each go fastest."""

    def __init__(self, text: str, *, at_least: int = WINDOW) -> None:
        if at_least < 1:
            raise ValueError(f"A copied passage has at least one character, not {at_least}.")
        self._text, self._least = text, at_least
        self._codes = codes_of(text)
        windows = _window_hashes(self._codes, at_least)
        self._order = np.argsort(windows, kind="stable")
        self._windows = windows[self._order]
        self._known = np.unique(windows)
        self._found: list[Passage] = []
        self._tail, self._read = "", 0

    def add(self, part: str) -> None:
        """Look through the next part of the training text."""
        joined = self._tail + part
        self._found += self._look(joined, self._read - len(self._tail))
        self._read += len(part)
        keep = max(len(self._text) - 1, 0)  # a passage may begin in this part and end in the next
        self._tail = joined[-keep:] if keep else ""

    def result(self) -> Copied:
        """What was found so far."""
        found = sorted(self._found, key=lambda one: (one.start, -one.end, one.source))
        return Copied(_outermost(found), len(self._text), self._least, exact=True)

    def _look(self, training: str, offset: int) -> Iterable[Passage]:
        if len(training) < self._least or not len(self._known):
            return
        codes = codes_of(training)
        sources, hashes = self._seeds(codes)
        if not len(sources):
            return
        begin = np.searchsorted(hashes, self._windows, "left")
        end = np.searchsorted(hashes, self._windows, "right")
        ranges = np.empty((len(self._windows), 2), np.int64)
        ranges[self._order] = np.stack([begin, end], 1)
        hits = np.flatnonzero(ranges[:, 1] > ranges[:, 0])
        compare = _Compare(self._codes, codes)
        place = 0
        while place < len(hits):
            hit = int(hits[place])
            candidates = sources[slice(*ranges[hit])]
            before = compare.backward(hit, candidates)
            farthest = candidates[before == before.max()]
            after = compare.forward(hit, farthest)
            best = int(after.argmax())
            passage = Passage(hit - int(before.max()), hit + int(after[best]), int(farthest[best] - before.max()))
            assert passage.source is not None
            if self._text[passage.start : passage.end] == training[passage.source : passage.source + len(passage)]:
                yield Passage(passage.start, passage.end, passage.source + offset)
            # the next one ends farther on: it has the window that goes one character beyond this end, or a later one
            place = max(place + 1, int(np.searchsorted(hits, passage.end + 1 - self._least)))

    def _seeds(self, codes: NDArray[np.uint32]) -> tuple[Places, Hashes]:
        """Where in the training text there is any window of the text: places and hashes, in the order of the hashes."""
        places, hashes = [], []
        for start in range(0, len(codes) - self._least + 1, _SLICE):
            windows = _window_hashes(codes[start : start + _SLICE + self._least - 1], self._least)
            near = np.searchsorted(self._known, windows).clip(max=len(self._known) - 1)
            same = np.flatnonzero(self._known[near] == windows)
            places.append(same + start)
            hashes.append(windows[same])
        sources, found = np.concatenate(places), np.concatenate(hashes)
        order = np.argsort(found, kind="stable")
        return sources[order], found[order]


class _Compare:
    """How far two texts agree from given places on: binary search over hashes of prefixes, for many places at once."""

    def __init__(self, text: NDArray[np.uint32], training: NDArray[np.uint32]) -> None:
        powers = np.full(max(len(text), len(training)) + 1, _BASE)
        powers[0] = 1
        self._powers = np.cumprod(powers, dtype=np.uint64)
        self._text, self._training = (self._sums(codes) for codes in (text, training))

    def _sums(self, codes: NDArray[np.uint32]) -> Hashes:
        terms = _mixed(codes.astype(np.uint64)) * self._powers[: len(codes)]
        return np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])

    def forward(self, place: int, sources: Places) -> Places:
        """Characters that agree from ``place`` and each of ``sources`` on."""
        most = np.minimum(len(self._text) - 1 - place, len(self._training) - 1 - sources)
        return self._longest(most, lambda length: (place, place + length, sources, sources + length))

    def backward(self, place: int, sources: Places) -> Places:
        """Characters that agree up to ``place`` and each of ``sources``."""
        most = np.minimum(place, sources)
        return self._longest(most, lambda length: (place - length, place, sources - length, sources))

    def _longest(self, most: Places, span: Callable[[Places], tuple[Any, Any, Any, Any]]) -> Places:
        low, high = np.zeros_like(most), most.copy()
        while (low < high).any():
            middle = (low + high + 1) // 2
            a, a_end, b, b_end = span(middle)
            ours = (self._text[a_end] - self._text[a]) * self._powers[b]
            theirs = (self._training[b_end] - self._training[b]) * self._powers[a]
            same = ours == theirs
            low, high = np.where(same, middle, low), np.where(same, high, middle - 1)
        return low


# Hashes -------------------------------------------------------------------------------------------------------------


def _mixed(values: Hashes) -> Hashes:
    """Each value's bits spread over all 64 (the finish of splitmix64: Steele, Lea and Flood, 2014)."""
    values = values + _BASE
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _window_hashes(codes: NDArray[np.uint32], window: int) -> Hashes:
    """A hash of each run of ``window`` characters: (N,) to (max(N - window + 1, 0),), windows of 1, 2, 4... joined."""
    count = len(codes) - window + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    block, size, power = _mixed(codes.astype(np.uint64)), 1, int(_BASE)
    whole, done = np.zeros(len(codes), np.uint64), 0
    while True:
        factor = np.uint64(power)
        if window & size:
            rest = block[done:]
            whole, done = whole[: len(rest)] * factor + rest, done + size
        if done == window:
            return _mixed(whole[:count])
        block, size, power = block[:-size] * factor + block[size:], size * 2, power * power % 2**64


def _outermost(passages: Iterable[Passage]) -> tuple[Passage, ...]:
    """In order, without those within another."""
    kept: list[Passage] = []
    for passage in sorted(passages, key=lambda one: (one.start, -one.end)):
        if not kept or passage.end > kept[-1].end:
            kept.append(passage)
    return tuple(kept)
