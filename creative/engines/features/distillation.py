"""The feature network's training: it learns to see what two networks trained on ImageNet see.

Knowledge distillation (Hinton et al., 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531) with hints
(Romero et al., 2014, FitNets, arXiv:1412.6550): from the student's maps, 1×1 convolutions that are thrown away
afterwards regress the teachers' maps densely, standardised per channel; the mean of the teachers' class probabilities
comes on top. Nobody's labels are used.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from creative.data.pictures import (
    AugmentedPictures,
    PackedPictures,
    centre_crops,
    find_pictures,
    imagenet_labels,
    pack_pictures,
    split_pictures,
)
from creative.engines.features.hints import HINTS, Hint, hint_layers, teacher_names
from creative.engines.training import Networks, Task, TrainingError, Update, train
from creative.models.features import IMAGENET_MEAN, IMAGENET_STD, Classifier, load_classifier
from creative.models.vgg import VGG, VGGConfig, fold_norms, rescale_layers
from creative.options.features import FeaturesSettings
from creative.progress import Step


def train_features(
    data: Sequence[Path],
    settings: FeaturesSettings | None = None,
    folder: Path = Path("out/train-features"),
    *,
    teachers: Mapping[str, Path | None] | None = None,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train the feature network on folders of pictures; returns the file of the finished network.

    Under ``torchrun`` each process normalises its own part of the batch, so that results differ with their number.

    Args:
        data: folders; what is held out of them says ``creative.data.pictures.split_pictures``.
        settings: of the training; None, the defaults, is the recipe of the bundled network.
        folder: for checkpoints, metrics.csv and the decoded pictures; a run that was stopped goes on from there.
        teachers: weights files by the teacher's name; None finds them as ``load_features`` does.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        PicturesError: at once, if a folder is missing or holds no picture.
        WeightsError, FeaturesError: at once, if a teacher's weights are missing or not its own.
        TrainingError: settings that cannot work.
    """
    train_files, held_out_files = split_pictures(find_pictures([Path(path) for path in data]))
    if not train_files:
        raise TrainingError(f"Too few pictures to train on: {len(held_out_files)}, all of them held out for measuring.")
    files = teachers or {}
    loaded = {
        name: load_classifier(name, layers=hint_layers(name), weights=files.get(name)) for name in teacher_names()
    }
    return _train(train_files, held_out_files, loaded, settings or FeaturesSettings(), Path(folder), device, resume)


def _train(
    train_files: list[Path],
    held_out_files: list[Path],
    teachers: dict[str, Classifier],
    settings: FeaturesSettings,
    folder: Path,
    device: str,
    resume: bool,
) -> Generator[Step, None, Path]:
    packed = yield from pack_pictures(train_files, folder / "pictures", short_side=settings.short_side)
    held_out = yield from pack_pictures(held_out_files, folder / "pictures", short_side=256)
    task = Distillation(packed, held_out, teachers, settings)
    return (yield from train(task, settings, folder, device=device, resume=resume))


