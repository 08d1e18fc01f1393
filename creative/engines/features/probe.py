"""A linear probe: how well kinds of scenes can be told apart by what a network sees of them on the whole.

Alain and Bengio, Understanding intermediate layers using linear classifier probes (2016, arXiv:1610.01644), with a
ridge regression in place of their classifier: it has one solution, in closed form.

    scenes = find_scenes(Path("aerial_captions"))
    probed = run(probe_scenes(scenes, {"bundled": load_classifier()}, Path("cache"), size=224, device=device))
    probed["bundled"].accuracy.value
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from creative.checkpoint import load_checkpoint, save_checkpoint
from creative.data.pictures import PicturesError, centre_crops, find_pictures, pack_pictures
from creative.device import fast_dtype
from creative.engines.features.recognition import Share
from creative.models.features import Classifier
from creative.progress import Step

PENALTIES = tuple(10.0**power for power in range(-2, 6))
"""What the weights' squares may count; features are standardised, so one fits all networks."""
VALIDATED = 5
"""Every so many pictures of a kind validate where no split says which."""


@dataclass(frozen=True)
class Scenes:
    """Pictures of several kinds, in three parts: to fit to, to choose the penalty by, and to measure on."""

    files: list[Path]
    labels: Tensor
    kinds: tuple[str, ...]
    train: list[int]
    val: list[int]
    test: list[int]


@dataclass(frozen=True)
class Probed:
    """How well the kinds of pictures that were not fitted to are told.

    Attributes:
        channels: of the network's last map, whose mean over positions is all that is known of a picture.
        penalty: the one that was best on the validation pictures.
    """

    accuracy: Share
    channels: int
    penalty: float


def find_scenes(folder: Path) -> Scenes:
    """Pictures called ``KIND_NUMBER.jpg``, and the splits that ``captions.json`` in the folder gives them.

    Where no picture is given to the split ``val``, every fifth of each kind of the training pictures validates.

    Raises:
        PicturesError: there is no folder, no list of splits, or there are not two kinds to train on and some to test.
    """
    files = find_pictures([folder])
    listed = folder / "captions.json"
    try:
        splits = {entry["file"]: entry["split"] for entry in json.loads(listed.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PicturesError(f"{listed} has no splits of pictures ({error}): a list of file and split.") from None
    files = [file for file in files if file.name in splits and "_" in file.stem]
    names = [file.stem.split("_")[0] for file in files]
    kinds = tuple(sorted(set(names)))
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for place, file in enumerate(files):
        parts.setdefault(splits[file.name], []).append(place)
    train, val, test = parts["train"], parts["val"], parts["test"]
    if not val:
        seen: dict[str, int] = {}
        for place in train:
            seen[names[place]] = seen.get(names[place], 0) + 1
            if seen[names[place]] % VALIDATED == 0:
                val.append(place)
        train = sorted(set(train) - set(val))
    if len({names[place] for place in train}) < 2 or not val or not test:
        raise PicturesError(
            f"{folder} holds {len(train)} pictures to train on, {len(val)} to validate and {len(test)} to test; a "
            "probe needs some of each and two kinds, as KIND_NUMBER.jpg."
        )
    return Scenes(files, torch.tensor([kinds.index(name) for name in names]), kinds, train, val, test)


def probe_scenes(
    scenes: Scenes, networks: Mapping[str, Classifier], cache: Path, *, size: int, device: torch.device
) -> Generator[Step, None, dict[str, Probed]]:
    """Accuracy on the test pictures by the network's name. What was seen is kept in ``cache`` for the next time.

    The penalty is chosen on the validation pictures, and the fit made again to these and the training pictures.
    """
    found: dict[str, Probed] = {}
    for name, network in networks.items():
        seen = yield from pooled_features(network, scenes.files, cache, size=size, device=device)
        found[name] = probe(seen, scenes)
    return found


def probe(features: Tensor, scenes: Scenes) -> Probed:
    """Fit and judge rows of features (N, D), one for each file of the scenes."""
    targets = torch.eye(len(scenes.kinds), dtype=torch.float64)[scenes.labels]
    every = ridge(features[scenes.train], targets[scenes.train], PENALTIES)
    right = [_hits(fit, features, scenes, scenes.val) for fit in every]
    # Of penalties that are as good the middle one: the ends of a plateau are near where it falls off.
    best = [place for place, hits in enumerate(right) if hits == max(right)]
    penalty = PENALTIES[best[len(best) // 2]]
    both = scenes.train + scenes.val
    (fit,) = ridge(features[both], targets[both], [penalty])
    hits = _hits(fit, features, scenes, scenes.test)
    return Probed(Share(hits, len(scenes.test)), features.shape[1], penalty)


@dataclass(frozen=True)
class Ridge:
    """A linear map with an intercept, fitted to standardised features."""

    weights: Tensor
    intercept: Tensor
    mean: Tensor
    deviation: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """From features (N, D) to targets (N, K)."""
        return (features.double() - self.mean) / self.deviation @ self.weights + self.intercept


def ridge(features: Tensor, targets: Tensor, penalties: Sequence[float]) -> list[Ridge]:
    """The weights W and the intercept b that make |XW + b - Y|² + penalty |W|² least, for each penalty.

    Hoerl and Kennard, Ridge Regression (1970). In float64 by one decomposition for all penalties; X is standardised,
    the intercept is not penalised.

    Args:
        features: (N, D).
        targets: (N, K).
    """
    x, y = features.double(), targets.double()
    mean, intercept = x.mean(0), y.mean(0)
    deviation = x.std(0, correction=0)
    deviation = torch.where(deviation > 1e-9 * deviation.max(), deviation, 1.0)  # channels that never fire say nothing
    x = (x - mean) / deviation
    values, vectors = torch.linalg.eigh(x.T @ x)
    along = vectors.T @ (x.T @ (y - intercept))
    return [
        Ridge(vectors @ (along / (values.clamp(min=0) + penalty)[:, None]), intercept, mean, deviation)
        for penalty in penalties
    ]


def _hits(fit: Ridge, features: Tensor, scenes: Scenes, places: Sequence[int]) -> int:
    return int((fit(features[places]).argmax(1) == scenes.labels[places]).sum())


def pooled_features(
    network: Classifier, files: Sequence[Path], cache: Path, *, size: int, device: torch.device
) -> Generator[Step, None, Tensor]:
    """The mean over positions of a network's last map for the middle square of each picture: (N, C).

    Raises:
        PicturesError: one of the files cannot be read.
    """
    layer = network.features.layers[-1]
    dtype = fast_dtype(device) or torch.float32
    known = [network.features.network, network.features.sha256, layer, size, str(dtype)]
    about = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    key = hashlib.sha256(json.dumps([known, about]).encode()).hexdigest()[:16]
    path = cache / f"pooled-{key}.safetensors"
    if path.is_file() and network.features.weights is not None:
        return load_checkpoint(path).tensors["pooled"]
    packed = yield from pack_pictures(files, cache, short_side=size)
    if packed.skipped:
        file, reason = packed.skipped[0]
        raise PicturesError(f"{file} cannot be read: {reason}.")
    seeing = copy.deepcopy(network.features).to(dtype)
    rows: list[Tensor] = []
    for start in range(0, len(packed), 16):
        yield Step(start, len(packed))
        pictures = centre_crops(packed, size, places=range(start, min(start + 16, len(packed))))
        with torch.no_grad():
            rows.append(seeing(pictures.to(device, dtype))[layer].float().mean((2, 3)).cpu())
    found = torch.cat(rows)
    save_checkpoint(path, {"pooled": found}, {"network": known})
    return found
