"""What made a file: written into every result, read back, compared, and enough to make the same bytes again.

    image.info["provenance"] = describe_run("style", settings, inputs={"photo": photo}, weights={"features": sha256})
    save_image(image, "out.png")
    read_provenance("out.png").settings["seed"]

There are no dates, durations or folders in it: the same job makes the same bytes.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic import BaseModel, ConfigDict

from creative.files import explain, file_sha256, plain_name, replacing, shown
from creative.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = 1
"""Of the record itself; a later one may hold what this version does not know."""
MAX_SIDECAR = 1_000_000
"""Most bytes of a sidecar that are read."""
_MAX_SEARCHED = 500  # files of a folder that are looked into for an input under another name


class ProvenanceError(ValueError):
    """Provenance cannot be read or written, or an input cannot be found. The message is one sentence for a person."""


class Source(BaseModel):
    """One file that went in: its name without folders and the SHA-256 of its bytes; without a name, of its pixels."""

    model_config = ConfigDict(frozen=True, strict=True)

    file: str
    sha256: str


class Provenance(BaseModel):
    """How a result was made.

    Attributes:
        format: version of this record.
        action: the verb, such as "style".
        settings: all of them, as they took effect.
        inputs: the files that went in, by the name of the input.
        weights: SHA-256 of each weights file used, by the network's name.
        versions: of creative, Python, PyTorch, Pillow, and the instructions that the processor was used with.
        device: "cpu", "cuda" or "mps", and the accelerator's name.
        threads: that PyTorch computed with.
        result: facts that repeating the job needs, such as the steps that a time budget came to.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    format: int = FORMAT
    action: str
    settings: dict[str, Any]
    inputs: dict[str, list[Source]] = {}
    weights: dict[str, str] = {}
    versions: dict[str, str] = {}
    device: str = "cpu"
    threads: int = 1
    result: dict[str, Any] = {}

    def to_json(self, *, indent: int | None = None) -> str:
        """The record in ASCII, the same characters each time."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=indent)


def describe_run(
    action: str,
    settings: Settings | Mapping[str, Any],
    *,
    inputs: Mapping[str, Image | Mapping[str, str] | Sequence[Image | Mapping[str, str]] | None] | None = None,
    weights: Mapping[str, str] | None = None,
    device: Any = "cpu",
    result: Mapping[str, Any] | None = None,
) -> Provenance:
    """The record of a run on this machine.

    Args:
        action: the verb.
        settings: as they took effect.
        inputs: for each input a picture or several, or ``{"file": ..., "sha256": ...}`` for what is no picture; None
            for one that was not given. Give pictures as they were opened: one that was changed since is recorded by
            its pixels, not by its file.
        weights: SHA-256 of the weights used, by name.
        device: that it ran on.
        result: facts that a repetition needs.

    Raises:
        ProvenanceError: the settings or the result hold what JSON cannot.
    """
    values = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else settings
    sources = {name: _sources(given) for name, given in (inputs or {}).items() if given is not None}
    return Provenance(
        action=action,
        settings=_json(values),
        inputs={name: found for name, found in sources.items() if found},
        weights=dict(weights or {}),
        versions=versions(),
        device=_device_name(str(device)),
        threads=_num_threads(),
        result=_json(result or {}),
    )


def _json(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON would give it back, so that a record equals itself read from a file."""
    try:
        return dict(json.loads(json.dumps(dict(values), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise ProvenanceError(f"Only JSON can be recorded: {error}.") from None


def _sources(given: Any) -> list[Source]:
    from creative.images import source_of

    many = given if isinstance(given, Sequence) else [given]
    found = []
    for one in many:
        if one is None:
            continue
        source = one if isinstance(one, Mapping) else source_of(one)
        found.append(Source(file=plain_name(source["file"]), sha256=source["sha256"]))
    return found


def versions() -> dict[str, str]:
    """Of what a result's bytes depend on, on this machine."""
    import creative

    found = {"creative": creative.__version__, "python": platform.python_version()}
    for package in ("torch", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    import torch

    found["processor"] = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return found


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        if torch.cuda.is_available():
            return f"cuda ({torch.cuda.get_device_name(device)})"
    return device


def _num_threads() -> int:
    from creative.device import num_threads

    return num_threads()


def sidecar_path(path: str | os.PathLike[str]) -> Path:
    """Where the provenance of a file that cannot hold it is kept: ``poem.txt`` has ``poem.txt.json``."""
    path = Path(path)
    return path.with_name(path.name + ".json")


def write_sidecar(path: str | os.PathLike[str], provenance: Provenance) -> Path:
    """Write provenance beside the file it is about.

    Raises:
        ProvenanceError: it cannot be written.
    """
    beside = sidecar_path(path)
    try:
        with replacing(beside) as temporary:
            temporary.write_text(provenance.to_json(indent=2) + "\n", encoding="ascii")
    except OSError as error:
        raise ProvenanceError(explain(error, beside)) from error
    return beside


def read_provenance(path: str | os.PathLike[str]) -> Provenance | None:
    """What a file says of how it was made: inside the picture, else in its sidecar; None where nothing is said.

    A sidecar itself may be given too. Text that is not provenance counts as nothing.

    Raises:
        ProvenanceError: there is no such file, or its provenance was written by a later version.
    """
    from creative.images import read_note

    path = Path(path)
    if not path.is_file():
        raise ProvenanceError(f"{shown(path)} is a folder." if path.is_dir() else f"There is no file {shown(path)}.")
    own = path if path.suffix == ".json" else sidecar_path(path)
    for text in (read_note(path), _text(own)):
        provenance = _parsed(text, path) if text else None
        if provenance is not None:
            return provenance
    return None


def _text(path: Path) -> str | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(MAX_SIDECAR + 1)
        return data.decode("utf-8") if len(data) <= MAX_SIDECAR else None
    except (OSError, UnicodeDecodeError):
        return None


def _parsed(text: str, path: Path) -> Provenance | None:
    try:
        values = json.loads(text, parse_constant=_no_constant)
        later = isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] > FORMAT
        provenance = None if later else Provenance.model_validate(values)
    except (ValueError, RecursionError, pydantic.ValidationError):
        return None
    if later:
        raise ProvenanceError(f"{path.name} was made by a later version of creative; this one cannot read its record.")
    return provenance


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def differences(recorded: Provenance, now: Provenance) -> list[str]:
    """What differs between two runs, one sentence each; none where the same bytes are to be expected."""
    found = []
    if recorded.action != now.action:
        found.append(f"action: recorded {shown(recorded.action)}, here {now.action}.")
    for title, before, after in (
        ("setting", recorded.settings, now.settings),
        ("result", recorded.result, now.result),
        ("input", _hashes(recorded.inputs), _hashes(now.inputs)),
        ("weights", _shortened(recorded.weights), _shortened(now.weights)),
        ("version of", recorded.versions, now.versions),
    ):
        changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
        found += [f"{title} {name!r}: recorded {_value(before, name)}, here {_value(after, name)}." for name in changed]
    for title, was, is_now in (("device", recorded.device, now.device), ("threads", recorded.threads, now.threads)):
        if was != is_now:
            found.append(f"{title}: recorded {shown(str(was))}, here {is_now}.")
    return found


def _value(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "none"
    return shown(str(values[name]))


def _hashes(inputs: Mapping[str, Sequence[Source]]) -> dict[str, str]:
    """By their content alone: a file may have been renamed."""
    return {name: ", ".join(_short(source.sha256) for source in many) for name, many in inputs.items()}


def _shortened(weights: Mapping[str, str]) -> dict[str, str]:
    return {name: _short(sha256) for name, sha256 in weights.items()}


def _short(sha256: str) -> str:
    return shown(sha256[:12] + "…" if len(sha256) > 12 else sha256)


def find_input(source: Source, result: str | os.PathLike[str], given: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """The file that went in: among those given, else beside the result, one folder up or in the working folder.

    It is known by its content: under its own name, or under any name beside the result.

    Raises:
        ProvenanceError: it is not there, or only a changed file of that name is.
    """
    folder = Path(result).absolute().parent
    places = [folder, folder.parent, Path.cwd()]
    named = [place / plain_name(source.file) for place in places] if source.file else []
    for path in [*map(Path, given), *named]:
        if _is(path, source, by_pixels=True):
            return path
    for path in sorted(folder.iterdir())[:_MAX_SEARCHED] if folder.is_dir() else []:
        if _is(path, source, by_pixels=not source.file):
            return path
    name = shown(source.file) or "The picture"
    if changed := next((path for path in named if path.is_file()), None):
        raise ProvenanceError(
            f"{shown(changed)} is not the {name} that {Path(result).name} was made from: its content differs."
        )
    raise ProvenanceError(
        f"{name} (sha256 {_short(source.sha256)}), which {Path(result).name} was made from, was not found beside it "
        "or in this folder; give its path."
    )


def _is(path: Path, source: Source, *, by_pixels: bool) -> bool:
    """Whether a file is what went in: the same bytes or, where a picture came from memory, the same pixels."""
    from creative.images import OPENED, ImageError, open_image, pixel_sha256

    try:
        if not path.is_file():
            return False
        if file_sha256(path) == source.sha256:
            return True
        if not by_pixels or path.suffix.lower() not in OPENED:
            return False
        picture = open_image(path)
        return source.sha256 in {pixel_sha256(picture), pixel_sha256(picture.convert("L"))}  # a mask's are grey
    except (OSError, ImageError):
        return False
