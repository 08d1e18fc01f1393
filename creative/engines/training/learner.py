"""How losses become updates of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from creative.device import random_generator
from creative.engines.training.processes import Processes
from creative.engines.training.saving import TrainingError
from creative.engines.training.schedule import learning_rate_factor
from creative.options.training import TrainingSettings


class Learner:
    """The optimisers of a run: back-propagation, averaging over processes, clipping, learning rate.

    Attributes:
        optimizers: by name.
        rate: the learning rate of the first, now.
    """

    def __init__(
        self, optimizers: dict[str, torch.optim.Optimizer], settings: TrainingSettings, processes: Processes
    ) -> None:
        self.optimizers, self.settings, self.processes = optimizers, settings, processes
        self.rate = 0.0
        self._peaks = [group["lr"] for group in self._groups()]
        self._bad_step = torch.tensor(0, device=processes.device)  # the first with a loss that was no number
        self._doubt = torch.tensor(0.0, device=processes.device)  # the sum of a step's losses and gradients' norms

    def set_rates(self, step: int, progress: float) -> None:
        """Give the optimisers the learning rates of a step."""
        factor = learning_rate_factor(self.settings, step, progress)
        for group, peak in zip(self._groups(), self._peaks, strict=True):
            group["lr"] = peak * factor
        self.rate = self._peaks[0] * factor

    def _groups(self) -> list[dict[str, Any]]:
        # Not kept: an optimiser that loads its state makes new ones.
        return [group for optimizer in self.optimizers.values() for group in optimizer.param_groups]

    def learn(self, loss: Tensor, name: str | None, part: int, retain_graph: bool) -> None:
        """See ``task.Update``."""
        if (name is None and len(self.optimizers) > 1) or (name is not None and name not in self.optimizers):
            raise TrainingError(f"Say which optimiser learns from this loss: {', '.join(self.optimizers)}.")
        optimizer = self.optimizers[name] if name else next(iter(self.optimizers.values()))
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        parts = self.settings.accumulate
        self._doubt = self._doubt + loss.detach()
        with torch.autocast(loss.device.type, enabled=False):
            if part == 0:
                optimizer.zero_grad(set_to_none=True)
            # Only into this optimiser's own: a generator's loss leaves nothing behind in its discriminator.
            (loss / parts).backward(inputs=parameters, retain_graph=retain_graph)
            if part < parts - 1:
                return
            self.processes.mean_([p.grad for p in parameters if p.grad is not None])
            if self.settings.clip_norm:
                self._doubt = self._doubt + torch.nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm)
            optimizer.step()
            torch.clear_autocast_cache()  # autocast would go on with casts of the weights as they were before

    def note_finite(self, step: int) -> None:
        """After a step: were its losses and gradients numbers? Noted on the device, so that nobody waits for it."""
        first = (self._bad_step == 0) & ~torch.isfinite(self._doubt)
        self._bad_step, self._doubt = torch.where(first, step, self._bad_step), torch.zeros_like(self._doubt)

    def bad_step(self) -> int:
        """The first step whose losses or gradients were no numbers, or 0; waits for the device."""
        return int(self._bad_step)


class PartUpdate:
    """What a task is given to learn with from one part of a batch; see ``task.Update``."""

    def __init__(self, learner: Learner, step: int, part: int, progress: float, seed: int) -> None:
        self.step, self.part, self.progress, self.seed = step, part, progress, seed
        self.generator = random_generator(seed, learner.processes.device)
        self._learner = learner
        self._used: set[str | None] = set()

    def __call__(self, loss: Tensor, optimizer: str | None = None, *, retain_graph: bool = False) -> None:
        """Learn from a loss."""
        if optimizer in self._used and self._learner.settings.accumulate > 1:
            raise TrainingError("An optimiser with several updates in a step cannot accumulate: use accumulate 1.")
        self._used.add(optimizer)
        self._learner.learn(loss, optimizer, self.part, retain_graph)
