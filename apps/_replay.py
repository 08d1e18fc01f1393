"""Replay: make a result again from what its file says of itself, and compare the bytes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps import _results as results
from apps._app import Action, Saved, perform
from apps._terminal import Screen, Stopped, facts, follow
from creative.provenance import (
    Provenance,
    ProvenanceError,
    Source,
    differences,
    find_input,
    read_provenance,
    sidecar_path,
)
from creative.settings import NAMED, Description, Inputs, Settings, SettingsError, describe


class ReplayError(ValueError):
    """A result cannot be made again. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A job as a result's file tells it, ready to be done again."""

    file: Path
    made: Provenance
    action: Action
    inputs: Inputs
    settings: Settings


def replay(file: Path, given: Sequence[Path], actions: Mapping[str, Action], options: Any) -> int:
    """Make the result in ``file`` again beside it and say whether it has the same bytes: 0 if so, else 1.

    A sheet with figures that were measured is the same if its pictures are.

    Args:
        given: inputs that lie somewhere else.
        actions: the verbs that can be repeated.
        options: of the command line; a device given there stands in for the one that was recorded.

    Raises:
        ValueError: the file does not say how it was made, or an input is not to be found.
    """
    recorded = read(file, given, actions)
    made, screen = recorded.made, Screen.of(options)
    out = _free(Path(options.out) if options.out is not None else None, recorded)
    device = options.device if options.device != "auto" else made.device.split(" ")[0]
    import torch

    torch.set_num_threads(max(1, made.threads))
    stop_at = made.result.get("steps") if made.result.get("complete") is False else None
    job = perform(recorded.action, recorded.inputs, recorded.settings, device=device, out=out, repeats=made)
    try:
        saved = follow(job, screen, recorded.file.name, stop_at=stop_at)
    except Stopped:
        print("creative replay: stopped before its end; there is nothing to compare.", file=sys.stderr)
        return 130
    except Exception as error:
        error.__dict__["while_running"] = True
        raise
    if saved.path != out:  # one that was stopped, as its original was
        _rename(saved.path, out)
    same, found, pixels = compare(recorded.file, out, made)
    parts = not same and same_pictures(made, out)
    if options.json_report:
        report = {**_facts(saved, out), "same": same, "differences": found, "largest_pixel_difference": pixels}
        report |= {"same_pictures": True} if parts else {}
        print(json.dumps(report, ensure_ascii=False))
    elif parts:
        print(out)
        print(f"The same pictures as on {recorded.file.name}; what was measured, seconds say, is new.", file=sys.stderr)
    else:
        _tell(recorded.file, out, same, found, pixels)
    return 0 if same or parts else 1


def read(file: Path, given: Sequence[Path], actions: Mapping[str, Action]) -> Recorded:
    """What a result says of itself, its inputs found.

    Raises:
        ReplayError: it says nothing, or not enough for this version.
        ProvenanceError: there is no such file, or an input is not to be found.
    """
    made = read_provenance(file)
    if made is None:
        raise ReplayError(
            f"{file.name} does not say how it was made: only results of creative do, while their metadata is kept."
        )
    if file.suffix == ".json" and file.with_suffix("").is_file():
        file = file.with_suffix("")
    if made.action not in actions:
        raise ReplayError(f"{file.name} was made by `creative {made.action}`, which this version does not have.")
    action = actions[made.action]
    for path in given:
        if not path.is_file():
            raise ReplayError(f"There is no file {path}.")
    try:
        settings = action.settings(**made.settings)
        inputs = action.inputs(**_inputs(action, made, file, given))
    except SettingsError as error:
        raise ReplayError(f"{file.name} was made by another version of creative: {error}") from None
    return Recorded(file, made, action, inputs, settings)


