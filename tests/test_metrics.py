"""Metrics against closed forms, and against the same sums done slowly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from creative.metrics import frechet_distance, grain, kernel_distance, pooled, style_quality


class Toy(nn.Module):
    """Two layers without weights, in place of a network."""

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        return {"a": picture, "b": nn.functional.avg_pool2d(picture, 2).square()}


def picture(seed: int) -> Tensor:
    return torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_style_quality_at_its_ends() -> None:
    content, style = picture(0), picture(1)
    untouched = style_quality(content, style, content, Toy(), content_layer="b")
    assert (untouched.style, untouched.content) == (pytest.approx(1), pytest.approx(0))
    copied = style_quality(content, style, style, Toy(), content_layer="b")
    assert (copied.style, copied.grain) == (pytest.approx(0), pytest.approx(1))
    assert copied.content > 0.1


def test_style_quality_of_a_photo_as_its_own_style_is_finite() -> None:
    score = style_quality(picture(0), picture(0), picture(0), Toy(), content_layer="a")
    assert math.isfinite(score.style)


def test_grain_sees_a_checkerboard_and_not_a_ramp() -> None:
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float().expand(1, 3, 8, 8)
    ramp = (torch.arange(8.0) / 8).expand(1, 3, 8, 8)
    assert grain(board) > 3
    assert grain(ramp) < 1e-6


def test_kernel_distance_is_the_double_sum() -> None:
    one, other = torch.randn(5, 3).double(), torch.randn(4, 3).double()

    def kernel(a: Tensor, b: Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    own = sum(kernel(one[i], one[j]) for i in range(5) for j in range(5) if i != j) / 20
    theirs = sum(kernel(other[i], other[j]) for i in range(4) for j in range(4) if i != j) / 12
    across = sum(kernel(a, b) for a in one for b in other) / 20
    assert kernel_distance(one, other) == pytest.approx(own + theirs - 2 * across)


def test_kernel_distance_is_unbiased() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(2, 20, 4, generator=generator) for _ in range(400)]
    distances = torch.tensor([kernel_distance(a, b) for a, b in draws])
    assert abs(distances.mean()) < 3 * distances.std() / math.sqrt(len(draws))


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    sample = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)).double()
    sample = sample - sample.mean(0)
    assert frechet_distance(sample, sample) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(sample, sample + 2) == pytest.approx(12)  # 3 dimensions, shifted by 2 each
    spread = torch.cov(sample.T).trace().item()
    assert frechet_distance(sample, 3 * sample) == pytest.approx(4 * spread)  # (3 - 1)² tr Σ


def test_pooled_averages_positions() -> None:
    assert torch.equal(pooled({"a": torch.ones(2, 5, 3, 3)}, "a"), torch.ones(2, 5))


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance])
def test_sets_that_cannot_be_compared_are_refused(distance) -> None:
    with pytest.raises(ValueError, match="Two sets"):
        distance(torch.ones(3, 2), torch.ones(3, 4))
    with pytest.raises(ValueError, match="at least 2 rows"):
        distance(torch.ones(1, 2), torch.ones(3, 2))
