"""Training a CycleGAN: two translators between two folders of pictures, each other's check.

Zhu et al. (2017), Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, arXiv:1703.10593.
The second objective, one way only, is Park et al.'s (2020), Contrastive Learning for Unpaired Image-to-Image
Translation, arXiv:2007.15651.

    path = run(train_cyclegan(Path("photos"), Path("paintings"), TrainCycleGANSettings(steps=5000), Path("out/monet")))
    load_generator(path, "a_to_b")
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from creative.blocks.gan import PatchConfig, ResNetConfig
from creative.checkpoint import halved, read_metadata
from creative.data.pictures import PackedPictures, centre_crops
from creative.data.unpaired import Domain, UnpairedCrops, find_domains, pack_domains, warnings
from creative.device import autocast, choose_device, fast_dtype
from creative.engines.cyclegan.distances import JUDGED, Ruler, content_distance, describe
from creative.engines.cyclegan.looks import CONTENT, compare_looks, looks_of
from creative.engines.cyclegan.objective import Cycle, OneWay, Translators
from creative.engines.cyclegan.sheet import sheet
from creative.engines.training import Networks, Task, TrainingError, Update, check_run, train
from creative.files import shown
from creative.models.cyclegan import CycleGANConfig, read_config
from creative.models.features import Features, load_features
from creative.options.cyclegan import TrainCycleGANSettings
from creative.options.features import BUNDLED
from creative.options.training import TrainingSettings
from creative.progress import Step

MEASURED = 40
"""Held-out pictures of each kind, at most, that are translated for each evaluation."""
MEASURED_SIZE = 256
"""Their side in pixels, at most."""
SHOWN = 4
"""Pictures of each kind on a sample sheet."""


def train_cyclegan(
    a: Path,
    b: Path,
    settings: TrainCycleGANSettings | None = None,
    folder: Path = Path("out/train-cyclegan"),
    *,
    start_from: Path | None = None,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train translators from a to b and from b to a; returns the file of both.

    The best is chosen by the kernel distance, on the bundled network's features, between translated held-out pictures
    and held-out pictures of the wanted kind, both ways averaged; it is no FID. Held out are the pictures in folders
    called ``test`` or ``val``, else every tenth.

    Under ``torchrun`` the result is that of one process with the same batch up to rounding, as long as the pools of
    earlier translations are not full (they are each process's own), and but for ``patch_nce`` and ``wgan_gp``, which
    draw at random.

    Args:
        a, b: folders of pictures.
        settings: of the networks and their training; the defaults are the recipe of the bundled photo2monet.
        folder: for checkpoints, metrics.csv and the decoded pictures; a run that was stopped goes on from there.
        start_from: a file made by this, to go on from: its weights and its size; its critics of features and what it
            knows of the folders' looks only where the bundled feature network is still the one that they are of.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        PicturesError: at once, if a folder is missing, has fewer than two pictures, or is the other one; once they are
            decoded, if fewer than two can be read.
        CheckpointError, GANError: at once, if ``start_from`` holds no CycleGAN.
        TrainingError: at once, if the run in ``folder`` had other pictures; on the way, if it fails (see ``alarms``).
        DeviceError: at once, if there is no such device.
    """
    settings, folder = settings or TrainCycleGANSettings(), Path(folder)
    choose_device(device)
    one, other = find_domains(a, b)
    start = None if start_from is None else _load_start(Path(start_from))
    about = {"a": _identity(one), "b": _identity(other)}
    check_run(settings, folder, resume=resume)
    last = folder / "last.safetensors"
    if resume and last.exists():
        _check_same(read_metadata(last).get("config", {}).get("pictures", {}), about, last)
    return _train(one, other, about, settings, folder, start, device, resume)


@dataclass(frozen=True)
class Start:
    """A finished network to go on from.

    Attributes:
        features: SHA-256 of the bundled network that its critics and its looks are of; empty if unknown.
    """

    path: Path
    config: CycleGANConfig
    sha256: str
    features: str


