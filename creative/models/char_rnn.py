"""The character-level language model, and its fast step for writing.

    model = CharRNN(CharRNNConfig(vocabulary_size=65))
    logits, state = model(ids)                     # (B, T) -> (B, T, 65)
    sampler = Sampler(model)
    state = sampler.start(1)
    logits = sampler.step(ids, state)              # (B,) -> (B, 65); the state moves on
    ids = draw(logits, temperature=0.8, generator=random_generator(0))

Karpathy (2015), The Unreasonable Effectiveness of Recurrent Neural Networks; Graves (2013), Generating Sequences With
Recurrent Neural Networks, arXiv:1308.0850.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.rnn import Cell, CellKind, Recurrent, RecurrentConfig, RecurrentError, State

SamplerPrecision = Literal["auto", "float32", "int8"]


@dataclass(frozen=True, slots=True)
class CharRNNConfig:
    """The network's shape.

    Attributes:
        vocabulary_size: how many characters there are.
        hidden_size, num_layers, kind, layer_norm, residual: of the recurrent layers; see ``RecurrentConfig``.
        embedding_size: numbers per character; None: one-hot, which is a table straight into the gates.
        dropout: between layers, and before the classifier.

    Raises:
        RecurrentError: a size below 1, a dropout outside [0, 1), or an unknown kind.
    """

    vocabulary_size: int
    hidden_size: int = 512
    num_layers: int = 1
    kind: CellKind = "lstm"
    embedding_size: int | None = None
    layer_norm: bool = False
    dropout: float = 0.0
    residual: bool = False

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "embedding_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RecurrentError(f"{name} is {value}, but must be at least 1.")
        self.recurrent()

    def recurrent(self) -> RecurrentConfig:
        """Of the recurrent layers."""
        return RecurrentConfig(
            kind=self.kind,
            input_size=self.embedding_size or self.vocabulary_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            layer_norm=self.layer_norm,
            dropout=self.dropout,
            residual=self.residual,
        )

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CharRNNConfig:
        """From the checkpoint."""
        return cls(**values)


class CharRNN(nn.Module):
    """Characters in, at each place the logits of the next one out.

    Attributes:
        config: what it was made from.
        embedding: (V, E), or None for one-hot.
        recurrent: the layers.
        classifier: from the last layer's hidden values to the logits.
    """

    def __init__(self, config: CharRNNConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding: nn.Embedding | None = None
        if config.embedding_size:
            self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.recurrent = Recurrent(config.recurrent())
        self.classifier = nn.Linear(config.hidden_size, config.vocabulary_size)

    def initial_state(self, batch: int) -> State:
        """Zeros; see ``Recurrent.initial_state``."""
        return self.recurrent.initial_state(batch)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(B, T) int64 -> logits (B, T, V) and the state after the last character."""
        y, state = self.recurrent(self._embedded(ids), state)
        return self._classified(y), state

    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """(B, T) -> each layer's hidden values (B, T, num_layers, H) in (-1, 1), logits (B, T, V), state."""
        y, state, layers = self.recurrent.unfold(self._embedded(ids), state)
        return torch.stack(layers, 2), self._classified(y), state

    def _embedded(self, ids: Tensor) -> Tensor:
        return ids if self.embedding is None else self.embedding(ids)

    def _classified(self, y: Tensor) -> Tensor:
        return self.classifier(F.dropout(y, self.config.dropout, self.training))


class SamplerState:
    """Where a ``Sampler`` is in each of a batch of texts; its steps write into it.

    Attributes:
        layers: each layer's (h, c) or (h,), (B, H) each.
    """

    def __init__(self, layers: list[State]) -> None:
        self.layers = layers

    def copy(self) -> SamplerState:
        """One that goes its own way."""
        return SamplerState([tuple(part.clone() for part in state) for state in self.layers])

    def select(self, rows: Tensor) -> SamplerState:
        """The texts of these numbers, (B',) int64, in that order; a number may come more than once."""
        return SamplerState([tuple(part[rows] for part in state) for state in self.layers])

    def stacked(self) -> State:
        """As the network takes and gives it: (num_layers, B, H) each."""
        return tuple(torch.stack(parts) for parts in zip(*self.layers, strict=True))


class Sampler:
    """A network's step made for writing: frozen, without gradients, with all fused that can be.

    Args:
        model: it is read once; later changes of its weights are not seen.
        precision: of the large matrices.
    """

    def __init__(self, model: CharRNN, precision: SamplerPrecision = "auto") -> None:
        self.config = model.config
        self.model = model
        with torch.inference_mode():
            first = self._cells()[0]
            every = torch.arange(model.config.vocabulary_size, device=first.weight_hh.device)
            self._table = first.project(model._embedded(every))

    def start(self, batch: int = 1, state: State | None = None) -> SamplerState:
        """The state before the first character, or as the network left it, (num_layers, batch, H) each."""
        state = self.model.initial_state(batch) if state is None else state
        parts = [part.detach().clone().unbind() for part in state]
        return SamplerState(list(zip(*parts, strict=True)))

    @torch.inference_mode()
    def step(self, ids: Tensor, state: SamplerState) -> Tensor:
        """The characters (B,) int64 go in, the logits (B, V) of the next ones come out; ``state`` is moved on."""
        x = self._table[ids]
        for number, cell in enumerate(self._cells()):
            state.layers[number] = cell.advance(cell.project(x) if number else x, state.layers[number])
            y = state.layers[number][0]
            x = x + y if number and self.config.residual else y
        return self.model.classifier(x)

    def _cells(self) -> list[Cell]:
        return list(self.model.recurrent.layers)  # type: ignore[arg-type]


@torch.inference_mode()
def draw(
    logits: Tensor,
    temperature: float = 1.0,
    *,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A character for each row of logits, (B, V) -> (B,) int64, from softmax(logits / temperature).

    An exponential race, which needs neither softmax nor sum: the least of E_i / p_i, with E_i exponentially
    distributed, is i with probability p_i.

    Args:
        logits: natural, of the most recent step.
        temperature: 0 takes the likeliest.
        top_k: only the k likeliest can be drawn.
        top_p: only the likeliest that together have this probability (Holtzman et al., 2020, arXiv:1904.09751).
        generator: where randomness comes from; on the device of the logits.
    """
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits.float() / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(-1, descending=True)
        chances = ordered.softmax(-1)
        beyond = chances.cumsum(-1) - chances >= top_p
        logits = logits.masked_fill(beyond.scatter(-1, order, beyond), -torch.inf)
    race = torch.empty_like(logits).exponential_(generator=generator).log_()
    return (logits - race).argmax(-1)
