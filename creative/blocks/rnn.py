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
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.recurrence import lstm_sequence

CellKind = Literal["rnn", "gru", "lstm", "peephole"]
State = tuple[Tensor, ...]
"""What is carried from step to step: (h, c) of ``lstm`` and ``peephole``, (h,) of ``rnn`` and ``gru``."""


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


class Cell(nn.Module):
    """One recurrent cell: ``forward`` takes a step, which is to ``project`` the input, to ``recur`` and to ``combine``.

    With ``layer_norm``, what comes from the input and what comes from the state are each normalised over all gates
    before they are added (Ba, Kiros & Hinton, 2016, Layer Normalization, arXiv:1607.06450), as in that paper's
    supplement; the biases are the shifts of these normalisations.

    Attributes:
        weight_ih, weight_hh: (gates · H, I) and (gates · H, H), gates in torch's order.
        bias_ih, bias_hh: (gates · H,).
        gain_ih, gain_hh: (gates · H,), with ``layer_norm`` only.
    """

    num_gates: ClassVar[int]
    num_states: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.layer_norm = input_size, hidden_size, layer_norm
        width = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(width, input_size))
        self.weight_hh = nn.Parameter(torch.empty(width, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(width))
        self.bias_hh = nn.Parameter(torch.empty(width))
        if layer_norm:
            self.gain_ih = nn.Parameter(torch.empty(width))
            self.gain_hh = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights uniform in ±1/√H as in torch; gains are 1 and shifts 0."""
        bound = self.hidden_size**-0.5
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            elif name.startswith("bias") and self.layer_norm:
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)

    def project(self, x: Tensor) -> Tensor:
        """What the input adds to the gates: (..., I), or integers (...) for one-hot vectors -> (..., gates · H)."""
        if not x.is_floating_point():
            return self.shift_ih(F.embedding(x, self.weight_ih.t()))
        if self.layer_norm:
            return self.shift_ih(F.linear(x, self.weight_ih))
        return F.linear(x, self.weight_ih, self.bias_ih)

    def recur(self, h: Tensor) -> Tensor:
        """What the state adds to the gates: (B, H) -> (B, gates · H)."""
        if self.layer_norm:
            return self.shift_hh(F.linear(h, self.weight_hh))
        return F.linear(h, self.weight_hh, self.bias_hh)

    def shift_ih(self, product: Tensor) -> Tensor:
        """What is still to be done to the product of ``weight_ih`` and the input."""
        if self.layer_norm:
            return F.layer_norm(product, product.shape[-1:], self.gain_ih, self.bias_ih)
        return product + self.bias_ih

    def shift_hh(self, product: Tensor) -> Tensor:
        """What is still to be done to the product of ``weight_hh`` and h."""
        if self.layer_norm:
            return F.layer_norm(product, product.shape[-1:], self.gain_hh, self.bias_hh)
        return product + self.bias_hh

    def combine(self, projected: Tensor, recurred: Tensor, state: State) -> State:
        """The new state, from what input and state add to the gates, (B, gates · H) each, and the old one."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: State) -> State:
        """One step: (B, I), or (B,) integers for one-hot vectors, and the state, (B, H) each -> the new state."""
        return self.combine(self.project(x), self.recur(state[0]), state)


class RNNCell(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh) (Elman, 1990, Finding Structure in Time)."""

    num_gates = 1

    def combine(self, projected: Tensor, recurred: Tensor, state: State) -> State:
        """See ``Cell.combine``."""
        return (torch.tanh(projected + recurred),)


class GRUCell(Cell):
    """Reset and update gates (Cho et al., 2014, arXiv:1406.1078); gates r, z, n.

    Differs from Cho et al. as torch and cuDNN do: the reset gate is applied behind W_hh, not before it.
    """

    num_gates = 3

    def combine(self, projected: Tensor, recurred: Tensor, state: State) -> State:
        """See ``Cell.combine``."""
        gates = 2 * self.hidden_size
        r, z = torch.sigmoid(projected[:, :gates] + recurred[:, :gates]).chunk(2, 1)
        n = torch.tanh(projected[:, gates:] + r * recurred[:, gates:])
        return (n + z * (state[0] - n),)


class LSTMCell(Cell):
    """A cell state behind input, forget and output gates (Hochreiter & Schmidhuber, 1997; Gers et al., 2000).

    Gates i, f, g, o. With ``layer_norm`` the cell state is normalised too on its way to h.

    Attributes:
        gain_cell, bias_cell: (H,), with ``layer_norm`` only.
    """

    num_gates, num_states = 4, 2

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__(input_size, hidden_size, layer_norm=layer_norm)
        if layer_norm:
            self.gain_cell = nn.Parameter(torch.ones(hidden_size))
            self.bias_cell = nn.Parameter(torch.zeros(hidden_size))

    def reset_parameters(self) -> None:
        """As ``Cell`` does, but the forget gate is open: Jozefowicz et al. (2015), An Empirical Exploration."""
        super().reset_parameters()
        with torch.no_grad():
            self.bias_ih[self.hidden_size : 2 * self.hidden_size] = 1
            self.bias_hh[self.hidden_size : 2 * self.hidden_size] = 0

    def combine(self, projected: Tensor, recurred: Tensor, state: State) -> State:
        """See ``Cell.combine``."""
        c = state[1]
        i, f, g, o = (projected + recurred).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * self.shown(c), c

    def shown(self, c: Tensor) -> Tensor:
        """What the output gate lets through of a cell state."""
        if self.layer_norm:
            c = F.layer_norm(c, c.shape[-1:], self.gain_cell, self.bias_cell)
        return torch.tanh(c)


class PeepholeLSTMCell(LSTMCell):
    """An LSTM whose gates see the cell state (Gers & Schmidhuber, 2000, Recurrent Nets that Time and Count).

    Input and forget gate see it as it was, the output gate as it has become.

    Attributes:
        peephole: (3, H), the weights of the cell state in the gates i, f, o.
    """

    def __init__(self, input_size: int, hidden_size: int, *, layer_norm: bool = False) -> None:
        super().__init__(input_size, hidden_size, layer_norm=layer_norm)
        self.peephole = nn.Parameter(torch.empty(3, hidden_size).uniform_(-(hidden_size**-0.5), hidden_size**-0.5))

    def combine(self, projected: Tensor, recurred: Tensor, state: State) -> State:
        """See ``Cell.combine``."""
        c = state[1]
        i, f, g, o = (projected + recurred).chunk(4, 1)
        see_i, see_f, see_o = self.peephole
        c = torch.sigmoid(f + see_f * c) * c + torch.sigmoid(i + see_i * c) * torch.tanh(g)
        return torch.sigmoid(o + see_o * c) * self.shown(c), c


_CELLS: dict[CellKind, type[Cell]] = {"rnn": RNNCell, "gru": GRUCell, "lstm": LSTMCell, "peephole": PeepholeLSTMCell}
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
        cell = _CELLS[config.kind]
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


OWN_FROM = 256
"""The hidden size from which on, on a CPU, our LSTM trains faster than torch's; see ``benchmarks/char_rnn.py``."""


def _sequence(kind: CellKind, cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """All steps of one cell: (T, B, I) or integers (T, B) -> (T, B, H), and the state after the last."""
    learns = torch.is_grad_enabled() and (x.requires_grad or cell.weight_hh.requires_grad)
    ours = kind == "peephole" or (kind == "lstm" and learns and cell.hidden_size >= OWN_FROM)
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
