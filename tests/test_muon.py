"""Muon and AdamW in one optimiser: each does what torch's own does."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from creative.engines.training import MuonAdamW


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.Flatten(), nn.Linear(5 * 16, 4))


def learn(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(2, 3, 6, 6, generator=generator)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_kernels_learn_by_muon_and_the_rest_by_adamw(memory_format: torch.memory_format) -> None:
    ours, theirs = network().to(memory_format=memory_format), network()
    learn(ours, MuonAdamW(ours.parameters(), 0.01, 0.1), 3)
    # torch's own, on matrices that are copied forth and back.
    kernels = [p for p in theirs.parameters() if p.ndim > 1]
    matrices = [p.detach().flatten(1).clone() for p in kernels]
    muon = torch.optim.Muon(matrices, 0.01, 0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW([p for p in theirs.parameters() if p.ndim == 1], 0.01, (0.9, 0.99), weight_decay=0.1)

    class Both(torch.optim.Optimizer):
        def step(self) -> None:  # type: ignore[override]
            for kernel, matrix in zip(kernels, matrices, strict=True):
                assert kernel.grad is not None
                matrix.grad = kernel.grad.flatten(1)
            muon.step()
            adamw.step()
            with torch.no_grad():
                for kernel, matrix in zip(kernels, matrices, strict=True):
                    kernel.copy_(matrix.view(kernel.shape))

    learn(theirs, Both(theirs.parameters(), {}), 3)
    before = dict(network().named_parameters())
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        # Muon computes in bfloat16, so another order of the columns rounds otherwise.
        moved = (other - before[name]).abs().max().item()
        assert moved > 0.005
        torch.testing.assert_close(mine, other, rtol=0, atol=moved * 0.03)


def test_the_learning_rate_is_that_of_the_group() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    optimizer = MuonAdamW(net.parameters(), 0.01)
    optimizer.param_groups[0]["lr"] = 0.0
    learn(net, optimizer, 1)
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name])


def test_it_goes_on_from_its_state() -> None:
    whole, cut = network(), network()
    learn(whole, MuonAdamW(whole.parameters(), 0.01), 2)
    once = MuonAdamW(whole.parameters(), 0.01)
    learn(whole, once, 1)
    cut.load_state_dict(whole.state_dict())
    again = MuonAdamW(cut.parameters(), 0.01)
    again.load_state_dict(copy.deepcopy(once.state_dict()))
    learn(whole, once, 2)
    learn(cut, again, 2)
    for mine, other in zip(cut.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_kernel_that_it_could_not_change_is_refused() -> None:
    strided = nn.Parameter(torch.zeros(4, 3, 2, 2).transpose(2, 3))
    with pytest.raises(ValueError, match="contiguous"):
        MuonAdamW([strided], 0.01)
