"""Where results go: their names, what makes two jobs the same, and saving without treading on anybody's feet."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps._app import Action
from creative.files import check_writable, explain, file_sha256, plain_name, replacing
from creative.provenance import Provenance, ProvenanceError, Source, read_provenance, sidecar_path, write_sidecar
from creative.settings import NAMED, Inputs, Settings, SettingsError, describe

OUT = Path("out")
"""Where results go unless somebody says otherwise."""
SUFFIX = {"image": ".png", "text": ".txt", "video": ".mp4", "model": ".safetensors", "folder": ""}


class OutputError(ValueError):
    """A result cannot be saved where it should be. The message is one sentence for a person."""


# What goes in -------------------------------------------------------------------------------------------------------


def files(inputs: Inputs, *, folders: str | None = None) -> dict[str, list[Path]]:
    """The files that the inputs name, by field; a style's preset is a file as well.

    Args:
        folders: a field where a folder may stand for its files.

    Raises:
        ValueError: one of them is not there, or is a folder where a file is wanted.
    """
    found: dict[str, list[Path]] = {}
    for entry in describe(type(inputs)):
        value = getattr(inputs, entry.name)
        if entry.file is None or value is None or value == ():
            continue
        values = value if entry.many else (value,)
        kind = "any" if entry.name == folders else entry.file
        paths = [path for one in values if (path := _named(one, kind)) is not None]
        found |= {entry.name: paths} if paths else {}
    return found


def _named(value: Any, kind: str) -> Path | None:
    """The file that is meant; None for what is no file of this machine: a pretrained network yet to be fetched, data
    that are drawn.
    """
    if kind == "captioner":
        from creative.pretrained import find_pretrained, is_pretrained

        if is_pretrained(value):
            return find_pretrained(value).weights
    if kind == "captions" and value == "scenes":
        return None
    if kind in NAMED:
        from creative.trained import find_trained

        return find_trained(kind, value)
    return _style(value) if kind == "style" else _file(Path(value), kind)


def _style(name: str) -> Path:
    from creative.images import OPENED
    from creative.weights import find_preset

    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise SettingsError(f"{path} is a folder; a style is a picture or the name of a preset.")
    if path.suffix.lower() in {*OPENED, ".safetensors"} or path.name != name:
        raise SettingsError(f"There is no file {path}.")
    return find_preset(name)


def _file(path: Path, kind: str) -> Path:
    if path.parts and path.parts[0] in {"http:", "https:"}:
        raise SettingsError(f"{path.name} is on the web, and nothing is fetched from there: download it first.")
    if not path.exists():
        from creative.weights import list_presets

        if str(path) in list_presets():
            raise SettingsError(
                f"There is no file {path}; it is a style, and only the last word is one: --more-styles mixes several."
            )
        raise SettingsError(f"There is no {'folder' if kind == 'folder' else 'file'} {path}.")
    if kind == "folder" and not path.is_dir():
        raise SettingsError(f"{path} is not a folder.")
    if kind not in {"folder", "pictures", "any", "captions"} and path.is_dir():
        raise SettingsError(f"{path} is a folder, where a file is expected.")
    if kind != "folder" and not os.access(path, os.R_OK):
        raise SettingsError(f"{path} cannot be read: you have no permission to.")
    return path


def check(action: Action, inputs: Inputs) -> None:
    """Whether one job can be made of the inputs, before anything is loaded for it.

    Raises:
        ValueError: a file is missing or too large, or there are several where one job takes one.
    """
    from creative.images.opening import check_bytes

    found = files(inputs)
    kinds = {"picture", "mask", "style"}
    pictures = [name for name in found if _kind(inputs, name) in kinds and name != action.together]
    for path in (path for name in pictures for path in found[name]):
        check_bytes(path)
    if action.batch is not None and len(found.get(action.batch, ())) > 1:
        raise SettingsError(f"One job takes one {action.batch}; give several to separate jobs.")


def sources(inputs: Inputs) -> dict[str, list[dict[str, str]]]:
    """The files by field, as provenance tells them: name and SHA-256. Folders are left out."""
    return {
        name: [{"file": plain_name(path), "sha256": file_sha256(path)} for path in paths if path.is_file()]
        for name, paths in files(inputs).items()
    }


def record(
    made: Provenance, action: Action, inputs: Inputs, settings: Settings, repeats: Provenance | None
) -> Provenance:
    """An engine's provenance with what a repetition needs: the verb, the files by the names of their fields, the words.

    A repetition keeps its original's names, where the files' content is the same, and its words for the same settings,
    which another version may have recorded.
    """
    files = {name: [Source(**source) for source in found] for name, found in sources(inputs).items() if found}
    if repeats is not None:
        same = {name: [one.sha256 for one in found] for name, found in repeats.inputs.items()}
        files = {
            name: repeats.inputs[name] if [one.sha256 for one in found] == same.get(name) else found
            for name, found in files.items()
        }
    key = repeats.result.get("job") if repeats is not None else job_key(action, inputs, settings)
    values = inputs.model_dump(mode="json")
    plain = [
        entry
        for entry in describe(type(inputs))
        if entry.file is None or (entry.file in NAMED and entry.name not in files)
    ]
    words = {entry.name: values[entry.name] for entry in plain if getattr(inputs, entry.name) != entry.default}
    told = {**made.result, **({"given": words} if words else {}), "job": key}
    asked = made.settings
    with contextlib.suppress(SettingsError):
        if repeats is not None and action.settings(**repeats.settings) == action.settings(**asked):
            asked = repeats.settings
    return made.model_copy(update={"action": action.verb, "settings": asked, "inputs": files, "result": told})


def has_folders(inputs: Inputs) -> bool:
    """Whether what goes in is more than files, so that nobody can say whether it is the same as last time."""
    kinds = {"folder", "pictures", "captions"}
    return any(path.is_dir() for name, paths in files(inputs).items() for path in paths if _kind(inputs, name) in kinds)


def _kind(inputs: Inputs, name: str) -> str | None:
    return next(entry.file for entry in describe(type(inputs)) if entry.name == name)


def job_key(action: Action, inputs: Inputs, settings: Settings) -> str:
    """What makes two jobs the same: verb, settings and the content of everything that goes in; sixteen digits."""
    given: dict[str, Any] = inputs.model_dump(mode="json")
    for name, found in sources(inputs).items():
        given[name] = [source["sha256"] for source in found]
    asked = [action.verb, settings.model_dump(mode="json"), given]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def is_result_of(path: Path, key: str, inputs: Inputs) -> bool:
    """Whether a file is the complete result of that job, made with the weights that are here now."""
    from creative.weights import catalog, locate

    try:
        made = read_provenance(path)
    except (OSError, ProvenanceError):
        return False
    if made is None or made.result.get("job") != key or made.result.get("complete", True) is False:
        return False
    given = {source["sha256"] for found in sources(inputs).values() for source in found}
    for known in catalog():
        sha256 = made.weights.get(known.network) or made.weights.get(known.name)
        here = locate(known.name) if sha256 and sha256 not in given else None
        if here is not None and file_sha256(here) != sha256:
            return False
    return True


# Where it goes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job's result goes."""

    path: Path
    fixed: bool
    """Somebody gave the file's name, so it is overwritten; else a name that is free is found."""

    @classmethod
    def of(
        cls, action: Action, inputs: Inputs, settings: Settings, out: str | Path | None, suffix: str | None = None
    ) -> Place:
        """The place for a result, if it can be written to.

        Raises:
            OutputError: it cannot, or an input would be overwritten.
            ValueError: the suffix is not one that results are saved in.
        """
        if action.output == "folder" and out is not None:
            place = cls(Path(out), fixed=True)
        elif out is None and action.place is not None:
            place = cls(action.place(inputs, settings), fixed=True)
        elif action.place is not None and out is not None and is_folder(out):
            place = cls(Path(out) / action.place(inputs, settings).name, fixed=True)
        elif action.output == "folder":
            place = cls(OUT / "-".join(action.verb.split()), fixed=True)
        elif out is not None and not is_folder(out):
            place = cls(Path(out), fixed=True)
        else:
            name = result_name(action, inputs) + (suffix or SUFFIX[action.output])
            place = cls(Path(OUT if out is None else out) / name, fixed=False)
        place._check(action, inputs)
        return place

    def _check(self, action: Action, inputs: Inputs) -> None:
        if is_page(self.path) and action.output in {"image", "text"}:
            if action.show is None:
                raise OutputError(
                    f"`creative {action.verb}` has no page to save as {self.path.name}; end it otherwise."
                )
            self._check_writable()
        elif action.output == "image":
            from creative.images import check_output

            check_output(self.path)
        elif action.output == "video":
            from creative.video import check_video_output

            check_video_output(self.path)
        else:
            self._check_writable("file" if action.output == "folder" else "")
        target = self.path.resolve()
        if any(path.resolve() == target for paths in files(inputs).values() for path in paths if path.is_file()):
            raise OutputError(
                f"The result would overwrite {self.path}, which is one of its inputs; choose another name."
            )
        if action.output == "text" and not is_page(self.path):
            _check_text_name(self.path, table=action.table is not None)

    def _check_writable(self, inside: str = "") -> None:
        try:
            check_writable(self.path / inside)
        except OSError as error:
            raise OutputError(explain(error, self.path)) from None

    def done_already(self, key: str, inputs: Inputs) -> Path | None:
        """The file that this very job has made before, if it is there."""
        for path in self._names():
            if not path.exists():
                return None
            if is_result_of(path, key, inputs):
                return path
        return None

    def _names(self) -> Iterator[Path]:
        yield self.path
        for number in range(2, 1 if self.fixed else 10_000):
            yield self.path.with_stem(f"{self.path.stem}-{number}")

    def free(self, key: str | None, *, stopped: bool = False) -> Path:
        """The name to save under now: the one given; else the first that is free or holds the same job's result."""
        place = Place(self.path.with_stem(f"{self.path.stem}-stopped"), self.fixed) if stopped else self
        for path in place._names():
            if self.fixed or not path.exists() or _key(path) == key:
                return path
        raise OutputError(f"There are too many results called {place.path.name} in {place.path.parent}.")


