"""Pictures with sentences about them, in whichever layout they come: which it is, is found out.

captioned = read_captions(Path("flickr8k"))
captioned.layout, len(captioned)                    # "Flickr token file", 8091
captioned.of("train")[0].sentences                  # ("A child in a pink dress is climbing up stairs .", ...)
captioned.told()                                    # "8,091 pictures with 40,455 sentences (...); left out: ..."
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creative.data.draws import mixed_seed
from creative.files import shown
from creative.images import OPENED, ImageError, open_image

MAX_BYTES = 2_000_000_000
"""Most bytes of a captions file: COCO's largest has 100 million."""
_CUT = 4000  # characters of a sentence that are read

SPLITS = ("train", "val", "test")


class CaptionsError(ValueError):
    """Captions cannot be read or be learned from. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class CaptionedPicture:
    """A picture and what people said about it.

    Attributes:
        path: the picture's file, which was there when the captions were read.
        split: ``train``, ``val`` or ``test``.
        sentences: as they were written, at least one; blanks are single.
    """

    path: Path
    split: str
    sentences: tuple[str, ...]


@dataclass
class Captioned:
    """What was found: pictures with sentences, and what had to be left out.

    Attributes:
        layout: what kind of file they came from, in words.
        source: that file.
        pictures: sorted by split and path.
        split_given: False where the files know no split, and a tenth each was held out by its name.
        without_picture: names that the captions have and the folder has not.
        without_sentence: pictures in the folder, and names in the captions, that no sentence is about.
        duplicates: names of several pictures in different folders, of which none can be told to be meant.
        unreadable: lines or entries that hold no name and sentence, by their place.
    """

    layout: str
    source: Path
    pictures: list[CaptionedPicture]
    split_given: bool = True
    without_picture: list[str] = field(default_factory=list)
    without_sentence: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pictures)

    def of(self, split: str) -> list[CaptionedPicture]:
        """The pictures of one split."""
        return [picture for picture in self.pictures if picture.split == split]

    def told(self) -> str:
        """One sentence on what was found and what was left out."""
        sizes = ", ".join(f"{len(self.of(split)):,} to {word}" for split, word in _USES.items() if self.of(split))
        sentences = sum(len(picture.sentences) for picture in self.pictures)
        own = "" if self.split_given else ", held out by name as the files know no split"
        left = [
            f"{len(names):,} {what}, {shown(names[0])} first"
            for names, what in (
                (self.without_picture, "captioned pictures that are not there"),
                (self.without_sentence, "pictures without a caption"),
                (self.duplicates, "names that several pictures have"),
                (self.unreadable, "entries that are no caption"),
            )
            if names
        ]
        out = f"; left out: {'; '.join(left)}" if left else ""
        return f"{_several(len(self), 'picture')} with {_several(sentences, 'sentence')} ({sizes}{own}){out}."


_USES = {"train": "train on", "val": "steer by", "test": "test with"}


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


@dataclass
class _Draft:
    """Entries of a captions file as they are read: name, split and sentences, the names not yet looked for."""

    layout: str
    sentences: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)

    def add(self, name: object, sentence: object, place: str) -> None:
        """Take one sentence in."""
        if not isinstance(name, str) or not name.strip() or not isinstance(sentence, str):
            self.unreadable.append(place)
            return
        found = self.sentences.setdefault(name.strip(), [])
        words = " ".join(sentence[:_CUT].split())
        if words:
            found.append(words)


def read_captions(source: Path, *, pictures: Path | None = None) -> Captioned:
    """Read captions in any of these layouts, and find the pictures that they are about.

    - Flickr8k and Flickr30k: ``name.jpg#0<tab>sentence``, with ``Flickr_8k.trainImages.txt`` and the like beside.
    - COCO: ``captions_train2014.json`` with ``images`` and ``annotations``; a file for each split.
    - Karpathy: ``dataset_coco.json`` with ``images``, their ``split`` and ``sentences``.
    - ``captions.json``: a list of ``{"file": ..., "split": ..., "captions": [...]}``.
    - CSV (or TSV): a column of files and one of sentences, a ``split`` if there is one; with a header or without.

    Args:
        source: the file, or a folder with it.
        pictures: the folder that holds the pictures, at any depth; without it, they are looked for around the file.

    Raises:
        CaptionsError: there are no captions, they cannot be read, or none is about a picture that is there.
    """
    source = Path(source)
    files = _candidates(source)
    drafts = [(file, draft) for file in files if (draft := _read(file, named=file == source)) is not None]
    if not drafts:
        raise CaptionsError(
            f"No captions were found in {shown(source)}: looked for a Flickr token file (name.jpg#0, a tab, a "
            "sentence), COCO's or Karpathy's json, captions.json, or a CSV of file and sentence."
        )
    # Files of one layout belong together (COCO has one for each split); of several layouts the richest is taken.
    layout = max(_group(drafts).items(), key=lambda item: sum(len(d.sentences) for _, d in item[1]))[1]
    return _joined(layout, source, Path(pictures) if pictures is not None else None)


def _group(drafts: Sequence[tuple[Path, _Draft]]) -> dict[str, list[tuple[Path, _Draft]]]:
    groups: dict[str, list[tuple[Path, _Draft]]] = {}
    for file, draft in drafts:
        groups.setdefault(draft.layout, []).append((file, draft))
    return groups


def _candidates(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise CaptionsError(f"There is no file or folder {shown(source)}.")
    levels = [source, source / "annotations", *sorted(path for path in source.iterdir() if path.is_dir())]
    found: dict[Path, None] = {}
    for folder in levels:
        inside = [path for path in sorted(folder.iterdir()) if _may_hold_captions(path)] if folder.is_dir() else []
        if len(inside) <= _MANY:
            found |= dict.fromkeys(inside)
    return list(found)


_MANY = 100  # text files in a folder: more of them are one for each picture
_SUFFIXES = {".json", ".csv", ".tsv", ".txt", ".token"}
_NOT_CAPTIONS = (".", "instances_", "person_keypoints_", "panoptic_", "stuff_")  # COCO's other files, which are large


def _may_hold_captions(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(_NOT_CAPTIONS) and path.is_file()


def _read(file: Path, *, named: bool) -> _Draft | None:
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
    return draft


# Layouts ------------------------------------------------------------------------------------------------------------


def _read_json(file: Path, text: str, named: bool) -> _Draft | None:
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
            return _coco(file, values)
        if any(isinstance(image, dict) and "sentences" in image for image in values["images"][:100]):
            return _karpathy(values)
    return None


def _plain(values: list[Any]) -> _Draft | None:
    draft = _Draft("captions.json")
    for place, entry in enumerate(values, 1):
        name = entry.get("file") if isinstance(entry, dict) else None
        sentences = entry.get("captions") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(sentences, list):
            draft.unreadable.append(f"entry {place:,}")
            continue
        _take(draft, name, sentences, f"entry {place:,}")
        _split(draft, name, entry.get("split"))
    return draft


def _karpathy(values: dict[str, Any]) -> _Draft:
    draft = _Draft("Karpathy's splits")
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


def _coco(file: Path, values: dict[str, Any]) -> _Draft:
    draft = _Draft("COCO captions")
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
    named = re.search(r"(train|val|test)", file.stem.lower())
    if named:
        draft.splits = dict.fromkeys(draft.sentences, named[1])
    return draft


def _read_lines(file: Path, text: str) -> _Draft | None:
    lines = text.splitlines()
    head = [line for line in lines[:50] if line.strip()]
    if head and sum(bool(_TOKEN_LINE.match(line)) for line in head) > len(head) / 2:
        return _flickr(file, lines)
    return _table(text) if file.suffix.lower() in {".csv", ".tsv", ".txt"} else None


_TOKEN_LINE = re.compile(r"([^\t#]+\.\w+)#(?:enc#)?\w+\t(.*)")


def _flickr(file: Path, lines: Sequence[str]) -> _Draft:
    draft = _Draft("Flickr token file")
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


def _table(text: str) -> _Draft | None:
    delimiter = max("\t|;,", key=lambda mark: sum(mark in line for line in text.splitlines()[:50]))
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        first = next(rows)
    except (StopIteration, csv.Error):
        return None
    header = [cell.strip().lower() for cell in first]
    named = next((place for place, cell in enumerate(header) if cell in _FILE_COLUMNS), None)
    said = next((place for place, cell in enumerate(header) if cell in _SENTENCE_COLUMNS), None)
    split = next((place for place, cell in enumerate(header) if cell in _SPLIT_COLUMNS), None)
    draft = _Draft("CSV of files and sentences")
    if named is None or said is None:
        named = next((place for place, cell in enumerate(first) if _is_picture(cell)), None)
        if named is None or len(first) < 2:
            return None
        said = next(place for place in range(len(first) - 1, -1, -1) if place != named)
        split = next((place for place, cell in enumerate(header) if cell in {*SPLITS, "dev"}), None)
        _row(draft, first, (named, said, split), 1)
    try:
        for row in rows:
            _row(draft, row, (named, said, split), rows.line_num)
    except csv.Error:
        draft.unreadable.append(f"line {rows.line_num:,} and those after it")
    return draft


def _row(draft: _Draft, row: Sequence[str], columns: tuple[int, int, int | None], place: int) -> None:
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


def _take(draft: _Draft, name: str, sentences: Iterable[object], place: str) -> None:
    draft.sentences.setdefault(name.strip(), [])
    for sentence in sentences:
        draft.add(name, sentence, place)


def _split(draft: _Draft, name: str, split: object) -> None:
    word = str(split).strip().lower()
    known = {"restval": "train", "training": "train", "dev": "val", "valid": "val", "validation": "val"}.get(word, word)
    if known in SPLITS:
        draft.splits[name.strip()] = known


def _is_picture(name: str) -> bool:
    return os.path.splitext(name.strip())[1].lower() in OPENED  # noqa: PTH122 (a name from a file, whatever is in it)


# Pictures -----------------------------------------------------------------------------------------------------------


def _joined(drafts: Sequence[tuple[Path, _Draft]], source: Path, folder: Path | None) -> Captioned:
    root = folder or (source if source.is_dir() else source.parent)
    if not root.is_dir():
        raise CaptionsError(f"There is no folder {shown(root)} with the pictures.")
    find = _Finder(root)
    captions = Captioned(drafts[0][1].layout, drafts[0][0], [], split_given=any(draft.splits for _, draft in drafts))
    found: dict[Path, tuple[str | None, list[str]]] = {}
    for file, draft in drafts:
        captions.unreadable += draft.unreadable
        for name, sentences in draft.sentences.items():
            places = find(name, file.parent)
            if not sentences:
                captions.without_sentence.append(name)
            elif not places:
                captions.without_picture.append(name)
            elif len(places) > 1:
                captions.duplicates.append(name)
            else:
                split, known = found.get(places[0], (None, []))
                found[places[0]] = (draft.splits.get(name) or split, known + sentences)
    if not found:
        raise CaptionsError(_nothing(captions, root))
    named = {*captions.without_sentence}
    captions.without_sentence += [path.name for path in find.paths if path not in found and path.name not in named]
    for path, (split, sentences) in found.items():
        part = split or ("train" if captions.split_given else _own_split(path.name))
        captions.pictures.append(CaptionedPicture(path, part, tuple(sentences)))
    captions.pictures.sort(key=lambda picture: (SPLITS.index(picture.split), picture.path))
    return captions


def _nothing(captions: Captioned, root: Path) -> str:
    if captions.duplicates and not captions.without_picture:
        return (
            f"Several pictures in {shown(root)} are called {shown(captions.duplicates[0])}: no caption fits just one."
        )
    first = (captions.without_picture or captions.without_sentence or ["none"])[0]
    return (
        f"None of the {len(captions.without_picture):,} captioned pictures is in {shown(root)}, {shown(first)} for "
        "example: name the folder that holds the pictures."
    )


def _own_split(name: str) -> str:
    """A tenth to test with and a tenth to steer by, by a hash of the name: the same on every machine and in any set."""
    return {0: "test", 1: "val"}.get(mixed_seed("captions", name) % 10, "train")


class _Finder:
    """Pictures of a folder by their names, with or without folders and whatever the case of the suffix."""

    def __init__(self, root: Path) -> None:
        self.paths = sorted(_pictures(root))
        self._by_name: dict[str, list[Path]] = {}
        for path in self.paths:
            self._by_name.setdefault(path.name.lower(), []).append(path)

    def __call__(self, name: str, beside: Path) -> list[Path]:
        parts = [part for part in re.split(r"[/\\]", name) if part not in {"", "."}]
        if not parts or ".." in parts:
            return []
        found = self._by_name.get(parts[-1].lower(), [])
        if len(found) <= 1:
            return found
        exact = [path for path in found if path.parts[-len(parts) :] == tuple(parts)]
        own = [path for path in exact if path == beside.joinpath(*parts)]
        return own or exact or found


def _pictures(root: Path) -> Iterator[Path]:
    for folder, inside, names in os.walk(root):
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and _is_picture(name):
                yield Path(folder, name)


def check_pictures(
    pictures: Sequence[CaptionedPicture], told: Callable[[CaptionedPicture, str], None] | None = None
) -> Iterator[CaptionedPicture]:
    """Those of some pictures that can be opened, one by one; of the others ``told`` hears the reason.

    A corrupt picture among thousands is to be skipped, counted and named, not to end a training.
    """
    for picture in pictures:
        try:
            open_image(picture.path)
        except ImageError as error:
            if told:
                told(picture, str(error))
        else:
            yield picture
