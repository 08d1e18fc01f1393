"""From settings to the pictures of a sheet: which objectives, which labels, and which are drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from creative.engines.feature_visualization.measure import check_objectives, num_channels
from creative.engines.feature_visualization.sheet import sheet
from creative.models.features import Classifier, Features
from creative.options.feature_visualization import VisualizeSettings
from creative.options.objectives import Channel, Layer, Objective, ObjectiveError, channel_range, parse_objective

BATCH_PIXELS = 8 * 256 * 256
"""Pixels drawn at once unless the settings say otherwise: more fill the caches of a processor to no gain."""


@dataclass(frozen=True)
class Plan:
    """The pictures that settings ask for, in the order of the sheet.

    Attributes:
        objectives, labels: of each picture.
        variants: of each picture its number among those of the same objective, from 0.
        group: how many neighbours look at one another: variants of one objective, or all frames of a morph.
        morph: whether the pictures lead from one objective to another.
        batches: the pictures that are drawn together.
        columns: of the sheet, or None.
    """

    objectives: list[Objective]
    labels: list[str] | None
    variants: list[int]
    group: int
    morph: bool
    batches: list[range]
    columns: int | None

    def arrange(self, pictures: Sequence[Image.Image]) -> Image.Image:
        """The sheet, with as many pictures as there are so far."""
        return sheet(pictures, self.labels, columns=self.columns, places=len(self.objectives))


def asked_for(settings: VisualizeSettings) -> list[Objective]:
    """The objectives that settings name, lists of channels written out; a ``Layer`` stands for a sheet of its own.

    Raises:
        ObjectiveError: there is something to lead towards, but not one thing to lead from.
    """
    objectives: list[Objective] = []
    for text in settings.objectives:
        listed = channel_range(text)
        objectives += [Channel(listed[0], one) for one in listed[1]] if listed else [parse_objective(text)]
    if settings.towards is None:
        return objectives
    if len(objectives) != 1 or isinstance(objectives[0], Layer):
        raise ObjectiveError(
            f"A row towards {settings.towards} leads from one objective, such as LAYER:CHANNEL, "
            f"not from {', '.join(settings.objectives)}."
        )
    return [*objectives, parse_objective(settings.towards)]


def make_plan(settings: VisualizeSettings, network: Features | Classifier) -> Plan:
    """What is to be drawn, once it is clear that the network has it all.

    Raises:
        ObjectiveError: the network has not enough channels, or no such class.
    """
    asked = asked_for(settings)
    check_objectives(asked, network)
    if settings.towards is not None:
        return _morph(asked[0], asked[1], settings)
    counts = num_channels(network)
    objectives: list[Objective] = []
    for objective in asked:
        if isinstance(objective, Layer):
            shown = min(settings.channels, counts[objective.layer])
            objectives += [Channel(objective.layer, channel) for channel in range(shown)]
        else:
            objectives.append(objective)
    variants = settings.variants
    objectives = [objective for objective in objectives for _ in range(variants)]
    rows = variants if variants > 1 and len(objectives) > variants else None
    return Plan(
        objectives,
        [str(objective) for objective in objectives] if settings.labels else None,
        [number % variants for number in range(len(objectives))],
        variants,
        False,
        _batches(len(objectives), variants, settings),
        settings.columns or rows,
    )


def _morph(first: Objective, last: Objective, settings: VisualizeSettings) -> Plan:
    """Frames that lead from one objective to another, all drawn together, since they share a part of themselves."""
    count = settings.frames
    shares = [number / (count - 1) for number in range(count)]
    between: list[Objective] = [(1 - share) * first + share * last for share in shares[1:-1]]
    labels = [str(first), *(f"{share:.0%}" for share in shares[1:-1]), str(last)]
    return Plan(
        [first, *between, last],
        labels if settings.labels else None,
        [0] * count,
        count,
        True,
        [range(count)],
        settings.columns or count,
    )


def _batches(count: int, group: int, settings: VisualizeSettings) -> list[range]:
    """Groups stay together, whatever the size of a batch."""
    room = settings.batch or BATCH_PIXELS // (settings.size + 2 * settings.pad) ** 2
    size = max(1, room // group) * group
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
