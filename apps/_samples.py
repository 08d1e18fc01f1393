"""Photos to try things with: scikit-image's where it is installed, and a lake that is drawn here."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCIKIT_IMAGE = {"Cat": "chelsea.png", "Coffee": "coffee.png", "Astronaut": "astronaut.png"}
"""Its photos by the titles that they have here."""
DRAWN = "Lake"


def sample_titles() -> list[str]:
    """What photos there are; the last one, a lake, is always there."""
    return [*(title for title in SCIKIT_IMAGE if _bundled(title) is not None), DRAWN]


def photos_to_try(folder: Path) -> dict[str, dict[str, Any]]:
    """``Action.examples`` of whatever takes a photo: each sample as a file in a folder."""
    return {title: {"photo": sample_photo(title, folder / f"{title.lower()}.png")} for title in sample_titles()}


def sample_photo(title: str, path: Path) -> Path:
    """A photo of ``sample_titles`` as a file; one that is there already is left as it is."""
    from PIL import Image

    from creative.images import save_image

    if not path.exists():
        bundled = _bundled(title)
        image = Image.open(bundled).convert("RGB") if bundled is not None else draw_landscape()
        image.info.clear()
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(image, path)
    return path


def _bundled(title: str) -> Path | None:
    """The file of a photo in scikit-image, without importing it (it might ask the network)."""
    from importlib.util import find_spec

    found = find_spec("skimage") if title in SCIKIT_IMAGE else None
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "data" / SCIKIT_IMAGE[title]
        if path.is_file():
            return path
    return None


def draw_landscape(width: int = 640, height: int = 480, seed: int = 4) -> Any:
    """A lake between hills at sunset, drawn from noise: a PIL picture, the same one every time."""
    import numpy as np
    from PIL import Image, ImageFilter

    rng = np.random.Generator(np.random.PCG64(seed))
    horizon = int(height * 0.58)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)

    sky = _between((0.16, 0.30, 0.58), (0.99, 0.72, 0.42), np.clip(y / horizon, 0, 1) ** 1.6)
    sun = np.hypot((x - width * 0.66), (y - horizon * 0.80)) / height
    sky += np.exp(-((sun / 0.16) ** 2))[..., None] * np.array([0.55, 0.35, 0.10])
    sky = np.where((sun < 0.055)[..., None], np.array([1.0, 0.95, 0.78]), sky)
    clouds = _clouds(rng, height, width)
    cover = np.clip((clouds - 0.52) * 4, 0, 1) * np.clip(1.1 - y / horizon, 0, 1)
    picture = sky * (1 - 0.75 * cover[..., None]) + 0.75 * cover[..., None] * np.array([1.0, 0.86, 0.80])

    for layer, colour in enumerate([(0.44, 0.45, 0.62), (0.27, 0.36, 0.46), (0.13, 0.25, 0.22)]):
        ridge = horizon - height * (0.20 - 0.055 * layer) * _ridge(rng, width)
        texture = 0.85 + 0.3 * _clouds(rng, height, width)
        picture = np.where((y > ridge[None, :])[..., None], np.array(colour) * texture[..., None], picture)

    depth = np.clip((y - horizon) / (height - horizon), 0, 1)
    ripple = (np.sin(y * (0.9 - 0.5 * depth) + 6 * _clouds(rng, height, width)) * (2 + 9 * depth)).astype(int)
    mirrored = np.clip(2 * horizon - y.astype(int) + ripple, 0, horizon)
    water = picture[mirrored, np.clip(x.astype(int) + ripple, 0, width - 1)] * 0.72 + np.array([0.02, 0.06, 0.10])
    picture = np.where((y > horizon)[..., None], water, picture)

    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    _draw_trees(image, seed)
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _between(top: Sequence[float], bottom: Sequence[float], share: Any) -> Any:
    import numpy as np

    return (1 - share)[..., None] * np.array(top) + share[..., None] * np.array(bottom)


def _clouds(rng: Any, height: int, width: int) -> Any:
    """Noise of several octaves, in [0, 1]."""
    import numpy as np
    from PIL import Image
    from PIL.Image import Resampling

    total = np.zeros((height, width))
    for octave in range(2, 7):
        small = rng.random((2**octave // 2 + 1, 2**octave + 1)).astype(np.float32)
        total += np.asarray(Image.fromarray(small).resize((width, height), Resampling.BICUBIC)) / 2**octave
    return (total - total.min()) / (total.max() - total.min())


def _ridge(rng: Any, width: int) -> Any:
    import numpy as np

    x = np.linspace(0, 1, width)
    waves = sum(rng.random() / n * np.sin(2 * math.pi * (n * x + rng.random())) for n in (1, 2, 3, 5, 8, 13, 21))
    return (waves - waves.min()) / (waves.max() - waves.min())


def _draw_trees(image: Any, seed: int) -> None:
    """Dark firs on the near shore."""
    from PIL import ImageDraw

    chance, draw, (width, height) = random.Random(seed), ImageDraw.Draw(image), image.size
    for _ in range(22):
        side = chance.choice((0.0, 1.0))
        x = width * abs(side - abs(chance.gauss(0, 0.12)))
        tall = height * chance.uniform(0.18, 0.42)
        foot = height * chance.uniform(0.93, 1.05)
        shade = chance.randint(8, 34)
        for level in range(9):
            half = tall * 0.17 * (level + 1) / 9 * chance.uniform(0.8, 1.15)
            top, base = foot - tall * (1 - level / 9), foot - tall * (1 - (level + 1.8) / 9)
            draw.polygon([(x, top), (x - half, base), (x + half, base)], fill=(shade, shade + 18, shade + 10))
