"""Adam for a few parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    """What the ascent needs of an optimiser: any of ``torch.optim`` has it."""

    param_groups: list[dict[str, Any]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""

    def step(self) -> Any:
        """Change the parameters by their gradients."""


class Adam:
    """Adam (Kingma and Ba, 2014, arXiv:1412.6980), step for step as ``torch.optim.Adam``.

    PyTorch's loads its compiler when it is first made, which takes longer than drawing a picture (1.5 CPU-seconds).
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.betas, self.eps, self.steps = betas, eps, 0
        self.means = [torch.zeros_like(one) for one in self.param_groups[0]["params"]]
        self.squares = [torch.zeros_like(one) for one in self.param_groups[0]["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step along the running mean of the gradients, over the root of the running mean of their squares."""
        self.steps += 1
        first, second = self.betas
        lr = self.param_groups[0]["lr"] / (1 - first**self.steps)
        for parameter, mean, square in zip(self.param_groups[0]["params"], self.means, self.squares, strict=True):
            if parameter.grad is None:
                continue
            mean.lerp_(parameter.grad, 1 - first)
            square.mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
            scale = (square / (1 - second**self.steps)).sqrt_().add_(self.eps)
            parameter.addcdiv_(mean, scale, value=-lr)
