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

import copy
import warnings
from collections.abc import Callable, Mapping
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
        y, state = self.recurrent(self.embedded(ids), state)
        return self._classified(y), state

    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """(B, T) -> each layer's hidden values (B, T, num_layers, H) in (-1, 1), logits (B, T, V), state."""
        y, state, layers = self.recurrent.unfold(self.embedded(ids), state)
        return torch.stack(layers, 2), self._classified(y), state

    def embedded(self, ids: Tensor) -> Tensor:
        """The first layer's input: (...) -> (..., E), or the integers themselves, which stand for one-hot vectors."""
        return ids if self.embedding is None else self.embedding(ids)

    def _classified(self, y: Tensor) -> Tensor:
        return self.classifier(F.dropout(y, self.config.dropout, self.training))


class SamplerState:
    """Where a ``Sampler`` is in each of a batch of texts; its steps write into it.

    Attributes:
        layers: each layer's (h, c) or (h,), (B, H) each.
        waiting: what each layer's h adds to its gates at the next step, (B, gates · H) each.
    """

    def __init__(self, layers: list[State], waiting: list[Tensor]) -> None:
        self.layers, self.waiting = layers, waiting
        # Room for the sampler's steps.
        h = layers[0][0]
        self.gates = torch.empty_like(waiting[0])
        self.each_gate = self.gates.unflatten(1, (-1, h.shape[1])).unbind(1)
        self.minus, self.plus = torch.full_like(h, -1.0), torch.ones_like(h)

    def copy(self) -> SamplerState:
        """One that goes its own way."""
        return self.select(torch.arange(len(self.gates), device=self.gates.device))

    def select(self, rows: Tensor) -> SamplerState:
        """The texts of these numbers, (B',) int64, in that order; a number may come more than once."""
        layers: list[State] = [tuple(part[rows] for part in state) for state in self.layers]
        return SamplerState(layers, [part[rows] for part in self.waiting])

    def stacked(self) -> State:
        """As the network takes and gives it: (num_layers, B, H) each."""
        return tuple(torch.stack(parts) for parts in zip(*self.layers, strict=True))


