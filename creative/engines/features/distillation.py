"""The feature network's training: it learns to see what two networks trained on ImageNet see.

Knowledge distillation (Hinton et al., 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531) with hints
(Romero et al., 2014, FitNets, arXiv:1412.6550): from the student's maps, 1×1 convolutions that are thrown away
afterwards regress the teachers' maps densely, standardised per channel. On top come the classes, as the better teacher
sees them: its logits (Ba and Caruana, 2014, Do Deep Nets Really Need to be Deep?, arXiv:1312.6184), which say something
about every class with every picture, and its probabilities. Nobody's labels are used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from creative.checkpoint import Checkpoint, load_into
from creative.data.draws import Draw, Shuffled, Weighted
from creative.data.pictures import (
    AugmentedPictures,
    PackedPictures,
    centre_crops,
    imagenet_labels,
)
from creative.engines.features.hints import CLASS_TEACHER, HINTS, Hint, stage_of, teach
from creative.engines.features.regressors import Regressors
from creative.engines.features.unnatural import PaintedPool, cutmix, normalised, unnatural
from creative.engines.training import MuonAdamW, Networks, Task, TrainingError, Update
from creative.models.features import IMAGENET_MEAN, IMAGENET_STD, Classifier
from creative.models.vgg import VGG, VGGConfig, fold_norms, rescale_layers, unfold_norms
from creative.options.features import FeaturesSettings
from creative.options.training import TrainingSettings

CALIBRATION = 256
"""Pictures by which maps are standardised and layers are scaled."""
FIT = 2048
"""Pictures that regressors are fitted to, where the network is finished already."""


class Distillation(Task):
    """What is trained: the student and the regressors.

    Args:
        packed, held_out: pictures to learn from and to measure with.
        teachers: by name; each gives the maps of its hints and logits.
        settings: sizes and weights of the losses.
        start: a finished network to go on from; its shape is the student's then.
        network: the student's shape.
        hints: which maps are regressed.
        class_teacher: the teacher whose classes are learned.
        folders: those that the settings' shares are of.
    """

    channels_last = True

    def __init__(
        self,
        packed: PackedPictures,
        held_out: PackedPictures,
        teachers: Mapping[str, Classifier],
        settings: FeaturesSettings,
        start: Checkpoint | None = None,
        network: VGGConfig | None = None,
        hints: Sequence[Hint] = HINTS,
        class_teacher: str = CLASS_TEACHER,
        folders: Sequence[Path] = (),
    ) -> None:
        self.packed, self.settings, self.start, self.class_teacher = packed, settings, start, class_teacher
        self.network = VGGConfig.from_json(start.metadata["config"]["network"]) if start else network or VGGConfig()
        frozen = settings.frozen_stages
        if frozen >= len(self.network.depths):
            raise TrainingError(
                f"There are {len(self.network.depths)} stages, and {frozen} are frozen: leave at least one to learn."
            )
        self.hints = tuple(hint for hint in hints if hint.stage > frozen)  # nothing is to be learned from the others
        self.teachers = dict(teachers)
        self.classes = self.teachers[class_teacher].classes
        if start and tuple(start.metadata["config"]["classes"]) != tuple(self.classes):
            raise TrainingError(f"{start.path} tells other classes than {class_teacher} does.")
        self._draws = self._choose_draws([Path(folder) for folder in folders])
        self.pool = PaintedPool()
        self.held_out = centre_crops(held_out, settings.crop)
        self.labels = imagenet_labels(held_out.files, self.classes)
        steps = math.ceil(CALIBRATION / settings.batch_size)
        places = [draw.index for step in range(steps) for draw in self._draws(step)][: min(CALIBRATION, len(packed))]
        self.calibration = centre_crops(packed, settings.crop, places=places)

    def _choose_draws(self, folders: Sequence[Path]) -> Shuffled | Weighted:
        settings = self.settings
        if not settings.shares:
            return Shuffled(len(self.packed), settings.batch_size, settings.seed)
        groups = [[i for i, file in enumerate(self.packed.files) if folder in file.parents] for folder in folders]
        for folder, group in zip(folders, groups, strict=True):
            if not group:
                raise TrainingError(f"{folder} holds no picture to train on, so it can have no share.")
        return Weighted(groups, settings.shares, settings.batch_size, settings.seed)

    def networks(self) -> Networks:
        """The student and the regressors, which need to know the teachers' maps."""
        for name in self.teachers:
            self.teachers[name] = self.teachers[name].to(self.device)
        calibration = self.calibration.to(self.device)
        with torch.no_grad():
            taught, logits = self._taught(calibration, classes=True)
        self.logit_deviation = float(_centred(logits).std())
        widths = {f"relu{s}_{n}": w for s, w in enumerate(self.network.widths, 1) for n in range(1, 9)}
        self.regressors = Regressors(self.hints, widths, taught)
        self.trunk: nn.Sequential | None = None
        if self.start is None:
            self.student = VGG(self.network, norm=True)
        else:
            finished = VGG(self.network)
            load_into(finished, self.start.tensors)
            finished.to(self.device)
            self.student = unfold_norms(finished, normalised(calibration))
            self.regressors.to(self.device).fit(self._seen_by(finished.requires_grad_(False)))
        for name, module in self.student.features.named_children():
            module.requires_grad_(stage_of(name) > self.settings.frozen_stages)
        return {"student": self.student, "regressors": self.regressors}

    def _seen_by(self, network: VGG) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """Maps of a network and of the teachers, standardised, of the middles of the first pictures learned from."""
        layers = {hint.student for hint in self.hints}
        for step in range(math.ceil(min(FIT, len(self.packed)) / self.settings.batch_size)):
            places = [draw.index for draw in self._draws(step)]
            pictures = centre_crops(self.packed, self.settings.crop, places=places).to(self.device)
            taught, _ = self._taught(pictures, classes=False)
            yield network.maps(normalised(pictures), layers), self.regressors.standardise(taught)

    def optimizers(self, networks: Networks, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
        """AdamW, or Muon for the kernels."""
        if self.settings.optimizer == "adamw":
            return super().optimizers(networks, settings)
        parameters = [p for network in networks.values() for p in network.parameters() if p.requires_grad]
        return {"all": MuonAdamW(parameters, settings.learning_rate, settings.weight_decay)}

    def dataset(self) -> AugmentedPictures:
        """Random crops, uint8."""
        return AugmentedPictures(self.packed, self.settings.crop)

    def draws(self, step: int, settings: TrainingSettings) -> Sequence[Draw]:
        """From all pictures in turn, or from each folder by its share."""
        return self._draws(step)

    def step(self, batch: Tensor, update: Update) -> dict[str, Tensor]:
        """Maps and classes of the same crops: the teachers' and the student's."""
        chosen = self.settings
        pictures = self._shown(_unit(batch), update)
        with torch.no_grad():
            taught, told = self._taught(pictures, classes=self._told)
            targets = self.regressors.standardise(taught)
            x, after = self._through_trunk(normalised(pictures))
        predicted, logits = _seen(self.student, self.regressors, x, targets, after)
        errors = self.regressors.errors(predicted, targets)
        weighted = torch.stack([hint.weight * errors[hint.name] for hint in self.hints])
        hints = weighted.sum() / sum(hint.weight for hint in self.hints)
        if not self._told:
            update(hints)
            return {"loss": hints, **errors}
        # Only differences of logits mean something.
        apart = F.mse_loss(_centred(logits.float()), _centred(told)) / self.logit_deviation**2
        divergence = _divergence(logits.float(), told, chosen.temperature)
        weight = chosen.class_weight * min(1.0, update.progress / chosen.class_ramp)
        loss = hints + chosen.logit_weight * apart + weight * divergence
        update(loss)
        return {"loss": loss, "hints": hints, "logits": apart, "divergence": divergence, **errors}

    @property
    def _told(self) -> bool:
        """Whether classes are learned at all."""
        return bool(self.settings.logit_weight or self.settings.class_weight)

    def _shown(self, pictures: Tensor, update: Update) -> Tensor:
        """What is learned from: photos, and a share of what no camera makes."""
        chosen, random = self.settings, update.generator
        shown = cutmix(pictures, chosen.cutmix, random)
        if chosen.unnatural:
            shown = unnatural(shown, chosen.unnatural, random)
        count = round(chosen.painted * len(pictures))
        shown = self.pool.mix_in(shown, count, update.step, self._folded, random)
        return shown.contiguous(memory_format=torch.channels_last)

    def _folded(self) -> VGG:
        """The student as it is now, frozen."""
        return fold_norms(self.student).to(self.device).requires_grad_(False).to(memory_format=torch.channels_last)

    def _through_trunk(self, pictures: Tensor) -> tuple[Tensor, str | None]:
        """What comes out of the frozen stages, and the name of their last layer."""
        last = f"pool{self.settings.frozen_stages}"
        if not self.settings.frozen_stages:
            return pictures, None
        if self.trunk is None:
            folded = self._folded().features
            names = [name for name, _ in folded.named_children()]
            self.trunk = folded[: names.index(last) + 1]
        return self.trunk(pictures), last

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """Variance explained per hint, accuracy and agreement on the pictures held out, all 0 to 1."""
        student, regressors = networks["student"], networks["regressors"]
        assert isinstance(student, VGG)
        assert isinstance(regressors, Regressors)
        squared: dict[str, Tensor] = {}
        variance: dict[str, Tensor] = {}
        guesses, taught = [], []
        for pictures in self.held_out.to(self.device).split(32):
            maps, told = self._taught(pictures, classes=True)
            targets = regressors.standardise(maps)
            predicted, logits = _seen(student, regressors, normalised(pictures), targets)
            for name, target in targets.items():
                squared[name] = squared.get(name, 0) + (predicted[name] - target).square().sum((0, 2, 3))
                variance[name] = variance.get(name, 0) + target.square().sum((0, 2, 3))
            guesses.append(logits.topk(min(5, logits.shape[1])).indices)
            taught.append(told.argmax(1))
        found = {f"explained_{name}": float(1 - squared[name].sum() / variance[name].sum()) for name in squared}
        guess, teacher = torch.cat(guesses).cpu(), torch.cat(taught).cpu()
        known = self.labels >= 0
        if known.any():
            hits = guess[known] == self.labels[known, None]
            found |= {"top_1": float(hits[:, 0].float().mean()), "top_5": float(hits.any(1).float().mean())}
            found["teacher_top_1"] = float((teacher[known] == self.labels[known]).float().mean())
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
        predicted, _ = _seen(student, regressors, normalised(pictures), targets)
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

    def extra_state(self) -> dict[str, Any]:
        """The painted pictures."""
        return self.pool.state() if self.settings.painted else {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        if state:
            self.pool.load_state(state, self.device)

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The student alone: normalisation folded, each layer at a mean activation of 1, half precision."""
        student = networks["student"]
        assert isinstance(student, VGG)
        folded = fold_norms(student).to(self.device)
        rescale_layers(folded, normalised(self.calibration[:64].to(self.device)))
        return {name: tensor.half() for name, tensor in folded.state_dict().items()}

    def config(self) -> dict[str, Any]:
        """The student's shape, what it takes, who taught it and the classes' names."""
        normalisation = {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
        teachers = {name: teacher.features.sha256 for name, teacher in self.teachers.items()}
        about = {"network": self.network.to_json(), "normalisation": normalisation, "pictures": len(self.packed)}
        if self.start:
            about["started_from"] = self.start.sha256
        return about | {"teachers": teachers, "classes": list(self.classes)}

    def _taught(self, pictures: Tensor, *, classes: bool = False) -> tuple[dict[str, Tensor], Tensor]:
        """The teachers' maps by hint, and, if asked for, the logits of the one whose classes are learned."""
        found: dict[str, Tensor] = {}
        for teacher in self.teachers.values():
            found |= teach(teacher.features, self.hints, pictures)
        return found, self.teachers[self.class_teacher](pictures).float() if classes else pictures.new_empty(0)


def _seen(
    student: VGG, regressors: Regressors, x: Tensor, targets: Mapping[str, Tensor], after: str | None = None
) -> tuple[dict[str, Tensor], Tensor]:
    layers = {hint.student for hint in regressors.hints} | {student.last}
    maps = student.maps(x, layers, after=after)
    return regressors(maps, targets), student.classify(maps[student.last])


def _divergence(logits: Tensor, told: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the student's class probabilities from the teacher's, at a temperature."""
    probabilities = (told / temperature).softmax(1)
    return F.kl_div((logits / temperature).log_softmax(1), probabilities, reduction="batchmean") * temperature


def _centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(1, keepdim=True)


def _unit(batch: Tensor) -> Tensor:
    return batch.contiguous(memory_format=torch.channels_last).float() / 255
