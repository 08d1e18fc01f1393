"""Where a pretrained captioner of others lies: a folder, or a name on huggingface.co, looked for on this machine first.

Only safetensors are read, never a pickle, and no code that comes with a model is run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from creative.files import shown
from creative.progress import Step

KINDS = {
    "blip": "BlipForConditionalGeneration",
    "git": "GitForCausalLM",
    "vision-encoder-decoder": "VisionEncoderDecoderModel",
}
"""What a model's config.json may call it, and its class in transformers."""
SUGGESTED = {
    "Salesforce/blip-image-captioning-base": "Everyday photos: BLIP",
    "microsoft/git-base-coco": "Everyday photos: GIT",
}
"""Captioners that come as safetensors, by their names on huggingface.co."""
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
"""What a model on huggingface.co is called, with a revision after an ``@`` if need be."""
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
TIMEOUT = 10.0
"""Seconds for the hub to answer."""


class PretrainedError(ValueError):
    """A pretrained model cannot be had or read. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pretrained captioner is.

    Attributes:
        name: as somebody gave it.
        folder: on this machine; None where it has yet to be fetched.
        repository, revision: on huggingface.co, for one of there.
    """

    name: str
    folder: Path | None
    repository: str = ""
    revision: str | None = None

    @property
    def label(self) -> str:
        """What it is called: its name on huggingface.co, or the folder's."""
        return self.repository or (self.folder.resolve().name if self.folder is not None else self.name)

    @property
    def weights(self) -> Path | None:
        """The file of its weights, or the first of several; None where it has yet to be fetched."""
        return weight_files(self.folder)[0] if self.folder is not None else None


def is_pretrained(name: str | os.PathLike[str]) -> bool:
    """Whether a name means a pretrained captioner and not one of ours: a folder with its configuration or the weights
    in it, or ``owner/name`` of huggingface.co, with a revision after an ``@`` if need be.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.name.startswith("model") and (path.parent / "config.json").is_file()
    if path.is_dir():
        return not (path / "best.safetensors").is_file()
    return path.suffix != ".safetensors" and REPOSITORY.fullmatch(os.fspath(name)) is not None


def find_pretrained(name: str | os.PathLike[str]) -> Place:
    """Where a pretrained captioner is; nothing is asked of the network.

    Raises:
        PretrainedError: transformers is missing; there is no such folder; the model is of another kind, or a pickle.
    """
    check_installed()
    path = Path(name).expanduser()
    if path.exists():
        folder = path if path.is_dir() else path.parent
        check_folder(folder)
        return Place(os.fspath(name), folder)
    if not REPOSITORY.fullmatch(os.fspath(name)):
        raise PretrainedError(f"There is no folder {shown(path)}, nor can a model on huggingface.co be called that.")
    repository, _, revision = os.fspath(name).partition("@")
    place = Place(os.fspath(name), None, repository, revision or None)
    cached = _cached(place)
    if cached is not None:
        check_folder(cached, place.name)
    return Place(place.name, cached, place.repository, place.revision)


def check_installed() -> None:
    """Whether transformers is here.

    Raises:
        PretrainedError: it is not; the message has the command.
    """
    if find_spec("transformers") is None:
        raise PretrainedError(
            "Pretrained captioners need the package transformers: install it with `pip install 'creative[caption]'`."
        )


def check_folder(folder: Path, name: str = "") -> str:
    """The kind of the model in a folder.

    Raises:
        PretrainedError: it is none that can be read.
    """
    told = name or shown(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = str(config["model_type"])
    except FileNotFoundError:
        raise PretrainedError(f"{told} holds no pretrained captioner: there is no config.json in it.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise PretrainedError(f"The config.json of {told} is not that of a model.") from None
    if kind not in KINDS:
        known = "BLIP, GIT, and vision-encoder-decoder models such as ViT-GPT2"
        raise PretrainedError(f"{told} is a model of the kind {kind!r}; what can caption here is {known}.")
    if not weight_files(folder):
        raise PretrainedError(_no_safetensors(told))
    return kind


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a model, in one part or several; none where one is missing."""
    index = folder / _INDEX
    if not index.is_file():
        return [folder / _WEIGHTS] if (folder / _WEIGHTS).is_file() else []
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    parts = [folder / Path(str(name)).name for name in sorted(names)]
    return parts if all(part.is_file() for part in parts) else []


def fetch_pretrained(place: Place) -> Generator[Step, None, Path]:
    """Download a captioner's files from huggingface.co, after saying how much that is; the folder.

    Raises:
        PretrainedError: there is no such model, no connection, or nothing in it that can be read.
    """
    with hub_told(place):
        from huggingface_hub import hf_hub_download, model_info

        yield Step(0)
        info = model_info(place.repository, revision=place.revision, timeout=TIMEOUT, files_metadata=True)
        files = {one.rfilename: one.size or 0 for one in info.siblings or [] if _is_wanted(one.rfilename)}
        if not any(name.endswith(".safetensors") for name in files):
            raise PretrainedError(_no_safetensors(place.name))
        size = sum(files.values())
        told = f"Downloading {place.name} from huggingface.co: {size / 1e6:,.0f} MB, once."
        yield Step(0, len(files), message=told)
        done, folder = 0, Path()
        for name in sorted(files, key=lambda name: files[name]):  # the small ones first: what is wrong shows at once
            path = Path(hf_hub_download(place.repository, name, revision=info.sha))
            folder, done = path.parent, done + files[name]
            yield Step(0, len(files), fraction=min(1.0, done / max(1, size)))
    check_folder(folder, place.name)
    return folder


def _is_wanted(file: str) -> bool:
    """Configuration, vocabulary and safetensors in the repository's own folder, and not the same model once more."""
    if "/" in file:
        return False
    weights = re.fullmatch(r"model(-\d+-of-\d+)?\.safetensors", file) is not None
    return weights or file.endswith(".json") or file in {"vocab.txt", "merges.txt"}


def _cached(place: Place) -> Path | None:
    """The folder of what was downloaded before, if all of it is there."""
    from huggingface_hub import snapshot_download

    try:
        found = Path(snapshot_download(place.repository, revision=place.revision, local_files_only=True))
    except Exception:  # the package has an error of its own for each reason
        return None
    return found if (found / "config.json").is_file() and weight_files(found) else None


def _no_safetensors(told: str) -> str:
    return (
        f"{told} has no {_WEIGHTS}: other files of weights may run code when they are read, so they are not; "
        f"choose a model that has one, such as {next(iter(SUGGESTED))}."
    )


@contextlib.contextmanager
def hub_told(place: Place) -> Iterator[None]:
    """What the hub says, in one sentence."""
    from huggingface_hub import errors

    try:
        yield
    except PretrainedError:
        raise
    except errors.GatedRepoError:
        reason = "its owner gives it only to those who ask on huggingface.co and log in with `hf auth login`"
        raise PretrainedError(f"{place.name} cannot be downloaded: {reason}.") from None
    except errors.RevisionNotFoundError:
        raise PretrainedError(f"{place.repository} has no revision {place.revision!r} on huggingface.co.") from None
    except errors.RepositoryNotFoundError:
        raise PretrainedError(
            f"There is neither a folder {place.name} here nor a public model of that name on huggingface.co."
        ) from None
    except Exception as error:  # which package carries its words, and with it their errors, differs by version
        reason = _brief(error)
        raise PretrainedError(
            f"{place.name} is not on this machine and could not be fetched from huggingface.co ({reason}); "
            "try again with a connection, or give a folder that has it."
        ) from None


def _brief(error: Any) -> str:
    """The first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:150] if lines else type(error).__name__
