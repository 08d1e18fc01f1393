"""How good a feature network is: what it knows of its teachers, what it recognises and what it costs."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.data.pictures import (
    PackedPictures,
    centre_crops,
    find_pictures,
    imagenet_labels,
    pack_pictures,
    split_pictures,
)
from creative.device import choose_device
from creative.engines.features.hints import HINTS, Hint, hint_layers, teacher_names
from creative.engines.features.styles import JUDGE_LAYERS, Painter, score_styles
from creative.metrics import StyleQuality
from creative.models.features import Classifier, Features, load_classifier, load_features, untrained_features
from creative.options.features import BUNDLED, EvaluateFeaturesSettings
from creative.progress import Step

SPEED_LAYERS = {
    BUNDLED: ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "squeezenet1_0": ("relu1", "fire3", "fire5", "fire7", "fire9"),
    "vgg19": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
}
"""The layers whose maps and gradients are timed: those that style transfer uses."""


@dataclass(frozen=True)
class Share:
    """A part of some tries that succeeded, with Wilson's 95 % interval (Wilson, 1927, JASA 22)."""

    hits: int
    tries: int

    @property
    def value(self) -> float:
        """0 to 1; NaN without tries."""
        return self.hits / self.tries if self.tries else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies with 95 % confidence."""
        if not self.tries:
            return math.nan, math.nan
        z, n, p = 1.96, self.tries, self.value
        middle, reach = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - reach) / (1 + z * z / n)), min(1.0, (middle + reach) / (1 + z * z / n))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % ({100 * low:.0f} to {100 * high:.0f})" if self.tries else "no labels"


@dataclass(frozen=True)
class Cost:
    """Of a forward and backward pass to the picture."""

    forward_ms: float
    backward_ms: float
    held_mb: float
    """What is kept for the backward pass, without weights."""


@dataclass
class Evaluation:
    """Everything that was measured; ``str`` is a report in Markdown."""

    shares: dict[str, Share] = field(default_factory=dict)
    explained: dict[str, float] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    styles: dict[str, StyleQuality] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """The numbers by name."""
        found = {name: share.value for name, share in self.shares.items()}
        found |= {f"explained_{name}": value for name, value in self.explained.items()}
        for name, cost in self.costs.items():
            found |= {f"{name}_forward_ms": cost.forward_ms, f"{name}_backward_ms": cost.backward_ms}
            found |= {f"{name}_held_mb": cost.held_mb}
        for name, score in self.styles.items():
            found |= {f"{name}_style": score.style, f"{name}_content": score.content, f"{name}_grain": score.grain}
        return found

    def __str__(self) -> str:
        lines = ["| on held-out pictures | share (95 % interval) |", "|---|---|"]
        lines += [f"| {name.replace('_', ' ')} | {share} |" for name, share in self.shares.items()]
        lines += ["", "| teacher's map | variance explained |", "|---|---|"]
        lines += [f"| {name} | {100 * value:.0f} % |" for name, value in self.explained.items()]
        lines += ["", "| network | forward, ms | backward, ms | held for it, MB |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {cost.forward_ms:.0f} | {cost.backward_ms:.0f} | {cost.held_mb:.0f} |"
            for name, cost in self.costs.items()
        ]
        if self.styles:
            lines += ["", "| painted with | style | content | grain |", "|---|---|---|---|"]
        lines += [f"| {name} | {s.style:.3f} | {s.content:.3f} | {s.grain:.2f} |" for name, s in self.styles.items()]
        return "\n".join(lines)


def evaluate_features(
    data: Sequence[Path],
    settings: EvaluateFeaturesSettings | None = None,
    *,
    network: Path | None = None,
    teachers: Mapping[str, Path | None] | None = None,
    pairs: Sequence[tuple[Image.Image, Image.Image]] = (),
    painters: Mapping[str, Painter] | None = None,
    cache: Path = Path("out/evaluate-features"),
    device: str = "auto",
) -> Generator[Step, None, Evaluation]:
    """Measure the bundled feature network, or the one in a file.

    Accuracy, and agreement with the teachers, on the pictures that training holds out; how much of the teachers' maps,
    standardised per channel, a 1×1 regression from its maps explains there; time and memory of a forward and
    backward pass beside those of squeezenet1_0 and of vgg19 (whose weights do not matter for that).

    Args:
        data: the folders that it was trained on.
        settings: sizes.
        network: a file made by ``train_features``; None: the bundled one.
        teachers: weights files by the teacher's name; None finds them.
        pairs: photos and paintings, if style transfer is to be measured.
        painters: what paints them, by name; judged by the teacher SqueezeNet.
        cache: a folder for decoded pictures.
        device: where to compute.

    Raises:
        PicturesError, WeightsError, FeaturesError: at once, if something is missing.
    """
    settings = settings or EvaluateFeaturesSettings()
    train_files, held_out_files = split_pictures(find_pictures([Path(path) for path in data]))
    fit_files = train_files[:: max(1, len(train_files) // settings.fit_pictures)]
    chosen = choose_device(device)
    student = load_classifier(BUNDLED, layers=sorted({hint.student for hint in HINTS}), weights=network, device=chosen)
    files = teachers or {}
    loaded = {
        name: load_classifier(name, layers=hint_layers(name), weights=files.get(name), device=chosen)
        for name in teacher_names()
    }
    evaluation = _evaluate(fit_files, held_out_files, student, loaded, settings, Path(cache), chosen)
    if not pairs or not painters:
        return evaluation
    judge = load_features("squeezenet1_0", layers=JUDGE_LAYERS, weights=files.get("squeezenet1_0"), device=chosen)
    return _with_styles(evaluation, score_styles(pairs, painters, judge))


def _with_styles(
    first: Generator[Step, None, Evaluation], second: Generator[Step, None, dict[str, StyleQuality]]
) -> Generator[Step, None, Evaluation]:
    evaluation = yield from first
    evaluation.styles = yield from second
    yield Step(1, 1, evaluation.metrics())
    return evaluation


def _evaluate(
    fit_files: list[Path],
    held_out_files: list[Path],
    student: Classifier,
    teachers: dict[str, Classifier],
    settings: EvaluateFeaturesSettings,
    cache: Path,
    device: torch.device,
) -> Generator[Step, None, Evaluation]:
    total = 2 + len(SPEED_LAYERS)
    yield Step(0, total, message="Measuring what is recognised.")
    held_out = yield from pack_pictures(held_out_files, cache, short_side=256)
    fit = yield from pack_pictures(fit_files, cache, short_side=256)
    evaluation = Evaluation(_shares(student, teachers, held_out, settings.size, device))
    yield Step(1, total, evaluation.metrics(), message="Measuring how much of the teachers' maps is explained.")
    crops = [centre_crops(packed, settings.size).to(device) for packed in (fit, held_out)]
    evaluation.explained = _explained(student, teachers, *crops)
    for done, (name, layers) in enumerate(SPEED_LAYERS.items(), 2):
        yield Step(done, total, evaluation.metrics(), message=f"Measuring the speed of {name}.")
        evaluation.costs[name] = measure_cost(
            untrained_features(name, layers=layers, device=device), settings.speed_size, settings.repeats
        )
    yield Step(total, total, evaluation.metrics())
    return evaluation


def _shares(
    student: Classifier, teachers: Mapping[str, Classifier], held_out: PackedPictures, size: int, device: torch.device
) -> dict[str, Share]:
    labels = imagenet_labels(held_out.files, student.classes)
    known = labels >= 0
    found: dict[str, Share] = {}
    top = _ranked(student, held_out, size, device)
    found["top_1"] = _share((top[:, 0] == labels)[known])
    found["top_5"] = _share((top[:, :5] == labels[:, None]).any(1)[known])
    for name, teacher in teachers.items():
        taught = _ranked(teacher, held_out, 224, device)
        found[f"agreement_with_{name}"] = _share(top[:, 0] == taught[:, 0])
        found[f"{name}_top_1"] = _share((taught[:, 0] == labels)[known])
    return found


def _ranked(network: Classifier, packed: PackedPictures, size: int, device: torch.device) -> Tensor:
    """The five most likely classes (B, 5) of each picture's middle square."""
    with torch.no_grad():
        parts = [network(part).topk(5).indices for part in centre_crops(packed, size).to(device).split(16)]
    return torch.cat(parts).cpu()


