"""Painting at once: speed against Johnson's network, quality against ten seconds of optimisation, and a better start.

    python benchmarks/instant_style.py ../shared/data [--only speed quality start] [--painter NAME] [--sheet FILE]

Everything is computed in one thread and measured in CPU-seconds, which say the same on a machine with other work.

speed    CPU-seconds and the peak of memory above what was held before the pass, at 512 × 384, 512 × 512 and 1080p;
         the transformer network of Johnson et al. (2016, arXiv:1603.08155) beside it, as PyTorch's example lays it
         out (32 to 128 channels, five residual blocks, instance normalisation): medians of rounds, in turn.
quality  ten pairs of a photo and a painting, all of the DATA folder. SqueezeNet judges style, content and grain of one
         pass and of the optimisation within ten seconds of two cores: ``--seconds 10``, its clock going as fast as the
         thread's time divided by ``--cores``. At several strengths too, since less style keeps more of the content.
start    on four of the pairs, how far optimisation comes from each start, by CPU-seconds and iterations.
sheet    ten photos in eight paintings, one picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from PIL import Image
from torch import Tensor, nn

from creative.device import fast_dtype
from creative.engines.fast_style import Painter, load_painter, paint
from creative.engines.style_transfer import plan, stylize
from creative.images import fit, open_image, resize, to_tensor
from creative.metrics import StyleQuality, style_quality
from creative.models.features import Features, load_features
from creative.options.fast_style import InstantSettings
from creative.options.style_transfer import StylizeSettings
from creative.progress import run

JUDGE_LAYERS, JUDGE_CONTENT = ("relu1", "fire3", "fire5", "fire7", "fire9"), "fire5"
SIZES = ((384, 512), (512, 512), (1080, 1920))
HELD_OUT = ("munch_the_scream", "turner_shipwreck", "van_gogh_wheat_field")
"""Paintings that the bundled network has not seen in training."""
PAINTINGS = (
    "van_gogh_starry_night", "hokusai_great_wave", "munch_the_scream", "picabia_udnie", "matisse_woman",
    "kahlo_self_portrait", "turner_shipwreck", "van_gogh_wheat_field", "gauguin_tahiti", "van_gogh_cafe",
)  # fmt: skip
STRENGTHS = (0.3, 0.4, 0.5, 0.75, 1.0)


# --- speed ---


class Residual(nn.Module):
    """Two convolutions with a way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*layer(width, width, 3), *layer(width, width, 3)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x + self.body(x)


def layer(before: int, after: int, kernel: int, stride: int = 1, double: bool = False) -> list[nn.Module]:
    """Convolution with reflection, instance normalisation, ReLU."""
    resized: list[nn.Module] = [nn.Upsample(scale_factor=2)] if double else []
    convolution = [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(before, after, kernel, stride)]
    return [*resized, *convolution, nn.InstanceNorm2d(after, affine=True), nn.ReLU()]


def transformer() -> nn.Module:
    """The network of the example, with random weights: they do not matter for speed."""
    return nn.Sequential(
        *layer(3, 32, 9),
        *layer(32, 64, 3, 2),
        *layer(64, 128, 3, 2),
        *(Residual(128) for _ in range(5)),
        *layer(128, 64, 3, double=True),
        *layer(64, 32, 3, double=True),
        nn.ReflectionPad2d(4),
        nn.Conv2d(32, 3, 9),
    ).eval()


def passes(painter: Painter) -> dict[str, Callable[[Tensor], object]]:
    """What is compared, each as it is by itself (creative in bfloat16 where that is fast): from a picture to one."""
    code = painter.network.code if painter.network.code is not None else torch.zeros(1, painter.network.length)
    code = code + 0.1 * torch.randn(1, painter.network.length, generator=torch.Generator().manual_seed(0))
    other = transformer()
    precision = fast_dtype(painter.device)
    return {
        "creative": lambda x: painter.paint_tensor(x, code, precision=precision),
        "transformer": lambda x: other(x * 255),
    }


