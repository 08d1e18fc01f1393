"""The feature network's classifier, fitted in closed form to what its teachers say.

A linear map from the means of the network's last map to the teachers' logits on the same crops (Ba and Caruana, 2014,
Do Deep Nets Really Need to be Deep?, arXiv:1312.6184), by ridge regression. It is for classes that no picture was
taught of: what the teachers say of them with other pictures is all that is known.

Then each logit is divided by how much it varies. A regression is the surer of a class the better its features explain
that class, so that a few well explained ones would be the answer to everything (Dinu, Lazaridou and Baroni, 2014,
Improving Zero-Shot Learning by Mitigating the Hubness Problem, arXiv:1412.6568); in equal units all have a chance. Of
855 photos, each named by a classifier that was shown no other of its class, 8 % are right without and 17 % with it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from creative.checkpoint import load_checkpoint, save_checkpoint
from creative.data.draws import Shuffled, Weighted
from creative.data.pictures import AugmentedPictures, PackedPictures, find_pictures, pack_pictures, split_pictures
from creative.device import autocast, choose_device, fast_dtype
from creative.engines.features.hints import CLASS_TEACHER, teacher_names
from creative.engines.features.probe import ridge
from creative.engines.features.recognition import TEACHER_SIZE
from creative.models.features import Classifier, FeaturesError, load_classifier
from creative.options.features import BUNDLED, ClassifierSettings
from creative.progress import Step

FOLDS = 5
BATCH = 16


def train_classifier(
    data: Sequence[Path],
    settings: ClassifierSettings | None = None,
    path: Path = Path("out/features.safetensors"),
    *,
    teachers: Mapping[str, Path | None] | None = None,
    network: Path | None = None,
    cache: Path = Path("out/train-classifier"),
    device: str = "auto",
) -> Generator[Step, None, Path]:
    """Give a feature network a new classifier and leave its maps as they are; returns the file, with both in it.

    The last step's metrics say how it fares by cross-validation over pictures: ``agreement`` with the better teacher.

    Args:
        data: folders; what is held out of them says ``creative.data.pictures.split_pictures``.
        settings: how many crops, from which folders.
        path: where the finished file goes.
        teachers: weights files by the teacher's name; None finds them.
        network: a file made by ``train_features``; None: the bundled one.
        cache: a folder for decoded pictures.
        device: where to compute.

    Raises:
        PicturesError, WeightsError: at once, if something is missing.
        FeaturesError: at once, if there are not as many shares as folders, or teachers tell other classes.
    """
    settings, folders = settings or ClassifierSettings(), [Path(one) for one in data]
    if settings.shares and len(settings.shares) != len(folders):
        raise FeaturesError(f"There are {len(folders)} folders of pictures, but {len(settings.shares)} shares.")
    files, _ = split_pictures(find_pictures(folders))
    place, given = choose_device(device), teachers or {}
    student = load_classifier(BUNDLED, weights=network, device=place)
    taught = {name: load_classifier(name, weights=given.get(name), device=place) for name in teacher_names()}
    for name, teacher in taught.items():
        if teacher.classes != student.classes:
            raise FeaturesError(f"{student.features.weights_name} tells other classes than {name} does.")

    def begin() -> Generator[Step, None, Path]:
        packed = yield from pack_pictures(files, Path(cache), short_side=settings.short_side)
        seen, told, pictures = yield from _look(student, taught, packed, settings, folders, place)
        fitted, agreement = fit_classifier(seen, told, pictures, settings.penalty)
        _save(student, taught, fitted, Path(path), settings, len(packed))
        yield Step(settings.crops, settings.crops, {"agreement": agreement})
        return Path(path)

    return begin()


def _look(
    student: Classifier,
    teachers: Mapping[str, Classifier],
    packed: PackedPictures,
    settings: ClassifierSettings,
    folders: Sequence[Path],
    device: torch.device,
) -> Generator[Step, None, tuple[Tensor, dict[str, Tensor], Tensor]]:
    """Of random crops, the means of the student's last map (N, C), the teachers' logits, and which picture each is of.

    The teachers see the crops at the size that they are used to.
    """
    draws: Shuffled | Weighted = Shuffled(len(packed), BATCH, settings.seed)
    if settings.shares:
        groups = [[n for n, file in enumerate(packed.files) if folder in file.parents] for folder in folders]
        for folder, group in zip(folders, groups, strict=True):
            if not group:
                raise FeaturesError(f"{folder} holds no picture to learn from, so it can have no share.")
        draws = Weighted(groups, settings.shares, BATCH, settings.seed)
    dataset = AugmentedPictures(packed, TEACHER_SIZE, area=(settings.area, 1.0), strength=0)
    dtype, last = fast_dtype(device), student.features.layers[-1]
    seen: list[Tensor] = []
    told: dict[str, list[Tensor]] = {name: [] for name in teachers}
    pictures: list[int] = []
    for step in range(-(-settings.crops // BATCH)):
        yield Step(min(step * BATCH, settings.crops), settings.crops)
        chosen = draws(step)
        pictures += [draw.index for draw in chosen]
        crops = torch.stack([dataset[draw] for draw in chosen]).to(device).float() / 255
        small = torch.nn.functional.interpolate(
            crops, (settings.size, settings.size), mode="bilinear", antialias=True, align_corners=False
        )
        with torch.no_grad(), autocast(device, dtype):
            seen.append(student.features(small)[last].float().mean((2, 3)).cpu())
            for name, teacher in teachers.items():
                told[name].append(teacher(crops).float().cpu())
    return torch.cat(seen), {name: torch.cat(parts) for name, parts in told.items()}, torch.tensor(pictures)


def fit_classifier(
    seen: Tensor, told: Mapping[str, Tensor], pictures: Tensor, penalty: float
) -> tuple[tuple[Tensor, Tensor], float]:
    """The weights (K, C) and the bias (K) of a classifier, and by cross-validation its agreement with the best teacher.

    Only the differences of logits mean something, so those of a crop are centred; teachers count alike. The scale of
    the logits is that at which, by cross-validation, its probabilities come nearest to the best teacher's.

    Args:
        seen: features (N, C).
        told: logits (N, K) by teacher; ``CLASS_TEACHER`` is the best, or else the first.
        pictures: the picture that each crop is of (N): those of one are held out together.
        penalty: of the weights, for each crop.
    """
    centred = {name: logits - logits.mean(1, keepdim=True) for name, logits in told.items()}
    targets = torch.stack([logits / logits.std() for logits in centred.values()]).sum(0)
    best = told.get(CLASS_TEACHER, next(iter(told.values())))
    folds, held_out = pictures % FOLDS, torch.zeros_like(targets)
    for fold in folds.unique():
        weights, bias = _equal_units(seen[folds != fold], targets[folds != fold], penalty)
        held_out[folds == fold] = seen[folds == fold] @ weights.T + bias
    agreement = (held_out.argmax(1) == best.argmax(1)).float().mean()
    scale = _nearest_scale(held_out, best.softmax(1))
    weights, bias = _equal_units(seen, targets, penalty)
    return (scale * weights, scale * bias), float(agreement)


def _equal_units(seen: Tensor, targets: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """A ridge regression as weights (K, C) and bias (K), each output with mean 0 and deviation 1 over what was seen."""
    (fit,) = ridge(seen, targets, [penalty * len(seen)])
    weights = fit.weights / fit.deviation[:, None]
    outputs = seen.double() @ weights
    mean, deviation = outputs.mean(0), outputs.std(0).clamp_min(1e-9)
    return (weights / deviation).T.float(), (-mean / deviation).float()


def _nearest_scale(logits: Tensor, chances: Tensor) -> float:
    """The factor of the logits at which their probabilities come nearest to given ones.

    Their cross-entropy is convex in it, so its slope says on which side the best one lies.
    """
    low, high = 0.0, 100.0
    aim = (chances * logits).sum(1).mean()
    for _ in range(20):
        middle = (low + high) / 2
        slope = ((middle * logits).softmax(1) * logits).sum(1).mean() - aim
        low, high = (low, middle) if slope > 0 else (middle, high)
    return (low + high) / 2


def _save(
    student: Classifier,
    teachers: Mapping[str, Classifier],
    fitted: tuple[Tensor, Tensor],
    path: Path,
    settings: ClassifierSettings,
    pictures: int,
) -> None:
    assert student.features.weights is not None
    old = load_checkpoint(student.features.weights)
    new = dict(zip(("classifier.weight", "classifier.bias"), (part.half() for part in fitted), strict=True))
    about = {
        "settings": settings.model_dump(mode="json"),
        "pictures": pictures,
        "teachers": {name: teacher.features.sha256 for name, teacher in teachers.items()},
    }
    save_checkpoint(path, {**old.tensors, **new}, {**old.metadata, "classifier": about})