def _check_text_name(path: Path, *, table: bool) -> None:
    """A text goes into a file of any name but those that other programs open as something else."""
    from creative.images import OPENED

    suffix = path.suffix.lower()
    others = {*OPENED, ".svg", ".pdf", ".mp4", ".mov", ".webm", ".safetensors", *([] if table else [".csv"])}
    if suffix in others:
        raise OutputError(f"The result is a text, and {path.name} is no name for one: end it in .txt, say.")


def is_folder(out: str | Path) -> bool:
    """Whether a place to put results is meant as a folder: it is one, ends in a slash, or has no suffix."""
    return str(out).endswith(("/", os.sep)) or Path(out).is_dir() or not Path(out).suffix


def is_page(path: Path) -> bool:
    """Whether a result is saved as a page to look at, with what its action shows of it."""
    return path.suffix.lower() == ".html"


def is_table(path: Path) -> bool:
    """Whether a result is saved as a table."""
    return path.suffix.lower() == ".csv"


def result_name(action: Action, inputs: Inputs) -> str:
    """``cat.jpg`` in the style ``starry-night`` as ``cat-starry-night``; of one input ``starry-night-texture``."""
    stems = []
    for entry in describe(type(inputs)):
        if entry.file in {"picture", "style", "video", "text"} and entry.positional:
            value = getattr(inputs, entry.name)
            first = value[0] if entry.many and value else value
            stems += [Path(str(first)).stem] if first else []
    parts = stems if len(stems) > 1 else [*stems, *action.verb.split()]
    name = "-".join(re.sub(r"[^\w.+-]+", "-", part).strip("-.") for part in parts)
    return name[:120].strip("-.") or action.verb


