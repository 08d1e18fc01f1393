"""Style presets: what a painting's style comes to, small enough to ship and to paint with in the painting's place.

A preset holds the moments (means and Gram matrices) of the features of one network at several sizes of the painting. A
Gram matrix is nearly of low rank: its largest eigenvectors, in bytes, take a tenth of its place. A preset knows which
network it was made for by the SHA-256 of that network's weights.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from creative.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from creative.images import source_of
from creative.losses import Moments
from creative.weights import WeightsError, find_preset

FORMAT = 1


class PresetError(ValueError):
    """A preset is broken, or is not for what is asked of it. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A style without its painting.

    Attributes:
        name, title, painter, year: what it is called.
        network: SHA-256 of the weights it was made with.
        statistics: by the painting's longest side in pixels, by layer.
        swatch: a small texture of the style, or None.
        sha256: of the preset's file; empty where it has not been saved.
    """

    name: str
    title: str
    painter: str
    year: int | None
    network: str
    statistics: Mapping[int, Mapping[str, Moments]]
    swatch: Image.Image | None = None
    sha256: str = ""
    file: str = field(default="", compare=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose statistics it holds."""
        return tuple(next(iter(self.statistics.values())))

    @property
    def credit(self) -> str:
        """Title, painter and year in one line, as far as they are known."""
        return ", ".join(str(part) for part in (self.title, self.painter, self.year) if part)

    def moments(self, longest: float) -> dict[str, Moments]:
        """The statistics of the painting at a longest side of so many pixels, by layer.

        Between two sizes that are held they are mixed by the logarithm of the size; beyond them the nearest is taken.
        """
        sizes = sorted(self.statistics)
        longest = min(max(longest, sizes[0]), sizes[-1])
        above = next(size for size in sizes if size >= longest)
        below = max(size for size in sizes if size <= longest)
        share = math.log(longest / below) / math.log(above / below) if above > below else 0.0
        low, high = self.statistics[below], self.statistics[above]
        return {layer: low[layer] * (1 - share) + high[layer] * share for layer in low}


def style_source(style: Image.Image | Preset) -> dict[str, str]:
    """For provenance: the file of a painting or a preset, and its SHA-256."""
    if isinstance(style, Preset):
        return {"file": style.file or style.name, "sha256": style.sha256}
    return source_of(style)


def load_preset(name: str | Path) -> Preset:
    """The preset called ``name``, one's own or a bundled one; or the preset in a file.

    Raises:
        creative.weights.WeightsError: there is no preset of that name; the message has those that are near.
        PresetError: the file is no preset.
    """
    path = Path(name) if str(name).endswith(".safetensors") else find_preset(str(name))
    if not path.is_file():
        raise WeightsError(f"There is no preset file {path}.")
    try:
        checkpoint = load_checkpoint(path)
        known = checkpoint.metadata["preset"]
        if known["format"] != FORMAT:
            raise PresetError(f"{path.name} is a preset of format {known['format']}, but this version reads {FORMAT}.")
        statistics = {
            int(size): {layer: _unpack(checkpoint.tensors, f"{size}.{layer}") for layer in known["layers"]}
            for size in known["sizes"]
        }
        return Preset(
            name=str(known["name"]),
            title=str(known["title"]),
            painter=str(known["painter"]),
            year=known["year"],
            network=str(known["network"]),
            statistics=statistics,
            swatch=_decoded(checkpoint.tensors.get("swatch")),
            sha256=checkpoint.sha256,
            file=path.name,
        )
    except PresetError:
        raise
    except (CheckpointError, KeyError, TypeError, ValueError, OSError) as error:
        reason = str(error) if isinstance(error, CheckpointError) else f"{path.name} is not a style preset."
        raise PresetError(reason) from error


def read_preset_card(name: str) -> dict[str, Any]:
    """A preset's name, title, painter and year, without its statistics."""
    from creative.checkpoint import read_metadata

    card = read_metadata(find_preset(name)).get("preset", {})
    return {key: card.get(key) for key in ("name", "title", "painter", "year")}


def save_preset(preset: Preset, path: str | Path, *, rank: int = 28) -> Path:
    """Write a preset as one safetensors file; the same preset makes the same bytes.

    Args:
        rank: eigenvectors kept of each Gram matrix.

    Raises:
        creative.checkpoint.CheckpointError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for size, layers in preset.statistics.items():
        for layer, values in layers.items():
            tensors |= _pack(values, f"{size}.{layer}", rank)
    if preset.swatch is not None:
        buffer = io.BytesIO()
        preset.swatch.save(buffer, "WEBP", quality=90, method=6)
        tensors["swatch"] = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)
    card = {
        "format": FORMAT,
        "name": preset.name,
        "title": preset.title,
        "painter": preset.painter,
        "year": preset.year,
        "network": preset.network,
        "layers": list(preset.layers),
        "sizes": sorted(preset.statistics),
    }
    return save_checkpoint(path, tensors, {"preset": card})


def _pack(values: Moments, name: str, rank: int) -> dict[str, Tensor]:
    """A layer's mean, and its Gram matrix as factor @ factor.T plus a diagonal that keeps every channel's power.

    The factor's columns are stored as bytes with a scale each, which costs less accuracy than half the columns would.
    """
    matrix = values.gram.double().cpu()
    power, vectors = torch.linalg.eigh(matrix)
    factor = vectors[:, -rank:] * power[-rank:].clamp(min=0).sqrt()
    factor = factor * torch.where(factor.sum(0) < 0, -1.0, 1.0)  # one of two signs: the bytes repeat
    scale = factor.abs().max(0).values.clamp(min=1e-12) / 127
    levels = (factor / scale).round()
    stored = levels * scale.float()
    rest = (matrix - stored @ stored.T).diagonal().clamp(min=0)
    return {
        f"{name}.factor": levels.to(torch.int8),
        f"{name}.scale": scale.float(),
        f"{name}.rest": rest.sqrt().half(),
        f"{name}.mean": values.mean.cpu().half(),
    }


def _unpack(tensors: Mapping[str, Tensor], name: str) -> Moments:
    levels, scale, rest, mean = (tensors[f"{name}.{part}"].float() for part in ("factor", "scale", "rest", "mean"))
    factor = levels * scale
    return Moments(torch.ones(()), mean, factor @ factor.T + torch.diag(rest.square()))


def _decoded(swatch: Tensor | None) -> Image.Image | None:
    if swatch is None:
        return None
    with Image.open(io.BytesIO(swatch.numpy().tobytes()), formats=["WEBP"]) as image:
        return image.convert("RGB")
