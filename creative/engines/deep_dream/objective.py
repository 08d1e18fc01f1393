"""What grows in a dream, and its gradient: of the whole picture at once, or exactly in tiles.

Everything that layers are dreamed for is a sum over the positions of their maps. So the picture can be cut into tiles:
each sees, around its core, as far as the network sees, counts the positions of its core only, and its gradient is added
to those of the other tiles. The sum is the gradient of the whole picture up to rounding. A class is no such sum, but a
first pass over the tiles gives the last map as a whole, and so the slope of the class's logit by it; the second pass
follows that slope in each tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from creative.device import autocast
from creative.images import Tile, core_of, tiles
from creative.models.chains import margins
from creative.models.features import Classifier, Features
from creative.options.deep_dream import Part

MOST_GUIDES = 1024
"""Places of a guide that are looked at in each layer: more are thinned out evenly."""
_ROWS = 8192  # positions compared with a guide at once


class DreamError(ValueError):
    """This cannot be dreamed of, or not at this size. The message is one sentence for a person."""


class Objective:
    """What is to grow in a picture.

    The value is a weighted sum over parts. A part is the mean over positions and channels of a layer's map of

    - half the square of the values (``l2``: what is seen already is seen more), or the values (``mean``);
    - with a guide, of the product with the guide's feature that fits the position best (google/deepdream);

    and a class's logit, less the mean of all logits: what speaks for this class rather than for any.

    Args:
        features: a network cut after the last layer needed.
        parts: the layers with channels and weights.
        maximise: ``l2`` or ``mean``.
        guide: a picture (1, 3, H, W) of any size that the network can see.
        classifier: for a subject, the whole network that ``features`` belongs to.
        subject: the number of the class to dream of.
        precision: of autocast, or None.

    Raises:
        DreamError: a channel is out of range.
    """

    def __init__(
        self,
        features: Features,
        parts: Sequence[Part],
        *,
        maximise: str = "l2",
        guide: Tensor | None = None,
        classifier: Classifier | None = None,
        subject: int | None = None,
        precision: torch.dtype | None = None,
    ) -> None:
        self.features, self.parts, self.maximise, self.precision = features, tuple(parts), maximise, precision
        self.classifier, self.subject = classifier, subject
        self.device = features.scale.device
        self.multiple = max(features.strides.values())
        margin = max(margins(features.chain.items(), features.layers).values())
        self.halo = -(-margin // self.multiple) * self.multiple
        self.scales = torch.ones(len(self.parts) + (subject is not None), device=self.device)
        self.value = 0.0
        self._check_channels()
        self._guides = self._seen_in(guide) if guide is not None else None

    def gradient(self, picture: Tensor, tile: int = 0) -> Tensor:
        """Where the picture (1, 3, H, W) must change for the value to grow; ``value`` is then that of the picture.

        Args:
            picture: in [0, 1].
            tile: the side of the tiles' cores in pixels; 0 for the whole picture at once.
        """
        gradient, value = self._gradient(picture, tile, self.scales)
        self.value = float(value)
        return gradient

    def balance(self, picture: Tensor, tile: int = 0) -> None:
        """Give each part the same say, by the size of its gradient in this picture, before weights are applied."""
        if len(self.scales) < 2:
            return
        alone = torch.eye(len(self.scales), device=self.device)
        sizes = torch.stack([self._gradient(picture, tile, only)[0].std() for only in alone])
        self.scales = torch.where(sizes > 0, 1 / sizes.clamp(min=1e-20), 1.0)

    def _gradient(self, picture: Tensor, tile: int, scales: Tensor) -> tuple[Tensor, Tensor]:
        size = (picture.shape[-2], picture.shape[-1])
        cut = tiles(*size, tile, self.halo, self.multiple)
        if len(cut) == 1:
            return self._of_tile(picture, cut[0], size, scales)
        total, value = torch.zeros_like(picture), torch.zeros((), device=self.device)
        slopes: list[Tensor] | list[None] = [None] * len(cut)
        if self.classifier is not None:
            constant, slopes = self._slopes(picture, cut, size)
            value = value + constant * scales[-1]
        for part, slope in zip(cut, slopes, strict=True):
            gradient, share = self._of_tile(picture, part, size, scales, slope)
            total[(..., *part.outer)] += gradient
            value = value + share
        return total, value

    def _of_tile(
        self, picture: Tensor, tile: Tile, size: tuple[int, int], scales: Tensor, slope: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        view = picture[(..., *tile.outer)].detach().requires_grad_()
        with torch.enable_grad():
            share = self._share(view, tile, size, scales, slope)
            (gradient,) = torch.autograd.grad(share, view)
        return gradient, share.detach()

    def _share(self, view: Tensor, tile: Tile, size: tuple[int, int], scales: Tensor, slope: Tensor | None) -> Tensor:
        """What a tile's core adds to the value; of a class, along the slope of its logit if there are more tiles."""
        with autocast(self.device, self.precision):
            maps = self.features(view)
        share = torch.zeros((), device=self.device)
        for index, part in enumerate(self.parts):
            stride = self.features.strides[part.layer]
            seen = self._chosen(core_of(maps[part.layer], tile, *size, stride), part)
            positions = size[0] * size[1] / stride**2  # of the whole picture: about, but the same for all tiles
            amount = self._amount(seen, index) / (positions * seen.shape[1])
            share = share + amount * (part.weight * scales[index])
        if self.classifier is not None:
            last = self._last(maps, tile, size)
            share = share + scales[-1] * (self._logit(last) if slope is None else (_wide(last) * slope).sum())
        return share

    def _slopes(self, picture: Tensor, cut: Sequence[Tile], size: tuple[int, int]) -> tuple[Tensor, list[Tensor]]:
        """The logit less its linear part, and for each tile the logit's slope by the last map in its core."""
        rows: list[list[Tensor]] = []
        for tile in cut:
            with torch.no_grad(), autocast(self.device, self.precision):
                maps = self.features(picture[(..., *tile.outer)])
            if not tile.left:
                rows.append([])
            rows[-1].append(self._last(maps, tile, size).clone())
        whole = torch.cat([torch.cat(row, -1) for row in rows], -2).requires_grad_()
        with torch.enable_grad():
            logit = self._logit(whole)
            (slope,) = torch.autograd.grad(logit, whole)
        slope = _wide(slope)
        heights = [row[0].shape[-2] for row in rows]
        widths = [core.shape[-1] for core in rows[0]]
        slopes = [core for band in slope.split(heights, -2) for core in band.split(widths, -1)]
        return logit.detach() - (_wide(whole.detach()) * slope).sum(), slopes

    def _last(self, maps: Mapping[str, Tensor], tile: Tile, size: tuple[int, int]) -> Tensor:
        layer = self.features.layers[-1]
        return core_of(maps[layer], tile, *size, self.features.strides[layer])

    def _logit(self, last: Tensor) -> Tensor:
        assert self.classifier is not None
        with autocast(self.device, self.precision):
            logits = _wide(self.classifier.head(last)[0])
        return logits[self.subject] - logits.mean()

    def _amount(self, seen: Tensor, index: int) -> Tensor:
        values = _wide(seen)
        if self._guides is not None:
            return (values * _best(values, self._guides[index])).sum()
        return values.square().sum() / 2 if self.maximise == "l2" else values.sum()

    def _seen_in(self, guide: Tensor) -> list[Tensor]:
        """The guide's features of each part, (places, channels)."""
        with torch.no_grad(), autocast(self.device, self.precision):
            maps = self.features(guide)
        seen = [self._chosen(maps[part.layer], part).flatten(2)[0].T for part in self.parts]
        return [_wide(places[:: -(-len(places) // MOST_GUIDES)]).contiguous() for places in seen]

    @staticmethod
    def _chosen(values: Tensor, part: Part) -> Tensor:
        return values[:, list(part.channels)] if part.channels else values

    def _check_channels(self) -> None:
        if not any(part.channels for part in self.parts):
            return
        with torch.no_grad():
            maps = self.features(self.features.scale.new_zeros(1, 3, self.features.min_size, self.features.min_size))
        for part in self.parts:
            count = maps[part.layer].shape[1]
            for channel in part.channels:
                if channel >= count:
                    raise DreamError(
                        f"{part.layer} of {self.features.network} has {count} channels, 0 to {count - 1}, "
                        f"but channel {channel} was asked for."
                    )


@torch.no_grad()
def _best(values: Tensor, guide: Tensor) -> Tensor:
    """For each position of (1, C, H, W) the guide's feature of (places, C) that it goes with best, as (1, C, H, W)."""
    rows = values[0].flatten(1).T
    best = torch.cat([(chunk @ guide.T).argmax(1) for chunk in rows.split(_ROWS)])
    return guide[best].T.reshape(values.shape)


def _wide(values: Tensor) -> Tensor:
    """In single precision at least: sums of half precision would not be good enough."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
