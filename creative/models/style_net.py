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
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.checkpoint import CheckpointError, in_float32, load_checkpoint, load_into, packed_as, read_metadata
from creative.files import shown
from creative.losses import Moments
from creative.models.style_codes import (
    EXTRA,
    STYLE_LAYERS,
    Predictor,
    StyleNetConfig,
    StyleNetError,
    mixed,
    predictor_channels,
    style_moments,
)
from creative.models.style_layers import Block, Layer, Statistics, Style

__all__ = [
    "EXTRA",
    "STYLE_LAYERS",
    "Statistics",
    "StyleNet",
    "StyleNetConfig",
    "StyleNetError",
    "load_style_net",
    "mixed",
    "packed",
    "predictor_channels",
    "read_style_net_config",
    "style_moments",
]


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

    def __init__(self, config: StyleNetConfig) -> None:
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
        origin: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Paint.

        Args:
            picture: (B, 3, H, W) in [0, 1], at least 16 pixels a side.
            codes: (B, N), one for each picture, or (1, N), one for all; with masks (K, N).
            masks: (B, K, H, W) in [0, 1] that sum to 1 at each pixel: where each of the codes is painted.
            statistics: those that ``measure`` gave of the whole, where the picture is a part; None for its own.
            origin: row and column of the whole, multiples of 8, where the picture begins that is a part of it.

        Returns:
            (B, 3, H, W) in [0, 1].

        Raises:
            StyleNetError: the picture is too small, or the code is another network's.
        """
        return self._painted(picture, codes, masks, statistics, None, origin)

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
