"""Our diffusion network: a training step against the one of diffusers' example, and the time to draw and to restyle.

    python benchmarks/diffusion.py [--batch 16] [--threads 1] [--network FILE]

The other step is that of diffusers' ``train_unconditional.py``: the same ``UNet2DModel`` on the same patches,
accelerate, AdamW, ``DDPMScheduler``, ``EMAModel``, gradients clipped, and a ``DataLoader`` that opens, resizes, crops
and mirrors each picture by torchvision's transforms, in float32 as the example is by default. Ours is the whole
training loop on pictures that were decoded once. Prints CPU seconds per step and their ratio (medians of rounds, in
turn), and CPU seconds for 16 pictures of 64 px in 20 steps and for restyling a photo of 256 px with the defaults.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from creative.data.pictures import PackedPictures
from creative.engines.diffusion import generate, load_diffuser, restyle
from creative.engines.diffusion.training import Denoising
from creative.engines.training import train
from creative.models.diffusion import Diffusion, DiffusionConfig
from creative.options.diffusion import DiffuseSettings
from creative.options.train_diffusion import TrainDiffusionSettings
from creative.progress import run
from creative.weights import WeightsError

PICTURES = 32


def pictures() -> list[np.ndarray]:
    """Soft noise, 256 px: (256, 256, 3) of uint8 each."""
    random = np.random.default_rng(0)
    small = (Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(PICTURES))
    return [np.asarray(picture.resize((256, 256), Image.Resampling.BICUBIC)) for picture in small]


def example_steps(batch: int) -> Iterator[None]:
    """The loop of ``examples/unconditional_image_generation``."""
    from accelerate import Accelerator
    from diffusers import DDPMScheduler
    from diffusers.optimization import get_scheduler
    from diffusers.training_utils import EMAModel
    from torchvision import transforms

    files = []
    for picture in pictures():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="JPEG", quality=92)
        files.append(file.getvalue())
    augmentations = transforms.Compose(
        [
            transforms.Resize(64, interpolation=transforms.InterpolationMode.BILINEAR),
            transforms.RandomCrop(64),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.5]),
        ]
    )

    class Files(torch.utils.data.Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, place: int) -> dict[str, Any]:
            return {"input": augmentations(Image.open(io.BytesIO(files[place])).convert("RGB"))}

    accelerator = Accelerator(cpu=True)
    model = Diffusion(DiffusionConfig()).unet
    ema = EMAModel(model.parameters(), decay=0.9999, use_ema_warmup=True)
    noise_scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)
    loader: Any = torch.utils.data.DataLoader(Files(), batch_size=batch, shuffle=True)
    rates: Any = get_scheduler("cosine", optimizer=optimizer, num_warmup_steps=500, num_training_steps=10**6)
    model, optimizer, loader, rates = accelerator.prepare(model, optimizer, loader, rates)
    while True:
        for found in loader:
            clean = found["input"]
            noise = torch.randn_like(clean)
            timesteps = torch.randint(0, 1000, (len(clean),), device=clean.device).long()
            noisy = noise_scheduler.add_noise(clean, noise, timesteps)
            with accelerator.accumulate(model):
                said = model(F.pixel_unshuffle(noisy, 2), timesteps, class_labels=torch.zeros_like(timesteps)).sample
                loss = F.mse_loss(F.pixel_shuffle(said, 2).float(), noise.float())
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                rates.step()
                optimizer.zero_grad()
            ema.step(model.parameters())
            loss.detach().item()  # for its progress bar
            yield


def our_steps(batch: int, folder: Path) -> Iterator[object]:
    """The training loop: decoded pictures, bfloat16 where it is faster, running averages, metrics, checks."""
    made = pictures()
    (folder / "pictures.bin").write_bytes(b"".join(picture.tobytes() for picture in made))
    packed = PackedPictures(folder / "pictures.bin", [Path(f"{i}") for i in range(PICTURES)], [(256, 256)] * PICTURES)
    never = 10**6
    settings = TrainDiffusionSettings(batch_size=batch, steps=never, save_every=never, evaluate_every=never, workers=0)
    task = Denoising((packed, packed), (packed, packed), settings, None, about={"a": None, "b": None})
    return train(task, settings, folder / "run", device="cpu", resume=False)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", default="diffusion", help="a trained network's name or file")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        ours, example = our_steps(asked.batch, Path(folder)), example_steps(asked.batch)
        for loop in (ours, example, ours, example):
            next(loop)

        def per_step(loop: Iterator[object]) -> float:
            return seconds(lambda: [next(loop) for _ in range(asked.steps)]) / asked.steps

        rounds = [{"example": per_step(example), "creative": per_step(ours)} for _ in range(asked.rounds)]
        ours.close()  # type: ignore[attr-defined]
    found |= {f"step_{name}_s": round(statistics.median(r[name] for r in rounds), 4) for name in rounds[0]}
    found["step_ratio"] = round(statistics.median(r["example"] / r["creative"] for r in rounds), 2)
    try:
        diffuser = load_diffuser(asked.network, "cpu")
    except WeightsError:
        print(json.dumps(found))
        return
    photo = Image.fromarray(pictures()[0])
    run(generate(DiffuseSettings(num=1, steps=2), model=diffuser))
    found["draw_16_s"] = round(seconds(lambda: run(generate(DiffuseSettings(num=16, steps=20), model=diffuser))), 2)
    found["restyle_256_s"] = round(seconds(lambda: run(restyle(photo, model=diffuser))), 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
