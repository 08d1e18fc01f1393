"""Networks as chains of layers with readable names, filled with just the tensors that are needed.

Every network of ``creative.options.features.LAYERS`` is one: a layer's map depends on the layers before it alone, so a
chain can be cut anywhere. It is made without memory for its weights; those of the part that is left are then read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from creative.models.vgg import VGG, VGGConfig
from creative.options.features import BUNDLED, LAYERS

Chain = list[tuple[str, str, nn.Module]]
"""A network in order of depth: (readable name, prefix of its tensors in the file, module)."""


class FeaturesError(ValueError):
    """There is no such network or layer, or a file does not hold that network."""


def network_chain(network: str, path: Path | None) -> Chain:
    """The whole network without weights (on the meta device, which costs no memory)."""
    with torch.device("meta"):
        return _bundled_chain(path) if network == BUNDLED else _torchvision_chain(network)


def names_of(chain: Chain) -> list[str]:
    """The layers by readable name."""
    return [name for name, _, _ in chain]


def cut(chain: Chain, layers: Sequence[str]) -> Chain:
    """The chain up to the last of some layers."""
    last = max(index for index, (name, _, _) in enumerate(chain) if name in layers)
    return chain[: last + 1]


def _bundled(path: Path | None) -> VGG:
    from creative.checkpoint import read_metadata

    config = read_metadata(path).get("config", {}) if path is not None else {}
    if path is not None and "network" not in config:
        raise FeaturesError(f"{path} was not made by creative: it does not say what shape the network in it has.")
    return VGG(VGGConfig.from_json(config["network"]) if path is not None else VGGConfig())


def _bundled_chain(path: Path | None) -> Chain:
    return [(name, f"features.{name}", module) for name, module in _bundled(path).features.named_children()]


def _torchvision(network: str) -> Any:
    if network.startswith("squeezenet"):  # so small that importing torchvision would take longer than most jobs
        from creative.models.squeezenet import SqueezeNet

        return SqueezeNet("1_0" if network == "squeezenet1_0" else "1_1")
    from torchvision import models

    lean = {"init_weights": False, "aux_logits": False} if network in ("googlenet", "inception_v3") else {}
    return getattr(models, network)(weights=None, **lean)


def _torchvision_chain(network: str) -> Chain:
    module = _torchvision(network)
    if hasattr(module, "features"):
        found = [(f"features.{name}", child) for name, child in module.features.named_children()]
    else:
        found = [item for item in module.named_children() if item[0] not in ("avgpool", "dropout", "fc")]
    if network == "resnet50":
        stages = [(name, child) for name, child in found if isinstance(child, nn.Sequential)]
        blocks = [(f"{name}.{i}", block) for name, stage in stages for i, block in stage.named_children()]
        found = [item for item in found if item not in stages] + blocks
    names = LAYERS[network]
    return [(name, prefix, child) for name, (prefix, child) in zip(names, found, strict=True)]


def head_chain(network: str, path: Path | None) -> Chain:
    """What goes from the last map to the logits."""
    with torch.device("meta"):
        module: Any = _bundled(path) if network == BUNDLED else _torchvision(network)
    if network.startswith("squeezenet"):
        return [("classifier", "classifier", module.classifier), ("flatten", "", nn.Flatten())]
    name = "fc" if hasattr(module, "fc") else "classifier"
    pool = module.avgpool if hasattr(module, "avgpool") else nn.AdaptiveAvgPool2d(1)
    return [("pool", "", pool), ("flatten", "", nn.Flatten()), (name, name, module.get_submodule(name))]


def load_chain(chain: Chain, path: Path, network: str) -> None:
    """Read the tensors of the chain, and no others, into it."""
    wanted = {f"{prefix}.{name}" for prefix, names in _tensor_names(chain) for name in names}
    tensors = _read(path, wanted, network)
    for _, prefix, module in chain:
        own = {}
        for name, empty in module.state_dict().items():
            key = f"{prefix}.{name}"
            tensor = tensors.get(
                key, torch.zeros((), dtype=torch.long) if name.endswith("num_batches_tracked") else None
            )
            if tensor is None:
                raise FeaturesError(f"{path} does not hold {network}: there is no tensor {key!r} in it.")
            if tensor.shape != empty.shape:
                shapes = f"{tuple(tensor.shape)} instead of {tuple(empty.shape)}"
                raise FeaturesError(f"{path} does not hold {network}: its {key!r} has the shape {shapes}.")
            own[name] = tensor.float() if tensor.is_floating_point() else tensor
        module.load_state_dict(own, assign=True)


def _tensor_names(chain: Chain) -> Iterable[tuple[str, list[str]]]:
    return ((prefix, list(module.state_dict())) for _, prefix, module in chain)


def _read(path: Path, wanted: set[str], network: str) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in wanted & set(file.keys())}
        return {name: tensor.clone() for name, tensor in _open_state(path).items() if name in wanted}
    except FileNotFoundError:
        raise FeaturesError(f"There is no weights file {path}.") from None
    except Exception as error:  # each reader has exceptions of its own for files that are cut short or something else
        raise FeaturesError(f"{path} cannot be read as the weights of {network}; is it cut short?") from error


def _open_state(path: Path) -> dict[str, Tensor]:
    """A .pth file's tensors, still on disk where its format allows."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # files from before PyTorch 1.6 (VGG's among them) can only be read as a whole
        state = torch.load(path, map_location="cpu", weights_only=True)
    return state.get("state_dict", state)


