"""How well a voice predicts a text: nats and bits per character, perplexity."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.data.text import PackedText, TextError, find_texts, pack_text
from creative.data.vocabulary import named
from creative.engines.char_rnn.voices import Voice, load_voice
from creative.models.char_rnn import CharRNN
from creative.options.char_rnn import EvaluateVoiceSettings
from creative.progress import Step

HELD_OUT = 0.1
"""Of each text, at its end, what training measures with and does not learn from."""
WARM_UP = 1000
"""Characters that are read before those that count, where a text is read in several places side by side."""
_CHUNK = 2048  # characters of a pass between two Steps
_STREAMS_CHUNK = 256


def split(length: int) -> tuple[range, range]:
    """The places of a text to learn from, and those of the last tenth, which is held out."""
    middle = length - math.ceil(length * HELD_OUT)
    return range(middle), range(middle, length)


@dataclass(frozen=True, slots=True)
class Surprise:
    """What a text has cost: the sum of -ln p over its characters (its first one, which nothing precedes, excepted).

    Attributes:
        total: in nats.
        count: characters predicted.
    """

    total: float = 0.0
    count: int = 0

    def __add__(self, other: Surprise) -> Surprise:
        return Surprise(self.total + other.total, self.count + other.count)

    @property
    def nats(self) -> float:
        """Per character; NaN of none."""
        return self.total / self.count if self.count else math.nan

    def metrics(self) -> dict[str, float]:
        """The three usual measures, which are one: bits = nats / ln 2, perplexity = exp(nats)."""
        return {
            "bits_per_character": self.nats / math.log(2),
            "nats_per_character": self.nats,
            "perplexity": math.exp(min(self.nats, 700.0)),
        }


@torch.no_grad()
def measure_streams(model: CharRNN, ids: Tensor, streams: int = 32, warm_up: int = WARM_UP) -> Surprise:
    """The surprise at a text (N,) that is read in many places side by side, each from ``warm_up`` characters before.

    Differs from one pass by what lies more than ``warm_up`` characters back, and is many times as fast. With one stream
    it is one pass.
    """
    predicted = len(ids) - 1
    if predicted < 1:
        return Surprise()
    width = math.ceil(predicted / min(streams, predicted))
    starts = torch.arange(0, predicted, width, device=ids.device)
    warm_up = 0 if len(starts) == 1 else min(warm_up, width)
    state = model.initial_state(len(starts))
    total = 0.0
    edges = [*range(-warm_up, 0, _STREAMS_CHUNK), *range(0, width, _STREAMS_CHUNK), width]
    for begin, end in itertools.pairwise(edges):
        places = starts[:, None] + torch.arange(begin, end, device=ids.device)
        logits, state = model(ids[places.clamp(0, predicted - 1)], state)
        if begin < 0:
            if end == 0:  # the first stream has nothing before it
                state = tuple(
                    part.index_fill(1, torch.zeros(1, dtype=torch.int64, device=ids.device), 0) for part in state
                )
            continue
        losses = F.cross_entropy(
            logits.float().flatten(0, 1), ids[(places + 1).clamp(max=predicted)].flatten(), reduction="none"
        )
        total += _sum(losses[(places < predicted).flatten()])
    return Surprise(total, predicted)


@dataclass(frozen=True)
class Evaluation:
    """What was measured; ``text`` is a report in Markdown."""

    voice: str
    surprise: Surprise
    unseen: dict[str, int] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """The numbers by name."""
        counts = {"characters": self.surprise.count, "unseen": sum(self.unseen.values())}
        return {**self.surprise.metrics(), **counts}

    @property
    def text(self) -> str:
        """A table."""
        numbers = self.surprise.metrics()
        lines = [
            "| voice | characters | bits per character | nats per character | perplexity |",
            "|---|---|---|---|---|",
        ]
        cells = [self.voice, f"{self.surprise.count:,}", *(f"{value:.4f}" for value in numbers.values())]
        lines.append(f"| {' | '.join(cells)} |")
        if self.unseen:
            lines += ["", f"Left out, for the voice does not know them: {sum(self.unseen.values()):,} characters, "]
            lines[-1] += f"{named(self.unseen)}."
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text


def evaluate_voice(
    voice: str | Path | Voice,
    text: Sequence[Path],
    settings: EvaluateVoiceSettings | None = None,
    *,
    device: str = "auto",
) -> Generator[Step, None, Evaluation]:
    """Measure how well a voice predicts texts, files and folders of any size, with the state carried through them.

    Args:
        voice: a bundled one's name, a file, or a voice that is loaded.
        text: files and folders.
        settings: which part of the text; one pass, or faster.
        device: where to compute.

    Raises:
        WeightsError, VoiceError: at once, if there is no such voice.
        TextError: at once, if a file is missing or empty; once it is read, if it is binary, in another encoding, too
            short, or has characters that the voice does not know and is to refuse.
    """
    loaded = voice if isinstance(voice, Voice) else load_voice(voice, device=device)
    paths = [Path(path) for path in text]
    find_texts(paths)
    return _evaluate(loaded, paths, settings or EvaluateVoiceSettings())


def _evaluate(
    voice: Voice, paths: Sequence[Path], settings: EvaluateVoiceSettings
) -> Generator[Step, None, Evaluation]:
    with tempfile.TemporaryDirectory(prefix="creative-") as folder:
        packed = yield from pack_text(paths, Path(folder), encoding=settings.encoding, vocabulary=voice.vocabulary)
        places = range(len(packed)) if settings.part == "all" else split(len(packed))[1]
        unseen = _unseen(packed, places, voice)
        count = len(places) - sum(unseen.values())
        if unseen and settings.unseen == "refuse":
            raise TextError(
                f"The voice {voice.name} does not know {named(unseen)} "
                f"({sum(unseen.values()):,} of {len(places):,} characters): leave them out with unseen skip."
            )
        if count < 2:
            raise TextError(f"There are {count} characters to predict from each other, but at least 2 are needed.")
        if unseen:
            yield Step(0, count, message=f"Left out, for the voice does not know them: {named(unseen)}.")
        if settings.streams == 1:
            surprise = yield from _one_pass(voice, packed, places, count)
        else:
            yield Step(0, count)
            ids = _known(packed, places, voice)
            surprise = measure_streams(voice.model, ids.to(_device(voice.model)), settings.streams)
        done = Evaluation(voice.name, surprise, unseen)
        yield Step(count, count, done.metrics())
        return done


def _one_pass(voice: Voice, packed: PackedText, places: range, count: int) -> Generator[Step, None, Surprise]:
    device, surprise, read = _device(voice.model), Surprise(), 0
    state, before = voice.model.initial_state(1), torch.zeros(0, dtype=torch.int64, device=device)
    for start in range(places.start, places.stop, _CHUNK):
        yield Step(read, count, surprise.metrics() if surprise.count else {})
        known = _known(packed, range(start, min(start + _CHUNK, places.stop)), voice).to(device)
        ids = torch.cat([before, known])
        if len(ids) > 1:
            with torch.no_grad():
                logits, state = voice.model(ids[None, :-1], state)
                losses = F.cross_entropy(logits[0].float(), ids[1:], reduction="none")
            surprise += Surprise(_sum(losses), len(ids) - 1)
        before, read = ids[-1:], read + len(known)
    return surprise


def _known(packed: PackedText, places: range, voice: Voice) -> Tensor:
    ids = packed.ids(places.start, places.stop)
    return ids[ids < len(voice.vocabulary)]


def _unseen(packed: PackedText, places: range, voice: Voice) -> dict[str, int]:
    """How often there is each character that the voice does not know."""
    kinds = len(packed.vocabulary)
    if kinds == len(voice.vocabulary):
        return {}
    counts = torch.zeros(kinds, dtype=torch.int64)
    for start in range(places.start, places.stop, 1 << 22):
        counts += packed.ids(start, min(start + (1 << 22), places.stop)).bincount(minlength=kinds)
    new = range(len(voice.vocabulary), kinds)
    return {packed.vocabulary.decode([number]): int(counts[number]) for number in new if counts[number]}


def _sum(losses: Tensor) -> float:
    return float(losses.to("cpu", torch.float64).sum())  # there, because not every device has float64


def _device(model: CharRNN) -> torch.device:
    return model.classifier.weight.device
