"""Small tasks for tests of the training loop; as a script it trains one, and dies where it is told to.

python toy_training.py rivals FOLDER '{"steps": 40}' step:7 half:2      killed at step 7, then in the second save
torchrun --nproc-per-node 2 toy_training.py fit FOLDER '{"steps": 40}'
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.device import random_generator
from creative.engines.training import Draw, Networks, Task, TrainingSettings, Update, train

SETTINGS = TrainingSettings(
    steps=40,
    batch_size=8,
    learning_rate=1e-2,
    warmup=5,
    ema_decay=0.9,
    precision="float32",
    workers=0,
    log_every=7,
    evaluate_every=9,
    save_every=5,
)


class Points(torch.utils.data.Dataset):
    """Items 0 to 29: a place on the unit square, jittered by the draw's seed, and its height on a bent sheet."""

    def __init__(self, size: int = 30) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
        place = torch.tensor([draw.index % 6, draw.index // 6]) / 6
        place = place + torch.randn(2, generator=random_generator(draw.seed)) / 50
        return {"place": place, "height": torch.sin(3 * place[:1]) + place[1:]}


class Fit(Task):
    """Regression by a small network."""

    best_metric = "distance"

    def __init__(self, width: int = 16, size: int = 30, dropout: float = 0.0) -> None:
        self.width, self.size, self.dropout = width, size, dropout

    def networks(self) -> Networks:
        self.network = nn.Sequential(
            nn.Linear(2, self.width), nn.Tanh(), nn.Dropout(self.dropout), nn.Linear(self.width, 1)
        )
        return {"network": self.network}

    def dataset(self) -> Points:
        return Points(self.size)

    def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
        loss = F.mse_loss(self.network(batch["place"]).float(), batch["height"])
        update(loss)
        return {"loss": loss}

    def evaluate(self, networks: Networks) -> dict[str, float]:
        items = [Points()[Draw(index, index)] for index in range(30)]
        places, heights = (torch.stack([item[name] for item in items]) for name in ("place", "height"))
        return {"distance": float(F.mse_loss(networks["network"](places.to(self.device)).cpu(), heights))}

    def sample(self, networks: Networks) -> float:
        return float(networks["network"](torch.zeros(1, 2, device=self.device)))

    def config(self) -> dict[str, Any]:
        return {"width": self.width}


class Rivals(Task):
    """All that makes going on difficult: two optimisers, dropout, batch norm, a pool, noise, text in order."""

    channels_last = True

    def networks(self) -> Networks:
        self.generator = nn.Sequential(
            nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 1, 3, padding=1)
        )
        self.discriminator = nn.Sequential(nn.Conv2d(1, 8, 3), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3))
        self.pool: list[Tensor] = []
        return {"generator": self.generator, "discriminator": self.discriminator}

    def optimizers(self, networks: Networks, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
        return {
            "generator": torch.optim.Adam(
                networks["generator"].parameters(), lr=settings.learning_rate, betas=(0.5, 0.9)
            ),
            "discriminator": torch.optim.SGD(networks["discriminator"].parameters(), lr=1e-2, momentum=0.9),
        }

    def dataset(self) -> Points:
        return Points()

    def draws(self, step: int, settings: TrainingSettings) -> Sequence[Draw]:
        return [Draw((step + row) % 30, step) for row in range(settings.batch_size)]

    def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
        real = batch["height"][:, :, None, None].expand(-1, 1, 8, 8)
        noise = torch.randn(len(real), 4, 8, 8, generator=update.generator, device=self.device)
        fake = self.generator(noise)
        self.pool = [*self.pool, fake.detach()][-3:]
        shown = self.pool[int(torch.randint(len(self.pool), (), generator=random_generator(update.seed)))]
        judged = self.discriminator(real).square().mean() + (self.discriminator(shown) - 1).square().mean()
        update(judged, "discriminator")
        fooled = self.discriminator(fake).square().mean()
        update(fooled, "generator")
        return {"judged": judged, "fooled": fooled}

    def extra_state(self) -> dict[str, Any]:
        return {"pool": self.pool, "shapes": [tuple(shown.shape) for shown in self.pool]}

    def load_extra_state(self, state: Any) -> None:
        assert [tuple(shown.shape) for shown in state["pool"]] == state["shapes"]
        self.pool = [shown.to(self.device) for shown in state["pool"]]


TASKS = {"fit": Fit, "rivals": Rivals}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(moment: str) -> int:
    """Arrange for this process to be killed: ``step:N``, or in the N-th save (half, flush, rename, renamed)."""
    import safetensors.torch

    kind, number = moment.split(":")
    left = int(number)
    if kind in {"step", "inside"}:
        return left if kind == "step" else -left

    def countdown() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    save_file, fsync, replace = safetensors.torch.save_file, os.fsync, Path.replace

    def half(tensors: Any, path: Path, metadata: Any) -> None:
        save_file(tensors, path, metadata)
        if countdown():
            os.truncate(path, path.stat().st_size // 2)
            die()

    def flush(file: Any) -> None:
        fsync(file)
        if countdown():
            die()

    def rename(source: Path, target: Path) -> Path:
        last = countdown()
        if last and kind == "rename":
            die()
        moved = replace(source, target)
        if last:
            die()
        return moved

    if kind == "half":
        safetensors.torch.save_file = half
    elif kind == "flush":
        os.fsync = flush  # type: ignore[assignment]
    else:
        Path.replace = rename  # type: ignore[method-assign, assignment]
    return 10**9


def job(name: str, folder: str, settings: dict[str, Any], moment: str | None) -> None:
    torch.set_num_threads(1)
    task = TASKS[name]()
    end = die_at(moment) if moment else 10**9
    if end < 0:
        learn = task.step

        def step(batch: Any, update: Update) -> dict[str, Tensor]:
            found = learn(batch, update)
            if update.step == -end - 1:
                die()
            return found

        task.step = step
    for done in train(task, SETTINGS.changed(**settings), Path(folder), device="cpu"):
        if done.done == end:
            die()
