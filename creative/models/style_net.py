"""A network that paints in one pass, in any style: the style is a vector that sets every normalisation.

    network = load_style_net("instant-style.safetensors")
    code = network.predict(preset.moments(512))            # (1, N): what a preset's or a painting's moments come to
    painted = network(photo, 0.8 * code)                   # (1, 3, H, W) in [0, 1] -> the same; 0 * code: the photo
    both = network(photo, 0.5 * code + 0.5 * other)        # styles mix as vectors do

Dumoulin et al. (2017), A Learned Representation for Artistic Style, arXiv:1610.07629; Ghiasi et al. (2017), Exploring
the structure of a real-time, arbitrary neural artistic stylization network, arXiv:1705.06830. Differs from both: the
style is seen as the moments of feature maps, so that a painting and a preset of it are the same; what is drawn fades in
over the photo, so that the code 0 gives the photo itself; and there is noise to paint with where a photo is flat
(Karras et al., 2019, A Style-Based Generator Architecture, arXiv:1812.04948).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.generators import bounded
from creative.blocks.normalisation import Normalise
from creative.checkpoint import CheckpointError, in_float32, load_checkpoint, load_into, packed_as, read_metadata
from creative.device import autocast, fast_dtype, random_generator
from creative.files import shown
from creative.losses import PIXELS, Moments, moments
from creative.models.features import Features

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Layers of the bundled features by whose moments, and the pixels' own, a style is known; presets hold the same."""
FRAME = 24
"""Pixels of its own reflection around a picture whose moments are taken, as presets have it."""
PERIOD = 512
"""Pixels after which the noise that strokes grow from repeats."""
EXTRA = 21
"""Numbers of a code that are no normalisation's: what is added to the photo's colours (3 × 3 and 3), and the colours of
what is drawn (3 × 3)."""
Statistics = list[tuple[Tensor, Tensor]]
"""Means and variances of what each normalisation was given, in their order: (B, C) each, or (1, C) for all pictures."""


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


