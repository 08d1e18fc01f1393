"""Training a captioner: what it learns from, and how that becomes a file; ``learning`` says how it learns.

path = run(train_caption("photos", TrainCaptionSettings(steps=2000), Path("out/captioner")))
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creative.checkpoint import read_metadata
from creative.data.captions import CaptionedPicture, CaptionsError, read_captions
from creative.data.scenes import draw_scene, vocabulary_of_grammar
from creative.data.words import CharacterVocabulary, WordVocabulary
from creative.device import choose_device
from creative.engines.captioning.learning import Describing
from creative.engines.captioning.lessons import (
    PictureLessons,
    SceneLessons,
    split_pictures,
)
from creative.engines.captioning.likeness import Likeness, fit_likeness
from creative.engines.captioning.networks import EYE, Trained, load_captioner, load_eye, square
from creative.engines.captioning.seen import Seen, see_pictures
from creative.engines.training import TrainingError, check_run, train
from creative.files import shown
from creative.images import picture_files
from creative.models.caption_encoders import Encoder, EncoderConfig, FeatureEncoder, make_encoder
from creative.options.caption import SCENES, TrainCaptionSettings
from creative.progress import Step

LIKENESS_SCENES = 768
"""Drawn, to learn what scenes are like."""
MOST_OTHERS = 1500
"""Pictures of other kinds that are looked at."""


def train_caption(
    data: str | Path,
    settings: TrainCaptionSettings | None = None,
    folder: Path = Path("out/train-caption"),
    *,
    pictures: Path | None = None,
    others: Sequence[Path] = (),
    start_from: str | Path | None = None,
    network_weights: Path | None = None,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train a captioner; returns the file of the finished one.

    What a frozen encoder sees is worked out once and kept in ``folder``; pictures that cannot be read are skipped,
    counted and named.

    Args:
        data: a folder or file of captions in any of the layouts of ``read_captions``, or ``scenes``.
        settings: of the network and its training.
        folder: for checkpoints, metrics.csv and what was seen; a run that was stopped goes on from there.
        pictures: where the pictures are, if not beside the captions.
        others: folders of other pictures, to learn what it does not know.
        start_from: a captioner to go on from; its network, encoder and vocabulary are kept.
        network_weights: of the feature network; found if not given.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        CaptionsError: at once: there are no captions, or too few to learn from.
        CaptionerError, FeaturesError, WeightsError: at once: an encoder or a captioner that cannot be.
        TrainingError: settings that cannot work, or another run's in ``folder``.
    """
    settings, folder, chosen = settings or TrainCaptionSettings(), Path(folder), choose_device(device)
    start = load_captioner(start_from, device="cpu") if start_from else None
    if start is not None:
        settings = _of_start(settings, start)
    check_run(settings, folder, resume=resume)
    looks = start.encoders[0].config if start else _looks(settings)
    encoder = make_encoder(looks, weights=network_weights, device=chosen)
    if isinstance(encoder, FeatureEncoder):
        looks = replace(looks, sha256=encoder.features.sha256)
    eye = load_eye(chosen)
    material = material_of(data, settings, looks, encoder, pictures)
    strangers = picture_files([Path(one) for one in others]) if others else []
    return _train(material, settings, folder, eye, strangers, start, chosen, resume)


def _looks(settings: TrainCaptionSettings) -> EncoderConfig:
    if settings.encoder == "own":
        return EncoderConfig(
            "own", picture_size=settings.picture_size, grid=settings.grid, width=settings.encoder_width
        )
    return EncoderConfig("features", settings.network, tuple(settings.layers), settings.picture_size, settings.grid)


def _of_start(settings: TrainCaptionSettings, start: Trained) -> TrainCaptionSettings:
    """The settings, but for what the captioner that is gone on from decides."""
    if len(start.captioners) > 1:
        raise TrainingError(f"{start.name} is several networks that write together: go on from one of them.")
    shape, looks = start.captioners[0].config, start.encoders[0].config
    return settings.changed(
        encoder=looks.kind,
        picture_size=looks.picture_size,
        grid=looks.grid,
        units=start.vocabulary.units,
        embedding_size=shape.embedding_size,
        hidden_size=shape.hidden_size,
        memory_size=shape.memory_size,
        num_heads=shape.num_heads,
    )


# Material -----------------------------------------------------------------------------------------------------------


def material_of(
    data: str | Path,
    settings: TrainCaptionSettings,
    looks: EncoderConfig,
    encoder: Encoder,
    pictures: Path | None = None,
) -> _Scenes | _Pictures:
    """What a captioner learns from; the arguments are those of ``train_caption``, and what it looks with."""
    if str(data) == SCENES:
        return _Scenes(settings, looks)
    captioned = read_captions(Path(data), pictures=pictures)
    return _Pictures(captioned.of("train"), captioned.of("val"), settings, looks, encoder, captioned.told())


