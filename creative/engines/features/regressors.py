"""What leads from the student's maps to the teachers' while it is trained: 1×1 convolutions, thrown away afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.engines.features.hints import Hint


class Regressors(nn.Module):
    """From the student's maps to the teachers', standardised; thrown away after training."""

    def __init__(self, hints: Sequence[Hint], widths: Mapping[str, int], maps: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.hints = hints
        self.convs = nn.ModuleDict({h.name: nn.Conv2d(widths[h.student], maps[h.name].shape[1], 1) for h in hints})
        for name, map_ in maps.items():
            self.register_buffer(f"mean_{name}", map_.mean((0, 2, 3), keepdim=True))
            # A channel that almost never fires would blow up noise.
            deviation = map_.std((0, 2, 3), keepdim=True)
            self.register_buffer(f"deviation_{name}", deviation.clamp_min(0.05 * float(deviation.mean()) + 1e-6))

    def forward(self, maps: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predictions by hint, each of its target's shape."""
        return {h.name: self.convs[h.name](h.over(maps[h.student], targets[h.name])) for h in self.hints}

    @torch.no_grad()
    def fit(self, seen: Iterable[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]) -> None:
        """The best weights in closed form.

        Args:
            seen: of batch after batch, the student's maps by layer and the teachers' by hint, standardised, each
                (B, C, H, W).
        """
        sums: dict[str, Tensor] = {}
        for maps, targets in seen:
            for hint in self.hints:
                x = hint.over(maps[hint.student], targets[hint.name]).movedim(1, -1).flatten(0, 2).double()
                y = targets[hint.name].movedim(1, -1).flatten(0, 2).double()
                x = F.pad(x, (0, 1), value=1.0)
                sums[hint.name] = sums.get(hint.name, 0) + x.T @ torch.cat((x, y), 1)
        for hint in self.hints:
            products, towards = sums[hint.name].tensor_split([len(sums[hint.name])], 1)
            ridge = 1e-3 * products.diagonal().mean() * torch.eye(len(products)).to(products)
            found = torch.linalg.solve(products + ridge, towards).float()
            conv = self.convs[hint.name]
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            conv.weight.copy_(found[:-1].T[..., None, None])
            conv.bias.copy_(found[-1])

    def errors(self, predicted: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean squared errors by hint; a channel counts by how much it varies, as it does in a Gram matrix."""
        found = {}
        for name, target in targets.items():
            squared = (predicted[name].float() - target.float()).square().mean((0, 2, 3))
            varies = self.get_buffer(f"deviation_{name}").flatten()
            found[name] = (squared * varies).sum() / varies.sum()
        return found

    def standardise(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The teachers' maps with mean 0 and deviation 1 per channel, outliers cut at 6 deviations."""
        return {
            name: ((map_ - self.get_buffer(f"mean_{name}")) / self.get_buffer(f"deviation_{name}")).clamp(-6, 6)
            for name, map_ in maps.items()
        }
