"""What captioning a picture comes to: sentences, how sure each word is, where the network looked."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from creative.provenance import Provenance

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence about a picture.

    Attributes:
        words: as they are read; characters, where a captioner writes in these.
        confidences: the probability that the network gave to each, 0 to 1.
        attention: where it looked for each word, (T, h, w), each map's sum being 1; None where a captioner has none.
        score: by which sentences are ranked: the log-probability / number of words to the power of the length penalty.
        text: the words as a sentence.
        ended: whether it came to an end by itself, and not because it was too long.
    """

    words: tuple[str, ...]
    confidences: tuple[float, ...]
    attention: Tensor | None
    score: float
    text: str
    ended: bool = True

    @property
    def confidence(self) -> float:
        """Of the words on the whole, their geometric mean, 0 to 1."""
        logs = [math.log(max(one, 1e-12)) for one in self.confidences]
        return math.exp(sum(logs) / len(logs)) if logs else 0.0


@dataclass(frozen=True, slots=True)
class Guess:
    """A label that a picture may deserve, and its probability."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Description:
    """What is told of one picture.

    Attributes:
        name: the file's, without folders, or "picture 1" and so on.
        picture: as it was opened, shrunk where it is large; what attention lies over.
        sentences: the best first; none where the picture is unlike all that the model was trained on.
        known: whether the picture is like those that the model was trained on.
        unlikeness: how unlike them it is; up to 1 it counts as known.
        guesses: labels of the feature network; only where the picture is not known.
        model: whose sentences these are.
    """

    name: str
    picture: Image
    sentences: tuple[Sentence, ...]
    known: bool
    unlikeness: float
    guesses: tuple[Guess, ...]
    model: str

    @property
    def best(self) -> Sentence | None:
        """The best sentence, if there is any."""
        return self.sentences[0] if self.sentences else None

    @property
    def text(self) -> str:
        """The best sentence; for a picture that is not known, that it is not, and the guesses."""
        if self.known or not self.guesses:
            best = self.best
            return best.text if best else f"unlike anything the model {self.model} has seen"
        labels = ", ".join(f"{guess.label} ({100 * guess.confidence:.0f} %)" for guess in self.guesses)
        told = f"unlike anything the model {self.model} has seen; perhaps: {labels}"
        return f"{told}; anyway: {self.best.text}" if self.best else told

    def to_json(self) -> dict[str, Any]:
        """For other programs: what the text says, model, known, unlikeness, guesses, and the sentences word by word
        with how sure each is."""
        return {
            "file": self.name,
            "text": self.text,
            "model": self.model,
            "known": self.known,
            "unlikeness": round(self.unlikeness, 4),
            "guesses": [{"label": one.label, "confidence": round(one.confidence, 4)} for one in self.guesses],
            "sentences": [
                {
                    "text": one.text,
                    "confidence": round(one.confidence, 4),
                    "words": list(one.words),
                    "confidences": [round(each, 4) for each in one.confidences],
                }
                for one in self.sentences
            ],
        }


@dataclass(frozen=True)
class Captions:
    """What is told of some pictures, in their order.

    Attributes:
        descriptions: one for each picture that could be read.
        skipped: files that could not be read, with the reason.
        provenance: how it was made.
    """

    descriptions: tuple[Description, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    provenance: Provenance | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """One line for each picture; its name before it, where there are several."""
        if len(self.descriptions) == 1:
            return self.descriptions[0].text
        return "\n".join(f"{' '.join(found.name.split())}: {found.text}" for found in self.descriptions)

    def to_json(self) -> dict[str, Any]:
        """For other programs: ``captions`` of the pictures that could be read, ``unread`` ones with the reasons."""
        return {
            "captions": [found.to_json() for found in self.descriptions],
            "unread": [{"file": name, "error": reason} for name, reason in self.skipped],
        }

    @property
    def csv(self) -> str:
        """A table: file, caption, confidence, known, guesses, model."""
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["file", "caption", "confidence", "known", "guesses", "model"])
        for found in self.descriptions:
            best = found.best
            guesses = "; ".join(f"{guess.label} {guess.confidence:.2f}" for guess in found.guesses)
            told = [best.text, f"{best.confidence:.3f}"] if best else ["", ""]
            table.writerow([found.name, *told, "yes" if found.known else "no", guesses, found.model])
        return out.getvalue()
