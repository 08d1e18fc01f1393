"""Captioners: a network that writes, what it looks with, its words and what it knows, as one file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from creative.checkpoint import in_float32, in_int8, load_checkpoint, load_into, save_checkpoint, tensors_sha256
from creative.data.words import WordsError, WordVocabulary
from creative.device import choose_device
from creative.engines.captioning.likeness import EYE_LAYERS, EYE_SIZE, Likeness
from creative.files import shown
from creative.models.caption_encoders import Encoder, EncoderConfig, FeatureEncoder, make_encoder
from creative.models.captioner import Captioner, CaptionerConfig, CaptionerError, View
from creative.trained import find_trained
from creative.weights import find

__all__ = ["CaptionerError", "Trained", "load_captioner", "load_eye"]

EYE = EncoderConfig("features", layers=EYE_LAYERS, picture_size=EYE_SIZE, grid=1)
"""What all pictures are told apart by; see ``likeness``."""
TOGETHER = 4
"""Pictures that are looked at together on a CPU, as many as its cache has room for the maps of: 16 took 1.2 times the
time."""


@dataclass(frozen=True)
class Trained:
    """A captioner that is ready to look.

    Attributes:
        name: of the bundled one, or of the file.
        captioners: one, or several that write together; in eval mode.
        encoders: what each of them looks with; a feature network is the same for all.
        vocabulary: their words.
        likeness: what the pictures of its training are like; None where it does not know.
        about: all that the file says of it.
        sha256: of the file.
        device: where it is.
        settings: of its training.
    """

    name: str
    captioners: tuple[Captioner, ...]
    encoders: tuple[Encoder, ...]
    vocabulary: WordVocabulary
    likeness: Likeness | None
    about: Mapping[str, Any]
    sha256: str
    device: torch.device
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def picture_size(self) -> int:
        """Side of the squares that it looks at, pixels."""
        return self.encoders[0].config.picture_size

    @torch.no_grad()
    def look(self, pictures: Tensor) -> list[View]:
        """What each network sees of pictures (B, 3, S, S) in [0, 1]."""
        pictures = pictures.to(self.device)
        grids: dict[int, Tensor] = {}
        parts = pictures.split(TOGETHER) if self.device.type == "cpu" else [pictures]
        for encoder in self.encoders:
            if id(encoder) not in grids:
                grids[id(encoder)] = torch.cat([encoder(part) for part in parts])
        return self.look_at_grids([grids[id(encoder)] for encoder in self.encoders])

    @torch.no_grad()
    def look_at_grids(self, grids: Sequence[Tensor]) -> list[View]:
        """The same from the encoders' grids, which may have been kept."""
        return [captioner.look(grid.to(self.device)) for captioner, grid in zip(self.captioners, grids, strict=True)]


