"""What generators and discriminators learn by, whatever they look like: losses, initial weights, a pool of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from creative.blocks.config import GANError

AdversarialKind = Literal["least_squares", "vanilla", "hinge", "wgan_gp"]
Initialisation = Literal["normal", "xavier", "orthogonal"]
Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class AdversarialLosses:
    """The two sides of the game, both to be minimised.

    Attributes:
        kind: by name.
        discriminator: scores of real and of generated pictures, any shapes -> a scalar.
        generator: scores of generated pictures -> a scalar.
    """

    kind: AdversarialKind
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def adversarial_losses(kind: AdversarialKind) -> AdversarialLosses:
    """The losses by name; each is a mean over all scores, in float32.

    - ``least_squares``: ((D(x) - 1)² + D(G(z))²) / 2 and (D(G(z)) - 1)²; Mao et al. (2016), arXiv:1611.04076, halved
      for the discriminator as in Zhu et al. (2017), arXiv:1703.10593.
    - ``vanilla``: -log σ(D(x)) - log(1 - σ(D(G(z)))) and -log σ(D(G(z))); Goodfellow et al. (2014), arXiv:1406.2661,
      with their loss that does not saturate.
    - ``hinge``: max(0, 1 - D(x)) + max(0, 1 + D(G(z))) and -D(G(z)); Lim and Ye (2017), arXiv:1705.02894.
    - ``wgan_gp``: D(G(z)) - D(x) and -D(G(z)); Gulrajani et al. (2017), arXiv:1704.00028. The penalty is added by
      whoever has the pictures: ``+ 10 * gradient_penalty(discriminator, real, fake, generator=...)``.

    Raises:
        GANError: there is no such kind.

    Example:
        >>> losses = adversarial_losses("hinge")
        >>> losses.discriminator(torch.tensor([0.5]), torch.tensor([-2.0]))  # 0.5 + 0
        tensor(0.5000)
    """
    if kind not in get_args(AdversarialKind):
        raise GANError(f"There is no adversarial loss {kind!r}; there are {', '.join(get_args(AdversarialKind))}.")
    discriminator, generator = _LOSSES[kind]
    return AdversarialLosses(
        kind, lambda real, fake: discriminator(_wide(real), _wide(fake)), lambda fake: generator(_wide(fake))
    )


def _minus_mean(scores: Tensor) -> Tensor:
    return -scores.mean()


_LOSSES: dict[AdversarialKind, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "least_squares": (
        lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        lambda fake: (fake - 1).square().mean(),
    ),
    "vanilla": (
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda fake: F.softplus(-fake).mean(),
    ),
    "hinge": (lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), _minus_mean),
    "wgan_gp": (lambda real, fake: fake.mean() - real.mean(), _minus_mean),
}


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, generator: torch.Generator
) -> Tensor:
    """How far the slope of the score is from 1 between real and generated pictures: the mean of (‖∇D‖ - 1)².

    Gulrajani et al. (2017), Improved Training of Wasserstein GANs, arXiv:1704.00028; they weigh it with 10. The score
    of a picture with many is their mean. It has a gradient for the discriminator's weights only.

    Args:
        discriminator: pictures -> scores (B, ...).
        real, fake: (B, C, H, W) each.
        generator: draws where between them the slope is measured; on any device.

    Raises:
        GANError: the two differ in shape.
    """
    if real.shape != fake.shape:
        raise GANError(f"Real pictures have the shape {tuple(real.shape)}, generated ones {tuple(fake.shape)}.")
    shape = (len(real), *[1] * (real.dim() - 1))
    part = torch.rand(shape, generator=generator, device=generator.device).to(real)
    between = torch.lerp(real.detach(), fake.detach(), part).requires_grad_()
    scores = _wide(discriminator(between)).reshape(len(real), -1).mean(1)
    (slopes,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return (_wide(slopes).flatten(1).norm(dim=1) - 1).square().mean()


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


class ImagePool:
    """Pictures generated earlier, shown to the discriminator in turn with new ones, so that it does not forget them.

    Shrivastava et al. (2016), Learning from Simulated and Unsupervised Images through Adversarial Training,
    arXiv:1612.07828. Until the pool is full, pictures go in and come out; from then on each new one comes out itself,
    or takes the place of an old one that comes out instead, by the toss of a coin.

    Args:
        size: how many are kept; with 0 all pictures come out as they went in.

    Example:
        >>> pool = ImagePool(50)
        >>> shown = pool.exchange(fake, random_generator(0))  # (B, 3, H, W), detached
    """

    def __init__(self, size: int = 50) -> None:
        if size < 0:
            raise GANError(f"A pool has no {size} pictures.")
        self.size = size
        self.pictures: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.pictures)

    def exchange(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """New pictures (B, C, H, W) in, as many out, new or old."""
        shown = []
        for picture in pictures.detach():
            if len(self.pictures) < self.size:
                self.pictures.append(picture.clone())
            elif self.size and _draw(2, generator):
                place = _draw(self.size, generator)
                self.pictures[place], picture = picture.clone(), self.pictures[place]
            shown.append(picture)
        return torch.stack(shown)

    def state(self) -> dict[str, Any]:
        """All that it remembers."""
        return {"pictures": list(self.pictures)}

    def load_state(self, state: Mapping[str, Any], device: torch.device | str = "cpu") -> None:
        """Take back what ``state`` gave.

        Raises:
            GANError: it has more pictures than this pool keeps.
        """
        pictures = [picture.to(device) for picture in state["pictures"]]
        if len(pictures) > self.size:
            raise GANError(f"{len(pictures)} pictures do not fit into a pool of {self.size}.")
        self.pictures = pictures


def _draw(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator, device=generator.device))


@torch.no_grad()
def initialise(
    module: Module, kind: Initialisation = "normal", generator: torch.Generator | None = None, *, gain: float = 0.02
) -> Module:
    """Draw all weights of a network anew; biases become 0. Scales of normalisations are drawn from N(1, 0.02²).

    ``normal``: N(0, ``gain``²), as in Radford et al. (2015, DCGAN, arXiv:1511.06434) and Zhu et al. (2017). ``xavier``:
    Glorot and Bengio (2010), with the fitting variance. ``orthogonal``: Saxe et al. (2013), arXiv:1312.6120. A weight
    that is all zero was meant so (a residual generator's last layer) and stays.

    Args:
        gain: the deviation of ``normal``; the others have their own.
        generator: where randomness comes from, on any device; the numbers do not depend on where the module is.

    Returns:
        The module.

    Raises:
        GANError: there is no such kind.
    """
    if kind not in get_args(Initialisation):
        raise GANError(f"There is no initialisation {kind!r}; there are {', '.join(get_args(Initialisation))}.")
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spectral = parametrize.is_parametrized(part, "weight")
            weight = part.get_parameter("parametrizations.weight.original" if spectral else "weight")
            _fill(weight, kind, generator, gain)
            if spectral:
                _settle(part, weight)
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, nn.BatchNorm2d | nn.InstanceNorm2d) and part.weight is not None:
            part.weight.copy_(1 + 0.02 * torch.randn(part.weight.shape, generator=generator))
            part.bias.zero_()
    return module


def _fill(weight: Tensor, kind: Initialisation, generator: torch.Generator | None, gain: float) -> None:
    if not weight.any():
        return
    drawn = torch.empty(weight.shape, device=generator.device if generator else "cpu")
    if kind == "normal":
        nn.init.normal_(drawn, 0, gain, generator=generator)
    elif kind == "xavier":
        nn.init.xavier_normal_(drawn, generator=generator)
    else:
        nn.init.orthogonal_(drawn, generator=generator)
    weight.copy_(drawn)


def _settle(part: nn.Module, weight: Tensor) -> None:
    """Tell spectral normalisation the weight's largest singular vectors, which it would begin to look for by chance."""
    rows = weight.flatten(1)
    left = torch.linalg.eigh((rows @ rows.T).double()).eigenvectors[:, -1].to(weight.dtype)
    part.get_buffer("parametrizations.weight.0._u").copy_(left)
    part.get_buffer("parametrizations.weight.0._v").copy_(F.normalize(rows.T @ left, dim=0))
