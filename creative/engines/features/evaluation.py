"""How good a feature network is: what it recognises, knows of its teachers, costs, draws, tells apart and paints."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from creative.data.pictures import centre_crops, find_pictures, pack_pictures, split_pictures
from creative.device import choose_device
from creative.engines.features.cost import measure_cost
from creative.engines.features.drawings import Artist, chosen_channels, chosen_classes, draw_and_judge
from creative.engines.features.explained import explained_variance
from creative.engines.features.hints import HINTS, hint_layers, teacher_names
from creative.engines.features.probe import Scenes, find_scenes, probe_scenes
from creative.engines.features.recognition import recognise
from creative.engines.features.report import Evaluation
from creative.engines.features.styles import JUDGE_LAYERS, Painter, score_styles
from creative.files import file_sha256
from creative.models.features import (
    Classifier,
    Features,
    FeaturesError,
    load_classifier,
    load_features,
    untrained_features,
)
from creative.options.features import BUNDLED, EvaluateFeaturesSettings, Measurement
from creative.progress import Step
from creative.provenance import describe_run

SPEED_LAYERS = {
    "squeezenet1_0": ("relu1", "fire3", "fire5", "fire7", "fire9"),
    "vgg19": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
}
"""The layers whose maps and gradients are timed: those that style transfer uses; of ours, each stage's first."""
JUDGE = "mobilenet_v2"
"""The teacher that looks at drawings: the better of the two."""


@dataclass(frozen=True)
class Material:
    """What a network is measured with; what is not given is not measured.

    Attributes:
        data: the folders that it was trained on.
        pairs: photos and paintings.
        painters: what paints them, by name; the teacher SqueezeNet judges.
        artists: what draws classes, by name, the network itself first; the teacher MobileNet judges.
        scenes: a folder of pictures of several kinds, see ``find_scenes``.
        untrained: a file of a network of the same shape with random weights (``save_untrained``).
    """

    data: Sequence[Path] = ()
    pairs: Sequence[tuple[Image.Image, Image.Image]] = ()
    painters: Mapping[str, Painter] = field(default_factory=dict)
    artists: Mapping[str, Artist] = field(default_factory=dict)
    scenes: Path | None = None
    untrained: Path | None = None

    def lacks(self) -> dict[Measurement, str]:
        """What cannot be measured, and what it would need."""
        needs: dict[Measurement, tuple[object, str]] = {
            "recognition": (self.data, "--data, the folders that it was trained on"),
            "maps": (self.data, "--data, the folders that it was trained on"),
            "drawings": (self.artists, "something to draw with"),
            "scenes": (self.scenes, "--scenes, a folder of pictures of several kinds"),
            "styles": (self.pairs and self.painters, "--photos and as many --paintings"),
        }
        return {name: words for name, (given, words) in needs.items() if not given}


def evaluate_features(
    material: Material,
    settings: EvaluateFeaturesSettings | None = None,
    *,
    network: Path | None = None,
    teachers: Mapping[str, Path | None] | None = None,
    cache: Path = Path("out/evaluate-features"),
    device: str = "auto",
) -> Generator[Step, None, Evaluation]:
    """Measure the bundled feature network, or the one in a file.

    ``recognition``: on the photos that training holds out, how often its first choice is right, and the teachers'.
    ``maps``: how much of the teachers' maps, standardised per channel, a 1×1 regression from its maps explains there.
    ``cost``: time and memory of a forward and backward pass beside squeezenet1_0 and vgg19, with any weights.
    ``drawings``: what a teacher sees in drawings of classes made with it.
    ``scenes``: how well kinds of pictures are told by a ridge regression on the means of its last map.
    ``styles``: style transfer with it beside SqueezeNet and random weights.

        report = run(evaluate_features(Material(scenes=Path("aerial_captions"))))
        print(report.text)

    Args:
        material: what to measure with.
        settings: what to measure, sizes.
        network: a file made by ``train_features``; None: the bundled one.
        teachers: weights files by the teacher's name; None finds them.
        cache: a folder for decoded pictures and what was seen in the scenes.
        device: where to compute.

    Raises:
        PicturesError, WeightsError, FeaturesError: at once, if something is missing.
    """
    settings = settings or EvaluateFeaturesSettings()
    lacks = material.lacks()
    for name in settings.only:
        if name in lacks:
            raise FeaturesError(f"To measure {name}, {lacks[name]} must be given.")
    wanted = [name for name in settings.measured() if name not in lacks]
    left_out = [f"{name} (give {lacks[name]})" for name in settings.measured() if name in lacks]
    place = choose_device(device)
    subject = _Subject(material, settings, wanted, network, teachers or {}, Path(cache), place)
    return _evaluate(subject, f"Not measured: {', '.join(left_out)}." if left_out else None)


