"""A painting to make doodles with: a coast drawn in brush strokes, its regions, and scribbles to be painted like it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps._brush import PALETTE

SIZE = (640, 480)
SKY, SUN, SEA, LAND, TREES = (PALETTE[name] for name in ("Blue", "Yellow", "Cyan", "Orange", "Green"))
HORIZON = 0.52


def doodles_to_try(folder: Path) -> dict[str, dict[str, Any]]:
    """``Action.examples`` of doodles: each scribble as a file in a folder, with the painting and its map."""
    style, style_map = folder / "coast.png", folder / "coast-map.png"
    _keep(style, draw_coast)
    _keep(style_map, coast_map)
    scribbles = {"Island": draw_island, "Bay": draw_bay}
    return {
        title: {"map": _keep(folder / f"{title.lower()}.png", draw), "style": style, "style_map": style_map}
        for title, draw in scribbles.items()
    }


def show_guess(result: Any) -> str:
    """``Action.show`` of a painting by maps: the painting's regions where they were guessed; else nothing."""
    guess = result.info.get("beside", {}).get("style_map")
    if guess is None:
        return ""
    file = io.BytesIO()
    guess.save(file, "PNG")
    data = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    told = "Where they are not right, change them and give them as the style map."
    return (
        f'<h2>The painting\'s regions as guessed</h2><p class="soft">{told}</p>'
        f'<img class="picture" style="max-width:min(100%,420px)" src="{data}" alt="The guessed style map">'
    )


def _keep(path: Path, draw: Callable[[], Any]) -> Path:
    """The picture as a file; one that is there already is left as it is."""
    from creative.images import save_image

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(draw(), path)
    return path


# The painting ---------------------------------------------------------------------------------------------------------


def coast_map(size: tuple[int, int] = SIZE) -> Any:
    """The regions of the painting."""
    land = [(0, 0.78), (0.2, 0.7), (0.42, 0.74), (0.6, 0.86), (1, 0.9), (1, 1), (0, 1)]
    trees = [(0, 0.34), (0.06, 0.25), (0.14, 0.3), (0.2, 0.22), (0.29, 0.33), (0.33, 0.5), (0.3, 0.76), (0, 0.84)]
    return _drawn(size, SKY, [(SEA, _below(HORIZON)), (LAND, land), (TREES, trees)], [(SUN, (0.7, 0.24), 0.085)])


def draw_coast(size: tuple[int, int] = SIZE, seed: int = 7) -> Any:
    """The painting: strokes from broad to fine, which run as the wind does in the sky and level on the water."""
    import numpy as np
    from PIL import Image, ImageDraw

    regions = np.asarray(coast_map(size))
    image = Image.new("RGB", size, (70, 90, 120))
    rng, draw = np.random.Generator(np.random.PCG64(seed)), ImageDraw.Draw(image)
    for width, count in ((17, 1800), (9, 5000), (5, 9000), (3, 7000)):
        places = rng.random((count, 2))
        chances = rng.normal(size=(count, 5))
        for (across, down), chance in zip(places.tolist(), chances.tolist(), strict=True):
            x, y = across * size[0], down * size[1]
            region = tuple(int(level) for level in regions[int(y), int(x)])
            angle, length, colour = _stroke(region, across, down, width, chance)
            dx, dy = math.cos(angle) * length / 2, math.sin(angle) * length / 2
            bend = (chance[4] * width * 0.5 * -math.sin(angle), chance[4] * width * 0.5 * math.cos(angle))
            line = [(x - dx, y - dy), (x + bend[0], y + bend[1]), (x + dx, y + dy)]
            draw.line(line, fill=colour, width=width, joint="curve")
    return image


