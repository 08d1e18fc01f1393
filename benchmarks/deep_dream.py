"""Speed and memory of dreaming, beside pytorch-deepdream's: CPU-seconds and peak memory of whole processes, one thread.

    python benchmarks/deep_dream.py --weights ../shared/data/weights/squeezenet1_0_imagenet.safetensors
    python benchmarks/deep_dream.py --weights ... --peer ../pytorch-deepdream      # a checkout of it, run beside ours
    python benchmarks/deep_dream.py --weights ... --peer ... --frames 10 40   # 300 frames told by two shorter videos
    python benchmarks/deep_dream.py --weights ... --frames 0 --large 4096          # memory of a dream in tiles

The photo is scikit-image's cat at 256×256, the network SqueezeNet 1.0 up to fire5 with the weights given, 4 octaves
of 10 steps, ratio 1.4. The peer gets the same network; it needs OpenCV, and matplotlib only by name. Its video is not
encoded, ours is. The large dream is by the default look, in all its octaves, with the bundled network.
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
WHOLE_VIDEO = 300
"""Frames: 10 seconds."""

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
LARGE = OURS + "save_image(run(dream(open_image({photo!r}), DreamSettings(size={side}, steps={steps}))), {out!r})"
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
    parser.add_argument(
        "--frames", type=int, nargs="+", default=[WHOLE_VIDEO], help="lengths of the zoom video; 0: none"
    )
    parser.add_argument("--large", type=int, default=0, help="side of a large dream to measure as well, such as 4096")
    parser.add_argument("--large-steps", type=int, default=2, help="its steps in each octave")
    options = parser.parse_args()
    from PIL import Image
    from skimage import data

    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        Image.fromarray(data.chelsea()).resize((256, 256)).save(photo)
        given = {"photo": str(photo), "weights": str(options.weights.resolve()), "layer": LAYER}
        given |= {"frames": 1, "changes": {}, "peer": str(options.peer and options.peer.resolve())}
        imports = measure(IMPORTS)
        rows = [("imports alone", *imports)]
        rows.append(("picture, ours", *measure(PICTURE, **given, out=f"{folder}/ours.png")))
        if options.peer:
            rows.append(("picture, pytorch-deepdream", *measure(PEER_PICTURE, **given, out=f"{folder}/theirs")))
        videos = {"ours": (ZOOM, given), "ours by default": (ZOOM, {**given, "changes": {"octaves": 2, "steps": 2}})}
        if options.peer:
            videos["pytorch-deepdream"] = (PEER_ZOOM, given)
        for frames in filter(None, options.frames):
            for who, (code, values) in videos.items():
                cost = measure(code, **{**values, "frames": frames, "out": f"{folder}/{who} {frames}.mp4"})
                rows.append((f"video of {frames} frames, {who}", *cost))
        if len(options.frames) == 2 and WHOLE_VIDEO not in options.frames:
            rows += [extrapolated(who, rows, *sorted(options.frames)) for who in videos]
        if options.large:
            large = {**given, "side": options.large, "steps": options.large_steps, "out": f"{folder}/large.png"}
            rows.append((f"{options.large} px, {options.large_steps} steps an octave", *measure(LARGE, **large)))
    print(f"{'':44} {'CPU-s':>8} {'MB':>7} {'above imports':>14} {'of the peer':>12}")
    table = {name: seconds for name, seconds, _ in rows}
    for name, seconds, memory in rows:
        peer = table.get(f"{name.split(',')[0]}, pytorch-deepdream")
        share = f"{seconds / peer:11.2f}x" if peer and "ours" in name else ""
        print(f"{name:44} {seconds:8.2f} {memory:7.0f} {memory - imports[1]:14.0f} {share:>12}")


def extrapolated(who: str, rows: list[tuple[str, float, float]], few: int, more: int) -> tuple[str, float, float]:
    """The whole video by two shorter ones: each further frame costs what the further frames of the longer one did."""
    cost = {name: (seconds, memory) for name, seconds, memory in rows}
    (short, _), (long, memory) = (cost[f"video of {frames} frames, {who}"] for frames in (few, more))
    seconds = long + (WHOLE_VIDEO - more) * (long - short) / (more - few)
    return f"video of {WHOLE_VIDEO} frames (told by those), {who}", seconds, memory


if __name__ == "__main__":
    main()
