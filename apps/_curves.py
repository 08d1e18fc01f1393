"""A training's numbers as they went: small line charts as inline SVG, from its metrics.csv. No gradio here."""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT, RIM = 240, 84, 5
MOST_POINTS, MOST_CURVES = 160, 12
LEFT_OUT = {"step", "seconds", "learning_rate"}
SMOOTH = 0.9
Points = Sequence[tuple[float, float]]


def curves(path: Path) -> str:
    """A chart for each number in the file, measured ones first; empty where there are none yet."""
    found = read_metrics(path)
    # What is measured now and then says more than the losses of each step, of which there are many.
    names = sorted(found, key=lambda name: len(found[name]) > max(map(len, found.values())) / 2)[:MOST_CURVES]
    charts = "".join(_chart(name, found[name]) for name in names)
    return f'<div class="charts">{charts}</div>' if charts else ""


def read_metrics(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Of a metrics.csv, the (step, value) of each column that has numbers."""
    found: dict[str, list[tuple[float, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if name and value and name not in LEFT_OUT and isinstance(value, str):
                        found.setdefault(name, []).append((float(row["step"]), float(value)))
    except (OSError, ValueError, KeyError):  # not there yet, or being written
        pass
    return found


def _chart(name: str, points: Points) -> str:
    points = _thinned([(x, y) for x, y in points if math.isfinite(y)])
    if not points:
        return ""
    low, high = min(y for _, y in points), max(y for _, y in points)
    title = html.escape(name.replace("_", " "))
    rough = f'<polyline class="rough" points="{_line(points, low, high)}"/>'
    calm = (
        f'<polyline points="{_line(_smoothed(points), low, high)}"/>'
        if len(points) > 20
        else rough.replace(' class="rough"', "")
    )
    x, y = _place(*points[-1], points, low, high)
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
    told = f"{title}: {points[-1][1]:.4g} at step {points[-1][0]:.0f}, from {low:.4g} to {high:.4g}"
    return (
        f'<figure title="{told}"><figcaption>{title} <b>{points[-1][1]:.3g}</b></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">'
        f"{rough if len(points) > 20 else ''}{calm}{dot}</svg></figure>"
    )


def _thinned(points: Points) -> Points:
    """No more points than can be told apart, the last one among them."""
    every = math.ceil(len(points) / MOST_POINTS)
    return [*points[:-1:every], points[-1]] if every > 1 else points


def _smoothed(points: Points) -> Points:
    """Running averages, forwards; the first values count as they are."""
    mean, smooth = 0.0, []
    for number, (x, y) in enumerate(points):
        share = max(1 - SMOOTH, 1 / (number + 1))
        mean += share * (y - mean)
        smooth.append((x, mean))
    return smooth


def _line(points: Points, low: float, high: float) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(*point, points, low, high) for point in points))


def _place(step: float, value: float, points: Points, low: float, high: float) -> tuple[float, float]:
    first, last = points[0][0], points[-1][0]
    x = (step - first) / (last - first) if last > first else 0.5
    y = (value - low) / (high - low) if high > low else 0.5
    return RIM + x * (WIDTH - 2 * RIM), HEIGHT - RIM - y * (HEIGHT - 2 * RIM)
