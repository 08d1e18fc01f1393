"""Dream into every photo by every look and lay the results out on one sheet, looks across and photos down.

python examples/dream_sheet.py --photos cat.jpg clouds.jpg --looks eyes swirls --size 384 -o sheet.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from creative import DreamSettings, dream, run
from creative.images import fit, open_image, picture_files, resize, save_image
from creative.options.deep_dream import LOOKS
from creative.settings import describe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs="+", required=True, help="pictures, or folders of them")
    parser.add_argument("--looks", nargs="+", default=list(LOOKS), choices=list(LOOKS), help="by default all")
    parser.add_argument("--cell", type=int, default=256, help="side of a cell of the sheet, pixels")
    parser.add_argument("-o", "--out", default="out/dreams.jpg")
    for field in describe(DreamSettings):
        if not field.many and field.name != "look":
            parser.add_argument(f"--{field.name.replace('_', '-')}", help=field.description.replace("%", "%%"))
    options = vars(parser.parse_args())
    given = {field.name: options[field.name] for field in describe(DreamSettings) if options.get(field.name)}

    photos = [open_image(path) for path in picture_files(options["photos"])]
    cell, line = options["cell"], 24
    sheet = Image.new("RGB", (cell * (1 + len(options["looks"])), line + cell * len(photos)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for left, look in enumerate(options["looks"], 1):
        pen.text((left * cell + cell / 2, line / 2), look, "black", font, anchor="mm")
    for row, photo in enumerate(photos):
        dreams = (run(dream(photo, DreamSettings(**{**given, "look": look}))) for look in options["looks"])
        for column, picture in enumerate([photo, *dreams]):
            small = resize(picture, fit(picture.size, cell))
            corner = column * cell + (cell - small.width) // 2, line + row * cell + (cell - small.height) // 2
            sheet.paste(small, corner)
        print(f"photo {row + 1} of {len(photos)}")
    out = Path(options["out"])
    out.parent.mkdir(parents=True, exist_ok=True)
    print(save_image(sheet, out))


if __name__ == "__main__":
    main()
