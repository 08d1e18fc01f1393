"""Looking inside a voice while it reads: which of its neurons follow something that a reader can name.

Karpathy, Johnson and Fei-Fei (2015), Visualizing and Understanding Recurrent Networks, arXiv:1506.02078, found such
cells by eye. Here each feature of the text (inside quotes, position in the line, ...) is a number at each character,
and the neuron whose activation correlates most with it is found on the first half of the text; the correlation that is
told is that on the second half, which had no say in the choice.

    inside = run(look_at_neurons(Path("play.txt"), voice="shakespeare"))
    best = inside.followers[0]
    best.feature, best.neuron, best.correlation
    inside.views[0].values                         # the activation at each character of a part of the text
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creative.blocks.rnn import State
from creative.device import choose_device
from creative.engines.char_rnn.reading import before_everything, opened, read_as
from creative.engines.char_rnn.scoring import Guess, character_starts, names_of
from creative.engines.char_rnn.text_features import Values, features_of
from creative.engines.char_rnn.voices import Voice, load_voice
from creative.options.writing import Feature, NeuronsSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run

__all__ = ["Follower", "Inside", "NeuronError", "View", "correlations", "features_of", "look_at_neurons"]

_CHUNK = 512  # characters between two Steps


class NeuronError(ValueError):
    """A neuron that there is not, or a text too short to find one. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Follower:
    """The neuron that follows a feature best.

    Attributes:
        feature: what it follows.
        layer, number: the neuron; layers count from 1, neurons from 0.
        found: Pearson's correlation on the half of the text where it was found, -1 to 1.
        correlation: the same on the other half; NaN where the feature does not change there.
    """

    feature: Feature
    layer: int
    number: int
    found: float
    correlation: float

    @property
    def neuron(self) -> str:
        """Its name, such as ``2:117``."""
        return f"{self.layer}:{self.number}"


@dataclass(frozen=True)
class View:
    """A part of the text with a neuron's activation after each character, from -1 to 1.

    Attributes:
        title: the neuron, and what it follows.
        start: where the part begins in the text.
        part: the characters.
        values: (N,) float32.
        guesses: at each place, before its character is read: the likeliest, likeliest first.
        follower: what it follows, if it was found and not asked for.
    """

    title: str
    start: int
    part: str
    values: Values
    guesses: tuple[tuple[Guess, ...], ...]
    follower: Follower | None


@dataclass(frozen=True)
class Inside:
    """What was found inside a voice.

    Attributes:
        followers: the neurons that follow features, best followed first.
        views: parts of the text coloured by neurons: those asked for, else the followers'.
        characters: of the text that was read.
        neurons: that there are.
        voice, sha256, settings, device: whose they are, what was asked and where.
    """

    followers: tuple[Follower, ...]
    views: tuple[View, ...]
    characters: int
    neurons: int
    voice: str
    sha256: str
    settings: NeuronsSettings
    device: str

    @cached_property
    def text(self) -> str:
        """The report."""
        lines = [
            f"{self.voice}: of {self.neurons:,} neurons those that follow a feature best, found on the first half of "
            f"{self.characters:,} characters; the correlation is that on the second half.",
            "",
        ]
        lines += [
            f"  {one.feature:<20} neuron {one.neuron:<8} correlation {one.correlation:+.2f}   "
            f"(where found {one.found:+.2f})"
            for one in self.followers
        ]
        return "\n".join(lines if self.followers else [lines[0], "", "  None of the features is in this text."])

    def __str__(self) -> str:
        return self.text

    @cached_property
    def provenance(self) -> Provenance:
        """How it was made."""
        found = [[one.feature, one.neuron, round(one.correlation, 4)] for one in self.followers]
        found = [[*row[:2], None if row[2] != row[2] else row[2]] for row in found]
        return describe_run(
            "neurons",
            self.settings,
            weights={self.voice: self.sha256},
            device=self.device,
            result={"followers": found},
        )


def look_at_neurons(
    text: str | Path,
    settings: NeuronsSettings = NeuronsSettings(),  # noqa: B008 (frozen)
    *,
    voice: str | Path | Voice = "shakespeare",
    device: str | None = None,
) -> Generator[Step, None, Inside]:
    """Read a text with a voice, and find the neurons that follow what a reader can name.

    Args:
        text: itself, or as a ``Path`` the file that it is in; at least 200 characters.
        settings: which features, which neurons, how much of the text.
        voice: a bundled voice's name, a voice's file, or one that was loaded.
        device: where to compute.

    Raises:
        ValueError: at the call: no such voice or neuron; a text that is empty, too short, binary or in another
            encoding; characters that the voice has never seen where those are to be refused.
    """
    place = choose_device(device or "auto")
    reader = voice if isinstance(voice, Voice) else load_voice(voice, device=place)
    read, goes_on = opened(text, settings.limit, settings.encoding)
    asked = [_checked(name, reader) for name in settings.neurons]
    if len(read) < 200 and not asked:
        raise NeuronError(
            f"The text has {len(read)} characters; to find neurons takes 200 or more. To see one, name it, as in 1:17."
        )
    ids, message = read_as(read, reader.vocabulary, settings.unseen)
    return _looking(_Reading(reader, read, ids, place, settings.guesses), settings, asked, goes_on, message)