def _stroke(
    region: tuple[int, ...], across: float, down: float, width: int, chance: list[float]
) -> tuple[float, float, tuple[int, int, int]]:
    """How a stroke runs, how long it is, and its colour."""
    away = math.hypot((across - 0.7) * SIZE[0] / SIZE[1], down - 0.24)
    light = math.exp(-away / 0.22)
    if region == SUN:
        swirl = math.atan2(down - 0.24, (across - 0.7) * SIZE[0] / SIZE[1]) + math.pi / 2
        return swirl, 2.2 * width, _tinted((250, 214, 90), chance, 16)
    if region == SKY:
        around = math.atan2(down - 0.24, across - 0.7) + math.pi / 2
        wind = 0.5 * math.sin(7 * across + 4 * down) + 0.4 * math.cos(9 * down - 3 * across)
        angle = wind + light * (around - wind) if away < 0.3 else wind
        cloud = 0.5 + 0.5 * math.sin(5 * across + 9 * down + 2 * math.sin(6 * across))
        base = _mixed((48, 92, 170), (150, 186, 214), 0.75 * down / HORIZON)
        base = _mixed(_mixed(base, (236, 226, 206), 0.6 * cloud**3), (252, 206, 120), 0.85 * light)
        return angle, 4.5 * width, _tinted(base, chance, 12)
    if region == SEA:
        depth = (down - HORIZON) / (1 - HORIZON)
        glitter = math.exp(-(((across - 0.7) / (0.05 + 0.1 * depth)) ** 2)) * (chance[3] > 0.2)
        base = _mixed(_mixed((64, 130, 160), (18, 62, 98), depth), (246, 212, 140), 0.8 * glitter)
        base = _mixed(base, (190, 222, 216), 0.55 * (chance[2] > 1.1))
        return 0.08 * chance[1], (3 + 3 * depth) * width * 0.8, _tinted(base, chance, 10)
    if region == LAND:
        base = _mixed((214, 166, 84), (150, 92, 44), (down - 0.7) / 0.3)
        base = _mixed(base, (120, 132, 58), 0.7 * (chance[3] > 1.0))
        return -0.35 + 0.25 * math.sin(8 * across) + 0.15 * chance[1], 3.5 * width, _tinted(base, chance, 16)
    base = _mixed((30, 74, 44), (96, 132, 54), 0.5 + 0.5 * math.sin(20 * across + 14 * down))
    base = _mixed(base, (14, 34, 34), 0.8 * (chance[3] > 0.9))
    return -math.pi / 2 + 0.5 * chance[1], 2.4 * width, _tinted(base, chance, 12)


def _mixed(one: tuple[float, ...], other: tuple[float, ...], share: float) -> tuple[float, ...]:
    share = min(1.0, max(0.0, share))
    return tuple(a + (b - a) * share for a, b in zip(one, other, strict=True))


def _tinted(colour: tuple[float, ...], chance: list[float], most: float) -> tuple[int, int, int]:
    """A colour a little lighter or darker, warmer or cooler."""
    light, warm = most * chance[0], 0.4 * most * chance[1]
    red, green, blue = (
        round(min(255, max(0, level + shift)))
        for level, shift in zip(colour, (light + warm, light, light - warm), strict=True)
    )
    return red, green, blue


# Scribbles ------------------------------------------------------------------------------------------------------------


def draw_island(size: tuple[int, int] = SIZE) -> Any:
    """A wooded island in the sea."""
    land = [(0.22, 0.72), (0.34, 0.64), (0.52, 0.62), (0.72, 0.66), (0.82, 0.73), (0.6, 0.79), (0.36, 0.78)]
    trees = [(0.34, 0.66), (0.38, 0.46), (0.45, 0.36), (0.52, 0.4), (0.6, 0.34), (0.68, 0.48), (0.7, 0.67)]
    return _drawn(size, SKY, [(SEA, _below(0.5)), (LAND, land), (TREES, trees)], [(SUN, (0.2, 0.2), 0.075)])


def draw_bay(size: tuple[int, int] = SIZE) -> Any:
    """Water between two shores."""
    left = [(0, 0.5), (0.2, 0.53), (0.34, 0.64), (0.3, 0.8), (0.5, 0.92), (0.56, 1), (0, 1)]
    right = [(1, 0.55), (0.82, 0.6), (0.74, 0.7), (0.86, 0.82), (0.9, 1), (1, 1)]
    trees = [(1, 0.16), (0.92, 0.22), (0.86, 0.36), (0.84, 0.64), (1, 0.7)]
    bush = [(0, 0.4), (0.08, 0.38), (0.16, 0.46), (0.18, 0.6), (0, 0.66)]
    shapes = [(SEA, _below(0.46)), (LAND, left), (LAND, right), (TREES, trees), (TREES, bush)]
    return _drawn(size, SKY, shapes, [(SUN, (0.45, 0.26), 0.07)])


def _below(height: float) -> list[tuple[float, float]]:
    return [(0, height), (1, height), (1, 1), (0, 1)]


def _drawn(
    size: tuple[int, int],
    ground: tuple[int, int, int],
    shapes: list[tuple[tuple[int, int, int], list[tuple[float, float]]]],
    discs: list[tuple[tuple[int, int, int], tuple[float, float], float]],
) -> Any:
    """Flat shapes; all coordinates are parts of the size, a disc's radius of the width."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", size, ground)
    draw, (width, height) = ImageDraw.Draw(image), size
    for colour, (x, y), radius in discs:
        left, top, reach = x * width, y * height, radius * width
        draw.ellipse((left - reach, top - reach, left + reach, top + reach), fill=colour)
    for colour, points in shapes:
        draw.polygon([(x * width, y * height) for x, y in points], fill=colour)
    return image
