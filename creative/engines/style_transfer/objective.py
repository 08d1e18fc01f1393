"""What style transfer minimises, and its gradient: of the whole picture at once, or exactly in tiles.

The style's losses are functions of Gram matrices (or means and covariances), which are sums over the picture. So a
first pass over the tiles, without a graph, gives the sums; the derivatives of the loss by the sums are then known, and
a second pass takes each tile's own share back to its pixels. Each tile is seen with a halo as wide as the network sees,
and the result is that of the whole picture up to rounding.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from creative.engines.style_transfer.maps import CANVAS_FRAME, Maps, framed
from creative.images import Tile
from creative.losses import Moments, content_loss, moments, projections, sliced_wasserstein

Seen = Moments | Tensor
NEARNESS = 0.1
"""Share of the style's own square in what a distance is measured by; see ``Objective._scales``."""


@dataclass(frozen=True, slots=True)
class Aim:
    """One style, and where it is to be.

    Attributes:
        seen: by layer, what is compared: the moments of its features, or their sorted projections for a sliced loss.
        weight: among the aims; they sum to 1.
        mask: (1, 1, H, W) in [0, 1], or None for everywhere.
    """

    seen: Mapping[str, Seen]
    weight: float = 1.0
    mask: Tensor | None = None


class Objective:
    """The loss of a picture against a photo and some styles, at one size.

    Args:
        maps: the network.
        size: (height, width).
        content: the photo (1, 3, H, W), or None.
        aims: the styles.
        style_layers, content_layers: weights by layer.
        content_weight, smoothness: of the content's loss and of total variation against the style's loss.
        kind: of the style's loss: gram, moments or sliced.
        axes: by layer, what a sliced loss projects on: (C, K).
        tile: side of the tiles; 0 for the whole picture at once.
        frame: pixels of reflection around the picture.
        keep: (1, 3, H, W) that the picture should equal, and (1, 1, H, W) in [0, 1], how much it should where.
        keep_weight: of the mean squared difference from it.
        likeness: weight of the loss of a layer's maps against those that ``follow`` says.
    """

    def __init__(
        self,
        maps: Maps,
        size: tuple[int, int],
        content: Tensor | None,
        aims: Sequence[Aim],
        *,
        style_layers: Mapping[str, float],
        content_layers: Mapping[str, float],
        content_weight: float,
        smoothness: float,
        kind: str = "gram",
        axes: Mapping[str, Tensor] | None = None,
        tile: int = 0,
        frame: int = CANVAS_FRAME,
        keep: tuple[Tensor, Tensor] | None = None,
        keep_weight: float = 0.0,
        likeness: float = 0.0,
    ) -> None:
        self.frame = min(frame, min(size) - 1)
        self.maps, self.kind, self.axes = maps, kind, axes or {}
        self.size = size[0] + 2 * self.frame, size[1] + 2 * self.frame
        self.aims = [replace(aim, mask=framed(aim.mask, self.frame)) if aim.mask is not None else aim for aim in aims]
        self.style_layers = _shares(style_layers)
        self.content_layers = _shares(content_layers) if content is not None and content_weight else {}
        self.content_weight, self.smoothness = content_weight, smoothness
        self.keep, self.keep_weight, self.likeness = keep, keep_weight, likeness
        self._model: tuple[str, Tensor] | None = None
        self.tiles = maps.tiles(self.size, tile)
        self._masks: dict[tuple[int, str, int], Tensor] = {}
        self._content: list[dict[str, Tensor]] = []
        self._content_square: dict[str, Tensor] = {}
        assert kind != "sliced" or len(self.tiles) == 1, "a sliced loss does not add up over tiles"
        self.targets = [{layer: self._compared(aim.seen[layer]) for layer in self.style_layers} for aim in self.aims]
        seen = self._see_content(framed(content, self.frame)) if content is not None else None
        self.scales = self._scales(seen)
        self._fading = self._ramps()

    # --- what is done once ---

    def _ramps(self) -> tuple[Tensor, Tensor]:
        """How much the pixels of the frame count, rising towards the picture: beside it (frame,), above (frame, W)."""
        rising = torch.arange(self.frame, device=self.maps.device).add(0.5).div(max(self.frame, 1))
        along = torch.ones(self.size[1], device=self.maps.device)
        along[: self.frame], along[self.size[1] - self.frame :] = rising, rising.flip(0)
        return rising, torch.minimum(rising[:, None], along)

    def _see_content(self, content: Tensor) -> list[dict[str, Seen]]:
        """Keep the photo's maps of the content layers; return what the style's loss sees of it, for each aim."""
        sums: list[dict[str, Seen]] = []
        with torch.no_grad():
            for index, tile in enumerate(self.tiles):
                core = self._core(content, tile)
                self._content.append({layer: core[layer].clone() for layer in self.content_layers})
                sums = _added(sums, self._see(core, index))
        for layer in self.content_layers:
            squares = [_wide(kept[layer]).square().sum() for kept in self._content]
            self._content_square[layer] = torch.stack(squares).sum().clamp(min=1e-12)
        return sums

    def _scales(self, content: list[dict[str, Seen]] | None) -> list[dict[str, list[Tensor]]]:
        """For each aim and layer, what the squared distances are multiplied by.

        Differs from Gatys et al. (2016): distances are relative to that of the untouched photo from the style (with a
        share of the style's own square, for a photo that is near), so each layer's loss starts near 1 in any network
        and for any pair, and the weights mean the same everywhere.
        """
        scales: list[dict[str, list[Tensor]]] = []
        for index in range(len(self.aims)):
            scales.append({})
            for layer in self.style_layers:
                target = self.targets[index][layer]
                far = self._distances([torch.zeros_like(values) for values in target], target)
                if content is not None:
                    photo = self._distances(self._compared(content[index][layer]), target)
                    far = [p + NEARNESS * f for p, f in zip(photo, far, strict=True)]
                scales[-1][layer] = [1 / value.clamp(min=1e-12) for value in far]
        return scales

    def follow(self, layer: str, model: Tensor) -> None:
        """From now on the maps of a layer should be like these, (1, C, h, w); only where the picture is one tile."""
        assert len(self.tiles) == 1
        self._model = layer, model

    # --- the loss and its gradient ---

    def gradient(self, picture: Tensor) -> Generator[None, None, tuple[dict[str, float], Tensor]]:
        """The losses at a picture and their gradient; yields after each tile, so that the work can be stopped there."""
        picture = picture.detach().requires_grad_()
        whole = framed(picture, self.frame)
        losses, slope = self._whole(whole) if len(self.tiles) == 1 else (yield from self._tiled(whole))
        gradient = torch.autograd.grad(whole, picture, self._faded(slope))[0] if self.frame else slope
        return losses, gradient if self.keep is None else gradient + self._keeping(picture.detach(), *self.keep)

    def _faded(self, slope: Tensor) -> Tensor:
        """The gradient by the framed picture (1, 3, H, W) with less and less of it towards the frame's end; in place.

        There networks see the zeros that they pad with. Reflected into the picture at full strength, what they make of
        that is a dotted line as far from the border as the frame is wide.
        """
        width, (sides, ends) = self.frame, self._fading
        between = slope[..., width:-width, :]
        slope[..., :width, :] *= ends
        slope[..., -width:, :] *= ends.flip(0)
        between[..., :width] *= sides
        between[..., -width:] *= sides.flip(0)
        return slope

    def _keeping(self, picture: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """The gradient of the loss of Ruder et al. (2016, arXiv:1604.08610), equation 7: it needs no network."""
        return (picture - kept) * mask * (2 * self.keep_weight / picture.numel())

    def _whole(self, picture: Tensor) -> tuple[dict[str, float], Tensor]:
        picture = picture.detach().requires_grad_()
        core = self._core(picture, self.tiles[0])
        style = self._style(self._see(core, 0))
        rest, content = self._rest(picture, core, 0)
        (gradient,) = torch.autograd.grad(style + rest, picture)
        return _floats(style=style, content=content), gradient

    def _tiled(self, picture: Tensor) -> Generator[None, None, tuple[dict[str, float], Tensor]]:
        picture = picture.detach()
        sums: list[dict[str, Seen]] = []
        for index, tile in enumerate(self.tiles):
            with torch.no_grad():
                sums = _added(sums, self._see(self._core(picture, tile), index))
            yield
        style, slopes = self._slopes(sums)
        gradient, content = torch.zeros_like(picture), style.new_zeros(())
        for index, tile in enumerate(self.tiles):
            part = picture[(..., *tile.outer)].clone().requires_grad_()
            core = self._core(picture, tile, part)
            rest, share = self._rest(picture, core, index, part)
            for found, slope in zip(self._see(core, index), slopes, strict=True):
                for layer, values in _additive(found).items():
                    rest = (
                        rest + (values.first * slope[layer].first).sum() + (values.second * slope[layer].second).sum()
                    )
            gradient[(..., *tile.outer)] += torch.autograd.grad(rest, part)[0]
            content = content + share.detach()
            yield
        return _floats(style=style, content=content), gradient

    def _slopes(self, sums: list[dict[str, Seen]]) -> tuple[Tensor, list[dict[str, Moments]]]:
        """The style's loss, and its derivatives by the sums."""
        with torch.enable_grad():
            leaves = [
                {
                    layer: replace(m, first=m.first.requires_grad_(), second=m.second.requires_grad_())
                    for layer, m in _additive(found).items()
                }
                for found in sums
            ]
            style = self._style(leaves)
            flat = [tensor for found in leaves for m in found.values() for tensor in (m.first, m.second)]
            slopes = iter(torch.autograd.grad(style, flat, allow_unused=True, materialize_grads=True))
        table = [{layer: Moments(m.count, next(slopes), next(slopes)) for layer, m in f.items()} for f in leaves]
        return style.detach(), table

    # --- its parts ---

    def _core(self, picture: Tensor, tile: Tile, part: Tensor | None = None) -> dict[str, Tensor]:
        """A tile's share of each map; ``part`` is the tile with its halo, where a gradient is wanted of it."""
        if len(self.tiles) == 1:  # nothing to cut, and a cut would cost a copy in the graph
            return self.maps(picture)
        seen = picture[(..., *tile.outer)] if part is None else part
        return self.maps.core(self.maps(seen), tile, self.size)

    def _see(self, core: Mapping[str, Tensor], index: int) -> list[dict[str, Seen]]:
        """What the style's loss compares of a tile, for each aim."""
        seen: list[dict[str, Seen]] = []
        for number, aim in enumerate(self.aims):
            seen.append({})
            for layer in self.style_layers:
                mask = None if aim.mask is None else self._mask(number, layer, index, core[layer])
                if self.kind == "sliced":
                    seen[-1][layer] = projections(core[layer], self.axes[layer], mask)
                else:
                    seen[-1][layer] = moments(core[layer], mask, means=self.kind == "moments")
        return seen

    def _mask(self, aim: int, layer: str, index: int, like: Tensor) -> Tensor:
        key = (aim, layer, index)
        if key not in self._masks:
            mask = self.aims[aim].mask
            assert mask is not None
            self._masks[key] = self.maps.cut_mask(mask, layer, self.tiles[index], like)
        return self._masks[key]

    def _style(self, sums: Sequence[Mapping[str, Seen]]) -> Tensor:
        total = torch.zeros((), device=self.maps.device)
        for aim, found, targets, scales in zip(self.aims, sums, self.targets, self.scales, strict=True):
            for layer, weight in self.style_layers.items():
                distances = self._distances(self._compared(found[layer]), targets[layer])
                terms = [distance * scale for distance, scale in zip(distances, scales[layer], strict=True)]
                total = total + aim.weight * weight * torch.stack(terms).mean()
        return total

    def _compared(self, seen: Seen) -> list[Tensor]:
        """What of a style is compared."""
        if isinstance(seen, Tensor):
            return [seen]
        return [seen.gram] if self.kind == "gram" else [seen.mean, seen.covariance]

    def _distances(self, one: Sequence[Tensor], other: Sequence[Tensor]) -> list[Tensor]:
        """Squared distances of what is compared."""
        if self.kind == "sliced":
            return [sliced_wasserstein(one[0], other[0])]
        return [(a - b).square().sum() for a, b in zip(one, other, strict=True)]

    def _rest(
        self, picture: Tensor, core: Mapping[str, Tensor], index: int, part: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A tile's share of the losses that add up over positions, and the content's loss in it."""
        content = torch.zeros((), device=self.maps.device)
        for layer, weight in self.content_layers.items():
            difference = _wide(core[layer] - self._content[index][layer])
            content = content + weight * difference.square().sum() / self._content_square[layer]
        likeness = torch.zeros_like(content)
        if self._model is not None:
            layer, model = self._model
            likeness = content_loss(core[layer], model)
        seen, tile = (picture if part is None else part), self.tiles[index]
        rough = _variation(seen, *tile.inner) / (3 * self.size[0] * self.size[1])
        rest = self.content_weight * content + self.likeness * likeness + self.smoothness * rough
        return rest, content


def _variation(picture: Tensor, rows: slice, columns: slice) -> Tensor:
    """``losses.total_variation`` of the differences that begin within rows and columns, as a sum."""
    across = picture[..., rows, columns.start : columns.stop + 1].diff(dim=-1)
    down = picture[..., rows.start : rows.stop + 1, columns].diff(dim=-2)
    return across.square().sum() + down.square().sum()


def _additive(seen: Mapping[str, Seen]) -> dict[str, Moments]:
    return {layer: values for layer, values in seen.items() if isinstance(values, Moments)}


def _added(sums: list[dict[str, Seen]], seen: list[dict[str, Seen]]) -> list[dict[str, Seen]]:
    """The sums with a further tile's; a sliced loss has one tile only."""
    if not sums:
        return seen
    both = [(_additive(one), _additive(other)) for one, other in zip(sums, seen, strict=True)]
    return [{layer: one[layer] + other[layer] for layer in one} for one, other in both]


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {layer: weight / total for layer, weight in weights.items() if weight}


def _floats(**losses: Tensor) -> dict[str, float]:
    return dict(zip(losses, torch.stack([loss.detach().float() for loss in losses.values()]).tolist(), strict=True))


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
