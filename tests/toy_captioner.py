"""A captioner small enough to be trained in seconds: it knows red and blue pictures, and which side is darker."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.checkpoint import save_checkpoint
from creative.data.words import WordVocabulary
from creative.device import random_generator
from creative.engines.captioning.decoding import padded
from creative.engines.captioning.likeness import EYE_SIZE, fit_likeness
from creative.engines.captioning.networks import load_eye, squares
from creative.models.caption_encoders import EncoderConfig, OwnEncoder
from creative.models.captioner import Captioner, CaptionerConfig

COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}
LOOKS = EncoderConfig("own", picture_size=16, grid=4, width=4)


def sentence(colour: str, side: str) -> str:
    return f"a {colour} picture , darker on the {side} ."


def picture(colour: str, side: str, seed: int = 0, size: tuple[int, int] = (48, 32)) -> Image.Image:
    """A picture of a colour, with some noise, whose one half is darker."""
    random = np.random.default_rng(seed)
    width, height = size
    pixels = np.full((height, width, 3), COLOURS[colour], dtype=float) + random.normal(0, 12, (height, width, 3))
    half = slice(0, width // 2) if side == "left" else slice(width // 2, width)
    pixels[:, half] *= 0.45
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@cache
def trained(steps: int = 60) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The file's tensors and what it says of them."""
    kinds = [(colour, side) for colour in COLOURS for side in ("left", "right")]
    vocabulary = WordVocabulary.of([sentence(*kind) for kind in kinds])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = OwnEncoder(LOOKS)
        shape = CaptionerConfig(
            len(vocabulary), encoder.channels, embedding_size=12, memory_size=12, hidden_size=16, num_heads=1, dropout=0
        )
        captioner = Captioner(shape)
    optimizer = torch.optim.Adam([*encoder.parameters(), *captioner.parameters()], 0.02)
    ids = [tuple(vocabulary.encode(sentence(*kind)).tolist()[1:-1]) for kind in kinds]
    read, write, _ = padded(ids * 2)
    generator = random_generator(0)
    for _ in range(steps):
        seeds = torch.randint(10_000, (2,), generator=generator).tolist()
        x = squares([picture(*kind, seed=seed) for seed in seeds for kind in kinds], LOOKS.picture_size)
        logits, _ = captioner(captioner.look(encoder(x)), read)
        loss = F.cross_entropy(logits.flatten(0, 1), write.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    own = [picture(*kind, seed=seed) for kind in kinds for seed in range(8)]
    with torch.no_grad():
        seen = load_eye()(squares(own, EYE_SIZE)).flatten(1)
    parts = {"captioner.0.": captioner, "encoder.0.": encoder}
    tensors = {prefix + name: one for prefix, part in parts.items() for name, one in part.state_dict().items()}
    config = {
        "captioner": shape.to_json(), "encoder": LOOKS.to_json(), "vocabulary": vocabulary.to_json(), "networks": 1,
    }  # fmt: skip
    likeness = fit_likeness(seen[::2], seen[1::2])
    likeness = replace(likeness, threshold=4 * likeness.threshold)  # so few pictures say little of how they vary
    return {**tensors, **likeness.tensors()}, {"config": config}


def save_captioner(path: Path) -> Path:
    """The captioner's file."""
    tensors, metadata = trained()
    return save_checkpoint(path, tensors, metadata)