def _share(hits: Tensor) -> Share:
    return Share(int(hits.sum()), hits.numel())


class _Regression:
    """A linear regression at each position from the student's map to a teacher's, in closed form."""

    def __init__(self, hint: Hint) -> None:
        self.hint = hint
        self.sums: list[Tensor] = []

    def fit(self, map_: Tensor, target: Tensor) -> None:
        """Take in one batch of both maps."""
        x, y = _rows(self.hint, map_, target)
        new = [part.double() for part in (x.T @ x, x.T @ y, y.square().sum(0))]
        self.sums = [a + b for a, b in zip(self.sums, new, strict=True)] if self.sums else new

    def solve(self) -> None:
        """Fit to what was taken in; targets count standardised, channels that hardly ever fire a little less."""
        covariance, cross, squares = self.sums
        count = covariance[-1, -1]
        self.mean = cross[-1] / count
        deviation = (squares / count - self.mean.square()).clamp_min(0).sqrt()
        self.deviation = deviation.clamp_min(0.05 * float(deviation.mean()) + 1e-6)
        standard = (cross - covariance[:, -1:] * self.mean) / self.deviation
        ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
        self.weights = torch.linalg.solve(covariance + ridge, standard)
        self.squared = self.variance = 0.0

    def judge(self, map_: Tensor, target: Tensor) -> None:
        """Compare with one batch that it was not fitted to."""
        x, y = _rows(self.hint, map_, target)
        standard = (y.double() - self.mean) / self.deviation
        self.squared += float((x.double() @ self.weights - standard).square().sum())
        self.variance += float(standard.square().sum())


