"""Speed and memory of dreaming, beside pytorch-deepdream's: CPU-seconds and peak memory of whole processes, one thread.

    python benchmarks/deep_dream.py --weights ../shared/data/weights/squeezenet1_0_imagenet.safetensors
    python benchmarks/deep_dream.py --weights ... --peer ../pytorch-deepdream      # a checkout of it, run beside ours

The photo is scikit-image's cat at 256×256, the network SqueezeNet 1.0 up to fire5 with the weights given, 4 octaves
of 10 steps, ratio 1.4. The peer gets the same network; it needs OpenCV, and matplotlib only by name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LAYER = "fire5"
ROOT = Path(__file__).resolve().parent.parent

IMPORTS = "import torch, PIL.Image, pydantic, safetensors"

OURS = """
from creative.engines.deep_dream import dream, dream_zoom
from creative.images import open_image, save_image
from creative.options.deep_dream import DreamSettings, DreamZoomSettings
from creative.progress import run
import torch; torch.set_num_threads(1)
same = dict(network="squeezenet1_0", layers=({layer!r},), size=256, octaves=4, steps=10, octave_ratio=1.4)
"""
PICTURE = OURS + "save_image(run(dream(open_image({photo!r}), DreamSettings(**same), weights={weights!r})), {out!r})"
ZOOM = (
    OURS
    + """
settings = DreamZoomSettings(**{{**same, **{changes!r}}}, seconds={frames} / 30, frames_per_second=30, zoom=3)
run(dream_zoom(open_image({photo!r}), {out!r}, settings, weights={weights!r}))
"""
)

# What the peer lacks: SqueezeNet with the weights given, in the shape that its own networks have.
PEER = """
import sys, types
for name in ("matplotlib", "matplotlib.pyplot"):
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["matplotlib"].pyplot = sys.modules["matplotlib.pyplot"]
sys.path.insert(0, {peer!r})
import collections, numpy, torch
from torchvision import models
from safetensors.torch import load_file
import utils.utils, utils.video_utils, deepdream
torch.set_num_threads(1)
numpy.random.seed(0)

class Network(torch.nn.Module):
    layer_names = ["conv1", "relu1", "pool1", "fire2", "fire3", "fire4", "pool4", "fire5", "fire6", "fire7", "fire8"]
    layer_names += ["pool8", "fire9"]

    def __init__(self):
        super().__init__()
        network = models.squeezenet1_0(weights=None)
        network.load_state_dict(load_file({weights!r}))
        self.features = network.features.eval().requires_grad_(False)

    def forward(self, x):
        found = []
        for module in self.features:
            x = module(x)
            found.append(x)
        return collections.namedtuple("Maps", self.layer_names)(*found)

utils.utils.fetch_and_prepare_model = lambda *_: Network()
utils.video_utils.create_video_from_intermediate_results = lambda _: None
config = dict(
    input={photo!r}, img_width=256, layers_to_use=[{layer!r}], model_name="VGG16", pretrained_weights="IMAGENET",
    pyramid_size=4, pyramid_ratio=1.4, num_gradient_ascent_iterations=10, lr=0.09, ouroboros_length={frames}, fps=30,
    frame_transform="ZOOM", blend=0.85, should_display=False, spatial_shift_size=32, smoothing_coefficient=0.5,
    use_noise=False, dump_dir={out!r}, input_name="photo.png",
)
"""
PEER_PICTURE = (
    PEER + "utils.utils.save_and_maybe_display_image(config, deepdream.deep_dream_static_image(config, None))"
)
PEER_ZOOM = PEER + "deepdream.deep_dream_video_ouroboros(config)"


def measure(code: str, **values: object) -> tuple[float, float]:
    """CPU-seconds and MiB at most of a process that runs the code."""
    report = "\nimport json, resource; u = resource.getrusage(resource.RUSAGE_SELF); import os\n"
    report += "print(json.dumps([u.ru_utime + u.ru_stime, u.ru_maxrss / 1024]))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", code.format(**values) + report]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr[-2000:])
    seconds, memory = json.loads(run.stdout.splitlines()[-1])
    return seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="SqueezeNet 1.0 in torchvision's layout")
    parser.add_argument("--peer", type=Path, help="a checkout of pytorch-deepdream")
    parser.add_argument("--frames", type=int, default=300, help="of the zoom video; 300 are 10 seconds; 0: none")
    parser.add_argument("--large", type=int, default=0, help="side of a large dream to measure as well, such as 4096")
    options = parser.parse_args()
    from PIL import Image
    from skimage import data

    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        Image.fromarray(data.chelsea()).resize((256, 256)).save(photo)
        given = {"photo": str(photo), "weights": str(options.weights.resolve()), "layer": LAYER}
        given |= {"frames": options.frames, "changes": {}, "peer": str(options.peer and options.peer.resolve())}
        imports = measure(IMPORTS)
        rows = [("imports alone", *imports)]
        rows.append(("picture, ours", *measure(PICTURE, **given, out=f"{folder}/ours.png")))
        if options.peer:
            rows.append(("picture, pytorch-deepdream", *measure(PEER_PICTURE, **given, out=f"{folder}/theirs")))
        if options.frames:
            rows.append(("video, ours, 4 octaves × 10 steps a frame", *measure(ZOOM, **given, out=f"{folder}/a.mp4")))
            light = {**given, "changes": {"octaves": 2, "steps": 2}}
            rows.append(("video, ours, as by default", *measure(ZOOM, **light, out=f"{folder}/b.mp4")))
            if options.peer:
                rows.append(("video, pytorch-deepdream", *measure(PEER_ZOOM, **given, out=f"{folder}/theirs")))
        if options.large:
            large = PICTURE.replace("size=256", f"size={options.large}").replace("steps=10", "steps=1")
            rows.append(
                (f"{options.large} px, one step an octave", *measure(large, **given, out=f"{folder}/large.png"))
            )
    peers = {"picture": "picture, pytorch-deepdream", "video": "video, pytorch-deepdream"}
    table = {name: (seconds, memory) for name, seconds, memory in rows}
    print(f"{'':44} {'CPU-s':>8} {'MB':>7} {'above imports':>14} {'of the peer':>12}")
    for name, seconds, memory in rows:
        peer = table.get(peers.get(name.split(",")[0], ""))
        share = f"{seconds / peer[0]:11.2f}x" if peer and "ours" in name else ""
        print(f"{name:44} {seconds:8.2f} {memory:7.0f} {memory - imports[1]:14.0f} {share:>12}")


if __name__ == "__main__":
    main()
