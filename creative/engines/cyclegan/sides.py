"""One kind of pictures in training: the generator that draws it, what judges it, where its style is taken from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from creative.blocks.gan import ImagePool, adversarial_losses, gradient_penalty, initialise
from creative.engines.cyclegan.looks import CONTENT, Critic, Maps, StyleBank, style_distance
from creative.engines.training import Networks, Update
from creative.losses import content_loss
from creative.models.cyclegan import CycleGANConfig, make_discriminator, make_generator
from creative.models.features import Features
from creative.options.cyclegan import TrainCycleGANSettings

Domain = Literal["a", "b"]

NEAREST = 3
"""So many of the crops that show the most alike take turns."""
PENALTY = 10.0
"""Weight of the gradient penalty of ``wgan_gp`` (Gulrajani et al., 2017)."""


class Side:
    """One kind of pictures: what draws it, what judges it.

    Attributes:
        generator: draws it from the other kind.
        discriminator: judges patches of pixels, or None.
        critic: judges the maps of the feature network, or None.
        bank: crops that styles are taken from, or None.
        pool: earlier translations into it.
    """

    def __init__(
        self, name: Domain, shape: CycleGANConfig, settings: TrainCycleGANSettings, features: Features | None
    ) -> None:
        self.name, self.settings = name, settings
        self.way = "a_to_b" if name == "b" else "b_to_a"
        self.generator = initialise(make_generator(shape), settings.initialisation)
        self.losses = adversarial_losses(settings.adversarial)
        self.discriminator = initialise(make_discriminator(shape)) if settings.patch_weight else None
        self.critic = Critic(widths_of(features)) if settings.feature_weight and features else None
        self.bank: StyleBank | None = None
        self.pool = ImagePool(settings.pool_size)

    def networks(self) -> Networks:
        """Those there are, by the names that they are saved under."""
        every = {
            self.way: self.generator,
            f"discriminator_{self.name}": self.discriminator,
            f"critic_{self.name}": self.critic,
        }
        return {name: network for name, network in every.items() if network is not None}

    def appeal(self, drawn: Tensor, seen: Maps, kept: Maps, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """How far a translation is from convincing, and from showing what the picture shows.

        Args:
            drawn: the translation, (B, 3, H, W) in [-1, 1].
            seen, kept: maps of the translation and of the picture; empty if nobody needs them.
            step: steps made before.
        """
        chosen, found = self.settings, {}
        if self.discriminator is not None:
            found["patches"] = chosen.patch_weight * self.losses.generator(self.discriminator(drawn))
        if self.critic is not None:
            scores = self.critic(seen)
            found["features"] = chosen.feature_weight * torch.stack([_missed(s, 1) for s in scores]).mean()
        if self.bank is not None:
            wanted = self.bank.nearest(kept, step % NEAREST)
            found["style"] = chosen.style_weight * style_distance(seen, wanted)
        if chosen.content_weight:
            found["content"] = chosen.content_weight * content_loss(seen[CONTENT], kept[CONTENT])
        return torch.stack(list(found.values())).sum(), {f"{name}_{self.name}": x for name, x in found.items()}

    def judgement(self, real: Tensor, drawn: Tensor, seen_real: Maps, seen: Maps, update: Update) -> dict[str, Tensor]:
        """How badly the discriminators tell pictures of this kind from translations into it."""
        found = {}
        if self.discriminator is not None:
            shown = self.pool.exchange(drawn, update.generator)
            loss = self.losses.discriminator(self.discriminator(real), self.discriminator(shown))
            if self.settings.adversarial == "wgan_gp":
                with torch.autocast(real.device.type, enabled=False):
                    slope = gradient_penalty(self.discriminator, real, shown.float(), generator=update.generator)
                loss = loss + PENALTY * slope
            found[f"discriminator_{self.name}"] = loss
        if self.critic is not None:
            pairs = zip(self.critic(seen_real), self.critic({k: m.detach() for k, m in seen.items()}), strict=True)
            losses = [(_missed(one, 1) + _missed(other, 0)) / 2 for one, other in pairs]
            found[f"critic_{self.name}"] = torch.stack(losses).mean()
        return found


def _missed(scores: Tensor, wanted: float) -> Tensor:
    return (scores.float() - wanted).square().mean()


def widths_of(features: Features) -> dict[str, int]:
    """The channels of each layer's map."""
    with torch.no_grad():
        maps = features(torch.zeros(1, 3, features.min_size, features.min_size, device=features.scale.device))
    return {layer: map_.shape[1] for layer, map_ in maps.items()}
