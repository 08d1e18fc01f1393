"""The networks that learn to execute: characters of a program in, characters of its answer out.

    network = make_executor(ExecutorConfig(num_heads=4, both_ways=True))
    logits = network(programs, lengths, answers)         # teacher-forced: (B, T), (B,), (B, U) -> (B, U, A)
    memory = network.read(programs, lengths)             # or character by character:
    logits, memory = network.write(ids, memory)          # (B,) -> (B, A)

Without attention one stack of LSTMs reads the program and goes on to write the answer (Zaremba and Sutskever, 2014,
Learning to Execute, arXiv:1410.4615). With it one stack reads, and another writes and looks back at what was read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.attention import Attention
from creative.blocks.rnn import Recurrent, RecurrentConfig, State
from creative.models.char_rnn import CharRNN, CharRNNConfig

NUM_CHARACTERS, NUM_ANSWER_CHARACTERS = 44, 14
"""Of programs, and of answers, which come first among them; see ``creative.data.programs.CHARACTERS``."""
_GO = 1  # what stands between program and answer


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """A network's shape.

    Attributes:
        hidden_size, num_layers: of the stack that reads; both directions together, where it reads both ways.
        num_heads: of the attention to the program; 0 for none.
        both_ways: the program is read forwards and backwards at once (with attention only).
        writer_size, writer_layers: of the stack that writes with attention.
        thinking: steps that it makes before it writes.
        dropout: between layers.
    """

    hidden_size: int = 256
    num_layers: int = 1
    num_heads: int = 0
    both_ways: bool = False
    writer_size: int = 256
    writer_layers: int = 2
    thinking: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.both_ways and self.hidden_size % 2:
            raise ValueError(f"hidden_size is {self.hidden_size}, but must be even for two directions.")

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ExecutorConfig:
        """From plain values."""
        return cls(**values)


class Executor(nn.Module, ABC):
    """What both networks can do. The answer's characters are the first A = 14 of all."""

    config: ExecutorConfig

    @abstractmethod
    def forward(self, programs: Tensor, lengths: Tensor, answers: Tensor) -> Tensor:
        """Logits of each character of an answer, given those before it.

        Args:
            programs: (B, T) int64, padded at the end.
            lengths: (B,) int64.
            answers: (B, U) int64, padded at the end.

        Returns:
            (B, U, A).
        """

    @abstractmethod
    def read(self, programs: Tensor, lengths: Tensor) -> Any:
        """Read programs: what ``write`` needs to begin."""

    @abstractmethod
    def write(self, ids: Tensor | None, memory: Any) -> tuple[Tensor, Any]:
        """The characters (B,) just written (None: nothing yet) -> logits of the next ones (B, A), and what goes on."""

    @abstractmethod
    def hidden(self, program: Tensor) -> Tensor:
        """What each neuron holds after each character of one program: (T,) -> (T, layers, H) in (-1, 1)."""


def make_executor(config: ExecutorConfig) -> Executor:
    """The network of a shape."""
    return AttentiveExecutor(config) if config.num_heads else PlainExecutor(config)


class PlainExecutor(Executor):
    """One stack reads and writes.

    Attributes:
        model: a character model over programs, each with its answer behind it.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        super().__init__()
        self.config = config
        shape = CharRNNConfig(NUM_CHARACTERS, config.hidden_size, config.num_layers, dropout=config.dropout)
        self.model = CharRNN(shape)

    def forward(self, programs: Tensor, lengths: Tensor, answers: Tensor) -> Tensor:
        """See ``Executor.forward``."""
        places = lengths[:, None] + torch.arange(answers.shape[1], device=lengths.device)
        ids = F.pad(programs, (0, answers.shape[1])).scatter(1, places, answers)
        y, _ = self.model.recurrent(ids[:, :-1])
        y = y.gather(1, (places - 1)[..., None].expand(-1, -1, y.shape[-1]))
        y = F.dropout(y, self.config.dropout, self.training)
        return self.model.classifier(y)[..., :NUM_ANSWER_CHARACTERS]

    def read(self, programs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """See ``Executor.read``: the first logits, and the state."""
        order = torch.arange(len(programs), device=programs.device)
        logits = programs.new_zeros((len(programs), NUM_ANSWER_CHARACTERS), dtype=torch.float32)
        state = self.model.initial_state(len(programs))
        for length in lengths.unique().tolist():
            rows = order[lengths == length]
            found, ends = self.model(programs[rows, :length])
            logits[rows] = found[:, -1, :NUM_ANSWER_CHARACTERS].float()
            for whole, part in zip(state, ends, strict=True):
                whole[:, rows] = part.to(whole.dtype)
        return logits, state

    def write(self, ids: Tensor | None, memory: tuple[Tensor, State]) -> tuple[Tensor, tuple[Tensor, State]]:
        """See ``Executor.write``."""
        if ids is None:
            return memory[0], memory
        y, state = self.model.recurrent.step(ids, memory[1])
        logits = self.model.classifier(y)[..., :NUM_ANSWER_CHARACTERS]
        return logits, (logits, state)

    def hidden(self, program: Tensor) -> Tensor:
        """See ``Executor.hidden``."""
        layers, _, _ = self.model.hidden(program[None])
        return layers[0]


class Reader(nn.Module):
    """Layers that read sequences of differing lengths, forwards or both ways, as if each were alone."""

    def __init__(self, config: ExecutorConfig) -> None:
        super().__init__()
        directions = 2 if config.both_ways else 1
        width = config.hidden_size // directions
        sizes = [NUM_CHARACTERS, *[config.hidden_size] * (config.num_layers - 1)]
        self.dropout = config.dropout

        def stack() -> nn.ModuleList:
            return nn.ModuleList(Recurrent(RecurrentConfig("lstm", size, width)) for size in sizes)

        self.forwards, self.backwards = stack(), stack() if config.both_ways else None

    def forward(self, programs: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, T), (B,) -> each layer's hidden values (B, T, H), and the last layer's at the ends (B, H)."""
        places = torch.arange(programs.shape[1], device=programs.device)
        turned = (lengths[:, None] - 1 - places).clamp(min=0)  # where a place is when read from the end
        first = torch.arange(len(programs), device=programs.device)[:, None] * programs.shape[1]
        x, layers = programs, []
        for number, forwards in enumerate(self.forwards):
            y, _ = forwards(x)
            ends = [_at(y, lengths - 1)]
            if self.backwards is not None:
                rows = (first + turned).flatten()
                back, _ = self.backwards[number](x.flatten(0, 1)[rows].view_as(x))
                ends.append(_at(back, lengths - 1))
                y = torch.cat([y, back.flatten(0, 1)[rows].view_as(back)], -1)
            layers.append(y)
            x = F.dropout(y, self.dropout, self.training) if number < len(self.forwards) - 1 else y
        return layers, torch.cat(ends, -1)


