"""The layouts that captions come in: each is read into names, splits and sentences, no picture being looked for yet."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creative.files import shown
from creative.images import OPENED

MAX_BYTES = 2_000_000_000
"""Most bytes of a captions file: COCO's largest has 100 million."""
SPLITS = ("train", "val", "test")
_CUT = 4000  # characters of a sentence that are read


class CaptionsError(ValueError):
    """Captions cannot be read or be learned from. The message is one sentence for a person."""


@dataclass
class Draft:
    """What a captions file says.

    Attributes:
        layout: in words.
        sentences: of each name.
        splits: of those names that have one.
        unreadable: places without name or sentence.
    """

    layout: str
    sentences: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, name: object, sentence: object, place: str) -> None:
        """Take one sentence in."""
        if not isinstance(name, str) or not name.strip() or not isinstance(sentence, str):
            self.unreadable.append(place)
            return
        found = self.sentences.setdefault(name.strip(), [])
        words = " ".join(sentence[:_CUT].split())
        if words:
            found.append(words)


def read_layout(file: Path, *, named: bool) -> Draft | None:
    """A captions file, None if it is something else; one that was named must be one."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise CaptionsError(f"{shown(file)} has more than {MAX_BYTES:,} bytes: that is no captions file.")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CaptionsError(f"{shown(file)} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        if not named:
            return None
        raise CaptionsError(f"{shown(file)} is not UTF-8: see the byte at offset {error.start:,}.") from None
    if not text.strip():
        if named:
            raise CaptionsError(f"{shown(file)} is empty: there are no captions in it.")
        return None
    draft = _read_json(file, text, named) if file.suffix.lower() == ".json" else _read_lines(file, text)
    if draft is None or not any(draft.sentences.values()):
        if named:
            raise CaptionsError(f"{shown(file)} holds no captions in a layout that is known here.")
        return None
    part = re.search(r"(train|val|test)", file.stem.lower())
    if part and not draft.splits:  # captions_train2014.json, test.csv
        draft.splits = dict.fromkeys(draft.sentences, part[1])
    return draft


def _read_json(file: Path, text: str, named: bool) -> Draft | None:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        # Of a folder's json files, one that is called captions is meant: to skip it silently would hide the damage.
        if named or "caption" in file.name.lower() or file.name.lower().startswith("dataset"):
            raise CaptionsError(f"{shown(file)} is damaged or no json{where}: fetch or write it again.") from None
        return None
    if isinstance(values, list):
        return _plain(values)
    if isinstance(values, dict) and isinstance(values.get("images"), list):
        if isinstance(values.get("annotations"), list):
            return _coco(values)
        if any(isinstance(image, dict) and "sentences" in image for image in values["images"][:100]):
            return _karpathy(values)
    return None


def _plain(values: list[Any]) -> Draft | None:
    draft = Draft("captions.json")
    for place, entry in enumerate(values, 1):
        name = entry.get("file") if isinstance(entry, dict) else None
        sentences = entry.get("captions") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(sentences, list):
            draft.unreadable.append(f"entry {place:,}")
            continue
        _take(draft, name, sentences, f"entry {place:,}")
        _split(draft, name, entry.get("split"))
    return draft


def _karpathy(values: dict[str, Any]) -> Draft:
    draft = Draft("Karpathy's splits")
    for place, entry in enumerate(values["images"], 1):
        name = entry.get("filename") if isinstance(entry, dict) else None
        sentences = entry.get("sentences") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(sentences, list):
            draft.unreadable.append(f"image {place:,}")
            continue
        folder = entry.get("filepath")
        name = f"{folder}/{name}" if isinstance(folder, str) and folder else name
        raw = [sentence.get("raw") if isinstance(sentence, dict) else None for sentence in sentences]
        _take(draft, name, raw, f"image {place:,}")
        _split(draft, name, entry.get("split"))
    return draft


def _coco(values: dict[str, Any]) -> Draft:
    draft = Draft("COCO captions")
    names = {
        image["id"]: image["file_name"]
        for image in values["images"]
        if isinstance(image, dict)
        and isinstance(image.get("id"), int | str)
        and isinstance(image.get("file_name"), str)
    }
    for name in names.values():
        draft.sentences.setdefault(name, [])
    for place, entry in enumerate(values["annotations"], 1):
        number = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(number, int | str):
            draft.unreadable.append(f"annotation {place:,}")
            continue
        draft.add(names.get(number, f"image_id {number}"), entry.get("caption"), f"annotation {place:,}")
    return draft


def _read_lines(file: Path, text: str) -> Draft | None:
    lines = text.splitlines()
    head = [line for line in lines[:50] if line.strip()]
    if head and sum(bool(_TOKEN_LINE.match(line)) for line in head) > len(head) / 2:
        return _flickr(file, lines)
    return _table(text) if file.suffix.lower() in {".csv", ".tsv", ".txt"} else None


_TOKEN_LINE = re.compile(r"([^\t#]+\.\w+)#(?:enc#)?\w+\t(.*)")


def _flickr(file: Path, lines: Sequence[str]) -> Draft:
    draft = Draft("Flickr token file")
    for place, line in enumerate(lines, 1):
        match = _TOKEN_LINE.match(line)
        if match:
            # Flickr8k's own file has names that end in ".jpg.1": the picture is called without it.
            draft.add(re.sub(r"(\.jpe?g)\.\d+$", r"\1", match[1]), match[2], f"line {place:,}")
        elif line.strip():
            draft.unreadable.append(f"line {place:,}")
    for listing in sorted(file.parent.glob("*.txt")):
        kind = re.search(r"(train|dev|val|test)(?:Images)?\.txt$", listing.name, re.IGNORECASE)
        if kind and listing != file:
            for name in listing.read_text(encoding="utf-8", errors="replace").split():
                known = name if name in draft.sentences else f"{name}.jpg"
                if known in draft.sentences:
                    _split(draft, known, kind[1].lower())
    if draft.splits:  # Flickr8k has pictures that no list names: they are in none of its splits
        for name in [name for name in draft.sentences if name not in draft.splits]:
            draft.sentences.pop(name)
    return draft


_FILE_COLUMNS = {"file", "filename", "file_name", "image", "image_name", "img", "picture", "path", "name", "photo"}
_SENTENCE_COLUMNS = {"sentence", "caption", "caption_text", "comment", "text", "description", "title"}
_SPLIT_COLUMNS = {"split", "set", "part", "subset"}


def _table(text: str) -> Draft | None:
    head = [line for line in text.splitlines()[:50] if line.strip()]
    delimiter = max("\t|;,", key=lambda mark: sum(mark in line for line in head))
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    draft = Draft("CSV of files and sentences")
    columns: tuple[int, int, int | None] | None = None
    try:
        for row in rows:
            if columns is None:
                columns = _header(row)
                if columns is not None:
                    continue
                columns = _columns(list(csv.reader(head, delimiter=delimiter, skipinitialspace=True)))
                if columns is None:
                    return None
            _row(draft, row, columns, rows.line_num)
    except csv.Error:
        draft.unreadable.append(f"line {rows.line_num:,} and those after it")
    return draft


def _header(row: Sequence[str]) -> tuple[int, int, int | None] | None:
    """The columns of name, sentence and split by what the first row calls them, None if that is no header."""
    cells = [cell.strip().lower() for cell in row]
    named, said, split = (
        next((place for place, cell in enumerate(cells) if cell in known), None)
        for known in (_FILE_COLUMNS, _SENTENCE_COLUMNS, _SPLIT_COLUMNS)
    )
    return None if named is None or said is None else (named, said, split)


def _columns(rows: Sequence[Sequence[str]]) -> tuple[int, int, int | None] | None:
    """The columns by what is in them: pictures' names, the longest texts, the names of splits."""
    width = min((len(row) for row in rows), default=0)
    columns = [[row[place].strip() for row in rows] for place in range(width)]
    named = next((place for place, cells in enumerate(columns) if all(map(is_picture, cells))), None)
    if named is None or width < 2:
        return None
    split = next((place for place, cells in enumerate(columns) if all(_known_split(cell) for cell in cells)), None)
    rest = [place for place in range(width) if place not in {named, split}]
    said = max(rest, key=lambda place: sum(map(len, columns[place])), default=None)
    if said is None or all(is_picture(cell.partition("#")[0]) for cell in columns[said]):
        return None  # Flickr8k has tables of judgements, of which picture a sentence of another one fits
    return named, said, split


