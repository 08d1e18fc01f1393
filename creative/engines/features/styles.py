"""How pictures painted with a feature network compare with those painted with others."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image

from creative.checkpoint import CheckpointError, read_metadata, save_checkpoint
from creative.images import to_tensor
from creative.metrics import StyleQuality, style_quality
from creative.models.features import Features
from creative.models.vgg import VGG, VGGConfig
from creative.progress import Engine, Step
from creative.weights import find

JUDGE_LAYERS = ("relu1", "fire3", "fire5", "fire7", "fire9")
JUDGE_CONTENT = "fire5"
"""SqueezeNet's layers that judge: the same for all networks, which favours SqueezeNet itself."""

Painter = Callable[[Image.Image, Image.Image], Engine[Image.Image]]
"""From a photo and a painting to the painted photo."""


def score_styles(
    pairs: Sequence[tuple[Image.Image, Image.Image]], painters: Mapping[str, Painter], judge: Features
) -> Generator[Step, None, dict[str, StyleQuality]]:
    """Paint each pair with each painter; the mean of the judge's scores by painter's name.

    Args:
        pairs: photos and paintings.
        painters: by the name of the network that they paint with.
        judge: a network's maps of ``JUDGE_LAYERS``.
    """
    done, total = 0, len(pairs) * len(painters)
    yield Step(done, total)
    found: dict[str, list[StyleQuality]] = {name: [] for name in painters}
    for photo, painting in pairs:
        for name, paint in painters.items():
            result: Image.Image | None = None
            engine = paint(photo, painting)
            try:
                while True:
                    step = next(engine)
                    yield Step(done, total, preview=step.preview)
            except StopIteration as end:
                result = end.value
            finally:
                engine.close()
            assert result is not None
            x, y, z = (
                to_tensor(picture.resize(result.size, Image.Resampling.BICUBIC)).to(judge.scale.device)
                for picture in (photo, painting, result)
            )
            found[name].append(style_quality(x, y, z, judge, content_layer=JUDGE_CONTENT))
            done += 1
            yield Step(done, total)
    return {name: _mean(scores) for name, scores in found.items()}


def at_equal_content(scores: Sequence[StyleQuality], content: float) -> float:
    """The style score that a network reaches at some content score, between its scores at several strengths.

    A straight line between neighbours; NaN where all keep more of the photo than that, or all less.
    """
    ordered = sorted(scores, key=lambda score: score.content)
    for low, high in pairwise(ordered):
        if low.content <= content <= high.content:
            share = (content - low.content) / max(high.content - low.content, 1e-12)
            return low.style + share * (high.style - low.style)
    return math.nan


def _mean(scores: Sequence[StyleQuality]) -> StyleQuality:
    return StyleQuality(*(fmean(getattr(score, name) for score in scores) for name in ("style", "content", "grain")))


def save_untrained(path: Path, like: Path | None = None, seed: int = 0) -> Path:
    """A network of the shape of the one in a file, or of the bundled one, with random weights: what training must beat.

    Raises:
        CheckpointError: the file is no network of ours.
    """
    config = read_metadata(like or find("features")).get("config", {})
    if "network" not in config or "classes" not in config:
        raise CheckpointError(f"{like} is no feature network: `creative train features` makes one.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VGG(VGGConfig.from_json(config["network"]))
    return save_checkpoint(
        path, network.state_dict(), {"config": {"network": config["network"], "classes": config["classes"]}}
    )
