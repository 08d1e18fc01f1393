"""Training a network that paints a photo in any painting's style in one pass.

Ghiasi et al. (2017), Exploring the structure of a real-time, arbitrary neural artistic stylization network,
arXiv:1705.06830. Differs: a style is seen as moments of the bundled features, mixed styles are learned as well as
single ones, and strengths between the photo and the painting.

    path = run(train_instant_style([Path("photos")], [Path("paintings")], folder=Path("out/any")))
    load_style_net(path).predict(load_preset("udnie").moments(256))
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from creative.checkpoint import in_float32, load_checkpoint, load_into
from creative.data.pictures import PackedPictures, centre_crops, find_pictures, pack_pictures
from creative.device import choose_device
from creative.engines.instant_style.bank import StyleBank, make_bank
from creative.engines.instant_style.lessons import Lessons, identity, training_files
from creative.engines.instant_style.objective import Objective
from creative.engines.instant_style.sheet import sheet
from creative.engines.training import Networks, Task, TrainingError, Update, check_run, train
from creative.files import file_sha256
from creative.images import fit, open_image, resize, to_tensor
from creative.models.features import load_features
from creative.models.style_net import (
    EXTRA,
    STYLE_LAYERS,
    StyleNet,
    StyleNetConfig,
    StyleNetError,
    packed,
    predictor_channels,
    read_style_net_config,
    style_moments,
)
from creative.options.instant_style import TrainInstantStyleSettings
from creative.options.training import TrainingSettings
from creative.progress import Step

SHOWN = 4
"""Photos and paintings on a sample sheet."""
MEASURED_SIZE = 256
"""Side of the held-out photos and longest side of the held-out paintings, pixels."""


def train_instant_style(
    photos: Sequence[Path],
    styles: Sequence[Path],
    settings: TrainInstantStyleSettings | None = None,
    folder: Path = Path("out/train-instant-style"),
    *,
    judge_weights: Path | None = None,
    start_from: Path | None = None,
    shape: StyleNetConfig | None = None,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train the network for any painting; returns its file.

    Args:
        photos, styles: folders of pictures. Photos in folders called ``test`` or ``val`` are left out, and so are
            paintings there; ``settings.held_out`` names further paintings. These measure; where there are none, the
            first few paintings of training do.
        settings: of the training; the defaults are the recipe of the bundled network.
        folder: for checkpoints, metrics.csv, the decoded photos and what was seen of the paintings; a run that was
            stopped goes on from there.
        judge_weights: SqueezeNet's file; None finds it.
        start_from: a network made by this, to go on from; its shape is kept.
        shape: of the network; channels and features are found out.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        PicturesError: at once, if a folder is missing or holds no picture.
        WeightsError, FeaturesError: at once, if SqueezeNet's weights are missing or not its own.
        CheckpointError, StyleNetError: at once, if ``start_from`` is no network for any painting.
        TrainingError: at once, if all paintings are held out.
        DeviceError: at once, if there is no such device.
    """
    settings, folder = settings or TrainInstantStyleSettings(), Path(folder)
    chosen = choose_device(device)
    check_run(settings, folder, resume=resume)
    photo_folders, style_folders = [Path(path) for path in photos], [Path(path) for path in styles]
    files = training_files(photo_folders, find_pictures(photo_folders))
    groups, held_out = _share_out(style_folders, settings.held_out)
    if not files:
        raise TrainingError("All photos are in folders called test or val: give those to train on.")
    objective = Objective(settings, judge_weights, chosen)
    features = load_features(layers=STYLE_LAYERS, device=chosen)
    about = {"pictures": identity([*files, *(file for group in groups for file in group)])}
    shape = shape or StyleNetConfig()
    if start_from is not None:
        shape = read_style_net_config(start_from)
        if not shape.hidden:
            raise StyleNetError(f"{start_from} paints in the style of one painting only.")
        if shape.features != features.sha256:
            raise StyleNetError(
                f"{start_from} was trained with another feature network than the bundled one: give that network too, "
                "as the old features, and its predictor is fitted to the new ones first."
            )
    shape = StyleNetConfig(
        shape.widths,
        shape.fine,
        shape.blocks,
        shape.hidden,
        predictor_channels(features),
        shape.projections,
        features.sha256,
        settings.crop,
    )

    def begin() -> Generator[Step, None, Path]:
        packed_photos = yield from pack_pictures(files, folder / "pictures", short_side=settings.size)
        network = StyleNet(shape)  # its predictor says what is kept of a style
        assert network.predictor is not None
        bank = yield from make_bank(
            groups,
            settings.variants,
            settings.seed,
            folder / "styles",
            objective,
            features,
            network.predictor.to(chosen),
        )
        shown = held_out or [group[0] for group in groups]
        paintings = [_painting(file) for file in shown[:SHOWN]]
        seen = [style_moments(features, to_tensor(picture, chosen)) for picture in paintings]
        task = AnyPainting(shape, packed_photos, bank, objective, settings, paintings, seen, about, start_from)
        return (yield from train(task, settings, folder, device=device, resume=resume))

    return begin()


def _painting(file: Path) -> Image.Image:
    picture = open_image(file)
    return resize(picture, fit(picture.size, MEASURED_SIZE))


