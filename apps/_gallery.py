"""Results of earlier jobs, as the files of the output folder tell them. No gradio here."""

from __future__ import annotations

import hashlib
import html
import shutil
import urllib.parse
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from apps._app import Area
from creative.provenance import Provenance, read_provenance

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
THUMBNAIL = 320
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Past:
    """One result of the past."""

    path: Path
    provenance: Provenance

    @property
    def caption(self) -> str:
        """A few words: what was done to what, or in which style."""
        given = [source.file for sources in self.provenance.inputs.values() for source in sources if source.file]
        return " · ".join(Path(name).stem.replace("-", " ").replace("_", " ") for name in given[:2]) or self.path.stem


def past_results(folder: Path, actions: Collection[str] | None = None, *, limit: int = SHOWN) -> list[Past]:
    """The results in a folder, newest first: those pictures that say how they were made.

    Args:
        folder: where results are saved; it need not exist.
        actions: only the results of these; None for all.
        limit: at most so many.
    """
    found: list[Past] = []
    for path in _newest_first(folder):
        provenance = _provenance(path, path.stat().st_mtime_ns)
        if provenance is not None and (actions is None or provenance.action in actions):
            found.append(Past(path, provenance))
        if len(found) == limit:
            break
    return found


def _newest_first(folder: Path) -> list[Path]:
    times: dict[Path, int] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix.lower() in PICTURES and not path.name.startswith("."):
            try:
                times[path] = path.stat().st_mtime_ns
            except OSError:  # gone in the meantime
                continue
    return sorted(times, key=lambda path: (times[path], path.name), reverse=True)


_known: dict[tuple[Path, int], Provenance | None] = {}


def _provenance(path: Path, changed: int) -> Provenance | None:
    if (path, changed) not in _known:
        try:
            _known[path, changed] = read_provenance(path)
        except (OSError, ValueError):  # a picture that cannot be read is not ours
            _known[path, changed] = None
    return _known[path, changed]


def served(path: Path, folder: Path) -> str:
    """A copy of a file in the folder that the site may serve from, under its own name; the file itself stays private.

    The bytes are the same, so what is downloaded carries its provenance.
    """
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:16]
    copy = folder / "results" / key / path.name
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        beside = copy.with_name(f"{uuid.uuid4().hex}.part")
        shutil.copyfile(path, beside)
        beside.replace(copy)
    return str(copy)


def thumbnail(path: Path, folder: Path, *, side: int = THUMBNAIL) -> str:
    """A small JPEG of a picture, made once."""
    key = hashlib.sha256(f"{path.resolve()} {path.stat().st_mtime_ns} {side}".encode()).hexdigest()[:16]
    small = folder / "thumbnails" / f"{key}.jpg"
    if not small.exists():
        with Image.open(path) as image:
            image.draft("RGB", (side, side))
            image.thumbnail((side, side))
            save_jpeg(image, small)
    return str(small)


def save_jpeg(image: Image.Image, path: Path) -> str:
    """A picture for the screen, written beside and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    image.convert("RGB").save(beside, "JPEG", quality=88)
    beside.replace(path)
    return str(path)


def facts(provenance: Provenance, defaults: Mapping[str, Any]) -> str:
    """How a result was made, as a short HTML list: its inputs, and the settings that are not the usual ones."""
    rows = [
        (name.replace("_", " "), ", ".join(source.file for source in given))
        for name, given in provenance.inputs.items()
    ]
    for name, value in provenance.settings.items():
        value = tuple(value) if isinstance(value, list) else value  # JSON knows no tuples
        if name == "seed" or value != defaults.get(name):
            told = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            rows.append((name.replace("_", " "), told))
    items = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows if value)
    return f'<dl class="facts">{items}</dl>'


def pair(before: str, after: str, result: Path) -> str:
    """Two pictures of one size, the first over the second up to a handle that can be drawn, as HTML.

    Gradio's own slider keeps a wrong size where it comes into view later; this one needs no script but a line.
    """
    with Image.open(result) as image:
        shape = _shape(image)
    return (
        f'<figure class="pair" {shape}>'
        f'<img src="{_address(after)}" alt="After"><img class="before" src="{_address(before)}" alt="Before"><i></i>'
        '<input type="range" min="0" max="100" value="0" step="0.1" aria-label="How much of the picture before">'
        "</figure>"
    )


def with_areas(path: str, areas: Sequence[Area]) -> str:
    """A picture whose parts can be clicked, as HTML: a button over each, known by its number."""
    with Image.open(path) as image:
        shape, (width, height) = _shape(image), image.size
    buttons = []
    for number, area in enumerate(areas):
        left, top, right, bottom = area.box
        place = f"left:{left / width:.3%};top:{top / height:.3%}"
        place += f";width:{(right - left) / width:.3%};height:{(bottom - top) / height:.3%}"
        title = html.escape(area.title)
        buttons.append(f'<button data-area="{number}" style="{place}" title="{title}" aria-label="{title}"></button>')
    return f'<figure class="areas" {shape}><img src="{_address(path)}" alt="">{"".join(buttons)}</figure>'


def _shape(image: Image.Image) -> str:
    width, height = image.size
    return f'style="--shape:{width}/{height};--ratio:{width / height:.4f}"'


def _address(path: str) -> str:
    return f"gradio_api/file={urllib.parse.quote(path)}"
