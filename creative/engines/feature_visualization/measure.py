"""How much of an objective is in a picture: its value, from the maps of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from creative.models.classes import class_number
from creative.models.features import Classifier, Features, load_classifier, load_features
from creative.options.objectives import (
    Channel,
    Class,
    Constant,
    Direction,
    Layer,
    Neuron,
    Objective,
    ObjectiveError,
    Product,
    Sum,
)

Maps = Mapping[str, Tensor]


def measure(objective: Objective, maps: Maps, logits: Tensor | None = None, classes: Sequence[str] = ()) -> Tensor:
    """The value of an objective for one picture, a scalar.

    Args:
        objective: what to measure; checked before, with ``check_objectives``.
        maps: of the picture's layers, each (C, H, W).
        logits: of the picture's classes, (N,); only needed for ``Class``.
        classes: their names, in the order of the logits.
    """
    match objective:
        case Constant(value):
            return torch.tensor(value)
        case Layer(layer):
            return maps[layer].square().mean() / 2
        case Channel(layer, channel):
            return maps[layer][channel].mean()
        case Neuron(layer, channel, x, y):
            height, width = maps[layer].shape[-2:]
            return maps[layer][channel, min(int(y * height), height - 1), min(int(x * width), width - 1)]
        case Direction(layer, weights):
            return _along(maps[layer], weights)
        case Class(name):
            assert logits is not None, "a class needs the logits"
            return logits[class_number(classes, name)] - logits.mean()  # what speaks for it rather than for any
        case Sum(a, b):
            return measure(a, maps, logits, classes) + measure(b, maps, logits, classes)
        case Product(a, b):
            return measure(a, maps, logits, classes) * measure(b, maps, logits, classes)
    raise TypeError(f"{objective!r} is no objective that can be measured.")


def _along(map_: Tensor, weights: Sequence[tuple[int, float]]) -> Tensor:
    channels = torch.tensor([channel for channel, _ in weights], device=map_.device)
    direction = torch.tensor([weight for _, weight in weights], device=map_.device, dtype=map_.dtype)
    along = torch.einsum("c,chw->hw", direction / direction.norm(), map_[channels])
    cosine = along / (map_.square().sum(0) + 1e-12).sqrt()
    return (along * cosine.clamp(min=0.1)).mean()


class Score(nn.Module):
    """The values of one objective for each picture of a batch, in one pass through a network.

    ``forward`` takes pictures (B, 3, H, W) in [0, 1] and gives values (B,). The network computes in ``dtype``.

    Args:
        objectives: B of them.
        network: that has all their layers; a ``Classifier`` where there is a class among them.
        diversity: how much of its own size an objective loses where its picture is just like the others of its group.
        group: how many neighbours of the batch are variants of one objective.
        dtype: bfloat16 is faster where the processor has it, and good enough to climb by.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        network: Features | Classifier,
        *,
        diversity: float = 0.0,
        group: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.objectives = list(objectives)
        self.network = network
        self.diversity = diversity if group > 1 else 0.0
        self.group = group
        self.dtype = dtype

    def forward(self, pictures: Tensor) -> Tensor:
        """The values, less what likeness costs."""
        seen = Seen(self.network, pictures.to(self.dtype))
        values = seen.values(self.objectives)
        if self.diversity:
            values = values - self.diversity * values.detach().abs() * likeness(seen.deepest, self.group)
        return values


