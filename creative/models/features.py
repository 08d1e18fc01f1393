"""Feature networks under one interface: ours, which is bundled, and torchvision's.

    features = load_features("bundled", layers=("relu1_1", "relu3_1"))
    maps = features(picture)  # (1, 3, H, W) in [0, 1] -> {"relu1_1": (1, C, H, W), "relu3_1": (1, C, H / 4, W / 4)}

A network is cut after the last layer asked for, so that no time is spent behind it, and only the tensors of what is
left are read from its file: the classifier of VGG-19, 470 of its 548 MB, is never made.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from creative.models.chains import Chain, FeaturesError, cut, geometry, head_chain, load_chain, names_of, network_chain
from creative.options.features import BUNDLED, LAYERS

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Classifier",
    "Features",
    "FeaturesError",
    "Pooling",
    "check_layers",
    "layer_names",
    "load_classifier",
    "load_features",
    "untrained_features",
]

Pooling = Literal["max", "average"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# These weights come from TensorFlow, which does not use ImageNet's mean and deviation.
_NORMALISATION = {"googlenet": _HALF, "inception_v3": _HALF}


def layer_names(network: str = BUNDLED) -> tuple[str, ...]:
    """The layers of a network by readable name, in order of depth.

    Raises:
        FeaturesError: there is no such network.
    """
    if network not in LAYERS:
        raise FeaturesError(f"There is no network {network!r}{_near(network, LAYERS)}; there are {', '.join(LAYERS)}.")
    return LAYERS[network]


def check_layers(network: str, layers: Iterable[str]) -> tuple[str, ...]:
    """The layers without repetition in order of depth, once it is clear that the network has them all.

    Raises:
        FeaturesError: no such network or layer, or no layer at all.
    """
    return _in_order(network, layer_names(network), layers)


def _in_order(network: str, names: Sequence[str], layers: Iterable[str]) -> tuple[str, ...]:
    asked = set(layers)
    for layer in sorted(asked - set(names)):
        raise FeaturesError(f"{network} has no layer {layer!r}{_near(layer, names)}; it has {', '.join(names)}.")
    if not asked:
        raise FeaturesError(f"No layer of {network} was asked for; it has {', '.join(names)}.")
    return tuple(name for name in names if name in asked)


def _near(word: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(words), 2, cutoff=0.5)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


class Features(nn.Module):
    """The maps of some layers of a frozen network.

    ``forward`` takes pictures (B, 3, H, W) in [0, 1] and gives {layer: (B, C, H / stride, W / stride)} in order of
    depth. Normalisation is inside. No map is written to after it was returned.

    Attributes:
        network, layers: what was asked for, layers in order of depth.
        weights: the file that the weights came from, or None where they are random.
        strides: input pixels per step of each layer's map.
        receptive_fields: the side in input pixels of what one value of each layer's map can see.
    """

    def __init__(
        self,
        network: str,
        chain: Chain,
        layers: Sequence[str],
        *,
        weights: Path | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.network, self.layers, self.weights = network, tuple(layers), weights
        self.chain = nn.ModuleDict({name: module for name, _, module in chain})
        self.strides, self.receptive_fields = geometry(self.chain.items(), layers)
        deviation = torch.tensor(std).view(1, 3, 1, 1)
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", 1 / deviation, persistent=False)
        self.register_buffer("shift", -torch.tensor(mean).view(1, 3, 1, 1) / deviation, persistent=False)
        _protect_returned_maps(self.chain, layers)
        self.eval().requires_grad_(False)

    def forward(self, picture: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """Maps of the layers asked for, or of some of them: then nothing behind the last of those is computed.

        Raises:
            FeaturesError: the picture is smaller than ``min_size``.
        """
        if min(picture.shape[-2:]) < self.min_size:
            height, width = picture.shape[-2:]
            raise FeaturesError(
                f"{self.network} up to {self.layers[-1]} needs at least {self.min_size} pixels a side, "
                f"but the picture has {width}x{height}."
            )
        return self._maps(picture, self.layers if layers is None else layers)

    def _maps(self, picture: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        x = torch.addcmul(self.shift, picture, self.scale).contiguous(memory_format=torch.channels_last)
        maps: dict[str, Tensor] = {}
        for name, module in self.chain.items():
            if len(maps) == len(layers):
                break
            x = module(x)
            if name in layers:
                maps[name] = x
        return maps

    @cached_property
    def min_size(self) -> int:
        """The smallest side in pixels of a picture that every layer asked for gives at least one value for."""
        enough = next(size for size in (16, 32, 64, 128, 256, 512, 1024) if self._goes_through(size))
        return bisect.bisect_left(range(enough), True, lo=1, key=self._goes_through)

    def _goes_through(self, size: int) -> bool:
        # Not on the meta device: its kernels would import torch._dynamo, which costs a second and 150 MB.
        x = torch.zeros(1, 3, size, size, dtype=self.scale.dtype, device=self.scale.device)
        x = x.contiguous(memory_format=torch.channels_last)
        try:
            with torch.no_grad():
                for module in self.chain.values():
                    x = module(x)
        except RuntimeError:  # a kernel larger than its input
            return False
        return x.numel() > 0

    @cached_property
    def sha256(self) -> str:
        """Of the weights: what a preset or a result made with this network remembers it by.

        Of ours, of the tensors that maps come from: a file with another classifier shows the same maps.
        """
        from creative.checkpoint import tensors_sha256
        from creative.files import file_sha256

        if self.weights is None:
            return "random"
        return tensors_sha256(self.weights, "features.") if self.network == BUNDLED else file_sha256(self.weights)

    @property
    def weights_name(self) -> str:
        """The weights' file by name."""
        return self.weights.name if self.weights else "random"


