"""Make the diffusion network's picture for its model card: what it draws of the first seeds, none of it picked.

python examples/diffusion_picture.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from creative import DiffuseSettings, generate, run, save_image
from creative.provenance import describe_run

KINDS = ("photo", "monet")
SMALL, SHOWN = DiffuseSettings(size=64, num=25), 480
"""Whole pictures, and the side in pixels that the sheet of them is enlarged to."""
LARGE, NUM_LARGE = DiffuseSettings(size=128, num=1), 2
GAP = 12


def main() -> None:
    side = (SHOWN - GAP) // NUM_LARGE
    whole = Image.new("RGB", (len(KINDS) * (SHOWN + GAP) - GAP, SHOWN + GAP + side), "white")
    for column, kind in enumerate(KINDS):
        left = column * (SHOWN + GAP)
        many = run(generate(SMALL.changed(domain=kind)))
        whole.paste(many.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS), (left, 0))
        for seed in range(NUM_LARGE):
            one = run(generate(LARGE.changed(domain=kind, seed=seed)))
            large = one.resize((side, side), Image.Resampling.LANCZOS)
            whole.paste(large, (left + seed * (side + GAP), SHOWN + GAP))
    whole.info["provenance"] = describe_run("diffusion picture", SMALL, weights=many.info["provenance"].weights)
    print(save_image(whole, Path(__file__).parent / "diffusion.jpg", quality=72))


if __name__ == "__main__":
    main()