def load_captioner(captioner: str | os.PathLike[str], *, device: str | torch.device = "auto") -> Trained:
    """A bundled captioner by name, a captioner's file, or the folder it was trained in.

    Raises:
        WeightsError: there is none.
        CaptionerError, CheckpointError: the file is something else, or was trained with another encoder.

    Example:
        >>> trained = load_captioner("aerial")
    """
    path, chosen = find_trained("captioner", captioner), choose_device(device)
    checkpoint = load_checkpoint(path)
    about = checkpoint.metadata.get("config", {})
    try:
        vocabulary = WordVocabulary.from_json(about["vocabulary"])
        shape = CaptionerConfig.from_json(about["captioner"])
        looks = EncoderConfig.from_json(about["encoder"])
        count = int(about.get("networks", 1))
    except (KeyError, TypeError, WordsError, CaptionerError):
        raise CaptionerError(f"{shown(path)} is not a captioner: `creative train caption DATA` makes one.") from None
    if shape.vocabulary_size != len(vocabulary):
        raise CaptionerError(
            f"{shown(path)} is damaged: a network for {shape.vocabulary_size} words, but a vocabulary of "
            f"{len(vocabulary)}."
        )
    captioners, encoders = [], []
    shared = make_encoder(looks, device=chosen) if looks.kind == "features" else None
    for number in range(count):
        made = Captioner(shape)
        load_into(made, _part(checkpoint.tensors, f"captioner.{number}."))
        captioners.append(made.float().eval().requires_grad_(False).to(chosen))
        encoder = shared or make_encoder(looks)
        if shared is None:
            load_into(encoder, _part(checkpoint.tensors, f"encoder.{number}."))
        encoders.append(encoder.float().eval().requires_grad_(False).to(chosen))
        if encoder.channels != shape.channels:
            raise CaptionerError(
                f"{shown(path)} looks at grids of {shape.channels} channels, but its encoder gives {encoder.channels}."
            )
    likeness = Likeness.of(checkpoint.tensors)
    if likeness and about.get("eye") and about["eye"] != tensors_sha256(find("features"), "features."):
        likeness = None  # of another feature network, it would take everything for something else
    return Trained(
        name=os.fspath(captioner) if os.fspath(captioner) == path.stem else path.name,
        captioners=tuple(captioners),
        encoders=tuple(encoders),
        vocabulary=vocabulary,
        likeness=likeness.to(chosen) if likeness else None,
        about=about,
        sha256=checkpoint.sha256,
        device=chosen,
        settings=checkpoint.metadata.get("settings", {}),
    )


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A network's tensors in full precision."""
    return in_float32({name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)})


def load_eye(device: str | torch.device = "cpu", *, sha256: str = "") -> FeatureEncoder:
    """What pictures are told apart by.

    Args:
        sha256: of the feature network that a captioner's likeness was fitted with.

    Raises:
        CaptionerError: the bundled network is another one.
    """
    eye = make_encoder(EncoderConfig.from_json({**EYE.to_json(), "sha256": sha256}), device=device)
    assert isinstance(eye, FeatureEncoder)
    return eye


def join_captioners(paths: Sequence[Path], path: Path) -> Path:
    """Put captioners of one shape and vocabulary, trained from different seeds, into one file: they write together.

    It is written in int8, whatever they are in.

    Raises:
        CaptionerError: they differ in more than their weights.
    """
    files = [load_checkpoint(one) for one in paths]
    first = files[0].metadata["config"]
    tensors: dict[str, Tensor] = {}
    for number, file in enumerate(files):
        config = file.metadata["config"]
        if any(config.get(name) != first.get(name) for name in ("captioner", "encoder", "vocabulary")):
            raise CaptionerError(
                f"{shown(file.path)} has another shape, encoder or vocabulary than {shown(files[0].path)}."
            )
        for kind in ("captioner", "encoder"):
            own = _part(file.tensors, f"{kind}.0.")
            tensors |= {f"{kind}.{number}.{name}": tensor for name, tensor in own.items()}
    stored = in_int8(tensors) | {name: one for name, one in files[0].tensors.items() if name.startswith("likeness.")}
    metadata = {**files[0].metadata, "config": {**first, "networks": len(files)}}
    metadata["members"] = [{name: file.metadata[name] for name in ("settings", "training")} for file in files]
    return save_checkpoint(path, stored, metadata)


def squares(pictures: Sequence[Image.Image], size: int) -> Tensor:
    """Pictures resized to squares of one size, whatever their shape, so that all of each is seen: (B, 3, S, S)."""
    if not pictures:
        return torch.zeros(0, 3, size, size)
    return torch.stack([torch.from_numpy(square(picture, size)) for picture in pictures]).float().div_(255)


def square(picture: Image.Image, size: int) -> Any:
    """One picture as uint8 (3, S, S)."""
    import numpy as np

    small = picture.convert("RGB")
    if small.size != (size, size):
        small = small.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.ascontiguousarray(np.asarray(small, dtype=np.uint8).transpose(2, 0, 1))
