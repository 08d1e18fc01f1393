"""How fast captions are written, many together against one by one, and what keeping what was seen saves in training.

    python benchmarks/captioning.py [--model aerial] [--pictures 100] [--beam 3] [--threads N] [--only PART]

Pictures are noise of 224 pixels, which costs as much as photos; each figure is the best of some repetitions.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image

from creative.data.captions import CaptionedPicture
from creative.data.draws import Draw
from creative.data.words import WordVocabulary
from creative.engines.captioning import caption
from creative.engines.captioning.learning import Describing
from creative.engines.captioning.lessons import PictureLessons, collate
from creative.engines.captioning.networks import Trained, load_captioner, squares
from creative.engines.captioning.seen import see_pictures
from creative.models.caption_encoders import EncoderConfig, make_encoder
from creative.options.caption import CaptionSettings, TrainCaptionSettings
from creative.progress import run

PARTS = ("describing", "training")
REPEATS = 3
WORDS = "a field with some white houses beside the road and many green trees around it seen from above"


def noise(count: int, size: int = 224) -> list[Image.Image]:
    """Pictures that no two are alike of."""
    dice = np.random.default_rng(0)
    return [Image.fromarray(dice.integers(0, 255, (size, size, 3), dtype=np.uint8)) for _ in range(count)]


def best(job: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the fastest repetition."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        job()
        times.append(time.perf_counter() - began)
    return min(times)


def describing(model: str, count: int, beam: int) -> None:
    """One picture after loading; many together against one by one."""
    trained = load_captioner(model)
    settings = CaptionSettings(beam=beam, sentences=1, anyway=True, guesses=0)
    pictures = noise(count)
    run(caption(pictures[:2], settings, model=trained))
    one = best(lambda: run(caption(pictures[:1], settings, model=trained)), 5)
    print(f"one picture after loading, beam {beam}: {1000 * one:.0f} ms")
    single = best(lambda: [run(caption([picture], settings, model=trained)) for picture in pictures], 2)
    together = best(lambda: run(caption(pictures, settings, model=trained)), 2)
    print(f"{count} pictures: one by one {single:.2f} s, in one call {together:.2f} s: {single / together:.1f} times")
    _writing(trained, pictures, beam)


def _writing(trained: Trained, pictures: list[Image.Image], beam: int) -> None:
    """What of it is looking, and what is writing."""
    from creative.engines.captioning.decoding import Rules, search

    x, rules = squares(pictures, trained.picture_size), Rules(beam=beam)
    looking = best(lambda: [trained.look(part) for part in x.split(16)], 2)
    views = trained.look(x)
    alone = [trained.look(picture[None]) for picture in x]
    single = best(lambda: [search(trained.captioners, view, rules) for view in alone], 2)
    together = best(lambda: search(trained.captioners, views, rules), 2)
    print(f"looking at {len(x)}: {looking:.2f} s in batches of 16")
    print(
        f"writing about {len(x)}: one by one {single:.2f} s, together {together:.2f} s: {single / together:.1f} times"
    )


def training(count: int = 10) -> None:
    """A training step on what was kept, against one that runs the encoder on the same pictures first."""
    settings = TrainCaptionSettings(views=1)
    looks = EncoderConfig("features", settings.network, settings.layers, settings.picture_size, settings.grid)
    encoder = make_encoder(looks)
    words = WORDS.split()
    dice = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="creative-") as folder:
        files = []
        for number, picture in enumerate(noise(2 * settings.batch_size)):
            files.append(Path(folder) / f"{number}.png")
            picture.save(files[-1])
        told = [
            CaptionedPicture(file, "train", tuple(" ".join(dice.choice(words, 11)) for _ in range(5))) for file in files
        ]
        vocabulary = WordVocabulary.of([sentence for one in told for sentence in one.sentences])
        seen = run(see_pictures(files, encoder, Path(folder), size=settings.picture_size))
        kept = PictureLessons(
            told, seen, range(len(told)), vocabulary, each=settings.sentences, max_words=settings.max_words, views=1
        )
        x = squares([Image.open(file) for file in files], settings.picture_size)
        task = Describing(kept, kept, vocabulary, settings, looks, None, {})
        networks = task.networks()
        (optimizer,) = task.optimizers(networks, settings).values()
        update = _Update(optimizer)

        def step(number: int, encodes: bool) -> None:
            first = settings.batch_size * (number % 2)
            batch = collate([kept[Draw(first + place, number)] for place in range(settings.batch_size)])
            with torch.autocast("cpu", torch.bfloat16):
                if encodes:
                    with torch.no_grad():
                        batch["grid"] = encoder(x[first : first + settings.batch_size])
                task.step(batch, update)

        def steps(encodes: bool) -> None:
            for number in range(count):
                step(number, encodes)

        step(0, True)
        cached, plain = (best(partial(steps, encodes), 2) / count for encodes in (False, True))
    print(f"a training step of {settings.batch_size} pictures with {settings.sentences} sentences each:")
    print(f"on what was kept {1000 * cached:.0f} ms, with the encoder each time {1000 * plain:.0f} ms", end="")
    print(f": {plain / cached:.1f} times")


class _Update:
    """What the training loop gives to a task, as far as it is needed here."""

    step, part, progress, seed = 0, 0, 0.0, 0

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.generator = optimizer, torch.Generator()

    def __call__(self, loss: torch.Tensor, optimizer: str | None = None, *, retain_graph: bool = False) -> None:
        """Learn from a loss."""
        with torch.autocast("cpu", enabled=False):
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="aerial")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--beam", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", choices=PARTS)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    if given.only in (None, "describing"):
        describing(given.model, given.pictures, given.beam)
    if given.only in (None, "training"):
        training()


if __name__ == "__main__":
    main()
