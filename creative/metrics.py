"""Measures that more than one engine uses: of one painting, of sets of pictures by their features, of shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.images import lightness
from creative.losses import gram

if TYPE_CHECKING:
    from creative.models.features import Features


JUDGED: Mapping[str, tuple[str, ...]] = {
    "bundled": ("relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "squeezenet1_0": ("relu1", "fire3", "fire5", "fire7"),
}
"""By network: the layers whose means and deviations describe a picture."""


@dataclass(frozen=True, slots=True)
class StyleQuality:
    """How a painted photo compares with the photo and the painting.

    Attributes:
        style: distance of the Gram matrices from the painting's relative to the photo's, averaged over layers: 0 the
            painting's style, 1 as far from it as the untouched photo.
        content: distance of the content layer's map from the photo's relative to that map's norm: 0 the photo.
        grain: deviation of the Laplacian of lightness relative to the painting's: above 1 noisier than the painting.
    """

    style: float
    content: float
    grain: float


def style_quality(
    content: Tensor,
    style: Tensor,
    image: Tensor,
    features: Features,
    *,
    content_layer: str,
) -> StyleQuality:
    """Score a painted photo by a feature network; all layers of ``features`` are compared for style.

    Args:
        content, style, image: the photo, the painting and the result, (1, 3, H, W) in [0, 1], all of one size.
        features: with ``content_layer`` among its layers.
    """
    with torch.no_grad():
        maps = [features(picture) for picture in (content, style, image)]
    photo, painting, result = ({layer: gram(values) for layer, values in seen.items()} for seen in maps)
    return StyleQuality(
        style=style_distance(photo, painting, result),
        content=content_distance(maps[0][content_layer], maps[2][content_layer]),
        grain=grain(image) / max(grain(style), 1e-12),
    )


def style_distance(photo: Mapping[str, Tensor], painting: Mapping[str, Tensor], result: Mapping[str, Tensor]) -> float:
    """How far a result's style is from the painting's, from the Gram matrices of each by layer; see ``StyleQuality``.

    Layers that one of them lacks do not count.
    """
    distances = [
        (result[layer] - painting[layer]).norm() / (photo[layer] - painting[layer]).norm().clamp(min=1e-12)
        for layer in result
        if layer in painting and layer in photo
    ]
    return torch.stack(distances).mean().item()


def content_distance(photo: Tensor, result: Tensor) -> float:
    """How far a result's content is from the photo's, from a layer's map of each; see ``StyleQuality``."""
    return ((result - photo).norm() / photo.norm().clamp(min=1e-12)).item()


def grain(picture: Tensor) -> float:
    """The standard deviation of the 3 × 3 Laplacian of a picture's lightness: (1, 3, H, W) in [0, 1]."""
    laplacian = picture.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3)
    return F.conv2d(lightness(picture), laplacian).std().item()


def checkerboard(pictures: Tensor) -> float:
    """How much of the finest detail repeats every 2 or every 4 pixels: 1 as much as neighbouring frequencies, above
    that a checkerboard, as transposed convolutions draw it (Odena et al., 2016, Deconvolution and Checkerboard
    Artifacts).

    The power spectrum of lightness at the frequencies 1/2 and 1/4 of either direction, relative to that nearby.

    Args:
        pictures: (B, 3, H, W) in [0, 1], sides of at least 64 pixels.
    """
    height, width = (side - side % 16 for side in pictures.shape[-2:])
    grey = lightness(pictures[..., :height, :width])[:, 0]
    window = torch.hann_window(height, device=grey.device)[:, None] * torch.hann_window(width, device=grey.device)
    power = torch.fft.fft2((grey - grey.mean((1, 2), keepdim=True)) * window).abs().square().mean(0)
    ratios = []
    for rows, columns in ((2, 0), (0, 2), (2, 2), (4, 0), (0, 4), (4, 4), (4, 2), (2, 4)):
        row = height // rows if rows else 0
        column = width // columns if columns else 0
        ratios.append(_peak(power, row, column))
    return float(torch.stack(ratios).max())


def _peak(power: Tensor, row: int, column: int, near: int = 1, far: int = 5) -> Tensor:
    """Mean power around a frequency relative to the median of that somewhat further away."""
    rolled = power.roll((far - row, far - column), (0, 1))[: 2 * far + 1, : 2 * far + 1]
    offsets = torch.arange(-far, far + 1, device=power.device)
    distance = torch.maximum(offsets.abs()[:, None], offsets.abs()[None])
    # The axes through zero frequency carry the edges of the picture; there only the same axis is a fair neighbour.
    fair = torch.ones_like(distance, dtype=torch.bool)
    if row == 0:
        fair &= offsets[:, None].abs() <= near
    if column == 0:
        fair &= offsets[None].abs() <= near
    return rolled[(distance <= near) & fair].mean() / rolled[(distance > near + 1) & fair].median().clamp(min=1e-12)