class _Pictures:
    """Captioned pictures, to learn from and to steer by."""

    def __init__(
        self,
        training: Sequence[CaptionedPicture],
        held_out: Sequence[CaptionedPicture],
        settings: TrainCaptionSettings,
        looks: EncoderConfig,
        encoder: Encoder,
        told: str,
    ) -> None:
        if len(training) < 2:
            raise CaptionsError(f"There are {len(training)} captioned pictures to train on; at least 2 are needed.")
        if settings.held_out:
            training, held_out = split_pictures({"train": training, "val": held_out})
        else:
            training, held_out = [*training, *held_out], []
        if not held_out and settings.held_out and len(training) > 1:
            training, held_out = training[:-1], training[-1:]
        self.training, self.held_out, self.told = list(training), list(held_out), told
        self.settings, self.looks, self.encoder = settings, looks, encoder
        self.about = {"kind": "pictures", "pictures": len(training), "held_out": len(held_out)}

    def prepare(
        self, folder: Path, vocabulary: WordVocabulary | None, device: torch.device
    ) -> Generator[Step, None, tuple[PictureLessons, PictureLessons, WordVocabulary]]:
        """Look at all pictures, and number all words."""
        yield Step(0, message=self.told)
        settings = self.settings
        every = [*self.training, *self.held_out]
        frozen = self.encoder if self.looks.kind == "features" else None
        seen = yield from see_pictures(
            [one.path for one in every],
            frozen,
            folder / "seen",
            size=self.looks.picture_size,
            views=settings.views,
            device=device,
        )
        kind = WordVocabulary if settings.units == "words" else CharacterVocabulary
        told = (sentence for one in self.training for sentence in one.sentences)
        vocabulary = vocabulary or kind.of(told, min_count=settings.min_count)
        edge = len(self.training)
        rows = [[row for row, place in enumerate(seen.places) if (place < edge) == first] for first in (True, False)]
        if len(rows[0]) < 2:
            raise CaptionsError(f"Of the pictures to train on only {len(rows[0])} can be read; at least 2 are needed.")
        lessons = [
            PictureLessons(
                [every[seen.places[row]] for row in part],
                seen,
                part,
                vocabulary,
                each=settings.sentences,
                max_words=settings.max_words,
                views=settings.views,
            )
            for part in rows
        ]
        return lessons[0], lessons[1], vocabulary

    def looked(self, eye: Encoder, folder: Path, device: torch.device) -> Generator[Step, None, tuple[Tensor, Tensor]]:
        """The eye's features of both parts."""
        parts = []
        for part in (self.training, self.held_out):
            if not part:
                parts.append(torch.zeros(0, eye.channels))
                continue
            seen = yield from see_pictures(
                [one.path for one in part], eye, folder / "seen", size=EYE.picture_size, device=device
            )
            parts.append(_flat(seen))
        return parts[0], parts[1]


class _Scenes:
    """Scenes, drawn as it goes."""

    about: Mapping[str, Any] = {"kind": "scenes"}
    told = "Scenes are drawn as it goes."

    def __init__(self, settings: TrainCaptionSettings, looks: EncoderConfig) -> None:
        if looks.kind != "own":
            raise TrainingError("Scenes are drawn anew at every step, and need an encoder of their own: encoder own.")
        self.settings, self.looks = settings, looks

    def prepare(
        self, folder: Path, vocabulary: WordVocabulary | None, device: torch.device
    ) -> Generator[Step, None, tuple[SceneLessons, SceneLessons, WordVocabulary]]:
        """All words of the grammar."""
        yield Step(0, message=self.told)
        settings = self.settings
        vocabulary = vocabulary or WordVocabulary.of(vocabulary_of_grammar())
        size, each = settings.picture_size, settings.sentences
        parts = [
            SceneLessons(vocabulary, size=size, each=each, part=part, seed=settings.seed)
            for part in ("training", "validation")
        ]
        return parts[0], parts[1], vocabulary

    def looked(self, eye: Encoder, folder: Path, device: torch.device) -> Generator[Step, None, tuple[Tensor, Tensor]]:
        """The eye's features of drawn scenes."""
        parts: list[Tensor] = []
        for part, count in (("training", LIKENESS_SCENES), ("validation", LIKENESS_SCENES // 4)):
            rows = []
            for first in range(0, count, 32):
                yield Step(first, count)
                pictures = [
                    draw_scene(seed, part=part).picture(EYE.picture_size)
                    for seed in range(first, min(first + 32, count))
                ]
                x = torch.stack([torch.from_numpy(square(one, EYE.picture_size)) for one in pictures]).float() / 255
                with torch.no_grad():
                    rows.append(eye(x.to(device)).flatten(1).cpu())
            parts.append(torch.cat(rows))
        return parts[0], parts[1]


def _flat(seen: Seen) -> Tensor:
    return torch.from_numpy(seen.grids[0, : len(seen)].astype("float32")).flatten(1)


def _train(
    material: _Scenes | _Pictures,
    settings: TrainCaptionSettings,
    folder: Path,
    eye: FeatureEncoder,
    strangers: Sequence[Path],
    start: Trained | None,
    device: torch.device,
    resume: bool,
) -> Generator[Step, None, Path]:
    known = start.vocabulary if start else None
    training, held_out, vocabulary = yield from material.prepare(folder, known, device)
    likeness = yield from fit_to(material, folder, eye, strangers, device)
    task = Describing(
        training, held_out, vocabulary, settings, material.looks, likeness, material.about, start, eye.features.sha256
    )
    last = folder / "last.safetensors"
    if resume and last.exists():
        before = read_metadata(last).get("config", {})
        if before.get("vocabulary") != json.loads(json.dumps(vocabulary.to_json())):
            raise TrainingError(
                f"{shown(last)} was trained with other words: give the captions that it was trained on, choose another "
                "folder, or start again without resuming."
            )
    return (yield from train(task, settings, folder, device=device, resume=resume))


def fit_to(
    material: _Scenes | _Pictures, folder: Path, eye: Encoder, strangers: Sequence[Path], device: torch.device
) -> Generator[Step, None, Likeness]:
    """What the material is like to the eye, beside strangers."""
    own, held_out = yield from material.looked(eye, folder, device)
    if not strangers:
        return fit_likeness(own, held_out)
    some = strangers[:: max(1, len(strangers) // MOST_OTHERS)]
    seen = yield from see_pictures(some, eye, folder / "seen", size=EYE.picture_size, device=device)
    return fit_likeness(own, held_out, _flat(seen))
