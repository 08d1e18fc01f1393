"""PatchNCE: a translated patch should resemble its own original more than any other patch of the picture.

Park et al. (2020), Contrastive Learning for Unpaired Image-to-Image Translation (CUT), arXiv:2007.15651: an objective
that needs one generator only, no way back.

    nce = PatchNCE(generator.encoded_channels)
    loss = nce(generator.encode(translated), generator.encode(photo), random)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creative.blocks.config import GANError


class PatchNCE(nn.Module):
    """Cross-entropy of finding a patch again by its likeness, over maps of several depths.

    Args:
        channels: of each map.
        embedding_size: numbers by which patches are compared.
        num_patches: drawn from each map, the same places in both; fewer where a map has fewer.
        temperature: likenesses are divided by it.

    Attributes:
        heads: one per map, from its channels to the embedding.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        embedding_size: int = 256,
        num_patches: int = 256,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        if not channels:
            raise GANError("PatchNCE needs at least one map to compare.")
        self.num_patches, self.temperature = num_patches, temperature
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, embedding_size), nn.ReLU(), nn.Linear(embedding_size, embedding_size))
            for width in channels
        )

    def forward(self, translated: Sequence[Tensor], original: Sequence[Tensor], generator: torch.Generator) -> Tensor:
        """The mean cross-entropy.

        Args:
            translated, original: maps (B, C, H, W) of the translation and of what it was made from, in the order of
                ``channels``; no gradient goes into the original's.
            generator: draws the places.

        Returns:
            A scalar: 0 where each patch is like its own alone, log N where all N are alike.

        Raises:
            GANError: there are more or fewer maps than heads.
        """
        if not len(translated) == len(original) == len(self.heads):
            raise GANError(f"{len(self.heads)} maps were expected, but {len(translated)} and {len(original)} are here.")
        losses = []
        for head, found, wanted in zip(self.heads, translated, original, strict=True):
            places = self._places(found.shape[-2] * found.shape[-1], generator).to(found.device)
            query = self._embed(head, found, places)
            key = self._embed(head, wanted.detach(), places).detach()
            losses.append(contrast(query, key, self.temperature))
        return torch.stack(losses).mean()

    def _places(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randperm(count, generator=generator, device=generator.device)[: self.num_patches]

    def _embed(self, head: nn.Module, maps: Tensor, places: Tensor) -> Tensor:
        """(B, C, H, W) -> unit vectors (B, N, embedding_size)."""
        patches = maps.permute(0, 2, 3, 1).flatten(1, 2).index_select(1, places)
        return F.normalize(head(patches).float(), dim=-1)


def contrast(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """The mean over B and N of -log softmax(query · keys / temperature) at the query's own key (B, N, E); a scalar."""
    with torch.autocast(query.device.type, enabled=False):  # in bfloat16 the likenesses would be too coarse
        likeness = query @ key.transpose(1, 2) / temperature
        own = torch.arange(likeness.shape[1], device=likeness.device).expand(likeness.shape[:2])
        return F.cross_entropy(likeness.flatten(0, 1), own.flatten())
