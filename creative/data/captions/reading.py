"""A folder or a file of captions: which layout it is, and all of it read."""

from __future__ import annotations

from pathlib import Path

from creative.data.captions.layouts import CaptionsError, Draft, read_layout
from creative.data.captions.matching import Captioned, join
from creative.files import shown


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
    drafts = [(file, draft) for file in files if (draft := read_layout(file, named=file == source)) is not None]
    if not drafts:
        raise CaptionsError(
            f"No captions were found in {shown(source)}: looked for a Flickr token file (name.jpg#0, a tab, a "
            "sentence), COCO's or Karpathy's json, captions.json, or a CSV of file and sentence."
        )
    # Files of one layout belong together (COCO has one for each split); of several layouts the one with splits is
    # taken, and of those the largest.
    groups: dict[str, list[tuple[Path, Draft]]] = {}
    for file, draft in drafts:
        groups.setdefault(draft.layout, []).append((file, draft))
    best = max(
        groups.values(), key=lambda group: (any(d.splits for _, d in group), sum(len(d.sentences) for _, d in group))
    )
    return join(best, source, Path(pictures) if pictures is not None else None)


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
    name = path.name.lower()
    # Flickr8k's lemmas are its captions once more, of words no one wrote.
    return (
        path.suffix.lower() in _SUFFIXES
        and not name.startswith(_NOT_CAPTIONS)
        and "lemma" not in name
        and path.is_file()
    )
