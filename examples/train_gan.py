"""Train a small GAN to draw pictures out of nothing, in about a minute on one processor core.

It learns from little landscapes that are drawn for it, or from a folder of pictures of your own, and leaves a sheet:
a row of real pictures, rows of its own, and at the bottom a walk from one of its pictures to another.

python examples/train_gan.py
python examples/train_gan.py --pictures photos --size 64 --steps 20000
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from creative import run
from creative.blocks.gan import (
    DCGANConfig,
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    adversarial_losses,
    initialise,
)
from creative.data.pictures import AugmentedPictures, find_pictures, pack_pictures
from creative.device import random_generator
from creative.engines.training import Draw, Networks, Task, TrainingSettings, Update, train
from creative.images import save_image, to_image
from creative.progress import Step

COLUMNS = 12


class Landscapes(Dataset):
    """Sky, sun and three ridges of hills: (3, size, size) of 0 to 255, another picture for each seed."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 10_000

    def __getitem__(self, draw: Draw) -> Tensor:
        numbers = torch.rand(32, generator=random_generator(draw.seed))
        side = torch.linspace(0, 1, self.size)
        y, x = side[:, None], side[None]
        evening = numbers[0]
        high = torch.lerp(torch.tensor([0.25, 0.5, 0.9]), torch.tensor([0.25, 0.15, 0.45]), evening)
        low = torch.lerp(torch.tensor([0.75, 0.88, 1.0]), torch.tensor([1.0, 0.55, 0.3]), evening)
        picture = torch.lerp(high[:, None, None], low[:, None, None], y.expand(self.size, -1)[None])
        place = numbers[1:3] * torch.tensor([0.8, 0.35]) + 0.1
        disc = (0.1 - ((x - place[0]) ** 2 + (y - place[1]) ** 2).sqrt()).mul(1.5 * self.size).sigmoid()
        picture = torch.lerp(picture, torch.tensor([1.0, 0.95, 0.7])[:, None, None], disc)
        for ridge in range(3):
            a, b, c, height = numbers[4 + 4 * ridge : 8 + 4 * ridge]
            crest = 0.5 + 0.16 * ridge + 0.12 * (height - 0.5) + 0.07 * torch.sin(6.28 * ((1 + 2 * a) * x + b))
            crest = crest + 0.02 * torch.sin(25 * x + 6.28 * c)
            hill = ((y - crest) * self.size).sigmoid()
            near = (ridge + 1) / 3
            colour = torch.lerp(low * 0.7, torch.tensor([0.1, 0.3, 0.12]) * (1.3 - evening), near)
            picture = torch.lerp(picture, colour[:, None, None], hill)
        return picture.mul(255).round().byte()


class GAN(Task):
    """A generator and a discriminator that learn from one another (Goodfellow et al., 2014, arXiv:1406.2661)."""

    channels_last = True

    def __init__(self, pictures: Landscapes | AugmentedPictures, size: int, width: int) -> None:
        self.pictures, self.size, self.width = pictures, size, width
        self.losses = adversarial_losses("hinge")

    def networks(self) -> Networks:
        """The two sides."""
        self.generator = initialise(DCGANGenerator(DCGANConfig(self.size, self.width, 64, upsampling="resize")))
        shape = DCGANDiscriminatorConfig(self.size, self.width, norm="none", spectral_norm=True)
        self.discriminator = initialise(DCGANDiscriminator(shape), "orthogonal")
        return {"generator": self.generator, "discriminator": self.discriminator}

    def optimizers(self, networks: Networks, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
        """One each."""
        return {
            name: torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.5, 0.99), fused=True)
            for name, network in networks.items()
        }

    def dataset(self) -> Dataset:
        """What is real."""
        return self.pictures

    def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
        """One move of each side."""
        real = batch.float() / 127.5 - 1
        fake = self.generator(self.noise(len(real), update.generator))
        both = self.discriminator(torch.cat([real, fake.detach()]))
        judged = self.losses.discriminator(*both.chunk(2))
        update(judged, "discriminator")
        fooled = self.losses.generator(self.discriminator(fake))
        update(fooled, "generator")
        return {"discriminator": judged, "generator": fooled}

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """What pictures are made from: (count, 64)."""
        return torch.randn(count, 64, generator=generator, device=self.device)

    def sample(self, networks: Networks) -> Image.Image:
        """The sheet."""
        real = torch.stack([self.pictures[Draw(index % len(self.pictures), index)] for index in range(COLUMNS)]) / 255
        noise = self.noise(7 * COLUMNS, random_generator(0, self.device))
        way = torch.linspace(0, torch.pi / 2, COLUMNS, device=self.device)[:, None]
        walk = noise[:1] * way.cos() + noise[1:2] * way.sin()  # along an arc: each point is as far out as noise is
        drawn = networks["generator"](torch.cat([noise, walk])).float().cpu() / 2 + 0.5
        rows = torch.cat([real, drawn]).unflatten(0, (-1, COLUMNS))
        rows = torch.nn.functional.pad(rows, (1, 1, 1, 1), value=1)
        sheet = to_image(rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2))
        return sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="a folder of pictures to learn from, instead of landscapes")
    parser.add_argument("--size", type=int, default=32, help="side of the pictures, a power of two")
    parser.add_argument("--width", type=int, default=16, help="channels of the largest maps")
    parser.add_argument("--steps", type=int, default=1500, help="training steps")
    parser.add_argument("-o", "--out", type=Path, default=Path("out/gan"), help="folder for the sheet and the network")
    given = parser.parse_args()

    torch.set_num_threads(1)
    pictures: Landscapes | AugmentedPictures = Landscapes(given.size)
    if given.pictures:
        packed = run(
            pack_pictures(find_pictures([given.pictures]), given.out / "cache", short_side=given.size * 5 // 4)
        )
        pictures = AugmentedPictures(packed, given.size, area=(0.7, 1.0), strength=0)
    settings = TrainingSettings(
        steps=given.steps,
        batch_size=32,
        learning_rate=1e-3,
        schedule="linear",
        decay_from=0.5,
        warmup=20,
        ema_decay=0.99,
        clip_norm=0,
        workers=0,
        log_every=50,
    )

    def watch(step: Step) -> None:
        if step.metrics and step.done % 200 == 0:
            print(f"step {step.done}: " + ", ".join(f"{name} {value:.2f}" for name, value in step.metrics.items()))

    task = GAN(pictures, given.size, given.width)
    path = run(train(task, settings, given.out, resume=False), watch)
    print(path)
    print(save_image(task.sample({"generator": task.generator.eval()}), given.out / "sheet.png"))


if __name__ == "__main__":
    main()
