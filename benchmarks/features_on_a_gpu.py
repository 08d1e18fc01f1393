"""Train the feature network on a machine that is lent for minutes, has no network and takes only a small folder along.

    python benchmarks/features_on_a_gpu.py pack ../shared/data --wheels 3.12      # here: out/gpu
    python benchmarks/features_on_a_gpu.py train --minutes 9                      # there, again and again

``pack`` makes the pictures small (WebP) and puts them, the splits of the captioned ones and both teachers in one folder
that git ignores, with the wheels of packages that the other machine lacks. Names are kept but for their ends, so that
the same photos are held out. The ImageNet sample comes whole; of the others as many, evenly spaced, as fit.

``train`` goes on where it was stopped, saves before its minutes are over, and fits the classifier anew once the steps
are done. Where $OUT is set, it puts there what is to come back: the network, the metrics, and the run itself in parts
of 15 MB. Laid into out/gpu as they are, ``run.0``, ``run.1``, ..., they are taken up again on a fresh machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

FOLDERS = ("imagenet_sample", "objects", "aerial_captions", "monet2photo")
SHARES = (0.35, 0.4, 0.08, 0.17)
TEACHERS = {"squeezenet1_0": "squeezenet1_0_imagenet.safetensors", "mobilenet_v2": "mobilenet_v2_imagenet.safetensors"}
WHEELS = ("pydantic", "tyro", "platformdirs")
"""What the suite needs and a machine with PyTorch may lack."""
PART = 15 * 2**20
BATCH, STEPS = 256, 12_000


# Here ---------------------------------------------------------------------------------------------------------------


def pack(data: Path, folder: Path, megabytes: float, side: int, quality: int) -> int:
    """Fill the folder; the bytes that it came to.

    Raises:
        PicturesError: a folder is missing.
    """
    from creative.data.pictures import find_pictures, split_pictures

    train, held_out = split_pictures(find_pictures([data / name for name in FOLDERS]))
    shutil.rmtree(folder, ignore_errors=True)
    for name in TEACHERS.values():
        _copy(data / "weights" / name, folder / "weights" / name)
    for captions in sorted(data.glob("*/captions.json")):
        if captions.parent.name in FOLDERS:
            _copy_splits(captions, folder / captions.relative_to(data))
    files = sorted(set(train) | set(held_out))
    first = [file for file in files if file.is_relative_to(data / FOLDERS[0])]
    rest = [file for file in files if not file.is_relative_to(data / FOLDERS[0])]
    for file in first:
        _shrink(file, folder / file.relative_to(data), side, quality)
    left = megabytes * 1e6 - _bytes(folder)
    every = len(rest) / 200
    sample = [len(_shrunk(rest[int(place * every)], side, quality)) for place in range(min(200, len(rest)))]
    count = min(len(rest), int(0.97 * left / max(1.0, sum(sample) / max(1, len(sample)))))
    for place in range(max(0, count)):
        file = rest[int(place * len(rest) / count)]
        _shrink(file, folder / file.relative_to(data), side, quality)
    return _bytes(folder)


def _shrunk(file: Path, side: int, quality: int) -> bytes:
    from creative.images import open_image

    picture = open_image(file).convert("RGB")
    scale = min(1.0, side / min(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def _shrink(file: Path, to: Path, side: int, quality: int) -> None:
    to = to.with_suffix(".webp")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(_shrunk(file, side, quality))


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


def _copy_splits(captions: Path, to: Path) -> None:
    """Which picture belongs to which split, by its new name."""
    entries = json.loads(captions.read_text(encoding="utf-8"))
    kept = [{"file": str(Path(e["file"]).with_suffix(".webp")), "split": e.get("split", "train")} for e in entries]
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(kept), encoding="utf-8")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fetch_wheels(folder: Path, python: str) -> None:
    """Download what the other machine lacks, for its Python."""
    platforms = [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_17", "2014")]
    known = ["--only-binary=:all:", f"--python-version={python}", *platforms, "-d", str(folder / "wheels")]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", *known, *WHEELS], check=True)


# There --------------------------------------------------------------------------------------------------------------


def train(folder: Path, steps: int, minutes: float, changes: Sequence[str], device: str) -> bool:
    """Go on for some minutes; whether the steps are done."""
    from creative.engines.features import train_classifier, train_features
    from creative.options.features import ClassifierSettings, FeaturesSettings

    data = [folder / name for name in FOLDERS if (folder / name).is_dir()]
    shares = [share for name, share in zip(FOLDERS, SHARES, strict=True) if folder / name in data]
    teachers = {name: folder / "weights" / file for name, file in TEACHERS.items()}
    recipe: dict[str, Any] = {
        "steps": steps, "batch_size": BATCH, "optimizer": "muon", "learning_rate": 4e-3, "warmup": 500, "workers": 14,
        "crop": 128, "short_side": 144, "shares": shares, "cutmix": 0.3, "unnatural": 0.2, "painted": 0.05,
        "logit_weight": 0.5, "class_weight": 0.05, "ema_decay": 0.9995, "save_every": 500, "evaluate_every": 1000,
    }  # fmt: skip
    settings = FeaturesSettings(**{**recipe, **dict(_setting(change) for change in changes)})
    run = folder / "run"
    _join(folder, run)
    until, finished = time.monotonic() + 60 * minutes, None
    job = train_features(data, settings, run, teachers=teachers, device=device)
    try:
        while time.monotonic() < until:
            step = next(job)
            if step.metrics and step.done % 100 == 0:
                told = " ".join(f"{name} {value:.3f}" for name, value in step.metrics.items())
                print(f"{step.done} {told}", flush=True)
    except StopIteration as end:
        finished = end.value
    finally:
        job.close()  # saves
    if finished is not None:
        size = {"crops": min(8000, 4 * settings.batch_size * settings.steps), "short_side": settings.short_side}
        chosen = ClassifierSettings(**size, shares=tuple(shares))
        classifier = train_classifier(
            data, chosen, run / "features.safetensors", teachers=teachers, network=finished, device=device,
            cache=run / "pictures",
        )  # fmt: skip
        for step in classifier:
            if step.metrics:
                print(f"agreement {step.metrics['agreement']:.3f}", flush=True)
    _hand_back(run)
    return finished is not None


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def _kept(run: Path) -> Iterator[Path]:
    """What a run needs to go on, without the pictures."""
    for path in sorted(run.rglob("*")):
        if path.is_file() and run / "pictures" not in path.parents:
            yield path


def _hand_back(run: Path) -> None:
    """Put the network, the metrics and the whole run, in parts, where the borrowed machine returns them from."""
    out = os.environ.get("OUT")
    if not out:
        return
    for name in ("features.safetensors", "metrics.csv"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(run / name, Path(out) / name)
    archive = run.with_suffix(".tar")
    subprocess.run(["tar", "-cf", archive, "-C", run, *(path.relative_to(run) for path in _kept(run))], check=True)
    whole = archive.read_bytes()
    for number, start in enumerate(range(0, len(whole), PART)):
        (Path(out) / f"run.{number}").write_bytes(whole[start : start + PART])
    archive.unlink()


def _join(folder: Path, run: Path) -> None:
    """A run that an earlier machine handed back in parts, where this one has none of its own."""
    parts = sorted(folder.glob("run.[0-9]*"), key=lambda path: int(path.suffix[1:]))
    if run.is_dir() or not parts:
        return
    run.mkdir(parents=True)
    subprocess.run(["tar", "-xf", "-", "-C", run], input=b"".join(path.read_bytes() for path in parts), check=True)


def main() -> None:
    """Pack here, or train there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("out/gpu"))
    verbs = parser.add_subparsers(dest="verb", required=True)
    packs = verbs.add_parser("pack")
    packs.add_argument("data", type=Path)
    packs.add_argument("--megabytes", type=float, default=34)
    packs.add_argument("--side", type=int, default=144)
    packs.add_argument("--quality", type=int, default=60)
    packs.add_argument("--wheels", default="", metavar="PYTHON", help="download wheels for this version, 3.12 say")
    trains = verbs.add_parser("train")
    trains.add_argument("--steps", type=int, default=STEPS)
    trains.add_argument("--minutes", type=float, default=9)
    trains.add_argument("--device", default="auto")
    trains.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="changes")
    chosen = parser.parse_args()
    if chosen.verb == "pack":
        size = pack(chosen.data, chosen.folder, chosen.megabytes, chosen.side, chosen.quality)
        if chosen.wheels:
            fetch_wheels(chosen.folder, chosen.wheels)
            size = _bytes(chosen.folder)
        print(f"{chosen.folder}: {sum(1 for _ in chosen.folder.rglob('*.webp'))} pictures, {size / 1e6:.1f} MB in all.")
    else:
        done = train(chosen.folder, chosen.steps, chosen.minutes, chosen.changes, chosen.device)
        print("Finished." if done else "Stopped; run it again to go on.")


if __name__ == "__main__":
    main()
