"""How good a captioner is: its sentences against people's, how many are literally true, what it knows and does not.

report = run(evaluate_caption("aerial", Path("aerial_captions"), EvaluateCaptionSettings(part="00-20")))
report.metrics()["bleu_4"]
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from creative.caption_metrics import agreement, caption_scores, distinct_share
from creative.data.captions import CaptionedPicture, CaptionsError, read_captions
from creative.data.scenes import KINDS, Scene, SentenceError, draw_scene, read_sentence
from creative.data.words import tokenise
from creative.engines.captioning.decoding import Rules, search
from creative.engines.captioning.networks import Trained, load_captioner, load_eye, square, squares
from creative.images import ImageError, open_image, picture_files
from creative.metrics import wilson_interval
from creative.options.caption import SCENES, EvaluateCaptionSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run

BATCH = 32


@dataclass(frozen=True, slots=True)
class Part:
    """Of some tries those that succeeded, with Wilson's 95 % interval."""

    hits: int = 0
    tries: int = 0

    @property
    def value(self) -> float:
        """0 to 1; NaN without tries."""
        return self.hits / self.tries if self.tries else math.nan

    def __str__(self) -> str:
        if not self.tries:
            return "none"
        low, high = wilson_interval(self.hits, self.tries)
        return f"{100 * self.value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


@dataclass(frozen=True)
class Truth:
    """How many sentences about scenes are literally true.

    Attributes:
        kinds: by the kind of scene.
        two: of scenes with two things, those sentences that say how they stand to one another.
        distinct: the share of different sentences.
        false: some that are not true, with a true one beside.
    """

    kinds: Mapping[str, Part]
    two: Part
    distinct: float
    false: tuple[tuple[str, str], ...] = ()

    @property
    def whole(self) -> Part:
        """Of all scenes."""
        return Part(sum(part.hits for part in self.kinds.values()), sum(part.tries for part in self.kinds.values()))


def truth(scenes: Sequence[Scene], sentences: Sequence[str]) -> Truth:
    """Hold one sentence about each of some scenes against it. A sentence outside the grammar is not true."""
    kinds: dict[str, list[bool]] = {}
    two: list[bool] = []
    false = []
    for scene, sentence in zip(scenes, sentences, strict=True):
        try:
            read = read_sentence(sentence)
            right, related = scene.is_true(read), read.relation is not None
        except SentenceError:
            right = related = False
        kinds.setdefault(scene.kind, []).append(right)
        if scene.kind == "two":
            two.append(right and related)
        if not right:
            false.append((sentence, scene.sentences(1)[0]))
    found = {kind: Part(sum(kinds[kind]), len(kinds[kind])) for kind in KINDS if kind in kinds}
    return Truth(found, Part(sum(two), len(two)), distinct_share(sentences), tuple(false))


