"""Style presets: what a painting's style comes to, small enough to ship (skeleton)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image


class PresetError(ValueError):
    """A preset is missing, broken or made for another network. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A style without its painting."""

    name: str
    title: str
    painter: str
    year: int | None
    sha256: str
    """Of the preset's file; empty where it has not been saved yet."""
    swatch: Image.Image | None


def load_preset(name: str | Path) -> Preset:
    """The preset called ``name``, bundled or of one's own, or the preset in a file."""
    raise NotImplementedError


def save_preset(preset: Preset, path: Path) -> Path:
    """Write a preset as one safetensors file."""
    raise NotImplementedError
