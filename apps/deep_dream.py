"""DeepDream: dream into photos, travel into a dream, dream along a video."""

from __future__ import annotations

import html
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps._app import Action, App, Area, Clicks
from apps._samples import photos_to_try
from creative.options.deep_dream import (
    DreamInputs,
    DreamSettings,
    DreamVideoInputs,
    DreamVideoSettings,
    DreamZoomInputs,
    DreamZoomSettings,
)
from creative.options.feature_visualization import VisualizeInputs, VisualizeSettings
from creative.options.look_inside import LookInsideInputs, LookInsideSettings
from creative.progress import Step

if TYPE_CHECKING:
    from PIL.Image import Image

    from creative.engines.look_inside import Inside


def _guide(inputs: DreamInputs | DreamZoomInputs | DreamVideoInputs) -> Image | None:
    from creative.images import open_image

    return open_image(inputs.guide) if inputs.guide else None


def _dream(inputs: DreamInputs, settings: DreamSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.deep_dream import dream
    from creative.images import open_image, open_mask

    return dream(
        open_image(inputs.photo[0]),
        settings,
        guide=_guide(inputs),
        mask=open_mask(inputs.mask) if inputs.mask else None,
        weights=inputs.network_weights,
        device=device,
    )


def _zoom(inputs: DreamZoomInputs, settings: DreamZoomSettings, device: str, out: Path) -> Generator[Step, None, Path]:
    from creative.engines.deep_dream import dream_zoom
    from creative.images import open_image

    photo = open_image(inputs.photo)
    return dream_zoom(photo, out, settings, guide=_guide(inputs), weights=inputs.network_weights, device=device)


def _along(
    inputs: DreamVideoInputs, settings: DreamVideoSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.deep_dream import dream_video

    return dream_video(inputs.video, out, settings, guide=_guide(inputs), weights=inputs.network_weights, device=device)


def _visualize(inputs: VisualizeInputs, settings: VisualizeSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.feature_visualization import visualize

    return visualize(settings=settings, weights=inputs.network_weights, device=device)


def _look_inside(inputs: LookInsideInputs, settings: LookInsideSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.look_inside import look_inside
    from creative.images import open_image

    return _told(look_inside(open_image(inputs.photo), settings, weights=inputs.network_weights, device=device))


def _told(looking: Generator[Step, None, Inside]) -> Generator[Step, None, Inside]:
    """What was seen, and a word on how to dream it."""
    inside = yield from looking
    strongest = inside.layers[-1].channels[0].name
    yield Step(
        1, 1, message=f"To dream its strongest channel into the photo: creative dream PHOTO --layers {strongest}"
    )
    return inside


def _channels(inputs: LookInsideInputs, settings: LookInsideSettings, inside: Inside) -> list[Area]:
    """Each channel on the sheet, to be dreamed into the photo."""
    areas = []
    for channel in (channel for layer in inside.layers for channel in layer.channels):
        chosen = channel.dream_settings()
        values = {name: getattr(chosen, name) for name in ("layers", "network", "subject")}
        values |= {"photo": inputs.photo, "network_weights": inputs.network_weights, "guide": None, "mask": None}
        areas.append(Area(channel.box, f"Dream {channel.name} into the photo", values))
    return areas


def _show_inside(inside: Inside) -> str:
    """The classes and the channels as tables."""
    classes = "".join(
        f"<tr><td>{html.escape(one.name)}</td><td>{one.confidence:.1%}</td></tr>" for one in inside.classes
    )
    channels = "".join(
        f"<tr><td><code>{channel.name}</code></td>"
        f"<td>{channel.strength:.3g}</td><td>{channel.peak:.3g}</td><td>{channel.mean:.3g}</td></tr>"
        for layer in inside.layers
        for channel in layer.channels
    )
    head = "<tr><th>Channel</th><th>Strength</th><th>Peak</th><th>Mean</th></tr>"
    named = f"<h2>What the network calls it</h2><table>{classes}</table>" if classes else ""
    return f"{named}<details><summary>The channels in numbers</summary><table>{head}{channels}</table></details>"


APP = App(
    name="deep_dream",
    title="DeepDream",
    summary="Amplify what a network sees in a photo.",
    actions=(
        Action(
            verb="dream",
            title="Dream",
            summary="Dream into a photo: amplify what the network sees in it.",
            inputs=DreamInputs,
            settings=DreamSettings,
            start=_dream,
            examples=photos_to_try,
            batch="photo",
        ),
        Action(
            verb="dream-zoom",
            title="Travel",
            summary="Make a video that travels into a photo and what is dreamed there.",
            inputs=DreamZoomInputs,
            settings=DreamZoomSettings,
            start=_zoom,
            examples=photos_to_try,
            output="video",
        ),
        Action(
            verb="dream-video",
            title="Dream along",
            summary="Dream into a video so that the dream sticks to things as they move.",
            inputs=DreamVideoInputs,
            settings=DreamVideoSettings,
            start=_along,
            output="video",
        ),
        Action(
            verb="visualize",
            title="Visualize",
            summary="Draw from nothing what a neuron, a channel, a layer or a class of the network looks for.",
            inputs=VisualizeInputs,
            settings=VisualizeSettings,
            start=_visualize,
        ),
        Action(
            verb="inside",
            title="Look inside",
            summary="Show what the network sees in a photo: its strongest channels, where, and what it calls it.",
            inputs=LookInsideInputs,
            settings=LookInsideSettings,
            start=_look_inside,
            examples=photos_to_try,
            show=_show_inside,
            clicks=Clicks("dream", "Click a channel to dream it into the photo.", _channels),
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
