"""Style transfer measured: scores, CPU-seconds and memory of whole processes, and milliseconds per step with VGG-19.

python benchmarks/style_transfer.py [--content PHOTO --style PAINTING] [--weights squeezenet1_0.safetensors]
                                    [--peer NAME 'COMMAND with {content} {style} {out}']...

Each case runs in a process of its own with one thread, so that its CPU-seconds and memory hold everything from the
first import on. Without pictures the two of scikit-image are taken that the figures in the README are for. The scores
are those of ``creative.metrics.style_quality`` with SqueezeNet 1.0, whoever painted. Peers are run by commands given.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCORED = ("relu1", "fire3", "fire5", "fire7", "fire9")
IMPORTS = {
    "import torch": "import torch",
    "import torch, torchvision": "import torch, torchvision",
}


def paint(content: str, style: str, out: str, settings: str, weights: str) -> None:
    """One case, in its own process."""
    from creative.images import open_image, save_image
    from creative.options.style_transfer import StylizeSettings
    from creative.progress import run

    values = StylizeSettings(**json.loads(settings))
    from creative.engines.style_transfer import stylize

    file = Path(weights) if weights and values.network == "squeezenet1_0" else None
    save_image(run(stylize(open_image(content), open_image(style), values, weights=file, device="cpu")), out)


def step_time(precision: str) -> None:
    """Milliseconds of one gradient with VGG-19 (random weights) at 256 × 256."""
    import torch

    from creative.engines.style_transfer.job import CONTENT_LAYERS, STYLE_LAYERS
    from creative.engines.style_transfer.maps import Maps
    from creative.engines.style_transfer.objective import Aim, Objective
    from creative.models.features import untrained_features
    from creative.options.style_transfer import layer_weights

    style, content = layer_weights(STYLE_LAYERS["vgg19"]), layer_weights(CONTENT_LAYERS["vgg19"])
    features = untrained_features("vgg19", layers=[layer for layer in {**style, **content} if layer != "pixels"])
    maps = Maps(features, [*style, *content], torch.bfloat16 if precision == "bfloat16" else None)
    picture = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        aim = Aim(maps.moments(torch.rand(1, 3, 256, 256), tuple(style)))
    objective = Objective(
        maps,
        (256, 256),
        0.5 * picture,
        [aim],
        style_layers=style,
        content_layers=content,
        content_weight=0.2,
        smoothness=1.0,
    )
    times = []
    for _ in range(8):
        started = time.process_time()
        try:
            next(objective.gradient(picture))
        except StopIteration:
            times.append(time.process_time() - started)
    print(1000 * min(times))


def measured(command: list[str]) -> tuple[float, float, str]:
    """CPU-seconds, peak MiB and output of a process with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).resolve().parent.parent), *sys.path])
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, stdout=output, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{shlex.join(command)} failed")
        output.seek(0)
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output.read()


def scored(content: str, style: str, out: str, weights: str) -> str:
    """One row's scores."""
    from creative.images import open_image, resize, to_tensor
    from creative.metrics import style_quality
    from creative.models.features import load_features

    features = load_features("squeezenet1_0", layers=SCORED, weights=weights or None)
    photo = open_image(content)
    tensors = [to_tensor(resize(open_image(path), photo.size)) for path in (content, style, out)]
    quality = style_quality(tensors[0], tensors[1], tensors[2], features, content_layer="fire5")
    return f"{quality.style:6.3f} {quality.content:8.3f} {quality.grain:6.2f}"


def sample_pictures(folder: Path) -> tuple[str, str]:
    """The two pictures of scikit-image, 256 × 256."""
    import skimage.data
    from PIL import Image

    for name in ("chelsea", "astronaut"):
        picture = Image.fromarray(getattr(skimage.data, name)())
        picture.resize((256, 256), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return str(folder / "chelsea.png"), str(folder / "astronaut.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", default="")
    parser.add_argument("--style", default="")
    parser.add_argument("--weights", default="", help="of SqueezeNet 1.0; without it they must be in the cache")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--peer", nargs=2, action="append", default=[], metavar=("NAME", "COMMAND"))
    parser.add_argument("--keep", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    content, style = (options.content, options.style) if options.content else sample_pictures(folder)
    this = [sys.executable, __file__]
    for name, code in IMPORTS.items():
        seconds, memory, _ = measured([sys.executable, "-c", code])
        print(f"{name:36s} {seconds:6.1f} CPU-s {memory:6.0f} MB")
    cases = {
        "creative, squeezenet1_0": {"network": "squeezenet1_0"},
        "creative, squeezenet1_0, draft": {"network": "squeezenet1_0", "quality": "draft"},
        "creative, squeezenet1_0, float32": {"network": "squeezenet1_0", "precision": "float32"},
        "creative, bundled": {},
        "creative, bundled, draft": {"quality": "draft"},
    }
    print(f"\n{'':36s}  style  content  grain  CPU-s  peak MB")
    for number, (name, values) in enumerate(cases.items()):
        out = str(folder / f"ours{number}.png")
        settings = json.dumps({"size": options.size, **values})
        seconds, memory, _ = measured([*this, "paint", content, style, out, settings, options.weights])
        print(f"{name:36s} {scored(content, style, out, options.weights)} {seconds:6.1f} {memory:8.0f}", flush=True)
    for number, (name, command) in enumerate(options.peer):
        out = str(folder / f"peer{number}.png")
        seconds, memory, _ = measured(shlex.split(command.format(content=content, style=style, out=out)))
        print(f"{name:36s} {scored(content, style, out, options.weights)} {seconds:6.1f} {memory:8.0f}", flush=True)
    print("\nVGG-19, random weights, 256 × 256, one thread")
    for precision in ("float32", "bfloat16"):
        print(f"{precision:36s} {float(measured([*this, 'step', precision])[2]):6.0f} ms a step", flush=True)


if __name__ == "__main__":
    {"paint": paint, "step": step_time}[sys.argv[1]](*sys.argv[2:]) if sys.argv[1:2] in (
        ["paint"],
        ["step"],
    ) else main()
