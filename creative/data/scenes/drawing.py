"""Scenes as pictures: soft shadows and shaded colours on plain, shaded and patterned grounds, smooth at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from creative.data.programs.sampling import Dice, splitmix
from creative.data.scenes.things import COLOURS, Points, Thing

Pixels = NDArray[np.float32]

_FINER = 4  # subpixels a side, of which a pixel of an edge is the mean
GROUNDS = {
    "cream": (244, 234, 212),
    "sky": (190, 220, 240),
    "mint": (196, 228, 206),
    "lavender": (216, 208, 236),
    "rose": (240, 214, 210),
    "silver": (202, 206, 212),
    "sand": (214, 194, 158),
    "slate": (106, 120, 138),
    "teal": (70, 118, 122),
    "navy": (38, 50, 84),
    "plum": (76, 54, 84),
    "moss": (92, 108, 76),
}
BACKGROUNDS = ("plain", "shaded", "striped", "checked", "dotted", "grainy")


def ground_for(things: Sequence[Thing], dice: Dice) -> str:
    """A ground on which every one of some things stands out, by chance among those."""
    contrast = {
        name: min(_contrast(colour, COLOURS[thing.colour]) for thing in things) for name, colour in GROUNDS.items()
    }
    good = [name for name in GROUNDS if contrast[name] > 125] or [max(GROUNDS, key=lambda name: contrast[name])]
    return good[dice(len(good)) - 1]


def _contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """A distance of colours that weighs the channels as the eye does (Riemersma's "redmean")."""
    red = (one[0] + other[0]) / 2
    r, g, b = (a - c for a, c in zip(one, other, strict=True))
    return math.sqrt((2 + red / 256) * r * r + 4 * g * g + (2 + (255 - red) / 256) * b * b)


def paint(things: Sequence[Thing], background: str, ground: str, seed: int, size: int) -> Image.Image:
    """A picture of ``size`` pixels a side.

    Args:
        things: painted in this order.
        background: one of ``BACKGROUNDS``.
        ground: one of ``GROUNDS``, the background's colour.
        seed: of colours and patterns.
        size: at least 16.
    """
    dice = Dice(seed)
    pixels = _background(background, np.array(GROUNDS[ground], np.float32), dice, seed, size)
    for thing in things:
        _add(pixels, thing, dice, size)
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def _unit(dice: Dice) -> float:
    return (dice(1 << 30) - 1) / (1 << 30)


def _background(kind: str, colour: Pixels, dice: Dice, seed: int, size: int) -> Pixels:
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    turn, phase, steps = math.tau * _unit(dice), _unit(dice), 5 + 3 * _unit(dice)
    along = np.cos(turn) * x + np.sin(turn) * y
    across = np.cos(turn) * y - np.sin(turn) * x
    soft = 8 / size * steps  # how fast a pattern's edge goes over: about a pixel
    change = 15.0 if colour.mean() < 140 else -15.0
    if kind == "shaded":
        amount = 46 * (along - along.mean())
    elif kind == "striped":
        amount = change * _step(np.sin(math.tau * (along * steps + phase)), soft)
    elif kind == "checked":
        waves = np.sin(math.pi * (along * steps + phase)) * np.sin(math.pi * (across * steps + phase))
        amount = change * _step(waves, soft / 2)
    elif kind == "dotted":
        waves = np.cos(math.tau * (along * steps + phase)) + np.cos(math.tau * (across * steps + phase))
        amount = 1.4 * change * _step(waves - 1.1, soft)
    elif kind == "grainy":
        noise = splitmix(np.array([seed ^ 0x5EED], np.uint64), size * size)[0] >> np.uint64(40)
        amount = 34 * (noise.reshape(size, size).astype(np.float32) / 2**24 - 0.5)
    else:
        amount = np.zeros_like(x)
    tint = np.array([8 * _unit(dice) - 4 for _ in range(3)], np.float32)
    light = 10 * (0.5 - y)  # hardly seen, but a picture of light rather than of paper
    return (colour + tint + (amount + light)[..., None]).astype(np.float32)


def _step(wave: Pixels, soft: float) -> Pixels:
    """0 or 1 by the sign of a wave, with a soft edge."""
    return np.clip(0.5 + wave / soft, 0, 1)


def _add(pixels: Pixels, thing: Thing, dice: Dice, size: int) -> None:
    """Paint a thing and its shadow."""
    reach = thing.radius * 1.3 + 0.03
    left, top = max(0, int((thing.x - reach) * size)), max(0, int((thing.y - reach) * size))
    right, bottom = min(size, math.ceil((thing.x + reach) * size)), min(size, math.ceil((thing.y + reach) * size))
    box = (left, top, right, bottom)
    mask = _mask(thing.outline(), size, box)
    shadow = mask.filter(ImageFilter.GaussianBlur(0.012 * size))
    shadow = shadow.transform(shadow.size, Image.Transform.AFFINE, (1, 0, -0.008 * size, 0, 1, -0.014 * size))
    patch = pixels[top:bottom, left:right]
    patch *= 1 - 0.30 / 255 * np.asarray(shadow, np.float32)[..., None]
    # A lighter top left and a darker bottom right, and an edge a little darker still.
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    light = ((thing.x - (x + 0.5) / size) + (thing.y - (y + 0.5) / size)) / (2 * thing.radius)
    amount = 5 if thing.colour in {"black", "white"} else 14  # a tinted white would be no white
    jitter = np.array([amount * (_unit(dice) - 0.5) for _ in range(3)], np.float32)
    colour = np.array(COLOURS[thing.colour], np.float32) + jitter + 24 * light[..., None]
    cover = np.asarray(mask, np.float32) / 255
    core = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.006 * size)), np.float32) / 255
    edge = np.clip(2 * (1 - core), 0, 1) * cover
    colour *= 1 - 0.22 * edge[..., None]
    patch += cover[..., None] * (np.clip(colour, 0, 255) - patch)


def _mask(outline: tuple[Points, Points], size: int, box: tuple[int, int, int, int]) -> Image.Image:
    """How much of each pixel in a box a thing covers, 0 to 255."""
    left, top, right, bottom = box
    scale = size * _FINER
    image = Image.new("L", ((right - left) * _FINER, (bottom - top) * _FINER))
    draw = ImageDraw.Draw(image)
    for points, fill in zip(outline, (255, 0), strict=True):
        if points:
            shifted = [(x * scale - left * _FINER - 0.5, y * scale - top * _FINER - 0.5) for x, y in points]
            draw.polygon(shifted, fill=fill)
    return image.reduce(_FINER)
