"""The layers of a StyleNet, whose normalisations take their scales and shifts from a style's code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.generators import bounded
from creative.blocks.normalisation import Normalise
from creative.device import random_generator
from creative.models.style_codes import EXTRA

PERIOD = 512
"""Pixels after which the noise that strokes grow from repeats."""
Statistics = list[tuple[Tensor, Tensor]]
"""Means and variances of what each normalisation was given, in their order: (B, C) each, or (1, C) for all pictures."""


class Style:
    """What a pass takes from the code: normalisations ask for their part of it in turn.

    Args:
        codes, masks: see ``StyleNet.forward``.
        short: rows and columns that the picture was made larger by.
        given: statistics to be used; found: a list that is to get those used.
        count: B.
        origin: where the picture begins in the whole, pixels.
    """

    def __init__(
        self,
        codes: Tensor,
        masks: Tensor | None,
        short: tuple[int, int],
        given: Statistics | None,
        found: Statistics | None,
        count: int,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        self.origin = origin
        self.codes = codes if masks is not None else codes.expand(count, -1)
        self.masks = None if masks is None else F.pad(masks, (0, short[1], 0, short[0]), mode="replicate")
        self.given, self.found = None if given is None else iter(given), found
        self.place = EXTRA

    def normalised(self, x: Tensor, channels: int, eps: float = 1e-5) -> Tensor:
        """Instance normalisation with this style's scales and shifts: (B, C, H, W) -> the same."""
        scale = 1 + self.codes[:, self.place : self.place + channels]
        shift = self.codes[:, self.place + channels : self.place + 2 * channels]
        self.place += 2 * channels
        statistics = self._statistics(x)
        if self.masks is None:
            return _normalised(x, scale, shift, statistics, eps)
        plain = _normalised(x, torch.ones_like(scale[:1]), torch.zeros_like(shift[:1]), statistics, eps)
        there = F.adaptive_avg_pool2d(self.masks, (x.shape[-2], x.shape[-1])).to(x.dtype)
        return plain * _spread(there, scale) + _spread(there, shift)

    def plain(self, x: Tensor, eps: float = 1e-5) -> Tensor:
        """Instance normalisation without scales and shifts."""
        one = torch.ones(1, x.shape[1], device=x.device)
        return _normalised(x, one, torch.zeros_like(one), self._statistics(x), eps)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Those to be used, if they are not the map's own; its own are noted if they are asked for."""
        if self.found is not None:
            variance, mean = torch.var_mean(x.float(), (2, 3), unbiased=False)
            self.found.append((mean, variance))
        return None if self.given is None else next(self.given)

    def finished(self, picture: Tensor, drawn: Tensor) -> Tensor:
        """The photo in this style's colours with what is drawn on it."""
        extra = self.codes[:, :EXTRA]
        extra = extra[..., None, None] if self.masks is None else _spread(self.masks, extra)  # (B, EXTRA, H, W)
        faded = (extra[:, :9].unflatten(1, (3, 3)) * (picture - 0.5)[:, None]).sum(2)
        coloured = (extra[:, 12:21].unflatten(1, (3, 3)) * drawn.to(picture.dtype)[:, None]).sum(2)
        painted = picture + faded + extra[:, 9:12] + coloured
        if not painted.requires_grad:
            return painted.clamp(0, 1)
        return bounded(painted * 2 - 1) / 2 + 0.5


def _normalised(
    x: Tensor, scale: Tensor, shift: Tensor, statistics: tuple[Tensor, Tensor] | None, eps: float
) -> Tensor:
    """One picture at a time by the kernel of batch normalisation, the fastest; scales and shifts (B or 1, C)."""
    parts = []
    for place, picture in enumerate(x.split(1)):
        own = (scale[min(place, len(scale) - 1)], shift[min(place, len(shift) - 1)])
        if statistics is None:
            parts.append(Normalise.apply(picture, *own, eps))
        else:
            mean, variance = (values[min(place, len(values) - 1)] for values in statistics)
            parts.append(torch.batch_norm(picture, *own, mean, variance, False, 0.0, eps, False))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _spread(masks: Tensor, values: Tensor) -> Tensor:
    """Values (K, C) over masks (B, K, H, W): (B, C, H, W)."""
    return torch.einsum("bkhw,kc->bchw", masks, values.to(masks.dtype))


class Layer(nn.Module):
    """Convolution 3×3, conditional instance normalisation, ReLU; ``double`` resizes to twice the size before.

    Resizing before a convolution leaves no checkerboard (Odena et al., 2016).
    """

    def __init__(self, inputs: int, channels: int, *, stride: int = 1, double: bool = False, relu: bool = True) -> None:
        super().__init__()
        self.channels, self.doubles, self.relu = channels, double, relu
        self.conv = nn.Conv2d(inputs, channels, 3, stride, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor, style: Style, noise: Tensor | None = None) -> Tensor:
        """(B, inputs, H, W) -> (B, channels, H, W), half or twice the size where it is made so.

        Noise (1, channels, H, W) is added before normalisation.
        """
        if self.doubles:
            # Nearest neighbours would leave a grid: what ReLU makes of every second pixel would be another.
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.conv(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        x = style.normalised(x if noise is None else x + noise.to(x.dtype), self.channels)
        return x.relu_() if self.relu else x


class Block(nn.Module):
    """Two layers whose result is added to what came in: (B, C, H, W) -> the same.

    Noise, the same for every picture, is added to each channel by a weight that is learned: a flat sky has nothing else
    that strokes could grow from.

    Args:
        channels: C.
        stride: pixels of the picture for each of the map.
        place: of the block; each has noise of its own.
    """

    def __init__(self, channels: int, stride: int, place: int) -> None:
        super().__init__()
        self.stride = stride
        self.first, self.second = Layer(channels, channels), Layer(channels, channels, relu=False)
        self.weight = nn.Parameter(torch.full((channels,), 0.3))
        side = PERIOD // stride
        self.noise: Tensor
        drawn = torch.randn(side, side, generator=random_generator(100 * stride + place))
        self.register_buffer("noise", drawn, persistent=False)

    def forward(self, x: Tensor, style: Style) -> Tensor:
        """The same shape."""
        rows, columns = (
            (torch.arange(size, device=x.device) + start // self.stride) % len(self.noise)
            for size, start in zip(x.shape[-2:], style.origin, strict=True)
        )
        noise = self.noise[rows[:, None], columns] * self.weight[:, None, None]
        return x + self.second(self.first(x, style, noise), style)