def load_features(
    network: str = BUNDLED,
    *,
    layers: Sequence[str],
    weights: str | Path | None = None,
    pooling: Pooling = "max",
    device: str | torch.device = "cpu",
) -> Features:
    """A network's features with trained weights.

    Args:
        network: one of ``creative.options.features.LAYERS``.
        layers: readable names, see ``layer_names``.
        weights: a .safetensors or .pth file in the network's own layout; None finds it (``creative.weights.find``).
        pooling: ``average`` replaces max-pooling, as Gatys et al. (2016, A Neural Algorithm of Artistic Style,
            arXiv:1508.06576) advise for smoother pictures.
        device: where to compute.

    Raises:
        FeaturesError: no such network or layer, or the file does not hold this network.
        creative.weights.WeightsError: the weights are nowhere to be found.
    """
    if weights is None or network != BUNDLED:
        check_layers(network, layers)
    path = _find_weights(network, weights)
    chain = network_chain(network, path)
    layers = _in_order(network, names_of(chain), layers)  # a file may hold a network of ours with more or fewer layers
    chain = cut(chain, layers)
    load_chain(chain, path, network)
    return _finish(network, chain, layers, pooling, path, device)


def _find_weights(network: str, weights: str | Path | None) -> Path:
    if weights is not None and Path(weights).is_file():
        return Path(weights)
    from creative.weights import find

    name = "features" if network == BUNDLED else network
    return find(name, Path(weights) if weights is not None else None)


class Classifier(nn.Module):
    """A whole network: ``forward`` takes pictures (B, 3, H, W) in [0, 1] and gives logits (B, len(classes)).

    Attributes:
        features: the network without its classifier.
        classes: their names, in the order of the logits.
    """

    def __init__(self, features: Features, head: nn.Module, classes: Sequence[str]) -> None:
        super().__init__()
        self.features, self.head, self.classes = features, head.eval().requires_grad_(False), tuple(classes)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        return self.maps_and_logits(picture)[1]

    def maps_and_logits(self, picture: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The maps of the layers asked for (and of the last), and the logits, in one pass."""
        maps = self.features(picture)
        return maps, self.head(maps[self.features.layers[-1]])


def load_classifier(
    network: str = BUNDLED,
    *,
    layers: Sequence[str] = (),
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Classifier:
    """A network with its ImageNet classifier; arguments and errors are those of ``load_features``."""
    if weights is None or network != BUNDLED:
        check_layers(network, [*layers, layer_names(network)[-1]])
    path = _find_weights(network, weights)
    chain, head = network_chain(network, path), head_chain(network, path)
    layers = _in_order(network, names_of(chain), [*layers, names_of(chain)[-1]])
    load_chain(chain + head, path, network)
    features = _finish(network, chain, layers, "max", path, device)
    return Classifier(features, nn.Sequential(*(module for _, _, module in head)).to(device), _classes(network, path))


def _classes(network: str, path: Path) -> Sequence[str]:
    if network == BUNDLED:
        from creative.checkpoint import read_metadata

        return read_metadata(path)["config"]["classes"]
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return _IMAGENET_CATEGORIES


def untrained_features(
    network: str = BUNDLED,
    *,
    layers: Sequence[str],
    seed: int = 0,
    pooling: Pooling = "max",
    device: str | torch.device = "cpu",
) -> Features:
    """The same network with random weights (He et al., 2015, arXiv:1502.01852): for speed tests and as a yardstick."""
    layers = check_layers(network, layers)
    chain = cut(network_chain(network, None), layers)
    generator = torch.Generator().manual_seed(seed)
    for _, _, module in chain:
        module.to_empty(device="cpu")
        for name, tensor in module.state_dict().items():
            _randomise(name, tensor, generator)
    return _finish(network, chain, layers, pooling, None, device)


def _randomise(name: str, tensor: Tensor, generator: torch.Generator) -> None:
    if tensor.dim() > 1:
        nn.init.kaiming_normal_(tensor, nonlinearity="relu", generator=generator)
    elif name.endswith(("running_var", "weight")):
        tensor.fill_(1)
    else:
        tensor.zero_()


def _finish(
    network: str, chain: Chain, layers: Sequence[str], pooling: Pooling, path: Path | None, device: str | torch.device
) -> Features:
    if pooling == "average":
        chain = [(name, prefix, _averaging(module)) for name, prefix, module in chain]
    mean, std = _NORMALISATION.get(network, (IMAGENET_MEAN, IMAGENET_STD))
    features = Features(network, chain, layers, weights=path, mean=mean, std=std)
    return features.to(device).to(memory_format=torch.channels_last)


def _averaging(module: nn.Module) -> nn.Module:
    if not isinstance(module, nn.MaxPool2d):
        return module
    kernel, stride, padding, ceil = module.kernel_size, module.stride, module.padding, module.ceil_mode
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=False)


def _protect_returned_maps(chain: Mapping[str, nn.Module] | nn.ModuleDict, layers: Sequence[str]) -> None:
    """Let no ReLU of the chain overwrite a map that is returned; the others save memory by working in place."""
    before = ""
    for name, module in chain.items():
        if isinstance(module, nn.ReLU):
            module.inplace = bool(before) and before not in layers
        before = name
