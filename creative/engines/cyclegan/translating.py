"""Translating pictures with one of a CycleGAN's generators: photos into paintings, and back.

Zhu et al. (2017), Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, arXiv:1703.10593.

    painted = run(translate(photo))
    painted = run(translate(photo, TranslateSettings(strength=1.3, size=1600)))
    photo = run(translate(painting, TranslateSettings(direction="b_to_a"), model="out/horses/best.safetensors"))
"""

from __future__ import annotations

from collections.abc import Generator as Engine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.blocks.gan import GANError, Generator
from creative.checkpoint import CheckpointError, read_metadata
from creative.device import choose_device
from creative.engines.cyclegan.canvas import Canvas
from creative.files import file_sha256, plain_name
from creative.images import fit, resize, to_image, to_tensor
from creative.models.cyclegan import load_generator, read_config
from creative.options.translate import BUNDLED_TRANSLATOR, Direction, TranslateSettings, TranslatingSettings
from creative.progress import Step, run
from creative.provenance import Provenance, describe_run
from creative.settings import Settings
from creative.trained import find_trained

SMALL = 256
"""Longest side in pixels of the copy that goes there and back, to be seen with the result."""
LEARNED_AT = 256
"""Short side in pixels of the pictures that a model was trained on, where its file does not say."""
GAP = 12
"""Pixels between pictures side by side."""
ROUND_TRIP = "round_trip"
"""Under which a result's ``info`` holds its ``RoundTrip``."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A small copy of a picture that went there and back.

    Attributes:
        pictures: as it was, translated, and translated back.
        domains: what the first and the second are pictures of.
        away: how far the last is from the first: mean difference of their pixels, in levels of 255.
    """

    pictures: tuple[Image.Image, Image.Image, Image.Image]
    domains: tuple[str, str]
    away: float


@dataclass(frozen=True)
class Translator:
    """A generator that is ready, and where it came from.

    Attributes:
        name: of the model, or of its file.
        path, sha256: of its file.
        direction: of the generator.
        domains: what it is given and what it makes, such as ("photo", "monet").
        generator: the network.
        both: whether the file holds the other direction as well.
        learned_at: short side in pixels of the pictures that it was trained on.
    """

    name: str
    path: Path
    sha256: str
    direction: Direction
    domains: tuple[str, str]
    generator: Generator
    device: torch.device
    both: bool
    learned_at: int = LEARNED_AT

    def back(self) -> Translator:
        """The generator of the way back.

        Raises:
            GANError: the file has one direction only.
        """
        other: Direction = "b_to_a" if self.direction == "a_to_b" else "a_to_b"
        if not self.both:
            raise GANError(
                f"{self.name} holds one direction only, so there is no way back to show: show the translation, "
                "or the pair."
            )
        generator = load_generator(self.path, other, device=self.device)
        return replace(self, direction=other, domains=(self.domains[1], self.domains[0]), generator=generator)

    def describe(self, action: str, settings: Settings, **inputs: object) -> Provenance:
        """What is written into a result."""
        given = None if self._is_bundled() else {"file": plain_name(self.path), "sha256": self.sha256}
        return describe_run(
            action,
            settings,
            inputs={**inputs, "model": given},  # type: ignore[dict-item]
            weights={self.name: self.sha256},
            device=self.device,
        )

    def _is_bundled(self) -> bool:
        return self.name == BUNDLED_TRANSLATOR


def load_translator(
    model: str | Path = BUNDLED_TRANSLATOR,
    direction: Direction = "a_to_b",
    *,
    device: str | torch.device | None = None,
) -> Translator:
    """The generator of one direction; the other one is not read.

    Args:
        model: a bundled model's name, one's own, a file, or the folder that it was trained in. A published checkpoint
            (``latest_net_G_A.pth``) holds one direction only, and that is the one.
        direction: which of the generators.
        device: where to compute; None chooses.

    Raises:
        WeightsError: there is no such model; the message has the names that are near.
        GANError, CheckpointError: the file is something else, damaged, or has no such direction.
    """
    path, where = find_trained("translator", model), choose_device(device or "auto")
    generator = load_generator(path, direction, device=where)
    try:
        config = read_config(path)
    except CheckpointError:  # a published one
        domains, both, learned_at = ("a", "b"), False, LEARNED_AT
    else:
        domains, both = (config.domain_a, config.domain_b), _has_both(path)
        learned_at = int(read_metadata(path).get("settings", {}).get("size", LEARNED_AT))
    name = str(model) if Path(model).name == str(model) and not Path(model).exists() else plain_name(path)
    return Translator(
        name=name,
        path=path,
        sha256=file_sha256(path),
        direction=direction,
        domains=domains if direction == "a_to_b" else (domains[1], domains[0]),
        generator=generator,
        device=where,
        both=both,
        learned_at=learned_at,
    )


def _has_both(path: Path) -> bool:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        names = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    return {"a_to_b", "b_to_a"} <= names


def translate(
    photo: Image.Image,
    settings: TranslateSettings = TranslateSettings(),  # noqa: B008 (frozen)
    *,
    model: str | Path = BUNDLED_TRANSLATOR,
    device: str | torch.device | None = None,
) -> Engine[Step, None, Image.Image]:
    """Translate a picture.

    Args:
        photo: of any size; large ones are drawn in tiles without seams.
        settings: how. With a strength of 0 the result is the picture itself, at the size asked for.
        model: a bundled model's name, one's own, a file, or the folder that it was trained in.
        device: where to compute; None chooses.

    Returns:
        The engine; its result is the picture with its provenance in ``info``, and in ``info["round_trip"]`` the small
        copies that went there and back, where the model has both directions and the settings do not say otherwise.

    Raises:
        WeightsError, GANError, CheckpointError: at the call: no such model, or no such direction in it.

    Example:
        >>> run(translate(open_image("harbour.jpg"), TranslateSettings(size=1200))).save("harbour-monet.png")
    """
    there = load_translator(model, settings.direction, device=device)
    back = there.back() if settings.show in {"round-trip", "both-ways"} or (settings.cycle and there.both) else None
    return _translate(photo, settings, there, back)


