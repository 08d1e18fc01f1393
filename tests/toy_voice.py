"""A voice small enough to be trained in seconds, on a text that it then knows by heart."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

from creative.checkpoint import save_checkpoint
from creative.data.vocabulary import Vocabulary
from creative.device import random_generator
from creative.engines.char_rnn.copying import fingerprints
from creative.engines.char_rnn.voices import Voice, load_voice, packed_tensors
from creative.models.char_rnn import CharRNN, CharRNNConfig

SAYING = (
    'The cat said "I am a cat, and cats purr (mostly)."\nTHE DOG:\nThe dog said "I bark at cats [all of them]."\n\n'
)


@cache
def trained(units: str = "characters", steps: int = 120) -> tuple[CharRNN, Vocabulary]:
    """Two layers of 40 numbers that has read the saying over and over."""
    text = SAYING * 4
    vocabulary = Vocabulary.of(text) if units == "characters" else Vocabulary.of_bytes()
    ids = vocabulary.encode(text)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CharRNN(CharRNNConfig(len(vocabulary), hidden_size=40, num_layers=2, kind="gru"))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    generator = random_generator(0)
    for _ in range(steps):
        places = torch.randint(len(ids) - 65, (8, 1), generator=generator) + torch.arange(65)
        logits, _ = model(ids[places[:, :-1]])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[places[:, 1:]].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False), vocabulary


def save_voice(path: Path, *, units: str = "characters", copied: bool = True) -> Path:
    """The voice's file."""
    model, vocabulary = trained(units)
    stored = fingerprints(SAYING * 4) if copied else None
    config = {"model": model.config.to_json(), "vocabulary": vocabulary.to_json()}
    return save_checkpoint(path, packed_tensors(model, "float32", stored), {"config": config})


def toy_voice(folder: Path, **options: object) -> Voice:
    """The voice, loaded."""
    return load_voice(save_voice(folder / "toy.safetensors", **options))  # type: ignore[arg-type]
