"""Training a network for one painting: the network for any painting, its style settled, goes on with that one.

Johnson et al. (2016), Perceptual Losses for Real-Time Style Transfer and Super-Resolution, arXiv:1603.08155. Differs:
it does not begin from nothing, so that good pictures come within minutes.

    path = run(train_fast_style(open_image("wave.jpg"), [Path("photos")], folder=Path("out/wave")))
    network = load_style_net(path)
    network(photo, network.code)
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from creative.data.pictures import PackedPictures, centre_crops, find_pictures, pack_pictures
from creative.device import choose_device
from creative.engines.instant_style.lessons import Lessons, identity, training_files
from creative.engines.instant_style.objective import Objective
from creative.engines.instant_style.sheet import sheet
from creative.engines.training import Networks, Task, TrainingError, Update, check_run, train
from creative.files import file_sha256
from creative.images import fit, pixel_sha256, resize, to_tensor
from creative.models.features import load_features
from creative.models.style_net import STYLE_LAYERS, StyleNet, StyleNetError, load_style_net, packed, style_moments
from creative.options.instant_style import TrainFastStyleSettings
from creative.options.training import TrainingSettings
from creative.progress import Step
from creative.weights import find

SHOWN = 6
"""Photos on a sample sheet."""
MEASURED_SIZE = 256
"""Their side in pixels."""
BUNDLED_PAINTER = "instant-style"


def train_fast_style(
    painting: Image.Image,
    photos: Sequence[Path],
    settings: TrainFastStyleSettings | None = None,
    folder: Path = Path("out/train-fast-style"),
    *,
    judge_weights: Path | None = None,
    start_from: Path | None = None,
    name: str = "",
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train a network that paints photos in the style of one painting; returns its file, half a megabyte.

    Args:
        painting: the picture whose style it learns.
        photos: folders of pictures to paint; those called ``test`` or ``val`` are left out.
        settings: of the training; the defaults are the recipe of the bundled painters.
        folder: for checkpoints, metrics.csv and the decoded photos; a run that was stopped goes on from there.
        judge_weights: SqueezeNet's file; None finds it.
        start_from: the network for any painting to begin with; None for the bundled one.
        name: what the style is called, for the file.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        PicturesError: at once, if a folder is missing or holds no picture.
        WeightsError, FeaturesError: at once, if weights are missing or not SqueezeNet's.
        CheckpointError, StyleNetError: at once, if ``start_from`` is no network for any painting.
        TrainingError: at once, if the painting is too small.
        DeviceError: at once, if there is no such device.
    """
    settings, folder = settings or TrainFastStyleSettings(), Path(folder)
    chosen = choose_device(device)
    check_run(settings, folder, resume=resume)
    folders = [Path(path) for path in photos]
    files = training_files(folders, find_pictures(folders))
    if not files:
        raise TrainingError("All photos are in folders called test or val: give those to train on.")
    if min(painting.size) < 64:
        raise TrainingError(
            f"The painting has {painting.width} × {painting.height} pixels, too few to learn a style from: "
            "64 a side are the least."
        )
    start = Path(start_from) if start_from is not None else find(BUNDLED_PAINTER)
    any_painting = load_style_net(start)
    if any_painting.predictor is None:
        raise StyleNetError(f"{start} paints in the style of one painting only: start from one for any painting.")
    objective = Objective(settings, judge_weights, chosen)
    features = load_features(layers=STYLE_LAYERS, device=chosen)
    about = {
        "painting": name,
        "painting_sha256": pixel_sha256(painting),
        "start_from": file_sha256(start),
        "pictures": identity(files),
    }
    small = resize(painting, fit(painting.size, min(settings.style_size, max(painting.size))))

    def begin() -> Generator[Step, None, Path]:
        packed_photos = yield from pack_pictures(files, folder / "pictures", short_side=settings.size)
        task = OnePainting(any_painting, packed_photos, small, objective, settings, about)
        task.settle(style_moments(features, to_tensor(small, chosen)))
        return (yield from train(task, settings, folder, device=device, resume=resume))

    return begin()


