"""A trained diffusion network of ours, by its name or from its file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from creative.data.draws import mixed_seed
from creative.device import choose_device, random_generator
from creative.files import file_sha256, plain_name
from creative.models.diffusion import Diffusion, DiffusionConfig, DiffusionError, load_diffusion
from creative.provenance import Provenance, describe_run
from creative.settings import Settings
from creative.trained import find_trained

BUNDLED = "diffusion"
"""The name of the bundled network."""


@dataclass(frozen=True)
class Diffuser:
    """A network to draw with.

    Attributes:
        network: frozen.
        path: its file.
        device: where it is.
    """

    network: Diffusion
    path: Path
    device: torch.device

    @property
    def config(self) -> DiffusionConfig:
        """Its shape."""
        return self.network.config

    @property
    def domains(self) -> Sequence[str]:
        """What it draws."""
        return self.config.domains

    @cached_property
    def sha256(self) -> str:
        """Of its file."""
        return file_sha256(self.path)

    @property
    def name(self) -> str:
        """What it is called: the folder that it was trained in, or its file."""
        return plain_name(self.path.parent if self.path.stem == "best" else self.path)

    def generator(self, seed: int) -> torch.Generator:
        """Random numbers where the network is."""
        return random_generator(mixed_seed(seed, "diffuse"), self.device)

    def provenance(
        self, settings: Settings, inputs: Mapping[str, Image.Image | None], facts: Mapping[str, Any] | None = None
    ) -> Provenance:
        """What is written into a result."""
        bundled = self.path.stem == BUNDLED
        given = None if bundled else {"file": plain_name(self.path), "sha256": self.sha256}
        return describe_run(
            "diffuse",
            settings,
            inputs={**inputs, "model": given},
            weights={BUNDLED: self.sha256},
            device=self.device,
            result=facts,
        )

    def domain(self, name: str | None) -> str:
        """The domain of this name; None: the last one, paintings for the bundled network.

        Raises:
            DiffusionError: there is no such domain.
        """
        if name is None:
            return self.domains[-1]
        if name not in self.domains:
            raise DiffusionError(
                f"There is no domain {name!r} in {self.path.stem}; it draws {' and '.join(self.domains)}."
            )
        return name


def load_diffuser(name: str | os.PathLike[str] = BUNDLED, device: str | torch.device = "auto") -> Diffuser:
    """A trained network: the bundled one's name, one of one's own, a file, or the folder of a training.

    Raises:
        WeightsError: there is none of this name.
        CheckpointError: the file is damaged.
        DiffusionError: it holds something else.
        DeviceError: there is no such device.
    """
    place = choose_device(device)
    path = find_trained("diffuser", name)
    return Diffuser(load_diffusion(path, device=place), path, place)


def choose_diffuser(model: str | os.PathLike[str] | Diffuser | None, device: str | torch.device = "auto") -> Diffuser:
    """A network as it is, or ``load_diffuser``; None: the bundled one."""
    return model if isinstance(model, Diffuser) else load_diffuser(model or BUNDLED, device)
