"""Describing pictures: sentences where they are of a kind that a captioner knows, and honest guesses where not.

captions = run(caption("photo.jpg"))
captions.descriptions[0].best.text, captions.descriptions[0].best.confidences
run(caption(sorted(Path("photos").iterdir()), model="aerial")).csv
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import torch
from PIL import Image, ImageOps

from creative.data.words import readable
from creative.device import choose_device, random_generator
from creative.engines.captioning.decoding import Rules, draw_sentences, looked_at, search
from creative.engines.captioning.likeness import EYE_SIZE
from creative.engines.captioning.networks import Trained, load_captioner, load_eye, squares
from creative.engines.captioning.pretrained import load_pretrained, sentences_of
from creative.engines.captioning.results import Captions, Description, Guess, Sentence
from creative.files import plain_name
from creative.images import ImageError, open_image, source_of, to_tensor
from creative.models.captioner import CaptionerError
from creative.models.features import load_classifier
from creative.options.caption import CAPTIONERS, CaptionSettings
from creative.pretrained import fetch_pretrained, find_pretrained, is_pretrained
from creative.progress import Step
from creative.provenance import describe_run
from creative.weights import REGISTRY, locate

BATCH = 16
"""Pictures that are described at once."""
PRETRAINED_BATCH = 4
SHOWN = 640
"""Longer side of the picture that a description keeps, pixels, at most."""
GUESS_SIZE = 160
"""Side of the square in which the feature network sees a picture that no captioner knows."""

Picture = str | os.PathLike[str] | Image.Image


def caption(
    pictures: Picture | Sequence[Picture],
    settings: CaptionSettings | None = None,
    *,
    model: str | os.PathLike[str] | Trained | None = None,
    device: str = "auto",
) -> Generator[Step, None, Captions]:
    """Describe pictures, many at once faster than one by one.

    A picture unlike all that the captioner was trained on gets no sentence but the feature network's guesses, unless
    the settings want one anyway. Of several pictures those that cannot be read are skipped, and named in the result.

    Args:
        pictures: files or PIL pictures, one or many.
        settings: how sentences are found.
        model: a bundled captioner by name, a file, one that is loaded, or a pretrained one: a folder or a name on
            huggingface.co, from where it is fetched. None: of the bundled ones whichever knows the picture.
        device: where to compute.

    Raises:
        CaptionerError, WeightsError, PretrainedError: at once: there is no such captioner.
        ImageError: at once: the one picture cannot be read; or in the end, where of several none can.

    Example:
        >>> run(caption("harbour.jpg")).text
        'there are many boats docked at the harbour.'
    """
    settings = settings or CaptionSettings()
    given = [pictures] if isinstance(pictures, str | os.PathLike | Image.Image) else list(pictures)
    if not given:
        raise CaptionerError("There is no picture to describe.")
    chosen = choose_device(device)
    if not isinstance(model, Trained) and model is not None and is_pretrained(model):
        describing: _Describing = _Pretrained(model, settings, chosen)
    else:
        describing = _Own(model, settings, chosen)
    opened = [_opened(given[0])] if len(given) == 1 else given
    return _captioning(list(zip(names_of(given), opened, strict=True)), describing, settings)


def names_of(pictures: Sequence[Picture]) -> list[str]:
    """What pictures are called in what is told of them: files by their names, with folders where two share one."""
    names = [_name(one, number) for number, one in enumerate(pictures, 1)]
    places: dict[str, list[int]] = {}
    for place, (name, one) in enumerate(zip(names, pictures, strict=True)):
        if not isinstance(one, Image.Image):
            places.setdefault(name, []).append(place)
    for alike in places.values():
        paths = [Path(os.path.abspath(os.fspath(pictures[place]))) for place in alike]  # type: ignore[arg-type]  # noqa: PTH100 (links stay)
        if len(set(paths)) > 1:
            above = os.path.commonpath([path.parent for path in paths])
            for place, path in zip(alike, paths, strict=True):
                within = path.parent.relative_to(above)
                names[place] = "/".join([plain_name(part) for part in within.parts] + [names[place]])
    return names


def _name(picture: Picture, number: int) -> str:
    if isinstance(picture, Image.Image):
        return (source_of(picture)["file"] if "source" in picture.info else "") or f"picture {number}"
    return plain_name(picture)


def _opened(picture: Picture) -> Image.Image:
    return picture.convert("RGB") if isinstance(picture, Image.Image) else open_image(picture)


def _captioning(
    named: Sequence[tuple[str, Picture]], describing: _Describing, settings: CaptionSettings
) -> Generator[Step, None, Captions]:
    total = len(named)
    yield Step(0, total)
    yield from describing.prepare()
    found: list[Description] = []
    skipped: list[tuple[str, str]] = []
    for first in range(0, total, describing.batch):
        opened: list[tuple[str, Image.Image]] = []
        for name, picture in named[first : first + describing.batch]:
            try:
                opened.append((name, _opened(picture)))
            except ImageError as error:
                skipped.append((name, str(error)))
                yield Step(first, total, message=f"Skipped {name}: {error}")
        found += describing.describe(opened) if opened else []
        so_far = Captions(tuple(found), tuple(skipped))
        yield Step(min(total, first + describing.batch), total, _counts(so_far), partial(_same, so_far))
    if not found:
        raise ImageError(f"None of {total} pictures can be read: {skipped[0][1]}")
    made = describe_run("caption", settings, weights=describing.weights, device=describing.device)
    done = Captions(tuple(found), tuple(skipped), made)
    told = f"{len(skipped)} of {total} files could not be read and were skipped." if skipped else None
    yield Step(total, total, _counts(done), partial(_same, done), told)
    return done


def _same(captions: Captions) -> Captions:
    return captions


def _counts(captions: Captions) -> dict[str, float]:
    known = sum(one.known for one in captions.descriptions)
    counts = {"pictures": len(captions.descriptions), "known": known, "skipped": len(captions.skipped)}
    return {name: count for name, count in counts.items() if count or name != "skipped"}


class _Describing:
    """What describes pictures, some at a time."""

    batch: int
    weights: dict[str, str]
    device: torch.device

    def prepare(self) -> Iterator[Step]:
        """What is to be done before the first picture."""
        yield from ()

    def describe(self, pictures: Sequence[tuple[str, Image.Image]]) -> list[Description]:
        """Of each the description."""
        raise NotImplementedError


class _Own(_Describing):
    """Captioners of ours, each picture described by the one that it is least unlike."""

    batch = BATCH

    def __init__(
        self, model: str | os.PathLike[str] | Trained | None, settings: CaptionSettings, device: torch.device
    ) -> None:
        self.settings, self.device = settings, device
        if isinstance(model, Trained):
            self.trained = [model]
        else:
            names = [model] if model is not None else [name for name in CAPTIONERS if _is_here(name)]
            if not names:
                raise CaptionerError("No captioner came with this copy: give the file of one, or a pretrained one.")
            self.trained = [load_captioner(name, device=device) for name in names]
        self.weights = {one.name: one.sha256 for one in self.trained}
        self.rules = Rules(settings.beam, settings.length_penalty, settings.max_words)
        self.generator = random_generator(settings.seed, self.trained[0].device)
        self.eye = load_eye(self.trained[0].device) if any(one.likeness for one in self.trained) else None

    @cached_property
    def _classifier(self) -> tuple[torch.nn.Module, tuple[str, ...]]:
        network = load_classifier(device=self.device)
        return network, network.classes

    @torch.no_grad()
    def describe(self, pictures: Sequence[tuple[str, Image.Image]]) -> list[Description]:
        """See ``_Describing``."""
        images = [picture for _, picture in pictures]
        unlike = self._unlikeness(images)
        nearest = unlike.argmin(0).tolist()
        told = [self.settings.anyway or float(unlike[writer, place]) <= 1 for place, writer in enumerate(nearest)]
        sentences: dict[int, tuple[Sentence, ...]] = {}
        for number, trained in enumerate(self.trained):
            places = [place for place, writer in enumerate(nearest) if writer == number and told[place]]
            if places:
                found = self._sentences(trained, [images[place] for place in places])
                sentences |= dict(zip(places, found, strict=True))
        strange = [place for place, writer in enumerate(nearest) if float(unlike[writer, place]) > 1]
        guesses = dict(zip(strange, self._guesses([images[place] for place in strange]), strict=True))
        everyone = " or ".join(one.name for one in self.trained)
        return [
            Description(
                name=name,
                picture=_shrunk(picture),
                sentences=sentences.get(place, ()),
                known=place not in guesses,
                unlikeness=float(unlike[nearest[place], place]),
                guesses=guesses.get(place, ()),
                model=self.trained[nearest[place]].name if told[place] else everyone,
            )
            for place, (name, picture) in enumerate(pictures)
        ]

    def _unlikeness(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """How unlike the pictures of each captioner's training they are: (captioners, pictures)."""
        if self.eye is None:
            return torch.zeros(len(self.trained), len(images))
        seen = self.eye(squares(images, EYE_SIZE).to(self.trained[0].device)).flatten(1)
        rows = [one.likeness(seen).cpu() if one.likeness else torch.zeros(len(images)) for one in self.trained]
        return torch.stack(rows)

    def _sentences(self, trained: Trained, images: Sequence[Image.Image]) -> list[tuple[Sentence, ...]]:
        views = trained.look(squares(images, trained.picture_size))
        count = self.settings.num_sentences
        if self.settings.decoding == "sample":
            drawn = draw_sentences(
                trained.captioners, views, self.rules, count, self.generator, temperature=self.settings.temperature
            )
            found = [sorted({one.ids: one for one in own}.values(), key=lambda one: -one.score) for own in drawn]
        else:
            found = [own[:count] for own in search(trained.captioners, views, self.rules)]
        most = max(map(len, found))
        padded = [[one.ids for one in own] + [own[0].ids] * (most - len(own)) for own in found]
        looked = looked_at(trained.captioners, views, padded)
        return [
            tuple(
                Sentence(
                    words=tuple(trained.vocabulary.words_of(one.ids)),
                    confidences=tuple(confidences),
                    attention=maps,
                    score=one.score,
                    text=_readable(trained, one.ids),
                    ended=one.ended,
                )
                for one, (confidences, maps) in zip(own, looks, strict=False)
            )
            for own, looks in zip(found, looked, strict=True)
        ]

    def _guesses(self, images: Sequence[Image.Image]) -> list[tuple[Guess, ...]]:
        """What the feature network takes the middle of each picture for."""
        if not self.settings.guesses or not images:
            return [()] * len(images)
        network, classes = self._classifier
        size = (GUESS_SIZE, GUESS_SIZE)
        middles = [to_tensor(ImageOps.fit(image, size, Image.Resampling.BICUBIC), self.device) for image in images]
        chances, places = network(torch.cat(middles)).softmax(1).topk(self.settings.guesses)
        return [
            tuple(Guess(classes[place].replace("_", " "), chance) for chance, place in zip(*row, strict=True))
            for row in zip(chances.tolist(), places.tolist(), strict=True)
        ]


