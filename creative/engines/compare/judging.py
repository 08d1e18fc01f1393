"""Distances of painted photos from the painting and from the photo, as a feature network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.images import fit, resize, to_tensor
from creative.losses import gram
from creative.metrics import JUDGED, content_distance, style_distance
from creative.models.features import load_features
from creative.style_presets import Preset

BUNDLED = "bundled"
SECOND = "squeezenet1_0"
CONTENT_LAYERS = {BUNDLED: "relu4_1", SECOND: "fire5"}
"""By network: the layer whose map is the content."""
FRAME = 24
"""Pixels of its own reflection around a picture, as presets have been made with."""


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
        self._features = load_features(network, layers=JUDGED[network], weights=weights, device=device)
        self.sha256, self._device = self._features.sha256, device
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
            return {layer: known[layer].gram.to(self._device) for layer in JUDGED[self.network] if layer in known}
        return {} if style is None else self._see(resize(style, fit(style.size, self._longest)))[0]

    @torch.no_grad()
    def _see(self, picture: Image.Image) -> tuple[Mapping[str, Tensor], Tensor]:
        """By layer the Gram matrix, and the map of the content's layer."""
        pixels = to_tensor(picture, self._device)
        around = min(FRAME, *(side - 1 for side in picture.size))
        maps = self._features(F.pad(pixels, 4 * (around,), mode="reflect"))
        return {layer: gram(values)[0] for layer, values in maps.items()}, maps[CONTENT_LAYERS[self.network]]
