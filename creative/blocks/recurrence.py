"""A whole sequence through one LSTM on a CPU, with its backward pass written by hand.

It computes what ``torch.nn.LSTM`` does up to rounding. The products of all steps that need not wait for one another are
one matrix product each; what is left in the loop works in place on what is in the cache; and tanh(x) is 2 σ(2x) - 1,
which torch computes six times as fast as its own tanh. ``benchmarks/char_rnn.py`` measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def lstm_sequence(
    projected: Tensor, weight_hh: Tensor, h: Tensor, c: Tensor, peephole: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """All steps of an LSTM, with peepholes if their weights are given.

    In bfloat16 the matrix products and what is kept for the backward pass are; the cell state stays float32, other than
    in torch's LSTM.

    Args:
        projected: (T, B, 4 · H), what input and biases add to the gates i, f, g, o; it is overwritten.
        weight_hh: (4 · H, H).
        h, c: the state before, (B, H) each.
        peephole: (3, H), the weights of the cell state in the gates i, f, o.

    Returns:
        The hidden values (T, B, H), and h and c after the last step.
    """
    with torch.autocast("cpu", enabled=False):
        hidden, c = _LSTMSequence.apply(projected.contiguous(), weight_hh, h, c, peephole)
    return hidden, hidden[-1].to(c.dtype), c


class _LSTMSequence(torch.autograd.Function):
    """The gates of a step are computed from the buffer of what the input adds to them, and written back into it.

    In bfloat16 that is done in a float32 room for one step, which stays in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight_hh: Tensor, h: Tensor, c: Tensor, peephole: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        T, B, H = len(gates), *h.shape
        half = gates.dtype.itemsize < 4
        full = torch.float32 if half else gates.dtype
        hidden = gates.new_empty(T + 1, B, H)
        cells = gates.new_empty(T + 1, B, H, dtype=full)
        shown = gates.new_empty(T, B, H, dtype=full)  # tanh of the cell state
        hidden[0], cells[0] = h, c
        # tanh(g) = 2 σ(2g) - 1, so that one call computes all gates.
        weight = weight_hh.t().to(gates.dtype, copy=True)
        for columns in (weight, gates):
            columns[..., 2 * H : 3 * H].mul_(2)
        minus, plus = cells.new_full((B, H), -1.0), cells.new_ones(B, H)
        steps = zip(gates, hidden, hidden[1:], cells, cells[1:], shown, *_rooms(gates, H), strict=False)
        for kept, h, h_next, c, c_next, out, now, (i, f, g, o) in steps:
            kept.addmm_(h, weight)
            if half:
                now.copy_(kept)
            if peephole is None:
                now.sigmoid_()
            else:
                i.addcmul_(c, peephole[0])
                f.addcmul_(c, peephole[1])
                now[:, : 3 * H].sigmoid_()
            torch.lerp(minus, plus, g, out=g)
            torch.mul(f, c, out=c_next).addcmul_(i, g)
            if peephole is not None:
                o.addcmul_(c_next, peephole[2]).sigmoid_()
            torch.lerp(minus, plus, torch.add(c_next, c_next, out=out).sigmoid_(), out=out)
            if half:
                kept.copy_(now)
                h_next.copy_(o.mul_(out))
            else:
                torch.mul(o, out, out=h_next)
        ctx.save_for_backward(gates, hidden, cells, shown, weight_hh, peephole)
        return hidden[1:], cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hidden: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        gates, hidden, cells, shown, weight_hh, peephole = ctx.saved_tensors
        with torch.autocast("cpu", enabled=False):
            return _backward(gates, hidden, cells, shown, weight_hh, peephole, grad_hidden.contiguous(), grad_c)


def _backward(
    gates: Tensor,
    hidden: Tensor,
    cells: Tensor,
    shown: Tensor,
    weight_hh: Tensor,
    peephole: Tensor | None,
    grad_hidden: Tensor,
    grad_c: Tensor,
) -> tuple[Tensor | None, ...]:
    T, B, H = shown.shape
    half = gates.dtype != cells.dtype
    weight = weight_hh.to(gates.dtype)
    grads = torch.empty_like(gates)
    dc = grad_c.to(cells.dtype, copy=True)
    dh, room, back = torch.empty_like(dc), torch.empty_like(dc), torch.empty_like(hidden[0])
    later = torch.zeros_like(gates[0])  # the gradients of the next step's gates
    steps = [*zip(gates, grads, grad_hidden, cells, shown, *_rooms(gates, H), *_rooms(grads, H), strict=False)]
    for kept, grad, grad_h, c, out, now, (i, f, g, o), d_now, (di, df, dg, do) in reversed(steps):
        torch.addmm(grad_h, later, weight, out=back)
        if half:
            now.copy_(kept)
            dh.copy_(back)
        else:
            dh = back
        torch.mul(dh, out, out=do)
        _sigmoid_backward(do, o, grad_input=do)
        torch.mul(dh, o, out=room)
        dc.add_(_tanh_backward(room, out, grad_input=room))
        if peephole is not None:
            dc.addcmul_(do, peephole[2])
        torch.mul(dc, g, out=di)
        torch.mul(dc, c, out=df)
        two = d_now[:, : 2 * H]
        _sigmoid_backward(two, now[:, : 2 * H], grad_input=two)
        torch.mul(dc, i, out=dg)
        _tanh_backward(dg, g, grad_input=dg)
        dc.mul_(f)
        if peephole is not None:
            dc.addcmul_(di, peephole[0]).addcmul_(df, peephole[1])
        if half:
            grad.copy_(d_now)
        later = grad
    grad_weight = grads.view(T * B, -1).t() @ hidden[:-1].view(T * B, H)
    grad_peephole = None
    if peephole is not None:
        di, df, _, do = grads.view(T, B, 4, H).to(cells.dtype).unbind(2)
        seen = ((di, cells[:-1]), (df, cells[:-1]), (do, cells[1:]))
        grad_peephole = torch.stack([(d * c).sum((0, 1)) for d, c in seen]).to(peephole.dtype)
    return grads, grad_weight.to(weight_hh.dtype), torch.mm(later, weight).to(grad_c.dtype), dc, grad_peephole


def _rooms(gates: Tensor, hidden_size: int) -> tuple[Sequence[Tensor], Sequence[Sequence[Tensor]]]:
    """For each step (B, 4 · H) in which all gates can be computed in full precision, and each gate in it."""
    T, B, _ = gates.shape
    if gates.dtype.itemsize < 4:
        room = gates.new_empty(B, 4 * hidden_size, dtype=torch.float32)
        return [room] * T, [room.view(B, 4, hidden_size).unbind(1)] * T
    each = (gate.unbind() for gate in gates.view(T, B, 4, hidden_size).unbind(2))
    return gates.unbind(), [*zip(*each, strict=True)]
