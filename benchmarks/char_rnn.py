"""The char-RNN measured against plain loops around ``nn.LSTM``: writing and training.

    python benchmarks/char_rnn.py [--only writing,training,int8] [--voice shakespeare] [--rounds 5]

One thread; CPU time, each round all cases in turn, and ratios within a round. What int8 costs is measured with a voice:
on a text that it writes itself, the nats by which the int8 step predicts it worse than the float32 step.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.device import autocast, fast_dtype, random_generator
from creative.models.char_rnn import CharRNN, CharRNNConfig, Sampler, SamplerPrecision, draw

VOCABULARY = 65


def plain_writing(lstm: nn.LSTM, classifier: nn.Linear, batch: int) -> Iterator[Tensor]:
    """The loop that anybody would write."""
    ids, state = torch.zeros(batch, 1, dtype=torch.int64), None
    while True:
        with torch.inference_mode():
            hidden, state = lstm(F.one_hot(ids, VOCABULARY).float(), state)
            chances = classifier(hidden[:, -1]).softmax(-1)
            ids = torch.multinomial(chances, 1)
        yield ids


def without_onednn(loop: Iterator[Tensor]) -> Iterator[Tensor]:
    """A loop in which oneDNN's kernels are switched off."""
    while True:
        with torch.backends.mkldnn.flags(enabled=False):
            ids = next(loop)
        yield ids


def our_writing(model: CharRNN, batch: int, precision: SamplerPrecision) -> Iterator[Tensor]:
    """What ``creative write`` does."""
    sampler, generator = Sampler(model, precision), random_generator(0)
    ids, state = torch.zeros(batch, dtype=torch.int64), sampler.start(batch)
    while True:
        with torch.inference_mode():
            ids = draw(sampler.step(ids, state), generator=generator)
        yield ids


def plain_training(lstm: nn.LSTM, classifier: nn.Linear, ids: Tensor) -> Iterator[Tensor]:
    """The loop that anybody would write, in float32."""
    parameters = [*lstm.parameters(), *classifier.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2e-3)
    state = None
    while True:
        hidden, state = lstm(F.one_hot(ids[:, :-1], VOCABULARY).float(), state)
        state = tuple(part.detach() for part in state)
        loss = F.cross_entropy(classifier(hidden).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        yield loss.detach()


def our_training(model: CharRNN, ids: Tensor, dtype: torch.dtype | None) -> Iterator[Tensor]:
    """The same with our network, in the precision that training chooses by itself on this machine."""
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=2e-3, fused=True)
    state = None
    while True:
        with autocast(torch.device("cpu"), dtype):
            logits, state = model(ids[:, :-1], state)
        state = tuple(part.detach() for part in state)
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        yield loss.detach()


def milliseconds(loops: dict[str, Iterator[Tensor]], rounds: int, seconds: float) -> list[dict[str, float]]:
    """CPU time per step of each loop, per round; each gets about so many seconds a round."""
    counts = {}
    for name, loop in loops.items():
        next(loop)
        start = time.process_time()
        next(loop)
        counts[name] = max(1, int(seconds / (time.process_time() - start + 1e-6)))

    def one(loop: Iterator[Tensor], count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            next(loop)
        return 1000 * (time.process_time() - start) / count

    return [{name: one(loop, counts[name]) for name, loop in loops.items()} for _ in range(rounds)]


def told(title: str, found: list[dict[str, float]], unit: Callable[[float], str]) -> None:
    """A table: medians, and the medians of the ratios to the first case of a round, and to the second."""
    names = list(found[0])
    print(f"\n{title}")
    for name in names:
        value = statistics.median(one[name] for one in found)
        ratios = [statistics.median(one[base] / one[name] for one in found) for base in names[:2]]
        print(f"  {name:32s} {unit(value):>24s}   " + "   ".join(f"{ratio:6.2f}×" for ratio in ratios), flush=True)


def writing(hidden_size: int, num_layers: int, batch: int, rounds: int) -> None:
    model = CharRNN(CharRNNConfig(VOCABULARY, hidden_size, num_layers)).eval()
    lstm = model.recurrent.to_torch()
    assert isinstance(lstm, nn.LSTM)
    loops = {
        "plain loop around nn.LSTM": plain_writing(lstm, model.classifier, batch),
        "the same with oneDNN off": without_onednn(plain_writing(lstm, model.classifier, batch)),
        "ours, float32": our_writing(model, batch, "float32"),
        "ours, int8": our_writing(model, batch, "int8"),
    }
    chosen = Sampler(model).precision
    found = milliseconds(loops, rounds, 0.25)
    title = f"Writing, {num_layers}×{hidden_size}, batch {batch} (by itself: {chosen}); ratios to plain, to oneDNN off"
    told(title, found, lambda ms: f"{1000 * batch / ms:,.0f} characters/s")


def training(hidden_size: int, num_layers: int, length: int, batch: int, rounds: int) -> None:
    torch.manual_seed(0)
    model = CharRNN(CharRNNConfig(VOCABULARY, hidden_size, num_layers))
    plain = model.recurrent.to_torch()
    assert isinstance(plain, nn.LSTM)
    ids = torch.randint(VOCABULARY, (batch, length + 1), generator=random_generator(0))
    dtype = fast_dtype(torch.device("cpu"))
    name = "float32" if dtype is None else "bfloat16"
    loops = {
        "plain float32 loop over nn.LSTM": plain_training(plain, copy.deepcopy(model.classifier), ids),
        "ours, float32": our_training(copy.deepcopy(model), ids, None),
        f"ours, by itself ({name})": our_training(copy.deepcopy(model), ids, dtype),
    }
    found = milliseconds(loops, rounds, 0.3)
    title = (
        f"Training, {num_layers}×{hidden_size}, sequence {length}, batch {batch}; ratios to plain, to ours in float32"
    )
    told(title, found, lambda ms: f"{ms:.1f} ms/step")


def int8(name: str, count: int = 4000) -> None:
    from creative.engines.char_rnn.voices import load_voice

    model = load_voice(name).model
    size = model.config.vocabulary_size
    exact, coarse = Sampler(model, "float32"), Sampler(model, "int8")
    batch, generator = 8, random_generator(0)
    state, other, ids = exact.start(batch), coarse.start(batch), torch.zeros(batch, dtype=torch.int64)
    losses = []
    for _ in range(count // batch):
        logits, others = exact.step(ids, state), coarse.step(ids, other)
        ids = draw(logits, generator=generator)
        losses.append([F.cross_entropy(each, ids) for each in (logits, others)])
    full, less = torch.tensor(losses[20:]).mean(0).tolist()
    shape = f"{model.config.num_layers}×{model.config.hidden_size}, {size} characters"
    print(f"\nWhat int8 costs: the voice {name} ({shape}) on {count:,} characters of its own")
    print(f"  float32 {full:.4f}, int8 {less:.4f} nats per character: {less - full:+.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="writing,training,int8", help="which of the three")
    parser.add_argument("--voice", default="shakespeare")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if "writing" in asked.only:
        writing(512, 1, 1, asked.rounds)
        writing(512, 2, 64, asked.rounds)
    if "int8" in asked.only:
        int8(asked.voice)
    if "training" in asked.only:
        training(128, 2, 128, 64, asked.rounds)
        training(400, 2, 50, 100, asked.rounds)


if __name__ == "__main__":
    main()