def pooled(maps: Mapping[str, Tensor], layer: str) -> Tensor:
    """A layer's maps (B, C, H, W) averaged over positions: one row for each picture, (B, C)."""
    return maps[layer].float().mean((2, 3))


def kernel_distance(one: Tensor, other: Tensor) -> float:
    """The kernel distance of two sets of features, (N, D) and (M, D), N and M at least 2.

    Bińkowski et al., "Demystifying MMD GANs" (2018, arXiv:1801.01401): the squared maximum mean discrepancy with the
    kernel (x·y / D + 1)³, by the unbiased estimate, so it may be a little below 0 for sets that are alike. Unlike the
    Fréchet distance it is fair to small sets.
    """
    _check_sets(one, other)
    one, other = one.double(), other.double()
    within_one, within_other = _kernel(one, one), _kernel(other, other)
    n, m = len(one), len(other)
    own = (within_one.sum() - within_one.trace()) / (n * (n - 1))
    theirs = (within_other.sum() - within_other.trace()) / (m * (m - 1))
    return float(own + theirs - 2 * _kernel(one, other).mean())


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """The Fréchet distance of the Gaussians that fit two sets of features, (N, D) and (M, D), N and M at least 2.

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule..." (2017, arXiv:1706.08500): |μ₁ - μ₂|² +
    tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½). Its estimate is too high for small sets: compare sets of one size only.
    """
    _check_sets(one, other)
    one, other = one.double(), other.double()
    first, second = torch.cov(one.T).reshape(2 * [one.shape[1]]), torch.cov(other.T).reshape(2 * [one.shape[1]])
    values, vectors = torch.linalg.eigh(first)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    # The eigenvalues of Σ₁ Σ₂ are those of the symmetric Σ₁^½ Σ₂ Σ₁^½.
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    distance = (one.mean(0) - other.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross
    return max(0.0, float(distance))


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    return (one @ other.T / one.shape[1] + 1) ** 3


def _check_sets(one: Tensor, other: Tensor) -> None:
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1]:
        shapes = f"{tuple(one.shape)} and {tuple(other.shape)}"
        raise ValueError(f"Two sets of features are (N, D) and (M, D), not {shapes}.")
    if min(len(one), len(other)) < 2:
        raise ValueError(f"Each set needs at least 2 rows, but there are {len(one)} and {len(other)}.")


@dataclass(frozen=True)
class Ruler:
    """Measures sets of pictures in units of how much two kinds vary.

    Attributes:
        network: what looks.
        mean, deviation: of the two kinds' descriptions, (D,).
    """

    network: str
    mean: Tensor
    deviation: Tensor

    @classmethod
    def between(cls, network: str, one: Tensor, other: Tensor) -> Ruler:
        """From the descriptions of pictures of both kinds, (N, D) and (M, D)."""
        both = torch.cat([one, other])
        deviation = both.std(0)
        # What hardly varies in these pictures would blow up every difference in others.
        return cls(network, both.mean(0), deviation.clamp(min=0.05 * float(deviation.mean()) + 1e-6))

    def kernel(self, one: Tensor, other: Tensor) -> float:
        """The kernel distance (Bińkowski et al., 2018, arXiv:1801.01401) of two sets of descriptions."""
        return kernel_distance((one - self.mean) / self.deviation, (other - self.mean) / self.deviation)

    def frechet(self, one: Tensor, other: Tensor) -> float:
        """The Fréchet distance (Heusel et al., 2017, arXiv:1706.08500), too large for small sets; per dimension."""
        scaled = ((values - self.mean) / self.deviation for values in (one, other))
        return frechet_distance(*scaled) / len(self.mean)


@torch.no_grad()
def describe_pictures(features: Features, pictures: Tensor) -> Tensor:
    """Means and deviations over each picture of all layers' channels: (B, 3, H, W) in [0, 1] -> (B, D)."""
    rows = []
    for part in pictures.split(8):
        maps = features(part)
        found = [torch.cat([map_.float().mean((2, 3)), map_.float().std((2, 3))], 1) for map_ in maps.values()]
        rows.append(torch.cat(found, 1))
    return torch.cat(rows)


def wilson_interval(hits: int, tries: int) -> tuple[float, float]:
    """Where the true share of successes lies with 95 % confidence (Wilson, 1927, JASA 22); 0 to 1 without tries."""
    if not tries:
        return 0.0, 1.0
    z, p = 1.959964, hits / tries
    middle, reach = p + z * z / (2 * tries), z * math.sqrt(p * (1 - p) / tries + z * z / (4 * tries * tries))
    whole = 1 + z * z / tries
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)