class Between(nn.Module):
    """Leads from one objective to another, picture by picture, both pulling by their shares whatever their sizes.

    Values of a deep layer may be a hundred times those of a shallow one. So the slope of each objective by a picture is
    brought to the length 1 before the two are mixed, from the first alone for the first picture to the last alone.

    Args:
        first, last: the objectives.
        count: of pictures, at least 2.
        network, dtype: see ``Score``.
    """

    def __init__(
        self,
        first: Objective,
        last: Objective,
        count: int,
        network: Features | Classifier,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.first, self.last, self.network, self.dtype = first, last, network, dtype
        self.shares = torch.linspace(0, 1, count)

    def forward(self, pictures: Tensor) -> Tensor:
        """The mixed values (B,); their slope by the pictures is the mixed slope."""
        leaf = pictures.detach().requires_grad_()
        seen = Seen(self.network, leaf.to(self.dtype))
        shares = self.shares.to(pictures)
        pull, mixed = torch.zeros_like(leaf), torch.zeros_like(shares)
        for objective, share in ((self.first, 1 - shares), (self.last, shares)):
            values = seen.values([objective] * len(leaf))
            (slope,) = torch.autograd.grad(values.sum(), leaf, retain_graph=True)
            length = torch.linalg.vector_norm(slope, dim=(1, 2, 3)).clamp(min=1e-20)
            pull += slope * (share / length).view(-1, 1, 1, 1)
            mixed += values.detach() * share
        along = (pictures * pull).sum((1, 2, 3))
        return along + (mixed - along).detach()


class Seen:
    """What a network sees in pictures (B, 3, H, W), in one pass: the maps of its layers, and logits if it has them."""

    def __init__(self, network: Features | Classifier, pictures: Tensor) -> None:
        self.classes: tuple[str, ...] = ()
        self.logits: Tensor | None = None
        if isinstance(network, Classifier):
            maps, logits = network.maps_and_logits(pictures)
            self.logits, self.classes = logits.float(), network.classes
        else:
            maps = network(pictures)
        self.deepest = list(maps.values())[-1].float()
        # Taken apart once: the gradient of a slice of a batch would be a batch of zeros for every picture.
        self.maps = {name: map_.float().unbind(0) for name, map_ in maps.items()}

    def values(self, objectives: Sequence[Objective]) -> Tensor:
        """Of one objective for each picture, (B,)."""
        return torch.stack([self._value(number, objective) for number, objective in enumerate(objectives)])

    def _value(self, number: int, objective: Objective) -> Tensor:
        maps = {name: apart[number] for name, apart in self.maps.items()}
        return measure(objective, maps, None if self.logits is None else self.logits[number], self.classes)


def likeness(maps: Tensor, group: int) -> Tensor:
    """For each picture, how like the others of its group it is: the mean cosine of their Gram matrices, (B,).

    Args:
        maps: (B, C, H, W); every ``group`` neighbours are compared with one another.
        group: at least 2.
    """
    B, C = maps.shape[:2]
    flat = maps.reshape(B, C, -1)
    grams = flat @ flat.transpose(1, 2)
    grams = nn.functional.normalize(grams.reshape(B // group, group, C * C), dim=2)
    cosines = grams @ grams.transpose(1, 2)
    others = cosines.sum(2) - cosines.diagonal(dim1=1, dim2=2)
    return (others / (group - 1)).reshape(B)


def needs_classifier(objectives: Sequence[Objective]) -> bool:
    """Whether there is a class among the objectives."""
    return any(isinstance(part, Class) for objective in objectives for part in objective.parts())


def layers_of(objectives: Sequence[Objective]) -> list[str]:
    """The layers that objectives look at."""
    parts = (part for objective in objectives for part in objective.parts())
    return list(dict.fromkeys(part.layer for part in parts if isinstance(part, Layer | Channel | Neuron | Direction)))


def load_network(
    objectives: Sequence[Objective], network: str, weights: str | Path | None, device: str | torch.device = "cpu"
) -> Features | Classifier:
    """A network with the layers, and where it is needed the classifier, that objectives look at.

    Raises:
        ValueError: there is no such network or layer, or its weights are missing or damaged.
    """
    parts = [part for objective in objectives for part in objective.parts()]
    layers = list(dict.fromkeys(part.layer for part in parts if isinstance(part, Layer | Channel | Neuron | Direction)))
    if any(isinstance(part, Class) for part in parts):
        return load_classifier(network, layers=layers, weights=weights, device=device)
    return load_features(network, layers=layers, weights=weights, device=device)


def num_channels(network: Features | Classifier) -> dict[str, int]:
    """How many channels the layers of a network have that it gives."""
    features = network.features if isinstance(network, Classifier) else network
    with torch.inference_mode():
        return {layer: map_.shape[1] for layer, map_ in features(features.scale.new_zeros(1, 3, 96, 96)).items()}


def check_objectives(objectives: Sequence[Objective], network: Features | Classifier) -> None:
    """Whether a network has all the channels and classes that objectives name.

    Raises:
        ValueError: one is not there; the message has what is.
    """
    counts = num_channels(network)
    for part in (part for objective in objectives for part in objective.parts()):
        match part:
            case Channel(layer, channel) | Neuron(layer, channel):
                _check_channels(part, layer, [channel], counts[layer])
            case Direction(layer, weights):
                _check_channels(part, layer, [channel for channel, _ in weights], counts[layer])
            case Class(name):
                assert isinstance(network, Classifier)
                class_number(network.classes, name)


def _check_channels(part: Objective, layer: str, channels: Sequence[int], count: int) -> None:
    for channel in channels:
        if not 0 <= channel < count:
            raise ObjectiveError(
                f"{layer} has {count} channels, from 0 to {count - 1}, but {part} asks for channel {channel}."
            )
