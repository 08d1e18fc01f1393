"""What a feature network recognises: how often it names a photo right, and as often as that as its teachers do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from creative.data.pictures import PackedPictures, centre_crops, imagenet_labels
from creative.metrics import wilson_interval
from creative.models.features import Classifier

TEACHER_SIZE = 224
"""Side of the pictures that the teachers were trained on, pixels."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of some tries that succeeded, with Wilson's 95 % interval (Wilson, 1927, JASA 22)."""

    hits: int
    tries: int

    @property
    def value(self) -> float:
        """0 to 1; NaN without tries."""
        return self.hits / self.tries if self.tries else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies with 95 % confidence."""
        return wilson_interval(self.hits, self.tries) if self.tries else (math.nan, math.nan)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % ({100 * low:.0f} to {100 * high:.0f})" if self.tries else "no labels"


@dataclass(frozen=True)
class Recognition:
    """On photos that training held out, seen as the middle square of each, shrunk to a size.

    Attributes:
        top_1, top_5: by size in pixels.
        agreement: with each teacher's first choice, by size.
        teachers: their own top 1, at ``TEACHER_SIZE``.
        photos: how many.
    """

    photos: int
    top_1: dict[int, Share] = field(default_factory=dict)
    top_5: dict[int, Share] = field(default_factory=dict)
    agreement: dict[int, dict[str, Share]] = field(default_factory=dict)
    teachers: dict[str, Share] = field(default_factory=dict)

    @property
    def best_size(self) -> int:
        """Where most is recognised; of equals where it agrees most, then the smallest."""
        return max(self.top_1, key=lambda size: (self.top_1[size].hits, self._agreements(size), -size))

    def _agreements(self, size: int) -> int:
        return sum(share.hits for share in self.agreement[size].values())

    def shares(self) -> dict[str, Share]:
        """At the best size, by name."""
        size = self.best_size
        found = {"top_1": self.top_1[size], "top_5": self.top_5[size]}
        found |= {f"agreement_with_{name}": share for name, share in self.agreement[size].items()}
        return found | {f"{name}_top_1": share for name, share in self.teachers.items()}

    def metrics(self) -> dict[str, float]:
        """The numbers by name."""
        found = {name: share.value for name, share in self.shares().items()}
        found |= {f"top_1_at_{size}": share.value for size, share in self.top_1.items()}
        return {**found, "recognition_size": self.best_size, "recognition_photos": self.photos}


def recognise(
    student: Classifier,
    teachers: Mapping[str, Classifier],
    held_out: PackedPictures,
    sizes: Sequence[int],
    device: torch.device,
) -> Recognition:
    """Compare the most likely classes with the labels, and with those of the teachers."""
    labels = imagenet_labels(held_out.files, student.classes)
    known = labels >= 0
    found = Recognition(len(held_out))
    taught = {name: ranked(teacher, centre_crops(held_out, TEACHER_SIZE), device) for name, teacher in teachers.items()}
    for name, top in taught.items():
        found.teachers[name] = _share((top[:, 0] == labels)[known])
    for size in sizes:
        top = ranked(student, centre_crops(held_out, size), device)
        found.top_1[size] = _share((top[:, 0] == labels)[known])
        found.top_5[size] = _share((top[:, :5] == labels[:, None]).any(1)[known])
        found.agreement[size] = {name: _share(top[:, 0] == theirs[:, 0]) for name, theirs in taught.items()}
    return found


@torch.no_grad()
def ranked(network: Classifier, pictures: Tensor, device: torch.device) -> Tensor:
    """The most likely classes of pictures (B, 3, H, W), five or as many as there are: (B, 5)."""
    count = min(5, len(network.classes))
    return torch.cat([network(part.to(device)).topk(count).indices.cpu() for part in pictures.split(16)])


def _share(hits: Tensor) -> Share:
    return Share(int(hits.sum()), hits.numel())
