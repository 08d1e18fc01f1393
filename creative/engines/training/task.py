"""What a network has to say about its own training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from creative.data.draws import Draw, Draws, Shuffled
from creative.options.training import TrainingSettings

Networks = dict[str, nn.Module]


class Update(Protocol):
    """What ``Task.step`` is given to learn with.

    Attributes:
        step: the step being made, from 0.
        part: which part of the batch this is, from 0; always 0 unless ``accumulate`` is above 1.
        progress: how much of the run is over, 0 to 1.
        seed: of this step, part and process; see ``creative.device.random_generator``.
        generator: random numbers from that seed, on the task's device. What is random about a single sample belongs
            into the dataset (``Draw.seed``), where it does not depend on how the batch is shared out.
    """

    step: int
    part: int
    progress: float
    seed: int
    generator: torch.Generator

    def __call__(self, loss: Tensor, optimizer: str | None = None, *, retain_graph: bool = False) -> None:
        """Back-propagate ``loss`` into that optimiser's parameters only, clip, and make its step.

        Args:
            loss: a scalar, the mean over the samples of the batch; computed in float32.
            optimizer: its name; may be left out where there is one only.
            retain_graph: keep the graph for another loss through the same forward pass.
        """


class Task:
    """What is trained: networks, data, loss. Subclass it and pass it to ``train``.

        class Fit(Task):
            def networks(self):
                self.network = nn.Linear(3, 1)
                return {"network": self.network}

            def dataset(self):
                return Points()            # __getitem__(draw: Draw), __len__

            def step(self, batch, update):
                loss = F.mse_loss(self.network(batch["x"]), batch["y"])
                update(loss)
                return {"loss": loss}

    ``step`` works on the networks that ``networks`` made; ``evaluate`` and ``sample`` are given their running averages.
    Nothing in a task may depend on the number of processes or on which of them it runs in.
    """

    device: torch.device = torch.device("cpu")
    """Where the networks are; set by the loop before it calls ``networks``."""
    best_metric: str | None = None
    """The number of ``evaluate`` by which the best file is chosen; None: the last weights are the best."""
    lower_is_better: bool = True
    channels_last: bool = False
    """Keep 4-D weights in the memory format in which convolutions are fastest."""

    def networks(self) -> Networks:
        """Make the networks to be trained, by name. Called once, with torch's global generator seeded by the settings.

        Frozen helpers (a teacher, an encoder) are not among them: keep those apart, on ``self.device``.
        """
        raise NotImplementedError

    def optimizers(self, networks: Networks, settings: TrainingSettings) -> dict[str, torch.optim.Optimizer]:
        """The optimisers, by name; by default one AdamW over all networks. The loop sets their learning rates."""
        parameters = [p for network in networks.values() for p in network.parameters() if p.requires_grad]
        rate, decay = settings.learning_rate, settings.weight_decay
        return {"all": torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, betas=(0.9, 0.99), fused=True)}

    def dataset(self) -> Dataset[Any]:
        """The training data: ``len(dataset)`` items, each made by ``dataset[Draw(index, seed)]`` and by nothing else.

        It is used in worker processes: on the CPU only, and cheap to copy (memory-map what is large).
        """
        raise NotImplementedError

    def draws(self, step: int, settings: TrainingSettings) -> Sequence[Draw] | None:
        """The ``batch_size`` draws of a step, as a pure function of it; None: every epoch in a new random order.

        Cut evenly into processes, and there into parts. Override it for text that goes on from step to step.
        """
        return None

    def collate(self, samples: list[Any]) -> Any:
        """A batch from samples: by default tensors are stacked, dictionaries and tuples kept."""
        return torch.utils.data.default_collate(samples)

    def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
        """One training step on a batch (on the device already), under autocast; calls ``update`` for every loss.

        Returns:
            Scalars worth watching, detached or not, by name; averaged until they are written down. No ``.item()`` here.
        """
        raise NotImplementedError

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """Measure the averaged networks on held-out data; called in eval mode without gradients, in one process only.

        Its names must differ from those of ``step``.
        """
        return {}

    def sample(self, networks: Networks) -> Any:
        """What the averaged networks make now (a picture, a text), for a Step's preview; None for nothing."""
        return None

    def extra_state(self) -> dict[str, Any]:
        """What else a resumed run needs (hidden state, image pool): nested dicts and lists of tensors and plain values.

        Each process has its own, so a run with any can only go on with as many processes.
        """
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take back what ``extra_state`` gave; tensors come on the CPU."""

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The tensors of the final file, from the averaged networks: ``NETWORK.NAME`` by default."""
        return {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}

    def config(self) -> dict[str, Any]:
        """What is needed to build the networks again, as JSON: sizes, vocabulary; goes into the final file."""
        return {}


def all_draws(task: Task, num_items: int, settings: TrainingSettings) -> Draws:
    """The task's own draws of a step, or those of epochs in random order."""
    if task.draws(0, settings) is None:
        return Shuffled(num_items, settings.batch_size, settings.seed)

    def own(step: int) -> Sequence[Draw]:
        draws = task.draws(step, settings) or ()
        if len(draws) != settings.batch_size:
            raise ValueError(f"draws() gave {len(draws)} for step {step}, but batch_size is {settings.batch_size}.")
        return draws

    return own
