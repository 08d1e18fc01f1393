"""Training a diffusion network to draw two kinds of pictures.

Ho et al. (2020), Denoising Diffusion Probabilistic Models, arXiv:2006.11239; what differs from it is in ``schedule``.

    path = run(train_diffusion(Path("photos"), Path("paintings"), TrainDiffusionSettings(steps=5000), Path("out/mine")))
    load_diffusion(path)
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from creative.checkpoint import halved, read_metadata
from creative.data.draws import Draw, Weighted
from creative.data.pictures import PackedPictures, centre_crops
from creative.data.unpaired import Domain, find_domains, pack_domains, warnings
from creative.device import choose_device
from creative.engines.diffusion.denoising import Aim, drawn, noise, seen_at
from creative.engines.diffusion.schedule import loss_weights, make_noiser
from creative.engines.diffusion.squares import Squares
from creative.engines.training import Networks, Task, TrainingError, Update, check_run, train
from creative.files import shown
from creative.images import contact_sheet
from creative.metrics import JUDGED, Ruler, describe_pictures
from creative.models.diffusion import Diffusion, DiffusionConfig
from creative.models.features import Features, load_features
from creative.options.features import BUNDLED
from creative.options.train_diffusion import TrainDiffusionSettings
from creative.options.training import TrainingSettings
from creative.progress import Step

MEASURED = 60
"""Pictures of each kind that are drawn for an evaluation, at most."""
SHOWN = 8
"""Pictures of each kind in a row of a sample."""


def train_diffusion(
    a: Path,
    b: Path,
    settings: TrainDiffusionSettings | None = None,
    folder: Path = Path("out/train-diffusion"),
    *,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train one network to draw pictures of both kinds; returns its file.

    Both kinds are learned from equally often, however many pictures they have. The last weights are taken for the best.
    On the way the kernel distance of whole pictures drawn from held-out ones is measured on the bundled network's
    features. Held out are the pictures in folders called ``test`` or ``val``, else every tenth.

    Args:
        a, b: folders of pictures, whose names are those of the domains.
        settings: of the network and its training; the defaults are the recipe of the bundled one.
        folder: for checkpoints, metrics.csv and the decoded pictures; a run that was stopped goes on from there.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        PicturesError: at once, if a folder is missing, has fewer than two pictures, or is the other one; once they are
            decoded, if fewer than two can be read.
        TrainingError: at once, if the run in ``folder`` had other pictures; on the way, if it fails.
        DeviceError: at once, if there is no such device.
    """
    settings, folder = settings or TrainDiffusionSettings(), Path(folder)
    choose_device(device)
    kinds = find_domains(a, b)
    names = _names([kind.folder for kind in kinds])
    about = {name: _identity(kind) for name, kind in zip(names, kinds, strict=True)}
    check_run(settings, folder, resume=resume)
    last = folder / "last.safetensors"
    if resume and last.exists():
        before = read_metadata(last).get("config", {}).get("pictures", {})
        if list(before.items()) != list(about.items()):  # in this order: the first is a
            told = " and ".join(shown(name) for name in before) or "nothing"
            raise TrainingError(
                f"{shown(last)} was trained with other pictures ({told}): give the folders it had, choose another "
                "folder for the run, or start again without resuming."
            )
    return _train(kinds, about, settings, folder, device, resume)


def _names(folders: Sequence[Path]) -> tuple[str, str]:
    """What the folders' pictures are called: their names, or those above where these only say which part."""
    found = []
    for folder in folders:
        path = folder.resolve()
        found.append(path.parent.name if path.name.lower() in {"train", "test", "val", "all"} else path.name)
    one, other = found
    return (one, other) if one != other else ("a", "b")


def _identity(kind: Domain) -> dict[str, Any]:
    """What tells these pictures from others: not where they are, so that a run can move."""
    files = [[file.name, file.stat().st_size] for file in kind.all]
    return {"count": len(files), "sha256": sha256(json.dumps(files).encode()).hexdigest()}


def _train(
    kinds: tuple[Domain, Domain],
    about: Mapping[str, Any],
    settings: TrainDiffusionSettings,
    folder: Path,
    device: str,
    resume: bool,
) -> Generator[Step, None, Path]:
    a, b = kinds
    for message in warnings(a, b):
        yield Step(0, settings.steps, message=message)
    side = settings.size * 2 ** (settings.num_levels - 1)
    training = yield from pack_domains(a.training, b.training, folder / "pictures", size=side)
    held_out = yield from pack_domains(a.held_out, b.held_out, folder / "pictures", size=side)
    features = load_features(layers=JUDGED[BUNDLED], device=choose_device(device))
    task = Denoising(training, held_out, settings, features, about=about)
    return (yield from train(task, settings, folder, device=device, resume=resume))


