"""Where a text-to-image pipeline of somebody's own lies, and whether it is one that may be read.

A folder as ``diffusers`` saves it, or a name on huggingface.co, looked for on this machine first. Only safetensors are
read, never a pickle, and no code that comes with a pipeline is run; all of this is found out before anything is loaded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from creative.files import file_sha256, shown
from creative.pretrained import REPOSITORY, TIMEOUT, Place, PretrainedError, hub_told
from creative.progress import Step

Task = Literal["text", "image", "inpaint"]
SUGGESTED = "stabilityai/sd-turbo"
"""A pipeline that comes as safetensors and draws in one to four steps."""
INDEX = "model_index.json"
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5")
_SAFE = ".safetensors"
_HALF = ".fp16."
_NOT_PICTURES = {"Audio": "sounds", "Music": "sounds", "Video": "videos", "Shap": "solids"}
_SMALL = (".json", ".txt", ".model")  # endings of files that are no weights


class PipelineError(PretrainedError):
    """A pipeline cannot be had, read or used. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Index:
    """What a pipeline's ``model_index.json`` says.

    Attributes:
        kind: its class in diffusers.
        parts: the class of each part by name, without what is left out.
    """

    kind: str
    parts: Mapping[str, str]


def check_packages(*names: str) -> None:
    """Whether the packages that pipelines need are here.

    Raises:
        PipelineError: one is not; the message has the command.
    """
    lacking = [name for name in ("transformers", *names) if find_spec(name) is None]
    if lacking:
        raise PipelineError(
            f"A pipeline of your own needs the package {lacking[0]}: install it with `pip install creative[diffusion]`."
        )


def find_pipeline(name: str | os.PathLike[str]) -> Place:
    """Where a pipeline is; nothing is asked of the network.

    Raises:
        PipelineError: transformers is missing; there is no such folder; it is no pipeline, a pickle, or has code.
    """
    check_packages()
    text, path = os.fspath(name), Path(name).expanduser()
    if path.is_dir():
        read_index(path)
        return Place(text, path)
    if path.exists():
        _refuse_file(path)
    if not REPOSITORY.fullmatch(text) or path.suffix in {_SAFE, *_PICKLES}:
        raise PipelineError(f"There is no folder {shown(path)}, nor can a pipeline on huggingface.co be called that.")
    repository, _, revision = text.partition("@")
    place = Place(text, None, repository, revision or None)
    return Place(text, _cached(place), repository, place.revision)


def _refuse_file(path: Path) -> None:
    if path.suffix in _PICKLES:
        raise PipelineError(
            f"{shown(path)} is a pickle, which may run code when it is read, so it is not; give the folder of a "
            f"pipeline with safetensors, such as {SUGGESTED}."
        )
    raise PipelineError(f"{shown(path)} is a single file, where the folder of a pipeline with its {INDEX} is expected.")


def read_index(folder: Path, name: str = "") -> Index:
    """What a folder's pipeline is made of, if it may be read: every part's weights as safetensors, and no code.

    Raises:
        PipelineError: it is no pipeline, or is refused.
    """
    told = name or shown(folder)
    index = _parts(folder, told)
    for part in index.parts:
        _check_weights(folder / part, told)
    return index


def _parts(folder: Path, told: str) -> Index:
    """What the index alone says."""
    values = _json(folder / INDEX)
    if values is None:
        raise PipelineError(f"{told} holds no pipeline: {_what_else(folder)}")
    if not isinstance(values, dict) or not values.get("_class_name"):
        raise PipelineError(f"The {INDEX} of {told} is not that of a pipeline.")
    kind = values["_class_name"]
    entries = {key: value for key, value in values.items() if isinstance(value, list) and len(value) == 2}
    if not isinstance(kind, str) or any(_is_code(folder / key, str(one[0])) for key, one in entries.items() if one[0]):
        raise PipelineError(f"{told} comes with code of its own, which is not run; choose a pipeline without.")
    return Index(kind, {key: str(value[1]) for key, value in entries.items() if value[0] and value[1]})