def _inputs(action: Action, made: Provenance, file: Path, given: Sequence[Path]) -> dict[str, Any]:
    values: dict[str, Any] = dict(made.result.get("given", {}))
    for entry in describe(action.inputs):
        found = [_found(entry, source, file, given) for source in made.inputs.get(entry.name, ())]
        if found:
            values[entry.name] = tuple(found) if entry.many else found[0]
    return values


def _found(entry: Description, source: Source, file: Path, given: Sequence[Path]) -> str:
    """An input's path, or a preset's name."""
    if entry.file == "style":
        from creative.files import file_sha256
        from creative.weights import find_preset, list_presets

        for name in list_presets():
            if name == Path(source.file).stem and file_sha256(find_preset(name)) == source.sha256:
                return name
    if entry.file in NAMED:
        from creative.trained import name_of

        known = name_of(str(entry.file), source.sha256)
        if known is not None:
            return known
    try:
        return str(find_input(source, file, given))
    except ProvenanceError as error:
        named = [path for path in given if path.name == source.file]
        if named or len(given) == 1:  # told to take it: what differs is said after the run
            return str((named or list(given))[0])
        raise ReplayError(str(error).replace("give its path", "give it with --input PATH")) from None


def _free(out: Path | None, recorded: Recorded) -> Path:
    """Where the repetition goes: where it is told to, else beside the original under a name that is free."""
    file = recorded.file
    if out is not None and not results.is_folder(out):
        place = results.Place(out, fixed=True)
        if out.suffix.lower() != file.suffix.lower():
            raise ReplayError(f"The repetition must be a {file.suffix} file like {file.name}, not {out.name}.")
    else:
        place = results.Place((out or file.parent) / f"{file.stem}-replay{file.suffix}", fixed=False)
    if place.path.resolve() == file.resolve():
        raise ReplayError(f"The repetition would overwrite {file}; choose another name.")
    return place.free(recorded.made.result.get("job"))


def _rename(path: Path, to: Path) -> None:
    path.replace(to)
    if sidecar_path(path).is_file():
        sidecar_path(path).replace(sidecar_path(to))


def _facts(saved: Saved, out: Path) -> dict[str, Any]:
    return {**facts(saved), "output": str(out)}


# Comparing ----------------------------------------------------------------------------------------------------------


def compare(original: Path, repeated: Path, made: Provenance) -> tuple[bool, list[str], int | None]:
    """Whether two results have the same bytes; else what differs in how they were made, and the largest difference
    of their pixels in levels of 255, or None where they are no pictures of one size.
    """
    if original.read_bytes() == repeated.read_bytes():
        return True, [], 0
    now = read_provenance(repeated)
    return False, differences(made, now) if now is not None else [], _largest_difference(original, repeated)


def same_pictures(made: Provenance, repeated: Path) -> bool:
    """Whether results that are sheets with figures on them show the same pictures: these are told by SHA-256."""
    now = read_provenance(repeated)
    before = made.result.get("pictures")
    return bool(before) and now is not None and now.result.get("pictures") == before


def _largest_difference(original: Path, repeated: Path) -> int | None:
    from PIL import ImageChops

    from creative.images import ImageError, open_image

    try:
        before, after = open_image(original), open_image(repeated)
    except ImageError:
        return None
    if before.size != after.size:
        return None
    extremes: Any = ImageChops.difference(before, after).getextrema()
    return max(high for _, high in extremes)


def _tell(original: Path, repeated: Path, same: bool, found: Sequence[str], pixels: int | None) -> None:
    print(repeated)
    if same:
        print(f"The same bytes as {original.name}.", file=sys.stderr)
        return
    print(f"Not the same bytes as {original.name}.", file=sys.stderr)
    for sentence in found:
        print(f"  {sentence}", file=sys.stderr)
    if not found:
        print("  Nothing that the file records differs; the program itself may have changed since.", file=sys.stderr)
    if pixels is not None:
        told = "The pixels are the same" if pixels == 0 else f"The largest difference of a pixel is {pixels} of 255"
        print(f"  {told}.", file=sys.stderr)
