"""How the painting actions begin: what their inputs name is loaded, and handed to the engine that was asked for."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creative.options.fast_style import InstantSettings
from creative.options.style_transfer import StylizeInputs, StylizeSettings, TextureInputs
from creative.options.video_style import LiveStyleInputs, StyleVideoInputs
from creative.progress import Step, run

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.style_presets import Preset

FROM_INSTANT = {"draft": 6, "good": 12, "best": 50}
"""Iterations from what one pass has painted, by quality; ``FEWEST`` at least where it is large."""
FEWEST = 6
LEARNED = 512
"""Pixels of the longest side up to which a painter's strokes need nothing coarser."""


def styles_of(
    inputs: StylizeInputs | TextureInputs | StyleVideoInputs | LiveStyleInputs,
) -> list[Image | Preset]:
    """The paintings and presets that an action is given."""
    from creative.images import open_image
    from creative.style_presets import load_preset

    loaded: list[Image | Preset] = []
    for name in (inputs.style, *inputs.more_styles):
        path = Path(name)
        if path.is_file():
            loaded.append(load_preset(path) if path.suffix == ".safetensors" else open_image(path))
        else:
            loaded.append(load_preset(name))
    return loaded


def paint(inputs: StylizeInputs, settings: StylizeSettings, device: str) -> Generator[Step, None, Any]:
    """Paint a photo: at once where ``instant`` says so, else by optimisation, which begins as ``init`` says.

    Before the first iteration there is something to look at: what one pass of a painter makes of it.
    """
    from creative.engines.style_transfer import stylize
    from creative.images import fit, open_image, open_mask, resize

    photo, styles = open_image(inputs.photo[0]), styles_of(inputs)
    masks: dict[str, Any] = {
        "mask": open_mask(inputs.mask) if inputs.mask else None,
        "style_masks": [open_mask(mask) for mask in inputs.style_masks] or None,
    }
    if settings.instant:
        _check_instant(inputs)
        return _at_once(inputs, photo, styles, settings, masks, device)
    regions: dict[str, Any] = {
        "content_map": open_image(inputs.content_map) if inputs.content_map else None,
        "style_map": open_image(inputs.style_map) if inputs.style_map else None,
    }
    start = open_image(inputs.start) if inputs.start else None
    begins_at_once = settings.init == "instant" and start is None
    if begins_at_once:  # painted before the first iteration, on what is checked now
        start = resize(photo, fit(photo.size, settings.size))
        settings = shortened(settings)
    weights = inputs.network_weights
    engine = stylize(photo, styles, settings, **masks, **regions, start=start, weights=weights, device=device)
    if begins_at_once:
        assert start is not None
        return from_one_pass(_at_once(inputs, photo, styles, settings, masks, device), start, engine)
    return _shown_first(lambda: run(_at_once(inputs, photo, styles, settings, masks, device)), engine)


def _at_once(
    inputs: StylizeInputs,
    photo: Image,
    styles: list[Image | Preset],
    settings: StylizeSettings,
    masks: dict[str, Any],
    device: str,
) -> Generator[Step, None, Image]:
    from creative.engines import fast_style

    quick = InstantSettings.of(settings)
    if not settings.instant:  # the tiles and the precision that were asked for are the optimisation's
        quick = quick.changed(tile=None, precision="auto")
    return fast_style.paint(photo, styles, quick, painter=inputs.painter, **masks, device=device)


def shortened(settings: StylizeSettings) -> StylizeSettings:
    """Fewer iterations, at the last size alone: what is coarse has been painted already.

    Measured (``benchmarks/instant_style.py --only start``): 12 so come as near the style as 75 from the photo.
    """
    if settings.iterations or settings.scales is not None:
        return settings
    larger = max(1.0, settings.size / LEARNED)
    scales = 1 + round(2 * math.log2(larger))
    if settings.seconds is not None:
        return settings.changed(scales=scales)
    count = max(FEWEST, round(FROM_INSTANT[settings.quality] / larger))
    return settings.changed(scales=scales, iterations=(count,))


def _check_instant(inputs: StylizeInputs) -> None:
    """What only an optimisation can do with an input is said, not left out."""
    for name in ("content_map", "style_map", "start", "network_weights"):
        if getattr(inputs, name) is not None:
            raise ValueError(f"Instant painting is one pass, in which {name} means nothing: leave out {name}.")


def from_one_pass(
    quick: Generator[Step, None, Image], start: Image, engine: Generator[Step, None, Any]
) -> Generator[Step, None, Any]:
    """The optimisation, from what one pass makes of the photo."""
    with contextlib.closing(engine), contextlib.closing(quick):
        begun = next(engine)
        yield begun  # what there is to be told comes first, and nothing slow before it
        painted = yield from _at_rest(quick, Step(begun.done, begun.total))
        start.paste(painted)
        start.info["provenance"] = painted.info["provenance"]
        return (yield from _shown_first(painted.copy, engine))


def _at_rest(job: Generator[Step, None, Image], step: Step) -> Generator[Step, None, Image]:
    """A job that counts for nothing but can be stopped: its steps are all the same one."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value
        yield step


def _shown_first(preview: Any, engine: Generator[Step, None, Any]) -> Generator[Step, None, Any]:
    """The job with another preview at its first finished step: whoever does not look pays nothing for it."""
    with contextlib.closing(engine):
        try:
            while True:
                step = next(engine)
                if step.done and step.preview is not None:
                    yield replace(step, preview=_or(preview, step.preview))
                    return (yield from engine)
                yield step
        except StopIteration as end:
            return end.value


def _or(first: Any, second: Any) -> Any:
    """The first preview, or the second where the first cannot be made."""

    def preview() -> Any:
        try:
            return first()
        except ValueError:  # no painter is here, or none that knows this preset
            return second()

    return preview
