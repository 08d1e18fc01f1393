"""Which width and depth of each stage see most for what they cost: shapes of the feature network, taught alike.

    python benchmarks/feature_shapes.py DATA... --squeezenet FILE --mobilenet FILE [--steps 240] [--folder out/shapes]

Each shape is trained from nothing on the same crops of 96 pixels in the same order, without classes, and is measured on
the pictures held out: the variance of SqueezeNet's and MobileNet's maps that it explains. Its cost is that of all maps
of a picture of 256 pixels and of the picture's gradient, in turn with the bundled shape, on one thread. All shapes have
at most 2 million weights. Rows go into FOLDER/NAME.json one by one: started again, it goes on after the last of them,
and ``--only NAME...`` shares them among processes. ``--table`` prints what is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from creative.data.pictures import find_pictures, pack_pictures, split_pictures
from creative.engines.features import HINTS, Distillation, Hint
from creative.engines.features.hints import hint_layers, teacher_names
from creative.engines.training import train
from creative.models.features import load_classifier
from creative.models.vgg import VGG, VGGConfig
from creative.options.features import FeaturesSettings
from creative.progress import Step, run

BUNDLED = VGGConfig()
SHAPES = {
    "bundled": BUNDLED,
    "deep middle": VGGConfig((16, 32, 80, 160, 224), (2, 2, 3, 4, 2)),
    "wide, shallow middle": VGGConfig((24, 48, 96, 192, 240), (2, 2, 3, 2, 2)),
    "wide beginning": VGGConfig((32, 64, 112, 160, 208), (2, 2, 2, 3, 2)),
    "short beginning": VGGConfig((24, 48, 96, 176, 224), (1, 2, 3, 3, 2)),
    "wide third stage": VGGConfig((16, 48, 128, 160, 208), (1, 2, 3, 3, 2)),
}
SHOWN = ("squeezenet1_fire3", "squeezenet1_fire5", "squeezenet1_fire8", "squeezenet1_fire9", "mobilenet_block13")


def hints_for(shape: VGGConfig) -> list[Hint]:
    """The bundled network's, from the layers of another shape: the last of a stage is its last, others stay."""
    found = []
    for hint in HINTS:
        stage, place = map(int, hint.student.removeprefix("relu").split("_"))
        depth, usual = shape.depths[stage - 1], BUNDLED.depths[stage - 1]
        place = depth if place == usual else min(place, depth)
        found.append(dataclasses.replace(hint, student=f"relu{stage}_{place}"))
    return found


def relative_cost(shape: VGGConfig, rounds: int = 5) -> float:
    """Processor time against that of the bundled shape, the fastest of some rounds in turn."""
    picture = torch.full((1, 3, 256, 256), 0.5)
    networks = [VGG(config).eval().requires_grad_(False) for config in (shape, BUNDLED)]
    best = [float("inf")] * 2
    for _ in range(rounds):
        for index, network in enumerate(networks):
            start = time.process_time()
            seen = picture.clone().requires_grad_()
            layers = [f"relu{stage}_{depth}" for stage, depth in enumerate(network.config.depths, 1)]
            torch.stack([map_.square().mean() for map_ in network.maps(seen, layers).values()]).sum().backward()
            best[index] = min(best[index], time.process_time() - start)
    return best[0] / best[1]


def measure(name: str, data: Sequence[Path], teachers: dict[str, Path], steps: int, folder: Path) -> dict[str, Any]:
    """Train one shape, and what came of it."""
    shape = SHAPES[name]
    parts = split_pictures(find_pictures(data))
    packed, held_out = (
        run(pack_pictures(files, folder / "pictures", short_side=side))
        for files, side in zip(parts, (192, 256), strict=True)
    )
    settings = FeaturesSettings(
        steps=steps, crop=96, learning_rate=4e-3, optimizer="muon", schedule="linear", warmup=20, ema_decay=0.98,
        cutmix=0.15, class_weight=0, workers=0, log_every=steps, evaluate_every=steps, save_every=steps,
    )  # fmt: skip
    loaded = {n: load_classifier(n, layers=hint_layers(n), weights=teachers[n]) for n in teacher_names()}
    task = Distillation(packed, held_out, loaded, settings, network=shape, hints=hints_for(shape))
    told: list[Step] = []
    run(train(task, settings, folder / name.replace(" ", "-"), device="cpu", resume=False), told.append)
    metrics = next(step.metrics for step in reversed(told) if step.metrics)
    weights = sum(parameter.numel() for parameter in VGG(shape).parameters())
    explained = {key: metrics[f"explained_{key}"] for key in SHOWN}
    return {"shape": shape.to_json(), "steps": steps, "weights": weights, "cost": relative_cost(shape), **explained}


def table(folder: Path) -> str:
    """What was measured, as Markdown."""
    head = ["shape", "widths", "depths", "weights", "cost", *(name.split("_")[1] for name in SHOWN)]
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for name in SHAPES:
        file = folder / f"{name}.json"
        if file.exists():
            found = json.loads(file.read_text())
            widths, depths = ("-".join(map(str, found["shape"][key])) for key in ("widths", "depths"))
            shown = [f"{100 * found[key]:.1f} %" for key in SHOWN]
            cells = [name, widths, depths, f"{found['weights'] / 1e6:.2f} M", f"{found['cost']:.2f}", *shown]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train what has not been, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--squeezenet", type=Path)
    parser.add_argument("--mobilenet", type=Path)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--folder", type=Path, default=Path("out/shapes"))
    parser.add_argument("--only", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--table", action="store_true", help="print what is there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in [] if given.table else given.only:
        file = given.folder / f"{name}.json"
        if not file.exists():
            teachers = {"squeezenet1_0": given.squeezenet, "mobilenet_v2": given.mobilenet}
            found = measure(name, given.data, teachers, given.steps, given.folder)
            file.write_text(json.dumps(found, indent=1))
    print(table(given.folder))


if __name__ == "__main__":
    main()
