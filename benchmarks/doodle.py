"""Maps measured: is each region painted like its own region of the painting, and not like the others?

python benchmarks/doodle.py [--style PAINTING --style-map MAP --map MAP] [--photo PHOTO] [--size 256]
                            [--weights squeezenet1_0.safetensors]

Without pictures: the coast in brush strokes and the island of apps/_doodles.py. The distance of a region of the result
from a region of the painting is that of the Gram matrices of their features, relative to the painting's, averaged over
layers; a judge that did not paint (SqueezeNet 1.0) is asked where its weights are given, else the bundled network. Each
region's distance from its own is divided by the mean of those from the others: 1 says that nothing went where it
should. The same is printed for the same painting without maps.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from PIL import Image

from apps._doodles import coast_map, draw_coast, draw_island
from creative.engines.style_transfer import stylize
from creative.engines.style_transfer.maps import Maps, framed
from creative.engines.style_transfer.regions import Regions, match_maps, name_of, read_map
from creative.images import fit, open_image, resize, to_tensor
from creative.losses import Moments
from creative.models.features import load_features
from creative.options.style_transfer import StylizeSettings
from creative.progress import run

JUDGES = {
    "bundled": ("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
    "squeezenet1_0": ("relu1", "fire3", "fire5", "fire7"),
}


def seen(maps: Maps, picture: Image.Image, masks: torch.Tensor) -> list[dict[str, Moments]]:
    """The moments of each region."""
    with torch.no_grad():
        return maps.moments_within(framed(to_tensor(picture)), maps.layers, [framed(mask[None]) for mask in masks])


def distances(result: list[dict[str, Moments]], painting: list[dict[str, Moments]]) -> list[list[float]]:
    """Of each region of a result from each of the painting."""

    def one(found: dict[str, Moments], wanted: dict[str, Moments]) -> float:
        each = [(found[k].gram - wanted[k].gram).norm() / wanted[k].gram.norm().clamp(min=1e-12) for k in wanted]
        return float(torch.stack(each).mean())

    return [[one(found, wanted) for wanted in painting] for found in result]


def report(title: str, image: Image.Image, style: Image.Image, regions: Regions, names: list[str], maps: Maps) -> float:
    """Print a table; return the mean over regions of right against wrong."""
    longest = max(image.size)
    painting = resize(style, fit(style.size, min(longest, max(style.size))))
    table = distances(
        seen(maps, image, regions.targets(image.size, torch.device("cpu"))),
        seen(maps, painting, regions.sources(painting.size, torch.device("cpu"))),
    )
    print(f"{title}\n  {'region':24}{'its own':>9}{'others':>9}{'ratio':>8}")
    ratios = []
    for number, (name, row) in enumerate(zip(names, table, strict=True)):
        others = [value for index, value in enumerate(row) if index != number]
        wrong = sum(others) / max(1, len(others))
        ratios.append(row[number] / max(wrong, 1e-12))
        print(f"  {name:24}{row[number]:9.3f}{wrong:9.3f}{ratios[-1]:8.2f}")
    mean = sum(ratios) / len(ratios)
    print(f"  {'mean':42}{mean:8.2f}")
    return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", type=Path)
    parser.add_argument("--style-map", type=Path)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--weights", type=Path, help="of SqueezeNet 1.0, which then judges")
    parser.add_argument("--out", type=Path, help="folder to keep the pictures in")
    options = parser.parse_args()
    torch.set_num_threads(1)
    own = options.style is None
    style = draw_coast() if own else open_image(options.style)
    style_map = coast_map() if own else open_image(options.style_map)
    doodle = draw_island() if options.map is None else open_image(options.map)
    photo = open_image(options.photo) if options.photo else None
    regions = match_maps(doodle, style_map)
    names = [name_of(colour) for colour in read_map(doodle, "map")[0]]
    judge = "squeezenet1_0" if options.weights else "bundled"
    maps = Maps(load_features(judge, layers=JUDGES[judge], weights=options.weights), JUDGES[judge], None)
    ratios = []
    width, height = doodle.size
    settings = StylizeSettings(size=options.size, aspect=width / height)
    for title, (content_map, known) in {"with maps": (doodle, style_map), "without maps": (None, None)}.items():
        started = time.process_time()
        image = run(stylize(photo, style, settings, content_map=content_map, style_map=known, device="cpu"))
        spent = time.process_time() - started
        ratios.append(report(f"{title} ({spent:.0f} CPU-seconds)", image, style, regions, names, maps))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            image.save(options.out / f"{title.replace(' ', '-')}.png")
    print(f"right against wrong, judged by {judge}: {ratios[0]:.2f} with maps, {ratios[1]:.2f} without")


if __name__ == "__main__":
    main()