class OnePainting(Task):
    """What is trained: a StyleNet and its one code.

    Args:
        any_painting: the network to begin with.
        photos: to learn from.
        painting: at the size at which its style is learned.
        objective: what says how good a painted photo is.
        settings: of the training.
        about: what the file is to say of it.
    """

    channels_last = True
    best_metric = None

    def __init__(
        self,
        any_painting: StyleNet,
        photos: PackedPictures,
        painting: Image.Image,
        objective: Objective,
        settings: TrainFastStyleSettings,
        about: Mapping[str, Any],
    ) -> None:
        self.start, self.photos, self.painting = any_painting, photos, painting
        self.objective, self.settings, self.about = objective, settings, dict(about)
        self.code = torch.zeros(1, any_painting.length)
        self.shape = replace(any_painting.config, hidden=0, channels=(), features="", size=settings.crop)
        places = range(0, len(photos), max(1, len(photos) // SHOWN))
        self.shown = centre_crops(photos, MEASURED_SIZE, places=places)[:SHOWN]

    @torch.no_grad()
    def settle(self, seen: Mapping[str, Any]) -> None:
        """Begin with the code that the network for any painting predicts."""
        moments = {name: type(values)(*(part.cpu() for part in _parts(values))) for name, values in seen.items()}
        self.code = self.start.predict(moments)

    def networks(self) -> Networks:
        """The network without its predictor."""
        self.network = StyleNet(self.shape)
        kept = {name: x for name, x in self.start.state_dict().items() if not name.startswith("predictor.")}
        self.network.load_state_dict({**kept, "code": self.code})
        self.objective.to(self.device)
        with torch.no_grad():
            self.style = self.objective.grams(to_tensor(self.painting, self.device))
        return {"network": self.network}

    def dataset(self) -> Lessons:
        """Crops of photos, each with a strength."""
        return Lessons(self.photos, self.settings.crop, [[0]])

    def optimizers(self, networks: Networks, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
        """Adam."""
        parameters = list(networks["network"].parameters())
        return {"all": torch.optim.Adam(parameters, settings.learning_rate, betas=(0.9, 0.99), fused=True)}

    def step(self, batch: Mapping[str, Tensor], update: Update) -> dict[str, Tensor]:
        """Paint each photo, and compare."""
        photo = batch["photo"].contiguous(memory_format=torch.channels_last).float() / 255
        strength = batch["strength"].float()
        losses = self._losses(self.network, photo, strength)
        update(losses["loss"])
        return losses

    def _losses(self, network: StyleNet, photo: Tensor, strength: Tensor) -> dict[str, Tensor]:
        assert network.code is not None
        style = {layer: matrix.expand(len(photo), -1, -1) for layer, matrix in self.style.items()}
        return self.objective(network(photo, network.scaled(network.code, strength)), photo, style, strength)

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """The losses on the photos that are shown."""
        network = networks["network"]
        assert isinstance(network, StyleNet)
        losses = self._losses(network, self.shown.to(self.device), torch.ones(len(self.shown), device=self.device))
        return {f"shown_{name}": float(losses[name]) for name in ("style", "texture", "content")}

    def sample(self, networks: Networks) -> Image.Image:
        """The photos, and beside each the painted one, the painting above."""
        network = networks["network"]
        assert isinstance(network, StyleNet)
        assert network.code is not None
        return sheet(network, self.shown.to(self.device), [self.painting], [network.code])

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The network in half precision."""
        network = networks["network"]
        assert isinstance(network, StyleNet)
        return packed(network)

    def config(self) -> dict[str, Any]:
        """The network's shape, and what it learned from."""
        return self.shape.to_json() | {"photos": len(self.photos), "judge": self.objective.judge.sha256} | self.about


def _parts(values: Any) -> tuple[Tensor, Tensor, Tensor]:
    return values.count, values.first, values.second
