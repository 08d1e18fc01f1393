"""The codes of styles: what a StyleNet is made of, and how the moments of feature maps become its code.

See ``creative.models.style_net``, which paints with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.device import autocast, fast_dtype, random_generator
from creative.losses import PIXELS, Moments, moments
from creative.models.features import Features

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Layers of the bundled features by whose moments, and the pixels' own, a style is known; presets hold the same."""
FRAME = 24
"""Pixels of its own reflection around a picture whose moments are taken, as presets have it."""
EXTRA = 21
"""Numbers of a code that are no normalisation's: what is added to the photo's colours (3 × 3 and 3), and the colours of
what is drawn (3 × 3)."""


class StyleNetError(ValueError):
    """A file is no such network, or the network cannot do what is asked. The message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class StyleNetConfig:
    """The shape of a StyleNet.

    Attributes:
        widths: channels at a half, a quarter and an eighth of the picture's size.
        fine: channels at the full size.
        blocks: residual blocks at a quarter and at an eighth of the size.
        hidden: width of the predictor's layers; 0 for a network of one painting, which has a code in its place.
        channels: of the layers whose moments the predictor sees, by name.
        projections: directions by which the predictor sees a layer's covariance.
        features: SHA-256 of the features that those moments are of.
        size: side of the crops in pixels that it was trained on.
    """

    widths: tuple[int, int, int] = (24, 48, 48)
    fine: int = 8
    blocks: tuple[int, int] = (2, 2)
    hidden: int = 288
    channels: tuple[tuple[str, int], ...] = ()
    projections: int = 16
    features: str = ""
    size: int = 128

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"network": "style-net", **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StyleNetConfig:
        """From the checkpoint.

        Raises:
            StyleNetError: these are not the values of a StyleNet.
        """
        try:
            half, quarter, eighth = map(int, values["widths"])
            first, second = map(int, values["blocks"])
            return cls(
                widths=(half, quarter, eighth),
                fine=int(values["fine"]),
                blocks=(first, second),
                hidden=int(values["hidden"]),
                channels=tuple((str(name), int(count)) for name, count in values["channels"]),
                projections=int(values["projections"]),
                features=str(values["features"]),
                size=int(values["size"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StyleNetError(f"A StyleNet was expected, but of its shape is missing or wrong: {error}.") from None


class Predictor(nn.Module):
    """From the moments of feature maps to a style code.

    Of each layer it sees means, deviations and the covariance along some random directions. The pixels' own are what
    the painting's colours are taken from: what is drawn has their mean and, where its channels are independent, their
    covariance, to which the predictor adds.
    """

    def __init__(self, config: StyleNetConfig, length: int) -> None:
        super().__init__()
        self.config = config
        generator = random_generator(0)
        inputs = 0
        for name, channels in config.channels:
            count = channels if name == PIXELS else min(channels, config.projections)
            axes = torch.randn(channels, count, generator=generator) / channels**0.5
            self.register_buffer(f"axes_{name}", axes)
            inputs += 2 * channels + count * (count + 1) // 2
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        hidden = config.hidden
        # Normalised, or the first steps can push all of a layer below zero, from where no style tells itself apart.
        self.body = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.LayerNorm(hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.LayerNorm(hidden),
            nn.SiLU(),
            nn.Linear(hidden, length),
        )
        last = self.body[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.4 / hidden**0.5)
        nn.init.zeros_(last.bias)
        with torch.no_grad():
            last.weight[:EXTRA] = 0  # to begin with the colours are the painting's own

    def sketch(self, seen: Mapping[str, Moments]) -> Tensor:
        """What is kept of moments: (S,), linear in them, so that sketches mix as moments do.

        Raises:
            StyleNetError: a layer is missing.
        """
        if missing := [name for name, _ in self.config.channels if name not in seen]:
            raise StyleNetError(f"Of the style are missing the layers {', '.join(missing)}; presets hold them all.")
        parts = []
        for name, channels in self.config.channels:
            axes, mean, gram = self.get_buffer(f"axes_{name}"), seen[name].mean, seen[name].gram
            if len(mean) != channels:
                raise StyleNetError(f"{name} of the style has {len(mean)} channels, but {channels} were expected.")
            rows, columns = torch.triu_indices(axes.shape[1], axes.shape[1])
            parts += [mean, gram.diagonal(), (axes.T @ gram.to(axes) @ axes)[rows, columns]]
        return torch.cat([part.to(self.mean) for part in parts])

    def seen(self, sketches: Tensor) -> Tensor:
        """Sketches (B, S) -> means, deviations and roots of covariances (B, S), before standardising."""
        parts, place = [], 0
        for name, channels in self.config.channels:
            axes = self.get_buffer(f"axes_{name}")
            rows, columns = torch.triu_indices(axes.shape[1], axes.shape[1])
            mean, square, gram = sketches[:, place:].split_with_sizes(
                [channels, channels, len(rows), sketches.shape[1] - place - 2 * channels - len(rows)], 1
            )[:3]
            place += 2 * channels + len(rows)
            along = mean @ axes
            covariance = gram - along[:, rows] * along[:, columns]
            deviation = (square - mean.square()).clamp(min=0).sqrt()
            parts += [mean, deviation, covariance.sign() * covariance.abs().sqrt()]
        return torch.cat(parts, 1)

    @torch.no_grad()
    def standardise(self, sketches: Tensor) -> None:
        """Note what is usual, by which ``forward`` measures: (M, S)."""
        seen = self.seen(sketches)
        self.mean.copy_(seen.mean(0))
        deviation = seen.std(0)
        self.deviation.copy_(deviation.clamp(min=0.05 * float(deviation.mean()) + 1e-6))

    def standardised(self, sketches: Tensor) -> Tensor:
        """Sketches (B, S) -> what ``body`` is given, (B, S): relative to what is usual, within 4 deviations."""
        return ((self.seen(sketches) - self.mean) / self.deviation).clamp(-4, 4)

    def palette(self, sketches: Tensor) -> Tensor:
        """The beginning of the codes, (B, EXTRA): none of the photo, the painting's mean and root of its covariance."""
        axes = self.get_buffer(f"axes_{PIXELS}")
        rows, columns = torch.triu_indices(3, 3)
        mean = sketches[:, :3]
        seen = sketches.new_empty(len(sketches), 3, 3)
        seen[:, rows, columns] = seen[:, columns, rows] = sketches[:, 6:12]
        back = torch.linalg.inv(axes)
        covariance = back.T @ seen @ back - mean[:, :, None] * mean[:, None]
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.clamp(min=1e-6).sqrt()[:, None] @ vectors.mT
        none = -torch.eye(3, device=sketches.device).flatten().expand(len(sketches), -1)
        return torch.cat([none, mean - 0.5, root.flatten(1)], 1)

    def forward(self, sketches: Tensor) -> Tensor:
        """Sketches (B, S) -> codes (B, N)."""
        with torch.autocast(sketches.device.type, enabled=False):
            sketches = sketches.float()
            codes = self.body(self.standardised(sketches))
            return torch.cat([codes[:, :EXTRA] + self.palette(sketches), codes[:, EXTRA:]], 1)


def style_moments(features: Features, picture: Tensor) -> dict[str, Moments]:
    """The moments of a painting (1, 3, H, W) in [0, 1] by which its code is predicted: the same as a preset's.

    Args:
        features: the bundled network's, ``STYLE_LAYERS``.
    """
    width = min(FRAME, picture.shape[-1] - 1, picture.shape[-2] - 1)
    whole = F.pad(picture, (width,) * 4, mode="reflect") if width else picture
    with autocast(whole.device, fast_dtype(whole.device)):
        maps = features(whole)
    maps = {PIXELS: whole, **{name: values.float() for name, values in maps.items()}}
    return {name: moments(values).normalised() for name, values in maps.items()}


def predictor_channels(features: Features) -> tuple[tuple[str, int], ...]:
    """Channels by layer of what ``style_moments`` gives."""
    maps = features(torch.zeros(1, 3, 64, 64, device=features.scale.device))
    return ((PIXELS, 3), *((name, values.shape[1]) for name, values in maps.items()))


def mixed(codes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Codes (1, N) mixed by weights that need not sum to 1: (1, N)."""
    total = sum(weights)
    return torch.stack([code * (weight / total) for code, weight in zip(codes, weights, strict=True)]).sum(0)