def speed(painter: Painter, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for height, width in SIZES:
        picture, both = torch.rand(1, 3, height, width), passes(painter)
        times: dict[str, list[float]] = {name: [] for name in both}
        with torch.inference_mode():
            for number in range(rounds + 1):
                for name, work in both.items():
                    began = time.process_time()
                    work(picture)
                    if number:
                        times[name].append(time.process_time() - began)
        ratio = statistics.median(b / a for a, b in zip(times["creative"], times["transformer"], strict=True))
        memory = {name: peak(painter, name, height, width) for name in both}
        found[f"{width}x{height}"] = {
            **{f"{name}_s": round(statistics.median(seconds), 3) for name, seconds in times.items()},
            "ratio": round(ratio, 2),
            **{f"{name}_mb": round(megabytes) for name, megabytes in memory.items()},
        }
        print(f"{width} x {height}:", json.dumps(found[f"{width}x{height}"]), flush=True)
    return found


def peak(painter: Painter, name: str, height: int, width: int) -> float:
    """MiB that a pass takes above what the process held before, in a process of its own."""
    command = [sys.executable, __file__, "--peak", name, str(height), str(width), str(painter.path)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def print_peak(name: str, height: str, width: str, path: str) -> None:
    work, picture = passes(load_painter(path, device="cpu"))[name], torch.rand(1, 3, int(height), int(width))
    with torch.inference_mode():
        work(picture[..., :64, :64])
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        before = held("VmRSS")
        work(picture)
    print(held("VmHWM") - before)


def held(what: str) -> float:
    """MiB of memory of this process: now (VmRSS) or at most (VmHWM)."""
    table = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(table[what].split()[0]) / 2**10


# --- quality ---


def pairs(data: Path) -> list[tuple[str, Image.Image, Image.Image]]:
    """Ten photos, five of landscapes and five of other things, each with a painting."""
    landscapes = sorted((data / "monet2photo/photo/test").glob("*.jpg"))[::12][:5]
    things = sorted((data / "imagenet_sample").glob("*.jpg"))[40::190][:5]
    photos = [photo for both in zip(landscapes, things, strict=True) for photo in both]
    found = []
    for photo, painting in zip(photos, PAINTINGS, strict=True):
        file = next((data / "paintings").glob(f"{painting}*"))
        found.append((painting, open_image(photo), open_image(file)))
    return found


def judged(judge: Features, photo: Image.Image, painting: Image.Image, made: Image.Image) -> StyleQuality:
    x, y = (to_tensor(picture.resize(made.size, Image.Resampling.BICUBIC)) for picture in (photo, painting))
    return style_quality(x, y, to_tensor(made), judge, content_layer=JUDGE_CONTENT)


def mean(scores: Sequence[StyleQuality]) -> StyleQuality:
    return StyleQuality(*(statistics.fmean(getattr(s, n) for s in scores) for n in ("style", "content", "grain")))


def said(score: StyleQuality) -> str:
    return f"style {score.style:.3f} content {score.content:.3f} grain {score.grain:.2f}"


def optimised(photo: Image.Image, painting: Image.Image, settings: StylizeSettings, cores: float) -> Image.Image:
    """What the optimisation makes when a second lasts as long as ``cores`` seconds of this thread."""
    clock = SimpleNamespace(monotonic=lambda: time.process_time() / cores)
    with mock.patch.object(plan, "time", clock):
        return run(stylize(photo, painting, settings, device="cpu"))


def quality(painter: Painter, judge: Features, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    quick: dict[float, list[StyleQuality]] = {strength: [] for strength in STRENGTHS}
    slow: list[StyleQuality] = []
    for number, (name, photo, painting) in enumerate(pairs(data)):
        kept = options.keep / f"optimised-{number}-{options.size}.png" if options.keep else None
        if kept is not None and kept.is_file():
            best = open_image(kept)
        else:
            slowly = StylizeSettings(size=options.size, seconds=options.seconds)
            best = optimised(photo, painting, slowly, options.cores)
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                best.save(kept)
        slow.append(judged(judge, photo, painting, best))
        for strength in STRENGTHS:
            settings = InstantSettings(size=options.size, strength=strength)
            made = run(paint(photo, painting, settings, painter=painter))
            quick[strength].append(judged(judge, photo, painting, made))
            if options.keep:
                made.save(options.keep / f"instant-{number}-{options.size}-{strength}.png")
        own = {strength: scores[-1] for strength, scores in quick.items()}
        equal = at_content(list(own.values()), slow[-1].content) / slow[-1].style
        unseen = " (held out)" if name in HELD_OUT else ""
        print(f"{name}{unseen}: optimised {said(slow[-1])}; at once {said(own[0.5])}; ratio of style", end=" ")
        print(f"{own[0.5].style / slow[-1].style:.2f}, at its content {equal:.2f}", flush=True)
    found: dict[str, Any] = {"optimised": said(mean(slow))}
    found |= {f"at once, strength {strength}": said(mean(scores)) for strength, scores in quick.items()}
    found["ratio of style"] = round(mean(quick[0.5]).style / mean(slow).style, 3)
    means = [mean(scores) for scores in quick.values()]
    found["ratio of style at equal content"] = round(at_content(means, mean(slow).content) / mean(slow).style, 3)
    held = [place for place, name in enumerate(PAINTINGS) if name in HELD_OUT]
    ratio = mean([quick[0.5][i] for i in held]).style / mean([slow[i] for i in held]).style
    found["ratio of style, held out"] = round(ratio, 3)
    for key, value in found.items():
        print(f"{key}: {value}")
    return found


def at_content(scores: Sequence[StyleQuality], content: float) -> float:
    """The style score at some content score, between those at several strengths; beyond them, that of the nearest."""
    ordered = sorted(scores, key=lambda score: score.content)
    below = [score for score in ordered if score.content <= content]
    above = [score for score in ordered if score.content > content]
    if not below or not above:
        return (below[-1] if below else above[0]).style
    low, high = below[-1], above[0]
    return low.style + (high.style - low.style) * (content - low.content) / (high.content - low.content)


# --- start ---


def starts(painter: Painter, judge: Features, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    cases: dict[str, dict[str, Any]] = {
        "photo, draft": {"quality": "draft"},
        "photo, good": {"quality": "good"},
        "instant, draft": {"quality": "draft"},
        "instant, good": {"quality": "good"},
        "instant, 12 at the last two sizes": {"iterations": (12,), "scales": 2},
        "instant, 12 at the full size": {"iterations": (12,), "scales": 1},
        "photo, 12 at the full size": {"iterations": (12,), "scales": 1},
    }
    found: dict[str, Any] = {}
    for name, values in cases.items():
        scores: list[StyleQuality] = []
        seconds: list[float] = []
        steps = 0
        for _, photo, painting in pairs(data)[: options.pairs]:
            settings = StylizeSettings(size=options.size, **values)
            began = time.process_time()
            start = None
            if name.startswith("instant"):
                start = run(paint(photo, painting, InstantSettings(size=options.size), painter=painter))
            made = run(stylize(photo, painting, settings, start=start, device="cpu"))
            seconds.append(time.process_time() - began)
            steps = sum(made.info["provenance"].result["iterations"])
            scores.append(judged(judge, photo, painting, made))
        found[name] = f"{said(mean(scores))}, {steps} iterations, {statistics.fmean(seconds):.1f} CPU-s"
        print(f"{name}: {found[name]}", flush=True)
    return found


# --- sheet ---


def sheet(painter: Painter, data: Path, file: Path, side: int = 256) -> None:
    """Photos down, paintings across."""
    chosen = pairs(data)
    paintings = [painting for _, _, painting in chosen[:8]]
    page = Image.new("RGB", (9 * side, 11 * side), "white")
    for row, photo in enumerate([None, *(photo for _, photo, _ in chosen)]):
        for column, painting in enumerate([None, *paintings]):
            made: Image.Image | None = photo if painting is None else painting
            if photo is not None and painting is not None:
                made = run(paint(photo, painting, InstantSettings(size=384), painter=painter))
            if made is not None:
                small = resize(made, fit(made.size, side - 6))
                page.paste(small, (column * side + (side - small.width) // 2, row * side + (side - small.height) // 2))
    page.save(file)
    print(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with monet2photo, imagenet_sample, paintings and weights")
    parser.add_argument("--only", nargs="*", choices=("speed", "quality", "start"), default=None)
    parser.add_argument("--painter", default="instant-style")
    parser.add_argument("--rounds", type=int, default=5, help="of speed")
    parser.add_argument("--size", type=int, default=256, help="of the pictures of quality and start, pixels")
    parser.add_argument("--seconds", type=float, default=10.0, help="that the optimisation has")
    parser.add_argument("--cores", type=float, default=1.7, help="threads that its seconds are worth")
    parser.add_argument("--pairs", type=int, default=4, help="of start")
    parser.add_argument("--keep", type=Path, help="folder for the pictures; what was optimised is found there again")
    parser.add_argument("--sheet", type=Path, help="file for ten photos in eight paintings")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    painter = load_painter(asked.painter, device="cpu")
    parts = asked.only if asked.only is not None else [] if asked.sheet else ["speed", "quality", "start"]
    if "speed" in parts:
        speed(painter, asked.rounds)
    if asked.sheet:
        sheet(painter, asked.data, asked.sheet)
    if {"quality", "start"} & set(parts):
        weights = asked.data / "weights/squeezenet1_0_imagenet.safetensors"
        judge = load_features("squeezenet1_0", layers=JUDGE_LAYERS, weights=weights)
        if "quality" in parts:
            quality(painter, judge, asked.data, asked)
        if "start" in parts:
            starts(painter, judge, asked.data, asked)


if __name__ == "__main__":
    print_peak(*sys.argv[2:]) if sys.argv[1:2] == ["--peak"] else main()
