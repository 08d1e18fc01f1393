"""How good captions are: BLEU, ROUGE-L, CIDEr and CIDEr-D as the COCO evaluation defines them, without Java.

references = {"1.jpg": ["a dog runs", "a brown dog is running"], ...}      # words with single blanks between them
candidates = {"1.jpg": "a dog is running", ...}
caption_scores(candidates, references)      # {"bleu_1": ..., "bleu_4": ..., "rouge_l": ..., "cider_d": ..., ...}
reward = Cider(references)                  # once; then, thousands of times:
reward.score("1.jpg", "a dog runs")

Sentences are compared word by word as they are: the COCO evaluation puts both through its tokenisation first, as
``" ".join(creative.data.words.tokenise(sentence))`` does. What it reports as "CIDEr" is CIDEr-D.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Gram = tuple[str, ...]

_N = 4  # words in the longest n-grams
_SIGMA = 6.0  # of CIDEr-D's penalty on length, in words
_BETA = 1.2  # how much more recall counts than precision in ROUGE-L
_TINY, _SMALL = 1e-15, 1e-9  # what the COCO evaluation adds above and below in BLEU


def caption_scores(
    candidates: Mapping[Key, str], references: Mapping[Key, Sequence[str]], *, frequencies: Frequencies | None = None
) -> dict[str, float]:
    """All measures of one sentence each for some pictures.

    Args:
        candidates: a sentence for each picture.
        references: people's sentences for each of those pictures, and perhaps for others, which are left alone.
        frequencies: for CIDEr; None for those of the references, as the COCO evaluation has it.

    Returns:
        ``bleu_1`` to ``bleu_4`` and ``rouge_l`` in [0, 1], ``cider_d`` (the COCO evaluation's "CIDEr") and ``cider`` in
        [0, 10], ``distinct``: the share of different sentences among the candidates.

    Raises:
        ValueError: there are no candidates, or there is one without references.
    """
    cider_d_score = cider_d(candidates, references, frequencies=frequencies)
    return {
        **{f"bleu_{n}": score for n, score in enumerate(bleu(candidates, references), 1)},
        "rouge_l": rouge_l(candidates, references),
        "cider_d": cider_d_score,
        "cider": cider(candidates, references, frequencies=frequencies),
        "distinct": distinct_share(candidates.values()),
    }


def bleu(candidates: Mapping[Key, str], references: Mapping[Key, Sequence[str]]) -> list[float]:
    """BLEU-1 to BLEU-4 over all pictures together, with the closest reference length.

    Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002, ACL P02-1040).
    """
    _check(candidates, references)
    correct, guessed = [0] * _N, [0] * _N
    written = expected = 0
    for key, candidate in candidates.items():
        words = candidate.split()
        others = [reference.split() for reference in references[key]]
        written += len(words)
        expected += min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        for n in range(_N):
            most: Counter[Gram] = Counter()
            for other in others:
                most |= _grams(other, n + 1)
            correct[n] += (_grams(words, n + 1) & most).total()
            guessed[n] += max(0, len(words) - n)
    product, scores = 1.0, []
    for n in range(_N):
        product *= (correct[n] + _TINY) / (guessed[n] + _SMALL)
        scores.append(product ** (1 / (n + 1)))
    ratio = (written + _TINY) / (expected + _SMALL)
    return [score * math.exp(1 - 1 / ratio) for score in scores] if ratio < 1 else scores


def rouge_l(candidates: Mapping[Key, str], references: Mapping[Key, Sequence[str]]) -> float:
    """ROUGE-L, the mean over pictures: of the longest common subsequences, the best precision with the best recall.

    Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004, ACL W04-1013). Differs from Lin as the COCO
    evaluation does: precision and recall may be those of two different references.
    """
    _check(candidates, references)
    total = 0.0
    for key, candidate in candidates.items():
        words = candidate.split(" ")
        pairs = [(other, _common(words, other)) for other in (reference.split(" ") for reference in references[key])]
        precision = max(common for _, common in pairs) / len(words)
        recall = max(common / len(other) for other, common in pairs)
        if precision and recall:
            total += (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)
    return total / len(candidates)


def cider_d(
    candidates: Mapping[Key, str],
    references: Mapping[Key, Sequence[str]],
    *,
    frequencies: Frequencies | None = None,
) -> float:
    """CIDEr-D, the mean over pictures: what the COCO evaluation reports as CIDEr. See ``Cider``."""
    return _mean(Cider(_asked(candidates, references), frequencies=frequencies), candidates)


def cider(
    candidates: Mapping[Key, str],
    references: Mapping[Key, Sequence[str]],
    *,
    frequencies: Frequencies | None = None,
) -> float:
    """CIDEr without the defences of CIDEr-D, the mean over pictures. See ``Cider``."""
    return _mean(Cider(_asked(candidates, references), frequencies=frequencies, defended=False), candidates)


def distinct_share(sentences: Iterable[str]) -> float:
    """How many different ones there are among some sentences, as a share of all; 0 for none."""
    every = list(sentences)
    return len(set(every)) / len(every) if every else 0.0


def agreement(references: Mapping[Key, Sequence[str]]) -> dict[str, float]:
    """What people's sentences score when each is held against the others about its picture: all of ``caption_scores``.

    The mean over rounds, in each of which one sentence of every picture is the candidate; pictures with one sentence
    are left out.

    Raises:
        ValueError: no picture has two sentences.
    """
    several = {key: list(sentences) for key, sentences in references.items() if len(sentences) > 1}
    if not several:
        raise ValueError("No picture has two sentences that could be held against one another.")
    totals: Counter[str] = Counter()
    rounds = max(len(sentences) for sentences in several.values())
    for turn in range(rounds):
        taken = {key: turn % len(sentences) for key, sentences in several.items()}
        candidates = {key: several[key][place] for key, place in taken.items()}
        others = {key: several[key][:place] + several[key][place + 1 :] for key, place in taken.items()}
        totals.update(caption_scores(candidates, others))
    return {name: total / rounds for name, total in totals.items()}


# CIDEr --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frequencies:
    """In how many pictures' references each n-gram occurs.

    Attributes:
        pictures: how many there are.
        counts: of n-grams of 1 to 4 words.
    """

    pictures: int
    counts: Mapping[Gram, int]

    @classmethod
    def of(cls, references: Mapping[Key, Sequence[str]]) -> Frequencies:
        """Those of some pictures' references, of a training set for example."""
        counts: Counter[Gram] = Counter()
        for sentences in references.values():
            split = [sentence.split() for sentence in sentences]
            counts.update({gram for words in split for n in range(_N) for gram in _grams(words, n + 1)})
        return cls(len(references), counts)


