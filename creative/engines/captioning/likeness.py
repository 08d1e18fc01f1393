"""Whether a picture is like those that a captioner has learned from, told by its features.

    likeness = fit_likeness(seen[training], seen[validation])
    likeness(look_at(eye, pictures))        # (B,): up to 1 as near as its own kind, above 1 something else

A captioner has a sentence for everything, so it must be told apart what it has no words for. The distance is that to
the nearest pictures of the training in the space of their principal components, with what lies outside of it (Bishop,
1999, Probabilistic Principal Component Analysis; deep nearest neighbours: Sun et al., 2022, arXiv:2204.06507).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

EYE_LAYERS = ("relu3_3", "relu4_3", "relu5_2")
EYE_SIZE = 112
"""What pictures are compared by: these layers of the bundled network, their means and deviations over the picture."""
NEIGHBOURS = 3
COMPONENTS = 64
MOST_POINTS = 1024
"""Of the training pictures, so many are kept at most."""
OWN_SHARE = 0.985
"""Of a captioner's own kind of pictures, as validation has them, so many are to count as known."""

PENALTY = 0.15
"""Of the squares of the boundary's weights."""

PREFIX = "likeness."
"""Of the names of a captioner's tensors that are a likeness."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A set of pictures by their features.

    Attributes:
        mean, deviation: of each feature, (D,).
        components: the principal ones, (K, D).
        points: the training pictures along these, (N, K).
        threshold: the distance up to which a picture counts as one of them.
        boundary: what else speaks against a picture, (D + 1,): weights of its features and an offset, by which others
            that training knew of are told; all zero where it knew of none.
    """

    mean: Tensor
    deviation: Tensor
    components: Tensor
    points: Tensor
    threshold: float
    boundary: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """How unlike them pictures are: features (B, D) -> (B,), 1 where they stop to count as such."""
        return torch.maximum(self.distances(features) / self.threshold, self.otherness(features))

    def distances(self, features: Tensor) -> Tensor:
        """The root mean square distance to the nearest points: (B, D) -> (B,)."""
        x = self._standardised(features)
        along = x @ self.components.T
        outside = ((x * x).sum(1) - (along * along).sum(1)).clamp(min=0)
        nearest = torch.cdist(along, self.points).topk(min(NEIGHBOURS, len(self.points)), largest=False).values
        return (nearest.square().mean(1) + outside).sqrt()

    def otherness(self, features: Tensor) -> Tensor:
        """On which side of the boundary they are: (B,), 1 on it, and 2 where the others are in the middle."""
        return self._standardised(features) @ self.boundary[:-1] + self.boundary[-1]

    def _standardised(self, features: Tensor) -> Tensor:
        return (features.float().to(self.mean.device) - self.mean) / self.deviation

    def to(self, device: torch.device) -> Likeness:
        """The same on another device."""
        return self._like({name: tensor.to(device) for name, tensor in self._tensors().items()}, self.threshold)

    def tensors(self) -> dict[str, Tensor]:
        """For the checkpoint, half precision."""
        stored = {PREFIX + name: tensor.half() for name, tensor in self._tensors().items()}
        return {**stored, f"{PREFIX}threshold": torch.tensor([self.threshold])}

    def _tensors(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in _TENSORS}

    @classmethod
    def _like(cls, tensors: Mapping[str, Tensor], threshold: float) -> Likeness:
        mean, deviation, components, points, boundary = (tensors[name] for name in _TENSORS)
        return cls(mean, deviation, components, points, threshold, boundary)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Likeness | None:
        """From the checkpoint; None where a captioner was saved without it."""
        own = {name.removeprefix(PREFIX): one.float() for name, one in tensors.items() if name.startswith(PREFIX)}
        return cls._like(own, float(own["threshold"])) if own else None


_TENSORS = ("mean", "deviation", "components", "points", "boundary")


def fit_likeness(training: Tensor, held_out: Tensor, others: Tensor | None = None) -> Likeness:
    """Learn what a kind of pictures is like.

    Args:
        training: features of the pictures that a captioner learns from, (N, D).
        held_out: of others of the same kind, (M, D), by which the thresholds are set; none: by the training pictures.
        others: of pictures of all other kinds, (O, D), if there are any: a captioner that knows what it is not tells
            it better (Hendrycks et al., 2019, Deep Anomaly Detection with Outlier Exposure, arXiv:1812.04606).
    """
    x = training.double()
    mean, deviation = x.mean(0), x.std(0, correction=0)
    deviation = torch.where(deviation > 1e-6 * deviation.max(), deviation, 1.0)
    x = (x - mean) / deviation
    count = min(COMPONENTS, x.shape[1], max(1, len(x) - 1))
    _, directions = torch.linalg.eigh(x.T @ x)
    components = directions[:, -count:].T.flip(0)
    kept = x[torch.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().long()]
    own = held_out if len(held_out) else training
    parts = (mean, deviation, components, kept @ components.T, torch.zeros(x.shape[1] + 1))
    found = Likeness._like(dict(zip(_TENSORS, (part.half().float() for part in parts), strict=True)), 1.0)
    threshold = float(found.distances(own).quantile(OWN_SHARE)) or 1.0
    found = replace(found, threshold=threshold)
    return replace(found, boundary=_boundary(found, training, own, others)) if others is not None else found


def _boundary(likeness: Likeness, training: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """A ridge regression to -1 for training pictures and 1 for others, both counting the same, rescaled."""
    ours, theirs = (likeness._standardised(part).double() for part in (training, others))
    x = torch.cat([ours, theirs])
    targets = torch.cat([-torch.ones(len(ours)), torch.ones(len(theirs))]).double()
    counts = torch.cat([torch.full((len(part),), 0.5 / len(part)) for part in (ours, theirs)]).double()
    middle = counts @ x
    moments = (x - middle).T @ (counts[:, None] * (x - middle)) + PENALTY * torch.eye(x.shape[1]).double()
    weights = torch.linalg.solve(moments, (x - middle).T @ (counts * targets))
    edge = (likeness._standardised(own).double() @ weights).quantile(OWN_SHARE)
    scale = (theirs @ weights).median() - edge
    if scale <= 0:  # no plane tells most of them: distances alone count
        return torch.zeros(len(weights) + 1)
    return torch.cat([weights / scale, (1 - edge / scale)[None]]).float()
