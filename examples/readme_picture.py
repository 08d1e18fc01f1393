"""Make the README's picture: three of scikit-image's photos, each painted in four of the bundled styles.

python examples/readme_picture.py
"""

from __future__ import annotations

from pathlib import Path

import skimage.data
from PIL import Image, ImageOps

from creative import StylizeSettings, load_preset, run, save_image, stylize
from creative.provenance import describe_run

CELL, GAP = 288, 6
PHOTOS = ("chelsea", "coffee", "astronaut")
STYLES = ("starry-night", "the-scream", "great-wave", "woman-with-a-hat")


def main() -> None:
    settings = StylizeSettings(size=512)
    rows = []
    for name in PHOTOS:
        photo = Image.fromarray(getattr(skimage.data, name)())
        rows.append([photo, *(run(stylize(photo, load_preset(style), settings)) for style in STYLES)])
        print(name)
    weights = rows[0][1].info["provenance"].weights
    step = CELL + GAP
    sheet = Image.new("RGB", (step * (len(STYLES) + 1) - GAP, step * len(PHOTOS) - GAP), "white")
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            sheet.paste(ImageOps.fit(picture, (CELL, CELL)), (left * step, top * step))
    sheet.info["provenance"] = describe_run("readme picture", settings, weights=weights)
    print(save_image(sheet, Path(__file__).parent / "painted.jpg", quality=88))


if __name__ == "__main__":
    main()
