"""How good translations are: how near they come to the wanted kind, what they keep of the picture, what they spoil."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image
from torch import Tensor

from creative.blocks.gan import GANError
from creative.data.pictures import centre_crops
from creative.data.unpaired import Domain, find_domains, pack_domains
from creative.device import choose_device, random_generator
from creative.engines.cyclegan.distances import (
    CONTENT,
    JUDGED,
    Ruler,
    checkerboard,
    content_distance,
    describe,
    grain,
    matched_colours,
)
from creative.engines.cyclegan.report import Quality, Report, Yardsticks
from creative.engines.cyclegan.sheet import sheet
from creative.engines.cyclegan.training import translate_all
from creative.files import file_sha256, plain_name
from creative.models.cyclegan import Direction, load_generator, read_config
from creative.models.features import Features, load_features
from creative.options.cyclegan import EvaluateCycleGANSettings
from creative.options.features import BUNDLED
from creative.progress import Step
from creative.provenance import describe_run
from creative.weights import find, locate

JUDGE = "squeezenet1_0"
"""A network of others that training has not looked through."""
SHOWN = 8
"""Pictures in a row of the sheet."""


def evaluate_cyclegan(
    a: Path,
    b: Path,
    settings: EvaluateCycleGANSettings | None = None,
    *,
    weights: Path | None = None,
    judge: Path | None = None,
    cache: Path = Path("out/evaluate-cyclegan"),
    sheet_file: Path | None = None,
    device: str = "auto",
) -> Generator[Step, None, Report]:
    """Measure the bundled photo2monet, or the networks in a file, on held-out pictures.

    Translations are compared with held-out pictures of the wanted kind, and so are three yardsticks: the untouched
    pictures; these with the colour statistics of pictures of the wanted kind; and pictures of that kind which were
    learned from, which is the floor.

        report = run(evaluate_cyclegan(Path("photo"), Path("monet")))
        print(report.text)

    Args:
        a, b: folders of pictures; held out are those in folders ``test`` or ``val``, else every tenth.
        settings: how many, how large.
        weights: a file made by ``train_cyclegan``; None: the bundled one.
        judge: weights of torchvision's squeezenet1_0; None: where they are found, else it does not judge.
        cache: folder for the decoded pictures.
        sheet_file: a picture file for photos, translations and the way back.
        device: where to compute.

    Raises:
        PicturesError, WeightsError, GANError, CheckpointError, FeaturesError: at once, if something is missing.
    """
    settings, place = settings or EvaluateCycleGANSettings(), choose_device(device)
    domains = find_domains(a, b)
    file = find("photo2monet") if weights is None else Path(weights)
    config = read_config(file)
    directions: list[Direction] = ["a_to_b", "b_to_a"] if settings.backwards else ["a_to_b"]
    generators: dict[Direction, torch.nn.Module] = {}
    for direction in directions:
        try:
            generators[direction] = load_generator(file, direction, device=place)
        except GANError:
            if direction == "a_to_b":
                raise
    eyes = {BUNDLED: load_features(layers=JUDGED[BUNDLED], device=place)}
    if judge is not None or locate(JUDGE) is not None:
        eyes[JUDGE] = load_features(JUDGE, layers=JUDGED[JUDGE], weights=judge, device=place)
    report = Report(plain_name(file), file_sha256(file), (config.domain_a, config.domain_b))
    report.provenance = describe_run(
        "evaluate cyclegan",
        settings,
        weights={"cyclegan": report.sha256, **{name: features.sha256 for name, features in eyes.items()}},
        device=place,
    )
    return _evaluate(_Subject(domains, settings, generators, eyes, Path(cache), sheet_file, place), report)


@dataclass
class _Subject:
    domains: tuple[Domain, Domain]
    settings: EvaluateCycleGANSettings
    generators: Mapping[Direction, torch.nn.Module]
    eyes: dict[str, Features]
    cache: Path
    sheet_file: Path | None
    device: torch.device
    rows: list[Tensor] = field(default_factory=list)


def _evaluate(subject: _Subject, report: Report) -> Generator[Step, None, Report]:
    total = len(subject.generators) * (2 + len(subject.eyes))
    preview: Callable[[], Report] = lambda: report  # noqa: E731
    yield Step(0, total, message="Decoding pictures.")
    settings, (a, b) = subject.settings, subject.domains
    held_out = yield from pack_domains(
        _some(a.held_out, settings.pictures), _some(b.held_out, settings.pictures), subject.cache, size=settings.size
    )
    learned = yield from pack_domains(
        _some(a.training, settings.floor), _some(b.training, settings.floor), subject.cache, size=settings.size
    )
    own, known = (
        {name: centre_crops(packed, settings.size).to(subject.device) for name, packed in zip("ab", pair, strict=True)}
        for pair in (held_out, learned)
    )
    report.size, report.counts = settings.size, (len(own["a"]), len(own["b"]))
    done = 0
    for direction, generator in subject.generators.items():
        source, target = direction[0], direction[-1]
        yield Step(done, total, report.metrics(), preview, f"Translating {len(own[source])} pictures, {direction}.")
        translated = translate_all(generator, own[source])
        back = None
        if len(subject.generators) == 2:
            other: Direction = "b_to_a" if direction == "a_to_b" else "a_to_b"
            back = translate_all(subject.generators[other], translated)
        subject.rows += [own[source][:SHOWN], translated[:SHOWN], *([back[:SHOWN]] if back is not None else [])]
        done += 1
        yield Step(done, total, report.metrics(), preview)
        coloured = matched_colours(own[source], _drawn(known[target], len(own[source]), settings.seed))
        for name, features in subject.eyes.items():
            report.yardsticks[direction, name] = _yardsticks(
                name, features, own[source], coloured, translated, own[target], known[target]
            )
            done += 1
            yield Step(done, total, report.metrics(), preview)
        report.qualities[direction] = _quality(subject.eyes[BUNDLED], own[source], translated, back, own[target])
        done += 1
        yield Step(done, total, report.metrics(), preview)
    report.picture = sheet(subject.rows)
    if subject.sheet_file is not None:
        _save(report.picture, subject.sheet_file)
    return report


def _some(files: Sequence[Path], most: int) -> list[Path]:
    stride = max(1, len(files) // most)
    return list(files[::stride][:most])


def _drawn(pictures: Tensor, count: int, seed: int) -> Tensor:
    """So many of the pictures, drawn at random, none twice as long as there are enough."""
    generator = random_generator(seed)
    order = torch.cat([torch.randperm(len(pictures), generator=generator) for _ in range(-(-count // len(pictures)))])
    return pictures[order[:count].to(pictures.device)]


def _yardsticks(
    network: str,
    features: Features,
    pictures: Tensor,
    coloured: Tensor,
    translated: Tensor,
    wanted: Tensor,
    known: Tensor,
) -> Yardsticks:
    untouched, target = describe(features, pictures), describe(features, wanted)
    ruler = Ruler.between(network, untouched, target)
    found: dict[str, tuple[float, float]] = {}
    for name, values in (
        ("untouched", untouched),
        ("colours", describe(features, coloured)),
        ("translated", describe(features, translated)),
    ):
        found[name] = ruler.kernel(values, target), ruler.frechet(values, target)
    # As many at a time as are translated, since the Fréchet distance of few is larger than that of many.
    parts = [part for part in describe(features, known).split(len(pictures)) if len(part) == len(pictures)]
    parts = parts or [describe(features, known)]
    found["floor"] = (
        fmean(ruler.kernel(part, target) for part in parts),
        fmean(ruler.frechet(part, target) for part in parts),
    )
    return Yardsticks(
        kernel={name: values[0] for name, values in found.items()},
        frechet={name: values[1] for name, values in found.items()},
    )


def _quality(features: Features, pictures: Tensor, translated: Tensor, back: Tensor | None, wanted: Tensor) -> Quality:
    layer = CONTENT[BUNDLED]
    return Quality(
        content=content_distance(features, pictures, translated, layer),
        content_of_another=content_distance(features, pictures, pictures.roll(1, 0), layer),
        checkerboard=(checkerboard(pictures), checkerboard(translated), checkerboard(wanted)),
        grain=(grain(pictures), grain(translated), grain(wanted)),
        change=float((translated - pictures).abs().mean()),
        round_trip=None if back is None else float((back - pictures).abs().mean()),
    )


def _save(picture: Image.Image, path: Path) -> None:
    from creative.images import save_image

    save_image(picture, path)
