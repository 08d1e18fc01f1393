"""Muon for kernels, AdamW for everything else, as one optimiser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


class MuonAdamW(torch.optim.Optimizer):
    """Kernels and matrices learn by Muon, whatever has one dimension by AdamW.

    Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) makes each update of a matrix nearly
    orthogonal, so that all its directions are learned equally fast. A kernel (O, I, H, W) is a matrix of O rows.
    Updates are as large as AdamW's (Liu et al., 2025, Muon is Scalable for LLM Training, arXiv:2502.16982), so that
    the learning rate and the decay are those of AdamW.

    Args:
        parameters: in the memory format that they keep from now on.
        lr: learning rate; read from ``param_groups`` at each step.
        weight_decay: decoupled.

    Raises:
        ValueError: a kernel lies in memory neither as (O, I, H, W) nor as (O, H, W, I).
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr})
        every = self.param_groups[0]["params"]
        self._kernels = [parameter for parameter in every if parameter.ndim > 1]
        self._matrices = [_rows(kernel.detach(), kernel) for kernel in self._kernels]
        if any(
            rows.data_ptr() != kernel.data_ptr() for rows, kernel in zip(self._matrices, self._kernels, strict=True)
        ):
            raise ValueError("Muon learns kernels that are contiguous, or contiguous with their channels last.")
        others = [parameter for parameter in every if parameter.ndim < 2]
        self._parts: list[torch.optim.Optimizer] = []
        if self._kernels:
            muon = torch.optim.Muon(self._matrices, lr, weight_decay, adjust_lr_fn="match_rms_adamw")
            self._parts.append(muon)
        if others:
            self._parts.append(torch.optim.AdamW(others, lr, (0.9, 0.99), weight_decay=weight_decay, fused=True))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters that have gradients."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else _rows(kernel.grad, kernel)
        for part in self._parts:
            part.param_groups[0]["lr"] = self.param_groups[0]["lr"]
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Both optimisers'."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def _rows(values: Tensor, kernel: Tensor) -> Tensor:
    """A kernel, or its gradient, as a matrix whose columns are in the order in which the kernel lies in memory."""
    return (values if kernel.is_contiguous() else values.movedim(1, -1)).flatten(1)
