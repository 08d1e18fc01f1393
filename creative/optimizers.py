"""Adam for a few tensors that are pictures, where ``torch.optim`` would cost more than it does.

PyTorch's own loads its compiler when it is first made, which takes longer than drawing a picture (1.5 CPU-seconds), and
keeps its state to itself, where pictures that grow need it to grow with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    """What a loop needs of an optimiser: any of ``torch.optim`` has it."""

    param_groups: list[dict[str, Any]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""

    def step(self) -> Any:
        """Change the parameters by their gradients."""


class AdamMoments:
    """Running means of one tensor's gradient and of its square, and the step that follows from them.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015, arXiv:1412.6980), algorithm 1.

    Args:
        betas: how much of each mean stays in a step.
        eps: added to the root of the mean square.
    """

    def __init__(self, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.betas, self.eps, self.count = betas, eps, 0
        self.first = self.second = torch.zeros(())

    def step(self, gradient: Tensor, rate: float) -> Tensor:
        """What to take off the tensor, in a new one of its shape, for its gradient and a learning rate."""
        if not self.count:
            self.first, self.second = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self.count += 1
        one, two = self.betas
        self.first.lerp_(gradient, 1 - one)
        self.second.mul_(two).addcmul_(gradient, gradient, value=1 - two)
        size = self.second.sqrt().mul_(1 / (1 - two**self.count) ** 0.5).add_(self.eps)
        return torch.div(self.first, size, out=size).mul_(rate / (1 - one**self.count))

    def resize(self, resized: Callable[[Tensor], Tensor]) -> None:
        """Carry what was learnt over to a tensor of another shape."""
        if self.count:
            self.first, self.second = resized(self.first), resized(self.second).clamp_(min=0)


class Adam:
    """Adam for some parameters, step for step as ``torch.optim.Adam``."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.moments = [AdamMoments(betas, eps) for _ in self.param_groups[0]["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient."""
        for parameter, moments in zip(self.param_groups[0]["params"], self.moments, strict=True):
            if parameter.grad is not None:
                parameter.sub_(moments.step(parameter.grad, self.param_groups[0]["lr"]))