def _share_out(folders: Sequence[Path], held_out: Sequence[str]) -> tuple[list[list[Path]], list[Path]]:
    """The paintings of each folder to learn from, and those to measure with."""
    groups, aside = [], []
    for folder in folders:
        files = training_files([folder], find_pictures([folder]))
        kept = [file for file in files if not any(part in file.name for part in held_out)]
        aside += [file for file in files if file not in kept]
        if not kept:
            raise TrainingError(f"All paintings of {folder} are held out: leave some to learn from.")
        groups.append(kept)
    for part in held_out:
        if not any(part in file.name for file in aside):
            raise TrainingError(f"No painting has {part!r} in its file's name, so it cannot be held out.")
    return groups, aside


class AnyPainting(Task):
    """What is trained: a StyleNet with its predictor.

    Args:
        shape: of the network.
        photos: to learn from.
        bank: the styles to learn from.
        objective: what says how good a painted photo is.
        settings: of the training.
        paintings, seen: to show and to measure with, and their moments.
        about: what tells the pictures from others, for the file.
        start_from: a finished network.
    """

    channels_last = True
    best_metric = None

    def __init__(
        self,
        shape: StyleNetConfig,
        photos: PackedPictures,
        bank: StyleBank,
        objective: Objective,
        settings: TrainInstantStyleSettings,
        paintings: Sequence[Image.Image],
        seen: Sequence[Mapping[str, Any]],
        about: Mapping[str, Any],
        start_from: Path | None = None,
    ) -> None:
        self.shape, self.photos, self.bank, self.objective, self.settings = shape, photos, bank, objective, settings
        self.paintings, self.moments = list(paintings), list(seen)
        self.about, self.start_from = dict(about), start_from
        places = range(0, len(photos), max(1, len(photos) // SHOWN))
        self.shown = centre_crops(photos, MEASURED_SIZE, places=places)[:SHOWN]

    def networks(self) -> Networks:
        """The network; what its predictor sees is standardised by the bank."""
        self.network = StyleNet(self.shape)
        assert self.network.predictor is not None
        self.network.predictor.standardise(self.bank.sketches)
        if self.start_from is not None:
            load_into(self.network, in_float32(load_checkpoint(self.start_from).tensors))
        self.objective.to(self.device)
        return {"network": self.network}

    def dataset(self) -> Lessons:
        """Crops of photos, each with styles and a strength."""
        return Lessons(self.photos, self.settings.crop, self.bank.groups)

    def optimizers(self, networks: Networks, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
        """Adam; the predictor, whose every weight sees every style, learns more slowly."""
        network = networks["network"]
        assert isinstance(network, StyleNet)
        assert network.predictor is not None
        own = set(network.predictor.parameters())
        groups = [
            {"params": [p for p in network.parameters() if p not in own], "lr": settings.learning_rate},
            {"params": list(network.predictor.parameters()), "lr": settings.learning_rate / 4},
        ]
        return {"all": torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True)}

    def step(self, batch: Mapping[str, Tensor], update: Update) -> dict[str, Tensor]:
        """Paint each photo in its style, and compare."""
        photo = batch["photo"].contiguous(memory_format=torch.channels_last).float() / 255
        share, strength = batch["share"].float().cpu(), batch["strength"].float()
        one, other = batch["one"].tolist(), batch["other"].tolist()
        sketch = self._mixed(self.bank.sketches[one], self.bank.sketches[other], share)
        style = self.bank.grams(one)
        if bool((share < 1).any()):
            second = self.bank.grams(other)
            style = {layer: self._mixed(matrix, second[layer], share) for layer, matrix in style.items()}
        style = {layer: matrix.to(self.device) for layer, matrix in style.items()}
        assert self.network.predictor is not None
        predicted = self.network.predictor(sketch.to(self.device))
        code = self.network.scaled(predicted, strength)
        losses = self.objective(self.network(photo, code), photo, style, strength)
        update(losses["loss"])
        # Styles whose codes are alike are painted alike: this must not fall to 0.
        spread = predicted[:, EXTRA:].detach().std(0, unbiased=False).mean()
        return losses | {"code_spread": spread}

    @staticmethod
    def _mixed(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
        return other.lerp(one, share.view(-1, *[1] * (one.dim() - 1)))

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """The losses on photos that are shown, in the paintings held out."""
        network = networks["network"]
        assert isinstance(network, StyleNet)
        found: dict[str, list[float]] = {}
        photo = self.shown.to(self.device)
        for painting, seen in zip(self.paintings, self.moments, strict=True):
            style = self.objective.grams(to_tensor(painting, self.device))
            code = network.predict(seen).expand(len(photo), -1)
            painted = network(photo, code)
            losses = self.objective(painted, photo, style, torch.ones(len(photo), device=self.device))
            for name in ("style", "texture", "content"):
                found.setdefault(f"held_out_{name}", []).append(float(losses[name]))
        return {name: sum(values) / len(values) for name, values in found.items()}

    def sample(self, networks: Networks) -> Image.Image:
        """Photos in the first column; in each further one a painting and the photos painted in its style."""
        network = networks["network"]
        assert isinstance(network, StyleNet)
        codes = [network.predict(seen) for seen in self.moments]
        return sheet(network, self.shown.to(self.device), self.paintings, codes)

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The network in half precision, the predictor's matrices in bytes."""
        network = networks["network"]
        assert isinstance(network, StyleNet)
        return packed(network)

    def config(self) -> dict[str, Any]:
        """The network's shape, and what it learned from."""
        about = {"photos": len(self.photos), "styles": len(self.bank), "judge": self.objective.judge.sha256}
        started = {"start_from": file_sha256(self.start_from)} if self.start_from else {}
        return self.shape.to_json() | about | self.about | started
