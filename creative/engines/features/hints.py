"""Which maps of the teachers the student learns from, and where they lie over its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from creative.models.features import Features


@dataclass(frozen=True, slots=True)
class Hint:
    """One map of a teacher and the student's layer that it is regressed from (Romero et al., 2014, arXiv:1412.6550).

    Attributes:
        offset: the student's position that lies over the teacher's first: 1 for SqueezeNet, whose first convolution and
            poolings have no padding.
        shift: how many pixels of the picture, at its left and top, the teacher is not shown, so that its positions and
            the student's lie over one another. Where they are S pixels apart, our first is at (S - 1) / 2,
            SqueezeNet's at S + 1, MobileNet's at 0.
        pooled: halve the student's map first.
        weight: how much it counts beside the others.
    """

    teacher: str
    layer: str
    student: str
    offset: int = 0
    shift: int = 0
    pooled: bool = False
    weight: float = 1.0

    @property
    def name(self) -> str:
        """For logs and state dictionaries."""
        return f"{self.teacher.split('_')[0]}_{self.layer}"

    @property
    def stage(self) -> int:
        """The student's stage."""
        return stage_of(self.student)

    def over(self, map_: Tensor, target: Tensor) -> Tensor:
        """The part of the student's map (B, C, H, W) that lies over the teacher's, position by position."""
        map_ = F.avg_pool2d(map_, 2, ceil_mode=True) if self.pooled else map_
        height, width = target.shape[-2:]
        return map_[..., self.offset : self.offset + height, self.offset : self.offset + width]


def stage_of(layer: str) -> int:
    """The stage that a layer of ours belongs to: 3 for ``relu3_1`` and for ``pool3``."""
    found = re.search(r"\d+", layer)
    return int(found[0]) if found else 0


HINTS = (
    Hint("squeezenet1_0", "fire3", "relu3_3", offset=1, weight=0.7),
    Hint("squeezenet1_0", "fire5", "relu4_2", offset=1, shift=2),
    Hint("squeezenet1_0", "fire7", "relu4_3", offset=1, shift=2),
    Hint("squeezenet1_0", "fire8", "relu4_3", offset=1, shift=2, weight=1.5),
    Hint("squeezenet1_0", "fire9", "relu5_2", offset=1, shift=6, weight=2.5),
    Hint("mobilenet_v2", "block1", "relu2_2", weight=0.1),
    Hint("mobilenet_v2", "block3", "relu3_3", shift=2, weight=0.1),
    Hint("mobilenet_v2", "block6", "relu4_2", shift=2, weight=0.1),
    Hint("mobilenet_v2", "block10", "relu5_1", shift=8, weight=0.2),
    Hint("mobilenet_v2", "block13", "relu5_2", shift=8, weight=0.3),
    Hint("mobilenet_v2", "block17", "relu5_2", shift=8, pooled=True, weight=0.1),
    Hint("mobilenet_v2", "relu18", "relu5_2", shift=8, pooled=True, weight=0.3),
)
"""SqueezeNet's maps count most, since style is told best by them; MobileNet's are for the classes. Shifts are shared
where that is near enough, since each is a pass of the teacher: half a stride is exact for MobileNet."""

CLASS_TEACHER = "mobilenet_v2"
"""The better of the two: of the ImageNet sample's random crops of 128 pixels it names 39 %, SqueezeNet 29 %."""


def teacher_names(hints: Sequence[Hint] = HINTS) -> list[str]:
    """The teachers, each once."""
    return list(dict.fromkeys(hint.teacher for hint in hints))


def hint_layers(teacher: str, hints: Sequence[Hint] = HINTS) -> list[str]:
    """A teacher's layers that are needed."""
    return [hint.layer for hint in hints if hint.teacher == teacher]


def teach(teacher: Features, hints: Sequence[Hint], pictures: Tensor) -> dict[str, Tensor]:
    """A teacher's maps (B, C, H, W) by the names of its hints.

    Args:
        pictures: (B, 3, H, W) in [0, 1].
    """
    own = [hint for hint in hints if hint.teacher == teacher.network]
    found: dict[str, Tensor] = {}
    for shift in sorted({hint.shift for hint in own}):
        here = [hint for hint in own if hint.shift == shift]
        # Mirrored behind the right and lower edge, so that the size stays.
        shown = F.pad(pictures[..., shift:, shift:], (0, shift, 0, shift), mode="reflect")
        maps = teacher(shown, {hint.layer for hint in here})
        found |= {hint.name: maps[hint.layer] for hint in here}
    return found