def _load_start(path: Path) -> Start:
    from creative.files import file_sha256

    features = read_metadata(path).get("config", {}).get("features", "")
    return Start(path, read_config(path), file_sha256(path), features)


def _identity(domain: Domain) -> dict[str, Any]:
    """What tells these pictures from others: not where they are, so that a run can move."""
    files = [[file.name, file.stat().st_size] for file in domain.all]
    return {"name": _name(domain.folder), "count": len(files), "sha256": sha256(json.dumps(files).encode()).hexdigest()}


def _name(folder: Path) -> str:
    """What a folder's pictures are called: its name, or the name of the one above where it only says which part."""
    path = folder.resolve()
    return path.parent.name if path.name.lower() in {"train", "test", "val", "all"} else path.name


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], last: Path) -> None:
    was, given = ([values.get(name, {}).get("sha256") for name in "ab"] for values in (before, now))
    if was == given:
        return
    otherwise = "give the folders it had, choose another folder for the run, or start again without resuming"
    if was == given[::-1]:
        raise TrainingError(f"{shown(last)} was trained with the two folders the other way round: {otherwise}.")
    told = [f"{name} = {shown(now[name]['name'])}" for name, x, y in zip("ab", was, given, strict=True) if x != y]
    raise TrainingError(f"{shown(last)} was trained with other pictures than {' and '.join(told)}: {otherwise}.")


def _train(
    a: Domain,
    b: Domain,
    about: Mapping[str, Any],
    settings: TrainCycleGANSettings,
    folder: Path,
    start: Start | None,
    device: str,
    resume: bool,
) -> Generator[Step, None, Path]:
    for message in warnings(a, b):
        yield Step(0, settings.steps, message=message)
    training = yield from pack_domains(a.training, b.training, folder / "pictures", size=settings.size)
    held_out = yield from pack_domains(a.held_out, b.held_out, folder / "pictures", size=settings.size)
    features = load_features(layers=JUDGED[BUNDLED], device=choose_device(device))
    looks = {name: looks_of(features, packed) for name, packed in zip("ab", training, strict=True)}
    known = start is not None and start.features == features.sha256
    if start is not None and known and (warning := compare_looks(start.path, start.config, looks)):
        yield Step(0, settings.steps, message=warning)
    task = Translating(training, held_out, settings, features, about=about, looks=looks, start=start)
    return (yield from train(task, settings, folder, device=device, resume=resume))


