"""A painter: a network that paints in one pass, and what a style comes to for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.device import autocast, choose_device
from creative.files import file_sha256, plain_name
from creative.images import colour_statistics, fit, in_rgb, recoloured, resize, to_tensor
from creative.losses import Moments
from creative.models.features import Features, load_features
from creative.models.style_net import STYLE_LAYERS, Statistics, StyleNet, load_style_net, style_moments
from creative.options.fast_style import ANY_PAINTING
from creative.style_presets import Preset
from creative.trained import find_trained, list_trained

LEAST = 16
"""Pixels a side that a network needs; smaller pictures are continued."""
SEEN = (160, 512)
"""Between which longest sides, in pixels, networks learned to see paintings."""


class PainterError(ValueError):
    """A picture cannot be painted with what was given. The message is one sentence for a person."""


@dataclass(frozen=True)
class Painter:
    """A network that is ready to paint, and where it came from.

    Attributes:
        name: of the network, or of its file.
        path, sha256: of its file.
        network: frozen, in evaluation mode.
        device: where it computes.
    """

    name: str
    path: Path
    sha256: str
    network: StyleNet
    device: torch.device

    @property
    def of_one_painting(self) -> bool:
        """Whether it knows one painting only; then that is its style whatever it is given."""
        return self.network.code is not None

    @cached_property
    def features(self) -> Features:
        """The network that sees a painting for it: the bundled one, which presets were made with.

        Raises:
            PainterError: the painter was trained with other weights of it.
        """
        features = load_features(layers=STYLE_LAYERS, device=self.device)
        if self.network.config.features != features.sha256:
            raise PainterError(
                f"{self.name} was trained with other weights of the bundled features than are here; train it again."
            )
        return features

    def code(self, style: Image.Image | Preset, longest: float = 512, *, like: Tensor | None = None) -> Tensor:
        """What a style comes to: (1, N). Codes mix as vectors do; 0 is the untouched photo.

        Args:
            style: a painting or a preset.
            longest: side in pixels at which it is looked at; the result's longest side makes the strokes as large as
                in the painting. A painting is never enlarged for it.
            like: (1, 3, H, W), whose colours a painting is to have; a preset has its own whatever is given.

        Raises:
            PainterError: the style cannot be seen.
        """
        if self.network.code is not None:
            return self.network.code
        self.check(style)
        longest = min(max(longest, SEEN[0]), SEEN[1])
        if isinstance(style, Preset):
            seen = {
                layer: Moments(*(part.to(self.device) for part in (values.count, values.first, values.second)))
                for layer, values in style.moments(longest).items()
            }
        else:
            least = self.features.min_size * max(style.size) / min(style.size)
            side = round(min(max(longest, least), max(style.size)))
            picture = to_tensor(resize(in_rgb(style), fit(style.size, side)), self.device)
            if like is not None:
                picture = recoloured(picture, *colour_statistics(like))
            with torch.no_grad():
                seen = style_moments(self.features, picture)
        with torch.no_grad():
            return self.network.predict(seen)

    def check(self, style: Image.Image | Preset) -> None:
        """Whether a style can be seen.

        Raises:
            PainterError: it cannot.
        """
        if self.of_one_painting:
            return
        if isinstance(style, Preset):
            if style.network != self.network.config.features:
                raise PainterError(
                    f"The preset {style.name} and {self.name} know other weights of the bundled network; make the "
                    "preset again from its picture (creative preset PICTURE --name NAME), or give the picture itself."
                )
        elif min(style.size) < self.features.min_size:
            width, height = style.size
            raise PainterError(
                f"The painting has {width} × {height} pixels, but at least {self.features.min_size} a side are needed."
            )

    def at_strength(self, codes: Tensor, strength: float) -> Tensor:
        """Codes (K, N) as a strength from 0 to 1 wants them; see ``code_scale``."""
        return self.network.scaled(codes, code_scale(strength))

    def paint_tensor(
        self,
        picture: Tensor,
        codes: Tensor,
        masks: Tensor | None = None,
        *,
        precision: torch.dtype | None = None,
        **more: Any,
    ) -> Tensor:
        """Paint a picture of any size whole, without a generator around it.

        Args:
            picture: (1, 3, H, W) in [0, 1].
            codes: (1, N), or with masks (K, N); see ``at_strength`` for more or less of the style.
            masks: (1, K, H, W) in [0, 1] that sum to 1: where each of the codes is painted.
            precision: of the convolutions; None for float32.
            more: what else ``StyleNet.forward`` takes, such as statistics.

        Returns:
            (1, 3, H, W) in [0, 1], float32.
        """
        height, width = picture.shape[-2:]
        with torch.no_grad(), autocast(self.device, precision):
            painted = self.network(_continued(picture), codes, _continued(masks) if masks is not None else None, **more)
        return painted[..., :height, :width].float().clamp(0, 1)

    def measure(
        self, picture: Tensor, codes: Tensor, masks: Tensor | None = None, *, precision: torch.dtype | None = None
    ) -> Statistics:
        """The ``statistics`` with which parts of a picture come out as in the whole; see ``paint_tensor``."""
        with torch.no_grad(), autocast(self.device, precision):
            return self.network.measure(_continued(picture), codes, _continued(masks) if masks is not None else None)


def load_painter(
    painter: str | os.PathLike[str] = ANY_PAINTING, *, device: str | torch.device | None = None
) -> Painter:
    """The painter of that name: a bundled one, one's own, a file, or what was trained in a folder.

    Raises:
        creative.weights.WeightsError: there is none; the message has the names that are near.
        creative.models.style_net.StyleNetError, creative.checkpoint.CheckpointError: the file is something else.
    """
    path, where = find_trained("painter", painter), choose_device(device or "auto")
    given = os.fspath(painter)
    name = given if given in list_trained("painter") else plain_name(path)
    return Painter(name, path, file_sha256(path), load_style_net(path, where), where)


def choose_painter(styles: Sequence[object], painter: str | os.PathLike[str] | None = None) -> str | os.PathLike[str]:
    """Who paints: the one asked for; else a single style's own painter, if a preset's name has one; else the one for
    any painting.

    Args:
        styles: names, presets or pictures.
        painter: who was asked for, if anybody was.
    """
    if painter:
        return painter
    if len(styles) == 1:
        name = styles[0].name if isinstance(styles[0], Preset) else styles[0]
        if isinstance(name, str) and name != ANY_PAINTING and name in list_trained("painter"):
            return name
    return ANY_PAINTING


def _continued(field: Tensor) -> Tensor:
    """A picture or masks (1, C, H, W), with the last rows and columns repeated up to ``LEAST`` a side."""
    short = [max(0, LEAST - side) for side in field.shape[-2:]]
    return F.pad(field, (0, short[1], 0, short[0]), mode="replicate") if any(short) else field


def code_scale(strength: float) -> float:
    """What a code is multiplied by: from 0, the photo, over 1 at one half to 1.5, the most that networks learned."""
    return 2 * strength if strength <= 0.5 else 0.5 + strength
