"""Two kinds of pictures of one colour each, a network that is quickly trained on them, and one that is not trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from creative.engines.diffusion.diffuser import Diffuser
from creative.engines.training import save_network
from creative.models.diffusion import Diffusion, DiffusionConfig, load_diffusion
from creative.options.train_diffusion import TrainDiffusionSettings

SETTINGS = TrainDiffusionSettings(
    steps=6,
    batch_size=4,
    size=16,
    num_levels=2,
    channels=(8, 16),
    learning_rate=3e-3,
    warmup=5,
    ema_decay=0.9,
    precision="float32",
    workers=0,
    log_every=1,
    evaluate_every=3,
    save_every=2,
)
COLOURS = {"rust": (200, 60, 30), "teal": (20, 110, 160)}


def draw_colours(folder: Path, count: int = 6, size: int = 40) -> tuple[Path, Path]:
    """Two folders of nearly even pictures of a colour each."""
    random = np.random.default_rng(3)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.array(colour) + random.normal(0, 3, (size, size, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder / "rust", folder / "teal"


def untrained(folder: Path, **shape: object) -> Diffuser:
    """A network of 16 px, two levels, random weights that do something."""
    values = {"size": 16, "channels": (8, 16), "num_levels": 2, "domains": ("rust", "teal"), **shape}
    config = DiffusionConfig(**values)  # type: ignore[arg-type]
    torch.manual_seed(5)
    network = Diffusion(config)
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    path = save_network(folder / "toy.safetensors", tensors, config=config.to_json(), settings=SETTINGS, facts={})
    return Diffuser(load_diffusion(path), path, torch.device("cpu"))
