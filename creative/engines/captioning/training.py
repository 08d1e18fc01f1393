"""Training a captioner: from people's sentences, then from what its own sentences are worth.

First each word is predicted from the true ones before it, with label smoothing, some of them replaced by the network's
own guesses (scheduled sampling: Bengio et al., 2015, arXiv:1506.03099, in two passes at once as in Mihaylova & Martins,
2019, arXiv:1906.07651). Then it draws sentences, and those that score better than its others become likelier:
self-critical training (Rennie et al., 2016, arXiv:1612.00563) on CIDEr-D, with the mean of the other sentences as the
baseline (Luo, 2020, arXiv:2003.09971).

    path = run(train_caption("photos", TrainCaptionSettings(steps=2000), Path("out/captioner")))
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from creative.caption_metrics import bleu, cider_d, distinct_share
from creative.checkpoint import packed_as, read_metadata
from creative.data.captions import CaptionedPicture, CaptionsError, read_captions
from creative.data.scenes import draw_scene, vocabulary_of_grammar
from creative.data.words import END, CharacterVocabulary, WordVocabulary
from creative.device import choose_device
from creative.engines.captioning.decoding import Found, Rules, draw_sentences, padded, search
from creative.engines.captioning.evaluation import truth
from creative.engines.captioning.lessons import (
    PictureLessons,
    PictureRewards,
    SceneLessons,
    SceneRewards,
    collate,
    split_pictures,
)
from creative.engines.captioning.likeness import Likeness, fit_likeness
from creative.engines.captioning.networks import EYE, Trained, load_captioner, load_eye, square
from creative.engines.captioning.seen import Seen, see_pictures
from creative.engines.training import Draw, Networks, Task, TrainingError, Update, train
from creative.files import shown
from creative.images import picture_files
from creative.models.caption_encoders import Encoder, EncoderConfig, FeatureEncoder, OwnEncoder, make_encoder
from creative.models.captioner import Captioner, CaptionerConfig, View
from creative.options.caption import SCENES, TrainCaptionSettings
from creative.progress import Step

LIKENESS_SCENES = 768
"""Drawn, to learn what scenes are like."""
MOST_OTHERS = 1500
"""Pictures of other kinds that are looked at."""
RARE = -5.0
"""The logit of a concept in a place at first: most words are about few places."""
STEERED = 600
"""Pictures, or scenes, that an evaluation during training looks at."""


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
    looks = start.encoders[0].config if start else _looks(settings)
    encoder = make_encoder(looks, weights=network_weights, device=chosen)
    if isinstance(encoder, FeatureEncoder):
        looks = replace(looks, sha256=encoder.features.sha256)
    eye = load_eye(chosen)
    material: _Scenes | _Pictures
    if str(data) == SCENES:
        material = _Scenes(settings, looks)
    else:
        captioned = read_captions(Path(data), pictures=pictures)
        material = _Pictures(captioned.of("train"), captioned.of("val"), settings, looks, encoder, captioned.told())
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
    eye: Encoder,
    strangers: Sequence[Path],
    start: Trained | None,
    device: torch.device,
    resume: bool,
) -> Generator[Step, None, Path]:
    known = start.vocabulary if start else None
    training, held_out, vocabulary = yield from material.prepare(folder, known, device)
    likeness = yield from _likeness(material, folder, eye, strangers, device)
    task = Describing(training, held_out, vocabulary, settings, material.looks, likeness, material.about, start)
    last = folder / "last.safetensors"
    if resume and last.exists():
        before = read_metadata(last).get("config", {})
        if before.get("vocabulary") != json.loads(json.dumps(vocabulary.to_json())):
            raise TrainingError(
                f"{shown(last)} was trained with other words: give the captions that it was trained on, choose another "
                "folder, or start again without resuming."
            )
    return (yield from train(task, settings, folder, device=device, resume=resume))


def _likeness(
    material: _Scenes | _Pictures, folder: Path, eye: Encoder, strangers: Sequence[Path], device: torch.device
) -> Generator[Step, None, Likeness]:
    own, held_out = yield from material.looked(eye, folder, device)
    if not strangers:
        return fit_likeness(own, held_out)
    some = strangers[:: max(1, len(strangers) // MOST_OTHERS)]
    seen = yield from see_pictures(some, eye, folder / "seen", size=EYE.picture_size, device=device)
    return fit_likeness(own, held_out, _flat(seen))


# The task -----------------------------------------------------------------------------------------------------------


class Describing(Task):
    """What is trained: the next word, given the picture and those before.

    Args:
        training, held_out: lessons.
        vocabulary: of the sentences.
        settings: of the network and its training.
        looks: what it looks with.
        likeness: what its pictures are like.
        about: its data.
        start: a captioner to go on from.
    """

    lower_is_better = False

    def __init__(
        self,
        training: PictureLessons | SceneLessons,
        held_out: PictureLessons | SceneLessons,
        vocabulary: WordVocabulary,
        settings: TrainCaptionSettings,
        looks: EncoderConfig,
        likeness: Likeness | None,
        about: Mapping[str, Any],
        start: Trained | None = None,
    ) -> None:
        self.training, self.held_out, self.vocabulary = training, held_out, vocabulary
        self.settings, self.looks, self.likeness, self.about, self.start = settings, looks, likeness, about, start
        self.scenes = isinstance(training, SceneLessons)
        self.best_metric = "truth" if self.scenes else "cider_d" if len(held_out) else None
        self.channels_last = looks.kind == "own"
        self._rewards: PictureRewards | SceneRewards | None = None
        self.rules = Rules(beam=settings.beam, max_words=settings.max_words)

    def networks(self) -> Networks:
        """The network, and the encoder where it is trained too."""
        encoder = OwnEncoder(self.looks) if self.looks.kind == "own" else None
        channels = encoder.channels if encoder else cast(PictureLessons, self.training).grid(0).shape[0]
        settings = self.settings
        self.shape = CaptionerConfig(
            vocabulary_size=len(self.vocabulary),
            channels=channels,
            embedding_size=settings.embedding_size,
            memory_size=settings.memory_size,
            hidden_size=settings.hidden_size,
            num_heads=settings.num_heads,
            dropout=settings.dropout,
        )
        networks: Networks = {"captioner": Captioner(self.shape)}
        if settings.concepts:
            networks["concepts"] = nn.Conv2d(channels, len(self.vocabulary), 1)
            nn.init.constant_(cast(Tensor, networks["concepts"].bias), RARE)
        if encoder:
            networks["encoder"] = encoder
        else:
            self._standardise(_captioner(networks))
        if self.start is not None:
            _take_over(networks, self.start)
        self.live = networks
        return networks

    @torch.no_grad()
    def _standardise(self, captioner: Captioner) -> None:
        """By the mean and deviation of the grids in training."""
        lessons = cast(PictureLessons, self.training)
        stride = max(1, len(lessons) // 512)
        grids = torch.stack([lessons.grid(index) for index in range(0, len(lessons), stride)]).float()
        captioner.mean.copy_(grids.mean((0, 2, 3)))
        deviation = grids.std((0, 2, 3), correction=0)
        captioner.deviation.copy_(torch.where(deviation > 1e-6 * deviation.max(), deviation, 1.0))

    def dataset(self) -> Dataset[Any]:
        """The lessons."""
        return self.training

    def draws(self, step: int, settings: Any) -> Any:
        """Scenes one after the other, none twice; pictures in random order."""
        if not self.scenes:
            return None
        return [Draw(index, index) for index in range(step * settings.batch_size, (step + 1) * settings.batch_size)]

    def collate(self, samples: list[Any]) -> Any:
        """See ``lessons.collate``."""
        return collate(samples)

    def step(self, batch: Mapping[str, Tensor], update: Update) -> dict[str, Tensor]:
        """Learn from people's sentences, and at the end of the run from its own."""
        if update.progress >= 1 - self.settings.self_critical:
            return self._criticise(batch, update)
        captioner, grid = _captioner(self.live), self._grid(self.live, batch["grid"])
        view = captioner.look(grid)
        read = self._sampled(captioner, view, batch["read"], update)
        logits, looked = captioner(view, read)
        loss = F.cross_entropy(
            logits.float()[batch["there"]],
            batch["write"][batch["there"]],
            label_smoothing=self.settings.label_smoothing,
        )
        uneven = _unevenness(looked.float(), batch["there"])
        whole = loss + self.settings.doubly_stochastic * uneven
        told = {"loss": loss.detach(), "unevenness": uneven.detach()}
        if self.settings.concepts:
            told["concepts"] = self._concepts(grid, batch)
            whole = whole + self.settings.concepts * told["concepts"]
        update(whole)
        return told

    def _concepts(self, grid: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Which words a picture's sentences have is to be told from its places, each word from the best one for it.

        Fang et al., 2014, From Captions to Visual Concepts and Back, arXiv:1411.4952, with the maximum in place of
        their noisy OR. It teaches the encoder to see what there are words for long before sentences can.
        """
        count, size = len(grid), len(self.vocabulary)
        words = torch.where(batch["there"], batch["write"], END).view(count, -1)
        said = torch.zeros(count, size, device=words.device).scatter_(1, words, 1.0)
        seen = self.live["concepts"](grid).amax((2, 3)).float()
        return F.binary_cross_entropy_with_logits(seen, said, reduction="sum") / said.sum()

    def _look(self, networks: Networks, grid: Tensor) -> View:
        return _captioner(networks).look(self._grid(networks, grid))

    def _grid(self, networks: Networks, grid: Tensor) -> Tensor:
        """Grids as they are, or of pictures, by the encoder that is being trained."""
        return networks["encoder"](grid.float() / 255) if "encoder" in networks else grid.float()

    @torch.no_grad()
    def _sampled(self, captioner: Captioner, view: View, read: Tensor, update: Update) -> Tensor:
        """What is read, some words of it being the network's own draws at that place."""
        share = self.settings.scheduled_sampling * min(1.0, update.progress * 2)
        if not share:
            return read
        logits, _ = captioner(view, read)
        drawn = torch.multinomial(logits.float().softmax(-1).flatten(0, 1), 1, generator=update.generator)
        shifted = torch.cat([read[:, :1], drawn.view(read.shape)[:, :-1]], 1)
        mixed = torch.rand(read.shape, generator=update.generator, device=read.device) < share
        mixed[:, 0] = False
        return torch.where(mixed, shifted, read)

    def _criticise(self, batch: Mapping[str, Tensor], update: Update) -> dict[str, Tensor]:
        """Make those of its own sentences likelier that are worth more than its others about the same picture."""
        settings, captioner = self.settings, _captioner(self.live)
        view = self._look(self.live, batch["grid"])
        captioner.eval()
        with torch.no_grad():
            still = View(view.places.detach().float(), view.summary.detach().float(), view.size)
            drawn = draw_sentences([captioner], [still], self.rules, settings.samples, update.generator)
        captioner.train()
        worth = torch.tensor(self._worth(batch["picture"].tolist(), drawn), device=view.places.device)
        baseline = (worth.sum(1, keepdim=True) - worth) / (settings.samples - 1)
        flat = [found for many in drawn for found in many]
        read, write, there = padded([found.ids for found in flat], view.places.device)
        there[:, -1] &= torch.tensor([found.ended for found in flat], device=there.device) | (
            torch.tensor([len(found.ids) + 1 for found in flat], device=there.device) < there.shape[1]
        )
        logits, _ = captioner(view, read)
        chosen = logits.float().log_softmax(-1).gather(-1, write[..., None])[..., 0]
        gain = (worth - baseline).flatten()[:, None]
        loss = -(gain * chosen * there).sum() / there.sum()
        update(loss)
        return {"reward": worth.mean(), "self_critical_loss": loss.detach()}

    def _worth(self, pictures: Sequence[int], drawn: Sequence[Sequence[Found]]) -> list[list[float]]:
        if self._rewards is None:
            self._rewards = self.training.rewards()
        return [
            [self._rewards(picture, self.vocabulary.decode(found.ids)) for found in many]
            for picture, many in zip(pictures, drawn, strict=True)
        ]

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """CIDEr-D and BLEU-4 on pictures that are held out, or how many sentences are true of scenes that are."""
        if self.scenes:
            return self._truths(networks)
        lessons = cast(PictureLessons, self.held_out)
        count = min(STEERED, len(lessons))
        if not count:
            return {}
        told = self._tell(networks, [lessons.grid(index) for index in range(count)])
        candidates = dict(enumerate(told))
        references = {index: lessons.references[index] for index in candidates}
        return {
            "cider_d": cider_d(candidates, references),
            "bleu_4": bleu(candidates, references)[3],
            "distinct": distinct_share(told),
        }

    def _truths(self, networks: Networks) -> dict[str, float]:
        lessons = cast(SceneLessons, self.held_out)
        scenes = [lessons.scene(index) for index in range(STEERED // 2)]
        pictures = [torch.from_numpy(square(scene.picture(lessons.size), lessons.size)) for scene in scenes]
        found = truth(scenes, self._tell(networks, pictures))
        return {"truth": found.whole.value, "truth_of_two": found.two.value, "distinct": found.distinct}

    def _tell(self, networks: Networks, grids: Sequence[Tensor]) -> list[str]:
        captioner, told = _captioner(networks), []
        for first in range(0, len(grids), 64):
            view = self._look(networks, torch.stack(list(grids[first : first + 64])).to(self.device))
            told += [self.vocabulary.decode(found[0].ids) for found in search([captioner], [view], self.rules)]
        return told

    def sample(self, networks: Networks) -> str:
        """What it says now of some pictures."""
        lessons = self.held_out if len(self.held_out) else self.training
        if isinstance(lessons, SceneLessons):
            pictures = [square(lessons.scene(index).picture(lessons.size), lessons.size) for index in range(6)]
            return "\n".join(self._tell(networks, [torch.from_numpy(one) for one in pictures]))
        places = range(0, len(lessons), max(1, len(lessons) // 6))
        return "\n".join(self._tell(networks, [lessons.grid(place) for place in places[:6]]))

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The networks in the precision of the file, and what its pictures are like."""
        kept = {name: network for name, network in networks.items() if name != "concepts"}  # which only teach
        tensors = {f"{name}.0.{key}": one for name, net in kept.items() for key, one in net.state_dict().items()}
        stored = packed_as(self.settings.saved_as, tensors)
        return {**stored, **(self.likeness.tensors() if self.likeness else {})}

    def config(self) -> dict[str, Any]:
        """All that is needed to look and to write again."""
        return {
            "captioner": self.shape.to_json(),
            "encoder": self.looks.to_json(),
            "vocabulary": self.vocabulary.to_json(),
            "data": dict(self.about),
            "networks": 1,
        }


def _captioner(networks: Mapping[str, nn.Module]) -> Captioner:
    return cast(Captioner, networks["captioner"])


def _take_over(networks: Networks, start: Trained) -> None:
    networks["captioner"].load_state_dict(start.captioners[0].state_dict())
    if "encoder" in networks:
        networks["encoder"].load_state_dict(start.encoders[0].state_dict())


def _unevenness(looked: Tensor, there: Tensor) -> Tensor:
    """How far places are from being looked at equally long, over a whole sentence: (N, U, P), (N, U) -> a scalar.

    Differs from the doubly stochastic attention of Xu et al. (2015): a sentence of few words cannot look at each place
    of a fine grid once, so each is to get its share of the words.
    """
    share = (looked * there[..., None]).sum(1) / there.sum(1, keepdim=True)
    return ((share * looked.shape[-1] - 1) ** 2).mean()
