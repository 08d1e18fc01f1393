"""What a CycleGAN learns by: the steps of the two objectives, cycle consistency and patchwise contrast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from creative.blocks.gan import GANError, PatchNCE
from creative.checkpoint import CheckpointError, load_checkpoint, load_into
from creative.data.draws import Draw, mixed_seed
from creative.data.pictures import PackedPictures
from creative.data.unpaired import UnpairedCrops
from creative.engines.cyclegan.alarms import Alarms
from creative.engines.cyclegan.looks import LAYERS, Maps, StyleBank
from creative.engines.cyclegan.sides import Domain, Side
from creative.engines.training import Networks, Update
from creative.models.cyclegan import CycleGANConfig, load_discriminator, load_generator
from creative.models.features import load_features
from creative.options.cyclegan import TrainCycleGANSettings

BANK = 512
"""Crops of each kind that styles are taken from."""


class Translators:
    """The networks of a run and what they learn at each step.

    Attributes:
        networks: all of them by name; ``kept`` are those that go into the finished file.
        ways: what is translated into what.
    """

    ways: tuple[tuple[Domain, Domain], ...]

    def __init__(
        self,
        shape: CycleGANConfig,
        settings: TrainCycleGANSettings,
        training: tuple[PackedPictures, PackedPictures],
        device: torch.device,
    ) -> None:
        self.settings, self.device = settings, device
        looks = bool(settings.feature_weight or settings.style_weight or settings.content_weight)
        self.features = load_features(layers=LAYERS, device=device) if looks else None
        self.sides = {target: Side(target, shape, settings, self.features) for _, target in self.ways}
        if settings.style_weight and self.features is not None:
            crops = _some_crops(training, settings)
            for source, target in self.ways:
                self.sides[target].bank = StyleBank(self.features, crops[source], crops[target])
        judged = bool(settings.patch_weight) and settings.adversarial != "wgan_gp"
        self.alarms = Alarms(tuple(self.sides), judged=judged)
        self.networks: Networks = {n: net for side in self.sides.values() for n, net in side.networks().items()}
        self.kept = set(self.networks)
        self.networks["alarms"] = self.alarms

    def load(self, path: Path, *, critics: bool = True) -> None:
        """Begin with a finished network: its generators, and its discriminators where it has some.

        Args:
            critics: whether its critics too, which judge maps of the feature network that they were trained with.

        Raises:
            GANError: it has no generator of a direction that is to be trained.
        """
        for side in self.sides.values():
            side.generator.load_state_dict(load_generator(path, side.way).state_dict())  # type: ignore[arg-type]
            if side.discriminator is not None and load_checkpoint(path, prefix=f"discriminator_{side.name}.").tensors:
                side.discriminator.load_state_dict(load_discriminator(path, side.name).state_dict())
            tensors = load_checkpoint(path, prefix=f"critic_{side.name}.").tensors
            if critics and side.critic is not None and tensors:
                try:
                    load_into(side.critic, tensors)
                except CheckpointError as error:
                    raise GANError(f"{path.name}, critic_{side.name}: {error}") from None

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the generators, Adam for all that judges."""
        rate = self.settings.learning_rate
        return {
            "generators": _adam(self._generating(), rate),
            "discriminators": _adam(self._judging(), rate * self.settings.discriminator_rate),
        }

    def _generating(self) -> list[nn.Module]:
        return [side.generator for side in self.sides.values()]

    def _judging(self) -> list[nn.Module]:
        parts = [part for side in self.sides.values() for part in (side.discriminator, side.critic)]
        return [part for part in parts if part is not None]

    def step(self, a: Tensor, b: Tensor, update: Update) -> dict[str, Tensor]:
        """One step on crops of both kinds, (B, 3, H, W) each in [-1, 1]."""
        raise NotImplementedError

    def see(self, pictures: Tensor) -> Maps:
        """Maps of the feature network; nothing where nobody looks through it."""
        return self.features((pictures + 1) / 2) if self.features is not None else {}

    def state(self) -> dict[str, Any]:
        """The pools."""
        return {name: side.pool.state() for name, side in self.sides.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        for name, side in self.sides.items():
            side.pool.load_state(state[name], self.device)


def _some_crops(
    training: tuple[PackedPictures, PackedPictures], settings: TrainCycleGANSettings
) -> dict[Domain, Tensor]:
    """Crops of both kinds as training sees them, (N, 3, crop, crop) uint8 each."""
    crops = UnpairedCrops(*training, size=settings.size, crop=settings.crop)
    stride = max(1, len(crops) // BANK)
    drawn = [crops[Draw(index, mixed_seed("bank", index))] for index in range(0, len(crops), stride)[:BANK]]
    return {name: torch.stack([pair[name] for pair in drawn]) for name in ("a", "b")}


def _adam(modules: list[nn.Module], rate: float) -> torch.optim.Optimizer:
    parameters = [parameter for module in modules for parameter in module.parameters()]
    if not parameters:  # nothing judges: style and content alone
        parameters = [nn.Parameter(torch.zeros(()))]
    return torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=True)


class Cycle(Translators):
    """There and back: λ times the difference of a picture from its translation translated back (Zhu et al., 2017).

    Differs from Zhu et al.: with ``cycle_every`` above 1 only some steps go back, one way at a time, at a weight that
    makes up for it; with ``backwards_every`` above 1 only some translate b into a.
    """

    ways = (("a", "b"), ("b", "a"))

    def step(self, a: Tensor, b: Tensor, update: Update) -> dict[str, Tensor]:
        """See ``Translators``."""
        chosen = self.settings
        real: dict[Domain, Tensor] = {"a": a, "b": b}
        ways = self.ways if update.step % chosen.backwards_every == 0 else self.ways[:1]
        drawn = {target: self.sides[target].generator(real[source]) for source, target in ways}
        with torch.no_grad():
            seen_real = {name: self.see(picture) for name, picture in real.items()}
        seen = {target: self.see(picture) for target, picture in drawn.items()}
        losses: list[Tensor] = []
        found: dict[str, Tensor] = {}
        for source, target in ways:
            appeal, parts = self.sides[target].appeal(drawn[target], seen[target], seen_real[source], update.step)
            losses.append(appeal)
            found |= self._shown(target, parts)
        losses += self._there_and_back(real, drawn, update.step, found)
        losses += self._left_alone(real, update.step, found)
        update(torch.stack(losses).sum(), "generators")
        judged: dict[str, Tensor] = {}
        for _, target in ways:
            judged |= self.sides[target].judgement(
                real[target], drawn[target].detach(), seen_real[target], seen[target], update
            )
        if judged:
            update(torch.stack(list(judged.values())).sum(), "discriminators")
        for source, target in ways:
            self.alarms.note(target, real[source], drawn[target], judged.get(f"discriminator_{target}"))
        if chosen.alarms:
            self.alarms.look(update.step)
        for _, target in ways:
            found |= self._shown(target, {name: x for name, x in judged.items() if name.endswith(f"_{target}")})
        return found

    def _shown(self, target: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is learned in every n-th step counts n times in a mean over all of them."""
        times = self.settings.backwards_every if target == "a" else 1
        return {name: value * times for name, value in values.items()}

    def _there_and_back(
        self, real: Mapping[Domain, Tensor], drawn: Mapping[Domain, Tensor], step: int, found: dict[str, Tensor]
    ) -> list[Tensor]:
        weight, every = self.settings.cycle_weight, self.settings.cycle_every
        if not weight or step % every:
            return []
        ways = [(source, target) for source, target in self.ways if target in drawn]
        if every > 1:
            ways, weight = [ways[step // every % len(ways)]], weight * every * len(ways)
        losses = []
        for source, target in ways:
            back = self.sides[source].generator(drawn[target])
            losses.append(weight * _apart(back, real[source]))
            found[f"cycle_{source}"] = losses[-1]
        return losses

    def _left_alone(self, real: Mapping[Domain, Tensor], step: int, found: dict[str, Tensor]) -> list[Tensor]:
        chosen = self.settings
        weight = chosen.identity_weight * chosen.cycle_weight * chosen.identity_every
        if not weight or step % chosen.identity_every:
            return []
        losses = []
        for name, side in self.sides.items():
            losses.append(weight * _apart(side.generator(real[name]), real[name]))
            found[f"identity_{name}"] = losses[-1]
        return losses


def _apart(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().float().mean()


class OneWay(Translators):
    """From a to b only: each patch of a translation is to say more about the same patch of the picture than others do.

    Park et al. (2020), Contrastive Learning for Unpaired Image-to-Image Translation, arXiv:2007.15651 (CUT): the same
    is asked of pictures that are of the wanted kind already, which are to be left alone.
    """

    ways = (("a", "b"),)

    def __init__(
        self,
        shape: CycleGANConfig,
        settings: TrainCycleGANSettings,
        training: tuple[PackedPictures, PackedPictures],
        device: torch.device,
    ) -> None:
        super().__init__(shape, settings, training, device)
        self.generator = self.sides["b"].generator
        self.contrast = PatchNCE(self.generator.encoded_channels)  # type: ignore[arg-type]
        self.networks["contrast"] = self.contrast

    def _generating(self) -> list[nn.Module]:
        return [*super()._generating(), self.contrast]

    def step(self, a: Tensor, b: Tensor, update: Update) -> dict[str, Tensor]:
        """See ``Translators``."""
        side = self.sides["b"]
        drawn = self.generator(a)
        with torch.no_grad():
            kept, wanted = self.see(a), self.see(b)
        seen = self.see(drawn)
        appeal, found = side.appeal(drawn, seen, kept, update.step)
        found["patch_nce"] = self.settings.nce_weight * self._contrast(drawn, a, update)
        losses = [appeal, found["patch_nce"]]
        if self.settings.identity_weight:
            alone = self._contrast(self.generator(b), b, update)
            found["identity_nce"] = self.settings.identity_weight * self.settings.nce_weight * alone
            losses.append(found["identity_nce"])
        update(torch.stack(losses).sum(), "generators")
        judged = side.judgement(b, drawn.detach(), wanted, seen, update)
        if judged:
            update(torch.stack(list(judged.values())).sum(), "discriminators")
        self.alarms.note("b", a, drawn, judged.get("discriminator_b"))
        if self.settings.alarms:
            self.alarms.look(update.step)
        return found | judged

    def _contrast(self, translated: Tensor, original: Tensor, update: Update) -> Tensor:
        encode = self.generator.encode
        return self.contrast(encode(translated), encode(original), update.generator)