def _translate(
    photo: Image.Image, settings: TranslateSettings, there: Translator, back: Translator | None
) -> Engine[Step, None, Image.Image]:
    shown = resize(photo, fit(photo.size, min(settings.size, max(photo.size))))
    original = to_tensor(shown, there.device)
    legs = _legs(settings, there, back)
    tiles = sum(parts(leg, original.shape[-2:], settings) for leg, _ in legs)
    yield Step(0, tiles, preview=shown.copy, message=_notice(tiles // len(legs), shown))
    pictures = [original]
    for number, (leg, source) in enumerate(legs):
        done = number * tiles // len(legs)
        pictures.append((yield from changed(leg, pictures[source], settings, done=done, total=tiles)))
    drawn = [shown if settings.strength == 0 else to_image(picture) for picture in pictures[1:]]
    result = arranged(settings.show, shown, drawn)
    result.info["provenance"] = there.describe("translate", settings, photo=photo)
    if back is not None and settings.cycle and settings.show in {"translation", "pair"}:
        result.info[ROUND_TRIP] = round_trip(photo, settings, there, back)
    return result


def _legs(settings: TranslateSettings, there: Translator, back: Translator | None) -> list[tuple[Translator, int]]:
    """Who translates what: 0 is the picture as it came, 1 what the first has made of it, and so on."""
    if settings.show in {"translation", "pair"} or back is None:
        return [(there, 0)]
    return [(there, 0), (back, 1), *([(back, 0), (there, 3)] if settings.show == "both-ways" else [])]


def _notice(tiles: int, shown: Image.Image) -> str | None:
    return f"{shown.width} × {shown.height} pixels are drawn in {tiles} tiles." if tiles > 1 else None


def parts(translator: Translator, size: tuple[int, ...], settings: TranslatingSettings) -> int:
    """In how many tiles a picture of (height, width) is drawn."""
    if settings.strength == 0:
        return 1
    height, width = _drawing_size(translator, size, settings)
    return len(Canvas(translator.generator, settings.tile).cut(height, width))


def changed(
    translator: Translator, picture: Tensor, settings: TranslatingSettings, *, done: int = 0, total: int = 1
) -> Engine[Step, None, Tensor]:
    """(1, 3, H, W) in [0, 1] -> the same as the settings want it translated, a Step for each tile.

    What the generator changes is added to the picture, as much of it as the strength says.
    """
    if settings.strength == 0:
        yield Step(done + 1, total, preview=partial(to_image, picture))
        return picture
    small = _resampled(picture, _drawing_size(translator, picture.shape[-2:], settings))
    drawn = small
    for drawn in Canvas(translator.generator, settings.tile).draw(small):
        done += 1
        yield Step(done, total, preview=partial(_image, picture, small, drawn, settings.strength))
    return _applied(picture, small, drawn, settings.strength)


def _applied(picture: Tensor, small: Tensor, drawn: Tensor, strength: float) -> Tensor:
    if small is picture and strength == 1:
        return drawn
    return (picture + strength * _resampled(drawn - small, picture.shape[-2:])).clamp_(0, 1)


def _image(picture: Tensor, small: Tensor, drawn: Tensor, strength: float) -> Image.Image:
    return to_image(_applied(picture, small, drawn, strength))


def _drawing_size(translator: Translator, size: tuple[int, ...], settings: TranslatingSettings) -> tuple[int, int]:
    """The (height, width) of the copy that changes are drawn in.

    A generator knows things as large as they were in its training: in larger pictures its strokes are mere grain.
    """
    height, width = size[0], size[1]
    scale = max(1.0, min(size) / translator.learned_at) if settings.stroke_size is None else settings.stroke_size
    return max(1, round(height / scale)), max(1, round(width / scale))


def _resampled(picture: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(picture.shape[-2:]) == tuple(size):
        return picture
    smaller = picture.shape[-2] > size[0]
    return F.interpolate(picture, tuple(size), mode="bicubic", antialias=smaller)


def round_trip(photo: Image.Image, settings: TranslatingSettings, there: Translator, back: Translator) -> RoundTrip:
    """A small copy of a picture there and back, at full strength."""
    small = resize(photo, fit(photo.size, min(SMALL, settings.size, max(photo.size))))
    first = to_tensor(small, there.device)
    whole = settings.changed(strength=1.0, stroke_size=1.0, tile=0)
    second = run(changed(there, first, whole))
    third = run(changed(back, second, whole))
    away = float((third - first).abs().mean()) * 255
    return RoundTrip((small, to_image(second), to_image(third)), there.domains, away)


def arranged(show: str, photo: Image.Image, drawn: list[Image.Image]) -> Image.Image:
    """The result: one picture, or several side by side on white."""
    if show == "translation":
        return drawn[0].copy()
    rows = [[photo, *drawn[:2]], [photo, *drawn[2:]]] if show == "both-ways" else [[photo, *drawn]]
    width, height = photo.size
    columns = len(rows[0])
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (column * (width + GAP), row * (height + GAP)))
    return sheet
