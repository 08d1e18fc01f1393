"""Translators for tests: small CycleGANs with weights from a generator of random numbers."""

from __future__ import annotations

from pathlib import Path

import torch

from creative.blocks.gan import PatchConfig, ResNetConfig, ResNetGenerator
from creative.checkpoint import save_checkpoint
from creative.device import random_generator
from creative.models.cyclegan import CycleGANConfig, make_generator

SHAPE = ResNetConfig(width=6, num_blocks=2, residual=True)


def toy_config(shape: ResNetConfig = SHAPE) -> CycleGANConfig:
    return CycleGANConfig(shape, PatchConfig(width=4), domain_a="photo", domain_b="monet", size=64)


def toy_generator(seed: int = 0, shape: ResNetConfig = SHAPE) -> ResNetGenerator:
    """A generator that changes pictures visibly, strokes and all."""
    generator, random = make_generator(toy_config(shape)), random_generator(seed)
    for name, parameter in generator.named_parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.9 / parameter[0].numel() ** 0.5, generator=random)
        elif "norm" not in name:
            parameter.data.zero_()
    assert isinstance(generator, ResNetGenerator)
    return generator.eval().requires_grad_(False)


def save_translator(path: Path, *directions: str, shape: ResNetConfig = SHAPE) -> Path:
    """A model's file with these directions, or with both."""
    tensors = {
        f"{direction}.{name}": tensor.to(torch.float16)
        for seed, direction in enumerate(("a_to_b", "b_to_a"))
        for name, tensor in toy_generator(seed, shape).state_dict().items()
        if not directions or direction in directions
    }
    return save_checkpoint(path, tensors, {"config": toy_config(shape).to_json()})


def save_published(path: Path, num_blocks: int = 6, width: int = 4) -> Path:
    """A file in the layout of ``latest_net_G_A.pth``."""
    random = random_generator(7)
    widths = [(width, 3, 7), (2 * width, width, 3), (4 * width, 2 * width, 3)]
    state = {
        f"model.{number}.weight": torch.randn(out, into, side, side, generator=random) / (into * side * side) ** 0.5
        for number, (out, into, side) in zip((1, 4, 7), widths, strict=True)
    }
    deep, after = 4 * width, 10 + num_blocks
    for block in range(num_blocks):
        for layer in (1, 5):
            name = f"model.{10 + block}.conv_block.{layer}.weight"
            state[name] = torch.randn(deep, deep, 3, 3, generator=random) / (9 * deep) ** 0.5
    for number, into in ((after, deep), (after + 3, deep // 2)):
        state[f"model.{number}.weight"] = torch.randn(into, into // 2, 3, 3, generator=random) / (9 * into) ** 0.5
    state[f"model.{after + 7}.weight"] = torch.randn(3, width, 7, 7, generator=random) / (49 * width) ** 0.5
    state[f"model.{after + 7}.bias"] = torch.zeros(3)
    torch.save(state, path)
    return path
