"""Recurrent parts: torch's own modules and finite differences are the oracles."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks import rnn
from creative.blocks.recurrence import lstm_sequence
from creative.blocks.rnn import (
    CELLS,
    Cell,
    PeepholeLSTMCell,
    Recurrent,
    RecurrentConfig,
    RecurrentError,
)
from creative.device import random_generator

KINDS = ["rnn", "gru", "lstm", "peephole"]
TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
TORCH_CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


@pytest.fixture(params=["torch's kernel", "our kernel"])
def _either_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rnn, "OWN_FROM", 1 if request.param == "our kernel" else 10**9)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=random_generator(seed), dtype=dtype)


def made(dtype: torch.dtype = torch.float64, **values: object) -> Recurrent:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Recurrent(RecurrentConfig(**values)).to(dtype)  # type: ignore[arg-type]
        with torch.no_grad():  # gains and shifts that do something
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def as_torch(state: tuple[Tensor, ...]) -> object:
    return state if len(state) == 2 else state[0]


def steps(network: Recurrent, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    outputs = []
    for t in range(x.shape[1]):
        y, state = network.step(x[:, t], state)
        outputs.append(y)
    return torch.stack(outputs, 1), state


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.usefixtures("_either_kernel")
def test_sequences_steps_and_gradients_are_those_of_torch(kind: str) -> None:
    theirs = TORCH[kind](5, 7, num_layers=3, batch_first=True).double()
    ours = Recurrent.from_torch(theirs)
    assert (ours.config.kind, ours.config.num_layers) == (kind, 3)
    state = tuple(noise(3, 4, 7, seed=seed) for seed in range(len(ours.initial_state(4))))
    x = noise(4, 9, 5).requires_grad_()
    expected, end = theirs(x, as_torch(state))
    end = end if kind == "lstm" else (end,)
    for y, last in (ours(x, state), steps(ours, x, state)):
        torch.testing.assert_close(y, expected)
        for part, expected_part in zip(last, end, strict=True):
            torch.testing.assert_close(part, expected_part)
        loss, expected_loss = ((out * noise(*out.shape, seed=9)).sum() for out in (y, expected))
        (grad_x, *grads) = torch.autograd.grad(loss, [x, *ours.parameters()])
        names = [name.split(".") for name, _ in ours.named_parameters()]
        same = [getattr(theirs, f"{name}_l{number}") for _, number, name in names]
        torch.testing.assert_close((grad_x, *grads), torch.autograd.grad(expected_loss, [x, *same], retain_graph=True))


@pytest.mark.parametrize("kind", TORCH)
def test_one_cell_is_that_of_torch(kind: str) -> None:
    cell, theirs = CELLS[kind](5, 7).double(), TORCH_CELLS[kind](5, 7).double()
    theirs.load_state_dict(cell.state_dict())
    state = tuple(noise(4, 7, seed=seed) for seed in range(cell.num_states))
    found = cell(noise(4, 5), state)
    expected = theirs(noise(4, 5), as_torch(state))
    torch.testing.assert_close(found, expected if kind == "lstm" else (expected,))


@pytest.mark.parametrize("kind", TORCH)
def test_weights_go_out_to_torch_and_come_back(kind: str) -> None:
    ours = made(kind=kind, input_size=3, hidden_size=6, num_layers=2, dropout=0.25).eval()
    theirs = ours.to_torch()
    assert theirs.batch_first
    assert (theirs.dropout, theirs.training) == (0.25, False)
    torch.testing.assert_close(theirs(noise(2, 5, 3))[0], ours(noise(2, 5, 3))[0])
    back = Recurrent.from_torch(theirs)
    assert back.config == ours.config
    for name, value in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("_either_kernel")
def test_a_sequence_is_its_steps_one_by_one(kind: str, layer_norm: bool, residual: bool) -> None:
    network = made(kind=kind, input_size=5, hidden_size=6, num_layers=3, layer_norm=layer_norm, residual=residual)
    state = tuple(0.5 * part + 0.1 for part in network.initial_state(4))
    x = noise(4, 7, 5)
    y, end = network(x, state)
    expected, expected_end = steps(network, x, state)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(end, expected_end)
    # Cut in two, the state carried over: the same.
    first, state = network(x[:, :3], state)
    second, state = network(x[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), y)
    torch.testing.assert_close(state, end)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("_either_kernel")
def test_gradients_are_those_of_finite_differences(kind: str, layer_norm: bool) -> None:
    network = made(kind=kind, input_size=2, hidden_size=3, num_layers=2, layer_norm=layer_norm, residual=True)
    state = [noise(2, 2, 3, seed=seed).requires_grad_() for seed in range(len(network.initial_state(2)))]
    names = [name for name, _ in network.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(names, values[len(state) :], strict=True))
        y, end = torch.func.functional_call(network, parameters, (x, values[: len(state)]))
        return (y, *end)

    weights = [parameter.detach().clone().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(run, (noise(2, 4, 2).requires_grad_(), *state, *weights))


def test_peepholes_by_the_equations() -> None:
    cell = PeepholeLSTMCell(1, 1).double()
    with torch.no_grad():
        for number, parameter in enumerate(cell.parameters()):
            parameter.copy_(noise(*parameter.shape, seed=number))
    x, h, c = 0.3, -0.2, 0.7
    w, u, b = cell.weight_ih[:, 0], cell.weight_hh[:, 0], cell.bias_ih + cell.bias_hh
    p_i, p_f, p_o = cell.peephole[:, 0]
    z_i, z_f, z_g, z_o = w * x + u * h + b
    now = torch.sigmoid(z_f + p_f * c) * c + torch.sigmoid(z_i + p_i * c) * torch.tanh(z_g)
    out = torch.sigmoid(z_o + p_o * now) * torch.tanh(now)  # the output gate sees the new cell state
    found = cell(torch.full((1, 1), x).double(), (torch.full((1, 1), h).double(), torch.full((1, 1), c).double()))
    torch.testing.assert_close(torch.stack([part.squeeze() for part in found]), torch.stack([out, now]))


def test_without_peepholes_it_is_an_lstm() -> None:
    plain, peeping = (made(kind=kind, input_size=3, hidden_size=5, num_layers=2) for kind in ("lstm", "peephole"))
    for cell in peeping.layers:
        assert isinstance(cell, PeepholeLSTMCell)
        nn.init.zeros_(cell.peephole)
    peeping.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(peeping(noise(2, 6, 3)), plain(noise(2, 6, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_layer_norm_takes_scale_and_shift_of_the_products_away(kind: str) -> None:
    cell = CELLS[kind](4, 8, layer_norm=True).double()
    state = tuple(noise(3, 8, seed=seed) for seed in range(cell.num_states))
    before = cell(noise(3, 4), state)
    with torch.no_grad():
        cell.weight_ih.mul_(5)
        cell.weight_hh.mul_(0.2)
        cell.weight_hh.add_(1)  # the same to all gates
    # Up to the epsilon in the normalisation.
    torch.testing.assert_close(cell(noise(3, 4), state), before, atol=2e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("_either_kernel")
def test_integers_stand_for_one_hot_vectors(kind: str) -> None:
    network = made(kind=kind, input_size=5, hidden_size=6, num_layers=2)
    ids = torch.tensor([[0, 4, 2, 2], [1, 3, 0, 4]])
    vectors = F.one_hot(ids, 5).double()
    torch.testing.assert_close(network(ids), network(vectors))
    torch.testing.assert_close(network.step(ids[:, 0], network.initial_state(2))[0], network(vectors)[0][:, 0])
    grads = [torch.autograd.grad(network(x)[0].square().sum(), network.layers[0].weight_ih) for x in (ids, vectors)]
    torch.testing.assert_close(*grads)


def test_dropout_is_between_layers_in_training_only() -> None:
    one, two = (made(input_size=3, hidden_size=64, num_layers=layers, dropout=0.5) for layers in (1, 2))
    one.load_state_dict(two.state_dict(), strict=False)
    x = noise(2, 4, 3)
    assert torch.equal(one(x)[0], one(x)[0])
    assert not torch.equal(two(x)[0], two(x)[0])
    _, _, (below, _) = two.unfold(x)
    torch.testing.assert_close(below, one(x)[0])  # what a layer gives is not dropped, what the next one is given is
    two.eval()
    assert torch.equal(two(x)[0], two(x)[0])
    torch.testing.assert_close(two(x)[0], two.to_torch()(x)[0])


def test_residual_connections_go_round_all_layers_but_the_first() -> None:
    network = made(input_size=4, hidden_size=4, num_layers=3, residual=True)
    y, _, (first, second, third) = network.unfold(noise(2, 5, 4))
    torch.testing.assert_close(y, first + second + third)


def test_the_forget_gate_starts_open() -> None:
    for kind in ("lstm", "peephole"):
        cell = Recurrent(RecurrentConfig(kind=kind, input_size=2, hidden_size=8)).layers[0]  # type: ignore[arg-type]
        assert isinstance(cell, Cell)
        assert torch.equal((cell.bias_ih + cell.bias_hh)[8:16], torch.ones(8))


@pytest.mark.parametrize("peephole", [False, True])
def test_in_bfloat16_the_gradients_are_nearly_those_of_float32(peephole: bool) -> None:
    weight = 0.1 * noise(64, 16, dtype=torch.float32)
    looks = 0.1 * noise(3, 16, dtype=torch.float32) if peephole else None
    zeros = torch.zeros(8, 16)

    def gradients(dtype: torch.dtype) -> tuple[Tensor, ...]:
        leaves = [noise(30, 8, 64, dtype=torch.float32).requires_grad_(), weight.clone().requires_grad_()]
        y, h, c = lstm_sequence(leaves[0].to(dtype, copy=True), leaves[1], zeros, zeros, looks)
        assert (y.dtype, h.dtype, c.dtype) == (dtype, torch.float32, torch.float32)
        return torch.autograd.grad((y.float() * noise(30, 8, 16, dtype=torch.float32)).sum() + c.sum(), leaves)

    for found, expected in zip(gradients(torch.bfloat16), gradients(torch.float32), strict=True):
        assert (found - expected).norm() < 0.02 * expected.norm()


def test_our_kernel_loses_less_than_torchs_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    network = made(torch.float32, input_size=16, hidden_size=32)
    network.layers[0].bias_ih.data[32:64] = 3  # it remembers for long, so that roundings add up
    x = noise(8, 200, 16, dtype=torch.float32)
    expected = network(x)[1][1]
    lost = []
    for start in (1, 10**9):
        monkeypatch.setattr(rnn, "OWN_FROM", start)
        with torch.autocast("cpu", torch.bfloat16):
            lost.append(float((network(x)[1][1].float() - expected).detach().norm()))
    assert lost[0] < lost[1]


def test_a_graph_can_be_gone_back_through_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rnn, "OWN_FROM", 1)
    network = made(input_size=3, hidden_size=4)
    loss = network(noise(2, 5, 3))[0].square().sum()
    first = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, list(network.parameters())), first, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "lstmm"}, "no cell 'lstmm'; there are rnn, gru, lstm, peephole"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_impossible_networks_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(RecurrentError, match=said):
        RecurrentConfig(**values)  # type: ignore[arg-type]


def test_what_torch_does_not_have_or_we_do_not_is_told() -> None:
    for theirs in (nn.LSTM(3, 4, bidirectional=True), nn.RNN(3, 4, nonlinearity="relu"), nn.GRU(3, 4, bias=False)):
        with pytest.raises(RecurrentError, match="no counterpart"):
            Recurrent.from_torch(theirs)
    for values in ({"kind": "peephole"}, {"layer_norm": True}, {"residual": True}):
        with pytest.raises(RecurrentError, match="torch has no recurrent module"):
            made(**values).to_torch()


def test_the_config_survives_json() -> None:
    config = RecurrentConfig("gru", 3, 5, 2, True, 0.1, True)
    assert RecurrentConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("_either_kernel")
def test_under_autocast_it_learns_from_sequences_and_integers(kind: str, layer_norm: bool) -> None:
    network = made(torch.float32, kind=kind, input_size=5, hidden_size=16, num_layers=2, layer_norm=layer_norm)
    ids = torch.tensor([[0, 4, 2, 2], [1, 3, 0, 4]])
    for x in (ids, F.one_hot(ids, 5).float()):
        exact, _ = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            y, state = network(x)
            again, state = network(x, tuple(part.detach() for part in state))  # what it gives, it takes
            single, _ = network.step(x[:, 0], state)
        assert (y.float() - exact).abs().max() < 0.05
        (again.float().sum() + single.float().sum()).backward()
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
        network.zero_grad()
