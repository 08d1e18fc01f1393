"""Alarms: what goes wrong in adversarial training, noticed while it runs and told in a sentence.

A loss that is no number is noticed by the training loop itself.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from creative.engines.training import TrainingError

LOOK_EVERY = 50
"""Steps between two looks at the numbers, for which the device is waited for."""
PATIENCE = 500
"""Steps before anything but inverted colours is taken for a failure: at the beginning nothing changes yet."""
DECAY = 0.99
"""Of the running means."""
WON = 0.01
"""A discriminator's loss below this: it tells all that is real from all that is not, and its gradient says nothing."""
INVERTED = -0.2
"""Correlation of a translation with its picture below this: light and dark have changed places."""
UNCHANGED = 0.004
"""Mean difference of a translation from its picture, of 2, below this: nobody sees it. It is half a grey level."""

Domain = Literal["a", "b"]


class Alarms(nn.Module):
    """Running means of what tells a failing run.

    They are buffers of a network, so that the training loop averages them over processes (all stop at once), saves them
    and reads them back.

    Args:
        domains: those that are translated into.
        judged: whether there are discriminators of pixels whose loss can reach 0.
    """

    def __init__(self, domains: tuple[Domain, ...], *, judged: bool) -> None:
        super().__init__()
        self.domains, self.judged = domains, judged
        for domain in domains:
            for name, start in (("loss", 1.0), ("likeness", 1.0), ("change", 1.0)):
                self.register_buffer(f"{name}_{domain}", torch.tensor(start))

    @torch.no_grad()
    def note(self, domain: Domain, picture: Tensor, translation: Tensor, loss: Tensor | None) -> None:
        """What one step has come to.

        Args:
            domain: that was translated into.
            picture, translation: (B, 3, H, W) in [-1, 1].
            loss: of the discriminator.
        """
        change = (translation - picture).abs().float().mean()
        self._move(f"change_{domain}", change)
        self._move(f"likeness_{domain}", likeness(picture, translation))
        if loss is not None:
            self._move(f"loss_{domain}", loss.detach().float())

    def _move(self, name: str, value: Tensor) -> None:
        self.get_buffer(name).lerp_(value, 1 - DECAY)

    def look(self, step: int) -> None:
        """Stop a run that has failed.

        Args:
            step: steps made.

        Raises:
            TrainingError: it has; the message says how, and what may help.
        """
        if not step or step % LOOK_EVERY:
            return
        for domain in self.domains:
            other = "b" if domain == "a" else "a"
            way = f"{other} to {domain}"
            if float(self.get_buffer(f"likeness_{domain}")) < INVERTED:
                raise TrainingError(
                    f"The translation from {way} turns light into dark (step {step}): the networks have agreed on "
                    "inverted colours, from which they do not come back. Start again with another seed, a higher "
                    "identity_weight, or residual generators."
                )
            if step < PATIENCE:
                continue
            loss = float(self.get_buffer(f"loss_{domain}"))
            if self.judged and loss < WON:
                raise TrainingError(
                    f"The discriminator of {domain} has won: its loss is {loss:.4f} (step {step}), and the translation "
                    f"from {way} learns nothing from it any more. Lower discriminator_rate or discriminator_width, or "
                    "give it more pictures."
                )
            if float(self.get_buffer(f"change_{domain}")) < UNCHANGED:
                raise TrainingError(
                    f"The translation from {way} changes nothing after {step} steps: the networks have settled on the "
                    "picture itself. Lower cycle_weight and identity_weight, or raise patch_weight."
                )


def likeness(picture: Tensor, translation: Tensor) -> Tensor:
    """The correlation of pictures' values, each (B, 3, H, W), averaged over the batch; 1 for flat pictures."""
    one, other = (
        values.float().flatten(1) - values.float().flatten(1).mean(1, keepdim=True) for values in (picture, translation)
    )
    scale = one.norm(dim=1) * other.norm(dim=1)
    products = (one * other).sum(1)
    flat = scale < 1e-3 * one.shape[1]
    return torch.where(flat, 1.0, products / scale.clamp(min=1e-12)).mean()