def _json(path: Path) -> Any:
    """What a file of JSON says; None where there is none, and what no JSON says is nothing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}


def _what_else(folder: Path) -> str:
    """What a folder without an index is, as far as one can tell."""
    if (folder / "best.safetensors").is_file():
        return "it is a network of the suite's own kind; give it as the model, not as a pipeline."
    config = _json(folder / "config.json")
    if isinstance(config, dict) and (kind := config.get("_class_name") or config.get("model_type")):
        return f"it is a single network ({kind}), and at best one part of a pipeline."
    pickle = next((file.name for file in sorted(folder.iterdir()) if file.suffix in _PICKLES), None)
    if pickle:
        return f"{pickle} is a pickle, which may run code when it is read, so it is not."
    return f"there is no {INDEX} in it."


def _is_code(part: Path, library: str) -> bool:
    """Whether a part is of a class that neither diffusers nor transformers has."""
    config = _json(part / "config.json")
    if isinstance(config, dict) and "auto_map" in config:
        return True
    if library in {"diffusers", "transformers"}:
        return False
    return not library.isidentifier() or find_spec(f"diffusers.pipelines.{library}") is None


def _check_weights(part: Path, told: str) -> None:
    files = [file.name for file in part.iterdir()] if part.is_dir() else []
    if "config.json" not in files or any(name.endswith(_SAFE) for name in files):
        return
    pickle = next((name for name in sorted(files) if name.endswith(_PICKLES)), None)
    if pickle is None:
        raise PipelineError(f"{told} is not complete: the weights of its {part.name} are missing.")
    raise PipelineError(_pickled(told, f"{part.name}/{pickle}"))


def _pickled(told: str, file: str) -> str:
    return (
        f"The weights of {told} are pickles ({file}), which may run code when they are read, so they are not; "
        f"choose a pipeline with safetensors, such as {SUGGESTED}."
    )


def check_task(kind: str, task: Task, told: str, *, controlled: bool = False) -> None:
    """Whether a kind of pipeline can do what is asked.

    Args:
        kind: its class.
        task: from words alone, from a photo, or filling a photo in.
        told: what it is called.
        controlled: by a ControlNet as well.

    Raises:
        PipelineError: it cannot; the message says what it is.
    """
    from diffusers.pipelines import auto_pipeline as known

    tables: dict[Task, Mapping[str, type]] = {
        "text": known.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
        "image": known.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
        "inpaint": known.AUTO_INPAINT_PIPELINES_MAPPING,
    }
    names = [name for table in tables.values() for name, one in table.items() if one.__name__ == kind]
    if not names:
        makes = next((what for word, what in _NOT_PICTURES.items() if word in kind), None)
        what = f"makes {makes}" if makes else "draws no pictures from words"
        raise PipelineError(
            f"{told} is a {kind}, which {what}; what can be used here is a text-to-image pipeline, such as {SUGGESTED}."
        )
    plain = names[0].replace("-controlnet", "")
    if controlled and f"{plain}-controlnet" not in tables[task]:
        raise PipelineError(f"{told} is a {kind}, which no ControlNet can lead here.")
    if plain not in tables[task]:
        cannot = {"text": "draw from words alone", "image": "begin with a photo", "inpaint": "fill in a photo"}[task]
        raise PipelineError(f"{told} is a {kind}, which cannot {cannot}.")


def fills_in_only(folder: Path) -> bool:
    """Whether a pipeline's U-Net is given a masked photo besides what it draws: nine channels in place of four."""
    config = _json(folder / "unet" / "config.json")
    return isinstance(config, dict) and config.get("in_channels") == 9


def variant_of(folder: Path, parts: Mapping[str, str]) -> str | None:
    """``fp16`` where some part's weights are there in half precision only."""
    for part in parts:
        names = [file.name for file in (folder / part).glob(f"*{_SAFE}")]
        if names and all(_HALF in name for name in names):
            return "fp16"
    return None


def weight_files(folder: Path, parts: Mapping[str, str]) -> dict[str, list[Path]]:
    """The safetensors of each part that will be read."""
    half = variant_of(folder, parts) is not None
    found = {}
    for part in parts:
        files = sorted((folder / part).glob(f"*{_SAFE}"))
        halves = [file for file in files if _HALF in file.name]
        found[part] = halves if half and halves else [file for file in files if file not in halves]
    return {part: files for part, files in found.items() if files}


def weights_sha256(folder: Path, parts: Mapping[str, str]) -> str:
    """SHA-256 of what draws: the first file of the U-Net's or the transformer's weights."""
    files = weight_files(folder, parts)
    main = next((part for part in ("unet", "transformer", "prior") if part in files), next(iter(files)))
    return file_sha256(files[main][0])


def fetch_pipeline(place: Place) -> Generator[Step, None, Path]:
    """Download a pipeline from huggingface.co, after saying how much that is; its folder.

    Raises:
        PretrainedError: there is no such pipeline, no connection, or nothing in it that may be read.
    """
    with hub_told(place):
        from huggingface_hub import hf_hub_download, model_info

        yield Step(0)
        info = model_info(place.repository, revision=place.revision, timeout=TIMEOUT, files_metadata=True)
        sizes = {one.rfilename: one.size or 0 for one in info.siblings or []}
        if INDEX not in sizes:
            raise PipelineError(f"{place.name} on huggingface.co holds no pipeline: there is no {INDEX} in it.")
        folder = Path(hf_hub_download(place.repository, INDEX, revision=info.sha)).parent
        files = wanted(sizes, list(_parts(folder, place.name).parts), place.name)
        size = sum(files.values())
        told = f"Downloading {place.name} from huggingface.co: {size / 1e6:,.0f} MB, once."
        yield Step(0, len(files), message=told)
        done = 0
        for name in sorted(files, key=lambda name: files[name]):  # the small ones first: what is wrong shows at once
            hf_hub_download(place.repository, name, revision=info.sha)
            done += files[name]
            yield Step(0, len(files), fraction=min(1.0, done / max(1, size)))
    read_index(folder, place.name)
    return folder


def wanted(sizes: Mapping[str, int], parts: Sequence[str], told: str) -> dict[str, int]:
    """Of a repository's files those that are needed, with their sizes: half precision where a part has it.

    Raises:
        PipelineError: the weights of a part are pickles.
    """
    found: dict[str, int] = {INDEX: sizes[INDEX]}
    for part in parts:
        own = {name: size for name, size in sizes.items() if name.startswith(f"{part}/") and name.count("/") == 1}
        weights = [name for name in own if name.endswith(_SAFE)]
        pickle = next((name for name in own if name.endswith(_PICKLES)), None)
        if pickle and not weights:
            raise PipelineError(_pickled(told, pickle))
        halves = [name for name in weights if _HALF in name]
        found |= {name: own[name] for name in own if name.endswith(_SMALL) and "flax" not in name}
        found |= {name: own[name] for name in halves or weights if "non_ema" not in name}
    return found


def _cached(place: Place) -> Path | None:
    """The folder of what was downloaded before, if all of it is there."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(place.repository, revision=place.revision, local_files_only=True))
        read_index(folder, place.name)
    except Exception:  # the package has an error of its own for each reason
        return None
    return folder