def _checked(name: str, voice: Voice) -> tuple[int, int]:
    layer, number = map(int, name.split(":"))
    shape = voice.model.config
    if not 1 <= layer <= shape.num_layers or number >= shape.hidden_size:
        raise NeuronError(
            f"There is no neuron {name}: the voice has layers 1 to {shape.num_layers} of neurons 0 to "
            f"{shape.hidden_size - 1}."
        )
    return layer, number


def _looking(
    reading: _Reading, settings: NeuronsSettings, asked: Sequence[tuple[int, int]], goes_on: bool, message: str | None
) -> Generator[Step, None, Inside]:
    text, voice = reading.text, reading.voice
    yield Step(0, len(text), message=message)
    if goes_on:
        yield Step(0, len(text), message=f"The text goes on after the first {len(text):,} characters, which are read.")
    shape = voice.model.config
    neurons = shape.num_layers * shape.hidden_size
    features = features_of(text, settings.features)
    half = len(text) // 2
    seen = np.stack([*features.values()]) if features else np.zeros((0, len(text)), np.float32)
    first, second = (Sums(len(features), neurons) for _ in range(2))
    for start, hidden in reading.hidden():
        cut = min(max(half - start, 0), len(hidden))
        first.add(seen[:, start : start + cut], hidden[:cut])
        second.add(seen[:, start + cut : start + len(hidden)], hidden[cut:])
        yield Step(start + len(hidden), len(text))
    followers = _followers(list(features), first.correlations(), second.correlations(), shape.hidden_size)
    followers = followers[: settings.count]
    wanted: list[tuple[int, int, Follower | None]] = [(layer, number, None) for layer, number in asked]
    wanted = wanted or [(one.layer, one.number, one) for one in followers]
    views = []
    for layer, number, follower in wanted:
        begin = 0
        if follower is not None:
            begin = liveliest(text, features[follower.feature], half, settings.shown)
        end = min(begin + settings.shown, len(text))
        values, guesses = reading.neuron((layer - 1) * shape.hidden_size + number, begin, end)
        title = f"neuron {layer}:{number}" if follower is None else f"{follower.feature}: neuron {layer}:{number}"
        views.append(View(title, begin, text[begin:end], values, guesses, follower))
        yield Step(len(text), len(text))
    inside = Inside(
        tuple(followers), tuple(views), len(text), neurons, voice.name, voice.sha256, settings, str(reading.device)
    )
    best = {"best correlation": abs(followers[0].correlation)} if followers else {}
    yield Step(len(text), len(text), metrics=best, preview=lambda: inside)
    return inside


