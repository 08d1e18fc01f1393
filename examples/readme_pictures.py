"""Make the README's pictures: scikit-image's photos (and a lake), painted, painted at once, dreamed into and so on.

python examples/readme_pictures.py                  all of them: ten minutes of one core
python examples/readme_pictures.py instant          this one
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import skimage.data
from PIL import Image, ImageOps

from apps._samples import draw_landscape
from creative import (
    DiffuseSettings,
    DreamSettings,
    InstantSettings,
    StylizeSettings,
    TranslateSettings,
    dream,
    generate,
    load_preset,
    paint,
    restyle,
    run,
    save_image,
    stylize,
    translate,
)
from creative.provenance import describe_run
from creative.settings import Settings

HERE = Path(__file__).parent
CELL, GAP = 288, 6
PAINTED, STYLES = ("chelsea", "coffee", "astronaut"), ("starry-night", "the-scream", "great-wave", "woman-with-a-hat")
TRANSLATED = ("rocket", "astronaut", "coffee")
AT_ONCE, PAINTERS = ("coffee", "astronaut"), ("great-wave", "udnie", "wheat-field", "the-scream", "starry-night")
DREAMED, LOOKS = ("hubble_deep_field", "astronaut"), ("castles", "birds", "heads", "swirls")


def painted() -> Path:
    settings = StylizeSettings(size=512)
    rows = []
    for name in PAINTED:
        photo = sample(name)
        rows.append([photo, *(run(stylize(photo, load_preset(style), settings)) for style in STYLES)])
    return save_sheet(rows, settings, HERE / "painted.jpg")


def instant() -> Path:
    settings = InstantSettings(size=512)
    rows = []
    for name in AT_ONCE:
        photo = ImageOps.fit(sample(name), (512, 512))
        rows.append([photo, *(run(paint(photo, load_preset(style), settings)) for style in PAINTERS)])
    return save_sheet(rows, settings, HERE / "instant.jpg")


def dreamed() -> Path:
    rows = []
    for name in DREAMED:
        photo = ImageOps.fit(sample(name), (512, 512))
        rows.append([photo, *(run(dream(photo, DreamSettings(look=look, size=512))) for look in LOOKS)])
    return save_sheet(rows, DreamSettings(size=512), HERE / "dreamed.jpg")


def translated() -> Path:
    photos = [ImageOps.fit(photo, (512, 512)) for photo in (draw_landscape(), *map(sample, TRANSLATED))]
    rows = [photos, [run(translate(photo, TranslateSettings(size=512))) for photo in photos]]
    return save_sheet(rows, TranslateSettings(size=512), HERE / "translated.jpg")


def diffused() -> Path:
    settings = DiffuseSettings(size=CELL)
    photos = [ImageOps.fit(photo, (CELL, CELL)) for photo in (draw_landscape(), sample("coffee"))]
    drawn = [run(generate(settings.changed(num=1, seed=seed))) for seed in range(2)]
    restyled = [run(restyle(photo, settings)) for photo in photos]
    row = [photos[0], restyled[0], photos[1], restyled[1], *drawn]
    return save_sheet([row], settings, HERE / "diffused.jpg")


SHEETS = {sheet.__name__: sheet for sheet in (painted, instant, dreamed, translated, diffused)}


def main(names: Sequence[str]) -> None:
    if unknown := sorted(set(names) - SHEETS.keys()):
        sys.exit(f"There is no picture {', '.join(unknown)}; there are {', '.join(SHEETS)}.")
    for name in names or SHEETS:
        print(SHEETS[name]())


def sample(name: str) -> Image.Image:
    return Image.fromarray(getattr(skimage.data, name)())


def save_sheet(rows: Sequence[Sequence[Image.Image]], settings: Settings, path: Path) -> Path:
    step = CELL + GAP
    sheet = Image.new("RGB", (step * len(rows[0]) - GAP, step * len(rows) - GAP), "white")
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            sheet.paste(ImageOps.fit(picture, (CELL, CELL)), (left * step, top * step))
    weights = rows[-1][-1].info["provenance"].weights
    sheet.info["provenance"] = describe_run("readme picture", settings, weights=weights)
    return save_image(sheet, path, quality=88)


if __name__ == "__main__":
    main(sys.argv[1:])
