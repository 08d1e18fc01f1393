"""Discriminators: pictures in, scores out; the higher, the more real. No sigmoid: the losses take scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from creative.blocks.cnn import Norm, activation_layer, norm_layer
from creative.blocks.config import GANError, NetworkConfig


@dataclass(frozen=True, slots=True)
class PatchConfig(NetworkConfig):
    """The shape of a ``PatchDiscriminator``.

    Attributes:
        width: channels of the first layer; they double with each halving, up to eight times as many.
        num_layers: halvings; each score sees 16, 34, 70, 142 pixels a side for 1, 2, 3, 4.
        norm: of all layers but the first and the last.
        spectral_norm: see ``PatchDiscriminator``.
        in_channels: 3 for pictures, 6 for pictures with what they were made from.
    """

    kind: ClassVar[str] = "patch"
    width: int = 64
    num_layers: int = 3
    norm: Norm = "instance"
    spectral_norm: bool = False
    in_channels: int = 3

    def __post_init__(self) -> None:
        self._at_least(1, "width", "num_layers", "in_channels")
        self._one_of("norm", get_args(Norm))


class PatchDiscriminator(nn.Module):
    """Scores overlapping patches of a picture: (B, C, H, W) in [-1, 1] -> (B, 1, h, w).

    Isola et al. (2016), Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004. With
    spectral normalisation each convolution's matrix has the largest singular value 1 (Miyato et al., 2018,
    arXiv:1802.05957).

    Attributes:
        config: what it was made from.
        min_size: the smallest side of a picture in pixels.

    Example:
        >>> discriminator = PatchDiscriminator(PatchConfig(width=32))
        >>> discriminator(torch.zeros(1, 3, 128, 128)).shape
        torch.Size([1, 1, 14, 14])
    """

    def __init__(self, config: PatchConfig = PatchConfig()) -> None:
        super().__init__()
        self.config, self.min_size = config, 3 * 2**config.num_layers
        widths = [config.width * min(2**number, 8) for number in range(config.num_layers + 1)]
        layers: list[nn.Module] = []
        channels = config.in_channels
        for number, width in enumerate(widths):
            norm: Norm = config.norm if number else "none"
            stride = 2 if number < config.num_layers else 1
            layers += scoring_layer(channels, width, stride=stride, norm=norm, spectral=config.spectral_norm)
            channels = width
        layers.append(scoring_conv(channels, 1, spectral=config.spectral_norm))
        self.layers = nn.Sequential(*layers)

    def forward(self, picture: Tensor) -> Tensor:
        """Scores (B, 1, h, w) of any value.

        Raises:
            GANError: the picture is smaller than ``min_size``.
        """
        height, width = picture.shape[-2:]
        if min(height, width) < self.min_size:
            raise GANError(f"Patches need pictures of {self.min_size} pixels a side, but this has {width}x{height}.")
        return self.layers(picture.contiguous(memory_format=torch.channels_last))


@dataclass(frozen=True, slots=True)
class PixelConfig(NetworkConfig):
    """The shape of a ``PixelDiscriminator``.

    Attributes:
        width: channels of the first layer; the second has twice as many.
        norm: of the second layer.
        spectral_norm, in_channels: see ``PatchConfig``.
    """

    kind: ClassVar[str] = "pixel"
    width: int = 64
    norm: Norm = "instance"
    spectral_norm: bool = False
    in_channels: int = 3

    def __post_init__(self) -> None:
        self._at_least(1, "width", "in_channels")
        self._one_of("norm", get_args(Norm))


class PixelDiscriminator(nn.Module):
    """Scores each pixel by its colour alone: (B, C, H, W) in [-1, 1] -> (B, 1, H, W); Isola et al. (2016)."""

    def __init__(self, config: PixelConfig = PixelConfig()) -> None:
        super().__init__()
        self.config = config
        width, spectral = config.width, config.spectral_norm
        self.layers = nn.Sequential(
            *scoring_layer(config.in_channels, width, 1, padding=0, norm="none", spectral=spectral),
            *scoring_layer(width, 2 * width, 1, padding=0, norm=config.norm, spectral=spectral),
            scoring_conv(2 * width, 1, 1, padding=0, spectral=spectral),
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Scores (B, 1, H, W) of any value."""
        return self.layers(picture.contiguous(memory_format=torch.channels_last))


def scoring_layer(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 4,
    *,
    stride: int = 1,
    padding: int = 1,
    norm: Norm,
    spectral: bool,
) -> list[nn.Module]:
    """A convolution, a normalisation and a leaky ReLU; no bias where the normalisation takes it away again."""
    conv = scoring_conv(
        in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=norm == "none", spectral=spectral
    )
    normalisation = [] if norm == "none" else [norm_layer(norm, out_channels)]
    return [conv, *normalisation, activation_layer("leaky_relu")]


def scoring_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 4,
    *,
    stride: int = 1,
    padding: int = 1,
    bias: bool = True,
    spectral: bool,
) -> nn.Module:
    """A convolution, if asked for with its matrix divided by its largest singular value."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
    return spectral_norm(conv) if spectral else conv