def geometry(chain: Iterable[tuple[str, nn.Module]], layers: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Strides and receptive fields, in pixels of the picture, of some layers."""
    strides, fields, stride, field = {}, {}, 1, [1, 1]
    for name, module in chain:
        (height, step), (width, _) = _extent(module, 0), _extent(module, 1)
        field = [field[0] + (height - 1) * stride, field[1] + (width - 1) * stride]
        stride *= step
        if name in layers:
            strides[name], fields[name] = stride, max(field)
    return strides, fields


def margins(chain: Iterable[tuple[str, nn.Module]], layers: Sequence[str]) -> dict[str, int]:
    """How far beyond a part of the picture the values of some layers see that lie in it, in pixels of the picture.

    A value lies where its stride puts it, counted from the picture's corner. With padding, this is about half the
    receptive field; without, a value sees to one side only.
    """
    found, stride, sides = {}, 1, [(0, 0), (0, 0)]  # before and behind a value's own pixel
    for name, module in chain:
        for axis in (0, 1):
            field, _ = _extent(module, axis)
            padding = _padding(module, axis)
            before, behind = sides[axis]
            sides[axis] = before + padding * stride, behind + (field - 1 - padding) * stride
        stride *= _extent(module, 0)[1]
        if name in layers:
            found[name] = max(max(before, behind - stride + 1) for before, behind in sides)
    return found


def _padding(module: nn.Module, axis: int) -> int:
    """How many values of a module's input come before the first that one of its outputs is named by."""
    if hasattr(module, "kernel_size"):
        return _along(axis, getattr(module, "padding", 0))
    widest = max(_paths(module), key=lambda path: _compose(path, axis)[0], default=[])
    padding, stride = 0, 1
    for part in widest:
        padding, stride = padding + _padding(part, axis) * stride, stride * _extent(part, axis)[1]
    return padding


def _extent(module: nn.Module, axis: int) -> tuple[int, int]:
    """What one output value of a module sees along an axis, and its step, in values of the module's input."""
    if hasattr(module, "kernel_size"):
        kernel, stride, dilation = (_along(axis, getattr(module, n, 1)) for n in ("kernel_size", "stride", "dilation"))
        return (kernel - 1) * dilation + 1, stride
    return max((_compose(path, axis) for path in _paths(module)), default=(1, 1))


def _compose(path: Iterable[nn.Module], axis: int) -> tuple[int, int]:
    field, stride = 1, 1
    for module in path:
        kernel, step = _extent(module, axis)
        field, stride = field + (kernel - 1) * stride, stride * step
    return field, stride


def _along(axis: int, value: int | tuple[int, ...]) -> int:
    return value[axis] if isinstance(value, tuple) else value


def _paths(module: nn.Module) -> list[list[nn.Module]]:
    """The ways from a block's input to its output, each a list of modules in turn."""
    children = dict(module.named_children())
    if "expand3x3" in children:  # SqueezeNet's fire
        return [[children["squeeze"], children["expand3x3"]]]
    if not any(name.startswith("branch") for name in children):
        return [[child for name, child in children.items() if name != "downsample"]]
    branches: dict[str, list[nn.Module]] = {}
    for name, child in children.items():
        branches.setdefault(re.sub(r"_\d[ab]?$", "", name), []).append(child)
    # The 1x3 and 3x1 convolutions that Inception's last blocks run side by side see 3x3 together, as if run in turn.
    return list(branches.values())