class _Subject:
    """The network with everything that it is measured with, loaded and found to be there."""

    def __init__(
        self,
        material: Material,
        settings: EvaluateFeaturesSettings,
        wanted: list[Measurement],
        network: Path | None,
        teachers: Mapping[str, Path | None],
        cache: Path,
        device: torch.device,
    ) -> None:
        self.material, self.settings, self.wanted = material, settings, wanted
        self.cache, self.device = cache, device
        self.files: tuple[list[Path], list[Path]] = ([], [])
        if {"recognition", "maps"} & set(wanted):
            train, held_out = split_pictures(find_pictures([Path(path) for path in material.data]))
            self.files = train[:: max(1, len(train) // settings.fit_pictures)], held_out
        self.scenes: Scenes | None = None
        if "scenes" in wanted:
            assert material.scenes is not None
            self.scenes = find_scenes(material.scenes)
        layers = sorted({hint.student for hint in HINTS}) if "maps" in wanted else []
        self.student = load_classifier(BUNDLED, layers=layers, weights=network, device=device)
        self.teachers: dict[str, Classifier] = {}
        for name in teacher_names():
            judges = name == JUDGE and "drawings" in wanted
            if judges or {"recognition", "maps", "scenes"} & set(wanted):
                self.teachers[name] = load_classifier(
                    name, layers=hint_layers(name), weights=teachers.get(name), device=device
                )
        self.style_judge: Features | None = None
        if "styles" in wanted:
            self.style_judge = load_features(
                "squeezenet1_0", layers=JUDGE_LAYERS, weights=teachers.get("squeezenet1_0"), device=device
            )


def _evaluate(subject: _Subject, notice: str | None) -> Generator[Step, None, Evaluation]:
    total = len(subject.wanted)
    features, settings = subject.student.features, subject.settings
    assert features.weights is not None
    found = Evaluation(features.weights_name, file_sha256(features.weights))
    yield Step(0, total, message=notice)
    found.provenance = describe_run(
        "evaluate features", settings, weights={BUNDLED: features.sha256}, device=subject.device
    )
    for done, name in enumerate(subject.wanted):
        yield Step(done, total, found.metrics(), lambda: found, message=f"Measuring: {name}.")
        part = 0.0  # a measurement may consist of several jobs, each with its own steps
        for step in _MEASUREMENTS[name](subject, found):
            part = max(part, min(1.0, step.share or 0.0))
            yield Step(done, total, found.metrics(), lambda: found, step.message, (done + part) / total)
    yield Step(total, total, found.metrics(), lambda: found)
    return found


Measuring = Generator[Step, None, None]


def _recognition(subject: _Subject, found: Evaluation) -> Measuring:
    held_out = yield from pack_pictures(subject.files[1], subject.cache, short_side=256)
    found.recognition = recognise(subject.student, subject.teachers, held_out, subject.settings.sizes, subject.device)


def _maps(subject: _Subject, found: Evaluation) -> Measuring:
    fit_files, held_out_files = subject.files
    train = yield from pack_pictures(fit_files, subject.cache, short_side=256)
    rest = yield from pack_pictures(held_out_files, subject.cache, short_side=256)
    fit, held_out = (centre_crops(packed, subject.settings.map_size).to(subject.device) for packed in (train, rest))
    found.explained = explained_variance(subject.student, subject.teachers, fit, held_out)
    found.explained_on = (len(fit), len(held_out), subject.settings.map_size)


def _cost(subject: _Subject, found: Evaluation) -> Measuring:
    own = subject.student.features
    first = [name for name in own.chain if name.startswith("relu") and name.endswith("_1")]
    networks = {BUNDLED: lambda: load_features(layers=first, weights=own.weights, device=subject.device)}
    for name, layers in SPEED_LAYERS.items():
        networks[name] = lambda name=name, layers=layers: untrained_features(  # type: ignore[misc]
            name, layers=layers, device=subject.device
        )
    for done, (name, load) in enumerate(networks.items()):
        yield Step(done, len(networks))
        found.costs[name] = measure_cost(load(), subject.settings.speed_size, subject.settings.repeats)
    found.speed_size = subject.settings.speed_size


def _drawings(subject: _Subject, found: Evaluation) -> Measuring:
    artists = subject.material.artists
    found.drawn = yield from draw_and_judge(
        artists,
        subject.student.classes,
        subject.teachers[JUDGE],
        numbers=chosen_classes(subject.student.classes, subject.settings.drawings),
        channels={next(iter(artists)): chosen_channels(subject.student, subject.settings.channels)},
    )
    found.drawing_size = subject.settings.drawing_size


def _scenes(subject: _Subject, found: Evaluation) -> Measuring:
    assert subject.scenes is not None
    networks = {BUNDLED: subject.student, **subject.teachers}
    if subject.material.untrained is not None:
        networks["random weights"] = load_classifier(BUNDLED, weights=subject.material.untrained, device=subject.device)
    found.scenes = yield from probe_scenes(
        subject.scenes, networks, subject.cache, size=subject.settings.scene_size, device=subject.device
    )
    found.scene_kinds, found.scene_size = len(subject.scenes.kinds), subject.settings.scene_size


def _styles(subject: _Subject, found: Evaluation) -> Measuring:
    assert subject.style_judge is not None
    material = subject.material
    found.styles = yield from score_styles(material.pairs, material.painters, subject.style_judge)
    found.pairs, found.paint_size = len(material.pairs), subject.settings.paint_size


_MEASUREMENTS: dict[str, Callable[[_Subject, Evaluation], Measuring]] = {
    "recognition": _recognition,
    "maps": _maps,
    "cost": _cost,
    "drawings": _drawings,
    "scenes": _scenes,
    "styles": _styles,
}
