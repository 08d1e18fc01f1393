"""Tiny photos, paintings, a judge of random weights, and settings; work that trains, and dies where it is told."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from toy_training import die, die_at

from creative.checkpoint import save_checkpoint
from creative.engines.instant_style import train_instant_style
from creative.models.squeezenet import SqueezeNet
from creative.models.style_net import StyleNetConfig
from creative.options.instant_style import TrainInstantStyleSettings
from creative.progress import Step

SHAPE = StyleNetConfig(widths=(6, 8, 8), fine=4, blocks=(1, 1), hidden=8, projections=2)
SETTINGS = TrainInstantStyleSettings(
    steps=6,
    size=72,
    crop=64,
    batch_size=2,
    variants=4,
    learning_rate=3e-3,
    warmup=0,
    held_out=("last",),
    precision="float32",
    workers=0,
    log_every=1,
    evaluate_every=3,
    save_every=2,
)


def draw(folder: Path) -> Path:
    """Photos of smooth hills, paintings of coloured stripes, and a judge that has learned nothing."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:72, :80] / 80
    for kind, count in (("photos", 4), ("paintings", 3)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            slope, phase, colour = random.uniform(1, 3, 2), random.uniform(0, 6), random.uniform(0.2, 0.7, 3)
            wave = np.sin(3 * slope[0] * x + slope[1] * y + phase)
            if kind == "paintings":
                wave = np.sign(np.sin(50 * (x * slope[0] + y) + phase))
            picture = np.clip(colour + 0.25 * wave[..., None] * random.uniform(-1, 1, 3), 0, 1)
            name = "last" if (kind, number) == ("paintings", 2) else f"{number}"
            Image.fromarray((255 * picture).astype(np.uint8)).save(folder / kind / f"{name}.png")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = SqueezeNet()
        for parameter in judge.parameters():
            if parameter.dim() > 1:
                torch.nn.init.kaiming_normal_(parameter)
        save_checkpoint(folder / "judge.safetensors", judge.state_dict(), {})
    return folder


def engine(data: Path, folder: Path, **changed: Any) -> Generator[Step, None, Path]:
    """The toy run with some settings changed."""
    return train_instant_style(
        [data / "photos"],
        [data / "paintings"],
        SETTINGS.changed(**changed),
        folder,
        judge_weights=data / "judge.safetensors",
        shape=SHAPE,
        device="cpu",
    )


def job(data: str, folder: str, settings: dict[str, Any], moment: str | None) -> None:
    torch.set_num_threads(1)
    end = die_at(moment) if moment else 10**9
    for step in engine(Path(data), Path(folder), **settings):
        if step.done == end and step.metrics:
            die()
