"""The U-Net generator: every map on the way down goes across to the way up.

Isola et al. (2016), Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004, after
Ronneberger et al. (2015), U-Net, arXiv:1505.04597.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn

from creative.blocks.cnn import Downsample, Norm, Upsampling, upsample_layer
from creative.blocks.config import NetworkConfig
from creative.blocks.generators import Generator, PictureConv, channels_last, finished


@dataclass(frozen=True, slots=True)
class UNetConfig(NetworkConfig):
    """The shape of a ``UNetGenerator``.

    Attributes:
        width: channels after the first halving; they double with each further one, up to eight times as many.
        depth: halvings; Isola et al. take 7 for 128 pixels and 8 for 256.
        norm: of all layers but the first, the deepest and the last.
        upsampling, residual: see ``ResNetConfig``.
    """

    kind: ClassVar[str] = "unet"
    width: int = 64
    depth: int = 7
    norm: Norm = "instance"
    upsampling: Upsampling = "resize"
    residual: bool = False

    def __post_init__(self) -> None:
        self._at_least(1, "width")
        self._at_least(2, "depth")
        self._one_of("norm", get_args(Norm))
        self._one_of("upsampling", get_args(Upsampling))


class UNetGenerator(Generator):
    """Halvings down to a few pixels, and doublings that see what was there before each halving; any size.

    Differs from Isola et al.: no dropout (noise is no input here), 3×3 convolutions down, and a last 7×7 convolution at
    full size, which sees the picture itself too.

    Example:
        >>> UNetGenerator(UNetConfig(width=16, depth=4))(torch.zeros(1, 3, 50, 64)).shape
        torch.Size([1, 3, 50, 64])
    """

    config: UNetConfig

    def __init__(self, config: UNetConfig = UNetConfig()) -> None:
        super().__init__()
        self.config, self.min_size = config, 2**config.depth
        widths = [3, *(config.width * min(2**level, 8) for level in range(config.depth))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, (before, after) in enumerate(pairwise(widths)):
            # The deepest map can be a single pixel, which has no statistics.
            norm: Norm = "none" if level in (0, config.depth - 1) else config.norm
            self.down.append(Downsample(before, after, norm=norm, activation="leaky_relu", padding="zeros"))
        below = widths[-1]
        for across in reversed(widths[:-1]):
            width = max(across, config.width)
            self.up.append(upsample_layer(config.upsampling, below, width, norm=config.norm))
            below = width + across
        self.head = PictureConv(below)
        if config.residual:
            self.head.start_at_zero()

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same shape and range."""
        self._check(picture)
        x, across = channels_last(picture), []
        for down in self.down:
            across.append(x)
            x = down(x)
        for up in self.up:
            beside = across.pop()
            x = torch.cat([up(x)[..., : beside.shape[-2], : beside.shape[-1]], beside], 1)
        return finished(picture, self.head(x), residual=self.config.residual)
