"""How fast learning to execute trains: programs per CPU-second, beside a plain loop with the same network.

    python benchmarks/learning_to_execute.py [--length 3] [--nesting 2] [--hidden-size 256] [--rounds 5]

The plain loop is what one writes first: ``torch.nn.LSTM`` in float32 over one-hot characters, programs made up one
by one and padded to the longest of the batch, AdamW. Ours is the training loop of the suite with all that it does
besides. Both train the network of the paper, one stack without attention, on one thread, in turns. Also printed: how
fast programs are made up, and what attention costs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from creative.data.programs import CHARACTERS, Curriculum, Dice, Level, Writing, compose, make_batch, sample
from creative.engines.learning_to_execute import train_execute
from creative.options.execute import TrainExecuteSettings


def plain(settings: TrainExecuteSettings) -> Iterator[None]:
    """The prototype: a step at each ``next``."""
    torch.manual_seed(0)
    size, level = settings.hidden_size, Level(settings.length, settings.nesting)
    recurrent = nn.LSTM(len(CHARACTERS), size, settings.num_layers, batch_first=True)
    classifier = nn.Linear(size, len(CHARACTERS))
    parameters = [*recurrent.parameters(), *classifier.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate)
    curriculum = Curriculum("mix", level)
    for first in itertools.count(0, settings.batch_size):
        texts, marks = [], []
        for number in range(settings.batch_size):
            program, answer = compose(Dice(first + number), curriculum.draw)
            texts.append([CHARACTERS.index(character) for character in f"{program}@{answer[::-1]}."])
            marks.append(len(program) + 1)
        longest = max(map(len, texts))
        ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
        places = torch.arange(1, longest)
        asked = (places >= torch.tensor(marks)[:, None]) & (ids[:, 1:] != 0)
        x = F.one_hot(ids[:, :-1], len(CHARACTERS)).float()
        logits = classifier(recurrent(x)[0])
        loss = F.cross_entropy(logits[asked], ids[:, 1:][asked])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
        optimizer.step()
        yield


def ours(settings: TrainExecuteSettings, folder: Path) -> Iterator[object]:
    """The suite's training: a step at each ``next``."""
    engine = train_execute(settings, folder, device="cpu")
    next(engine)
    return engine


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("length", 3), ("nesting", 2), ("hidden-size", 256), ("batch-size", 256), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=8, help="of a round")
    given = parser.parse_args()
    torch.set_num_threads(1)
    common = {
        "length": given.length,
        "nesting": given.nesting,
        "hidden_size": given.hidden_size,
        "batch_size": given.batch_size,
        "curriculum": "mix",
        "steps": 10**6,
        "evaluate_every": 10**6,
        "save_every": 10**6,
        "log_every": 10**6,
    }
    same = TrainExecuteSettings(**common, num_heads=0)
    attention = TrainExecuteSettings(**common)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            "plain": plain(same),
            "ours": ours(same, Path(folder, "same")),
            "with attention": ours(attention, Path(folder, "attention")),
        }
        for _ in range(given.rounds + 1):  # the first one warms up
            for name, engine in runs.items():
                began = time.process_time()
                for _ in range(given.steps):
                    next(engine)
                seconds.setdefault(name, []).append(time.process_time() - began)
        for engine in runs.values():
            engine.close()  # type: ignore[attr-defined]
    programs = given.steps * given.batch_size
    rates = {name: programs / statistics.median(found[1:]) for name, found in seconds.items()}
    curriculum = Curriculum("mix", Level(given.length, given.nesting))
    seeds = [random.Random(0).randrange(2**62) for _ in range(20_000)]
    began = time.process_time()
    made = sample(seeds, curriculum.draw)
    making = len(seeds) / (time.process_time() - began)
    began = time.process_time()
    make_batch(made, Writing(True))
    packing = len(seeds) / (time.process_time() - began)
    print(
        json.dumps(
            {
                "programs_per_cpu_second": {name: round(rate) for name, rate in rates.items()},
                "ours_to_plain": round(rates["ours"] / rates["plain"], 2),
                "made_up_per_cpu_second": round(making),
                "packed_per_cpu_second": round(packing),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