class Translating(Task):
    """What is trained: two generators against two discriminators, or one against one.

    Args:
        training, held_out: decoded pictures of both kinds, to learn from and to measure with.
        settings: of the networks and their training.
        features: of the bundled network, ``JUDGED`` layers: what measures.
        about: of each kind, what it is called and what tells it from others.
        looks: of each kind, what it looks like on average (see ``looks_of``).
        start: a finished network to go on from.
    """

    best_metric = "kernel_distance"
    channels_last = True

    def __init__(
        self,
        training: tuple[PackedPictures, PackedPictures],
        held_out: tuple[PackedPictures, PackedPictures],
        settings: TrainCycleGANSettings,
        features: Features,
        *,
        about: Mapping[str, Any],
        looks: Mapping[str, Tensor] | None = None,
        start: Start | None = None,
    ) -> None:
        self.training, self.settings, self.features, self.about, self.start = training, settings, features, about, start
        self.looks = dict(looks or {})
        self.shape = start.config if start else _shape(settings, about)
        side = min(settings.size, MEASURED_SIZE) // 4 * 4
        self.held_out = {
            name: centre_crops(packed, side, places=range(0, len(packed), max(1, len(packed) // MEASURED)))[:MEASURED]
            for name, packed in zip("ab", held_out, strict=True)
        }
        self.translators: Translators

    def networks(self) -> Networks:
        """Generators, discriminators, critics and what watches over them."""
        kind = Cycle if self.settings.objective == "cycle" else OneWay
        self.translators = kind(self.shape, self.settings, self.training, self.device)
        if self.start is not None:
            self.translators.load(self.start.path, critics=self.start.features == self.features.sha256)
        self._described: dict[str, Tensor] = {}
        return self.translators.networks

    def optimizers(self, networks: Networks, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
        """Adam, β₁ 0.5, one for all that translates and one for all that judges."""
        return self.translators.optimizers()

    def dataset(self) -> UnpairedCrops:
        """A crop of each kind."""
        return UnpairedCrops(*self.training, size=self.settings.size, crop=self.settings.crop)

    def step(self, batch: Mapping[str, Tensor], update: Update) -> dict[str, Tensor]:
        """The generators learn from what the discriminators say, then these from what those have drawn."""
        return self.translators.step(_signed(batch["a"]), _signed(batch["b"]), update)

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """Kernel distances from the wanted kind and content distances from the pictures, by the bundled network."""
        features = self.features.to(self.device)
        if not self._described:
            self._described = {name: describe(features, x.to(self.device)) for name, x in self.held_out.items()}
        ruler = Ruler.between(BUNDLED, self._described["a"], self._described["b"])
        found, distances = {}, []
        for source, target in self.translators.ways:
            name = f"{source}_to_{target}"
            pictures = self.held_out[source].to(self.device)
            translated = translate_all(networks[name], pictures)
            distance = ruler.kernel(describe(features, translated), self._described[target])
            distances.append(distance)
            found[f"kernel_distance_{name}"] = distance
            found[f"content_distance_{name}"] = content_distance(features, pictures, translated, CONTENT)
        return found | {"kernel_distance": sum(distances) / len(distances)}

    def sample(self, networks: Networks) -> Image.Image:
        """Held-out pictures, under them their translations, and under these the way back."""
        rows = []
        for source, target in self.translators.ways:
            pictures = self.held_out[source][:SHOWN].to(self.device)
            translated = translate_all(networks[f"{source}_to_{target}"], pictures)
            rows += [pictures, translated]
            if len(self.translators.ways) == 2:
                rows.append(translate_all(networks[f"{target}_to_{source}"], translated))
        return sheet(rows)

    def extra_state(self) -> dict[str, Any]:
        """The pools of earlier translations."""
        return self.translators.state()

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self.translators.load_state(state)

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """Generators and what training can go on with, in half precision; what the two kinds look like."""
        kept = {name: net for name, net in networks.items() if name in self.translators.kept}
        tensors = {f"{name}.{key}": value for name, net in kept.items() for key, value in net.state_dict().items()}
        return halved(tensors | {f"looks.{name}": value for name, value in self.looks.items()})

    def config(self) -> dict[str, Any]:
        """The networks' shape, and what was learned from."""
        about = self.shape.to_json() | {"pictures": dict(self.about), "objective": self.settings.objective}
        about["features"] = self.features.sha256
        return about | ({"start_from": self.start.sha256} if self.start else {})


def _shape(settings: TrainCycleGANSettings, about: Mapping[str, Any]) -> CycleGANConfig:
    return CycleGANConfig(
        generator=ResNetConfig(
            width=settings.width,
            num_blocks=settings.num_blocks,
            norm=settings.norm,
            upsampling=settings.upsampling,
            residual=settings.residual,
        ),
        discriminator=PatchConfig(width=settings.discriminator_width, num_layers=settings.discriminator_layers),
        domain_a=about["a"]["name"],
        domain_b=about["b"]["name"],
        size=settings.crop,
    )


@torch.no_grad()
def translate_all(generator: nn.Module, pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] through a generator, few at a time."""
    found = []
    for part in pictures.split(4):
        with autocast(pictures.device, fast_dtype(pictures.device)):
            drawn = generator(part * 2 - 1)
        found.append((drawn.float() + 1) / 2)
    return torch.cat(found)


def _signed(pixels: Tensor) -> Tensor:
    return pixels.contiguous(memory_format=torch.channels_last).float() / 127.5 - 1
