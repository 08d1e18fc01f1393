"""One process or several: all that a run does differently is here, on accelerate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Processes:
    """The processes of a run: one, unless ``torchrun`` started more.

    Differs from accelerate's ``prepare`` and DistributedDataParallel: gradients are averaged once, after the backward
    pass, so that a task sees its own plain networks and may use them as often and in whatever order it likes.

    Attributes:
        rank: which of them this one is; 0 writes the files.
        ranks: how many there are.
        device: where this one computes.
    """

    def __init__(self, device: torch.device) -> None:
        from accelerate import PartialState
        from accelerate.utils import broadcast_object_list, gather_object, reduce, send_to_device

        state = PartialState(cpu=device.type == "cpu")
        self.rank, self.ranks = state.process_index, state.num_processes
        several_gpus = self.ranks > 1 and device.type == "cuda"
        self.device = torch.device("cuda", state.local_process_index) if several_gpus else device
        self._wait = state.wait_for_everyone
        self._broadcast, self._gather, self._reduce, self._send = (
            broadcast_object_list,
            gather_object,
            reduce,
            send_to_device,
        )

    def send(self, batch: Any) -> Any:
        """A batch (nested tensors) on this process's device."""
        return self._send(batch, self.device, non_blocking=True)

    def mean_(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes, which give them in the same order and shapes."""
        if self.ranks == 1 or not tensors:
            return
        flat = self._reduce(torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors]), "mean")
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.detach().copy_(mean.view(tensor.shape))

    def wait(self) -> None:
        """Until everybody is here: what the first process has written can now be read by all."""
        self._wait()

    def agree(self, value: Any) -> Any:
        """The first process's value, in all of them."""
        return value if self.ranks == 1 else self._broadcast([value])[0]

    def gather(self, value: Any) -> list[Any]:
        """Everybody's values, in the order of ranks."""
        return [value] if self.ranks == 1 else list(self._gather([value]))
