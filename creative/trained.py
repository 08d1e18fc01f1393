"""Trained networks that are called by a name: bundled ones, and one's own where training puts them.

    path = find_trained("voice", "shakespeare")     # a bundled one, one's own, a file, or the folder of a training

A family is what such networks are to a user: a voice, a translator, a captioner, a painter, a diffuser.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from creative.files import file_sha256, shown
from creative.weights import REGISTRY, WeightsError, find, near, own_presets_folder

__all__ = ["FAMILIES", "find_trained", "find_voice", "list_trained", "list_voices", "name_of", "own_folder"]

FAMILIES = {
    "voice": "char-rnn",
    "translator": "cyclegan",
    "captioner": "captioner",
    "painter": "style-net",
    "diffuser": "diffusion",
}
"""What trained networks that can be given by name are, and their architecture in the registry."""


def own_folder(family: str) -> Path:
    """The folder of networks of one's own of a family: beside the one of one's own presets."""
    return own_presets_folder().with_name(f"{family}s")


def list_trained(family: str) -> list[str]:
    """The names of the trained networks of a family: bundled ones, and then one's own."""
    bundled = [known.name for known in REGISTRY.values() if (known.network or known.name) == FAMILIES[family]]
    own = own_folder(family)
    files = [*own.glob("*/best.safetensors"), *own.glob("*.safetensors")]
    found = {path.parent.name if path.name == "best.safetensors" else path.stem for path in files}
    return [*bundled, *sorted(found - set(bundled))]


def find_trained(family: str, given: str | os.PathLike[str]) -> Path:
    """The file of a trained network: a bundled one's by name, one's own, a file, or what was trained in a folder.

    Raises:
        WeightsError: there is none; the message has the names that are near.
    """
    name, path = os.fspath(given), Path(given)
    if name in REGISTRY and name in list_trained(family):
        return find(name)
    for own in (own_folder(family) / name / "best.safetensors", own_folder(family) / f"{name}.safetensors"):
        if name and path.name == name and own.is_file():
            return own
    if path.is_dir() and (path / "best.safetensors").is_file():
        return path / "best.safetensors"
    if path.is_file():
        return path
    if path.is_dir():
        raise WeightsError(f"No {family} has been trained in the folder {shown(path)} yet.")
    if path.suffix in {".safetensors", ".pth", ".pt"} or path.name != name:
        raise WeightsError(f"There is no file {shown(path)}.")
    raise WeightsError(f"There is no {family} called {name!r}.{near(name, list_trained(family))}")


def name_of(family: str, sha256: str) -> str | None:
    """The name of the trained network whose file has this SHA-256, if it is here under a name."""
    for name in list_trained(family):
        with contextlib.suppress(WeightsError, OSError):  # a bundled one may be missing
            if file_sha256(find_trained(family, name)) == sha256:
                return name
    return None


def list_voices() -> list[str]:
    """The names of the voices."""
    return list_trained("voice")


def find_voice(voice: str | os.PathLike[str]) -> Path:
    """The file of a voice; see ``find_trained``."""
    return find_trained("voice", voice)
