"""What a kind of pictures looks like to the bundled feature network: losses beside the discriminators of pixels.

Neither is in Zhu et al. (2017). ``Critic`` is a discriminator on the maps of a frozen network (Sauer et al., 2021,
Projected GANs Converge Faster, arXiv:2111.01007): what strokes, leaves and clouds are it need not find out by itself,
for which a training of minutes on a CPU lacks the time. ``StyleBank`` finds whose Gram matrices (Gatys et al., 2016,
arXiv:1508.06576) a translation should have.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from creative.checkpoint import load_checkpoint
from creative.data.pictures import PackedPictures, centre_crops
from creative.losses import gram
from creative.models.cyclegan import CycleGANConfig
from creative.models.features import Features

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Of the bundled network: what is looked at."""
CONTENT = "relu4_1"
"""The layer whose map tells what is to be seen, not how it is painted."""
STYLE = LAYERS[:3]
"""The layers whose Gram matrices are compared; the next says more of what is shown than of how."""
KEYS = ("relu2_1", "relu3_1", "relu4_1")
"""The layers by whose means crops are found that show the same."""

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
    # No normalisation: it would hide how bright, how colourful and how rich in contrast a picture is.
    return [nn.Conv2d(in_channels, out_channels, 3, stride, padding=1), nn.LeakyReLU(0.2)]


class StyleBank:
    """Crops of one kind of pictures, and for each crop of the other kind those that show the most alike.

    A sky is to be painted as a painted sky, leaves as painted leaves: the style of a translation is compared with that
    of the crops of the wanted kind whose deep features are nearest to the picture's, each kind's features standardised.

    Args:
        features: of the bundled network, ``LAYERS``.
        source, target: crops of both kinds, (N, 3, H, W) uint8.
    """

    def __init__(self, features: Features, source: Tensor, target: Tensor) -> None:
        self.features, self.crops = features, target
        keys = self._keys_of_all(source)
        self.mean, self.deviation = keys.mean(0), keys.std(0).clamp(min=1e-3)
        keys = self._keys_of_all(target)
        self.keys = (keys - keys.mean(0)) / keys.std(0).clamp(min=1e-3)

    @torch.no_grad()
    def _keys_of_all(self, crops: Tensor) -> Tensor:
        device = self.features.scale.device
        return torch.cat([_keys(self.features(part.to(device).float() / 255)) for part in crops.split(8)])

    @torch.no_grad()
    def nearest(self, maps: Maps, rank: int) -> Maps:
        """Maps of crops of the wanted kind for pictures with these maps, the nearest but ``rank``."""
        keys = (_keys(maps) - self.mean) / self.deviation
        places = torch.cdist(keys, self.keys).topk(rank + 1, dim=1, largest=False).indices[:, rank]
        return self.features(self.crops[places.cpu()].to(keys.device).float() / 255)


def _keys(maps: Maps) -> Tensor:
    return torch.cat([maps[layer].float().mean((2, 3)) for layer in KEYS], 1)


def style_distance(maps: Maps, wanted: Maps) -> Tensor:
    """How far Gram matrices and covariances of features are from the wanted ones, averaged over layers: 0 the same.

    Each is a squared distance relative to the mean of both squares. Gram matrices are mostly the means of features,
    which tell light and colours; covariances tell of texture alone.
    """
    distances = []
    for layer in STYLE:
        pairs = (maps[layer], wanted[layer])
        distances.append(_relative(*(gram(map_) for map_ in pairs)))
        distances.append(_relative(*(gram(map_ - map_.mean((2, 3), keepdim=True)) for map_ in pairs)))
    return torch.stack(distances).mean()


def _relative(own: Tensor, other: Tensor) -> Tensor:
    squares = (own.detach().square() + other.square()).sum((1, 2)) / 2
    return ((own - other).square().sum((1, 2)) / squares.clamp(min=1e-12)).mean()


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