def _key(path: Path) -> Any:
    try:
        made = read_provenance(path)
    except (OSError, ProvenanceError):
        return None
    return made.result.get("job") if made is not None else None


def complete_sidecar(
    path: Path, action: Action, inputs: Inputs, settings: Settings, repeats: Provenance | None
) -> None:
    """Add what a repetition needs to the sidecar of a result that its engine has written by itself."""
    made = read_provenance(path)
    if made is not None:
        write_sidecar(path, record(made, action, inputs, settings, repeats))


def save(place: Place, result: Any, made: Provenance, *, stopped: bool = False) -> Path:
    """Save a picture, or a text with its sidecar, under a name that is free at this moment; the path.

    Raises:
        OutputError, ImageError: the disk is full, the folder is gone...
    """
    from PIL import Image

    from creative.images import save_image

    with _alone_in(place.path.parent):
        path = place.free(str(made.result.get("job")), stopped=stopped)
        if isinstance(result, Image.Image):
            result.info["provenance"] = made
            return save_image(result, path)
        try:
            with replacing(path) as beside:
                beside.write_text(str(result), encoding="utf-8", newline="\n")
        except OSError as error:
            raise OutputError(explain(error, path)) from error
        try:
            write_sidecar(path, made)
        except ProvenanceError:
            path.unlink(missing_ok=True)
            sidecar_path(path).unlink(missing_ok=True)
            raise
        return path


def save_beside(folder: Path, result: Any) -> dict[str, Path]:
    """Save the pictures that a result picture has in its ``info`` as ``beside``, such as a map that was guessed.

    Each is named after its content, as what is painted on a page is: one that was changed by hand is never overwritten.

    Returns:
        The files, by the names of the inputs that they can be given as.

    Raises:
        ImageError: the disk is full, the folder is gone...
    """
    from creative.images import encoded, save_image

    found: dict[str, Path] = {}
    for name, picture in (getattr(result, "info", None) or {}).get("beside", {}).items():
        digits = hashlib.sha256(encoded(picture, "PNG")).hexdigest()[:8]
        found[name] = path = folder / f"{name}-{digits}.png"
        if not path.exists():
            save_image(picture, path)
    return found


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One process at a time chooses a name in a folder; where the system cannot lock a folder, chance has to do."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
