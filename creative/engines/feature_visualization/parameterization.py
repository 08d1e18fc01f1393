"""How a picture that is to be optimised is written down: as pixels or as frequencies, in colours that are independent.

The same picture has many descriptions, and gradient ascent takes another way in each. In frequencies scaled as those of
photos are, and in colours turned to the axes of their variance, a step is as large for a large soft shape as for a fine
line (Olah et al., Feature Visualization, 2017, https://distill.pub/2017/feature-visualization, "preconditioning").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Ours, of 450 photos: the mean colour; the axes of the colours' variance (the root of their covariance), the longest 1.
MEAN_COLOUR = (0.495, 0.472, 0.418)
COLOUR_AXES = ((0.565, 0.189, 0.060), (0.579, 0.012, -0.111), (0.587, -0.194, 0.052))

NOISE = 0.01
"""Deviation of the parameters that a picture starts from."""


class Parameterization(nn.Module):
    """B pictures as parameters: ``forward`` gives them as (B, 3, H, W) in [0, 1].

    Attributes:
        own: each picture's own parameters, (B, ...).
        common: parameters that all pictures share, (1, ...), or None; they keep related pictures alike.
    """

    axes: Tensor
    mean: Tensor

    def __init__(self, own: Tensor, *, decorrelate: bool = True, common: bool = False) -> None:
        super().__init__()
        self.own = nn.Parameter(own)
        self.common = nn.Parameter(torch.zeros_like(own[:1])) if common else None
        axes = torch.tensor(COLOUR_AXES) if decorrelate else torch.eye(3)
        self.register_buffer("axes", axes.to(own.device))
        self.register_buffer("mean", torch.tensor(MEAN_COLOUR, device=own.device).logit().view(3, 1, 1))

    def forward(self) -> Tensor:
        """The pictures."""
        parameters = self.own if self.common is None else self.own + self.common
        return torch.sigmoid(self.colours(self.values(parameters)))

    def values(self, parameters: Tensor) -> Tensor:
        """Parameters as (B, 3, H, W), before colours."""
        raise NotImplementedError

    def parameters_of(self, values: Tensor) -> Tensor:
        """The parameters whose ``values`` these are."""
        raise NotImplementedError

    def colours(self, values: Tensor) -> Tensor:
        """From independent axes to the logits of red, green and blue."""
        return torch.einsum("rc,bchw->brhw", self.axes, values) + self.mean

    def become(self, pictures: Tensor) -> None:
        """Take parameters that show these pictures, (B, 3, H, W) in [0, 1].

        Pure black and white, which a sigmoid never reaches, come out within half a level of 8 bits.
        """
        logits = pictures.clamp(1 / 1024, 1 - 1 / 1024).logit() - self.mean
        parameters = self.parameters_of(torch.einsum("rc,bchw->brhw", torch.linalg.inv(self.axes), logits))
        with torch.no_grad():
            self.own.copy_(parameters if self.common is None else parameters - self.common)


class PixelPictures(Parameterization):
    """A parameter for each pixel and axis of colour: gradient ascent favours fine, sharp patterns."""

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        height: int,
        width: int,
        *,
        decorrelate: bool = True,
        common: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(_noise(generators, (3, height, width), device), decorrelate=decorrelate, common=common)

    def values(self, parameters: Tensor) -> Tensor:
        """The parameters themselves."""
        return parameters

    def parameters_of(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values


class FourierPictures(Parameterization):
    """A parameter for each frequency, in the proportions that frequencies have in photos: 1 / f ** decay.

    Parameters are (B, 3, H, W // 2 + 1, 2), the halves of complex spectra that real pictures need.

    Args:
        generators: of the noise that each picture starts from.
        height, width: of the pictures, pixels.
        decay: higher favours large shapes; in photos it is between 1 and 1.3.
        decorrelate: whether colours have independent axes.
        common: whether the pictures share a spectrum besides their own.
    """

    scale: Tensor

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        height: int,
        width: int,
        *,
        decay: float = 1.0,
        decorrelate: bool = True,
        common: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        shape = (3, height, width // 2 + 1, 2)
        super().__init__(_noise(generators, shape, device), decorrelate=decorrelate, common=common)
        self.size = (height, width)
        vertical, horizontal = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :]
        frequency = (vertical**2 + horizontal**2).sqrt()
        lowest = 1 / max(height, width)
        # A quarter of Lucid's scale for one spectrum would be its size at decay 1; other decays keep the mean's.
        scale = frequency.clamp(min=lowest) ** -decay
        scale *= (frequency.clamp(min=lowest) ** -1).mean() / scale.mean() / 4
        self.register_buffer("scale", scale[..., None].to(device))

    def values(self, parameters: Tensor) -> Tensor:
        """The inverse transform of the scaled spectra."""
        spectra = torch.view_as_complex(parameters * self.scale)
        return torch.fft.irfft2(spectra, s=self.size, norm="ortho")

    def parameters_of(self, values: Tensor) -> Tensor:
        """The transform of the values, unscaled."""
        return torch.view_as_real(torch.fft.rfft2(values, norm="ortho")) / self.scale


def _noise(generators: Sequence[torch.Generator], shape: tuple[int, ...], device: str | torch.device) -> Tensor:
    return torch.stack([torch.randn(shape, generator=generator) * NOISE for generator in generators]).to(device)
