"""How a captioner learns: from people's sentences, then from what its own sentences are worth.

First each word is predicted from the true ones before it, with label smoothing, some of them replaced by the network's
own guesses (scheduled sampling: Bengio et al., 2015, arXiv:1506.03099, in two passes at once as in Mihaylova & Martins,
2019, arXiv:1906.07651). Then it draws sentences, and those that score better than its others become likelier:
self-critical training (Rennie et al., 2016, arXiv:1612.00563) on CIDEr-D, with the mean of the other sentences as the
baseline (Luo, 2020, arXiv:2003.09971).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from creative.caption_metrics import bleu, cider_d, distinct_share
from creative.checkpoint import packed_as
from creative.data.words import END, WordVocabulary
from creative.engines.captioning.decoding import Found, Rules, draw_sentences, padded, search
from creative.engines.captioning.evaluation import truth
from creative.engines.captioning.lessons import (
    PictureLessons,
    PictureRewards,
    SceneLessons,
    SceneRewards,
    collate,
)
from creative.engines.captioning.likeness import Likeness
from creative.engines.captioning.networks import Trained, square
from creative.engines.training import Draw, Networks, Task, Update
from creative.models.caption_encoders import EncoderConfig, OwnEncoder
from creative.models.captioner import Captioner, CaptionerConfig, View
from creative.options.caption import TrainCaptionSettings

RARE = -5.0
"""The logit of a concept in a place at first: most words are about few places."""
STEERED = 600
"""Pictures, or scenes, that an evaluation during training looks at."""


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
        eye: SHA-256 of the feature network that the likeness is of.
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
        eye: str = "",
    ) -> None:
        self.training, self.held_out, self.vocabulary = training, held_out, vocabulary
        self.settings, self.looks, self.likeness, self.about, self.start = settings, looks, likeness, about, start
        self.eye = eye
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
            "eye": self.eye,
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
