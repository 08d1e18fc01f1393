"""DCGAN: pictures from noise, and a judge of whole pictures.

Radford et al. (2015), Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks,
arXiv:1511.06434.

    generator = initialise(DCGANGenerator(DCGANConfig(size=32, width=24)), "normal", random_generator(0))
    pictures = generator(torch.randn(16, generator.config.latent_size))      # (16, 3, 32, 32) in [-1, 1]
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, get_args

from torch import Tensor, nn

from creative.blocks.cnn import Norm, Upsampling, activation_layer, norm_layer, upsample_layer
from creative.blocks.config import GANError, NetworkConfig
from creative.blocks.discriminators import scoring_conv, scoring_layer
from creative.blocks.generators import channels_last


def _widths(size: int, width: int) -> list[int]:
    """Channels of the maps from half the size down to 4×4."""
    return [width * 2**level for level in range(size.bit_length() - 3)]


def _check_size(size: int) -> None:
    if size < 8 or size & (size - 1):
        raise GANError(f"size is {size}, but must be a power of two from 8 on.")


@dataclass(frozen=True, slots=True)
class DCGANConfig(NetworkConfig):
    """The shape of a ``DCGANGenerator``.

    Attributes:
        size: side of the pictures in pixels, a power of two from 8 on.
        width: channels of the last map but the picture; they double with each halving of the size.
        latent_size: numbers that a picture is made from.
        norm: of all layers but the last.
        upsampling: ``transposed`` convolutions of 4×4 as in the paper, or ``resize``, then convolve.
    """

    kind: ClassVar[str] = "dcgan"
    size: int = 64
    width: int = 64
    latent_size: int = 100
    norm: Norm = "batch"
    upsampling: Upsampling = "transposed"

    def __post_init__(self) -> None:
        self._at_least(1, "width", "latent_size")
        _check_size(self.size)
        self._one_of("norm", get_args(Norm))
        self._one_of("upsampling", get_args(Upsampling))


class DCGANGenerator(nn.Module):
    """Noise (B, latent_size) from N(0, 1) -> pictures (B, 3, size, size) in [-1, 1].

    Example:
        >>> DCGANGenerator(DCGANConfig(size=32, width=8))(torch.randn(2, 100)).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(self, config: DCGANConfig = DCGANConfig()) -> None:
        super().__init__()
        self.config = config
        widths = _widths(config.size, config.width)[::-1]
        self.first = nn.Linear(config.latent_size, 16 * widths[0], bias=config.norm == "none")
        self.start = nn.Sequential(norm_layer(config.norm, widths[0]), activation_layer("relu"))
        self.up = nn.Sequential(
            *(upsample_layer(config.upsampling, *around, norm=config.norm) for around in pairwise(widths))
        )
        self.head = upsample_layer(config.upsampling, widths[-1], 3, norm="none", activation="tanh")

    def forward(self, noise: Tensor) -> Tensor:
        """(B, latent_size) -> (B, 3, size, size) in [-1, 1].

        Raises:
            GANError: a row of noise has another number of values.
        """
        if noise.shape[1:] != (self.config.latent_size,):
            raise GANError(f"Noise (B, {self.config.latent_size}) was expected, but this is {tuple(noise.shape)}.")
        maps = self.first(noise).unflatten(1, (-1, 4, 4))
        return self.head(self.up(self.start(channels_last(maps))))


@dataclass(frozen=True, slots=True)
class DCGANDiscriminatorConfig(NetworkConfig):
    """The shape of a ``DCGANDiscriminator``.

    Attributes:
        size, width: as of the generator.
        norm: of all layers but the first and the last.
        spectral_norm: see ``PatchDiscriminator``.
    """

    kind: ClassVar[str] = "dcgan"
    size: int = 64
    width: int = 64
    norm: Norm = "batch"
    spectral_norm: bool = False

    def __post_init__(self) -> None:
        self._at_least(1, "width")
        _check_size(self.size)
        self._one_of("norm", get_args(Norm))


class DCGANDiscriminator(nn.Module):
    """Whole pictures (B, 3, size, size) in [-1, 1] -> one score each (B,); no sigmoid.

    Example:
        >>> DCGANDiscriminator(DCGANDiscriminatorConfig(size=32, width=8))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])
    """

    def __init__(self, config: DCGANDiscriminatorConfig = DCGANDiscriminatorConfig()) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise([3, *_widths(config.size, config.width)])):
            norm: Norm = config.norm if number else "none"
            layers += scoring_layer(before, after, stride=2, norm=norm, spectral=config.spectral_norm)
        layers.append(scoring_conv(after, 1, padding=0, spectral=config.spectral_norm))
        self.layers = nn.Sequential(*layers)

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, size, size) -> (B,).

        Raises:
            GANError: the pictures have another size.
        """
        size = self.config.size
        if picture.shape[1:] != (3, size, size):
            raise GANError(f"Pictures (B, 3, {size}, {size}) were expected, but these are {tuple(picture.shape)}.")
        return self.layers(channels_last(picture)).flatten()
