"""What a kind of pictures looks like to the bundled feature network: losses beside the discriminators of pixels.

Neither is in Zhu et al. (2017). ``Critic`` is a discriminator on the maps of a frozen network (Sauer et al., 2021,
Projected GANs Converge Faster, arXiv:2111.01007): what strokes, leaves and clouds are it need not find out by itself,
for which a training of minutes on a CPU lacks the time. ``StyleTarget`` compares Gram matrices (Gatys et al.,
2016, arXiv:1508.06576) with their mean over all pictures of a kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from creative.blocks.normalisation import InstanceNorm2d
from creative.checkpoint import load_checkpoint
from creative.data.pictures import PackedPictures, centre_crops
from creative.losses import gram
from creative.models.cyclegan import CycleGANConfig
from creative.models.features import Features

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Of the bundled network: what is looked at."""
CONTENT = "relu4_1"
"""The layer whose map tells what is to be seen, not how it is painted."""
MEMORY = 0.9
"""How much of the running mean of Gram matrices is kept from step to step."""

LOOKED_AT = 64
"""Pictures of a kind from which it is told what it looks like."""

Maps = Mapping[str, Tensor]


class Critic(nn.Module):
    """Scores the maps of a frozen network, layer by layer: the higher, the more real.

    Differs from Sauer et al. (2021): no random mixing of the layers, and least squares as in Zhu et al. (2017).

    Args:
        channels: of each layer's map.
        width: channels within.
    """

    def __init__(self, channels: Mapping[str, int], width: int = 48) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {
                layer: nn.Sequential(
                    *_layer(count, width, stride=2 if depth < 2 else 1),
                    *_layer(width, width, stride=2 if depth < 1 else 1),
                    nn.Conv2d(width, 1, 3, padding=1),
                )
                for depth, (layer, count) in enumerate(channels.items())
            }
        )

    def forward(self, maps: Maps) -> list[Tensor]:
        """Scores (B, 1, h, w) for each layer."""
        return [head(maps[layer]) for layer, head in self.heads.items()]


def _layer(in_channels: int, out_channels: int, *, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
    return [conv, InstanceNorm2d(out_channels, eps=1e-3, affine=True), nn.LeakyReLU(0.2)]


class StyleTarget(nn.Module):
    """The mean Gram matrices of one kind of pictures, and those of what has been translated into it lately.

    The mean of what is translated is to agree with the mean of the kind; a single picture may differ, as the kind's own
    do. It is followed over the last steps, since a batch is too small to tell a mean by.

    Args:
        targets: by layer, (C, C).
    """

    def __init__(self, targets: Maps) -> None:
        super().__init__()
        self.layers = tuple(targets)
        for layer, target in targets.items():
            self.register_buffer(f"target_{layer}", target)
            self.register_buffer(f"lately_{layer}", torch.zeros_like(target))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, maps: Maps) -> Tensor:
        """Squared distance from the target relative to its square, averaged over layers: 0 the same style."""
        distances = []
        before = self.get_buffer("steps").clone()
        for layer in self.layers:
            target, lately = self.get_buffer(f"target_{layer}"), self.get_buffer(f"lately_{layer}")
            own = gram(maps[layer])
            kept = torch.where(before > 0, MEMORY, 0.0)
            # Each picture pulls the mean to the target; the more is kept of the mean, the less it moves it.
            apart = (kept * lately + (1 - kept) * own - target).square().sum((1, 2)) / (1 - kept)
            distances.append(apart.mean() / target.square().sum())
            lately.copy_(torch.lerp(own.detach().mean(0), lately, kept))
        self.get_buffer("steps").add_(1)
        return torch.stack(distances).mean()


@torch.no_grad()
def mean_grams(features: Features, pictures: Tensor) -> dict[str, Tensor]:
    """The mean Gram matrices of pictures (B, 3, H, W) in [0, 1], by layer."""
    sums: dict[str, Tensor] = {}
    for part in pictures.split(8):
        for layer, map_ in features(part).items():
            total = gram(map_).sum(0)
            sums[layer] = sums[layer] + total if layer in sums else total
    return {layer: total / len(pictures) for layer, total in sums.items()}


@torch.no_grad()
def looks_of(features: Features, packed: PackedPictures) -> Tensor:
    """What a kind of pictures looks like: the means of all layers' channels over some pictures, (D,)."""
    places = range(0, len(packed), max(1, len(packed) // LOOKED_AT))
    rows = []
    for picture in centre_crops(packed, 128, places=places).split(8):
        maps = features(picture.to(features.scale.device))
        rows.append(torch.cat([map_.float().mean((2, 3)) for map_ in maps.values()], 1))
    return torch.cat(rows).mean(0).cpu()


def compare_looks(path: Path, config: CycleGANConfig, looks: Mapping[str, Tensor]) -> str | None:
    """A warning, where folders look more like the other kind that a finished network knows than like their own."""
    then = load_checkpoint(path, prefix="looks.").tensors
    if not {"a", "b"} <= set(then) or any(then[name].shape != looks[name].shape for name in "ab"):
        return None
    scale = (then["a"].float() - then["b"].float()).abs().clamp(min=1e-3)

    def apart(own: str, theirs: str) -> float:
        return float(((looks[own] - then[theirs].float()) / scale).square().clamp(max=100).mean())

    if apart("a", "b") + apart("b", "a") >= apart("a", "a") + apart("b", "b"):
        return None
    return (
        f"The folders look swapped: {path.name} translates from {config.domain_a} to {config.domain_b}, and pictures a "
        f"look more like {config.domain_b}, pictures b more like {config.domain_a}."
    )
