"""Distances of painted photos from the painting and from the photo, as a feature network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from creative.engines.style_transfer.job import CONTENT_LAYERS, STYLE_LAYERS
from creative.engines.style_transfer.objective import Maps, framed
from creative.images import fit, resize, to_tensor
from creative.metrics import content_distance, style_distance
from creative.models.features import load_features
from creative.options.style_transfer import layer_weights
from creative.style_presets import PIXELS, Preset

BUNDLED = "bundled"
SECOND = "squeezenet1_0"


@dataclass(frozen=True, slots=True)
class Distances:
    """What one judge says of one picture.

    Attributes:
        judge: the network.
        style: from the painting's style: 0 is its own, 1 is as far as the photo's; None where there is no painting
            that this judge could see.
        content: from the photo's content: 0 is the photo's.
    """

    judge: str
    style: float | None
    content: float


class Judge:
    """A feature network that has seen the photo and, where there is one, the painting.

    Args:
        network: ``bundled`` or ``squeezenet1_0``.
        photo: at the size of the results.
        style: the painting, or its preset, which only the network that it was made with can read.
        weights: a file, in place of where the network's weights are found.

    Raises:
        FeaturesError, WeightsError: at once: the weights are missing, or not this network's.
    """

    def __init__(
        self,
        network: str,
        photo: Image.Image,
        style: Image.Image | Preset | None,
        *,
        weights: Path | None = None,
        device: torch.device,
    ) -> None:
        self.network, self._longest = network, max(photo.size)
        self._layers = [layer for layer in layer_weights(STYLE_LAYERS[network]) if layer != PIXELS]
        (self._content_layer,) = CONTENT_LAYERS[network]
        needed = tuple(dict.fromkeys([*self._layers, self._content_layer]))
        features = load_features(network, layers=needed, weights=weights, device=device)
        self.sha256 = features.sha256
        self._maps = Maps(features, needed, None)
        self._photo, self._content = self._see(photo)
        self._painting = self._style(style)

    def __call__(self, picture: Image.Image) -> Distances:
        """Of a painted photo."""
        grams, content = self._see(picture)
        style = style_distance(self._photo, self._painting, grams) if self._painting else None
        return Distances(self.network, style, content_distance(self._content, content))

    def _style(self, style: Image.Image | Preset | None) -> Mapping[str, Tensor]:
        if isinstance(style, Preset):
            known = style.moments(self._longest) if style.network == self.sha256 else {}
            return {layer: known[layer].gram.to(self._maps.device) for layer in self._layers if layer in known}
        return {} if style is None else self._see(resize(style, fit(style.size, self._longest)))[0]

    @torch.no_grad()
    def _see(self, picture: Image.Image) -> tuple[Mapping[str, Tensor], Tensor]:
        """By layer the Gram matrix, and the map of the content's layer."""
        seen = framed(to_tensor(picture, self._maps.device))
        moments = self._maps.moments(seen, self._layers)
        return {layer: values.gram for layer, values in moments.items()}, self._maps(seen)[self._content_layer]
