"""The convolutional parts: shapes, and the promises their docstrings make."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from creative.blocks.cnn import (
    ConvNormActivation,
    Downsample,
    InceptionBlock,
    ResidualBlock,
    Upsample,
    activation_layer,
    fold_norm,
)


@pytest.mark.parametrize("size", [(1, 1), (7, 12), (16, 16)])
def test_convolution_keeps_the_size(size: tuple[int, int]) -> None:
    block = ConvNormActivation(3, 5, 3, norm="none")
    assert block(torch.rand(2, 3, *size)).shape == (2, 5, *size)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_there_is_no_bias_before_a_normalisation(norm: str) -> None:
    assert ConvNormActivation(3, 4, norm=norm).conv.bias is None  # type: ignore[arg-type]
    assert ConvNormActivation(3, 4, norm="none").conv.bias is not None


def test_residual_block_is_the_identity_when_its_last_scale_is_zero() -> None:
    block = ResidualBlock(6)
    x = torch.randn(2, 6, 9, 8)
    assert not torch.equal(block(x), x)
    last = block.body[1]
    assert isinstance(last, ConvNormActivation)
    assert isinstance(last.norm, nn.InstanceNorm2d)
    nn.init.zeros_(last.norm.weight)
    nn.init.zeros_(last.norm.bias)
    torch.testing.assert_close(block(x), x)


def test_inception_block_concatenates_its_branches_in_order() -> None:
    block = InceptionBlock(8, (2, 3, 4, 5)).eval()
    x = torch.randn(1, 8, 10, 11)
    y = block(x)
    assert y.shape == (1, block.out_channels, 10, 11)
    torch.testing.assert_close(y[:, :2], block.one(x))
    torch.testing.assert_close(y[:, 9:], block.pooled(x))


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_down_and_up(size: tuple[int, int]) -> None:
    height, width = size
    small = Downsample(3, 6)(torch.rand(1, 3, height, width))
    assert small.shape == (1, 6, (height + 1) // 2, (width + 1) // 2)
    assert Upsample(6, 3, scale=3)(small).shape == (1, 3, 3 * small.shape[2], 3 * small.shape[3])


def test_upsampling_leaves_no_checkerboard() -> None:
    flat = torch.ones(1, 4, 5, 5)
    y = Upsample(4, 2, norm="none", activation="none")(flat)
    torch.testing.assert_close(y, y[..., :1, :1].expand_as(y))
    transposed = nn.ConvTranspose2d(4, 2, 3, stride=2)(flat)[..., 2:-2, 2:-2]
    assert transposed.std((2, 3)).max() > 1e-3  # what would have happened instead


def test_activations_by_name() -> None:
    x = torch.tensor([-1.0, 2.0])
    expected = {"relu": [0, 2], "leaky_relu": [-0.2, 2], "none": [-1, 2]}
    for name, values in expected.items():
        torch.testing.assert_close(activation_layer(name)(x.clone()), torch.tensor(values, dtype=torch.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"groups": 2}, {"stride": 2}, {"padding_mode": "reflect"}, {"bias": False}])
def test_folding_a_normalisation_changes_nothing(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(4, 6, 3, padding=1, **options), nn.BatchNorm2d(6)  # type: ignore[arg-type]
    for _ in range(5):  # statistics and an affine part that are not the initial ones
        norm(conv(torch.randn(8, 4, 9, 9) * 3 + 1))
    nn.init.uniform_(norm.weight, -1, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    norm.eval()
    x = torch.randn(2, 4, 9, 9)
    folded = fold_norm(conv, norm)
    torch.testing.assert_close(folded(x), norm(conv(x)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        folded.double()(x.double()), norm.double()(conv.double()(x.double())), rtol=1e-6, atol=1e-6
    )


def test_a_normalisation_without_statistics_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match="running statistics"):
        fold_norm(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
