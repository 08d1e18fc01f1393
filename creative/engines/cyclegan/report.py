"""What was measured of a CycleGAN, as numbers and as tables for a terminal and a model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from creative.models.cyclegan import Direction
from creative.provenance import Provenance

TITLES = {
    "bundled": "this project's features",
    "squeezenet1_0": "SqueezeNet 1.0, which training has not looked through",
}


@dataclass(frozen=True)
class Yardsticks:
    """Distances from held-out pictures of the wanted kind, by what is compared with them.

    Attributes:
        kernel, frechet: of ``untouched`` pictures, of these with the wanted ``colours``, of what is ``translated``, and
            of pictures of the wanted kind itself, the ``floor``.
    """

    kernel: dict[str, float]
    frechet: dict[str, float]


@dataclass(frozen=True)
class Quality:
    """What else is measured of translations.

    Attributes:
        content: distance of deep features from the picture's, relative to these; 0 the same.
        content_of_another: the same for another picture of the set.
        checkerboard: of pictures, translations and the wanted kind; about 1 for pictures without one.
        grain: deviation of the Laplacian of lightness, of the same three.
        change: mean difference from the picture, of 1.
        round_trip: the same there and back.
    """

    content: float
    content_of_another: float
    checkerboard: tuple[float, float, float]
    grain: tuple[float, float, float]
    change: float
    round_trip: float | None


@dataclass
class Report:
    """Everything that was measured; ``text`` is a report in Markdown.

    Attributes:
        file, sha256: of the networks.
        domains: what the two kinds are called.
        size: side of the pictures in pixels.
        counts: held-out pictures of each kind.
        yardsticks: by direction and judging network.
        qualities: by direction.
        picture: pictures, translations and the way back.
        provenance: how it was measured.
    """

    file: str
    sha256: str
    domains: tuple[str, str]
    size: int = 0
    counts: tuple[int, int] = (0, 0)
    yardsticks: dict[tuple[Direction, str], Yardsticks] = field(default_factory=dict)
    qualities: dict[Direction, Quality] = field(default_factory=dict)
    picture: Image.Image | None = None
    provenance: Provenance | None = None

    def metrics(self) -> dict[str, float]:
        """All numbers by name."""
        found: dict[str, float] = {}
        for (direction, judge), measured in self.yardsticks.items():
            found |= {f"{direction}_{judge}_kernel_{name}": value for name, value in measured.kernel.items()}
            found |= {f"{direction}_{judge}_frechet_{name}": value for name, value in measured.frechet.items()}
        for direction, quality in self.qualities.items():
            found |= {f"{direction}_content": quality.content, f"{direction}_checkerboard": quality.checkerboard[1]}
            found |= {f"{direction}_change": quality.change}
        return found

    @property
    def text(self) -> str:
        """The report."""
        parts = [f"{self.file}, sha256 `{self.sha256}`"]
        for direction, quality in self.qualities.items():
            source, target = self.domains if direction == "a_to_b" else self.domains[::-1]
            judges = {judge: found for (way, judge), found in self.yardsticks.items() if way == direction}
            parts += [*self._distances(source, target, judges), self._quality(source, target, quality)]
        return "\n\n".join(parts) + "\n"

    def __str__(self) -> str:
        return self.text

    def _distances(self, source: str, target: str, judges: dict[str, Yardsticks]) -> list[str]:
        rows = [
            ("untouched", f"{source}, untouched"),
            ("colours", f"{source}, colour statistics of {target}"),
            ("translated", f"**{source}, translated**"),
            ("floor", f"{target} of the training set (the floor)"),
        ]
        count = self.counts[0 if source == self.domains[0] else 1]
        wanted = self.counts[1 if source == self.domains[0] else 0]
        about = (
            f"From {source} to {target}: distances from {wanted} held-out pictures of {target}, {count} pictures each, "
            f"{self.size} px; 0 the same. Kernel and Fréchet distances of the layers' means and deviations "
            "(Fréchet per dimension), by " + " and by ".join(TITLES.get(judge, judge) for judge in judges) + "."
        )
        head = ["", *(f"{kind}, {judge}" for judge in judges for kind in ("kernel", "Fréchet"))]
        lines = [
            [title, *(f"{values[name]:.3f}" for found in judges.values() for values in (found.kernel, found.frechet))]
            for name, title in rows
        ]
        return [about, _table(head, lines)]

    def _quality(self, source: str, target: str, found: Quality) -> str:
        rows = [
            (f"content distance (another picture has {found.content_of_another:.2f})", f"{found.content:.3f}"),
            (
                f"checkerboard ({source} {found.checkerboard[0]:.2f}, {target} {found.checkerboard[2]:.2f})",
                f"{found.checkerboard[1]:.2f}",
            ),
            (f"grain ({source} {found.grain[0]:.3f}, {target} {found.grain[2]:.3f})", f"{found.grain[1]:.3f}"),
            ("mean change, grey levels of 255", f"{255 * found.change:.1f}"),
        ]
        if found.round_trip is not None:
            rows.append(("mean change there and back, grey levels", f"{255 * found.round_trip:.1f}"))
        return _table([f"translations into {target}", ""], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(3, *(len(row[column]) for row in [head, *rows])) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *rest = row
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        return f"| {' | '.join(cells)} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])