class _Pretrained(_Describing):
    """A captioner of others, for everyday photos: it has something to say of everything."""

    batch = PRETRAINED_BATCH

    def __init__(self, model: str | os.PathLike[str], settings: CaptionSettings, device: torch.device) -> None:
        self.place, self.settings, self.device = find_pretrained(model), settings, device
        self.generator = random_generator(settings.seed)
        self.network = load_pretrained(self.place.folder, device) if self.place.folder else None

    def prepare(self) -> Iterator[Step]:
        """Fetch it, where it is not here."""
        if self.network is None:
            folder = yield from fetch_pretrained(self.place)
            self.network = load_pretrained(folder, self.device)
        self.weights = {self.place.label: self.network.sha256}

    def describe(self, pictures: Sequence[tuple[str, Image.Image]]) -> list[Description]:
        """See ``_Describing``."""
        assert self.network is not None
        found = sentences_of(self.network, [picture for _, picture in pictures], self.settings, self.generator)
        return [
            Description(name, _shrunk(picture), sentences, True, 0.0, (), self.place.label)
            for (name, picture), sentences in zip(pictures, found, strict=True)
        ]


def _readable(trained: Trained, ids: Sequence[int]) -> str:
    words = trained.vocabulary
    return readable(words.words_of(ids)) if words.units == "words" else words.decode(ids)


def _is_here(name: str) -> bool:
    return name in REGISTRY and locate(name) is not None


def _shrunk(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((SHOWN, SHOWN))
    small.info.clear()
    return small
