"""Make the feature network's picture for its model card: what it draws, and what it takes three photos for.

python examples/features_picture.py
"""

from __future__ import annotations

from pathlib import Path

import skimage.data
from PIL import Image, ImageOps

from creative import run, save_image
from creative.engines.feature_visualization import draw, sheet
from creative.files import file_sha256
from creative.images import to_tensor
from creative.models.features import load_classifier
from creative.options.feature_visualization import VisualizeSettings
from creative.provenance import describe_run
from creative.weights import find

CELL = 112
CLASSES = ("goldfish", "toucan", "tabby", "sports_car", "castle", "strawberry", "alp", "coral_reef")
LAYERS = ("relu2_2", "relu3_3", "relu4_3", "relu5_2")
PHOTOS = ("chelsea", "coffee", "rocket", "astronaut", "moon", "brick", "horse", "retina")


def main() -> None:
    network = load_classifier()
    objectives = [f"class:{name}" for name in CLASSES] + [f"{layer}:{n}" for layer in LAYERS for n in (0, 1)]
    pictures, labels = [], []
    for name in PHOTOS:
        photo = ImageOps.fit(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"), (160, 160))
        chances = network(to_tensor(photo))[0].softmax(0)
        pictures.append(photo)
        labels.append(f"{network.classes[int(chances.argmax())].replace('_', ' ')} {float(chances.max()):.0%}")
    settings = VisualizeSettings(objectives=tuple(objectives), size=144)
    drawn = run(draw(settings))
    pictures += drawn.pictures
    labels += [*(name.replace("_", " ") for name in CLASSES), *objectives[len(CLASSES) :]]
    whole = sheet([picture.resize((CELL, CELL), Image.Resampling.LANCZOS) for picture in pictures], labels, columns=8)
    whole.info["provenance"] = describe_run(
        "features picture", settings, weights={"bundled": file_sha256(find("features"))}
    )
    print(save_image(whole, Path(__file__).parent / "features.jpg", quality=80))


if __name__ == "__main__":
    main()
