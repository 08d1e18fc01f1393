"""Names in a captions file and pictures in a folder, brought together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from creative.data.captions.layouts import SPLITS, CaptionsError, Draft, is_picture
from creative.data.draws import mixed_seed
from creative.files import shown
from creative.images import ImageError, open_image


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
            f"{_several(len(names), noun)} {what}, {shown(names[0])} first"
            for names, noun, what in (
                (self.without_picture, "captioned picture", "not found"),
                (self.without_sentence, "picture", "without a caption"),
                (self.duplicates, "name", "of several pictures at once"),
                (self.unreadable, "entry", "without name or caption"),
            )
            if names
        ]
        out = f"; left out: {'; '.join(left)}" if left else ""
        return f"{_several(len(self), 'picture')} with {_several(sentences, 'sentence')} ({sizes}{own}){out}."


_USES = {"train": "train on", "val": "steer by", "test": "test with"}


def _several(count: int, noun: str) -> str:
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def join(drafts: Sequence[tuple[Path, Draft]], source: Path, folder: Path | None) -> Captioned:
    """Find the pictures that some captions files, all of one layout, are about.

    Args:
        drafts: the files and what they say.
        source: the file or folder that was named.
        folder: where the pictures are; None to look around the files.

    Raises:
        CaptionsError: there is no such folder, or none of the pictures is in it.
    """
    root = folder or _root(source)
    if not root.is_dir():
        raise CaptionsError(f"There is no folder {shown(root)} with the pictures.")
    find = _Finder(root)
    captions = Captioned(drafts[0][1].layout, drafts[0][0], [], split_given=any(draft.splits for _, draft in drafts))
    found: dict[Path, tuple[str | None, list[str]]] = {}
    doubtful: set[Path] = set()
    for file, draft in drafts:
        captions.unreadable += draft.unreadable
        before = {path: set(sentences) for path, (_, sentences) in found.items()}
        for name, sentences in draft.sentences.items():
            places = find(name, file.parent)
            if not sentences:
                captions.without_sentence.append(name)
            elif not places:
                captions.without_picture.append(name)
            elif len(places) > 1:
                captions.duplicates.append(name)
                doubtful.update(places)
            else:
                split, known = found.get(places[0], (None, []))
                # Two files may say the same (captions.csv and train.csv); within one, a sentence may be there twice.
                new = [sentence for sentence in sentences if sentence not in before.get(places[0], ())]
                found[places[0]] = (draft.splits.get(name) or split, known + new)
    if not found:
        raise CaptionsError(_nothing(captions, root))
    named = {*captions.without_sentence}
    captions.without_sentence += [
        path.name for path in find.paths if path not in found and path not in doubtful and path.name not in named
    ]
    for path, (split, sentences) in found.items():
        part = split or ("train" if captions.split_given else _own_split(path.name))
        captions.pictures.append(CaptionedPicture(path, part, tuple(sentences)))
    captions.pictures.sort(key=lambda picture: (SPLITS.index(picture.split), picture.path))
    return captions


def _root(source: Path) -> Path:
    if source.is_dir():
        return source
    # COCO's captions are in a folder "annotations" beside those of the pictures.
    return source.parent.parent if source.parent.name == "annotations" else source.parent


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
    """Those below a folder, through links to folders too, each folder once."""
    seen = set()
    for folder, inside, names in os.walk(root, followlinks=True):
        place = os.path.realpath(folder)
        inside[:] = [] if place in seen else sorted(name for name in inside if not name.startswith("."))
        for name in names if place not in seen else ():
            if not name.startswith(".") and is_picture(name):
                yield Path(folder, name)
        seen.add(place)


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
