"""Another feature network under a finished network for any painting: only its predictor learns anew.

What paints does not look through the features; only the predictor does, which turns what they see of a style into a
code. So each painting is to get the code that it had: first by a ridge regression of the predictor's first layer, drawn
to the weights that it had, since a network that was trained on sees much alike; then by some minutes of Adam on all of
it. Mixed styles are learned too: what is seen of styles mixes as their codes are asked to.

    path = run(refit_predictor(Path("old.safetensors"), Path("old-features.safetensors"), [Path("paintings")]))
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from creative.checkpoint import in_float32, load_checkpoint, load_into, save_checkpoint
from creative.data.draws import mixed_seed
from creative.data.pictures import find_pictures
from creative.device import choose_device, random_generator
from creative.engines.instant_style.bank import varied
from creative.engines.instant_style.lessons import training_files
from creative.engines.training import TrainingError
from creative.files import file_sha256
from creative.images import to_tensor
from creative.models.features import Features, load_features
from creative.models.style_codes import Predictor
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
from creative.progress import Step

STEPS, BATCH, RATE = 1000, 128, 5e-4
EVALUATED = 250
"""Steps between measurements on the paintings held out; the best state is kept."""
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Of the ridge regression, as shares of the mean square of what is seen; the best by the paintings held out."""


def refit_predictor(
    painter: Path,
    old_features: Path,
    styles: Sequence[Path],
    settings: TrainInstantStyleSettings | None = None,
    folder: Path = Path("out/refit-predictor"),
    *,
    device: str = "auto",
) -> Generator[Step, None, Path]:
    """Give a network for any painting a predictor for the bundled features; returns its file.

    Args:
        painter: a network for any painting, made with ``old_features``.
        old_features: the feature network that it was made with.
        styles: folders of pictures to learn from, paintings above all; what is in ``test`` or ``val`` is left out.
        settings: of the training: its steps if fewer than ``STEPS``, variants, seed and ``held_out``, paintings that
            are measured with, as every tenth other picture is.
        folder: for what was seen and for the network, ``best.safetensors``.
        device: where to compute.

    Raises:
        PicturesError: at once, if a folder is missing or holds no picture.
        CheckpointError, StyleNetError, FeaturesError: at once, if ``painter`` is no network for any painting, or
            ``old_features`` is not what it was made with.
        TrainingError: at once, if there are too few pictures, or all are held out.
    """
    settings, folder, chosen = settings or TrainInstantStyleSettings(), Path(folder), choose_device(device)
    shape = read_style_net_config(painter)
    if not shape.hidden:
        raise StyleNetError(f"{painter} paints in the style of one painting only; it does not look at paintings.")
    before = load_features(layers=STYLE_LAYERS, weights=old_features, device=chosen)
    after = load_features(layers=STYLE_LAYERS, device=chosen)
    if before.sha256 != shape.features:
        raise StyleNetError(f"{painter} was made with another feature network than {old_features}.")
    if predictor_channels(after) != shape.channels:
        raise StyleNetError("The bundled features have other channels: train the network for any painting anew.")
    jobs = _jobs([training_files([one], find_pictures([one])) for one in map(Path, styles)], settings)
    return _refit(painter, shape, before, after, jobs, settings, folder, chosen)


def _refit(
    painter: Path,
    shape: StyleNetConfig,
    before: Features,
    after: Features,
    jobs: Sequence[tuple[Path, int, bool]],
    settings: TrainInstantStyleSettings,
    folder: Path,
    device: torch.device,
) -> Generator[Step, None, Path]:
    yield Step(0, message="Looking at styles with both feature networks.")
    checkpoint = load_checkpoint(painter)
    old, network = StyleNet(shape).to(device), StyleNet(shape).to(device)
    for one in (old, network):
        load_into(one, in_float32(checkpoint.tensors))
    looked = []
    for features in (before, after):
        found = yield from _seen([job[:2] for job in jobs], old, features, settings.seed, folder)
        looked.append(found.to(device))
    kept = torch.tensor([learned for *_, learned in jobs], device=device)
    told = yield from _learn(old, network, torch.stack(looked), kept, settings)
    config = {**checkpoint.metadata["config"], "features": after.sha256}
    refit = {"start_from": file_sha256(painter), "old_features": before.sha256, "styles": len(kept), **told}
    path = folder / "best.safetensors"
    save_checkpoint(path, packed(network.cpu()), {**checkpoint.metadata, "config": config, "refit": refit})
    share = f"{100 * told['left']:.1f} %"
    yield Step(1, 1, told, message=f"Of the codes' differences {share} are left, on styles held out.")
    return path


