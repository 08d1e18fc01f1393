"""What a captioner learns from: grids or pictures with sentences about them, drawn anew at every step.

A lesson is a picture's grid, some of its sentences as numbers, and which picture it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from creative.caption_metrics import Cider, Frequencies
from creative.data.captions import CaptionedPicture
from creative.data.draws import Draw, mixed_seed
from creative.data.scenes import Scene, SentenceError, draw_scene, read_sentence
from creative.data.words import WordVocabulary
from creative.device import random_generator
from creative.engines.captioning.decoding import Ids, padded
from creative.engines.captioning.networks import square
from creative.engines.captioning.seen import Seen, turned

Lesson = dict[str, Any]

NUM_SCENES = 1 << 40
"""Of which training draws: as good as without end."""


def plain(vocabulary: WordVocabulary, sentence: str) -> str:
    """A sentence as it is measured: its words, or characters, with single blanks between words."""
    return (
        " ".join(vocabulary.units_of(sentence))
        if vocabulary.units == "words"
        else "".join(vocabulary.units_of(sentence))
    )


class PictureLessons(Dataset[Lesson]):
    """Captioned pictures that were looked at once.

    Args:
        pictures: those that could be read.
        seen: what is kept of these and perhaps of others.
        rows: where it is kept, for each of them.
        vocabulary: of the sentences.
        each: sentences of a picture in a lesson.
        max_words: of a sentence; longer ones are cut.
        views: how many there are; of pictures themselves each is made when it is asked for.
    """

    def __init__(
        self,
        pictures: Sequence[CaptionedPicture],
        seen: Seen,
        rows: Sequence[int],
        vocabulary: WordVocabulary,
        *,
        each: int,
        max_words: int,
        views: int,
    ) -> None:
        self.seen, self.rows, self.each, self.views = seen, list(rows), each, views
        self.ids: list[list[Ids]] = [
            [_cut(vocabulary.encode(sentence), max_words) for sentence in picture.sentences] for picture in pictures
        ]
        self.references = [tuple(plain(vocabulary, one) for one in picture.sentences) for picture in pictures]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, draw: Draw) -> Lesson:
        generator = random_generator(draw.seed)
        view = int(torch.randint(self.views, (), generator=generator))
        chosen = _some(self.ids[draw.index], self.each, generator)
        return {"grid": self.grid(draw.index, view), "ids": chosen, "picture": draw.index}

    def grid(self, index: int, view: int = 0) -> Tensor:
        """What is kept of one picture: (C, h, w), or uint8 (3, S, S)."""
        views, index = self.seen.grids, self.rows[index]
        if views.shape[0] == 1:  # pictures, or grids of one view
            kept = torch.from_numpy(np.array(views[0, index]))
            return turned(kept, view).contiguous() if kept.dtype == torch.uint8 else kept
        return torch.from_numpy(np.array(views[view, index]))

    def rewards(self) -> PictureRewards:
        """CIDEr-D of any sentence for any of the pictures."""
        references = dict(enumerate(self.references))
        return PictureRewards(Cider(references, frequencies=Frequencies.of(references)))


class SceneLessons(Dataset[Lesson]):
    """Scenes, drawn as they are asked for.

    Args:
        vocabulary: of the grammar.
        size: side of the pictures.
        each: sentences of a scene.
        part: of all scenes; see ``draw_scene``.
        seed: of the run: with the same one the same scenes.
    """

    def __init__(
        self, vocabulary: WordVocabulary, *, size: int, each: int, part: str = "training", seed: int = 0
    ) -> None:
        self.vocabulary, self.size, self.each, self.part, self.seed = vocabulary, size, each, part, seed

    def __len__(self) -> int:
        return NUM_SCENES

    def scene(self, index: int) -> Scene:
        """The scene of a number."""
        return draw_scene(mixed_seed(self.seed, "scene", index) % (1 << 62), part=self.part)

    def __getitem__(self, draw: Draw) -> Lesson:
        scene = self.scene(draw.index)
        told = scene.sentences(self.each)
        told = [told[number % len(told)] for number in range(self.each)]
        grid = torch.from_numpy(square(scene.picture(self.size), self.size))
        return {"grid": grid, "ids": [_cut(self.vocabulary.encode(one), 200) for one in told], "picture": draw.index}

    def rewards(self) -> SceneRewards:
        """Whether a sentence is true of a scene, and says enough."""
        return SceneRewards(self)


@dataclass
class PictureRewards:
    """CIDEr-D, with the n-grams' frequencies in the training set."""

    cider: Cider[int]

    def __call__(self, picture: int, sentence: str) -> float:
        """Of one sentence, in [0, 10]."""
        return self.cider.score(picture, sentence)


@dataclass
class SceneRewards:
    """1 for a sentence that is true, names shape and colour of all it speaks of, and says how two things stand."""

    lessons: SceneLessons

    def __call__(self, picture: int, sentence: str) -> float:
        """Of one sentence, 0 or 1."""
        scene = self.lessons.scene(picture)
        try:
            read = read_sentence(sentence)
        except SentenceError:
            return 0.0
        full = scene.kind == "many" or all(item.noun.shape and item.noun.colour for item in read.items)
        related = scene.kind not in {"two", "touching"} or read.relation is not None
        return float(full and related and scene.is_true(read))


def collate(lessons: Sequence[Lesson]) -> dict[str, Tensor]:
    """A batch: grids (B, ...), words read and to be written (B · S, U), where there are any, and which pictures."""
    read, write, there = padded([ids for lesson in lessons for ids in lesson["ids"]])
    grids = torch.stack([lesson["grid"] for lesson in lessons])
    pictures = torch.tensor([lesson["picture"] for lesson in lessons])
    return {"grid": grids, "read": read, "write": write, "there": there, "picture": pictures}


def _cut(ids: Tensor, max_words: int) -> Ids:
    """Without start and end, and not too long."""
    return tuple(ids[1:-1][:max_words].tolist())


def _some(sentences: Sequence[Ids], count: int, generator: torch.Generator) -> list[Ids]:
    """So many of them, each once before any twice."""
    chosen: list[Ids] = []
    while len(chosen) < count:
        order = torch.randperm(len(sentences), generator=generator).tolist()
        chosen += [sentences[place] for place in order[: count - len(chosen)]]
    return chosen


def split_pictures(
    pictures: Mapping[str, Sequence[CaptionedPicture]],
) -> tuple[list[CaptionedPicture], list[CaptionedPicture]]:
    """Pictures to learn from and pictures to steer by.

    Where none is given to steer by, it is every tenth run of six neighbours by name: pictures with near numbers are
    often of the same place, and one that was nearly seen measures nothing.
    """
    training, held_out = list(pictures["train"]), list(pictures["val"])
    if not held_out:
        held_out = [one for place, one in enumerate(training) if place // RUN % 10 == 9]
        kept = {one.path for one in held_out}
        training = [one for one in training if one.path not in kept]
    return training, held_out


RUN = 6
"""Neighbours by name that are held out together."""