class _Reading:
    """A voice that reads a text: all of it once, and parts of it again from where it was then."""

    def __init__(self, voice: Voice, text: str, ids: Tensor, device: torch.device, guesses: int) -> None:
        self.voice, self.text, self.device, self.guesses = voice, text, device, guesses
        self.ids = ids.to(device)
        sizes = np.append(character_starts(text, voice.vocabulary), len(ids))
        self.ends = sizes[1:]  # of each character in the numbers
        self.states: list[tuple[State | None, Tensor]] = []  # before each chunk, with the logits of its first character

    def hidden(self) -> Generator[tuple[int, NDArray[np.float32]], None, None]:
        """The activations after each character: the number of the first one, and (T, num_layers * H)."""
        model = self.voice.model
        with torch.inference_mode():
            logits, state = model(before_everything(self.voice.vocabulary)[None].to(self.device))
        for start in range(0, len(self.text), _CHUNK):
            self.states.append((state, logits[0, -1]))
            with torch.inference_mode():
                values, logits, state = model.hidden(self._ids(start, start + _CHUNK)[None], state)
            yield start, self._at_characters(values[0], start)

    def neuron(self, index: int, begin: int, end: int) -> tuple[Values, tuple[tuple[Guess, ...], ...]]:
        """One neuron's activations from character ``begin`` to ``end``, and the guesses at each of them."""
        values: list[Values] = []
        guesses: list[tuple[Guess, ...]] = []
        names = names_of(self.voice.vocabulary)
        for chunk in range(begin // _CHUNK, (end + _CHUNK - 1) // _CHUNK):
            start, (state, before) = chunk * _CHUNK, self.states[chunk]
            with torch.inference_mode():
                hidden, logits, _ = self.voice.model.hidden(self._ids(start, start + _CHUNK)[None], state)
                every = torch.cat([before[None], logits[0, :-1]])
                chances = every[self._places(start) - self._places(start)[0]].float().softmax(-1)
                best = chances.topk(min(self.guesses, chances.shape[-1]))
            values.append(self._at_characters(hidden[0], start)[:, index])
            guesses += [
                tuple(Guess(names[number], chance) for number, chance in zip(*row, strict=True))
                for row in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
        skip = begin - begin // _CHUNK * _CHUNK
        part = slice(skip, skip + end - begin)
        return np.concatenate(values)[part], tuple(guesses[part])

    def _ids(self, start: int, end: int) -> Tensor:
        first = int(self.ends[start - 1]) if start else 0
        return self.ids[first : int(self.ends[min(end, len(self.text)) - 1])]

    def _places(self, start: int) -> NDArray[np.int64]:
        """Where each character of a chunk begins in the numbers."""
        ends = self.ends[start : start + _CHUNK]
        return np.concatenate([[self.ends[start - 1] if start else 0], ends[:-1]])

    def _at_characters(self, hidden: Tensor, start: int) -> Values:
        """(T, layers, H) at numbers to (T', layers * H) at the last number of each character."""
        places = self.ends[start : start + _CHUNK] - (self.ends[start - 1] if start else 0) - 1
        return hidden.flatten(1).float().cpu().numpy()[places]


def liveliest(text: str, feature: Values, start: int, length: int) -> int:
    """Where the part of a text begins, at or after ``start``, in which a feature changes most; at a line's start."""
    last = max(start, len(text) - length)
    begins = [start, *(found.end() for found in re.finditer("\n", text) if start < found.end() <= last)]
    changes = np.concatenate([[0], np.cumsum(np.abs(np.diff(feature)) > 0)])
    return max(begins, key=lambda begin: changes[min(begin + length, len(text)) - 1] - changes[begin])


# Correlation --------------------------------------------------------------------------------------------------------


class Sums:
    """What Pearson's correlation of every feature with every neuron needs, gathered part by part in float64."""

    def __init__(self, features: int, neurons: int) -> None:
        self.count = 0
        self.shift: NDArray[np.float64] | None = None  # against cancellation
        self.f, self.ff = np.zeros(features), np.zeros(features)
        self.h, self.hh = np.zeros(neurons), np.zeros(neurons)
        self.fh = np.zeros((features, neurons))

    def add(self, features: NDArray[np.float32], hidden: NDArray[np.float32]) -> None:
        """Take (F, T) and (T, N)."""
        if not len(hidden):
            return
        if self.shift is None:
            self.shift = features.mean(1, dtype=np.float64)
        f, h = features - self.shift[:, None], hidden.astype(np.float64)
        self.count += len(h)
        self.f += f.sum(1)
        self.ff += (f * f).sum(1)
        self.h += h.sum(0)
        self.hh += (h * h).sum(0)
        self.fh += f @ h

    def correlations(self) -> NDArray[np.float64]:
        """(F, N) from -1 to 1; NaN where one of the two never changes."""
        n = max(self.count, 1)
        variance_f = self.ff - self.f**2 / n
        variance_h = self.hh - self.h**2 / n
        variance_f[variance_f < 1e-9 * n] = np.nan
        variance_h[variance_h < 1e-12 * n] = np.nan
        covariance = self.fh - np.outer(self.f, self.h) / n
        return covariance / np.sqrt(np.outer(variance_f, variance_h))


def correlations(features: NDArray[np.float32], hidden: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pearson's correlation of each of (F, T) features with each of (T, N) neurons, (F, N)."""
    sums = Sums(len(features), hidden.shape[1])
    sums.add(features, hidden)
    return sums.correlations()


def _followers(
    names: Sequence[Feature], found: NDArray[np.float64], told: NDArray[np.float64], width: int
) -> list[Follower]:
    followers = []
    for row, name in enumerate(names):
        if np.isnan(found[row]).all():
            continue
        best = int(np.nanargmax(np.abs(found[row])))
        followers.append(
            Follower(name, best // width + 1, best % width, float(found[row, best]), float(told[row, best]))
        )
    return sorted(followers, key=lambda one: -abs(np.nan_to_num(one.correlation)))
