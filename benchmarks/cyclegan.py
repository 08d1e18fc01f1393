"""CycleGAN: a training step against the plain one of the same networks, and the time to paint a photo.

    python benchmarks/cyclegan.py [--width 32] [--blocks 6] [--crop 128] [--threads 2]

The plain step is laid out as pytorch-CycleGAN-and-pix2pix has it (Zhu et al., 2017): both generators forwards, there
and back and on their own kind, then both discriminators; eager, float32, torch's own layers and memory format. Prints
seconds per step and their ratio (medians of rounds, in turn), and seconds and ratio of a photo of 512 pixels through
the bundled generator and through plain layers of its shape.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.gan import ResNetConfig
from creative.data.pictures import PackedPictures
from creative.engines.cyclegan.training import Translating
from creative.engines.training import train
from creative.models.cyclegan import load_generator, read_config
from creative.models.features import load_features
from creative.options.cyclegan import PAPER, TrainCycleGANSettings
from creative.weights import locate


def plain_generator(width: int, num_blocks: int, *, norm: bool = True) -> nn.Module:
    """The ResNet generator of torch's own layers; resized before the convolutions that double, as ours is."""

    def layer(before: int, after: int, kernel: int, stride: int = 1, *, active: bool = True) -> list[nn.Module]:
        found: list[nn.Module] = [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(before, after, kernel, stride)]
        found += [nn.InstanceNorm2d(after, affine=True)] if norm else []
        return found + ([nn.ReLU(True)] if active else [])

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(*layer(4 * width, 4 * width, 3), *layer(4 * width, 4 * width, 3, active=False))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    return nn.Sequential(
        *layer(3, width, 7),
        *layer(width, 2 * width, 3, 2),
        *layer(2 * width, 4 * width, 3, 2),
        *(Block() for _ in range(num_blocks)),
        nn.Upsample(scale_factor=2),
        *layer(4 * width, 2 * width, 3),
        nn.Upsample(scale_factor=2),
        *layer(2 * width, width, 3),
        nn.ReflectionPad2d(3),
        nn.Conv2d(width, 3, 7),
        nn.Tanh(),
    )


def plain_discriminator(width: int) -> nn.Module:
    """The 70-pixel patch discriminator of torch's own layers."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        layers += [
            nn.Conv2d(before * width, after * width, 4, stride, 1),
            nn.InstanceNorm2d(after * width, affine=True),
        ]
        layers += [nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


def plain_steps(width: int, num_blocks: int, crop: int) -> Iterator[None]:
    """The loop that is written down everywhere."""
    a_to_b, b_to_a = plain_generator(width, num_blocks), plain_generator(width, num_blocks)
    judges = {"a": plain_discriminator(width), "b": plain_discriminator(width)}
    drawing = torch.optim.Adam([*a_to_b.parameters(), *b_to_a.parameters()], lr=2e-4, betas=(0.5, 0.999))
    judging = torch.optim.Adam([p for j in judges.values() for p in j.parameters()], lr=2e-4, betas=(0.5, 0.999))
    kept: dict[str, list[Tensor]] = {"a": [], "b": []}
    random = torch.Generator().manual_seed(0)
    while True:
        a, b = (torch.rand(1, 3, crop, crop, generator=random) * 2 - 1 for _ in range(2))
        fake_b, fake_a = a_to_b(a), b_to_a(b)
        for judge in judges.values():
            judge.requires_grad_(False)
        loss = F.mse_loss(score := judges["b"](fake_b), torch.ones_like(score))
        loss = loss + F.mse_loss(score := judges["a"](fake_a), torch.ones_like(score))
        loss = loss + 10 * (F.l1_loss(b_to_a(fake_b), a) + F.l1_loss(a_to_b(fake_a), b))
        loss = loss + 5 * (F.l1_loss(a_to_b(b), b) + F.l1_loss(b_to_a(a), a))
        drawing.zero_grad()
        loss.backward()
        drawing.step()
        for judge in judges.values():
            judge.requires_grad_(True)
        judging.zero_grad()
        for name, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
            kept[name] = [*kept[name], fake.detach()][-50:]
            seen, shown = judges[name](real), judges[name](kept[name][0])
            both = F.mse_loss(seen, torch.ones_like(seen)) + F.mse_loss(shown, torch.zeros_like(shown))
            (both / 2).backward()
        judging.step()
        yield


def our_steps(width: int, num_blocks: int, crop: int, folder: Path) -> Iterator[object]:
    """The same through the training loop: running averages, alarms and metrics included."""
    sizes = {"size": crop, "crop": crop, "width": width, "num_blocks": num_blocks, "discriminator_width": width}
    never = {"steps": 10**6, "save_every": 10**6, "evaluate_every": 10**6, "workers": 0}
    settings = TrainCycleGANSettings(**{**PAPER, **sizes, **never})
    noise = np.random.default_rng(0).integers(0, 256, (8, crop, crop, 3), dtype=np.uint8)
    (folder / "noise.bin").write_bytes(noise.tobytes())
    packed = PackedPictures(folder / "noise.bin", [Path(f"{i}") for i in range(8)], [(crop, crop)] * 8)
    about = {"a": {"name": "a"}, "b": {"name": "b"}}
    features = load_features(layers=("relu1_1",))
    task = Translating((packed, packed), (packed, packed), settings, features, about=about)
    return train(task, settings, folder / "run", device="cpu", resume=False)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        ours = our_steps(asked.width, asked.blocks, asked.crop, Path(folder))
        plain = plain_steps(asked.width, asked.blocks, asked.crop)
        for loop in (ours, plain, ours, plain):
            next(loop)

        def per_step(loop: Iterator[object]) -> float:
            return seconds(lambda: [next(loop) for _ in range(asked.steps)]) / asked.steps

        rounds = [{"plain": per_step(plain), "creative": per_step(ours)} for _ in range(asked.rounds)]
        ours.close()  # type: ignore[attr-defined]
    found |= {f"step_{name}_s": round(statistics.median(r[name] for r in rounds), 4) for name in rounds[0]}
    found["step_ratio"] = round(statistics.median(r["plain"] / r["creative"] for r in rounds), 2)
    bundled = locate("photo2monet")
    if bundled is not None:
        shape = read_config(bundled).generator
        assert isinstance(shape, ResNetConfig)
        generator = load_generator(bundled, "a_to_b")
        plainly = plain_generator(shape.width, shape.num_blocks, norm=shape.norm == "instance").eval()
        photo = torch.rand(1, 3, 512, 512)
        with torch.inference_mode():
            for work in (lambda: generator.translate(photo), lambda: plainly(photo)):
                work()
            pairs = [
                (seconds(lambda: generator.translate(photo)), seconds(lambda: plainly(photo)))
                for _ in range(asked.rounds)
            ]
        found["paint_512_s"] = round(statistics.median(own for own, _ in pairs), 3)
        found["paint_512_plain_s"] = round(statistics.median(other for _, other in pairs), 3)
        found["paint_ratio"] = round(statistics.median(other / own for own, other in pairs), 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
