"""Colours: a picture in another's colours."""

from __future__ import annotations

import torch
from torch import Tensor

from creative.losses import Moments, moments

_LEAST = 1e-5  # variance of a colour that hardly varies


def colour_moments(picture: Tensor) -> Moments:
    """The moments of a picture's colours: (1, 3, H, W) -> mean (3,), covariance (3, 3)."""
    return moments(picture).normalised()


def recoloured(picture: Tensor, colours: Moments) -> Tensor:
    """The picture (1, 3, H, W) with the mean and covariance of other colours, by the linear map that moves least.

    Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer" (2007).
    """
    own, wanted = colour_moments(picture), colours
    steady = _LEAST * torch.eye(3, device=picture.device)
    root = _power(own.covariance + steady, 0.5)
    inverse = _power(own.covariance + steady, -0.5)
    matrix = inverse @ _power(root @ (wanted.covariance + steady) @ root, 0.5) @ inverse
    centred = picture - own.mean.view(1, 3, 1, 1)
    moved = torch.einsum("ij,bjhw->bihw", matrix.to(picture), centred) + wanted.mean.view(1, 3, 1, 1)
    return moved.clamp(0, 1)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric matrix; on the CPU, since it is 3 × 3 and not every device can."""
    values, vectors = torch.linalg.eigh(matrix.detach().double().cpu())
    powered = vectors @ torch.diag(values.clamp(min=1e-12) ** exponent) @ vectors.T
    return powered.to(matrix)
