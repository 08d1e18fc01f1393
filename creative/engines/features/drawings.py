"""What a feature network draws: do others see in it what it was meant to be?

A picture that excites a class of one network need not mean anything to another (Nguyen, Yosinski, Clune, Deep Neural
Networks are Easily Fooled, 2014, arXiv:1412.1897). So the drawings of classes are shown to a teacher.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

import torch
from PIL import Image
from torch import Tensor

from creative.engines.features.recognition import TEACHER_SIZE, Share
from creative.images import resize, to_tensor
from creative.models.features import Classifier
from creative.progress import Engine, Step

Artist = Callable[[Sequence[str]], Engine[list[Image.Image]]]
"""From objectives (``class:goldfish``, ``relu4_1:17``; see ``creative.options.objectives``) to a picture of each."""


@dataclass(frozen=True)
class Drawing:
    """A picture of what a network looks for, and what the teacher makes of it.

    Attributes:
        objective: what was drawn.
        seen_as: the teacher's first choice.
        confidence: how sure of that the teacher is, 0 to 1.
        wanted: how sure the teacher is of the class that was to be drawn; None for a channel.
        place: of that class among the teacher's, 1 for its first choice; None for a channel.
    """

    objective: str
    picture: Image.Image
    seen_as: str
    confidence: float
    wanted: float | None
    place: int | None

    @property
    def label(self) -> str:
        """One line for below the picture: ``goldfish: goldfish 93 %``."""
        if self.wanted is None:
            return self.objective
        return f"{self.objective.removeprefix('class:').replace('_', ' ')}: {self.seen_as} {self.confidence:.0%}"


@dataclass(frozen=True)
class Drawn:
    """The drawings of one network, classes first."""

    drawings: tuple[Drawing, ...]

    @property
    def classes(self) -> list[Drawing]:
        """Those of classes."""
        return [one for one in self.drawings if one.wanted is not None]

    @property
    def confidence(self) -> float:
        """The teacher's in its first choice, on average."""
        return fmean(one.confidence for one in self.classes)

    @property
    def margin(self) -> float:
        """Half of the 95 % interval of ``confidence``, by the normal distribution."""
        values = [one.confidence for one in self.classes]
        return 1.96 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan

    @property
    def wanted(self) -> float:
        """The teacher's confidence in the class that was to be drawn, on average."""
        return fmean(one.wanted for one in self.classes if one.wanted is not None)

    @property
    def hits(self) -> Share:
        """How often its first choice is the class that was to be drawn."""
        return Share(sum(one.place == 1 for one in self.classes), len(self.classes))

    @property
    def place(self) -> float:
        """The median place of the class that was to be drawn among the teacher's; half of all classes is chance."""
        return median(one.place for one in self.classes if one.place is not None)


def chosen_classes(classes: Sequence[str], count: int) -> list[int]:
    """Evenly spaced ones, by number, so that nobody has picked them."""
    count = min(count, len(classes))
    return [int((place + 0.5) * len(classes) / count) for place in range(count)]


def chosen_channels(network: Classifier, count: int) -> list[str]:
    """The first channels of each stage's last layer, as objectives."""
    names = list(network.features.chain)
    stages = [name for name, after in zip(names, [*names[1:], "pool"], strict=True) if after.startswith("pool")]
    return [f"{name}:{channel}" for name in stages for channel in range(count)]


def draw_and_judge(
    artists: Mapping[str, Artist],
    classes: Sequence[str],
    judge: Classifier,
    *,
    numbers: Sequence[int],
    channels: Mapping[str, Sequence[str]],
) -> Generator[Step, None, dict[str, Drawn]]:
    """Let each artist draw the same classes, and the judge say what it sees; by the artist's name.

    The judge sees each drawing as it is, whole, resized to the size that it was trained on.

    Args:
        artists: by the name of the network that they draw with.
        classes: their names, the same for all networks.
        numbers: of the classes to draw.
        channels: further objectives, by artist.
    """
    found: dict[str, Drawn] = {}
    for name, artist in artists.items():
        objectives = [f"class:{number}" for number in numbers] + list(channels.get(name, ()))
        pictures = yield from artist(objectives)
        found[name] = Drawn(tuple(_judged(objectives, pictures, classes, judge)))
    return found


@torch.no_grad()
def _judged(
    objectives: Sequence[str], pictures: Sequence[Image.Image], classes: Sequence[str], judge: Classifier
) -> Generator[Drawing, None, None]:
    seen = torch.cat([_presented(picture, judge) for picture in pictures])
    chances = torch.cat([judge(part) for part in seen.split(16)]).softmax(1).cpu()
    for objective, picture, row in zip(objectives, pictures, chances, strict=True):
        first = int(row.argmax())
        seen_as = judge.classes[first].replace("_", " ")
        if not objective.startswith("class:"):
            yield Drawing(objective, picture, seen_as, float(row[first]), None, None)
            continue
        number = int(objective.removeprefix("class:"))
        place = 1 + int((row > row[number]).sum())
        yield Drawing(f"class:{classes[number]}", picture, seen_as, float(row[first]), float(row[number]), place)


def _presented(picture: Image.Image, judge: Classifier) -> Tensor:
    return to_tensor(resize(picture, (TEACHER_SIZE, TEACHER_SIZE)), judge.features.scale.device)
