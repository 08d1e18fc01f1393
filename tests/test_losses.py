"""Losses against sums written out, known distances and finite differences."""

from __future__ import annotations

import pytest
import torch

from creative.losses import (
    content_loss,
    directions,
    gram,
    moments,
    projections,
    sliced_wasserstein,
    total_variation,
)


def maps(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_gram_is_the_mean_of_outer_products() -> None:
    features = maps(2, 3, 4, 5)
    expected = torch.stack(
        [sum(torch.outer(f[:, y, x], f[:, y, x]) for y in range(4) for x in range(5)) / 20 for f in features]
    )
    torch.testing.assert_close(gram(features), expected)


def test_gram_does_not_depend_on_the_memory_layout() -> None:
    features = maps(1, 6, 7, 8)
    torch.testing.assert_close(gram(features.contiguous(memory_format=torch.channels_last)), gram(features))


def test_gradient_of_the_gram_loss_is_the_analytic_one() -> None:
    features, target = maps(1, 4, 5, 6).requires_grad_(), gram(maps(1, 4, 5, 6, seed=1))
    difference = gram(features) - target
    difference.square().sum().backward()
    rows = features.detach().flatten(2)[0]
    analytic = (4 / rows.shape[1] * difference[0].detach() @ rows).view_as(features)
    assert features.grad is not None
    torch.testing.assert_close(features.grad, analytic)


def test_moments_agree_with_gram_and_cov_and_add_up_over_parts() -> None:
    features = maps(1, 4, 6, 7)
    whole = moments(features)
    torch.testing.assert_close(whole.gram, gram(features)[0])
    torch.testing.assert_close(whole.mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(whole.covariance, torch.cov(features[0].flatten(1), correction=0))
    parts = moments(features[..., :2, :]) + moments(features[..., 2:, :])
    torch.testing.assert_close(parts.covariance, whole.covariance)
    mixed = whole.normalised() * 0.5 + whole.normalised() * 0.5
    torch.testing.assert_close(mixed.covariance, whole.covariance)


def test_a_mask_of_ones_and_zeros_selects_positions() -> None:
    features, mask = maps(1, 3, 4, 6), torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    mask[..., 2:] = 1
    torch.testing.assert_close(moments(features, mask).covariance, moments(features[..., 2:]).covariance)
    torch.testing.assert_close(moments(features, 0.5 * mask).gram, moments(features[..., 2:]).gram)


def test_half_precision_maps_are_summed_up_in_float32() -> None:
    found = moments(maps(1, 3, 4, 4).bfloat16())
    assert found.second.dtype == found.first.dtype == torch.float32


def test_content_loss_is_relative() -> None:
    features = maps(1, 3, 4, 4)
    assert content_loss(features, features) == 0
    assert content_loss(torch.zeros_like(features), features).item() == pytest.approx(1)
    assert content_loss(3 * features, 2 * features) == content_loss(30 * features, 20 * features)


def test_total_variation_of_a_ramp_and_a_checkerboard() -> None:
    ramp = torch.arange(5.0).expand(1, 1, 4, 5)
    assert total_variation(ramp).item() == pytest.approx(4 * 4 / 20)
    board = (torch.arange(4)[:, None] + torch.arange(4)).remainder(2).float().expand(1, 3, 4, 4)
    assert total_variation(board).item() == pytest.approx(3 * 24 / 48)


def test_sliced_wasserstein_of_shifted_features_is_the_shift() -> None:
    features, axes = maps(1, 5, 8, 8), directions(5, 7, torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(axes.norm(dim=0), torch.ones(7, dtype=torch.float64))
    shift = torch.arange(5.0, dtype=torch.float64).view(1, 5, 1, 1)
    own, moved = projections(features, axes), projections(features + shift, axes)
    expected = (shift.flatten() @ axes).square().mean()
    torch.testing.assert_close(sliced_wasserstein(moved, own), expected)
    assert sliced_wasserstein(own, own) == 0


def test_sliced_wasserstein_compares_sets_of_different_sizes_by_quantiles() -> None:
    features, axes = maps(1, 3, 8, 8), directions(3, 4, torch.Generator().manual_seed(0)).double()
    larger = features.repeat_interleave(2, -1)
    assert sliced_wasserstein(projections(features, axes), projections(larger, axes)) < 1e-2


def test_sliced_wasserstein_has_the_right_gradient() -> None:
    features, axes = maps(1, 3, 3, 3).requires_grad_(), directions(3, 4, torch.Generator().manual_seed(0)).double()
    target = projections(maps(1, 3, 3, 3, seed=1), axes)
    assert torch.autograd.gradcheck(lambda f: sliced_wasserstein(projections(f, axes), target), features)
