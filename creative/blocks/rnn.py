"""Recurrent parts: four kinds of cell, and stacks of them that work on whole sequences or one step at a time.

    recurrent = Recurrent(RecurrentConfig(kind="lstm", input_size=65, hidden_size=128, num_layers=2))
    y, state = recurrent(x)                     # (B, T, 65) -> (B, T, 128), and the state after the last step
    y, state = recurrent.step(x_next, state)    # (B, 65) -> (B, 128): the same weights, one step on

Weights have torch's names, shapes and order of gates, so that they go from ``nn.LSTM`` and its sisters and back.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.cells import CELLS, Cell, CellKind, GRUCell, LSTMCell, PeepholeLSTMCell, RNNCell, State
from creative.blocks.recurrence import lstm_sequence

__all__ = [
    "CELLS",
    "Cell",
    "CellKind",
    "GRUCell",
    "LSTMCell",
    "PeepholeLSTMCell",
    "RNNCell",
    "Recurrent",
    "RecurrentConfig",
    "RecurrentError",
    "State",
]


class RecurrentError(ValueError):
    """A recurrent network that cannot be, or an input that does not fit it."""


@dataclass(frozen=True, slots=True)
class RecurrentConfig:
    """What a stack of recurrent layers is made of.

    Attributes:
        kind: the cell.
        input_size, hidden_size: numbers per step that go in, and that each layer gives.
        num_layers: how many cells stand on one another.
        layer_norm: see ``Cell``.
        dropout: the part of the numbers between two layers that is set to zero in training.
        residual: each layer but the first adds its input to what it gives.

    Raises:
        RecurrentError: a size below 1, a dropout outside [0, 1), or an unknown kind.
    """

    kind: CellKind = "lstm"
    input_size: int = 1
    hidden_size: int = 128
    num_layers: int = 1
    layer_norm: bool = False
    dropout: float = 0.0
    residual: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(CellKind):
            raise RecurrentError(f"There is no cell {self.kind!r}; there are {', '.join(get_args(CellKind))}.")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) < 1:
                raise RecurrentError(f"{name} is {getattr(self, name)}, but must be at least 1.")
        if not 0 <= self.dropout < 1:
            raise RecurrentError(f"dropout is {self.dropout}, but must be at least 0 and below 1.")

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RecurrentConfig:
        """From plain values."""
        return cls(**values)


_TORCH: dict[CellKind, type[nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
_FUSED: dict[CellKind, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}


class Recurrent(nn.Module):
    """A stack of cells; ``forward`` takes whole sequences, ``step`` one step, with the same weights.

    Between two layers there is dropout in training, a new mask at every step (Zaremba et al., 2014, arXiv:1409.2329).
    Residual connections go round each layer but the first (Wu et al., 2016, arXiv:1609.08144).

    Attributes:
        config: what it was made from.
        layers: the cells.

    Example:
        >>> recurrent = Recurrent(RecurrentConfig(input_size=3, hidden_size=8))
        >>> y, (h, c) = recurrent(torch.rand(2, 5, 3))  # (2, 5, 8), (1, 2, 8), (1, 2, 8)
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [config.input_size] + [config.hidden_size] * (config.num_layers - 1)
        cell = CELLS[config.kind]
        self.layers = nn.ModuleList(cell(size, config.hidden_size, layer_norm=config.layer_norm) for size in sizes)

    def initial_state(
        self, batch: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Zeros, (num_layers, batch, H) each; by default where and as the weights are."""
        like = self._cell(0).weight_hh
        shape = (self.config.num_layers, batch, self.config.hidden_size)
        zeros = torch.zeros(shape, device=device or like.device, dtype=dtype or like.dtype)
        return tuple(zeros.clone() for _ in range(self._cell(0).num_states))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """A whole sequence: (B, T, I), or (B, T) integers for one-hot vectors -> (B, T, H) and the state at its end.

        Args:
            x: the inputs.
            state: as it was before, (num_layers, B, H) each; zeros by default.
        """
        y, state, _ = self.unfold(x, state)
        return y, state

    def unfold(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State, list[Tensor]]:
        """As ``forward``, and also the hidden values of each layer, (B, T, H) each, before residual and dropout."""
        state = self.initial_state(len(x)) if state is None else state
        x, hidden, ends = x.transpose(0, 1).contiguous(), [], []
        for number, cell in enumerate(self.layers):
            assert isinstance(cell, Cell)
            y, end = _sequence(self.config.kind, cell, x, tuple(part[number] for part in state))
            hidden.append(y.transpose(0, 1))
            ends.append(end)
            x = self._join(number, x, y)
        return x.transpose(0, 1), tuple(torch.stack(parts) for parts in zip(*ends, strict=True)), hidden

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: (B, I), or (B,) integers for one-hot vectors -> (B, H), and the state after it."""
        ends = []
        for number, cell in enumerate(self.layers):
            end = cell(x, tuple(part[number] for part in state))
            ends.append(end)
            x = self._join(number, x, end[0])
        return x, tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    def _join(self, number: int, x: Tensor, y: Tensor) -> Tensor:
        y = x + y if self.config.residual and number else y
        last = number == self.config.num_layers - 1
        return y if last or not self.config.dropout else F.dropout(y, self.config.dropout, self.training)

    def _cell(self, number: int) -> Cell:
        cell = self.layers[number]
        assert isinstance(cell, Cell)
        return cell

    @classmethod
    def from_torch(cls, module: nn.RNNBase) -> Recurrent:
        """With the weights of an ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``.

        Raises:
            RecurrentError: it has what these stacks have not: two directions, ReLU, a projection, no biases.
        """
        kind = next((kind for kind, known in _TORCH.items() if isinstance(module, known)), None)
        relu = getattr(module, "nonlinearity", "tanh") != "tanh"
        if kind is None or relu or module.bidirectional or module.proj_size or not module.bias:
            raise RecurrentError(
                f"{type(module).__name__} with these options has no counterpart here: "
                "one direction, tanh, biases and no projection are needed."
            )
        made = cls(
            RecurrentConfig(kind, module.input_size, module.hidden_size, module.num_layers, dropout=module.dropout)
        )
        made.to(next(module.parameters()))
        with torch.no_grad():
            for number, cell in enumerate(made.layers):
                for name, parameter in cell.named_parameters():
                    parameter.copy_(getattr(module, f"{name}_l{number}"))
        return made.train(module.training)

    def to_torch(self) -> nn.RNNBase:
        """An ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM`` with ``batch_first`` and these weights.

        Raises:
            RecurrentError: torch has no such module: peepholes, layer norm, residual connections.
        """
        config = self.config
        if config.kind not in _TORCH or config.layer_norm or config.residual:
            raise RecurrentError("torch has no recurrent module with peepholes, layer norm or residual connections.")
        # Of a single layer torch says that its dropout does nothing.
        dropout = config.dropout if config.num_layers > 1 else 0.0
        like = self._cell(0).weight_hh
        # Its annotations are those of its private base class.
        kind: Callable[..., nn.RNNBase] = _TORCH[config.kind]
        made = kind(config.input_size, config.hidden_size, config.num_layers, batch_first=True, dropout=dropout)
        made.to(like)
        with torch.no_grad():
            for number, cell in enumerate(self.layers):
                for name, parameter in cell.named_parameters():
                    getattr(made, f"{name}_l{number}").copy_(parameter)
        return made.train(self.training)


OWN_FROM = 4_000_000
"""The batch × hidden size² from which on, on a CPU, our LSTM trains faster than torch's: in bfloat16 by up to a third.

Below it, what a step costs besides its products is too much. Measured on an AMD EPYC with AVX512-bf16.
"""


def _sequence(kind: CellKind, cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """All steps of one cell: (T, B, I) or integers (T, B) -> (T, B, H), and the state after the last."""
    learns = torch.is_grad_enabled() and (x.requires_grad or cell.weight_hh.requires_grad)
    large = x.shape[1] * cell.hidden_size**2 >= OWN_FROM
    ours = kind == "peephole" or (kind == "lstm" and learns and large)
    if ours and x.device.type == "cpu" and not cell.layer_norm:
        return _by_hand(cell, x, state)
    if kind in _FUSED and not cell.layer_norm:
        return _fused(kind, cell, x, state)
    projected, outputs = cell.project(x), []
    for now in projected:
        state = cell.combine(now, cell.recur(state[0]), state)
        outputs.append(state[0])
    return torch.stack(outputs), state


def _fused(kind: CellKind, cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """By the kernels of torch.nn.RNN, GRU and LSTM."""
    if not x.is_floating_point():
        x = F.one_hot(x, cell.input_size).to(cell.weight_ih.dtype)
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    before = tuple(part[None].to(x.dtype) for part in state)
    with warnings.catch_warnings():
        # cuDNN copies weights that do not lie side by side, which costs little and would be said at every start.
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
        y, *ends = _FUSED[kind](x, before if kind == "lstm" else before[0], weights, True, 1, 0.0, False, False, False)
    return y, tuple(end[0] for end in ends)


def _by_hand(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """By our own kernel."""
    bias = cell.bias_ih + cell.bias_hh
    if x.is_floating_point():
        projected = F.linear(x, cell.weight_ih, bias)
    else:
        projected = F.embedding(x, (cell.weight_ih.t() + bias).contiguous())
        if torch.is_autocast_enabled("cpu"):
            projected = projected.to(torch.get_autocast_dtype("cpu"))
    peephole = cell.peephole if isinstance(cell, PeepholeLSTMCell) else None
    y, h, c = lstm_sequence(projected, cell.weight_hh, state[0], state[1], peephole)
    return y, (h, c)
