"""The networks of a CycleGAN: one file for both directions, and published checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from creative.blocks.gan import GANError, PatchConfig, PixelConfig, ResNetConfig, UNetConfig, initialise
from creative.checkpoint import CheckpointError, halved, save_checkpoint
from creative.device import random_generator
from creative.models.cyclegan import (
    CycleGANConfig,
    import_junyanz,
    load_discriminator,
    load_generator,
    make_discriminator,
    make_generator,
    read_config,
)

CONFIG = CycleGANConfig(
    ResNetConfig(width=4, num_blocks=2), PatchConfig(width=4, num_layers=2), domain_a="photo", domain_b="monet", size=32
)


def picture(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, *(size or (24, 20)), generator=random_generator(seed))


def save(path: Path, config: CycleGANConfig = CONFIG, *, without: str = "nothing") -> dict[str, nn.Module]:
    networks: dict[str, nn.Module] = {
        "a_to_b": make_generator(config),
        "b_to_a": make_generator(config),
        "discriminator_a": make_discriminator(config),
        "discriminator_b": make_discriminator(config),
    }
    for seed, network in enumerate(networks.values()):
        initialise(network, "xavier", random_generator(seed))
    tensors = {f"{name}.{key}": t for name, network in networks.items() for key, t in network.state_dict().items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(without)}
    save_checkpoint(path, tensors, {"config": config.to_json()})
    return networks


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        CycleGANConfig(ResNetConfig(8, 1, norm="batch", upsampling="transposed", residual=True), PixelConfig(8)),
        CycleGANConfig(UNetConfig(4, 3), PatchConfig(4, spectral_norm=True), "horse", "zebra", 64),
    ],
)
def test_a_file_gives_back_both_directions_and_the_shape(config: CycleGANConfig, tmp_path: Path) -> None:
    networks = save(tmp_path / "model.safetensors", config)
    assert read_config(tmp_path / "model.safetensors") == config
    assert CycleGANConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    x = picture(30, 26)
    for direction in ("a_to_b", "b_to_a"):
        loaded = load_generator(tmp_path / "model.safetensors", direction)
        assert not loaded.training
        assert not any(p.requires_grad for p in loaded.parameters())
        torch.testing.assert_close(loaded(x), networks[direction].eval()(x).detach())
    scores = load_discriminator(tmp_path / "model.safetensors", "b").eval()(x)
    torch.testing.assert_close(scores, networks["discriminator_b"].eval()(x))


def test_a_direction_alone_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "model.safetensors")
    read: list[str] = []

    class Watched:
        def __init__(self, *given: Any, **more: Any) -> None:
            self.file = safe_open(*given, **more)

        def __enter__(self) -> Watched:
            self.opened = self.file.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self.file.__exit__(*error)

        def keys(self) -> list[str]:
            return list(self.opened.keys())

        def get_tensor(self, name: str) -> Tensor:
            read.append(name)
            return self.opened.get_tensor(name)

    monkeypatch.setattr("safetensors.safe_open", Watched)
    load_generator(tmp_path / "model.safetensors", "b_to_a")
    assert read
    assert all(name.startswith("b_to_a.") for name in read)


def test_a_file_with_one_direction_alone_is_enough_for_it(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", without="b_to_a.")
    assert load_generator(tmp_path / "model.safetensors", "a_to_b").translate(picture()).shape == (1, 3, 24, 20)
    with pytest.raises(GANError, match=r"has no b_to_a: a ResNetGenerator with width 4, num_blocks 2.* was expected"):
        load_generator(tmp_path / "model.safetensors", "b_to_a")


def test_half_precision_in_the_file_changes_a_translation_by_less_than_a_level(tmp_path: Path) -> None:
    networks = save(tmp_path / "whole.safetensors")
    tensors = {f"a_to_b.{key}": tensor for key, tensor in networks["a_to_b"].state_dict().items()}
    save_checkpoint(tmp_path / "half.safetensors", halved(tensors), {"config": CONFIG.to_json()})
    whole, half = (load_generator(tmp_path / f"{name}.safetensors").translate(picture()) for name in ("whole", "half"))
    assert half.dtype == torch.float32
    assert (whole - half).abs().max() < 1 / 255


def test_weights_of_another_architecture_are_refused_with_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    other = CycleGANConfig(ResNetConfig(width=8, num_blocks=3))
    tensors = {f"a_to_b.{key}": tensor for key, tensor in make_generator(other).state_dict().items()}
    save_checkpoint(path, tensors, {"config": CONFIG.to_json()})
    with pytest.raises(
        GANError, match=r"width 4, num_blocks 2, .* was expected.*blocks\.2.*8×3×7×7 in place of 4×3×7×7"
    ):
        load_generator(path)
    for config in ({"network": "char-rnn"}, {}, None):
        save_checkpoint(path, tensors, {"config": config} if config is not None else {})
        with pytest.raises(GANError, match=r"holds no CycleGAN; `creative train cyclegan` makes one"):
            load_generator(path)
    broken = CONFIG.to_json()
    changes: list[dict[str, Any]] = [
        {"generator": {"kind": "transformer"}},
        {"generator": {}},
        {"generator": 3},
        {"size": "big"},
    ]
    for change in changes:
        save_checkpoint(path, tensors, {"config": broken | change})
        with pytest.raises(GANError):
            load_generator(path)
    with pytest.raises(GANError, match="no direction 'monet'; there are a_to_b, b_to_a"):
        load_generator(path, "monet")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="There is no file"):
        load_generator(tmp_path / "nowhere.safetensors")
    with pytest.raises(CheckpointError, match="There is no file"):
        load_generator(tmp_path / "nowhere.pth")


# Published checkpoints: their names and shapes are rebuilt here from plain torch layers.


class Block(nn.Module):
    def __init__(self, width: int, *, dropout: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Published(nn.Module):
    def __init__(self, blocks: int, *, width: int = 4, dropout: bool = False) -> None:
        super().__init__()
        up = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, width, 7),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.InstanceNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            nn.InstanceNorm2d(4 * width),
            nn.ReLU(),
            *(Block(4 * width, dropout=dropout) for _ in range(blocks)),
            nn.ConvTranspose2d(4 * width, 2 * width, **up),  # type: ignore[arg-type]
            nn.InstanceNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, **up),  # type: ignore[arg-type]
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def published(blocks: int, **options: Any) -> Published:
    torch.manual_seed(blocks)
    return Published(blocks, **options).eval()


NINE = [
    "model.1.weight",
    "model.4.weight",
    "model.7.weight",
    *(f"model.{10 + block}.conv_block.{conv}.weight" for block in range(9) for conv in (1, 5)),
    "model.19.weight",
    "model.22.weight",
    "model.26.weight",
]


@pytest.mark.parametrize("blocks", [6, 9])
@pytest.mark.parametrize("age", ["new", "old", "parallel", "dropout"])
def test_published_checkpoints_translate_as_they_did(blocks: int, age: str, tmp_path: Path) -> None:
    theirs = published(blocks, dropout=age == "dropout")
    state = dict(theirs.state_dict())
    if age == "old":  # versions before 0.4 kept running statistics of instance normalisation, which it never uses
        for name, module in theirs.named_modules():
            if isinstance(module, nn.InstanceNorm2d):
                state[f"{name}.running_mean"] = torch.randn(module.num_features)
                state[f"{name}.running_var"] = torch.rand(module.num_features)
    if age == "parallel":
        state = {f"module.{name}": tensor for name, tensor in state.items()}
    if age == "new" and blocks == 9:
        assert [name for name in state if name.endswith("weight")] == NINE
        assert state["model.19.weight"].shape == (16, 8, 3, 3)  # transposed: in, out
    path = tmp_path / "latest_net_G_A.pth"
    torch.save(state, path)
    ours = load_generator(path)
    assert ours.config == ResNetConfig(width=4, num_blocks=blocks, upsampling="transposed")
    x = picture(32, 28) * 2 - 1
    torch.testing.assert_close(ours(x), theirs(x).detach(), atol=2e-5, rtol=1e-4)
    assert (ours.translate(picture(30, 27))).shape == (1, 3, 30, 27)  # theirs gives 32 × 28 here


def test_what_is_no_published_generator_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "latest_net_D_A.pth"
    discriminator = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(), nn.Conv2d(4, 8, 4))
    torch.save({f"model.{name}": tensor for name, tensor in discriminator.state_dict().items()}, path)
    with pytest.raises(
        GANError, match=r"is not a published CycleGAN generator: expected was a ResNet .* model\.0\.weight"
    ):
        import_junyanz(path)

    state = dict(published(2).state_dict())
    del state["model.11.conv_block.5.weight"]
    torch.save(state, path)
    with pytest.raises(GANError, match="expected was a ResNet"):
        import_junyanz(path)

    torch.save({**published(2).state_dict(), "model.4.weight": torch.zeros(8, 5, 3, 3)}, path)
    with pytest.raises(GANError, match="8×5×3×3 in place of 8×4×3×3"):
        import_junyanz(path)

    torch.save({**published(2).state_dict(), "model.2.weight": torch.ones(4)}, path)
    with pytest.raises(GANError, match="batch normalisation"):
        import_junyanz(path)

    torch.save({"model": published(2)}, path)  # a pickled network: code
    with pytest.raises(CheckpointError, match="code in a file is not run here"):
        import_junyanz(path)

    torch.save(published(2).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        import_junyanz(path)
