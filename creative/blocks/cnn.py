"""The convolutional parts that networks are built of; no algorithm lives here.

All take and give (B, C, H, W), work at any size and in channels-last memory.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.normalisation import InstanceNorm2d

Norm = Literal["batch", "instance", "none"]
Activation = Literal["relu", "leaky_relu", "silu", "tanh", "none"]
Padding = Literal["zeros", "reflect", "replicate"]
Upsampling = Literal["resize", "transposed"]


def norm_layer(name: Norm, channels: int) -> nn.Module:
    """The normalisation by name, with a scale and a shift for each channel."""
    if name == "none":
        return nn.Identity()
    return nn.BatchNorm2d(channels) if name == "batch" else InstanceNorm2d(channels, affine=True)


def activation_layer(name: Activation) -> nn.Module:
    """The activation by name; ``leaky_relu`` with the slope 0.2 of DCGAN (arXiv:1511.06434)."""
    layers = {"relu": nn.ReLU(inplace=True), "leaky_relu": nn.LeakyReLU(0.2, inplace=True), "silu": nn.SiLU(True)}
    return (layers | {"tanh": nn.Tanh(), "none": nn.Identity()})[name]


class ConvNormActivation(nn.Module):
    """A convolution that keeps the size (divided by ``stride``), then normalisation, then an activation.

    The convolution has a bias only where no normalisation takes it away again: a bias before instance normalisation
    has no effect but rounding noise, which makes runs differ.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: Norm = "batch",
        activation: Activation = "relu",
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            kernel_size // 2,
            groups=groups,
            bias=norm == "none",
            padding_mode=padding,
        )
        self.norm = norm_layer(norm, out_channels)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride)."""
        return self.activation(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """x + f(x) with two convolutions (He et al., 2015, Deep Residual Learning, arXiv:1512.03385).

    Differs from He et al.: no activation after the sum, as in the residual blocks of Johnson et al. (2016, Perceptual
    Losses for Real-Time Style Transfer, arXiv:1603.08155), so that signs survive a stack of them.
    """

    def __init__(
        self, channels: int, kernel_size: int = 3, *, norm: Norm = "instance", padding: Padding = "reflect"
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNormActivation(channels, channels, kernel_size, norm=norm, padding=padding),
            ConvNormActivation(channels, channels, kernel_size, norm=norm, padding=padding, activation="none"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        return x + self.body(x)


class InceptionBlock(nn.Module):
    """1×1, 3×3 and 5×5 convolutions and a pooled branch side by side, concatenated.

    Szegedy et al. (2014), Going Deeper with Convolutions, arXiv:1409.4842; the 5×5 is two 3×3 in turn, as in
    arXiv:1512.00567: the same field for 18/25 of the weights.

    Args:
        widths: channels of the four branches; ``out_channels`` is their sum.
        reduced: channels that the 3×3 and 5×5 branches see after a 1×1 convolution.
    """

    def __init__(
        self, in_channels: int, widths: tuple[int, int, int, int], *, reduced: int | None = None, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        one, three, five, pooled = widths
        reduced = reduced or max(1, in_channels // 2)
        self.out_channels = sum(widths)
        self.one = ConvNormActivation(in_channels, one, 1, norm=norm)
        self.three = nn.Sequential(
            ConvNormActivation(in_channels, reduced, 1, norm=norm), ConvNormActivation(reduced, three, 3, norm=norm)
        )
        self.five = nn.Sequential(
            ConvNormActivation(in_channels, reduced, 1, norm=norm),
            ConvNormActivation(reduced, five, 3, norm=norm),
            ConvNormActivation(five, five, 3, norm=norm),
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), ConvNormActivation(in_channels, pooled, 1, norm=norm))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


class Downsample(nn.Module):
    """Half the size by a convolution with stride 2; an odd last row counts as a whole one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: Norm = "instance",
        activation: Activation = "relu",
        padding: Padding = "reflect",
    ) -> None:
        super().__init__()
        self.body = ConvNormActivation(
            in_channels, out_channels, 3, stride=2, norm=norm, activation=activation, padding=padding
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, ⌈H / 2⌉, ⌈W / 2⌉)."""
        return self.body(x)


class Upsample(nn.Module):
    """Resize, then convolve, which leaves no checkerboard.

    Odena et al. (2016), Deconvolution and Checkerboard Artifacts, https://distill.pub/2016/deconv-checkerboard.

    Doubling is computed in one step at the small size: a transposed convolution whose kernel is the convolution's,
    blurred by 2×2. It gives the same numbers with 16 products in place of 36.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int = 2,
        norm: Norm = "instance",
        activation: Activation = "relu",
        padding: Padding = "reflect",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.body = ConvNormActivation(in_channels, out_channels, 3, norm=norm, activation=activation, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, scale · H, scale · W)."""
        if self.scale != 2:
            return self.body(F.interpolate(x, scale_factor=self.scale, mode="nearest"))
        return self.body.activation(self.body.norm(_double_and_convolve(x, self.body.conv)))


def _double_and_convolve(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """``conv`` (3×3) of the map at twice its size."""
    kernel = _blurred(_blurred(conv.weight, 2), 3).transpose(0, 1)
    if conv.padding_mode == "zeros":
        return F.conv_transpose2d(x, kernel, conv.bias, stride=2, padding=1)
    # Mirrored or repeated: both repeat the last pixel of the small map.
    return F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, conv.bias, stride=2, padding=3)


def _blurred(kernel: Tensor, dim: int) -> Tensor:
    """Reversed, and each value spread over two places: [a, b, c] -> [c, b + c, a + b, a]."""
    end = torch.zeros_like(kernel.narrow(dim, 0, 1))
    turned = kernel.flip(dim)
    return torch.cat([turned, end], dim) + torch.cat([end, turned], dim)


class TransposedUpsample(nn.Module):
    """Twice the size by a transposed convolution; with a kernel of 3 it leaves a checkerboard, with 4 a fainter one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Literal[3, 4] = 4,
        *,
        norm: Norm = "instance",
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        odd, bias = kernel_size % 2, norm == "none"
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, 2, 1, output_padding=odd, bias=bias)
        self.norm, self.activation = norm_layer(norm, out_channels), activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, 2 · H, 2 · W)."""
        return self.activation(self.norm(self.conv(x)))


def upsample_layer(
    kind: Upsampling, in_channels: int, out_channels: int, *, norm: Norm = "instance", activation: Activation = "relu"
) -> nn.Module:
    """Twice the size by name: ``Upsample``, or ``TransposedUpsample`` with a kernel of 4."""
    make = Upsample if kind == "resize" else TransposedUpsample
    return make(in_channels, out_channels, norm=norm, activation=activation)


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that computes what ``norm(conv(x))`` does in evaluation mode.

    Raises:
        ValueError: the normalisation keeps no running statistics, so what it does depends on the batch.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("Only a batch normalisation with running statistics can be folded into its convolution.")
    folded = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        conv.groups,
        padding_mode=conv.padding_mode,
        device=conv.weight.device,
    )
    with torch.no_grad():
        mean, deviation = norm.running_mean.double(), (norm.running_var.double() + norm.eps).sqrt()
        weight = torch.ones_like(mean) if norm.weight is None else norm.weight.double()
        shift = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
        bias = torch.zeros_like(mean) if conv.bias is None else conv.bias.double()
        scale = weight / deviation
        folded.weight.copy_(conv.weight.double() * scale.view(-1, 1, 1, 1))
        assert folded.bias is not None
        folded.bias.copy_((bias - mean) * scale + shift)
    return folded
