"""What feature visualization costs: whole-process CPU-seconds and memory on one thread, and how far it climbs.

    python benchmarks/feature_visualization.py --weights ../shared/data/weights/squeezenet1_0_imagenet.safetensors

SqueezeNet 1.0, 224 pixels, 64 steps, one channel after another, each in a process of its own. The value is the mean of
the channel's map for the 8-bit picture, unmoved. With ``--lucent FOLDER`` (a checkout whose dependencies are installed
for ``--python``) the same is run with lucent in turn, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

LAYERS = {"fire9": 12, "fire6": 8, "fire5": 7}
"""Of those measured, the index in torchvision's ``features``, by which lucent knows them."""

OURS = """
import json, resource, sys
from creative.engines.feature_visualization import visualize
from creative.options.feature_visualization import VisualizeSettings
from creative.progress import run
settings = VisualizeSettings(network="squeezenet1_0", size=224, steps=64)
run(visualize(sys.argv[1], settings, weights=sys.argv[2])).save(sys.argv[3])
"""

LUCENT = """
import json, os, resource, sys
sys.path.insert(0, sys.argv[4]); os.chdir(sys.argv[4])
import numpy, torch
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import squeezenet1_0
from lucent.optvis import param, render
torch.manual_seed(0); numpy.random.seed(0)
network = squeezenet1_0().eval()
network.load_state_dict({name: tensor.float() for name, tensor in load_file(sys.argv[2]).items()})
image = render.render_vis(network, sys.argv[1], param_f=lambda: param.image(224), thresholds=(64,), progress=False,
                          show_image=False)[-1][0]
Image.fromarray((image * 255).astype(numpy.uint8)).save(sys.argv[3])
"""

COST = """
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def measured(code: str, python: str, *arguments: str) -> tuple[float, float]:
    """CPU-seconds and MB of a process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    command = [python, "-c", code + COST, *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes


def value(picture: str, layer: str, channel: int, weights: str) -> float:
    import torch

    from creative.images import open_image, to_tensor
    from creative.models.features import load_features

    with torch.inference_mode():
        maps = load_features("squeezenet1_0", layers=[layer], weights=weights)(to_tensor(open_image(picture)))
    return float(maps[layer][0, channel].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", required=True, help="SqueezeNet 1.0's ImageNet weights, safetensors")
    parser.add_argument("--lucent", help="a checkout of lucent to compare with")
    parser.add_argument("--python", default=sys.executable, help="that has lucent's dependencies")
    parser.add_argument("--channels", nargs="+", default=["fire9:5", "fire9:100", "fire6:7", "fire5:30"])
    parser.add_argument("--out", default="out", help="folder of the pictures")
    options = parser.parse_args()
    weights, out = str(Path(options.weights).resolve()), Path(options.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    print(f"{'':12} {'who':8} {'value':>9} {'CPU-s':>7} {'MB':>6}")
    for name in options.channels:
        layer, channel = name.split(":")[0], int(name.split(":")[1])
        rows = []
        picture = str(out / f"{layer}-{channel}.png")
        rows.append(("ours", picture, measured(OURS, sys.executable, name, weights, picture)))
        if options.lucent:
            picture = str(out / f"{layer}-{channel}-lucent.png")
            theirs = f"features_{LAYERS[layer]}:{channel}"
            cost = measured(LUCENT, options.python, theirs, weights, picture, str(Path(options.lucent).resolve()))
            rows.append(("lucent", picture, cost))
        values = [value(picture, layer, channel, weights) for _, picture, _ in rows]
        for (who, _, (seconds, megabytes)), reached in zip(rows, values, strict=True):
            print(f"{name:12} {who:8} {reached:9.1f} {seconds:7.1f} {megabytes:6.0f}")
        if len(rows) == 2:
            share = rows[0][2][0] / rows[1][2][0]
            print(
                f"{name:12} {'ratio':8} {values[0] / values[1]:9.2f} {share:7.2f} {rows[0][2][1] / rows[1][2][1]:6.2f}"
            )


if __name__ == "__main__":
    main()
