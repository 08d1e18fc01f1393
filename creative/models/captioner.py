"""The network that writes a sentence about a picture: it looks at a grid of features, a word at a time.

    captioner = Captioner(CaptionerConfig(vocabulary_size=800, channels=480))
    view = captioner.look(grid)                       # (B, 480, 7, 7): done once for a picture
    logits, looked = captioner(view, words)           # (B, U) -> (B, U, 800), (B, U, 49): all words at once
    state = captioner.start(view)                     # or word by word
    logits, state = captioner.step(words, view, state)  # (B,) -> (B, 800)

Vinyals et al., 2015, Show and Tell, arXiv:1411.4555; Karpathy and Fei-Fei, 2015, Deep Visual-Semantic Alignments,
arXiv:1412.2306; Xu et al., 2015, Show, Attend and Tell, arXiv:1502.03044.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.attention import Attention
from creative.blocks.rnn import Recurrent, RecurrentConfig, State


class CaptionerError(ValueError):
    """A captioner that cannot be, or a grid that it does not fit."""


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """The network's shape.

    Attributes:
        vocabulary_size: words, the marks among them.
        channels: of the grids that it looks at.
        embedding_size: numbers per word, of those read and of those written, which are the same.
        memory_size: numbers per place of the picture.
        hidden_size: of each of the two LSTMs.
        num_heads: places looked at for each word.
        dropout: in training: of words, of channels of the picture, of what the LSTMs give.

    Raises:
        CaptionerError: a size below 1, or a dropout outside [0, 1).
    """

    vocabulary_size: int
    channels: int
    embedding_size: int = 128
    memory_size: int = 128
    hidden_size: int = 192
    num_heads: int = 2
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "dropout" and value < 1:
                raise CaptionerError(f"{name} is {value}, but must be at least 1.")
        if not 0 <= self.dropout < 1:
            raise CaptionerError(f"dropout is {self.dropout}, but must be at least 0 and below 1.")

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CaptionerConfig:
        """From plain values."""
        return cls(**values)


@dataclass(frozen=True, slots=True)
class View:
    """What the network keeps of a picture.

    Attributes:
        places: (B, P, memory_size), row by row.
        summary: of all places together, (B, memory_size).
        size: (h, w) with P = h · w.
    """

    places: Tensor
    summary: Tensor
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.places)


Memory = tuple[Tensor, ...]
"""What is carried from word to word: h and c of both LSTMs, (1, B, hidden_size) each."""


class Captioner(nn.Module):
    """Two LSTMs with attention between them.

    The first reads the words, its hidden values say where to look, and the second, which sees what was found there,
    writes. Differs from Xu et al.: what was found does not go back to the LSTM that decides where to look next, so that
    all words of a sentence are trained at once; the second one remembers it.

    Attributes:
        config: what it was made from.
        mean, deviation: of the grid's channels in training, which are standardised by them.
    """

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.config = config
        size, hidden = config.memory_size, config.hidden_size
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(config.channels))
        self.register_buffer("deviation", torch.ones(config.channels))
        self.places = nn.Linear(config.channels + 2, size)
        self.summary = nn.Linear(2 * config.channels, size)
        self.initial = nn.Linear(size, 4 * hidden)
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.reading = Recurrent(RecurrentConfig("lstm", config.embedding_size + size, hidden))
        self.attention = Attention(hidden, size, num_heads=config.num_heads)
        self.writing = Recurrent(RecurrentConfig("lstm", 2 * hidden, hidden))
        self.words = nn.Linear(hidden, config.embedding_size)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)

    def look(self, grid: Tensor) -> View:
        """Take in pictures once for all words.

        Args:
            grid: (B, channels, h, w).

        Raises:
            CaptionerError: another number of channels.
        """
        if grid.dim() != 4 or grid.shape[1] != self.config.channels:
            shape = "×".join(map(str, grid.shape))
            raise CaptionerError(f"This captioner looks at grids of {self.config.channels} channels, not at {shape}.")
        height, width = grid.shape[-2:]
        x = (grid.to(self.mean.dtype) - self.mean.view(-1, 1, 1)) / self.deviation.view(-1, 1, 1)
        x = F.dropout2d(x, self.config.dropout / 2, self.training)  # whole channels: places say nearly the same
        summary = torch.cat([x.mean((2, 3)), x.std((2, 3), correction=0)], 1)
        x = torch.cat([x, coordinates(height, width, x).expand(len(x), -1, -1, -1)], 1)
        places = F.relu(self.places(x.flatten(2).transpose(1, 2)))
        return View(places, F.relu(self.summary(self._drop(summary))), (height, width))

    def forward(self, view: View, words: Tensor) -> tuple[Tensor, Tensor]:
        """The words that follow, all at once.

        Args:
            view: of B pictures.
            words: (B · S, U) int64, S sentences of each picture, side by side.

        Returns:
            Logits (B · S, U, V), and where it looked, (B · S, U, P), each row's sum being 1: the heads' mean.
        """
        each = len(words) // max(1, len(view))
        summary = view.summary.repeat_interleave(each, 0)
        first, second = self._halves(self._begun(summary))
        x = torch.cat([self._drop(self.embedding(words)), summary[:, None].expand(-1, words.shape[1], -1)], -1)
        y, _ = self.reading(x, first)
        found, looked = self._look_up(y, view)
        y, _ = self.writing(torch.cat([self._drop(y), found], -1), second)
        return self._classified(y), looked

    def start(self, view: View, each: int = 1) -> Memory:
        """What is carried before the first word, for ``each`` sentences of every picture."""
        return self._begun(view.summary.repeat_interleave(each, 0))

    def step(self, words: Tensor, view: View, memory: Memory) -> tuple[Tensor, Memory]:
        """The word that follows: (B · S,) -> logits (B · S, V), and what is carried on."""
        summary = view.summary.repeat_interleave(len(words) // max(1, len(view)), 0)
        first, second = self._halves(memory)
        y, first = self.reading.step(torch.cat([self.embedding(words), summary], -1), first)
        found, _ = self._look_up(y[:, None], view)
        y, second = self.writing.step(torch.cat([y, found[:, 0]], -1), second)
        return self._classified(y), (*first, *second)

    def _begun(self, summary: Tensor) -> Memory:
        return tuple(part.tanh()[None] for part in self.initial(summary).chunk(4, -1))

    def _halves(self, memory: Memory) -> tuple[State, State]:
        return memory[:2], memory[2:]

    def _look_up(self, queries: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """(B · S, U, H) -> what was found, of the same shape, and where, (B · S, U, P)."""
        rows, length = queries.shape[:2]
        present = torch.ones(view.places.shape[:2], dtype=torch.bool, device=queries.device)
        together = queries.reshape(len(view), -1, queries.shape[-1])  # of each picture all sentences in one product
        weights = self.attention.weights(together, view.places, present)
        found = self.attention.read(weights, view.places)
        return found.view(rows, length, -1), weights.mean(2).view(rows, length, -1)

    def _classified(self, y: Tensor) -> Tensor:
        return F.linear(self.words(self._drop(y)), self.embedding.weight, self.bias)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)


def coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """Two channels that say where a place is, x and y in [-1, 1]: (2, h, w).

    Liu et al., 2018, An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution,
    arXiv:1807.03247.
    """
    y, x = (torch.linspace(-1, 1, size, dtype=like.dtype, device=like.device) for size in (height, width))
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)])
