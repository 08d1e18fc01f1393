"""The character model and its fast step: the same numbers as the network itself, and draws from the right chances."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from creative.blocks.rnn import Recurrent, RecurrentError
from creative.device import random_generator
from creative.models import char_rnn
from creative.models.char_rnn import CharRNN, CharRNNConfig, Sampler, draw

has_int8 = pytest.mark.skipif(
    not char_rnn._has_int8(torch.device("cpu")), reason="this torch has no products in int8 on this machine"
)


def made(**values: object) -> CharRNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CharRNN(CharRNNConfig(**{"vocabulary_size": 11, "hidden_size": 16, **values}))  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in model.parameters():  # gains and shifts that do something, logits that differ
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def some_ids(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(11, shape, generator=random_generator(seed))


SHAPES = [
    {"kind": kind, "num_layers": 3, "embedding_size": embedding, "layer_norm": layer_norm, "residual": residual}
    for kind, embedding, layer_norm, residual in itertools.product(
        ["rnn", "gru", "lstm", "peephole"], [None, 5], [False, True], [False, True]
    )
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(str(value) for value in shape.values()))
def test_the_fast_step_is_the_network(shape: dict[str, object]) -> None:
    model, ids = made(**shape), some_ids(4, 9)
    logits, end = model(ids)
    sampler = Sampler(model, "float32")
    state = sampler.start(4)
    found = [sampler.step(ids[:, t], state) for t in range(9)]  # kept until the end: no step may write into it
    torch.testing.assert_close(torch.stack(found, 1), logits, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(state.stacked(), end, atol=2e-5, rtol=1e-4)
    # It goes on where the network has stopped reading.
    state = sampler.start(4, end)
    more = some_ids(4, 1, seed=1)
    torch.testing.assert_close(sampler.step(more[:, 0], state), model(more, end)[0][:, 0], atol=2e-5, rtol=1e-4)


def test_a_state_goes_its_own_way_when_copied() -> None:
    model = made(num_layers=2)
    sampler = Sampler(model, "float32")
    state = sampler.start(3)
    sampler.step(some_ids(3), state)
    copied, chosen = state.copy(), state.select(torch.tensor([2, 2, 0, 1]))
    expected = sampler.step(some_ids(3, seed=1), state)
    sampler.step(some_ids(3, seed=2), state)
    torch.testing.assert_close(sampler.step(some_ids(3, seed=1), copied), expected)
    again = sampler.step(some_ids(3, seed=1)[[2, 2, 0, 1]], chosen)
    torch.testing.assert_close(again, expected[[2, 2, 0, 1]])


@pytest.mark.parametrize("inference", [False, True])
def test_the_sampler_is_frozen_and_leaves_the_network_alone(inference: bool) -> None:
    model = made()
    sampler, ids = Sampler(model, "float32"), some_ids(2)
    with torch.inference_mode(inference):
        before = sampler.step(ids, sampler.start(2)).clone()
    assert not before.requires_grad
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    torch.testing.assert_close(sampler.step(ids, sampler.start(2)), before)
    assert all(parameter.requires_grad for parameter in model.parameters())


@has_int8
@pytest.mark.parametrize("shape", [{}, {"residual": True}, {"layer_norm": True}, {"kind": "gru"}])
def test_int8_predicts_nearly_the_same(shape: dict[str, object]) -> None:
    model, ids = made(num_layers=2, hidden_size=64, **shape), some_ids(4, 30)
    chances = model(ids)[0].detach().log_softmax(-1)
    sampler = Sampler(model, "int8")
    state = sampler.start(4)
    found = torch.stack([sampler.step(ids[:, t], state) for t in range(30)], 1).log_softmax(-1)
    assert not torch.equal(found, chances)
    assert float(F.kl_div(found, chances, log_target=True, reduction="none").sum(-1).mean()) < 1e-3


@has_int8
def test_int8_is_taken_where_it_is_faster() -> None:
    assert Sampler(made(hidden_size=16)).precision == "float32"
    assert Sampler(made(hidden_size=char_rnn.INT8_FROM)).precision == "int8"


def test_without_int8_it_is_refused_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(char_rnn, "_has_int8", lambda device: False)
    assert Sampler(made(hidden_size=char_rnn.INT8_FROM)).precision == "float32"
    with pytest.raises(RecurrentError, match="no int8"):
        Sampler(made(), "int8")


def test_hidden_values_are_those_of_each_layer() -> None:
    model, ids = made(num_layers=2), some_ids(3, 8)
    hidden, logits, end = model.hidden(ids)
    expected, state = model(ids)
    assert hidden.shape == (3, 8, 2, 16)
    assert hidden.abs().max() < 1
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(model.classifier(hidden[:, :, 1]), expected)
    torch.testing.assert_close(hidden[:, -1].transpose(0, 1), end[0])
    torch.testing.assert_close(end, state)


def test_dropout_comes_before_the_classifier_too() -> None:
    model, ids = made(dropout=0.5), some_ids(2, 5)  # one layer: there is nothing between layers
    assert torch.equal(model(ids)[0], model(ids)[0])
    model.train()
    assert not torch.equal(model(ids)[0], model(ids)[0])


def test_one_hot_is_a_table_into_the_gates() -> None:
    model = made(kind="lstm")
    assert model.embedding is None
    theirs = model.recurrent.to_torch()
    ids = some_ids(2, 6)
    expected = model.classifier(theirs(F.one_hot(ids, 11).float())[0])
    torch.testing.assert_close(model(ids)[0], expected)
    assert isinstance(model.recurrent, Recurrent)


def chi_square(ids: Tensor, chances: Tensor) -> float:
    """By how many of its standard deviations the statistic is above what it is expected to be."""
    expected = chances.double() * len(ids)
    assert not ids.bincount(minlength=len(chances))[expected == 0].any(), "what cannot be was drawn"
    possible = expected > 0
    seen = ids.bincount(minlength=len(chances))[possible]
    freedom = int(possible.sum()) - 1
    statistic = float(((seen - expected[possible]) ** 2 / expected[possible]).sum())
    return (statistic - freedom) / math.sqrt(2 * freedom)


LOGITS = torch.tensor([[2.0, -1.0, 0.5, 0.0, 1.0, -3.0, 0.25, 1.5]])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_draws_follow_the_chances(temperature: float) -> None:
    ids = draw(LOGITS.expand(100_000, -1), temperature, generator=random_generator(0))
    assert chi_square(ids, (LOGITS[0] / temperature).softmax(-1)) < 4


def test_each_row_is_drawn_by_its_own_chances() -> None:
    rows = torch.stack([LOGITS[0], LOGITS[0].flip(0)]).repeat(50_000, 1)
    ids = draw(rows, generator=random_generator(0))
    assert chi_square(ids[::2], LOGITS[0].softmax(-1)) < 4
    assert chi_square(ids[1::2], LOGITS[0].flip(0).softmax(-1)) < 4


def test_top_k_leaves_the_likeliest() -> None:
    kept = torch.where(torch.tensor([1, 0, 0, 0, 1, 0, 0, 1]).bool(), LOGITS[0], -torch.inf)
    ids = draw(LOGITS.expand(50_000, -1), 0.7, top_k=3, generator=random_generator(0))
    assert chi_square(ids, (kept / 0.7).softmax(-1)) < 4
    assert torch.equal(draw(LOGITS, 5.0, top_k=1, generator=random_generator(0)), torch.tensor([0]))
    assert draw(LOGITS, top_k=100, generator=random_generator(0)).shape == (1,)


def test_top_p_leaves_the_fewest_that_reach_it() -> None:
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    for top_p, left in ((0.05, [1]), (0.45, [1, 3]), (0.8, [1, 2, 3]), (1.0, [0, 1, 2, 3])):
        ids = draw(logits.expand(20_000, -1), top_p=top_p, generator=random_generator(0))
        kept = torch.full((4,), -torch.inf).index_copy(0, torch.tensor(left), logits[0, left])
        assert chi_square(ids, kept.softmax(-1)) < 4 if len(left) > 1 else set(ids.tolist()) == set(left)


def test_temperature_nought_takes_the_likeliest_and_a_huge_one_any() -> None:
    assert draw(LOGITS, 0).tolist() == draw(LOGITS, 1e-40).tolist() == [0]
    ids = draw(LOGITS.expand(50_000, -1), 1e9, generator=random_generator(0))
    assert chi_square(ids, torch.full((8,), 1 / 8)) < 4


def test_what_has_no_chance_is_never_drawn_even_by_the_last_random_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for last in (0.0, 1 - 2**-24):  # the ends of what torch.rand gives
        monkeypatch.setattr(torch, "rand", lambda *shape, last=last, **_: torch.full(shape, last))
        for seed in range(200):
            logits = torch.randn(1, 40, generator=random_generator(seed))
            logits[:, :7], logits[:, 31:] = -torch.inf, -torch.inf
            assert 7 <= int(draw(logits)) < 31


def test_draws_repeat_with_their_generator() -> None:
    rows = LOGITS.expand(64, -1)
    first, second, other = (draw(rows, generator=random_generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"vocabulary_size": 0}, "vocabulary_size is 0"),
        ({"embedding_size": 0}, "embedding_size is 0"),
        ({"hidden_size": -1}, "hidden_size is -1"),
    ],
)
def test_impossible_networks_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(RecurrentError, match=said):
        made(**values)


def test_the_config_survives_json() -> None:
    config = CharRNNConfig(65, 96, 2, "gru", 12, True, 0.25, True)
    assert CharRNNConfig.from_json(config.to_json()) == config