def _jobs(groups: Sequence[Sequence[Path]], settings: TrainInstantStyleSettings) -> list[tuple[Path, int, bool]]:
    """Pictures and which of their variants are seen, and whether they are learned from."""
    jobs = []
    for files in groups:
        # Of a folder with very many pictures (photos, say) at most twice as many as there are variants.
        some = files[:: max(1, len(files) // (2 * settings.variants))]
        for place, file in enumerate(some):
            aside = place % 10 == min(9, len(some) - 1) or any(part in file.name for part in settings.held_out)
            jobs += [(file, number, not aside) for number in range(math.ceil(settings.variants / len(some)))]
    if len({learned for _, _, learned in jobs}) < 2:
        raise TrainingError("Of the pictures some must be left to learn from, and some to measure with: give more.")
    return jobs


def _seen(
    jobs: Sequence[tuple[Path, int]], network: StyleNet, features: Features, seed: int, folder: Path
) -> Generator[Step, None, Tensor]:
    """What one network sees of them, (V, S); kept in ``folder``."""
    about = [2, seed, features.sha256, [[file.name, file.stat().st_size, number] for file, number in jobs]]
    path = folder / f"seen-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.safetensors"
    if path.is_file():
        return load_checkpoint(path).tensors["seen"]
    assert network.predictor is not None
    rows: list[Tensor] = []
    for done, (file, number) in enumerate(jobs):
        with torch.no_grad():
            picture = to_tensor(varied(file, mixed_seed(seed, "style", file.name, number)), features.scale.device)
            rows.append(network.predictor.sketch(style_moments(features, picture)).cpu())
        if done % 10 == 9:
            yield Step(done + 1, len(jobs))
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, {"seen": torch.stack(rows)}, {"styles": len(jobs)})
    return torch.stack(rows)


def _learn(
    old: StyleNet, network: StyleNet, seen: Tensor, kept: Tensor, settings: TrainInstantStyleSettings
) -> Generator[Step, None, dict[str, float]]:
    """Fit the predictor of ``network``; what share of the codes' differences from their mean is left, and before."""
    teacher, predictor = old.predictor, network.predictor
    assert teacher is not None
    assert predictor is not None
    with torch.no_grad():
        codes = teacher(seen[0])
    usual = _distance(codes[~kept], codes[kept].mean(0))

    def left() -> float:
        with torch.no_grad():
            return float(_distance(predictor(seen[1, ~kept]), codes[~kept]) / usual)

    told = {"left_untouched": left()}
    _ridge(teacher, predictor, seen, kept, left)
    told["left_ridge"] = best = left()
    state = _state(predictor)
    learning = seen[:, kept]
    generator = random_generator(mixed_seed(settings.seed, "refit"))
    steps = min(settings.steps, STEPS)
    optimizer = torch.optim.Adam(predictor.parameters(), RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(1, steps + 1):
        one, other = (torch.randint(learning.shape[1], (BATCH,), generator=generator) for _ in range(2))
        share = torch.rand(BATCH, 1, generator=generator).to(learning)
        # Half of them are one style alone.
        share = torch.where(torch.arange(BATCH)[:, None].to(share) < BATCH // 2, torch.ones_like(share), share)
        mixed = learning[:, other].lerp(learning[:, one], share)
        with torch.no_grad():
            wanted = teacher(mixed[0])
        loss = _distance(predictor(mixed[1]), wanted) / usual
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        metrics = {}
        if step % EVALUATED == 0 or step == steps:
            metrics = {"left": left(), "left_of_those_learned": float(loss.detach())}
            if metrics["left"] < best:
                best, state = metrics["left"], _state(predictor)
        yield Step(step, steps, metrics)
    predictor.load_state_dict(state)
    return {**told, "left": best}


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """The mean square of the differences of codes: of what is normalised, since colours are the painting's own."""
    return (one - other)[:, EXTRA:].square().mean()


@torch.no_grad()
def _ridge(teacher: Predictor, predictor: Predictor, seen: Tensor, kept: Tensor, left: Callable[[], float]) -> None:
    """The first layer: as near as possible to what it gave before, and to its own weights.

    What it measures by is left as it was, or noted anew; whichever leaves less.
    """
    first = predictor.body[0]
    assert isinstance(first, nn.Linear)
    wanted = teacher.body[0](teacher.standardised(seen[0, kept])).double()
    start = _state(predictor)
    best, found = left(), start
    for anew in (False, True):
        predictor.load_state_dict(start)
        if anew:
            predictor.standardise(seen[1, kept])
        x = predictor.standardised(seen[1, kept]).double()
        short = wanted - first(x.float())
        weight, bias, middle = first.weight.clone(), first.bias + short.mean(0), x.mean(0)
        x = x - middle
        covariance, towards = x.T @ x / len(x), x.T @ (short - short.mean(0)) / len(x)
        for penalty in PENALTIES:
            size = covariance.diagonal().mean().clamp(min=1e-9)
            drawn = penalty * size * torch.eye(len(covariance)).to(covariance)
            change = torch.linalg.solve(covariance + drawn, towards)
            first.weight.copy_(weight + change.T)
            first.bias.copy_(bias - middle @ change)
            if (now := left()) < best:
                best, found = now, _state(predictor)
    predictor.load_state_dict(found)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
