"""What a network that paints in one pass learns by: distances of Gram matrices, and of deep features from the photo's.

Each distance is relative to that of the untouched photo, as ``creative.metrics.style_quality`` has it, so that every
layer and every painting counts alike: Johnson et al. (2016), Perceptual Losses for Real-Time Style Transfer and
Super-Resolution, arXiv:1603.08155, weigh them by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.device import random_generator
from creative.losses import PIXELS, gram, total_variation
from creative.models.features import Features, load_features
from creative.options.instant_style import PainterTrainingSettings

JUDGE_LAYERS = ("relu1", "fire3", "fire5", "fire7", "fire9")
"""SqueezeNet's, for style."""
CONTENT_LAYER = "fire5"
TEXTURE_LAYERS = ("relu1_1", "relu2_1")
"""The bundled network's, at the full and at half the size, where SqueezeNet sees every second pixel only."""
DIRECTIONS = 128
"""Channels that a layer's map is projected to before its Gram matrix is taken: distances stay nearly the same (Johnson
and Lindenstrauss, 1984), and a step that would spend a third of its time on matrices of 512 × 512 does not."""
NEARNESS = 0.15
"""Share of the style's own norm in what a distance is measured by, for photos that are near the style already."""
GRID = 5.0
"""Weight of what repeats every 4 pixels: grids come from doubling the size, and no layer of the judge sees them."""
STRONGEST = 1.5
"""The largest strength that is trained."""

Grams = Mapping[str, Tensor]
"""By layer, (B, C, C)."""


class Objective:
    """The loss of painted photos against photos and styles.

    Args:
        settings: weights of its parts.
        judge_weights: SqueezeNet's file; None finds it.
        device: where to compute.
    """

    def __init__(
        self, settings: PainterTrainingSettings, judge_weights: Path | None, device: torch.device | str = "cpu"
    ) -> None:
        self.settings = settings
        self.judge = load_features("squeezenet1_0", layers=JUDGE_LAYERS, weights=judge_weights, device=device)
        self.texture = load_features(layers=TEXTURE_LAYERS, device=device)
        self.axes = {layer: axes.to(device) for layer, axes in _axes(self.judge).items()}

    def to(self, device: torch.device) -> None:
        """Move the networks."""
        self.judge, self.texture = self.judge.to(device), self.texture.to(device)
        self.axes = {layer: axes.to(device) for layer, axes in self.axes.items()}

    def maps(self, picture: Tensor) -> dict[str, Tensor]:
        """All maps of pictures (B, 3, H, W) in [0, 1]; the pixels with a constant, so that their Gram has means."""
        pixels = torch.cat([picture, torch.ones_like(picture[:, :1])], 1)
        return {PIXELS: pixels, **self.texture(picture), **self.judge(picture)}

    def grams(self, picture: Tensor) -> dict[str, Tensor]:
        """What a style is compared by: (B, D, D) a layer."""
        return self.grams_of(self.maps(picture))

    def grams_of(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same of maps, which are left in the precision that they have."""
        found = {}
        for layer, values in maps.items():
            axes = self.axes.get(layer)
            found[layer] = gram(values if axes is None else F.conv2d(values, axes.to(values.dtype)))
        return found

    def __call__(self, painted: Tensor, photo: Tensor, style: Grams, strength: Tensor) -> dict[str, Tensor]:
        """The losses, of which ``loss`` is the sum.

        Args:
            painted, photo: (B, 3, H, W) in [0, 1].
            style: Gram matrices to come to at a strength of 1.
            strength: (B,) from 0 to ``STRONGEST``: below 1 the aim is that far from the photo's matrices to the
                style's; above it the photo counts less.
        """
        with torch.no_grad():
            before = self.maps(photo)
            untouched = self.grams_of(before)
        after = self.maps(painted)
        along = strength.clamp(max=1).view(-1, 1, 1)
        distances = {}
        for layer, matrix in self.grams_of(after).items():
            start, end = untouched[layer].float(), style[layer].float()
            way = end - start
            scale = _norm(way) + NEARNESS * _norm(end)
            short = (matrix.float() - torch.addcmul(start, along, way)).square().flatten(1).sum(1)
            distances[layer] = ((short + (1e-3 * scale).square()).sqrt() / scale).mean()
        chosen = self.settings
        seen = torch.stack([distances[layer] for layer in JUDGE_LAYERS]).mean()
        texture = torch.stack([distances[layer] for layer in (PIXELS, *TEXTURE_LAYERS)]).mean()
        apart = (after[CONTENT_LAYER] - before[CONTENT_LAYER]).float().flatten(1)
        kept = before[CONTENT_LAYER].float().flatten(1)
        content = apart.square().sum(1) / kept.square().sum(1).clamp(min=1e-12)
        weight = (1 - 1.4 * (strength - 1).clamp(min=0)).clamp(min=0)
        content = (content * weight).mean()
        rough = total_variation(painted)
        grid = repeating(painted)
        loss = (
            seen
            + GRID * grid
            + chosen.texture_weight * texture
            + chosen.content_weight * content
            + chosen.smoothness * rough
        )
        return {"loss": loss, "style": seen, "texture": texture, "content": content, "variation": rough, "grid": grid}


def repeating(pictures: Tensor, period: int = 4) -> Tensor:
    """How much of pictures (B, C, H, W) repeats every few pixels: the deviation of the means of each place in a period,
    averaged over pictures."""
    height, width = (side // period * period for side in pictures.shape[-2:])
    cut = pictures[..., :height, :width].unflatten(-1, (-1, period)).unflatten(-3, (-1, period))
    means = cut.float().mean((2, 4)).flatten(2)  # (B, C, period²)
    return (means.var(2, unbiased=False).mean(1) + 1e-8).sqrt().mean()


def _norm(matrices: Tensor) -> Tensor:
    return matrices.flatten(1).norm(dim=1).clamp(min=1e-12)


def _axes(features: Features) -> dict[str, Tensor]:
    """By layer with many channels, orthonormal directions (D, C, 1, 1), longer so that distances keep their size."""
    found = {}
    with torch.no_grad():
        maps = features(torch.zeros(1, 3, 64, 64, device=features.scale.device))
    for number, (layer, values) in enumerate(maps.items()):
        channels = values.shape[1]
        if channels > DIRECTIONS:
            drawn = torch.randn(channels, DIRECTIONS, generator=random_generator(number), dtype=torch.float64)
            axes = torch.linalg.qr(drawn).Q.T.float() * (channels / DIRECTIONS) ** 0.5
            found[layer] = axes[:, :, None, None].contiguous()
    return found
