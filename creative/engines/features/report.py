"""What was measured of a feature network, as numbers and as tables that read well in a terminal and in a model card."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from creative.engines.features.cost import Cost
from creative.engines.features.drawings import Drawn
from creative.engines.features.probe import Probed
from creative.engines.features.recognition import TEACHER_SIZE, Recognition
from creative.engines.features.styles import at_equal_content
from creative.metrics import StyleQuality
from creative.options.features import BUNDLED
from creative.provenance import Provenance

TITLES = {
    BUNDLED: "this network",
    "squeezenet1_0": "SqueezeNet 1.0",
    "mobilenet_v2": "MobileNet v2",
    "vgg19": "VGG-19",
    "random weights": "random weights of its shape",
}
RIVAL = "squeezenet1_0"
"""What style transfer with the network is compared with."""


@dataclass(frozen=True)
class Table:
    """Rows under a sentence that says what they are; the first column is words, the others are numbers."""

    about: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __str__(self) -> str:
        every = [list(self.head), *map(list, self.rows)]
        widths = [max(3, *(len(row[column]) for row in every)) for column in range(len(self.head))]

        def line(row: Sequence[str]) -> str:
            first, *rest = (
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            return f"| {' | '.join([first, *rest])} |"

        rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
        note = [self.note] if self.note else []
        return "\n\n".join([self.about, "\n".join([line(every[0]), f"|{rule}|", *map(line, every[1:])]), *note])


@dataclass
class Evaluation:
    """Everything that was measured, which may be a part only; ``text`` is a report in Markdown.

    Attributes:
        file, sha256: of the network.
        recognition: on held-out photos.
        explained: of each of the teachers' maps, the part of its variance; ``explained_on``: pictures fitted to,
            pictures judged on and their side in pixels.
        costs: by network, at a side of ``speed_size`` pixels.
        drawn: by the network that drew, at ``drawing_size`` pixels.
        scenes: by network; ``scene_kinds`` of them, at ``scene_size`` pixels.
        styles: the mean over ``pairs`` by what painted, at ``paint_size`` pixels.
    """

    file: str = ""
    sha256: str = ""
    recognition: Recognition | None = None
    explained: dict[str, float] = field(default_factory=dict)
    explained_on: tuple[int, int, int] = (0, 0, 0)
    costs: dict[str, Cost] = field(default_factory=dict)
    speed_size: int = 0
    drawn: dict[str, Drawn] = field(default_factory=dict)
    drawing_size: int = 0
    scenes: dict[str, Probed] = field(default_factory=dict)
    scene_kinds: int = 0
    scene_size: int = 0
    styles: dict[str, StyleQuality] = field(default_factory=dict)
    pairs: int = 0
    paint_size: int = 0
    provenance: Provenance | None = None

    @property
    def style_ratio(self) -> float:
        """Its distance from the painting's style by SqueezeNet's, where both keep as much content; NaN if unknown."""
        if RIVAL not in self.styles:
            return math.nan
        own = [score for name, score in self.styles.items() if name.startswith(BUNDLED)]
        rival = self.styles[RIVAL]
        return at_equal_content(own, rival.content) / rival.style

    def metrics(self) -> dict[str, float]:
        """The numbers by name; what could not be worked out is left out."""
        found = self.recognition.metrics() if self.recognition else {}
        found |= {f"explained_{name}": value for name, value in self.explained.items()}
        for name, cost in self.costs.items():
            found |= {f"{name}_forward_ms": cost.forward_ms, f"{name}_backward_ms": cost.backward_ms}
            found |= {f"{name}_held_mb": cost.held_mb, f"{name}_peak_mb": cost.peak_mb}
        for name, drawn in self.drawn.items():
            found |= {f"{name}_drawing_confidence": drawn.confidence, f"{name}_drawing_hits": drawn.hits.value}
            found |= {f"{name}_drawing_wanted": drawn.wanted, f"{name}_drawing_place": drawn.place}
        found |= {f"{name}_scenes": probed.accuracy.value for name, probed in self.scenes.items()}
        for name, score in self.styles.items():
            found |= {f"{name}_style": score.style, f"{name}_content": score.content, f"{name}_grain": score.grain}
        found["style_ratio_at_equal_content"] = self.style_ratio
        return {name.replace(" ", "_"): value for name, value in found.items() if math.isfinite(value)}

    @property
    def text(self) -> str:
        """The report."""
        return "\n\n".join([f"{self.file}, sha256 `{self.sha256}`", *map(str, self.tables())]) + "\n"

    def __str__(self) -> str:
        return self.text

    def tables(self) -> Iterator[Table]:
        """One for each thing that was measured, in the order of measuring."""
        if self.recognition is not None:
            yield _recognition(self.recognition)
        if self.explained:
            yield self._explained()
        if self.speed_size:
            yield self._costs()
        if self.drawn:
            yield self._drawn()
        if self.scenes:
            yield self._scenes()
        if self.styles:
            yield self._styles()

    def _explained(self) -> Table:
        fit, judged, size = self.explained_on
        return Table(
            f"What it knows of its teachers: the variance of their maps, standardised, that a 1×1 regression from its "
            f"own, fitted to {fit} training pictures, explains on {judged} others, {size} px.",
            ("teacher's map", "explained"),
            [(name.replace("_", " "), f"{100 * value:.0f} %") for name, value in self.explained.items()],
        )

    def _costs(self) -> Table:
        own = self.costs[BUNDLED]
        return Table(
            f"Cost: maps of five layers and the gradient of the picture at {self.speed_size}×{self.speed_size}.",
            ("network", "forward, ms", "backward, ms", "both, relative", "held, MB", "peak, MB"),
            [
                (
                    _title(name),
                    f"{cost.forward_ms:.0f}",
                    f"{cost.backward_ms:.0f}",
                    f"{(cost.forward_ms + cost.backward_ms) / (own.forward_ms + own.backward_ms):.2f}",
                    f"{cost.held_mb:.0f}",
                    f"{cost.peak_mb:.0f}" if math.isfinite(cost.peak_mb) else "unknown",
                )
                for name, cost in self.costs.items()
            ],
        )

    def _drawn(self) -> Table:
        count = len(next(iter(self.drawn.values())).classes)
        return Table(
            f"Drawings of {count} evenly spaced classes, {self.drawing_size} px, shown whole to MobileNet v2, resized "
            f"to {TEACHER_SIZE} px: how sure it is of its first choice, and of the class that was to be drawn; the "
            "place of that class among all.",
            ("drawn with", "sure of the first", "of the class", "is the first", "median place"),
            [
                (
                    _title(name),
                    f"{drawn.confidence:.2f} ± {drawn.margin:.2f}",
                    f"{drawn.wanted:.2f}",
                    f"{drawn.hits.hits} of {drawn.hits.tries}",
                    f"{drawn.place:g}",
                )
                for name, drawn in self.drawn.items()
            ],
        )

    def _scenes(self) -> Table:
        tries = next(iter(self.scenes.values())).accuracy.tries
        return Table(
            f"{self.scene_kinds} kinds of scenes told by a ridge regression on the means of the last map, {tries} "
            f"pictures that it was not fitted to, {self.scene_size} px.",
            ("network", "right (95 % interval)", "channels", "penalty"),
            [
                (_title(name), str(probed.accuracy), str(probed.channels), f"{probed.penalty:g}")
                for name, probed in self.scenes.items()
            ],
        )

    def _styles(self) -> Table:
        ratio = self.style_ratio
        told = f"{ratio:.2f} times SqueezeNet's" if math.isfinite(ratio) else "not known: no strength keeps as much"
        return Table(
            f"Style transfer, {self.paint_size} px, mean of {self.pairs} pairs, judged by SqueezeNet 1.0, which "
            "favours SqueezeNet: style 0 is the painting's and 1 the photo's, content 0 is the photo's, grain above 1 "
            "is noisier than the painting.",
            ("painted with", "style", "content", "grain"),
            [(_title(name), f"{s.style:.3f}", f"{s.content:.3f}", f"{s.grain:.2f}") for name, s in self.styles.items()],
            f"Its style at the content that SqueezeNet keeps: {told}." if RIVAL in self.styles else "",
        )


def _recognition(found: Recognition) -> Table:
    best = found.best_size
    rows = [(f"top 1, {size} px", str(share)) for size, share in found.top_1.items()]
    rows += [(f"top 5, {best} px", str(found.top_5[best]))]
    rows += [(f"agreement with {_title(name)}, {best} px", str(s)) for name, s in found.agreement[best].items()]
    rows += [(f"{_title(name)}'s own top 1, {TEACHER_SIZE} px", str(share)) for name, share in found.teachers.items()]
    return Table(
        f"Recognition on {found.photos} photos that training held out, the middle square of each; best at {best} px.",
        ("", "share (95 % interval)"),
        rows,
    )


def _title(name: str) -> str:
    first, _, rest = name.partition(", ")
    return ", ".join(part for part in (TITLES.get(first, first), rest) if part)