def _rows(hint: Hint, map_: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Positions as rows: the student's values with a 1 at the end, and the teacher's."""
    x = hint.over(map_, target).movedim(1, -1).flatten(0, 2)
    return F.pad(x, (0, 1), value=1.0), target.movedim(1, -1).flatten(0, 2)


@torch.no_grad()
def _explained(
    student: Classifier, teachers: Mapping[str, Classifier], fit: Tensor, held_out: Tensor
) -> dict[str, float]:
    """The part of the variance of the teachers' standardised maps that regressions explain, by hint."""
    regressions = [_Regression(hint) for hint in HINTS]
    for pictures, judged in ((fit, False), (held_out, True)):
        for part in pictures.split(16):
            maps = student.features(part)
            taught = {name: teacher.features(part) for name, teacher in teachers.items()}
            for one in regressions:
                take = one.judge if judged else one.fit
                take(maps[one.hint.student], taught[one.hint.teacher][one.hint.layer])
        if not judged:
            for one in regressions:
                one.solve()
    return {one.hint.name: 1 - one.squared / one.variance for one in regressions}


def measure_cost(features: Features, size: int, repeats: int = 3) -> Cost:
    """Time and memory of one picture's maps and of the gradient of their energy."""
    device = features.scale.device
    forward, backward, held = math.inf, math.inf, 0.0
    for _ in range(repeats + 1):  # the first is for warming up, but may be the fastest all the same
        picture = torch.full((1, 3, size, size), 0.5, device=device, requires_grad=True)
        storages: dict[int, int] = {}

        def keep(tensor: Tensor, storages: dict[int, int] = storages) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        start = _now(device)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            energy = torch.stack([map_.square().mean() for map_ in features(picture).values()]).sum()
        middle = _now(device)
        energy.backward()
        end = _now(device)
        forward, backward = min(forward, 1000 * (middle - start)), min(backward, 1000 * (end - middle))
        weights = {parameter.untyped_storage().data_ptr() for parameter in features.parameters()}
        held = sum(size for place, size in storages.items() if place not in weights) / 2**20
    return Cost(forward, backward, held)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