class Cider(Generic[Key]):
    """CIDEr-D, or CIDEr, of any sentence for any picture of a set; what the references need is worked out once.

    Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation" (2015, arXiv:1411.5726): the cosine of
    tf-idf vectors of n-grams, averaged over n = 1 to 4 and over references, times 10. CIDEr-D clips what is repeated
    and penalises a difference in length.

    Args:
        references: people's sentences for each picture.
        frequencies: of n-grams over pictures; None for those of the references.
        defended: CIDEr-D; False for CIDEr.

    Example:
        >>> reward = Cider({1: ["a dog runs", "the dog runs"], 2: ["a cat sleeps"]})
        >>> round(reward.score(1, "a dog runs"), 3)
        5.396
    """

    def __init__(
        self,
        references: Mapping[Key, Sequence[str]],
        *,
        frequencies: Frequencies | None = None,
        defended: bool = True,
    ) -> None:
        self.frequencies = frequencies or Frequencies.of(references)
        self.defended = defended
        self._whole = math.log(max(1, self.frequencies.pictures))
        self._pictures = {key: _Picture([self._vectors(s) for s in sentences]) for key, sentences in references.items()}

    def score(self, key: Key, sentence: str) -> float:
        """Of one sentence for one picture, in [0, 10].

        Raises:
            KeyError: the picture has no references.
        """
        picture = self._pictures[key]
        vectors, norms, length = self._vectors(sentence)
        total = 0.0
        for n, vector in enumerate(vectors):
            products = [0.0] * len(picture.lengths)
            for gram, weight in vector.items():
                for place, other in picture.weights[n].get(gram, ()):
                    products[place] += (min(weight, other) if self.defended else weight) * other
            for place, product in enumerate(products):
                if product:
                    total += product / (norms[n] * picture.norms[place][n]) * self._kept(length, picture.lengths[place])
        return 10 * total / (_N * len(picture.lengths))

    def _kept(self, length: int, other: int) -> float:
        return math.exp(-((length - other) ** 2) / (2 * _SIGMA**2)) if self.defended else 1.0

    def _vectors(self, sentence: str) -> tuple[list[dict[Gram, float]], list[float], int]:
        """For each n the tf-idf weights and their norm; and the length, which the COCO evaluation counts in bigrams."""
        words = sentence.split()
        counts, whole = self.frequencies.counts, self._whole
        vectors = [
            {gram: number * (whole - math.log(max(1, counts.get(gram, 0)))) for gram, number in grams.items()}
            for grams in (_grams(words, n + 1) for n in range(_N))
        ]
        norms = [math.sqrt(sum(weight * weight for weight in vector.values())) for vector in vectors]
        return vectors, norms, max(0, len(words) - 1)


class _Picture:
    """A picture's references, n-gram by n-gram."""

    def __init__(self, references: Sequence[tuple[list[dict[Gram, float]], list[float], int]]) -> None:
        self.norms = [norms for _, norms, _ in references]
        self.lengths = [length for *_, length in references]
        self.weights: list[dict[Gram, list[tuple[int, float]]]] = [{} for _ in range(_N)]
        for place, (vectors, _, _) in enumerate(references):
            for n, vector in enumerate(vectors):
                for gram, weight in vector.items():
                    if weight:
                        self.weights[n].setdefault(gram, []).append((place, weight))


def _mean(measure: Cider[Key], candidates: Mapping[Key, str]) -> float:
    return sum(measure.score(key, sentence) for key, sentence in candidates.items()) / len(candidates)


def _asked(candidates: Mapping[Key, str], references: Mapping[Key, Sequence[str]]) -> dict[Key, Sequence[str]]:
    """The references of the pictures that there are candidates for."""
    _check(candidates, references)
    return {key: references[key] for key in candidates}


def _check(candidates: Mapping[Key, str], references: Mapping[Key, Sequence[str]]) -> None:
    if not candidates:
        raise ValueError("There are no sentences to score.")
    for key, sentence in candidates.items():
        if not isinstance(sentence, str):
            raise ValueError(f"A candidate is one sentence, but that of {key!r} is of type {type(sentence).__name__}.")
        if not references.get(key) or isinstance(references[key], str):
            raise ValueError(f"There is no list of references for {key!r}.")


def _grams(words: Sequence[str], n: int) -> Counter[Gram]:
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0  # the row above, one place to the left
        for place, against in enumerate(other, 1):
            above = row[place]
            row[place] = before + 1 if word == against else max(above, row[place - 1])
            before = above
    return row[-1]
