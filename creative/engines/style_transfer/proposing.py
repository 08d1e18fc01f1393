"""A painting's regions guessed from its colours, for who has only a scribble."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from creative.images import fit, resize

Colour = tuple[int, int, int]
Indices = NDArray[np.uint8]
SIDE = 192
"""Longest side that a painting is looked at with, pixels."""
BLUR = 0.015
"""Of what colours are compared, in parts of the longest side: strokes are no regions."""
HEIGHT = 0.5
"""Of a picture's height against the lightness of white: what is far below is seldom the sky."""
ROUNDS = 20
TRIED = 5040
"""Ways to give colours to clusters that are tried; with more colours, one at a time."""


def propose_map(painting: Image.Image, colours: Sequence[Colour], heights: Sequence[float]) -> Indices:
    """For each pixel of a small copy of a painting the number of the colour whose region it probably is: (H, W).

    The painting's colours and heights are put into as many clusters (k-means), and each colour gets a cluster so that
    the distances are least: the darkest the dark one, the uppermost the upper. Deterministic.

    Args:
        painting: the picture.
        colours: of a map.
        heights: where in the map each lies on average, from 0, the top, to 1.
    """
    small = resize(painting.convert("RGB"), fit(painting.size, SIDE))
    points = _points(small.filter(ImageFilter.GaussianBlur(BLUR * SIDE)))
    labels, centres = _clusters(points, len(colours))
    wanted = np.column_stack([_opponent(np.array(colours, float) / 255), HEIGHT * np.array(heights)])
    order = _assigned(wanted, centres)
    number = np.empty(len(order), np.uint8)
    number[order] = np.arange(len(order))
    index = number[labels].reshape(small.height, small.width)
    return _calm(index, len(colours))


def _points(picture: Image.Image) -> NDArray[np.float64]:
    """For each pixel its colour and, counting less, its height: (N, 4)."""
    colours = _opponent(np.asarray(picture).reshape(-1, 3) / 255)
    heights = np.repeat(np.linspace(0, HEIGHT, picture.height), picture.width)
    return np.column_stack([colours, heights])


def _opponent(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB (N, 3) as lightness, red against green and yellow against blue."""
    red, green, blue = colours.T
    return np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], 1)


def _clusters(points: NDArray[np.float64], count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Lloyd's algorithm, from the middle and then each time the point farthest from those before."""
    centres = [points.mean(0)]
    nearest = np.full(len(points), np.inf)
    for _ in range(count):
        nearest = np.minimum(nearest, np.square(points - centres[-1]).sum(1))
        centres.append(points[int(nearest.argmax())])
    table = np.array(centres[1:])
    labels = np.zeros(len(points), np.intp)
    for _ in range(ROUNDS):
        labels = np.stack([np.square(points - centre).sum(1) for centre in table], 1).argmin(1)
        for number in range(count):
            if (labels == number).any():
                table[number] = points[labels == number].mean(0)
    return labels, table


def _assigned(colours: NDArray[np.float64], centres: NDArray[np.float64]) -> list[int]:
    """For each colour the number of its cluster. Maps are more colourful than paintings, so both are standardised."""
    one, other = (
        (values - values.mean(0)) / max(float(values.std()), 1e-6) + values.mean(0) for values in (colours, centres)
    )
    away = np.square(one[:, None] - other[None]).sum(-1)
    count = len(colours)
    if int(np.prod(np.arange(1, count + 1))) <= TRIED:
        ways = itertools.permutations(range(count))
        return list(min(ways, key=lambda way: float(away[np.arange(count), list(way)].sum())))
    order = [-1] * count
    for _ in range(count):
        colour, cluster = np.unravel_index(int(away.argmin()), away.shape)
        order[int(colour)] = int(cluster)
        away[colour, :], away[:, cluster] = np.inf, np.inf
    return order


def _calm(index: Indices, count: int) -> Indices:
    """Each pixel given to the region that most around it are in."""
    shares = [
        np.asarray(Image.fromarray((index == number).astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(2)))
        for number in range(count)
    ]
    return np.stack(shares).argmax(0).astype(np.uint8)