class StyleNet(nn.Module):
    """Photo and style code -> painting.

    Down to an eighth of the size and up again, with the map at a quarter of the size added on the way up; every
    convolution but the last is followed by instance normalisation, whose scales and shifts are the code's. The code
    adds to those of the identity: at 0 nothing is drawn and the photo's colours stay as they are.

    Attributes:
        config: its shape.
        length: N, numbers in a code.
        multiple: sides of a tile should be multiples of this, in pixels.
        halo: how far a pixel of the photo can change the painting, in pixels, given the statistics.
        code: (1, N), of a network of one painting; None where there is a predictor.
    """

    def __init__(self, config: StyleNetConfig = StyleNetConfig()) -> None:
        super().__init__()
        self.config = config
        half, quarter, eighth = config.widths
        fine = config.fine
        self.stem = Layer(12, half)
        self.down = nn.ModuleList([Layer(half, quarter, stride=2), Layer(quarter, eighth, stride=2)])
        self.deep = nn.ModuleList([Block(eighth, 8, place) for place in range(config.blocks[1])])
        self.up = nn.ModuleList([Layer(eighth, quarter, double=True), Layer(quarter, half, double=True)])
        self.middle = nn.ModuleList([Block(quarter, 4, place) for place in range(config.blocks[0])])
        self.fine = Layer(half, fine, double=True)
        self.head = nn.Conv2d(fine, 3, 3, bias=False)
        self.layers: list[Layer] = [module for module in self.modules() if isinstance(module, Layer)]
        self.length = EXTRA + sum(2 * layer.channels for layer in self.layers)
        self.multiple = 8
        # Of 3 × 3 convolutions: each block's two at an eighth and at a quarter of the size, and those in between.
        self.halo = -(-(16 * config.blocks[1] + 8 * config.blocks[0] + 24) // 8) * 8
        self.predictor = Predictor(config, self.length) if config.hidden else None
        self.code: nn.Parameter | None
        self.register_parameter("code", None if config.hidden else nn.Parameter(torch.zeros(1, self.length)))

    def forward(
        self,
        picture: Tensor,
        codes: Tensor,
        masks: Tensor | None = None,
        *,
        statistics: Statistics | None = None,
        seen: Statistics | None = None,
        origin: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Paint.

        Args:
            picture: (B, 3, H, W) in [0, 1], at least 16 pixels a side.
            codes: (B, N), one for each picture, or (1, N), one for all; with masks (K, N).
            masks: (B, K, H, W) in [0, 1] that sum to 1 at each pixel: where each of the codes is painted.
            statistics: those that ``measure`` gave of the whole, where the picture is a part; None for its own.
            seen: a list that gets this picture's own statistics in the same pass, whether they are used or not.
            origin: row and column of the whole, multiples of 8, where the picture begins that is a part of it.

        Returns:
            (B, 3, H, W) in [0, 1].

        Raises:
            StyleNetError: the picture is too small, or the code is another network's.
        """
        return self._painted(picture, codes, masks, statistics, seen, origin)

    def measure(self, picture: Tensor, codes: Tensor, masks: Tensor | None = None) -> Statistics:
        """The statistics of a picture (1, 3, H, W) with which its parts come out as they do in the whole."""
        found: Statistics = []
        self._painted(picture, codes, masks, None, found)
        return found

    def predict(self, seen: Mapping[str, Moments]) -> Tensor:
        """The code (1, N) of a style, from the moments of the bundled features' layers as a preset holds them.

        The painting's size at which the moments were taken decides how large the strokes are: at the photo's own size
        they are as large as on the painting.

        Raises:
            StyleNetError: there is no predictor, or layers are missing.
        """
        if self.predictor is None:
            raise StyleNetError("This network paints in the style of one painting only.")
        return self.predictor(self.predictor.sketch(seen)[None])

    def scaled(self, codes: Tensor, strength: Tensor | float) -> Tensor:
        """Codes (B, N) at a strength, one for all or (B,): 0 the photo, 1 the style, above it with bolder strokes.

        Strokes may be bolder than the style's own, colours not.
        """
        factor = torch.as_tensor(strength, dtype=codes.dtype, device=codes.device).view(-1, 1)
        return torch.cat([codes[:, :EXTRA] * factor.clamp(max=1), codes[:, EXTRA:] * factor], 1)

    def _painted(
        self,
        picture: Tensor,
        codes: Tensor,
        masks: Tensor | None,
        given: Statistics | None,
        found: Statistics | None,
        origin: tuple[int, int] = (0, 0),
    ) -> Tensor:
        height, width = picture.shape[-2:]
        if min(height, width) < 16:
            raise StyleNetError(f"The picture has {width} × {height} pixels; 16 × 16 is the least.")
        if codes.dim() != 2 or codes.shape[1] != self.length:
            raise StyleNetError(f"A code of {self.length} numbers was expected, but its shape is {tuple(codes.shape)}.")
        short = -height % 8, -width % 8
        whole = F.pad(picture, (0, short[1], 0, short[0]), mode="reflect") if any(short) else picture
        style = Style(codes, masks, short, given, found, len(picture), origin)
        x = F.pixel_unshuffle(whole * 2 - 1, 2).contiguous(memory_format=torch.channels_last)
        kept = self.down[0](self.stem(x, style), style)
        x = self.down[1](kept, style)
        for block in self.deep:
            x = block(x, style)
        x = self.up[0](x, style) + kept
        for block in self.middle:
            x = block(x, style)
        x = self.fine(self.up[1](x, style), style)
        drawn = style.plain(self.head(F.pad(x, (1, 1, 1, 1), mode="reflect")))
        return style.finished(whole, drawn)[..., :height, :width]


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
        self.body = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, length)
        )
        last = self.body[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.3 / hidden**0.5)
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
            codes = self.body(((self.seen(sketches) - self.mean) / self.deviation).clamp(-4, 4))
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


def packed(network: StyleNet) -> dict[str, Tensor]:
    """The tensors for a file: in half precision, the predictor's matrices in bytes."""
    state = network.state_dict()
    wide = {name: tensor for name, tensor in state.items() if name.startswith("predictor.body.")}
    return {**packed_as("float16", {n: t for n, t in state.items() if n not in wide}), **packed_as("int8", wide)}


def read_style_net_config(path: str | os.PathLike[str]) -> StyleNetConfig:
    """The shape of the StyleNet in a safetensors file; no tensor is read.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
        StyleNetError: it holds something else.
    """
    config = read_metadata(path).get("config")
    if not isinstance(config, Mapping) or config.get("network") != "style-net":
        raise StyleNetError(
            f"{shown(Path(path))} holds no network that paints in one pass; `creative train fast-style` makes one."
        )
    return StyleNetConfig.from_json(config)


def load_style_net(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> StyleNet:
    """The network in a file, frozen, in evaluation mode.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
        StyleNetError: it holds something else.
    """
    network = StyleNet(read_style_net_config(path))
    try:
        load_into(network, in_float32(load_checkpoint(path).tensors))
    except CheckpointError as error:
        raise StyleNetError(f"{shown(Path(path))}: {error}") from None
    return network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)


def mixed(codes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Codes (1, N) mixed by weights that need not sum to 1: (1, N)."""
    total = sum(weights)
    return torch.stack([code * (weight / total) for code, weight in zip(codes, weights, strict=True)]).sum(0)
