"""Which maps of the teachers the student learns from, and where they lie over its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Hint:
    """One map of a teacher and the student's layer that it is regressed from (Romero et al., 2014, arXiv:1412.6550).

    Attributes:
        offset: the student's position that lies over the teacher's first: 1 for SqueezeNet, whose first convolution has
            no padding.
        pooled: halve the student's map first.
    """

    teacher: str
    layer: str
    student: str
    offset: int = 0
    pooled: bool = False

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
    Hint("squeezenet1_0", "fire3", "relu3_3", offset=1),
    Hint("squeezenet1_0", "fire5", "relu4_2", offset=1),
    Hint("squeezenet1_0", "fire8", "relu4_3", offset=1),
    Hint("squeezenet1_0", "fire9", "relu5_2", offset=1),
    Hint("mobilenet_v2", "block1", "relu2_2"),
    Hint("mobilenet_v2", "block3", "relu3_3"),
    Hint("mobilenet_v2", "block6", "relu4_2"),
    Hint("mobilenet_v2", "block10", "relu5_1"),
    Hint("mobilenet_v2", "block13", "relu5_2"),
    Hint("mobilenet_v2", "block17", "relu5_2", pooled=True),
    Hint("mobilenet_v2", "relu18", "relu5_2", pooled=True),
)

CLASS_TEACHER = "mobilenet_v2"
"""The better of the two: of the ImageNet sample's random crops of 128 pixels it names 39 %, SqueezeNet 29 %."""


def teacher_names(hints: Sequence[Hint] = HINTS) -> list[str]:
    """The teachers, each once."""
    return list(dict.fromkeys(hint.teacher for hint in hints))


def hint_layers(teacher: str, hints: Sequence[Hint] = HINTS) -> list[str]:
    """A teacher's layers that are needed."""
    return [hint.layer for hint in hints if hint.teacher == teacher]
