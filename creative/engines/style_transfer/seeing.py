"""The pictures and styles of a painting at one of its sizes: what is compared, and what painting starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from creative.engines.style_transfer.job import Job
from creative.engines.style_transfer.maps import framed
from creative.engines.style_transfer.objective import Aim, Seen
from creative.engines.style_transfer.patches import Patches
from creative.engines.style_transfer.plan import Scale
from creative.images import colour_statistics, fit, recoloured, resize, to_tensor
from creative.losses import PIXELS, Moments, moments, projections
from creative.style_presets import Preset

NOISE = 0.15
"""Standard deviation of the noise that a texture starts from."""
COLOURS_AT = 256
"""Longest side of a picture whose colours are counted, pixels."""
COARSE = 4
"""Least stride of the layer whose patches are compared: finer ones are of strokes, which moments know."""
FINEST = 512
"""Longest side up to which patches are compared, pixels: their time grows with its fourth power."""


def sized(image: Image.Image, size: tuple[int, int], device: torch.device) -> Tensor:
    """A picture (1, C, H, W) of (width, height)."""
    return to_tensor(resize(image, size), device)


def see(job: Job, scale: Scale, axes: Mapping[str, Tensor]) -> list[dict[str, Seen]]:
    """What the loss compares of the styles, or of the regions of one, at the size that suits a size of the painting."""
    if job.regions is None:
        return [_see(job, style, scale, axes) for style in job.styles]
    picture = _painting(job, scale)
    with torch.no_grad():
        masks = [framed(mask[None]) for mask in job.regions.sources(_size(picture), job.device)]
        return [dict(one) for one in job.maps.moments_within(framed(picture), tuple(job.style_layers), masks, job.tile)]


def _see(job: Job, style: Image.Image | Preset, scale: Scale, axes: Mapping[str, Tensor]) -> dict[str, Seen]:
    if isinstance(style, Preset):
        longest = max(scale.size) * job.settings.style_scale
        return {layer: _moved(values, job.device) for layer, values in style.moments(longest).items()}
    picture = _painting(job, scale, style)
    with torch.no_grad():
        if axes:
            maps = job.maps(framed(picture))
            return {layer: projections(maps[layer], axes[layer]) for layer in job.style_layers}
        return dict(job.maps.moments(framed(picture), tuple(job.style_layers), job.tile))


def _painting(job: Job, scale: Scale, style: Image.Image | Preset | None = None) -> Tensor:
    """A painting (1, 3, H, W) as it is looked at: never larger than it is, as there are no fine strokes to be seen."""
    style = style or job.styles[0]
    assert isinstance(style, Image.Image)
    least = math.ceil(job.maps.features.min_size * max(style.size) / min(style.size))
    longest = min(max(max(scale.size) * job.settings.style_scale, least), max(style.size))
    picture = sized(style, fit(style.size, round(longest)), job.device)
    if job.settings.colours != "painting" and job.content is not None:
        small = sized(job.content, fit(job.content.size, COLOURS_AT), job.device)
        picture = recoloured(picture, *colour_statistics(small))
    return picture


def aims(job: Job, scale: Scale, seen: Sequence[Mapping[str, Seen]]) -> list[Aim]:
    """One aim for each region or style; styles that are to be everywhere are mixed into one."""
    everywhere = sized(job.mask, scale.size, job.device) if job.mask is not None else None
    if job.regions is not None:
        masks: list[Tensor | None] = [mask[None] for mask in job.regions.targets(scale.size, job.device)]
        masks = [_both(mask, everywhere) for mask in masks]
        areas = [float(mask.sum()) for mask in masks if mask is not None]
        weights = [area / max(sum(areas), 1e-6) for area in areas]
        return [Aim(*one) for one in zip(seen, weights, masks, strict=True) if one[1]]
    if job.settings.style_loss != "sliced" and not any(job.style_masks):
        mixed: dict[str, Seen] = {}
        for layer in job.style_layers:
            parts = [values[layer] for values in seen]
            shares = zip(parts, job.style_weights, strict=True)
            each = [part.normalised() * weight for part, weight in shares if isinstance(part, Moments)]
            mixed[layer] = sum(each[1:], start=each[0])
        return [Aim(mixed, mask=everywhere)]
    own = [sized(mask, scale.size, job.device) if mask is not None else None for mask in job.style_masks]
    together = zip(seen, job.style_weights, own, strict=True)
    return [Aim(values, weight, _both(mask, everywhere)) for values, weight, mask in together]


def _both(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return one * other if one is not None and other is not None else one if one is not None else other


def first_picture(
    job: Job,
    content: Tensor | None,
    seen: Sequence[Mapping[str, Seen]],
    size: tuple[int, int],
    generator: torch.Generator,
) -> Tensor:
    """The picture to start from, (1, 3, H, W) of (height, width)."""
    settings, shape = job.settings, (size[1], size[0])
    if job.start is not None:
        return sized(job.start, shape, job.device)
    if settings.init == "style":
        first = job.styles[0]
        assert isinstance(first, Image.Image)
        return _covering(first, shape, job.device)
    if content is None or settings.init == "noise":
        plain = 0.5 + NOISE * torch.randn(1, 3, *size, generator=generator).to(job.device)
    elif settings.colours == "painting":
        plain = content
    else:
        return content.clone()
    if job.regions is None:
        return _in_colours(plain, _mixed_colours(job, seen))
    masks = job.regions.targets(shape, job.device)
    parts = [_in_colours(plain, colours) * mask for colours, mask in zip(_region_colours(job), masks, strict=True)]
    return torch.stack(parts).sum(0)


def _in_colours(picture: Tensor, colours: Moments) -> Tensor:
    return recoloured(picture, colours.mean, colours.covariance)


def _region_colours(job: Job) -> list[Moments]:
    style = job.styles[0]
    assert isinstance(style, Image.Image)
    assert job.regions is not None
    picture = sized(style, fit(style.size, COLOURS_AT), job.device)
    return [moments(picture, mask[None]).normalised() for mask in job.regions.sources(_size(picture), job.device)]


def _mixed_colours(job: Job, seen: Sequence[Mapping[str, Seen]]) -> Moments:
    parts = []
    for style, values, weight in zip(job.styles, seen, job.style_weights, strict=True):
        if isinstance(style, Preset):
            colours = values[PIXELS]
            assert isinstance(colours, Moments)
        else:
            colours = moments(sized(style, fit(style.size, COLOURS_AT), job.device)).normalised()
        parts.append(colours * weight)
    return sum(parts[1:], start=parts[0])


class Shapes:
    """What a picture's maps should be like for its shapes to hang together as in the painting; see ``Patches``."""

    def __init__(self, job: Job, scale: Scale, frame: int) -> None:
        assert job.regions is not None
        layers = [name for name in job.style_layers if job.maps.strides[name] >= COARSE]
        self.layer = min(layers, key=lambda name: job.maps.strides[name]) if layers else ""
        self.maps, self.frame = job.maps, frame
        self.useful = bool(self.layer) and max(scale.size) <= FINEST and not job.in_tiles(scale)
        if self.useful:
            self.regions = job.regions.targets(scale.size, job.device)
            painting = _painting(job, scale)
            features = self._features(painting)
            self.patches = Patches(features, self._regions(job.regions.sources(_size(painting), job.device), features))

    def model(self, picture: Tensor) -> tuple[str, Tensor]:
        """The layer, and its maps (1, C, h, w) of a picture's frame, made of the painting's patches."""
        features = self._features(picture)
        with torch.no_grad():
            return self.layer, self.patches.vote(features, self._regions(self.regions, features))

    def _features(self, picture: Tensor) -> Tensor:
        with torch.no_grad():
            return self.maps(framed(picture, self.frame))[self.layer]

    def _regions(self, masks: Tensor, like: Tensor) -> Tensor:
        """Masks (K, 1, H, W) at the positions of a map: (1, K, h, w)."""
        together = framed(masks.transpose(0, 1), self.frame)
        return torch.nn.functional.interpolate(together, like.shape[-2:], mode="area")


def _covering(image: Image.Image, size: tuple[int, int], device: torch.device) -> Tensor:
    """The middle of a picture, scaled to cover (width, height)."""
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = max(size[0], round(image.width * scale)), max(size[1], round(image.height * scale))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    return to_tensor(resize(image, (width, height)).crop((left, top, left + size[0], top + size[1])), device)


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[-1], picture.shape[-2]


def _moved(values: Moments, device: torch.device) -> Moments:
    return Moments(values.count.to(device), values.first.to(device), values.second.to(device))