class Sampler:
    """A network's step made for writing: frozen, without gradients, with all fused that can be.

    The characters' way into the gates is a table. As soon as a layer's h is known, all that wait for it (its own next
    step, and the layer above or the classifier) are served by one matrix product. tanh(x) is 2 σ(2x) - 1, with the 2
    in the weights. ``nn.LSTM``, called one step at a time, is many times slower: ``benchmarks/char_rnn.py``.

    Args:
        model: it is read once; later changes of its weights are not seen.
        precision: of the matrices. ``int8`` has a scale for each row of weights and one for each step's h of a whole
            batch, so that there the texts of a batch differ by rounding from those written alone; ``auto`` takes it on
            CPUs where it is faster.

    Raises:
        RecurrentError: int8 was asked for, and this machine or torch has none.

    Example:
        >>> sampler = Sampler(model)
        >>> state = sampler.start(batch=4)
        >>> logits = sampler.step(torch.tensor([3, 1, 4, 1]), state)  # (4, V)
    """

    def __init__(self, model: CharRNN, precision: SamplerPrecision = "auto") -> None:
        device = model.classifier.weight.device
        if precision == "int8" and not _has_int8(device):
            raise RecurrentError(f"There is no int8 for {device.type} in this torch: use precision float32.")
        large = model.config.hidden_size >= INT8_FROM and _has_int8(device)
        self.precision: SamplerPrecision = (
            "int8" if precision == "int8" or (precision == "auto" and large) else "float32"
        )
        self.config = model.config
        model = copy.deepcopy(model).eval().requires_grad_(False).float()
        self._recurrent = model.recurrent
        self._cells = [layer for layer in model.recurrent.layers if isinstance(layer, Cell)]
        self._in_place = self.config.kind == "lstm" and not self.config.layer_norm
        every = torch.arange(self.config.vocabulary_size, device=device)
        self._table = self._doubled(self._cells[0].project(model.embedded(every)).t()).t().contiguous()

        # Behind each layer: the rows for its own next step, and for what stands on it.
        recurring = [self._rows(cell.weight_hh, cell.bias_hh) for cell in self._cells]
        onward = [self._rows(cell.weight_ih, cell.bias_ih) for cell in self._cells[1:]]
        onward.append((model.classifier.weight, model.classifier.bias))
        self._products: list[_Product] = []
        self._residual_products: list[_Product | None] = []
        for number, (mine, next_one) in enumerate(zip(recurring, onward, strict=True)):
            apart = self.config.residual and number > 0  # what goes on is not h alone
            rows = [mine] if apart else [mine, next_one]
            weight, bias = (torch.cat(parts) for parts in zip(*rows, strict=True))
            self._products.append(_product(weight, bias, self.precision))
            self._residual_products.append(_product(*next_one, self.precision) if apart else None)

    def start(self, batch: int = 1, state: State | None = None) -> SamplerState:
        """The state before the first character, or as the network left it, (num_layers, batch, H) each."""
        state = self._recurrent.initial_state(batch) if state is None else state
        layers: list[State] = list(zip(*(part.detach().float().clone().unbind() for part in state), strict=True))
        width = self._table.shape[1]
        waiting = [product(state[0])[:, :width] for product, state in zip(self._products, layers, strict=True)]
        return SamplerState(layers, waiting)

    def step(self, ids: Tensor, state: SamplerState) -> Tensor:
        """The characters (B,) int64 go in, the logits (B, V) of the next ones come out; ``state`` is moved on."""
        incoming, width = self._table.index_select(0, ids), self._table.shape[1]
        x: Tensor | None = None
        for number, cell in enumerate(self._cells):
            self._move(cell, incoming, state, number)
            h = state.layers[number][0]
            out = self._products[number](h)
            state.waiting[number], incoming = out[:, :width], out[:, width:]
            onward = self._residual_products[number]
            if self.config.residual:
                x = h if x is None else x + h
                incoming = incoming if onward is None else onward(x)
            if self.config.layer_norm and number + 1 < len(self._cells):
                incoming = self._cells[number + 1].shift_ih(incoming)
        return incoming

    def _move(self, cell: Cell, incoming: Tensor, state: SamplerState, number: int) -> None:
        """Give a layer its new state."""
        waiting = state.waiting[number]
        if not self._in_place:
            recurred = cell.shift_hh(waiting) if self.config.layer_norm else waiting
            state.layers[number] = cell.combine(incoming, recurred, state.layers[number])
            return
        h, c = state.layers[number]
        i, f, g, o = state.each_gate
        torch.add(incoming, waiting, out=state.gates).sigmoid_()
        torch.lerp(state.minus, state.plus, g, out=g)
        c.mul_(f).addcmul_(i, g)
        torch.lerp(state.minus, state.plus, torch.add(c, c, out=g).sigmoid_(), out=g)
        torch.mul(o, g, out=h)

    def _rows(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Of the gates; layer norm adds the bias itself."""
        return self._doubled(weight), torch.zeros_like(bias) if self.config.layer_norm else self._doubled(bias)

    def _doubled(self, rows: Tensor) -> Tensor:
        """Those of the cell's candidate g doubled, where g comes from a σ."""
        if not self._in_place:
            return rows
        H = self.config.hidden_size
        return torch.cat([rows[: 2 * H], 2 * rows[2 * H : 3 * H], rows[3 * H :]])


INT8_FROM = 256
"""The hidden size from which on products in int8 are faster than in float32."""
_Product = Callable[[Tensor], Tensor]


def _has_int8(device: torch.device) -> bool:
    engines = {"x86", "fbgemm"} & set(torch.backends.quantized.supported_engines)
    there = hasattr(torch, "quantize_per_channel") and hasattr(torch.ops.quantized, "linear_dynamic")
    return device.type == "cpu" and bool(engines) and there


def _product(weight: Tensor, bias: Tensor, precision: SamplerPrecision) -> _Product:
    """x W^T + b, (B, K) -> (B, N), with W (N, K) laid out for it once."""
    if precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that such tensors will go one day, when _has_int8 will say so
            scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny * 127) / 127
            zeros = torch.zeros(len(weight), dtype=torch.long)
            whole = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
            packed = torch.ops.quantized.linear_prepack(whole, bias)
        return lambda x: torch.ops.quantized.linear_dynamic(x, packed)
    columns = weight.t().contiguous()
    return lambda x: torch.addmm(bias, x, columns)


def draw(
    logits: Tensor,
    temperature: float = 1.0,
    *,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A character for each row of logits, (B, V) -> (B,) int64, from softmax(logits / temperature).

    By the inverse of the distribution function: one random number a row.

    Args:
        logits: not scaled by a temperature yet.
        temperature: 0 takes the likeliest.
        top_k: only the k likeliest can be drawn.
        top_p: only the likeliest that together have this probability at this temperature can be drawn, the last one
            included by which they reach it (Holtzman et al., 2020, arXiv:1904.09751).
        generator: where randomness comes from, on the device of the logits.

    Example:
        >>> ids = draw(logits, 0.8, top_k=20, generator=random_generator(0))
    """
    logits = logits.detach().float()
    if temperature == 0:
        return logits.argmax(-1)
    if temperature != 1:
        logits = (logits - logits.amax(-1, keepdim=True)) / temperature  # however small, the likeliest is 0
    if top_k is not None and top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = logits.softmax(-1).sort(-1, descending=True)
        beyond = ordered.cumsum(-1) - ordered >= top_p
        logits = logits.masked_fill(torch.empty_like(beyond).scatter_(-1, order, beyond), -torch.inf)
    cumulative = logits.softmax(-1).cumsum(-1)
    # Below the last sum, however both are rounded: no character without probability is ever drawn.
    chosen = torch.rand(len(logits), 1, generator=generator, device=logits.device).mul_(cumulative[:, -1:])
    return torch.searchsorted(cumulative, chosen, right=True).squeeze(1)
