"""How pictures painted with a feature network compare with those painted with others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image

from creative.checkpoint import save_checkpoint
from creative.images import to_tensor
from creative.metrics import StyleQuality, style_quality
from creative.models.features import Features
from creative.models.vgg import VGG, VGGConfig
from creative.progress import Engine, Step

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


def _mean(scores: Sequence[StyleQuality]) -> StyleQuality:
    return StyleQuality(*(fmean(getattr(score, name) for score in scores) for name in ("style", "content", "grain")))


def save_untrained(path: Path, seed: int = 0) -> Path:
    """A network of the bundled one's shape with random weights: what training has to beat."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VGG(VGGConfig())
    classes = [str(number) for number in range(network.config.num_classes)]
    return save_checkpoint(
        path, network.state_dict(), {"config": {"network": network.config.to_json(), "classes": classes}}
    )
