"""Another feature network under a finished captioner: what its pictures are like is learned anew; its words stay.

Every captioner tells its own kind of pictures by the bundled features, also one that looks with an encoder of its own.

    path = run(refit_likeness("scenes", Path("scenes.safetensors")))
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from creative.checkpoint import load_checkpoint, save_checkpoint
from creative.device import choose_device
from creative.engines.captioning.likeness import PREFIX
from creative.engines.captioning.networks import load_captioner, load_eye
from creative.engines.captioning.training import fit_to, material_of
from creative.images import picture_files
from creative.options.caption import SCENES, TrainCaptionSettings
from creative.progress import Step
from creative.trained import find_trained


def refit_likeness(
    captioner: str | Path,
    out: Path,
    data: str | Path = SCENES,
    *,
    others: Sequence[Path] = (),
    folder: Path = Path("out/refit-likeness"),
    device: str = "auto",
) -> Generator[Step, None, Path]:
    """Write a captioner with what its pictures are like as the bundled features see them now; returns the file.

    Args:
        captioner: a name or a file.
        out: the file to write; it may be the captioner's own.
        data, others: what it was trained with, as ``train_caption`` takes them.
        folder: for what was seen.
        device: where to compute.

    Raises:
        WeightsError, CaptionerError, CaptionsError: at once, as ``train_caption``.
    """
    path, chosen = find_trained("captioner", captioner), choose_device(device)
    trained = load_captioner(path, device="cpu")
    settings = TrainCaptionSettings.model_validate(dict(trained.settings))
    encoder = trained.encoders[0]
    material = material_of(data, settings, encoder.config, encoder)
    strangers = picture_files([Path(one) for one in others]) if others else []
    eye = load_eye(chosen)

    def begin() -> Generator[Step, None, Path]:
        yield Step(0, message=material.told)
        likeness = yield from fit_to(material, Path(folder), eye, strangers, chosen)
        checkpoint = load_checkpoint(path)
        tensors = {name: one for name, one in checkpoint.tensors.items() if not name.startswith(PREFIX)}
        config = {**checkpoint.metadata["config"], "eye": eye.features.sha256}
        save_checkpoint(out, {**tensors, **likeness.tensors()}, {**checkpoint.metadata, "config": config})
        yield Step(1, 1)
        return Path(out)

    return begin()
