"""Results of earlier jobs, as the files of the output folder tell them. No gradio here."""

from __future__ import annotations

import hashlib
import html
import re
import shutil
import textwrap
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from creative.provenance import Provenance, read_provenance, sidecar_path

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
VIDEOS = frozenset({".mp4", ".gif"})
MODELS = frozenset({".safetensors", ".json"})
"""Not shown, though they say how they were made."""
NETWORKS = frozenset({".safetensors", ".pth", ".pt", ".bin", ".onnx"})
"""What files of networks end with, and those of presets."""
Kind = Literal["picture", "video", "text", "page"]
THUMBNAIL = 320
SHOWN = 60
MOST_TEXT = 200_000
"""Characters of a text that are shown."""
PAINTED = re.compile(r"-[0-9a-f]{8}$")
"""What the names of files end with that were painted on a page."""


@dataclass(frozen=True, slots=True)
class Past:
    """One result of the past."""

    path: Path
    provenance: Provenance

    @property
    def kind(self) -> Kind:
        """What it is to a browser."""
        suffix = self.path.suffix.lower()
        return (
            "picture"
            if suffix in PICTURES
            else "video"
            if suffix in VIDEOS
            else "page"
            if suffix == ".html"
            else "text"
        )

    @property
    def caption(self) -> str:
        """A few words: what was done to what, or in which style."""
        found = [(field, one.file) for field, files in self.provenance.inputs.items() for one in files if one.file]
        found.sort(key=lambda given: _says_little(*given))
        given = [file for _, file in found]
        words = [str(said).strip() for said in self.provenance.result.get("given", {}).values() if str(said).strip()]
        names = [PAINTED.sub("", Path(name).stem).replace("-", " ").replace("_", " ") for name in given[:2]]
        parts = names if len(names) > 1 else [*names, *(textwrap.shorten(said, 40) for said in words[:1])]
        return " · ".join(parts) or self.path.stem

    def text(self) -> str:
        """What a text says, its beginning at least."""
        with self.path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MOST_TEXT)


def _says_little(field: str, file: str) -> bool:
    """Whether a file that went in is a map painted on a page or a network, and neither a picture nor a style."""
    path = Path(file)
    network = path.suffix.lower() in NETWORKS and "style" not in field  # a preset is a style
    return network or PAINTED.search(path.stem) is not None


def past_results(folder: Path, actions: Collection[str] | None = None, *, limit: int = SHOWN) -> list[Past]:
    """The results in a folder, newest first: the pictures, videos and texts that say how they were made.

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
        if path.name.startswith(".") or path.suffix.lower() in MODELS:
            continue
        if path.suffix.lower() in PICTURES or sidecar_path(path).is_file():
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
    return _made_once(path, folder, side, lambda: _small(Image.open(path), side))


def card(past: Past, folder: Path) -> str:
    """What stands for a result: a small picture, of a video its first frame; of a text an SVG of its first lines."""
    try:
        if past.kind == "picture":
            return thumbnail(past.path, folder)
        if past.kind == "video":
            return _made_once(past.path, folder, THUMBNAIL, lambda: _small(_first_frame(past.path), THUMBNAIL))
    except (ValueError, OSError):  # what can open it is missing, or it is broken: its name will do
        pass
    path = folder / "thumbnails" / f"{_key(past.path, THUMBNAIL)}.svg"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_page_of(past.text() if past.kind == "text" else past.path.name), encoding="utf-8")
    return str(path)


def _key(path: Path, side: int) -> str:
    return hashlib.sha256(f"{path.resolve()} {path.stat().st_mtime_ns} {side}".encode()).hexdigest()[:16]


def _made_once(path: Path, folder: Path, side: int, make: Callable[[], Image.Image]) -> str:
    small = folder / "thumbnails" / f"{_key(path, side)}.jpg"
    return str(small) if small.exists() else save_jpeg(make(), small)


def _small(image: Image.Image, side: int) -> Image.Image:
    with image:
        image.draft("RGB", (side, side))
        image.thumbnail((side, side))
        return image.copy()


def _first_frame(path: Path) -> Image.Image:
    if path.suffix.lower() == ".gif":
        return Image.open(path)
    from creative.video import open_video

    return next(open_video(path).frames())


def _page_of(text: str) -> str:
    """The beginning of a text on a sheet of paper, as SVG: the browser has letters for every language."""
    lines = [part for line in text.split("\n")[:11] for part in textwrap.wrap(line, 30) or [""]][:11]
    rows = "".join(f'<tspan x="20" dy="24">{html.escape(_printable(line))}</tspan>' for line in lines)
    style = (
        "rect{fill:#fffdfa}text{fill:#23262b}@media(prefers-color-scheme:dark){rect{fill:#1b1e21}text{fill:#ebe8e1}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320"><style>{style}</style>'
        '<rect width="320" height="320"/><text y="18" font-family="ui-monospace,Menlo,Consolas,monospace" '
        f'font-size="15" xml:space="preserve">{rows}</text></svg>'
    )


def _printable(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


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
    rows += [(name.replace("_", " "), str(words)) for name, words in provenance.result.get("given", {}).items()]
    for name, value in provenance.settings.items():
        value = tuple(value) if isinstance(value, list) else value  # JSON knows no tuples
        if name == "seed" or value != defaults.get(name):
            told = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            rows.append((name.replace("_", " "), told))
    items = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows if value)
    return f'<dl class="facts">{items}</dl>'
