"""The end of a painting: its final size, colours and masks, and the record of how it was made."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from creative.engines.style_transfer.job import Job
from creative.engines.style_transfer.optimizers import resized
from creative.engines.style_transfer.seeing import sized
from creative.images import colour_statistics, recoloured, recorded_masks, to_image, with_lightness
from creative.options.doodles import DoodleSettings
from creative.options.style_transfer import StylizeSettings, TextureSettings
from creative.provenance import describe_run
from creative.settings import Settings
from creative.style_presets import Preset, style_source


def finished(job: Job, picture: Tensor, counts: tuple[int, ...]) -> Image.Image:
    """The picture at its final size with colours and mask applied, and what it takes to make it again."""
    with torch.no_grad():
        picture = resized(picture.detach(), (job.size[1], job.size[0])).clamp(0, 1)
        if job.content is not None and (job.settings.colours != "painting" or job.mask is not None):
            content = sized(job.content, job.size, job.device)
            if job.settings.colours != "painting":
                if any(isinstance(style, Preset) for style in job.styles):  # a painting was recoloured itself
                    picture = recoloured(picture, *colour_statistics(content))
                if job.settings.colours == "photo":
                    picture = with_lightness(content, picture)
            if job.mask is not None:
                picture = torch.lerp(content, picture, sized(job.mask, job.size, job.device))
        image = to_image(picture)
    image.info["provenance"] = _provenance(job, counts)
    painting = job.styles[0]
    if job.regions is not None and isinstance(painting, Image.Image):
        guess = job.regions.guess(painting.size)
        image.info |= {"beside": {"style_map": guess}} if guess is not None else {}
    return image


def _provenance(job: Job, counts: tuple[int, ...]) -> Any:
    features, settings = job.maps.features, job.settings
    effective = settings.changed(
        iterations=counts,
        scales=len(counts),
        seconds=None,
        tile=job.tile,
        memory=None,
        precision=_name(job.maps.precision),
    )
    action, recorded = _action(job, effective)
    styles = [style_source(style) for style in job.styles]
    return describe_run(
        action,
        recorded,
        inputs={
            "photo": job.content,
            "style": styles[0],
            "more_styles": styles[1:],
            "mask": job.mask,
            "style_masks": recorded_masks(job.style_masks, job.size),
            "start": job.start if settings.init != "instant" else None,
            "map" if action == "doodle" else "content_map": job.content_map,
            "style_map": job.style_map,
        },
        weights={**_weights_of(job.start), settings.network: features.sha256},
        device=job.device,
        result={"iterations": list(counts)},
    )


def _action(job: Job, settings: StylizeSettings) -> tuple[str, Settings]:
    """The verb that makes such a picture, and those of the settings that it has."""
    if job.content is not None:
        return "style", settings
    verb, kind = ("doodle", DoodleSettings) if job.regions is not None else ("texture", TextureSettings)
    values = {name: value for name, value in settings.model_dump().items() if name in kind.model_fields}
    return verb, kind(**{**values, "init": "style" if settings.init == "style" else "noise"})


def _weights_of(picture: Image.Image | None) -> dict[str, str]:
    """The networks that made a picture, where it was made here."""
    made = picture.info.get("provenance") if picture is not None else None
    return dict(made.weights) if made is not None else {}


def _name(precision: torch.dtype | None) -> str:
    return "float32" if precision is None else str(precision).removeprefix("torch.")
