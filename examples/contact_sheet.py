"""Paint every photo in every style and lay the results out on one sheet, styles across and photos down.

python examples/contact_sheet.py --photos cat.jpg lake.jpg --styles starry-night great-wave painting.jpg -o sheet.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from creative import StylizeSettings, run, stylize
from creative.images import fit, open_image, picture_files, resize, save_image
from creative.settings import describe
from creative.style_presets import Preset, load_preset


def style_from(name: str) -> Image.Image | Preset:
    return open_image(name) if Path(name).is_file() else load_preset(name)


def picture_of(style: Image.Image | Preset) -> Image.Image:
    if isinstance(style, Image.Image):
        return style
    return style.swatch or Image.new("RGB", (64, 64), "grey")


def centred(picture: Image.Image, cell: int) -> Image.Image:
    square = Image.new("RGB", (cell, cell), "white")
    small = resize(picture, fit(picture.size, cell))
    square.paste(small, ((cell - small.width) // 2, (cell - small.height) // 2))
    return square


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs="+", required=True, help="pictures, or folders of them")
    parser.add_argument("--styles", nargs="+", required=True, help="paintings' files and presets' names")
    parser.add_argument("--pairs", action="store_true", help="first photo with first style and so on, not all with all")
    parser.add_argument("--cell", type=int, default=256, help="side of a cell of the sheet, pixels")
    parser.add_argument("-o", "--out", default="out/sheet.jpg")
    for field in describe(StylizeSettings):
        if not field.many:
            parser.add_argument(f"--{field.name.replace('_', '-')}", help=field.description.replace("%", "%%"))
    options = vars(parser.parse_args())
    settings = StylizeSettings(**{f.name: options[f.name] for f in describe(StylizeSettings) if options.get(f.name)})

    photos = [open_image(path) for path in picture_files(options["photos"])]
    styles = [style_from(name) for name in options["styles"]]
    cell = options["cell"]
    if options["pairs"]:
        rows = [[photo, picture_of(style), (photo, style)] for photo, style in zip(photos, styles, strict=True)]
    else:
        first = [Image.new("RGB", (cell, cell), "white"), *(picture_of(style) for style in styles)]
        rows = [first, *([photo, *((photo, style) for style in styles)] for photo in photos)]
    sheet = Image.new("RGB", (cell * max(map(len, rows)), cell * len(rows)), "white")
    for top, row in enumerate(rows):
        for left, entry in enumerate(row):
            picture = run(stylize(*entry, settings)) if isinstance(entry, tuple) else entry
            sheet.paste(centred(picture, cell), (left * cell, top * cell))
        print(f"row {top + 1} of {len(rows)}")
    out = Path(options["out"])
    out.parent.mkdir(parents=True, exist_ok=True)
    print(save_image(sheet, out))


if __name__ == "__main__":
    main()
