"""The networks of a CycleGAN: two generators, a to b and b to a, and two discriminators.

    generator = load_generator("photo2monet.safetensors", "a_to_b")      # reads the tensors of this direction only
    painted = generator.translate(photo)                                 # (B, 3, H, W) in [0, 1] -> the same

Zhu et al. (2017), Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, arXiv:1703.10593.

A file holds the tensors ``a_to_b.*`` and ``b_to_a.*``, and ``discriminator_a.*`` and ``discriminator_b.*`` where
training is to go on from it; ``read_config`` reads their shapes from its JSON.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from creative.blocks.gan import (
    GANError,
    Generator,
    PatchConfig,
    PatchDiscriminator,
    PixelConfig,
    PixelDiscriminator,
    ResNetConfig,
    ResNetGenerator,
    UNetConfig,
    UNetGenerator,
)
from creative.checkpoint import CheckpointError, load_checkpoint, load_into, load_state, read_metadata
from creative.files import shown

Direction = Literal["a_to_b", "b_to_a"]
GeneratorConfig = ResNetConfig | UNetConfig
DiscriminatorConfig = PatchConfig | PixelConfig

_GENERATORS: dict[str, tuple[type[GeneratorConfig], type[Generator]]] = {
    "resnet": (ResNetConfig, ResNetGenerator),
    "unet": (UNetConfig, UNetGenerator),
}
_DISCRIMINATORS: dict[str, tuple[type[DiscriminatorConfig], type[nn.Module]]] = {
    "patch": (PatchConfig, PatchDiscriminator),
    "pixel": (PixelConfig, PixelDiscriminator),
}


@dataclass(frozen=True, slots=True)
class CycleGANConfig:
    """What a CycleGAN is made of.

    Attributes:
        generator: the shape of both generators.
        discriminator: the shape of both discriminators.
        domain_a, domain_b: what the pictures of each side are called.
        size: the side in pixels of the crops that it was trained on.
    """

    generator: GeneratorConfig = field(default_factory=ResNetConfig)
    discriminator: DiscriminatorConfig = field(default_factory=PatchConfig)
    domain_a: str = "a"
    domain_b: str = "b"
    size: int = 256

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {
            "network": "cyclegan",
            "generator": self.generator.to_json(),
            "discriminator": self.discriminator.to_json(),
            "domain_a": self.domain_a,
            "domain_b": self.domain_b,
            "size": self.size,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CycleGANConfig:
        """From the checkpoint.

        Raises:
            GANError: these are not the values of a CycleGAN.
        """
        try:
            return cls(
                generator=_from_json(_GENERATORS, values["generator"]),
                discriminator=_from_json(_DISCRIMINATORS, values["discriminator"]),
                domain_a=str(values["domain_a"]),
                domain_b=str(values["domain_b"]),
                size=int(values["size"]),
            )
        except GANError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise GANError(f"A CycleGAN was expected, but of its shape is missing or wrong: {error}.") from None


def _from_json(kinds: Mapping[str, tuple[type[Any], Any]], values: Mapping[str, Any]) -> Any:
    kind = values["kind"]
    if kind not in kinds:
        raise GANError(f"There is no network {kind!r} here; there are {', '.join(kinds)}.")
    return kinds[kind][0].from_json(values)


def make_generator(config: CycleGANConfig) -> Generator:
    """One of the two generators, untrained; both are made alike."""
    return _GENERATORS[config.generator.kind][1](config.generator)


def make_discriminator(config: CycleGANConfig) -> nn.Module:
    """One of the two discriminators, untrained: pictures (B, 3, H, W) in [-1, 1] -> scores (B, 1, h, w)."""
    return _DISCRIMINATORS[config.discriminator.kind][1](config.discriminator)


def read_config(path: str | os.PathLike[str]) -> CycleGANConfig:
    """The shape of the CycleGAN in a safetensors file; no tensor is read.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
        GANError: it holds something else.
    """
    config = read_metadata(path).get("config")
    if not isinstance(config, Mapping) or config.get("network") != "cyclegan":
        raise GANError(f"{shown(Path(path))} holds no CycleGAN; `creative train cyclegan` makes one.")
    return CycleGANConfig.from_json(config)


def load_generator(
    path: str | os.PathLike[str], direction: Direction = "a_to_b", *, device: str | torch.device = "cpu"
) -> Generator:
    """The generator of one direction, frozen, in evaluation mode; the other direction's tensors are not read.

    A PyTorch file (.pth) is taken for a published checkpoint, which holds one direction only; see ``import_junyanz``.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
        GANError: no such direction, or the file holds something else; the message says what was expected.
    """
    if direction not in get_args(Direction):
        raise GANError(f"There is no direction {direction!r}; there are {', '.join(get_args(Direction))}.")
    if _is_pytorch(Path(path)):
        return import_junyanz(path, device=device)
    config = read_config(path)
    generator = make_generator(config)
    _fill(generator, path, direction, config.generator)
    return _ready(generator, device)


def load_discriminator(
    path: str | os.PathLike[str], domain: Literal["a", "b"], *, device: str | torch.device = "cpu"
) -> nn.Module:
    """The discriminator of one domain, to go on training with.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
        GANError: there is no discriminator in it, or another one than it should be.
    """
    config = read_config(path)
    discriminator = make_discriminator(config)
    _fill(discriminator, path, f"discriminator_{domain}", config.discriminator)
    return discriminator.to(device)


def _fill(network: nn.Module, path: str | os.PathLike[str], name: str, config: Any) -> None:
    tensors = load_checkpoint(path, prefix=f"{name}.").tensors
    expected = f"a {type(network).__name__} with {described(config)} was expected"
    if not tensors:
        raise GANError(f"{shown(Path(path))} has no {name}: {expected}.")
    try:
        load_into(network, tensors)
    except CheckpointError as error:
        raise GANError(f"{shown(Path(path))}, {name}: {expected}. {error}") from None


def described(config: GeneratorConfig | DiscriminatorConfig) -> str:
    """A shape in words: ``width 64, num_blocks 9, ...``."""
    return ", ".join(f"{name} {value}" for name, value in config.to_json().items() if name != "kind")


def _ready(generator: Generator, device: str | torch.device) -> Generator:
    return generator.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)


def _is_pytorch(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) in (b"PK", b"\x80\x02")
    except OSError:
        return False  # whoever reads it will say so


def import_junyanz(path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Generator:
    """A published generator, such as ``latest_net_G_A.pth`` of pytorch-CycleGAN-and-pix2pix; its shape is found out.

    It is read without running any code that a file may hold. Dropped are the running statistics that old versions kept
    of instance normalisation, and the biases before it, which have no effect.

    Raises:
        CheckpointError: there is no such file, it is damaged, or holds more than tensors.
        GANError: it is not a ResNet generator from 3 channels to 3.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in load_state(path).items()}
    block = re.compile(r"model\.(\d+)\.conv_block\.")
    num_blocks = len({match[1] for name in state if (match := block.match(name))})
    stem = state.get("model.1.weight")
    wrong = GANError(
        f"{shown(Path(path))} is not a published CycleGAN generator: expected was a ResNet with the tensors "
        f"model.1.weight to model.26.weight (9 blocks) or model.23.weight (6), but it has {_listed(state)}."
    )
    if stem is None or stem.dim() != 4 or not num_blocks:
        raise wrong
    if any(tensor.dim() == 1 and name == "model.2.weight" for name, tensor in state.items()):
        raise GANError(
            f"{shown(Path(path))} was trained with batch normalisation; expected was instance normalisation."
        )
    config = ResNetConfig(width=len(stem), num_blocks=num_blocks, upsampling="transposed")
    generator = ResNetGenerator(config)
    tensors = {name: tensor for name, tensor in generator.state_dict().items() if ".norm." in name}
    for theirs, ours in _published_names(state, num_blocks).items():
        if f"{theirs}.weight" not in state:
            raise wrong
        tensors[f"{ours}.weight"] = state[f"{theirs}.weight"]
    tensors["head.conv.bias"] = state.get(f"model.{17 + num_blocks}.bias", torch.zeros(3))
    try:
        load_into(generator, tensors)
    except CheckpointError as error:
        raise GANError(f"{wrong} {error}") from None
    return _ready(generator, device)


def _published_names(state: Mapping[str, Tensor], num_blocks: int) -> dict[str, str]:
    """Which of their layers is which of ours: they count padding, normalisations and activations too."""
    names = {"model.1": "stem.conv", "model.4": "down.0.body.conv", "model.7": "down.1.body.conv"}
    for number in range(num_blocks):
        block = f"model.{10 + number}.conv_block"
        second = 6 if f"{block}.6.weight" in state else 5  # one further where there is dropout
        names |= {f"{block}.1": f"blocks.{number}.body.0.conv", f"{block}.{second}": f"blocks.{number}.body.1.conv"}
    after = 10 + num_blocks
    return names | {f"model.{after}": "up.0.conv", f"model.{after + 3}": "up.1.conv", f"model.{after + 7}": "head.conv"}


def _listed(names: Mapping[str, Any]) -> str:
    shortened = list(names)[:3]
    return ", ".join(shortened) + (f" and {len(names) - len(shortened)} more" if len(names) > 3 else "")
