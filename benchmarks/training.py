"""What the training loop costs over a plain one: the same network, data and optimiser, a chunk of steps each in turn.

    python benchmarks/training.py [--channels 32] [--steps 20] [--rounds 9]

Prints milliseconds of CPU time per step, on one thread, and the ratios.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.device import random_generator
from creative.engines.training import Draw, Networks, Task, TrainingSettings, Update, train


class Noise(torch.utils.data.Dataset):
    """Pictures of noise, one per draw."""

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, draw: Draw) -> Tensor:
        return torch.randn(3, 32, 32, generator=random_generator(draw.seed))


def network(channels: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1)]
    for _ in range(4):
        layers += [nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(channels, 3, 3, padding=1))


class Copy(Task):
    """Draw what you see."""

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def networks(self) -> Networks:
        """See ``Task.networks``."""
        self.network = network(self.channels)
        return {"network": self.network}

    def dataset(self) -> Noise:
        """See ``Task.dataset``."""
        return Noise()

    def step(self, batch: Tensor, update: Update) -> dict[str, Tensor]:
        """See ``Task.step``."""
        loss = F.mse_loss(self.network(batch), batch)
        update(loss)
        return {"loss": loss}


def plain(channels: int, batch_size: int, *, bare: bool) -> Iterator[None]:
    """The loop that anybody would write; bare: without clipping, schedule and the weights' running average."""
    model, dataset = network(channels), Noise()
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    step = 0
    while True:
        batch = torch.stack([dataset[Draw(i % 1000, i)] for i in range(step * batch_size, (step + 1) * batch_size)])
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        if not bare:
            optimizer.param_groups[0]["lr"] = 1e-3 * (1 + math.cos(math.pi * step / 10**6)) / 2
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if not bare:
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in model.parameters()], 0.001)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(1)

    settings = TrainingSettings(steps=10**6, batch_size=asked.batch_size, workers=0, precision="float32")
    settings = settings.changed(save_every=10**6, evaluate_every=10**6)
    with tempfile.TemporaryDirectory() as folder:
        ours: Iterator[Any] = train(Copy(asked.channels), settings, Path(folder), device="cpu", resume=False)
        loops = {
            "bare": plain(asked.channels, asked.batch_size, bare=True),
            "plain": plain(asked.channels, asked.batch_size, bare=False),
            "creative": ours,
        }

        def milliseconds(loop: Iterator[Any]) -> float:
            start = time.process_time()
            for _ in range(asked.steps):
                next(loop)
            return (time.process_time() - start) / asked.steps * 1000

        for loop in loops.values():
            milliseconds(loop)
        rounds = [{name: milliseconds(loop) for name, loop in loops.items()} for _ in range(asked.rounds)]
        ours.close()  # type: ignore[attr-defined]
    median = {name: statistics.median(one[name] for one in rounds) for name in loops}
    found = {f"{name}_ms": round(value, 2) for name, value in median.items()}
    for name in ("plain", "bare"):
        found[f"ratio_to_{name}"] = round(statistics.median(one["creative"] / one[name] for one in rounds), 3)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