class Denoising(Task):
    """What is trained: one network that sees through noise.

    Args:
        training, held_out: decoded pictures of both kinds, to learn from and to measure with.
        settings: of the network and its training.
        features: of the bundled network, ``JUDGED`` layers: what measures; None: nothing is measured.
        about: of each domain, by name, what tells its pictures from others.
    """

    channels_last = True

    def __init__(
        self,
        training: Sequence[PackedPictures],
        held_out: Sequence[PackedPictures],
        settings: TrainDiffusionSettings,
        features: Features | None,
        *,
        about: Mapping[str, Any],
    ) -> None:
        self.training, self.settings, self.features, self.about = training, settings, features, about
        self.shape = DiffusionConfig(
            size=settings.size,
            patch=settings.patch,
            channels=settings.channels,
            num_layers=settings.num_layers,
            num_attention=settings.num_attention,
            domains=tuple(about),
            num_levels=settings.num_levels,
            prediction=settings.prediction,
        )
        self.held_out = [
            centre_crops(packed, settings.size, places=range(0, len(packed), -(-len(packed) // MEASURED)))
            for packed in held_out
        ]
        self.noiser = make_noiser(self.shape)
        self._described: list[Tensor] = []

    def networks(self) -> Networks:
        """The network."""
        self.network = Diffusion(self.shape)
        return {"network": self.network}

    def dataset(self) -> Squares:
        """Squares of both kinds, with noise."""
        return Squares(self.training, self.shape, whole=self.settings.whole, drop_label=self.settings.drop_label)

    def draws(self, step: int, settings: TrainingSettings) -> Sequence[Draw]:
        """As many of either kind, however many pictures it has."""
        groups, first = [], 0
        for packed in self.training:
            groups.append(range(first, first + len(packed)))
            first += len(packed)
        return Weighted(groups, [1] * len(groups), settings.batch_size, settings.seed)(step)

    def step(self, batch: Mapping[str, Tensor], update: Update) -> dict[str, Tensor]:
        """The squared distance from the velocity, or from the noise."""
        clean, noise_, times = batch["pixels"].float() / 127.5 - 1, batch["noise"], batch["timestep"]
        noisy = self.noiser.add_noise(clean, noise_, times)
        wanted = self.noiser.get_velocity(clean, noise_, times) if self.shape.prediction == "v_prediction" else noise_
        found = self.network(noisy, times, batch["label"])
        each = (found - wanted).square().mean((1, 2, 3))
        weights = loss_weights(self.noiser, self.shape.prediction, times, self.settings.snr_limit)
        update((each * weights).mean())
        return {"loss": each.mean()}

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """Kernel distances of drawn pictures from held-out ones, whole pictures only."""
        if self.features is None:
            return {}
        features = self.features.to(self.device)
        if not self._described:
            self._described = [describe_pictures(features, seen_at(x.to(self.device))) for x in self.held_out]
        ruler = Ruler.between(BUNDLED, *self._described)
        found = {}
        for place, name in enumerate(self.shape.domains):
            made = self._drawn(networks, name, len(self.held_out[place]))
            found[f"kernel_distance_{name}"] = ruler.kernel(
                describe_pictures(features, seen_at(made)), self._described[place]
            )
        return found | {"kernel_distance": sum(found.values()) / len(found)}

    def sample(self, networks: Networks) -> Image.Image:
        """Pictures of each domain and, under them, near ones."""
        levels = {0, self.shape.num_levels - 1}
        rows = [self._drawn(networks, name, SHOWN, level) for name in self.shape.domains for level in sorted(levels)]
        return contact_sheet(rows)

    def _drawn(self, networks: Networks, domain: str, count: int, level: int = 0) -> Tensor:
        network, size = networks["network"], (self.shape.size, self.shape.size)
        assert isinstance(network, Diffusion)
        start = noise(range(count), size, self.device)
        return drawn(network, start, Aim(domain, level))

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The network in half precision."""
        return halved(super().export(networks))

    def config(self) -> dict[str, Any]:
        """The network's shape, and what was learned from."""
        return self.shape.to_json() | {"pictures": dict(self.about)}
