"""Scoring a text: how surprised a voice is at each of its characters, and what it expected there.

Surprise is -log2 p in bits; its mean is the bits per character by which language models of text are compared (Graves,
2013, arXiv:1308.0850).

    score = run(score_text(Path("poem.txt"), voice="shakespeare"))
    score.bits_per_character, score.bits[10], score.guesses[10]
    score.copied.longest                           # what stands in the training text to the letter
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creative.data.text import Vocabulary
from creative.device import choose_device
from creative.engines.char_rnn.copying import Copied, Search, read_fingerprints
from creative.engines.char_rnn.reading import before_everything, opened, read_as, text_parts
from creative.engines.char_rnn.voices import Voice, load_voice
from creative.options.writing import ScoreSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run

__all__ = ["Guess", "Score", "score_text"]

_CHUNK = 512  # characters between two Steps


@dataclass(frozen=True, slots=True)
class Guess:
    """A character that the voice thought might come, and its probability."""

    character: str
    chance: float


@dataclass(frozen=True)
class Score:
    """How a voice reads a text.

    Attributes:
        read: the text.
        bits: the surprise at each of its characters, (N,) float32, at least 0.
        ranks: how many characters were thought likelier at each place, (N,) int64; 0: it was the first guess.
        guesses: at each place the likeliest characters, likeliest first.
        copied: what of it stands in the training text; None where that is not known.
        goes_on: whether the text is longer than what was read.
        voice, sha256, settings, device: what read it, how and where.
    """

    read: str
    bits: NDArray[np.float32]
    ranks: NDArray[np.int64]
    guesses: tuple[tuple[Guess, ...], ...]
    copied: Copied | None
    goes_on: bool
    voice: str
    sha256: str
    settings: ScoreSettings
    device: str

    @property
    def bits_per_character(self) -> float:
        """The mean surprise."""
        return float(self.bits.mean(dtype=np.float64))

    @property
    def perplexity(self) -> float:
        """As if at each place so many characters were equally likely."""
        return 2.0 ** min(self.bits_per_character, 1000.0)

    @property
    def first_guesses(self) -> float:
        """The share of characters that were the first guess, 0 to 1."""
        return float((self.ranks == 0).mean())

    def figures(self) -> dict[str, float]:
        """What is worth telling in numbers."""
        told = {
            "bits per character": self.bits_per_character,
            "perplexity": self.perplexity,
            "first guess right": self.first_guesses,
        }
        if self.copied is not None:
            told |= {"copied": self.copied.share, "longest copied": float(len(self.copied.longest or ()))}
        return told

    def surprises(self, count: int = 5) -> list[int]:
        """The places of the greatest surprises, greatest first."""
        return [int(place) for place in np.argsort(-self.bits, kind="stable")[:count]]

    @cached_property
    def text(self) -> str:
        """The report."""
        lines = [
            f"{self.voice}: {self.bits_per_character:.3f} bits per character (perplexity {self.perplexity:.2f}) over "
            f"{len(self.read):,} characters{' of a longer text' if self.goes_on else ''}.",
            f"Its first guess was right at {self.first_guesses:.0%} of them.",
        ]
        lines += [told_copied(self.copied, self.read)] if self.copied is not None else []
        lines += ["", "Most surprising:"]
        for place in self.surprises():
            around = f"{self.read[max(0, place - 24) : place]}[{self.read[place]}]{self.read[place + 1 : place + 12]}"
            expected = " ".join(repr(guess.character) for guess in self.guesses[place])
            lines.append(
                f"  {self.bits[place]:5.1f} bits, line {self.read.count(chr(10), 0, place) + 1}: {_line(around)}"
                + (f"   expected {expected}" if expected else "")
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text

    @cached_property
    def provenance(self) -> Provenance:
        """How it was made."""
        return describe_run(
            "score",
            self.settings,
            weights={self.voice: self.sha256},
            device=self.device,
            result={name: round(value, 4) for name, value in self.figures().items()},
        )


def _line(text: str) -> str:
    return "".join("⏎" if letter == "\n" else letter if letter.isprintable() else "?" for letter in text)


def told_copied(copied: Copied, text: str) -> str:
    """A sentence on what is copied from the training text."""
    if copied.longest is None:
        return f"No run of {copied.at_least} characters or more is copied from the training text."
    passage = _line(text[copied.longest.start : copied.longest.end])
    passage = passage if len(passage) <= 120 else f"{passage[:70]} ... {passage[-40:]}"
    share = f"{copied.share:.1%}" if copied.share < 0.1 else f"{copied.share:.0%}"
    least = "" if copied.exact else "at least "
    length = f"the longest run has {least}{len(copied.longest)} characters"
    return f"Copied from the training text: {share}; {length}: {passage}"


def score_text(
    text: str | Path,
    settings: ScoreSettings = ScoreSettings(),  # noqa: B008 (frozen)
    *,
    voice: str | Path | Voice = "shakespeare",
    training_text: str | Path | None = None,
    device: str | None = None,
) -> Generator[Step, None, Score]:
    """How surprised a voice is at each character of a text, as if a paragraph had just ended before it.

    Args:
        text: itself, or as a ``Path`` the file that it is in, of which no more than ``settings.limit`` is read.
        settings: how much is read, and how.
        voice: a bundled voice's name, a voice's file, or one that was loaded.
        training_text: a file with what the voice has learned, so that copies are found to the letter.
        device: where to compute.

    Raises:
        ValueError: at the call: no such voice; a text that is empty, binary or in another encoding; characters that
            the voice has never seen where those are to be refused.
    """
    place = choose_device(device or "auto")
    reader = voice if isinstance(voice, Voice) else load_voice(voice, device=place)
    read, goes_on = opened(text, settings.limit, settings.encoding)
    ids, message = read_as(read, reader.vocabulary, settings.unseen)
    if training_text is not None:
        next(text_parts(training_text), None)
    return _scoring(reader, read, goes_on, ids, settings, training_text, place, message)


def _scoring(
    voice: Voice,
    read: str,
    goes_on: bool,
    ids: Tensor,
    settings: ScoreSettings,
    training_text: str | Path | None,
    device: torch.device,
    message: str | None,
) -> Generator[Step, None, Score]:
    yield Step(0, len(ids), message=message)
    if goes_on:
        yield Step(0, len(ids), message=f"The text goes on after the first {len(read):,} characters, which are read.")
    before = before_everything(voice.vocabulary)
    inputs = torch.cat([before, ids])[:-1].to(device)
    targets = torch.cat([before, ids])[1:].to(device)
    gathered: list[tuple[Tensor, ...]] = []
    state = None
    for start in range(0, len(inputs), _CHUNK):
        with torch.inference_mode():
            logits, state = voice.model(inputs[None, start : start + _CHUNK], state)
            found = _surprise(logits[0], targets[start : start + _CHUNK], settings.guesses)
        gathered.append(tuple(one.cpu() for one in found))
        yield Step(min(start + _CHUNK, len(ids)), len(ids))
    skipped = len(before) - 1
    bits, ranks, best, chances = (torch.cat(parts)[skipped:].numpy() for parts in zip(*gathered, strict=True))
    starts = character_starts(read, voice.vocabulary)
    copied = None if voice.copied is None else read_fingerprints(voice.copied).find(read)
    if training_text is not None:
        search = Search(read)
        for part in text_parts(training_text):
            search.add(part)
            yield Step(len(ids), len(ids))
        copied = search.result()
    names = names_of(voice.vocabulary)
    score = Score(
        read=read,
        bits=np.add.reduceat(bits, starts),
        ranks=np.add.reduceat(ranks, starts),
        guesses=tuple(
            tuple(Guess(names[number], chance) for number, chance in zip(*row, strict=True))
            for row in zip(best[starts].tolist(), chances[starts].tolist(), strict=True)
        ),
        copied=copied,
        goes_on=goes_on,
        voice=voice.name,
        sha256=voice.sha256,
        settings=settings,
        device=str(device),
    )
    yield Step(len(ids), len(ids), metrics=score.figures(), preview=lambda: score)
    return score


def _surprise(logits: Tensor, targets: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(T, V) and (T,) to bits (T,), ranks (T,), and the best guesses' ids and probabilities, (T, count) each."""
    chances = logits.float().log_softmax(-1)
    own = chances.gather(-1, targets[:, None])
    best = chances.topk(min(count, chances.shape[-1]))
    return -own[:, 0] / math.log(2), (chances > own).sum(-1), best.indices, best.values.exp()


def character_starts(text: str, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Where each character of a text begins in its numbers: with bytes one has up to four."""
    if vocabulary.units == "characters":
        return np.arange(len(text))
    sizes = np.array([len(character.encode("utf-8")) for character in text])
    return np.cumsum(sizes) - sizes


def names_of(vocabulary: Vocabulary) -> list[str]:
    """What each number stands for, to be shown: a byte that is no character alone as ``\\xE9``."""
    if vocabulary.characters is not None:
        return list(vocabulary.characters)
    return [chr(byte) if byte < 128 else f"\\x{byte:02X}" for byte in range(256)]
