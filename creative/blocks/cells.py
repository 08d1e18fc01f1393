"""Recurrent cells: four kinds, one step each.

Weights have torch's names, shapes and order of gates. ``creative.blocks.rnn`` makes stacks of them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CellKind = Literal["rnn", "gru", "lstm", "peephole"]
State = tuple[Tensor, ...]
"""What is carried from step to step: (h, c) of ``lstm`` and ``peephole``, (h,) of ``rnn`` and ``gru``."""


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


CELLS: dict[CellKind, type[Cell]] = {"rnn": RNNCell, "gru": GRUCell, "lstm": LSTMCell, "peephole": PeepholeLSTMCell}
"""By kind."""
