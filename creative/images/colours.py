"""Lightness and colours of pictures that are tensors already."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue add to lightness (ITU-R BT.601)."""
_LEAST = 1e-5  # variance of a colour that hardly varies


def lightness(picture: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W)."""
    return (picture * picture.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def with_lightness(picture: Tensor, lighter: Tensor) -> Tensor:
    """The picture's colours at the lightness of another of the same size, (B, 3, H, W) each in [0, 1].

    Its chroma in YIQ is kept, but where a colour would be out of range.
    """
    return (picture + lightness(lighter - picture)).clamp(0, 1)


def colour_statistics(picture: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (3,) and the covariance (3, 3) of a picture's colours: (1, 3, H, W)."""
    rows = picture.permute(0, 2, 3, 1).flatten(0, 2)
    mean = rows.sum(0) / rows.shape[0]
    return mean, (rows.T @ rows / rows.shape[0]).addmm(mean[:, None], mean[None], alpha=-1)


def recoloured(picture: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The picture (1, 3, H, W) with another mean and covariance of colours, by the linear map that moves least.

    Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer" (2007).
    """
    import torch

    own_mean, own = colour_statistics(picture)
    steady = _LEAST * torch.eye(3, device=picture.device)
    root, inverse = _power(own + steady, 0.5), _power(own + steady, -0.5)
    matrix = inverse @ _power(root @ (covariance + steady) @ root, 0.5) @ inverse
    centred = picture - own_mean.view(1, 3, 1, 1)
    moved = torch.einsum("ij,bjhw->bihw", matrix.to(picture), centred) + mean.view(1, 3, 1, 1)
    return moved.clamp(0, 1)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric matrix; on the CPU, since it is 3 × 3 and not every device can."""
    import torch

    values, vectors = torch.linalg.eigh(matrix.detach().cpu().double())  # in this order: not every device has doubles
    powered = vectors @ torch.diag(values.clamp(min=1e-12) ** exponent) @ vectors.T
    return powered.to(matrix.dtype).to(matrix.device)
