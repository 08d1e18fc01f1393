"""The demo: one job of each app, offline, on the weights that come with the suite.

A new app adds a row to JOBS.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps import _results as results
from apps import style_transfer
from apps._app import Action, App, perform
from apps._terminal import Screen, Stopped, facts, follow
from creative.options.style_transfer import StylizeInputs, StylizeSettings
from creative.settings import Inputs, Settings

SIDE = 512
FAVOURITES = ("starry-night", "great-wave", "the-great-wave", "wave", "the-scream", "scream")


@dataclass(frozen=True)
class Job:
    """One row of the demo."""

    title: str
    app: App
    verb: str
    inputs: Callable[[Path], Inputs]
    """Makes what the job needs in a folder, and names it."""
    settings: Settings
    next: Sequence[str]
    """Commands to try after it; PHOTO stands for the sample's path."""

    @property
    def action(self) -> Action:
        """The app's action of that verb."""
        return next(action for action in self.app.actions if action.verb == self.verb)


def _photo_and_preset(folder: Path) -> Inputs:
    return StylizeInputs(photo=(sample_photo(folder),), style=favourite_preset())


JOBS = (
    Job(
        title="A photo, painted like a painting",
        app=style_transfer.APP,
        verb="style",
        inputs=_photo_and_preset,
        settings=StylizeSettings(size=SIDE),
        next=(
            "creative style YOUR_PHOTO.jpg {style} --size 768",
            "creative weights                     (which styles there are)",
            "creative replay {result}",
            "creative studio                      (all of it in the browser)",
        ),
    ),
)


def favourite_preset() -> str:
    """The name of a preset that suits most photos.

    Raises:
        ValueError: there is no preset at all.
    """
    from creative.weights import list_presets

    names = list_presets()
    if not names:
        raise ValueError("There are no style presets: this copy of the suite is not complete; install it again.")
    return next((name for name in FAVOURITES if name in names), names[0])


def demo(options: Any) -> int:
    """Do every job and say where its result is; the exit status."""
    folder = Path(options.out) if options.out is not None else results.OUT
    screen = Screen.of(options)
    reports, after = [], []
    for number, job in enumerate(JOBS, 1):
        inputs = job.inputs(folder)
        command = f"creative {job.verb} {_words(inputs)} {_flags(job.settings)}".rstrip()
        screen.say(f"{number} of {len(JOBS)}: {job.title}: {command}")
        engine = perform(job.action, inputs, job.settings, device=options.device, out=f"{folder}/")
        try:
            saved = follow(engine, screen, job.verb)
        except Stopped as stop:
            kept = f"; the last preview is kept in {stop.saved.path}" if stop.saved else ""
            print(f"Stopped{kept}.", file=sys.stderr)
            return 130
        except Exception as error:
            error.__dict__["while_running"] = True
            raise
        reports.append(facts(saved))
        if not options.json_report:
            print(saved.path, flush=True)
        screen.say(f"   done in {saved.seconds:.0f} s with {saved.peak_memory_mb:,.0f} MB at most")
        after += [line.format(result=saved.path, style=getattr(inputs, "style", "")) for line in job.next]
    if options.json_report:
        print(json.dumps({"results": reports}, ensure_ascii=False))
    else:
        screen.say("\nLook at it there, and then try:")
        for line in after:
            screen.say(f"  {line}")
    return 0


def _words(inputs: Inputs) -> str:
    values = inputs.model_dump(mode="json").values()
    return " ".join(str(one) for value in values if value for one in (value if isinstance(value, list) else [value]))


def _flags(settings: Settings) -> str:
    changed = {name: value for name, value in settings if value != type(settings).model_fields[name].default}
    words = {name: value if isinstance(value, tuple) else (value,) for name, value in changed.items()}
    return " ".join(f"--{name.replace('_', '-')} {' '.join(map(str, value))}" for name, value in words.items())


# A photo to paint ---------------------------------------------------------------------------------------------------


def sample_photo(folder: Path) -> Path:
    """A photo to show things with: scikit-image's cat if that is installed, else a landscape drawn here."""
    from PIL import Image

    from creative.images import save_image

    cat = _bundled_cat()
    path = folder / ("demo-cat.png" if cat is not None else "demo-landscape.png")
    if not path.exists():
        image = Image.open(cat).convert("RGB") if cat is not None else draw_landscape()
        image.info.clear()
        save_image(image, path)
    return path


def _bundled_cat() -> Path | None:
    """scikit-image's sample photo of a cat, without importing it (it might ask the network)."""
    from importlib.util import find_spec

    found = find_spec("skimage")
    for folder in (found.submodule_search_locations or []) if found else []:
        for name in ("chelsea.png", "cat.png"):
            if (Path(folder) / "data" / name).is_file():
                return Path(folder) / "data" / name
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
