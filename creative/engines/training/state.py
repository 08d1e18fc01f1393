"""Nested state (optimisers, hidden states, pools) as named tensors plus JSON, and back: no pickle."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def flatten(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """``tree`` as JSON, in which every tensor is a reference to ``tensors``, to which it is added under a name.

    Args:
        tree: nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.
        name: the first part of the tensors' names.
        tensors: filled with copies on the CPU.

    Raises:
        TypeError: something else is in the tree.
    """
    if isinstance(tree, Tensor):
        tensors[name] = stored(tree)
        return {"tensor": name}
    if isinstance(tree, Mapping):
        return {"items": [[key, flatten(value, f"{name}.{key}", tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        kind = "tuple" if isinstance(tree, tuple) else "list"
        return {kind: [flatten(value, f"{name}.{place}", tensors) for place, value in enumerate(tree)]}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"{name} is a {type(tree).__name__}; only tensors, numbers, texts and their lists can be saved.")


def restore(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What ``flatten`` was given."""
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "items":
        return {key: restore(value, tensors) for key, value in content}
    values = [restore(value, tensors) for value in content]
    return tuple(values) if kind == "tuple" else values


def stored(tensor: Tensor) -> Tensor:
    """A copy that a file can hold: on the CPU, contiguous, sharing memory with nothing."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimiser its state back, in its parameters' memory format: another one may round otherwise."""
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for key, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                moments[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


class Average:
    """Running averages of networks (EMA), warmed up: decay min(decay, (1 + step) / (10 + step)).

    Attributes:
        networks: copies in eval mode without gradients.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.networks = {name: copy.deepcopy(net).eval().requires_grad_(False) for name, net in networks.items()}
        kept, live = (_tensors(members.values()) for members in (self.networks, networks))
        pairs = list(zip(kept, live, strict=True))
        self._kept = [average for average, _ in pairs if average.is_floating_point()]
        self._live = [now for _, now in pairs if now.is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the networks as they are after so many steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        if self._kept:
            torch._foreach_lerp_(self._kept, self._live, 1 - decay)
        for average, now in self._counters:
            average.copy_(now)


def _tensors(networks: Iterable[nn.Module]) -> list[Tensor]:
    return [t.detach() for network in networks for t in (*network.parameters(), *network.buffers())]
