"""Two ways to paint a frame that follows another one: in one pass of a trained network, or by optimisation."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from creative.engines.fast_style import Painter
from creative.engines.fast_style.canvas import Canvas
from creative.engines.fast_style.request import Style, precision_of, ready_painter, style_shares
from creative.engines.style_transfer import stylize
from creative.images import colour_statistics, recoloured, to_image, to_tensor, with_lightness
from creative.models.features import load_features
from creative.models.style_net import mixed
from creative.motion import blended, steadied
from creative.options.style_transfer import LikenessSettings, StrokeSettings, StylizeSettings
from creative.options.video_style import LiveStyleSettings, VideoStyleSettings
from creative.progress import Step

KEPT = 10.0
"""How much a pixel that was there before counts against the style, to optimise, at a steadiness of one half."""
OWN = 0.5
"""To optimise in a further pass: how much of a frame's own result gives way to what is carried to it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What the result of the frame before comes to when it moves along.

    Attributes:
        levels: (H, W, 3) float32, 0 to 255.
        trust: how sure it is, (H, W) float32, 0 to 1.
    """

    levels: np.ndarray
    trust: np.ndarray


class Way(Protocol):
    """How frames are painted; all have one size."""

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the networks' files, by name."""

    def begin(self, first: Image.Image) -> None:
        """Told the first frame of all."""

    def paint(
        self, frame: Image.Image, carried: Carried | None, own: Image.Image | None = None
    ) -> Generator[Step, None, Image.Image]:
        """Paint a frame.

        Args:
            frame: RGB.
            carried: from the frame before; None for the first of a scene.
            own: the frame's result of the last pass; None in the first pass.
        """


def to_picture(levels: np.ndarray) -> Image.Image:
    """Levels (H, W, 3) as a picture."""
    return Image.fromarray(np.rint(levels.clip(0, 255)).astype(np.uint8))


class Instant:
    """In one pass of a trained network.

    What is drawn is blended with what is carried. Differs from Ruder, Dosovitskiy and Brox, "Artistic style transfer
    for videos and spherical images" (2018, arXiv:1708.04538), whose network is given what is carried: ours did not
    learn from videos, and given it flickers as before (.98 to 1.09 of frame by frame; .55 to .67 blended as here).
    Running means of the normalisations' statistics did not help either (.98 to 1.01).

    Raises:
        ValueError: at the call: no such painter, or it cannot paint in these styles.
    """

    def __init__(
        self,
        styles: Sequence[Style],
        settings: VideoStyleSettings | LiveStyleSettings,
        *,
        painter: Painter | str | Path | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.styles, self.settings = tuple(styles), settings
        self.painter = ready_painter(self.styles, painter, device)
        self.canvas = Canvas(self.painter, settings.tile, precision_of(settings, self.painter.device))
        self._code: Tensor | None = None

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the painter, by name."""
        return {self.painter.name: self.painter.sha256}

    def begin(self, first: Image.Image) -> None:
        """See the styles, for frames of this one's size."""
        settings = self.settings
        longest = max(first.size) * settings.style_scale
        codes = [self.painter.code(style, longest) for style in self.styles]
        code = mixed(codes, style_shares(settings, len(codes)))
        self._code = self.painter.at_strength(code, settings.strength)

    def paint(
        self, frame: Image.Image, carried: Carried | None, own: Image.Image | None = None
    ) -> Generator[Step, None, Image.Image]:
        """Paint a frame; in a further pass nothing is painted anew."""
        if own is not None:
            return self._steadied(np.asarray(own, np.float32), carried)
        assert self._code is not None, "begin() comes first"
        picture = to_tensor(frame, self.painter.device)
        total = len(self.canvas.cut(*picture.shape[-2:]))
        painted = picture
        for done, so_far in enumerate(self.canvas.paint(picture, self._code), 1):
            painted = so_far
            yield Step(done, total)
        levels = self._coloured(picture, painted)[0].permute(1, 2, 0).mul(255).cpu().numpy()
        return self._steadied(levels, carried)

    def _steadied(self, levels: np.ndarray, carried: Carried | None) -> Image.Image:
        if carried is not None:
            levels = steadied(levels, carried.levels, carried.trust, self.settings.steady)
        return to_picture(levels)

    def _coloured(self, picture: Tensor, painted: Tensor) -> Tensor:
        """What is painted in the colours that the settings ask for.

        Each frame's own, if not the painting's. A photo's styles are seen in the photo's colours instead; of a video
        those would be the first frame's, and a film that fades in would stay black.
        """
        if self.settings.colours == "painting":
            return painted
        with torch.no_grad():
            matched = recoloured(painted, *colour_statistics(picture))
            return with_lightness(picture, matched) if self.settings.colours == "photo" else matched


class Optimising:
    """By optimisation, from what is carried, with a loss that keeps it where it can be trusted.

    Ruder, Dosovitskiy and Brox, "Artistic style transfer for videos" (2016, arXiv:1604.08610). Differs from it: what
    has come into view starts as the frame in the colours of the last result, and only the first frame of a scene is
    painted from coarse to fine.

    Raises:
        ValueError: at the call, see ``stylize``.
    """

    def __init__(
        self,
        styles: Sequence[Style],
        settings: VideoStyleSettings,
        size: tuple[int, int],
        *,
        weights: Path | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.styles, self.settings = tuple(styles), settings
        self.network_weights, self.device = weights, device
        same = {*StrokeSettings.model_fields, *LikenessSettings.model_fields, "quality"} - {"size"}
        self.first = StylizeSettings(**{name: getattr(settings, name) for name in same}, size=max(size))
        self.next = self.first.changed(scales=1, iterations=(settings.iterations,))
        for one in (self.first, self.next):
            stylize(Image.new("RGB", size), self.styles, one, weights=weights, device=device).close()

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the network that compares, by name."""
        features = load_features(self.first.network, layers=("relu1_1",), weights=self.network_weights)
        return {self.first.network: features.sha256}

    def begin(self, first: Image.Image) -> None:
        """Nothing is to be done once."""

    def paint(
        self, frame: Image.Image, carried: Carried | None, own: Image.Image | None = None
    ) -> Generator[Step, None, Image.Image]:
        """Paint a frame, a Step for each iteration."""
        steady = self.settings.steady
        if own is not None and (carried is None or not steady):
            return own
        if carried is None or not steady:
            return (yield from self._stylize(frame, self.first))
        levels = np.asarray(own, np.float32) if own is not None else self._coloured_like(frame, carried)
        start = to_picture(blended(levels, carried.levels, carried.trust, OWN if own is not None else 1.0))
        mask = Image.fromarray(np.rint(carried.trust * 255).astype(np.uint8))
        weight = KEPT * steady / (1 - steady)
        kept = (to_picture(carried.levels), mask)
        return (yield from self._stylize(frame, self.next, start=start, keep=kept, keep_weight=weight))

    def _stylize(
        self, frame: Image.Image, settings: StylizeSettings, **more: object
    ) -> Generator[Step, None, Image.Image]:
        painting = stylize(
            frame,
            self.styles,
            settings,
            weights=self.network_weights,
            device=self.device,
            **more,  # type: ignore[arg-type]
        )
        painted = yield from painting
        return painted.convert("RGB")

    @staticmethod
    def _coloured_like(frame: Image.Image, carried: Carried) -> np.ndarray:
        painted = torch.from_numpy(carried.levels / 255).permute(2, 0, 1)[None].float()
        return np.asarray(to_image(recoloured(to_tensor(frame), *colour_statistics(painted))), np.float32)
