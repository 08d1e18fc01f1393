"""The ways to paint a photo, each ready to begin, or the reason why it cannot."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from creative.options.compare import OF_ONE_PAINTING, CompareSettings, WayName
from creative.options.diffusion import DiffuseSettings
from creative.options.fast_style import InstantSettings
from creative.options.style_transfer import StylizeSettings
from creative.options.translate import BUNDLED_TRANSLATOR, Direction, TranslateSettings
from creative.progress import Step
from creative.style_presets import Preset

TITLES = {
    "optimisation": "Optimisation",
    "instant": "Instant",
    "cyclegan": "CycleGAN",
    "diffusion": "Diffusion",
}
"""What each way is called on the sheet."""


def title_of(name: str) -> str:
    """What a way is called on the sheet."""
    return TITLES.get(name, name)


class CompareError(ValueError):
    """Nothing can be compared, or not so. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to paint the photo.

    Attributes:
        name: as on the command line.
        title: as on the sheet.
        manner: what it paints like: the painting, or the kind of pictures that it knows.
        engine: not begun; its result is the picture.
    """

    name: str
    title: str
    manner: str
    engine: Generator[Step, None, Image.Image]


@dataclass(frozen=True, slots=True)
class Material:
    """What all ways are given.

    Attributes:
        photo: at the size of the result.
        style: the painting, a preset, or None where only a kind of pictures is known.
        style_title: what it is called.
        domain: a kind of pictures, or None for each network's second one.
        painter, model, diffuser: networks by name or file; None for the usual ones.
    """

    photo: Image.Image
    style: Image.Image | Preset | None
    style_title: str
    domain: str | None = None
    painter: str | os.PathLike[str] | None = None
    model: str | os.PathLike[str] = BUNDLED_TRANSLATOR
    diffuser: str | os.PathLike[str] | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def painting(self) -> Image.Image | Preset:
        """The style, for ways that need one."""
        if self.style is None:
            raise CompareError("it paints like a single painting: give one, or a preset's name")
        return self.style


def prepare(material: Material, settings: CompareSettings) -> tuple[list[Way], dict[str, str]]:
    """The ways that can be gone, in their order, and why the others cannot.

    Raises:
        CompareError: there is none, or one that was asked for by name cannot.
    """
    if material.style is None:
        _check_without(settings)
    ready: list[Way] = []
    left_out: dict[str, str] = {}
    for name in settings.ways or tuple(_BEGIN):
        try:
            ready.append(_BEGIN[name](material, settings))
        except ValueError as error:  # weights that are missing, a kind of pictures that it does not know...
            if settings.ways:
                raise CompareError(f"{title_of(name)} cannot be compared: {sentence(error)}") from None
            left_out[name] = sentence(error)
    if not ready:
        raise CompareError(" ".join(f"{title_of(name)}: {why}" for name, why in left_out.items()))
    return ready, left_out


def _check_without(settings: CompareSettings) -> None:
    """Whether the ways that were asked for by name can do without a painting."""
    needing = [title_of(name) for name in settings.ways if name in OF_ONE_PAINTING]
    if needing:
        paint, them = ("paints", "it") if len(needing) == 1 else ("paint", "them")
        raise CompareError(
            f"{' and '.join(needing)} {paint} like one painting, and none is given: give a painting or a preset's "
            f"name, or leave {them} out of the ways."
        )


def sentence(error: BaseException) -> str:
    """What an error says to a person, ended by a full stop."""
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return "there is not enough memory for it; a smaller size may do."
    told = " ".join(str(error).split())
    if not isinstance(error, ValueError | OSError):
        told = f"an unexpected {type(error).__name__}: {told[:200]}"
    return told if told.endswith((".", "!", "?")) else f"{told}."


def _optimisation(material: Material, settings: CompareSettings) -> Way:
    from creative.engines.style_transfer import stylize

    chosen = StylizeSettings(
        size=_size(material), strength=settings.strength, quality=settings.quality, seed=settings.seed
    )
    engine = stylize(material.photo, material.painting, chosen, device=material.device)
    return Way("optimisation", TITLES["optimisation"], material.style_title, engine)


def _instant(material: Material, settings: CompareSettings) -> Way:
    from creative.engines.fast_style import paint

    chosen = InstantSettings(size=_size(material), strength=settings.strength, seed=settings.seed)
    engine = paint(material.photo, material.painting, chosen, painter=material.painter, device=material.device)
    return Way("instant", TITLES["instant"], material.style_title, engine)


def _cyclegan(material: Material, settings: CompareSettings) -> Way:
    from creative.engines.cyclegan.translating import translate
    from creative.models.cyclegan import read_config
    from creative.trained import find_trained

    path = find_trained("translator", material.model)
    domains = ("a", "b")
    if Path(path).suffix == ".safetensors":  # a published file does not say what it knows
        config = read_config(path)
        domains = (config.domain_a, config.domain_b)
    wanted = material.domain or domains[1]
    if wanted not in domains:
        raise CompareError(f"it knows {domains[0]} and {domains[1]}, not {wanted}")
    direction: Direction = "a_to_b" if wanted == domains[1] else "b_to_a"
    chosen = TranslateSettings(
        size=_size(material), strength=2 * settings.strength, direction=direction, cycle=False, seed=settings.seed
    )
    engine = translate(material.photo, chosen, model=Path(path), device=material.device)
    return Way("cyclegan", TITLES["cyclegan"], wanted, engine)


def _diffusion(material: Material, settings: CompareSettings) -> Way:
    from creative.engines.diffusion import load_diffuser, restyle
    from creative.engines.diffusion.diffuser import BUNDLED

    diffuser = load_diffuser(material.diffuser or BUNDLED, material.device)
    wanted = diffuser.domain(material.domain)
    chosen = DiffuseSettings(
        domain=wanted, strength=settings.strength, steps=settings.steps, size=_size(material), seed=settings.seed
    )
    engine = restyle(material.photo, chosen, model=diffuser, device=str(material.device))
    return Way("diffusion", TITLES["diffusion"], wanted, engine)


_BEGIN: dict[WayName, Callable[[Material, CompareSettings], Way]] = {
    "optimisation": _optimisation,
    "instant": _instant,
    "cyclegan": _cyclegan,
    "diffusion": _diffusion,
}


def _size(material: Material) -> int:
    """Of the longest side, which every way is told anew."""
    return max(material.photo.size)
