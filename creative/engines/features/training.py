"""Training the feature network on folders of pictures."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from creative.checkpoint import Checkpoint, CheckpointError, load_checkpoint, load_into
from creative.data.pictures import find_pictures, pack_pictures, split_pictures
from creative.engines.features.distillation import Distillation
from creative.engines.features.hints import hint_layers, teacher_names
from creative.engines.training import TrainingError, check_run, train
from creative.models.features import load_classifier
from creative.models.vgg import VGG, VGGConfig
from creative.options.features import FeaturesSettings
from creative.progress import Step


def train_features(
    data: Sequence[Path],
    settings: FeaturesSettings | None = None,
    folder: Path = Path("out/train-features"),
    *,
    teachers: Mapping[str, Path | None] | None = None,
    start_from: Path | None = None,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train the feature network on folders of pictures; returns the file of the finished network.

    Under ``torchrun`` each process normalises its own part of the batch, so that results differ with their number.

    Args:
        data: folders; what is held out of them says ``creative.data.pictures.split_pictures``.
        settings: of the training; the defaults come nearest to how the bundled network was made (weights/features.md).
        folder: for checkpoints, metrics.csv and the decoded pictures; a run that was stopped goes on from there.
        teachers: weights files by the teacher's name; None finds them as ``load_features`` does.
        start_from: a finished network to go on from.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        PicturesError: at once, if a folder is missing or holds no picture.
        WeightsError, FeaturesError: at once, if a teacher's weights are missing or not its own.
        CheckpointError: at once, if ``start_from`` is no network of this kind.
        TrainingError: settings that cannot work.
    """
    settings, folder, folders = settings or FeaturesSettings(), Path(folder), [Path(path) for path in data]
    train_files, held_out_files = split_pictures(find_pictures(folders))
    if not train_files:
        raise TrainingError(f"Too few pictures to train on: {len(held_out_files)}, all of them held out for measuring.")
    if settings.shares and len(settings.shares) != len(folders):
        raise TrainingError(f"There are {len(folders)} folders of pictures, but {len(settings.shares)} shares.")
    start = None if start_from is None else _load_start(start_from)
    if settings.frozen_stages and start is None:
        raise TrainingError("Stages can be frozen only of a finished network: say which one to start from.")
    check_run(settings, folder, resume=resume)
    files = teachers or {}
    loaded = {
        name: load_classifier(name, layers=hint_layers(name), weights=files.get(name)) for name in teacher_names()
    }

    def begin() -> Generator[Step, None, Path]:
        packed = yield from pack_pictures(train_files, folder / "pictures", short_side=settings.short_side)
        held_out = yield from pack_pictures(held_out_files, folder / "pictures", short_side=256)
        task = Distillation(packed, held_out, loaded, settings, start, folders=folders)
        return (yield from train(task, settings, folder, device=device, resume=resume))

    return begin()


def _load_start(path: Path) -> Checkpoint:
    checkpoint = load_checkpoint(path)
    config = checkpoint.metadata.get("config", {})
    if not {"network", "classes"} <= set(config):
        raise CheckpointError(f"{path} holds no network made by creative train features.")
    load_into(VGG(VGGConfig.from_json(config["network"])), checkpoint.tensors)
    return checkpoint