class Regressors(nn.Module):
    """From the student's maps to the teachers', standardised; thrown away after training."""

    def __init__(self, hints: Sequence[Hint], widths: Mapping[str, int], maps: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.hints = hints
        self.convs = nn.ModuleDict({h.name: nn.Conv2d(widths[h.student], maps[h.name].shape[1], 1) for h in hints})
        for name, map_ in maps.items():
            self.register_buffer(f"mean_{name}", map_.mean((0, 2, 3), keepdim=True))
            # A channel that almost never fires would blow up noise.
            deviation = map_.std((0, 2, 3), keepdim=True)
            self.register_buffer(f"deviation_{name}", deviation.clamp_min(0.05 * float(deviation.mean()) + 1e-6))

    def forward(self, maps: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predictions by hint, each of its target's shape."""
        return {h.name: self.convs[h.name](h.over(maps[h.student], targets[h.name])) for h in self.hints}

    def standardise(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The teachers' maps with mean 0 and deviation 1 per channel, outliers cut at 6 deviations."""
        return {
            name: ((map_ - self.get_buffer(f"mean_{name}")) / self.get_buffer(f"deviation_{name}")).clamp(-6, 6)
            for name, map_ in maps.items()
        }


class Distillation(Task):
    """What is trained: the student and the regressors.

    Args:
        packed, held_out: pictures to learn from and to measure with.
        teachers: by name; each gives the maps of its hints and logits.
        settings: sizes and weights of the losses.
        network: the student's shape.
        hints: which maps are regressed.
    """

    channels_last = True

    def __init__(
        self,
        packed: PackedPictures,
        held_out: PackedPictures,
        teachers: Mapping[str, Classifier],
        settings: FeaturesSettings,
        network: VGGConfig | None = None,
        hints: Sequence[Hint] = HINTS,
    ) -> None:
        self.packed, self.settings, self.hints = packed, settings, tuple(hints)
        self.network = network or VGGConfig()
        self.teachers = dict(teachers)
        self.classes = next(iter(self.teachers.values())).classes
        self.held_out = centre_crops(held_out, settings.crop)
        self.labels = imagenet_labels(held_out.files, self.classes)
        self.calibration = centre_crops(packed, settings.crop, limit=256)

    def networks(self) -> Networks:
        """The student and the regressors, which need to know the teachers' maps."""
        for name in self.teachers:
            self.teachers[name] = self.teachers[name].to(self.device)
        with torch.no_grad():
            maps, _ = self._taught(self.calibration.to(self.device))
        self.student = VGG(self.network, norm=True)
        widths = {f"relu{s}_{n}": w for s, w in enumerate(self.network.widths, 1) for n in range(1, 9)}
        self.regressors = Regressors(self.hints, widths, maps)
        return {"student": self.student, "regressors": self.regressors}

    def dataset(self) -> AugmentedPictures:
        """Random crops, uint8."""
        return AugmentedPictures(self.packed, self.settings.crop)

    def step(self, batch: Tensor, update: Update) -> dict[str, Tensor]:
        """Maps and probabilities of the same crops: the teachers' and the student's."""
        pictures = _unit(batch)
        with torch.no_grad():
            taught, probabilities = self._taught(pictures)
            targets = self.regressors.standardise(taught)
        predicted, logits = _seen(self.student, self.regressors, pictures, targets)
        errors = {name: F.mse_loss(predicted[name].float(), target.float()) for name, target in targets.items()}
        hints = torch.stack(list(errors.values())).mean()
        divergence = _divergence(logits.float(), probabilities, self.settings.temperature)
        weight = self.settings.class_weight * min(1.0, update.progress / self.settings.class_ramp)
        loss = hints + weight * divergence
        update(loss)
        return {"loss": loss, "hints": hints, "divergence": divergence, **errors}

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """Variance explained per hint, accuracy and agreement on the pictures held out, all 0 to 1."""
        student, regressors = networks["student"], networks["regressors"]
        assert isinstance(student, VGG)
        assert isinstance(regressors, Regressors)
        squared: dict[str, Tensor] = {}
        variance: dict[str, Tensor] = {}
        guesses, taught = [], []
        for pictures in self.held_out.to(self.device).split(32):
            maps, probabilities = self._taught(pictures)
            targets = regressors.standardise(maps)
            predicted, logits = _seen(student, regressors, pictures, targets)
            for name, target in targets.items():
                squared[name] = squared.get(name, 0) + (predicted[name] - target).square().sum((0, 2, 3))
                variance[name] = variance.get(name, 0) + target.square().sum((0, 2, 3))
            guesses.append(logits.topk(min(5, logits.shape[1])).indices)
            taught.append(probabilities.argmax(1))
        found = {f"explained_{name}": float(1 - squared[name].sum() / variance[name].sum()) for name in squared}
        guess, teacher = torch.cat(guesses).cpu(), torch.cat(taught).cpu()
        known = self.labels >= 0
        if known.any():
            hits = guess[known] == self.labels[known, None]
            found |= {"top_1": float(hits[:, 0].float().mean()), "top_5": float(hits.any(1).float().mean())}
            found["teachers_top_1"] = float((teacher[known] == self.labels[known]).float().mean())
        found["agreement"] = float((guess[:, 0] == teacher).float().mean())
        return found

    def sample(self, networks: Networks) -> Image.Image:
        """Four pictures; under each a teacher's map in false colours, and under that the student's idea of it."""
        hint = self.hints[len(self.hints) // 4]
        pictures = self.held_out[:4].to(self.device)
        student, regressors = networks["student"], networks["regressors"]
        assert isinstance(student, VGG)
        assert isinstance(regressors, Regressors)
        targets = regressors.standardise(self._taught(pictures)[0])
        predicted, _ = _seen(student, regressors, pictures, targets)
        target, guess = targets[hint.name], predicted[hint.name]
        flat = target.movedim(1, -1).reshape(-1, target.shape[1])
        axes = torch.linalg.eigh(flat.T @ flat).eigenvectors[:, -3:]  # the three directions of largest variance
        spread = 2.5 * (flat @ axes).std(0)

        def coloured(map_: Tensor) -> Tensor:
            colours = (map_.movedim(1, -1) @ axes / spread / 2 + 0.5).clamp(0, 1).movedim(-1, 1)
            return F.interpolate(colours, pictures.shape[-2:])

        rows = [torch.cat(list(row), dim=2) for row in (pictures, coloured(target), coloured(guess))]
        sheet = (torch.cat(rows, dim=1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu()
        return Image.fromarray(sheet.numpy())

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The student alone: normalisation folded, each layer at a mean activation of 1, half precision."""
        student = networks["student"]
        assert isinstance(student, VGG)
        folded = fold_norms(student).to(self.device)
        rescale_layers(folded, _normalised(self.calibration[:64].to(self.device)))
        return {name: tensor.half() for name, tensor in folded.state_dict().items()}

    def config(self) -> dict[str, Any]:
        """The student's shape, what it takes, who taught it and the classes' names."""
        normalisation = {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
        teachers = {name: teacher.features.sha256 for name, teacher in self.teachers.items()}
        about = {"network": self.network.to_json(), "normalisation": normalisation, "pictures": len(self.packed)}
        return about | {"teachers": teachers, "classes": list(self.classes)}

    def _taught(self, pictures: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The teachers' maps by hint, and the mean of their class probabilities at the settings' temperature."""
        found: dict[str, Tensor] = {}
        probabilities = []
        for name, teacher in self.teachers.items():
            maps, logits = teacher.maps_and_logits(pictures)
            found |= {hint.name: maps[hint.layer] for hint in self.hints if hint.teacher == name}
            probabilities.append((logits.float() / self.settings.temperature).softmax(1))
        return found, torch.stack(probabilities).mean(0)


def _seen(
    student: VGG, regressors: Regressors, pictures: Tensor, targets: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Tensor]:
    layers = {hint.student for hint in regressors.hints} | {student.last}
    maps = student.maps(_normalised(pictures), layers)
    return regressors(maps, targets), student.classify(maps[student.last])


def _divergence(logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the student's class probabilities from the teachers', at a temperature."""
    return F.kl_div((logits / temperature).log_softmax(1), probabilities, reduction="batchmean") * temperature


def _unit(batch: Tensor) -> Tensor:
    return batch.contiguous(memory_format=torch.channels_last).float() / 255


def _normalised(pictures: Tensor) -> Tensor:
    mean, std = (torch.tensor(v, device=pictures.device).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (pictures - mean) / std
