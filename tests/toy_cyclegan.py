"""Two kinds of tiny pictures and settings to learn them by; work that trains, and dies where it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from toy_training import die, die_at

from creative.engines.cyclegan import train_cyclegan
from creative.options.cyclegan import TrainCycleGANSettings

SETTINGS = TrainCycleGANSettings(
    steps=6,
    size=40,
    crop=32,
    width=4,
    num_blocks=1,
    discriminator_width=4,
    discriminator_layers=2,
    batch_size=2,
    learning_rate=2e-3,
    warmup=0,
    pool_size=3,
    cycle_weight=2.0,
    cycle_every=2,
    backwards_every=2,
    identity_weight=0.5,
    feature_weight=1.0,
    style_weight=0.5,
    content_weight=0.1,
    precision="float32",
    workers=0,
    log_every=1,
    evaluate_every=3,
    save_every=2,
)


def draw(folder: Path, kind: str, count: int = 24, size: int = 40, seed: int = 0) -> Path:
    """Pictures of one kind: ``hills`` are smooth and dim, ``stripes`` sharp and bright."""
    random = np.random.default_rng([seed, len(kind)])
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:size, :size] / size
    for number in range(count):
        slope, phase = random.uniform(1, 3, 2), random.uniform(0, 6)
        wave = np.sin(slope[0] * 3 * x + slope[1] * y + phase)
        colour = random.uniform(0.2, 0.6, 3)
        if kind == "stripes":
            wave, colour = np.sign(np.sin(30 * (x * slope[0] + y) + phase)), colour + 0.3
        picture = np.clip(colour + 0.15 * wave[..., None], 0, 1)
        Image.fromarray((255 * picture).astype(np.uint8)).save(folder / f"{kind}_{number:02d}.png")
    return folder


def job(data: str, folder: str, settings: dict[str, Any], moment: str | None) -> None:
    torch.set_num_threads(1)
    end = die_at(moment) if moment else 10**9
    engine = train_cyclegan(
        Path(data) / "hills", Path(data) / "stripes", SETTINGS.changed(**settings), Path(folder), device="cpu"
    )
    for step in engine:
        if step.done == end and step.metrics:
            die()