def _at(y: Tensor, places: Tensor) -> Tensor:
    """(B, T, H), (B,) -> (B, H)."""
    return y[torch.arange(len(y), device=y.device), places]


@dataclass(frozen=True, slots=True)
class WriterMemory:
    """What the writing stack has to go on.

    Attributes:
        read: what it looks back at, (B, T, H), and where there is any of it, (B, T).
        states: its layers'.
        begun: whether anything was written.
    """

    read: tuple[Tensor, Tensor]
    states: tuple[State, ...]
    begun: bool = False


class AttentiveExecutor(Executor):
    """One stack reads; another writes, each of its layers followed by attention to all that was read.

    Before it writes it may think: it makes ``thinking`` more steps, looking wherever it likes, with nothing written.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        super().__init__()
        self.config = config
        width, layers = config.writer_size, config.writer_layers
        self.reader = Reader(config)
        self.start = nn.Linear(config.hidden_size, 2 * layers * width)
        sizes = [NUM_ANSWER_CHARACTERS, *[2 * width] * (layers - 1)]
        self.layers = nn.ModuleList(Recurrent(RecurrentConfig("lstm", size, width)) for size in sizes)
        self.attentions = nn.ModuleList(
            Attention(width, config.hidden_size, num_heads=config.num_heads) for _ in range(layers)
        )
        self.classifier = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, NUM_ANSWER_CHARACTERS))

    def forward(self, programs: Tensor, lengths: Tensor, answers: Tensor) -> Tensor:
        """See ``Executor.forward``."""
        logits, _ = self._write(answers[:, :-1], self.read(programs, lengths))
        return logits

    def read(self, programs: Tensor, lengths: Tensor) -> WriterMemory:
        """See ``Executor.read``."""
        layers, ends = self.reader(programs, lengths)
        present = torch.arange(programs.shape[1], device=programs.device) < lengths[:, None]
        starts = torch.tanh(self.start(ends)).unflatten(-1, (2 * len(self.layers), 1, -1)).movedim(0, 2)
        return WriterMemory((layers[-1], present), tuple((h, c) for h, c in starts.split(2)))

    def write(self, ids: Tensor | None, memory: WriterMemory) -> tuple[Tensor, WriterMemory]:
        """See ``Executor.write``."""
        nothing = torch.empty((len(memory.read[0]), 0), dtype=torch.int64, device=memory.read[0].device)
        logits, memory = self._write(nothing if ids is None else ids[:, None], memory)
        return logits[:, -1], memory

    def hidden(self, program: Tensor) -> Tensor:
        """See ``Executor.hidden``."""
        layers, _ = self.reader(program[None], torch.tensor([len(program)], device=program.device))
        return torch.stack([layer[0] for layer in layers], 1)

    def _write(self, ids: Tensor, memory: WriterMemory) -> tuple[Tensor, WriterMemory]:
        thinking = 0 if memory.begun else self.config.thinking
        if not memory.begun:
            ids = F.pad(ids, (1 + thinking, 0), value=_GO)
        x, states = ids, []
        for layer, attention, state in zip(self.layers, self.attentions, memory.states, strict=True):
            y, state = layer(x, state)
            states.append(state)
            x = torch.cat([y, attention(y, *memory.read)], -1)
            x = F.dropout(x, self.config.dropout, self.training)
        return self.classifier(x[:, thinking:]), WriterMemory(memory.read, tuple(states), begun=True)
