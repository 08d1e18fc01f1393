"""Pictures that no camera makes, to learn from: a network that style transfer optimises pictures with sees little else.

What its maps say of such pictures has to be what its teachers' maps say of them. Otherwise an optimiser finds pictures
that have a painting's statistics in the student's maps alone (adversarial examples; Szegedy et al., 2014, Intriguing
Properties of Neural Networks, arXiv:1312.6199). So it also learns from pictures painted with its own maps as they are
at that moment: from where its own doing leads (Ross et al., 2011, A Reduction of Imitation Learning and Structured
Prediction to No-Regret Online Learning, arXiv:1011.0686).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.losses import gram
from creative.models.features import IMAGENET_MEAN, IMAGENET_STD
from creative.models.vgg import VGG

KEPT_AT = (6, 14, 30)
"""Iterations after which a picture that is being painted is kept; the last ends it."""
SIZE, AT_ONCE, EVERY = 144, 6, 30
"""Of the pool; pictures painted at once; steps of training between."""


def cutmix(pictures: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Put a piece of the picture before it into a share of the pictures (Yun et al., 2019, CutMix, arXiv:1905.04899).

    Args:
        pictures: (B, 3, H, W).
        share: of the pictures that get one, 0 to 1.
        generator: on the same device; the pieces' areas are evenly distributed.
    """
    batch, _, *sizes = pictures.shape
    chosen, area, *starts = torch.rand(4, batch, 1, generator=generator, device=pictures.device)
    inside = []
    for size, start in zip(sizes, starts, strict=True):
        length = area.sqrt() * size
        place = torch.arange(size, device=pictures.device) + 0.5
        first = start * (size - length)
        inside.append((place >= first) & (place < first + length))
    piece = inside[0][:, :, None] & inside[1][:, None, :] & (chosen < share)[..., None]
    return torch.where(piece[:, None], pictures.roll(1, 0), pictures)


def unnatural(pictures: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Make a share of the pictures what no camera makes.

    Half of those get the fine detail of the picture before, up to twice as strong; a quarter get noise of a deviation
    of up to 0.15; a quarter are mixed with the picture before.

    Args:
        pictures: (B, 3, H, W) in [0, 1], sides multiples of 8.
        share: 0 to 1.
        generator: on the same device.
    """
    kind, amount = torch.rand(2, len(pictures), 1, 1, 1, generator=generator, device=pictures.device)
    noise = torch.randn(pictures.shape, generator=generator, device=pictures.device)
    blur = 4 << int(torch.randint(2, (), generator=generator, device=pictures.device))
    other, coarse = pictures.roll(1, 0), _blurred(pictures, blur)
    detailed = (coarse + (1 + amount) * (other - coarse.roll(1, 0))).clamp(0, 1)
    noisy = (pictures + 0.15 * amount * noise).clamp(0, 1)
    mixed = torch.lerp(other, pictures, amount)
    made = torch.where(kind < share / 2, detailed, torch.where(kind < 3 * share / 4, noisy, mixed))
    return torch.where(kind < share, made, pictures)


def _blurred(pictures: Tensor, size: int) -> Tensor:
    return F.interpolate(F.avg_pool2d(pictures, size), scale_factor=size, mode="bilinear")


class PaintedPool:
    """Pictures painted with the student's own maps, the latest ``SIZE`` of them."""

    def __init__(self) -> None:
        self.pictures = torch.empty(0, dtype=torch.uint8)

    def mix_in(
        self, pictures: Tensor, count: int, step: int, network: Callable[[], VGG], generator: torch.Generator
    ) -> Tensor:
        """Put painted pictures in the place of the last of a batch.

        Args:
            pictures: (B, 3, H, W) in [0, 1]; every ``EVERY`` steps some of them are painted in the style of others.
            count: how many are replaced, at most B.
            step: of the training.
            network: makes the student as it is now, with normalisation folded.
            generator: on the same device.
        """
        if not count:
            return pictures
        if step % EVERY == 0 or not len(self.pictures):
            order = torch.randperm(len(pictures), generator=generator, device=pictures.device)
            half = min(AT_ONCE, len(pictures) // 2)
            with torch.enable_grad():
                new = paint(network(), pictures[order[:half]], pictures[order[-half:]], generator)
            kept = self.pictures.to(new.device)
            self.pictures = torch.cat(((new * 255).round().to(torch.uint8), kept))[:SIZE]
        places = torch.randint(len(self.pictures), (count,), generator=generator, device=pictures.device)
        return torch.cat((pictures[:-count], self.pictures[places].to(pictures) / 255))

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"pictures": self.pictures}

    def load_state(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Take back what ``state`` gave."""
        self.pictures = state["pictures"].to(device)


def paint(network: VGG, photos: Tensor, paintings: Tensor, generator: torch.Generator) -> Tensor:
    """Photos painted in the style of paintings by optimisation, as they are after each of ``KEPT_AT``.

    Gatys et al. (2016, Image Style Transfer Using Convolutional Neural Networks) with the first or the last layer of
    each stage, each relative to the photo's own distance, by Adam. Where it begins lies by chance between the photo and
    the painting, and so does how much of the photo is kept.

    Args:
        network: with normalisation folded and frozen weights.
        photos, paintings: (B, 3, H, W) in [0, 1].

    Returns:
        (K * B, 3, H, W) in [0, 1].
    """
    depths = network.config.depths
    last = bool(torch.rand((), generator=generator, device=photos.device) < 0.5)
    styles = [f"relu{stage}_{depth if last else 1}" for stage, depth in enumerate(depths, 1)]
    content = styles[max(0, len(styles) - 2)]
    with torch.no_grad():
        photo = network.maps(normalised(photos), styles)
        aims = {layer: gram(map_) for layer, map_ in network.maps(normalised(paintings), styles).items()}
        scales = {layer: _squared(gram(photo[layer]) - aims[layer]) + 1e-3 * _squared(aims[layer]) for layer in styles}
    start, strength = torch.rand(2, len(photos), generator=generator, device=photos.device)
    picture = torch.lerp(photos, paintings, 0.5 * start.square().view(-1, 1, 1, 1))
    picture = picture.contiguous(memory_format=torch.channels_last).requires_grad_()
    optimizer = torch.optim.Adam([picture], lr=0.03)
    found = []
    for iteration in range(1, KEPT_AT[-1] + 1):
        maps = network.maps(normalised(picture), styles)
        style = sum(_squared(gram(maps[layer]) - aims[layer]) / scales[layer] for layer in styles) / len(styles)
        changed = _squared(maps[content] - photo[content]) / _squared(photo[content])
        optimizer.zero_grad()
        (style + 0.2 * strength * changed).sum().backward(inputs=[picture])
        optimizer.step()
        with torch.no_grad():
            picture.clamp_(0, 1)
        if iteration in KEPT_AT:
            found.append(picture.detach().clone())
    return torch.cat(found)


def normalised(pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] as networks for ImageNet take them."""
    mean, std = (torch.tensor(v, device=pictures.device).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (pictures - mean) / std


def _squared(values: Tensor) -> Tensor:
    return values.float().square().flatten(1).sum(1)
