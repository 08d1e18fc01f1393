"""Texts as numbers: vocabularies of characters or bytes, and files of any size as one memory-mapped row of them.

packed = run(pack_text([Path("poems")], Path("cache")))
packed.vocabulary.decode(packed[:100])             # the first 100 characters
streams = Streams(packed, range(len(packed) * 9 // 10), length=128)
streams[Draw(3, seed=7)]["ids"]                    # (129,) int64: the characters from place 3 on
"""

from __future__ import annotations

import codecs
import hashlib
import io
import json
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from creative.data.draws import Draw
from creative.data.vocabulary import NUM_CODES, Codes, TextError, Units, Vocabulary, VocabularyError, codes_of
from creative.device import random_generator
from creative.files import explain, shown
from creative.progress import Step

_CHUNK = 1 << 22  # bytes that are read at a time

__all__ = [
    "Codes",
    "PackedText",
    "Streams",
    "TextError",
    "TextFile",
    "Units",
    "Vocabulary",
    "VocabularyError",
    "find_texts",
    "pack_text",
    "read_codes",
]

# Files --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file to read. One that was named must be a text; one found in a folder is skipped if it is none."""

    path: Path
    named: bool


def find_texts(paths: Iterable[Path]) -> list[TextFile]:
    """The files among some paths, and those in the folders among them and below, sorted; hidden ones are left out.

    Raises:
        TextError: a path does not exist, a file is empty, or a folder has no files.
    """
    found: dict[Path, TextFile] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
            if not inside:
                raise TextError(f"There are no files in {shown(path)}.")
            for file in inside:
                found.setdefault(file, TextFile(file, named=False))
        elif not path.is_file():
            raise TextError(f"There is no file {shown(path)}.")
        elif not path.stat().st_size:
            raise TextError(f"{shown(path)} is empty: there is nothing to read in it.")
        else:
            found[path] = TextFile(path, named=True)
    if not found:
        raise TextError("No text was given: name a file or a folder.")
    return list(found.values())


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def read_codes(path: Path, *, units: Units = "characters", encoding: str = "utf-8") -> Iterator[Codes]:
    """A file in pieces, (N,) uint32 each: never more than some megabytes of it at once.

    Of characters, a byte order mark is left out, and the ends of lines are single newlines. Bytes are as they are.

    Raises:
        TextError: it cannot be read, is binary, or is not in this encoding; the message names the place.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    lines = io.IncrementalNewlineDecoder(decoder, translate=True)
    place, first = 0, True
    try:
        with path.open("rb") as file:
            while True:
                chunk = file.read(_CHUNK)
                if units == "bytes":
                    if chunk:
                        yield np.frombuffer(chunk, np.uint8).astype(np.uint32)
                else:
                    _check(path, chunk, place, encoding)
                    before = place - len(decoder.getstate()[0])
                    try:
                        text = lines.decode(chunk, final=not chunk)
                    except UnicodeError as error:
                        raise TextError(_misread(path, encoding, error, before)) from None
                    text = text.removeprefix("\ufeff") if first else text
                    first = first and not text
                    if text:
                        yield codes_of(text)
                if not chunk:
                    return
                place += len(chunk)
    except OSError as error:
        raise TextError(f"{shown(path)} cannot be read: {error.strerror or error}.") from None


def _check(path: Path, chunk: bytes, place: int, encoding: str) -> None:
    if encoding == "utf-16":
        return
    if not place and chunk[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise TextError(f"{shown(path)} begins as UTF-16 does (offset 0): read it with the encoding utf-16.")
    zero = chunk.find(b"\0")
    if zero >= 0:
        raise TextError(
            f"{shown(path)} is binary, not a text: there is a zero byte at offset {place + zero:,}. "
            "Any file can be learned from as units bytes."
        )


def _misread(path: Path, encoding: str, error: UnicodeError, before: int) -> str:
    place = before + (error.start if isinstance(error, UnicodeDecodeError) else 0)
    if not isinstance(error, UnicodeDecodeError):
        what = "there is no byte order mark at offset 0"
    elif error.end <= error.start or error.start >= len(error.object) or error.reason == "unexpected end of data":
        what = f"it ends within a character, at offset {place:,}"
    else:
        what = f"the byte 0x{error.object[error.start]:02X} at offset {place:,} does not belong there"
    return (
        f"{shown(path)} is not {encoding.upper()}: {what}. "
        "Name its encoding (latin-1 and windows-1252 are common), or learn from it as units bytes."
    )


# One memory-mapped row ----------------------------------------------------------------------------------------------


@dataclass
class PackedText:
    """Texts one after the other in one file of numbers; ``packed[a:b]`` is an array of them, read only.

    Attributes:
        path: the numbers.
        vocabulary: what they mean.
        length: how many.
        sha256: of the file of numbers.
        num_files: texts that are in it.
        skipped: files of folders that could not be read, with the reason.
    """

    path: Path
    vocabulary: Vocabulary
    length: int
    sha256: str
    num_files: int = 1
    skipped: list[tuple[Path, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids: np.memmap | None = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, places: slice) -> NDArray[Any]:
        if self._ids is None:
            self._ids = np.memmap(self.path, _dtype(len(self.vocabulary)), mode="r")
        return self._ids[places]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ids": None}  # a worker process maps the file for itself

    def ids(self, start: int, stop: int) -> Tensor:
        """Some numbers, (N,) int64."""
        return torch.from_numpy(self[start:stop].astype(np.int64))

    def text(self, start: int, stop: int) -> str:
        """Some of the text."""
        return self.vocabulary.decode(self[start:stop])


def _dtype(size: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if size <= 2**8 else np.uint16 if size <= 2**16 else np.uint32


def pack_text(
    paths: Sequence[Path],
    cache: Path,
    *,
    units: Units = "characters",
    encoding: str = "utf-8",
    vocabulary: Vocabulary | None = None,
) -> Generator[Step, None, PackedText]:
    """Read texts once, into one file of numbers in the folder ``cache``, where it is found again.

    A file of a folder that cannot be read, or is no text, is skipped, counted and named. A newline is put between two
    texts of characters where there is none. Steps count megabytes.

    Args:
        paths: files and folders.
        cache: where the numbers are kept: as many bytes as there are characters, twice as many beyond 256 kinds.
        units: what the numbers stand for.
        encoding: of characters.
        vocabulary: to begin with; what the texts have beyond it comes after it. Its units count.

    Raises:
        TextError: at the call, if a file is missing or empty; later, if one that was named is binary or in another
            encoding, or none of a folder can be read.
    """
    units = vocabulary.units if vocabulary else units
    return _pack(
        find_texts(paths), Path(cache), units, encoding, vocabulary or Vocabulary("" if units == "characters" else None)
    )


def _pack(
    files: list[TextFile], cache: Path, units: Units, encoding: str, base: Vocabulary
) -> Generator[Step, None, PackedText]:
    megabytes = 2 * sum(file.path.stat().st_size for file in files) // 10**6
    yield Step(0, megabytes, message=f"Reading {_count(files)}.")
    key = _key(files, units, encoding, base)
    numbers, index = cache / f"text-{key}.bin", cache / f"text-{key}.json"
    if index.is_file() and numbers.is_file():
        about = json.loads(index.read_text(encoding="utf-8"))
        skipped = [(Path(path), reason) for path, reason in about["skipped"]]
        vocabulary = Vocabulary.from_json(about["vocabulary"])
        return PackedText(numbers, vocabulary, about["length"], about["sha256"], about["files"], skipped)
    scan = _Scan(units, encoding)
    yield from scan.look(files, megabytes)
    vocabulary = base if units == "bytes" else base.grow(scan.characters())
    try:
        cache.mkdir(parents=True, exist_ok=True)
        sha256 = yield from _write(scan, numbers, vocabulary, megabytes)
        packed = PackedText(numbers, vocabulary, scan.length, sha256, len(scan.kept), scan.skipped)
        _write_index(packed, index)
    except OSError as error:
        raise TextError(explain(error, numbers)) from error
    told = f"; skipped {len(scan.skipped)} that cannot be read, {scan.skipped[0][0].name} first" if scan.skipped else ""
    kinds = "bytes" if units == "bytes" else f"characters of {len(vocabulary)} kinds"
    yield Step(megabytes, megabytes, message=f"Read {len(packed):,} {kinds} from {_count(scan.kept)}{told}.")
    return packed


def _count(files: Sequence[Any]) -> str:
    return f"{len(files)} files" if len(files) > 1 else "a file"


def _key(files: Sequence[TextFile], units: Units, encoding: str, base: Vocabulary) -> str:
    """Of what the numbers depend on."""
    stats = [(str(file.path), file.named, file.path.stat()) for file in files]
    about = [1, units, encoding, base.to_json(), [[p, n, s.st_size, s.st_mtime_ns] for p, n, s in stats]]
    return hashlib.sha256(json.dumps(about).encode("utf-8", "surrogateescape")).hexdigest()[:16]


class _Scan:
    """The first time through the files: which can be read, how long they are, what characters they have.

    Attributes:
        kept: files, with the characters of each and whether a newline is put after it.
        length: characters in all, those newlines included.
        skipped: files with reasons.
    """

    def __init__(self, units: Units, encoding: str) -> None:
        self.units, self.encoding = units, encoding
        self.kept: list[tuple[Path, int, bool]] = []
        self.skipped: list[tuple[Path, str]] = []
        self.length = 0
        self._seen = np.zeros(NUM_CODES, bool)

    def look(self, files: Sequence[TextFile], megabytes: int) -> Generator[Step, None, None]:
        """Read all files."""
        done = 0
        for place, file in enumerate(files):
            seen, length, last = np.zeros(NUM_CODES, bool), 0, 0
            try:
                for codes in read_codes(file.path, units=self.units, encoding=self.encoding):
                    seen[codes] = True
                    length, last = length + len(codes), int(codes[-1])
                    yield Step((done + length) // 10**6, megabytes)
            except TextError as error:
                if file.named:
                    raise
                self.skipped.append((file.path, str(error)))
                yield Step(done // 10**6, megabytes, message=f"Skipped: {error}")
                continue
            done += file.path.stat().st_size
            if not length:
                continue
            joint = self.units == "characters" and last != ord("\n") and place < len(files) - 1
            if joint:
                seen[ord("\n")] = True
            self._seen |= seen
            self.kept.append((file.path, length, joint))
            self.length += length + joint
        if not self.kept:
            reason = f"; {self.skipped[0][1]}" if self.skipped else ""
            raise TextError(f"None of {_count(files)} has a text that can be read{reason}")

    def characters(self) -> str:
        """All that there are, in the order of their code points."""
        return np.flatnonzero(self._seen).astype("<u4").tobytes().decode("utf-32-le")


def _write(scan: _Scan, numbers: Path, vocabulary: Vocabulary, megabytes: int) -> Generator[Step, None, str]:
    """The second time through the files; returns the SHA-256 of what was written."""
    table, done = vocabulary.table.astype(_dtype(len(vocabulary))), 0
    digest = hashlib.sha256()
    partial = numbers.with_suffix(f".{os.getpid()}.part")  # several processes may do this at once
    try:
        with partial.open("wb") as out:
            for path, length, joint in scan.kept:
                pieces: Iterator[Codes] = read_codes(path, units=scan.units, encoding=scan.encoding)
                before = done
                for codes in pieces:
                    ids = table[codes].tobytes()
                    digest.update(ids)
                    out.write(ids)
                    done += len(codes)
                    yield Step(megabytes // 2 + done // 10**6, megabytes)
                if done - before != length:
                    raise TextError(f"{shown(path)} has changed while it was read: start again.")
                if joint:
                    ids = table[[ord("\n")]].tobytes()
                    digest.update(ids)
                    out.write(ids)
        partial.replace(numbers)
    finally:
        partial.unlink(missing_ok=True)
    return digest.hexdigest()


def _write_index(packed: PackedText, index: Path) -> None:
    skipped = [[str(path), reason] for path, reason in packed.skipped]
    about = {"length": packed.length, "sha256": packed.sha256, "files": packed.num_files, "skipped": skipped}
    about["vocabulary"] = packed.vocabulary.to_json()
    beside = index.with_suffix(f".{os.getpid()}.part")
    beside.write_text(json.dumps(about), encoding="utf-8")
    beside.replace(index)


class Streams(Dataset):
    """A part of a text as sequences that begin at any of its places; its end is joined to its beginning.

    ``streams[Draw(place, seed)]`` is ``{"ids": (length + 1,) int64, "keep": () float32}``: the characters that go in
    and, one place later, those to be predicted; and 0 where what is remembered is to be forgotten before, else 1.

    Args:
        packed: the text.
        places: the part of it.
        length: characters of a sequence.
        forget: the chance of a 0.
    """

    def __init__(self, packed: PackedText, places: range, length: int, forget: float = 0.0) -> None:
        self.packed, self.places, self.length, self.forget = packed, places, length, forget

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
        start = self.places.start + draw.index
        ids = self.packed.ids(start, min(start + self.length + 1, self.places.stop))
        while len(ids) <= self.length:
            more = self.places.start + self.length + 1 - len(ids)
            ids = torch.cat([ids, self.packed.ids(self.places.start, min(more, self.places.stop))])
        kept = torch.rand((), generator=random_generator(draw.seed)) >= self.forget
        return {"ids": ids, "keep": kept.float()}