def _row(draft: Draft, row: Sequence[str], columns: tuple[int, int, int | None], place: int) -> None:
    named, said, split = columns
    if not any(cell.strip() for cell in row):
        return
    if len(row) <= max(named, said):
        draft.unreadable.append(f"line {place:,}")
        return
    last = max(index for index in columns if index is not None)
    # A sentence with commas and without quotes falls into several cells: if it is the last column, they are all its.
    sentence = ", ".join(row[said:]) if said == last else row[said]
    draft.add(row[named], sentence, f"line {place:,}")
    if split is not None and split < len(row):
        _split(draft, row[named].strip(), row[split])


def _take(draft: Draft, name: str, sentences: Iterable[object], place: str) -> None:
    draft.sentences.setdefault(name.strip(), [])
    for sentence in sentences:
        draft.add(name, sentence, place)


def _split(draft: Draft, name: str, split: object) -> None:
    known = _known_split(split)
    if known:
        draft.splits[name.strip()] = known


def _known_split(split: object) -> str | None:
    word = str(split).strip().lower()
    known = {"restval": "train", "training": "train", "dev": "val", "valid": "val", "validation": "val"}.get(word, word)
    return known if known in SPLITS else None


def is_picture(name: str) -> bool:
    """Whether a name ends as pictures' names do."""
    return os.path.splitext(name.strip())[1].lower() in OPENED  # noqa: PTH122 (a name from a file, whatever is in it)
