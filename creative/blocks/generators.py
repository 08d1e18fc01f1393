"""Generators: pictures to pictures (ResNet, U-Net), and noise to pictures (DCGAN).

generator = ResNetGenerator(ResNetConfig(width=48, num_blocks=6))
painted = generator(photo)                  # (B, 3, H, W) in [-1, 1] -> the same
painted = generator.translate(photo)        # the same for pictures in [0, 1], without gradients
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.cnn import (
    ConvNormActivation,
    Downsample,
    Norm,
    Padding,
    ResidualBlock,
    TransposedUpsample,
    Upsample,
    Upsampling,
)
from creative.blocks.config import GANError, NetworkConfig


@dataclass(frozen=True, slots=True)
class ResNetConfig(NetworkConfig):
    """The shape of a ``ResNetGenerator``.

    Attributes:
        width: channels at full size; 2 · width at half, 4 · width in the residual blocks at a quarter of the size.
        num_blocks: residual blocks; Zhu et al. take 6 for 128 pixels and 9 for 256.
        norm: of all layers but the last.
        upsampling: ``resize``, then convolve, which leaves no checkerboard; or ``transposed`` convolutions, with zeros
            around the maps wherever the size changes, which is the layout of published checkpoints.
        residual: the output is the input plus what the network draws, which is nothing to begin with.
    """

    kind: ClassVar[str] = "resnet"
    width: int = 64
    num_blocks: int = 9
    norm: Norm = "instance"
    upsampling: Upsampling = "resize"
    residual: bool = False

    def __post_init__(self) -> None:
        self._at_least(1, "width")
        self._at_least(0, "num_blocks")
        self._one_of("norm", get_args(Norm))
        self._one_of("upsampling", get_args(Upsampling))


class Generator(nn.Module, ABC):
    """Pictures to pictures of the same size.

    Attributes:
        config: what it was made from.
        min_size: the smallest side of a picture in pixels.
    """

    config: NetworkConfig
    min_size: int

    @abstractmethod
    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same shape and range.

        Raises:
            GANError: the picture is smaller than ``min_size``.
        """

    def encode(self, picture: Tensor) -> list[Tensor]:
        """Maps of several depths by which ``PatchNCE`` compares patches, the picture itself first; see the network."""
        raise GANError(f"{type(self).__name__} has no maps to compare patches by.")

    @torch.inference_mode()
    def translate(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> the same shape and range, without gradients."""
        return self(picture * 2 - 1).float().add_(1).div_(2).clamp_(0, 1)

    def _check(self, picture: Tensor) -> None:
        height, width = picture.shape[-2:]
        if min(height, width) < self.min_size:
            raise GANError(
                f"This network needs at least {self.min_size} pixels a side, but the picture has {width}x{height}."
            )


class ResNetGenerator(Generator):
    """Two halvings, residual blocks, two doublings; any size.

    Zhu et al. (2017), Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks,
    arXiv:1703.10593, after Johnson et al. (2016), Perceptual Losses for Real-Time Style Transfer, arXiv:1603.08155.
    Differs from Zhu et al.: doublings are resizings followed by convolutions, and the rims of all maps are mirrored,
    unless ``upsampling="transposed"``; no convolution before a normalisation has a bias.

    Example:
        >>> generator = ResNetGenerator(ResNetConfig(width=32, num_blocks=6))
        >>> generator(torch.zeros(1, 3, 128, 100)).shape
        torch.Size([1, 3, 128, 100])
    """

    config: ResNetConfig
    min_size = 8

    def __init__(self, config: ResNetConfig = ResNetConfig()) -> None:
        super().__init__()
        self.config = config
        width, norm = config.width, config.norm
        resize = config.upsampling == "resize"
        around: Padding = "reflect" if resize else "zeros"
        self.stem = ConvNormActivation(3, width, 7, norm=norm, padding="reflect")
        self.down = nn.Sequential(
            Downsample(width, 2 * width, norm=norm, padding=around),
            Downsample(2 * width, 4 * width, norm=norm, padding=around),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * width, norm=norm) for _ in range(config.num_blocks)))
        self.up = nn.Sequential(
            *(
                Upsample(2 * after, after, norm=norm) if resize else TransposedUpsample(2 * after, after, 3, norm=norm)
                for after in (2 * width, width)
            )
        )
        self.head = PictureConv(width)
        if config.residual:
            self.head.start_at_zero()

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same shape and range."""
        self._check(picture)
        drawn = self.head(self.up(self.blocks(self.down(self.stem(channels_last(picture))))))
        drawn = drawn[..., : picture.shape[-2], : picture.shape[-1]]  # where a side is no multiple of 4
        return finished(picture, drawn, residual=self.config.residual)

    def encode(self, picture: Tensor) -> list[Tensor]:
        """The picture, the maps after each halving, after the first residual block and after half of them."""
        self._check(picture)
        x = channels_last(picture)
        maps = [x]
        x = self.stem(x)
        for down in self.down:
            x = down(x)
            maps.append(x)
        half = len(self.blocks) // 2
        for number, block in enumerate(self.blocks[:half], 1):
            x = block(x)
            if number in (1, half):
                maps.append(x)
        return maps

    @property
    def encoded_channels(self) -> list[int]:
        """Of the maps that ``encode`` gives."""
        width, half = self.config.width, len(self.blocks) // 2
        return [3, 2 * width, 4 * width, *[4 * width] * min(half, 2)]


class PictureConv(nn.Module):
    """The 7×7 convolution from the last map to a picture's 3 channels, with mirrored rims.

    Three channels leave most of a processor's vector units idle. So the 2×2 pixels of a square are computed as twelve
    channels of one place, by an 8×8 kernel with stride 2: the same numbers in half the time.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 3, 7)

    def start_at_zero(self) -> None:
        """Draw nothing to begin with."""
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, 3, H, W)."""
        even = x.shape[-2] % 2 == x.shape[-1] % 2 == 0
        x = F.pad(x, (3, 3, 3, 3), mode="reflect")
        if not even:
            return self.conv(x)
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        places = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
        kernel = torch.stack(places, 1).flatten(0, 1)  # channel 4 c + 2 down + right, as pixel_shuffle expects it
        return F.pixel_shuffle(F.conv2d(x, kernel, bias.repeat_interleave(4), stride=2), 2)


def finished(picture: Tensor, drawn: Tensor, *, residual: bool) -> Tensor:
    """What the last layer drew as a picture in [-1, 1], in float32 even where the network computes in bfloat16."""
    drawn = drawn if drawn.dtype == torch.float64 else drawn.float()
    return bounded(picture + drawn) if residual else drawn.tanh()


def bounded(picture: Tensor) -> Tensor:
    """The picture cut off at -1 and 1, with a gradient wherever it can lead back inside.

    The gradient of ``clamp`` is zero outside, where a network that has gone too far would learn nothing any more.
    """
    if not (torch.is_grad_enabled() and picture.requires_grad):
        return picture.clamp(-1, 1)
    return _Bounded.apply(picture)


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        further = ((x > 1) & (grad < 0)) | ((x < -1) & (grad > 0))  # one descends along minus the gradient
        return grad.masked_fill(further, 0)


def channels_last(x: Tensor) -> Tensor:
    """In the memory layout in which convolutions are fastest."""
    return x.contiguous(memory_format=torch.channels_last)
