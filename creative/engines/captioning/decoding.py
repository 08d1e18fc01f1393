"""From a network to sentences: the likeliest ones by beam search, or some drawn at random.

    sentences = search([captioner], [captioner.look(grids)], Rules(beam=3))    # for each picture the best first
    drawn = draw_sentences([captioner], [captioner.look(grids)], Rules(), 5, random_generator(0))

All take several networks that have one vocabulary: the mean of their probabilities is what counts. All pictures are
searched at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creative.data.words import END, START, UNKNOWN
from creative.models.captioner import Captioner, Memory, View

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What sentences may be, and which are better.

    Attributes:
        beam: sentences kept while searching.
        length_penalty: α of a sentence's score, its log-probability / length^α with the end counted as a word (Wu et
            al., 2016, arXiv:1609.08144, with a simpler length): 0 prefers short ones, 1 takes the mean word's.
        max_words: of a sentence.
    """

    beam: int = 3
    length_penalty: float = 0.7
    max_words: int = 40

    def score(self, log_probability: float, length: int) -> float:
        """Of a sentence, by which they are ranked."""
        return log_probability / length**self.length_penalty


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence as numbers.

    Attributes:
        ids: its words, without start and end.
        log_probability: of all of them, and of the end where it ended.
        score: by which it is ranked.
        ended: False where it was cut.
    """

    ids: Ids
    log_probability: float
    score: float
    ended: bool


class _Ensemble:
    """Networks that write one sentence together."""

    def __init__(self, captioners: Sequence[Captioner], views: Sequence[View], each: int) -> None:
        self.captioners, self.views = captioners, views
        self.memories: list[Memory] = [
            captioner.start(view, each) for captioner, view in zip(captioners, views, strict=True)
        ]

    def step(self, words: Tensor) -> Tensor:
        """The last words (N,) -> log-probabilities of the next ones (N, V)."""
        total = torch.zeros(())
        for number, (captioner, view) in enumerate(zip(self.captioners, self.views, strict=True)):
            logits, self.memories[number] = captioner.step(words, view, self.memories[number])
            total = total.to(logits.device) + logits.float().softmax(-1)
        return (total / len(self.captioners)).log()

    def reorder(self, rows: Tensor) -> None:
        """Go on with these rows (N,) in place of those there are."""
        self.memories = [tuple(part[:, rows] for part in memory) for memory in self.memories]


def _forbid(log_probabilities: Tensor, first: bool) -> Tensor:
    """No sentence has a start or an unknown word in it, and none is empty."""
    log_probabilities[:, [START, UNKNOWN]] = -torch.inf
    if first:
        log_probabilities[:, END] = -torch.inf
    return log_probabilities


@torch.no_grad()
def search(captioners: Sequence[Captioner], views: Sequence[View], rules: Rules) -> list[list[Found]]:
    """The best sentences of each picture by beam search, at most ``beam``, the best first.

    A picture is done when none of its open sentences can still become one of its best. One that never ends is cut at
    ``max_words``, and such a sentence counts only where too few ended.

    Args:
        captioners: networks with one vocabulary, in eval mode.
        views: what each of them sees of all pictures.
        rules: of the search.
    """
    count, width = len(views[0]), rules.beam
    device = views[0].places.device
    ensemble = _Ensemble(captioners, views, width)
    words = torch.full((count * width,), START, device=device)
    totals = torch.full((count, width), -torch.inf, dtype=torch.float64, device=device)
    totals[:, 0] = 0.0  # at first there is one open sentence, the empty one
    written = torch.zeros(count, width, 0, dtype=torch.int64, device=device)
    done: list[list[Found]] = [[] for _ in range(count)]
    first_rows = torch.arange(count, device=device)[:, None] * width
    for length in range(1, rules.max_words + 2):
        step = _forbid(ensemble.step(words), first=length == 1).double()
        size = step.shape[-1]
        reached = totals[..., None] + step.view(count, width, size)
        _take_ended(done, reached[..., END], written, rules, length)
        if length > rules.max_words:
            break
        reached[..., END] = -torch.inf
        totals, flat = reached.flatten(1).topk(min(width, width * size))
        source, words = flat // size, (flat % size).flatten()
        written = torch.cat(
            [written.gather(1, source[..., None].expand(-1, -1, length - 1)), words.view(count, width, 1)], -1
        )
        ensemble.reorder((first_rows + source).flatten())
        if all(_is_over(found, best, rules) for found, best in zip(done, totals[:, 0].tolist(), strict=True)):
            break
    return [_ranked(*row, rules) for row in zip(done, written, totals, strict=True)]


def _take_ended(done: list[list[Found]], totals: Tensor, written: Tensor, rules: Rules, length: int) -> None:
    """Keep the sentences that end here, if they are among the best: (B, K), (B, K, length - 1)."""
    for found, row, sentences in zip(done, totals.tolist(), written.tolist(), strict=True):
        for total, ids in zip(row, sentences, strict=True):
            if total > -torch.inf:
                found.append(Found(tuple(ids), total, rules.score(total, length), True))
        found.sort(key=lambda one: -one.score)
        del found[rules.beam :]


def _is_over(found: list[Found], best: float, rules: Rules) -> bool:
    """Whether no open sentence can come in: its log-probability only falls, and length can but help it so much."""
    return len(found) >= rules.beam and rules.score(best, rules.max_words + 1) <= found[-1].score


def _ranked(found: list[Found], written: Tensor, totals: Tensor, rules: Rules) -> list[Found]:
    if len(found) < rules.beam:
        length = max(1, written.shape[-1])
        for ids, total in zip(written.tolist(), totals.tolist(), strict=True):
            if total > -torch.inf and len(found) < rules.beam:
                found.append(Found(tuple(ids), total, rules.score(total, length), False))
    return found


@torch.no_grad()
def draw_sentences(
    captioners: Sequence[Captioner],
    views: Sequence[View],
    rules: Rules,
    each: int,
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
) -> list[list[Found]]:
    """Sentences drawn at random word by word, ``each`` of every picture, in the order of drawing.

    Args:
        captioners, views, rules: as of ``search``.
        each: sentences of a picture.
        generator: on the networks' device.
        temperature: below 1 the likely words become likelier. Scores are those at temperature 1.
    """
    count = len(views[0])
    device = views[0].places.device
    ensemble = _Ensemble(captioners, views, each)
    words = torch.full((count * each,), START, device=device)
    open_ = torch.ones(count * each, dtype=torch.bool, device=device)
    totals = torch.zeros(count * each, dtype=torch.float64, device=device)
    written: list[Tensor] = []
    for length in range(1, rules.max_words + 1):
        step = _forbid(ensemble.step(words), first=length == 1)
        chances = (step / temperature).softmax(-1)
        words = torch.multinomial(chances, 1, generator=generator)[:, 0]
        totals += torch.where(open_, step.gather(1, words[:, None])[:, 0].double(), 0.0)
        words = torch.where(open_, words, END)
        open_ = open_ & (words != END)
        written.append(words)
        if not bool(open_.any()):
            break
    return _gathered(torch.stack(written, 1), totals, open_, each, rules)


def _gathered(written: Tensor, totals: Tensor, open_: Tensor, each: int, rules: Rules) -> list[list[Found]]:
    found = []
    for ids, total, cut in zip(written.tolist(), totals.tolist(), open_.tolist(), strict=True):
        words = tuple(ids) if cut else tuple(ids[: ids.index(END)])
        found.append(Found(words, total, rules.score(total, len(words) + (not cut)), not cut))
    return [found[first : first + each] for first in range(0, len(found), each)]


def padded(sentences: Sequence[Ids], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Sentences of differing lengths as what is read, what is to be written, and where there is anything.

    Returns:
        (N, U) int64 with the start before each, (N, U) int64 with the end behind each, (N, U) bool.
    """
    longest = max((len(ids) for ids in sentences), default=0) + 1
    read = torch.full((len(sentences), longest), END)
    write = torch.full((len(sentences), longest), END)
    lengths = torch.tensor([len(ids) + 1 for ids in sentences])
    for row, ids in enumerate(sentences):
        read[row, : len(ids) + 1] = torch.tensor([START, *ids])
        write[row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
    there = torch.arange(longest) < lengths[:, None]
    return read.to(device), write.to(device), there.to(device)


@torch.no_grad()
def looked_at(
    captioners: Sequence[Captioner], views: Sequence[View], sentences: Sequence[Sequence[Ids]]
) -> list[list[tuple[list[float], Tensor]]]:
    """How sure the networks are of each word, and where they look for it.

    Args:
        captioners, views: as of ``search``.
        sentences: of each picture, as many of each.

    Returns:
        For each sentence the probabilities of its words, and maps (T, h, w), each of which sums to 1.
    """
    flat = [ids for many in sentences for ids in many]
    if not flat:
        return [[] for _ in sentences]
    height, width = views[0].size
    read, write, _ = padded(flat, views[0].places.device)
    chances, looked = torch.zeros(write.shape), torch.zeros(*write.shape, height * width)
    for captioner, view in zip(captioners, views, strict=True):
        logits, weights = captioner(view, read)
        one = logits.float().softmax(-1).gather(-1, write[..., None])[..., 0]
        chances += one.cpu() / len(captioners)
        looked += weights.float().cpu() / len(captioners)
    maps = looked.unflatten(-1, (height, width))
    rows = [(chances[row, : len(ids)].tolist(), maps[row, : len(ids)]) for row, ids in enumerate(flat)]
    each = len(flat) // len(sentences)
    return [rows[first : first + each] for first in range(0, len(rows), each)]
