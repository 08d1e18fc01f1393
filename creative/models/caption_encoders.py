"""From a picture to the grid of features that a captioner looks at.

    encoder = make_encoder(EncoderConfig("features", layers=("relu4_3", "relu5_2"), picture_size=224, grid=7))
    grid = encoder(pictures)      # (B, 3, 224, 224) in [0, 1] -> (B, 384, 7, 7)

Two kinds: some layers of a feature network as it is, and a small convolutional network trained with the captioner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.cnn import ConvNormActivation, ResidualBlock
from creative.device import autocast, fast_dtype
from creative.models.captioner import CaptionerError, coordinates
from creative.models.features import Features, load_features
from creative.options.features import BUNDLED


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """What grids are made by.

    Attributes:
        kind: ``features``: of a frozen feature network, not in the captioner's file; ``own``: trained with it.
        network, layers: of the feature network.
        picture_size: side of the square that pictures are resized to, pixels.
        grid: places along a side.
        width: channels of an own encoder's first stage.
        sha256: of the feature network's file, so that a captioner is not given another one's eyes.
    """

    kind: Literal["features", "own"] = "features"
    network: str = BUNDLED
    layers: tuple[str, ...] = ()
    picture_size: int = 224
    grid: int = 7
    width: int = 32
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.kind == "own":
            _stages(self.picture_size, self.grid)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "layers": list(self.layers)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """From plain values."""
        return cls(**{**values, "layers": tuple(values["layers"])})


class Encoder(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] of ``config.picture_size`` -> grids (B, ``channels``, h, w).

    Attributes:
        channels: of the grids.
    """

    config: EncoderConfig
    channels: int


class FeatureEncoder(Encoder):
    """Layers of a feature network, each summed up cell by cell: the mean and the deviation of each channel.

    How much a channel varies within a cell tells textures apart that have the same mean (see the Gram matrices of Gatys
    et al., 2015, arXiv:1505.07376). The network computes in half precision where that is faster.
    """

    def __init__(self, config: EncoderConfig, features: Features) -> None:
        super().__init__()
        self.config, self.features = config, features
        with torch.no_grad():
            self.channels = self(torch.zeros(1, 3, config.picture_size, config.picture_size)).shape[1]

    def forward(self, pictures: Tensor) -> Tensor:
        """See ``Encoder``."""
        device, parts = pictures.device, []
        with autocast(device, fast_dtype(device)):
            maps = self.features(pictures.to(self.features.scale.dtype))
        for found in maps.values():
            found = found.float()
            mean = F.adaptive_avg_pool2d(found, self.config.grid)
            square = F.adaptive_avg_pool2d(found * found, self.config.grid)
            parts += [mean, (square - mean * mean).clamp(min=0).sqrt()]
        return torch.cat(parts, 1)


class OwnEncoder(Encoder):
    """Convolutions that halve the side down to the grid, then residual blocks that know where they are.

    Each place of the grid sees far enough to say how what is there stands to what is elsewhere.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = [
            min(config.width * 2**stage, 3 * config.width) for stage in range(_stages(config.picture_size, config.grid))
        ]
        self.channels = 3 * config.width
        stages: list[nn.Module] = []
        for before, after in zip([3, *widths[:-1]], widths, strict=True):
            stages.append(ConvNormActivation(before, after, 3, stride=2))
            stages.append(ConvNormActivation(after, after, 3))
        self.down = nn.Sequential(*stages)
        self.joined = ConvNormActivation(widths[-1] + 2, self.channels, 1)
        self.around = nn.Sequential(
            *(ResidualBlock(self.channels, norm="batch", padding="zeros") for _ in range(NUM_BLOCKS))
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """See ``Encoder``."""
        x = self.down((2 * pictures - 1).contiguous(memory_format=torch.channels_last))
        where = coordinates(x.shape[-2], x.shape[-1], x).expand(len(x), -1, -1, -1)
        return self.around(self.joined(torch.cat([x, where], 1)))


NUM_BLOCKS = 3


def _stages(picture_size: int, grid: int) -> int:
    stages = (picture_size // grid).bit_length() - 1
    if stages < 1 or grid * 2**stages != picture_size:
        raise CaptionerError(
            f"An own encoder halves the side of {picture_size} pixels until it is the grid's, which {grid} is not: "
            f"take a grid of {picture_size // 8} for example."
        )
    return stages


def make_encoder(
    config: EncoderConfig, *, weights: str | Path | None = None, device: str | torch.device = "cpu"
) -> Encoder:
    """The encoder of a configuration: a feature network with its weights, or an own one, untrained.

    Args:
        weights: the feature network's file; found if not given.

    Raises:
        FeaturesError, WeightsError: there is no such network or layer, or its weights are not here.
        CaptionerError: the weights are not those that the configuration says.
    """
    if config.kind == "own":
        return OwnEncoder(config).to(device)
    features = load_features(config.network, layers=config.layers, weights=weights, device=device)
    if config.sha256 and features.sha256 != config.sha256:
        raise CaptionerError(
            f"This captioner was trained with another {config.network} network ({config.sha256[:12]}…) than "
            f"{features.weights_name} ({features.sha256[:12]}…): train it anew, or give it that network."
        )
    return FeatureEncoder(config, features).to(device)