@dataclass(frozen=True)
class CaptionReport:
    """What was measured; ``text`` is a report in Markdown.

    Attributes:
        captioner: its name.
        scores: of ``caption_scores``, by the part of the data.
        people: what people's sentences score held against one another, by the same parts.
        truths: of scenes, by what was held out.
        known: its own kind of pictures that count as known.
        told: pictures of other kinds that count as unknown.
        shown: sentences, with people's.
        skipped: pictures that could not be read.
        provenance: how it was made.
    """

    captioner: str
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    people: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    truths: Mapping[str, Truth] = field(default_factory=dict)
    known: Part = field(default_factory=Part)
    told: Part = field(default_factory=Part)
    shown: tuple[tuple[str, str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    provenance: Provenance | None = field(default=None, compare=False)

    def metrics(self) -> dict[str, float]:
        """The numbers by name."""
        found: dict[str, float] = {}
        for part, scores in self.scores.items():
            found |= {name if part == "all" else f"{name}_{part}": value for name, value in scores.items()}
        for part, one in self.truths.items():
            found |= {f"truth_{part}": one.whole.value, f"truth_of_two_{part}": one.two.value}
            found |= {f"truth_{part}_{kind}": share.value for kind, share in one.kinds.items()}
        found |= {"known": self.known.value} if self.known.tries else {}
        return found | ({"others_told": self.told.value} if self.told.tries else {})

    @property
    def text(self) -> str:
        """Tables, and sentences to read."""
        lines = [f"Captioner {self.captioner}", ""]
        if self.scores:
            names = list(next(iter(self.scores.values())))
            lines += [f"| pictures | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
            for part, scores in self.scores.items():
                told = f"{part} ({self.counts[part]:,})"
                lines.append(_row(told, [scores[name] for name in names]))
                if part in self.people:
                    lines.append(
                        _row("people among themselves", [self.people[part].get(name, math.nan) for name in names])
                    )
            lines.append("")
        for part, one in self.truths.items():
            kinds = "; ".join(f"{kind} {share}" for kind, share in one.kinds.items())
            lines += [f"Literally true, {part} scenes: {one.whole} ({kinds}).", ""]
            lines += [
                f"True and says how two things stand to one another: {one.two}. Distinct: {one.distinct:.2f}.",
                "",
            ]
            lines += [f"- not true: {said} (true: {right})" for said, right in one.false[:10]]
        if self.known.tries:
            lines += [f"Its own kind of pictures, held out, that it knows: {self.known}.", ""]
        if self.told.tries:
            lines += [f"Pictures of other kinds that it knows it does not know: {self.told}.", ""]
        lines += [f"- {name}: {said} (people: {person})" for name, said, person in self.shown]
        if self.skipped:
            lines += ["", f"Skipped, for they cannot be read: {len(self.skipped)}, {self.skipped[0][0]} first."]
        return "\n".join(lines).rstrip() + "\n"

    def __str__(self) -> str:
        return self.text


def _row(name: str, values: Sequence[float]) -> str:
    return f"| {name} | " + " | ".join("" if math.isnan(value) else f"{value:.3f}" for value in values) + " |"


def evaluate_caption(
    captioner: str | Path | Trained = "aerial",
    data: str | Path | None = None,
    settings: EvaluateCaptionSettings | None = None,
    *,
    pictures: Path | None = None,
    others: Path | None = None,
    device: str = "auto",
) -> Generator[Step, None, CaptionReport]:
    """Measure a captioner on pictures that its training has not seen.

    Args:
        captioner: a bundled one's name, a file, or one that is loaded.
        data: captions as for ``train_caption``; None or ``scenes``: scenes are drawn.
        settings: which part, and how sentences are found.
        pictures: where the pictures are, if not beside the captions.
        others: a folder of pictures of other kinds, to be told from its own.
        device: where to compute.

    Raises:
        WeightsError, CaptionerError: at once: there is no such captioner.
        CaptionsError: at once: there are no captions, or none in this part.
        ImageError: at once: there is no such folder.
    """
    settings = settings or EvaluateCaptionSettings()
    trained = captioner if isinstance(captioner, Trained) else load_captioner(captioner, device=device)
    strangers = picture_files([Path(others)]) if others else []
    if data is None or str(data) == SCENES:
        return _of_scenes(trained, settings, strangers)
    captioned = read_captions(Path(data), pictures=pictures)
    chosen = captioned.of(settings.split)
    if not chosen:
        raise CaptionsError(f"None of the {len(captioned):,} captioned pictures is in the split {settings.split}.")
    return _of_pictures(trained, settings, chosen, strangers)


def _rules(settings: EvaluateCaptionSettings) -> Rules:
    return Rules(beam=settings.beam, length_penalty=settings.length_penalty)


def _of_scenes(
    trained: Trained, settings: EvaluateCaptionSettings, strangers: Sequence[Path]
) -> Generator[Step, None, CaptionReport]:
    truths, shown, known = {}, [], Part()
    parts = ("test", "compositional")
    unlike = _Unlike(trained)
    for number, part in enumerate(parts):
        scenes = [draw_scene(seed, part=part) for seed in range(settings.scenes)]
        told: list[str] = []
        for first in range(0, len(scenes), BATCH):
            yield Step(number * len(scenes) + first, len(parts) * len(scenes))
            drawn = [scene.picture(224) for scene in scenes[first : first + BATCH]]
            told += _sentences(trained, squares(drawn, trained.picture_size), settings)
            if part == "test" and first < 320:
                known = _counted(known, unlike([square(one, unlike.size) for one in drawn]), above=False)
        truths[part] = truth(scenes, told)
        if part == "test":
            chosen = list(zip(scenes, told, strict=True))[: settings.shown]
            shown = [(f"scene {place}", said, scene.sentences(1)[0]) for place, (scene, said) in enumerate(chosen)]
    others, skipped = yield from _of_strangers(unlike, strangers)
    made = describe_run("evaluate caption", settings, weights={"captioner": trained.sha256}, device=trained.device)
    report = CaptionReport(
        trained.name,
        truths=truths,
        known=known,
        told=others,
        shown=tuple(shown),
        skipped=tuple(skipped),
        provenance=made,
    )
    yield Step(1, 1, report.metrics())
    return report


def _of_pictures(
    trained: Trained,
    settings: EvaluateCaptionSettings,
    pictures: Sequence[CaptionedPicture],
    strangers: Sequence[Path],
) -> Generator[Step, None, CaptionReport]:
    unlike, known = _Unlike(trained), Part()
    said: dict[str, str] = {}
    references: dict[str, list[str]] = {}
    skipped: list[tuple[str, str]] = []
    for first in range(0, len(pictures), BATCH):
        yield Step(first, len(pictures))
        opened = []
        for one in pictures[first : first + BATCH]:
            try:
                opened.append((one, open_image(one.path)))
            except ImageError as error:
                skipped.append((one.path.name, str(error)))
        told = _sentences(trained, squares([image for _, image in opened], trained.picture_size), settings)
        known = _counted(known, unlike([square(image, unlike.size) for _, image in opened]), above=False)
        for (one, _), sentence in zip(opened, told, strict=True):
            said[str(one.path)] = " ".join(tokenise(sentence))
            references[str(one.path)] = [" ".join(tokenise(other)) for other in one.sentences]
    if not said:
        raise ImageError(f"None of {len(pictures)} pictures can be read, {pictures[0].path.name} for example.")
    parts = {"all": list(said)}
    if settings.part:
        parts[settings.part] = [name for name in said if settings.begins(Path(name).name)]
    scores, people = {}, {}
    for part, names in parts.items():
        if names:
            own = {name: references[name] for name in names}
            scores[part] = caption_scores({name: said[name] for name in names}, own)
            if any(len(sentences) > 1 for sentences in own.values()):
                people[part] = agreement(own)
    told_others, more = yield from _of_strangers(unlike, strangers)
    stride = max(1, len(said) // max(1, settings.shown))
    names = list(said)[::stride][: settings.shown]
    made = describe_run("evaluate caption", settings, weights={"captioner": trained.sha256}, device=trained.device)
    report = CaptionReport(
        trained.name,
        scores=scores,
        counts={part: len(names) for part, names in parts.items()},
        people=people,
        known=known,
        told=told_others,
        shown=tuple((Path(name).name, said[name], references[name][0]) for name in names),
        skipped=(*skipped, *more),
        provenance=made,
    )
    yield Step(len(pictures), len(pictures), report.metrics())
    return report


def _sentences(trained: Trained, pictures: Tensor, settings: EvaluateCaptionSettings) -> list[str]:
    if not len(pictures):
        return []
    found = search(trained.captioners, trained.look(pictures), _rules(settings))
    return [trained.vocabulary.decode(best[0].ids) for best in found]


class _Unlike:
    """How unlike a captioner's own pictures are."""

    def __init__(self, trained: Trained) -> None:
        self.likeness = trained.likeness
        self.eye = load_eye(trained.device) if trained.likeness else None
        self.size = self.eye.config.picture_size if self.eye else 16
        self.device = trained.device

    @torch.no_grad()
    def __call__(self, pictures: Sequence) -> list[float]:
        """Of uint8 arrays (3, S, S)."""
        if self.eye is None or self.likeness is None or not pictures:
            return []
        x = torch.stack([torch.from_numpy(one) for one in pictures]).to(self.device).float().div_(255)
        return self.likeness(self.eye(x).flatten(1)).tolist()


def _counted(part: Part, unlike: Sequence[float], *, above: bool) -> Part:
    return Part(part.hits + sum((one > 1) == above for one in unlike), part.tries + len(unlike))


def _of_strangers(unlike: _Unlike, files: Sequence[Path]) -> Generator[Step, None, tuple[Part, list[tuple[str, str]]]]:
    told, skipped = Part(), []
    for first in range(0, len(files), BATCH):
        yield Step(first, len(files))
        opened = []
        for file in files[first : first + BATCH]:
            try:
                opened.append(square(open_image(file), unlike.size))
            except ImageError as error:
                skipped.append((file.name, str(error)))
        told = _counted(told, unlike(opened), above=True)
    return told, skipped
