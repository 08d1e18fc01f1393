"""The algorithm: octaves from small to large, steps along the gradient in each, detail carried from one to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from creative.device import choose_device, fast_dtype, random_generator
from creative.engines.deep_dream.ascent import normalised, smoothed
from creative.engines.deep_dream.objective import DreamError, Objective
from creative.files import plain_name
from creative.images import fit, resize, to_image, to_tensor, with_lightness
from creative.models.classes import class_number
from creative.models.features import Features, load_classifier, load_features
from creative.options.deep_dream import LOOKS, DreamSettings, parse_layers
from creative.progress import Step
from creative.provenance import Provenance, describe_run

P = ParamSpec("P")
T = TypeVar("T")

LEAST_SIDE = 48
"""Pixels that the shorter side of an octave has at least, if the look chooses how many octaves there are."""
MOST_OCTAVES = 20
WHOLE = 1_500_000
"""Pixels of a picture up to which its gradient is computed at once, if nobody says otherwise."""
TILE = 512
"""Side in pixels of the tiles for larger ones."""
GUIDE_SIDE = 256


def dream(
    photo: Image.Image,
    settings: DreamSettings = DreamSettings(),  # noqa: B008 (frozen)
    *,
    guide: Image.Image | None = None,
    mask: Image.Image | None = None,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Image.Image]:
    """Dream into a photo.

    Args:
        photo: a picture of mode RGB.
        settings: how; a look is enough.
        guide: a picture whose features are looked for.
        mask: mode L, white where to dream; stretched to the photo's shape.
        weights: a file in place of the network's own weights.
        device: where to compute; None chooses.

    Raises:
        ValueError: at the call: an unknown layer or class, a channel out of range, an octave smaller than the network
            can see, weights that are nowhere to be found.
    """
    dreamer = load_dreamer(settings, guide=guide, weights=weights, device=device)
    plan = dreamer.plan(fit(photo.size, settings.size))
    return _dream(photo, dreamer, plan, guide, mask)


def _dream(
    photo: Image.Image, dreamer: Dreamer, plan: Plan, guide: Image.Image | None, mask: Image.Image | None
) -> Generator[Step, None, Image.Image]:
    original = resize(photo, plan.size)
    for step in dreamer.steps(original, plan, seed=dreamer.settings.seed, mask=mask):
        yield step
        picture = step.preview
    assert picture is not None
    image: Image.Image = picture()
    image.info["provenance"] = dreamer.describe("dream", plan, photo=photo, guide=guide, mask=mask)
    return image


def _own_modes(function: Callable[P, T]) -> Callable[P, T]:
    """The function in modes of its own: gradients on, no inference mode or autocast, whatever the caller has set."""

    @wraps(function)
    def undisturbed(*args: P.args, **kwargs: P.kwargs) -> T:
        kinds = {"cpu", *(["cuda"] if torch.cuda.is_available() else [])}
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for kind in kinds:
                stack.enter_context(torch.autocast(kind, enabled=False))
            return function(*args, **kwargs)

    return undisturbed


@dataclass(frozen=True, slots=True)
class Plan:
    """The octaves' sizes, (width, height), from small to large, and the steps in each."""

    octaves: tuple[tuple[int, int], ...]
    steps: int
    message: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the result."""
        return self.octaves[-1]

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.steps * len(self.octaves)


class Dreamer:
    """A loaded network and how to dream with it: for one picture, or for the frames of a video one after another.

    Attributes:
        settings: with what the look leaves open filled in.
        objective: what grows.
        weights_source: the weights' file, where one was given in place of the network's own.
    """

    def __init__(
        self,
        settings: DreamSettings,
        objective: Objective,
        *,
        weights_source: Mapping[str, str] | None = None,
    ) -> None:
        self.settings, self.objective = settings, objective
        self.features: Features = objective.features
        self.device = objective.device
        self.weights_source = weights_source
        self._balanced = False

    def plan(self, size: tuple[int, int], *, steps: int | None = None) -> Plan:
        """The octaves for a result of (width, height).

        Raises:
            DreamError: the smallest is smaller than the network can see.
        """
        ratio = self.settings.octave_ratio or 1.4
        count = self.settings.octaves or self._octaves_by_look(max(size), ratio)
        sides = [fit(size, max(1, round(max(size) / ratio**k))) for k in reversed(range(count))]
        sides[-1] = size
        least = self.features.min_size
        able = [octave for octave in sides if min(octave) >= least]
        shape = f"{size[0]} × {size[1]}"
        if not able:
            raise DreamError(
                f"{self.features.network} up to {self.features.layers[-1]} needs at least {least} pixels a side, "
                f"but the picture would have {shape}: choose a larger size or a shallower layer."
            )
        if len(able) < count and self.settings.octaves:
            raise DreamError(
                f"The smallest of {count} octaves would have {sides[0][0]} × {sides[0][1]} pixels, fewer than the "
                f"{least} a side that {self.features.network} up to {self.features.layers[-1]} needs: "
                f"for {shape} take {len(able)} at most."
            )
        if not self.settings.octaves:
            able = [octave for octave in able if min(octave) >= LEAST_SIDE] or able[-1:]
        message = None if len(able) == count else f"The picture is narrow: {len(able)} octaves instead of {count}."
        return Plan(tuple(able), self.settings.steps or 1 if steps is None else steps, message)

    def _octaves_by_look(self, longest: int, ratio: float) -> int:
        """As many as lead from the look's coarsest to the size of the result."""
        steps = math.log(longest / LOOKS[self.settings.look].coarsest) / math.log(ratio)
        return min(max(1, 1 + round(steps)), MOST_OCTAVES)

    def describe(self, action: str, plan: Plan, **inputs: Image.Image | Mapping[str, str] | None) -> Provenance:
        """What is written into a result of the plan."""
        return describe_run(
            action,
            self.settings.changed(octaves=len(plan.octaves)),
            inputs={**inputs, "network_weights": self.weights_source},
            weights={self.settings.network: self.features.sha256},
            device=self.device,
        )

    def steps(
        self,
        original: Image.Image,
        plan: Plan,
        *,
        seed: int,
        mask: Image.Image | None = None,
        start: Image.Image | None = None,
    ) -> Generator[Step, None, None]:
        """Dream into a picture of the plan's size; the last Step's preview makes the result.

        Args:
            original: what the dream is blended with, and whose colours are kept, if the settings say so.
            start: what the dream begins in, if not the original.
        """
        total, done = plan.total, 0
        start = original if start is None else start
        yield Step(0, total, preview=start.copy, message=plan.message)
        random = random_generator(seed)
        dreamed: Tensor | None = None  # the octave before, and what it began with
        begun: Tensor | None = None
        for number, size in enumerate(plan.octaves, 1):
            base, picture = self._begin(resize(start, size), dreamed, begun)
            allowed = self._allowed(mask, size)
            dreamed, begun = picture, base if number < len(plan.octaves) else None  # large pictures: not kept in vain
            del base
            finished = partial(self._finished, original, picture, mask)
            if not plan.steps and number == len(plan.octaves):
                yield Step(total, total, preview=finished)
            for _ in range(plan.steps):
                self.step(picture, random, allowed)
                done += 1
                yield Step(done, total, {"objective": self.objective.value, "octave": number}, finished)

    @_own_modes
    def _begin(self, start: Image.Image, dreamed: Tensor | None, begun: Tensor | None) -> tuple[Tensor, Tensor]:
        """What an octave begins in, without and with the detail of the octave before (which is used up)."""
        base = to_tensor(start, self.device)
        if dreamed is None or begun is None:
            return base, base.clone()
        detail = _resampled(dreamed.sub_(begun), start.size)
        return base, detail.add_(base).clamp_(0, 1)

    @_own_modes
    def step(self, picture: Tensor, random: torch.Generator, allowed: Tensor | None = None) -> None:
        """One step along the gradient, in place: (1, 3, H, W) in [0, 1]."""
        settings = self.settings
        if not self._balanced:
            self.objective.balance(picture, self._tile(picture))
            self._balanced = True
        shift = torch.randint(-settings.jitter, settings.jitter + 1, (2,), generator=random).tolist()
        moved = torch.roll(picture, shift, (2, 3)) if any(shift) else picture
        gradient = self.objective.gradient(moved, self._tile(picture))
        if any(shift):
            del moved
            gradient = torch.roll(gradient, [-shift[0], -shift[1]], (2, 3))
        gradient = normalised(smoothed(gradient, settings.smoothing or 0), settings.normalise)
        if allowed is not None:
            gradient.mul_(allowed)
        picture.add_(gradient, alpha=(settings.step_size or 0) * settings.strength).clamp_(0, 1)

    def _tile(self, picture: Tensor) -> int:
        if self.settings.tile is not None:
            return self.settings.tile
        return TILE if picture.shape[-2] * picture.shape[-1] > WHOLE else 0

    def _allowed(self, mask: Image.Image | None, size: tuple[int, int]) -> Tensor | None:
        return None if mask is None else to_tensor(resize(mask.convert("L"), size), self.device)

    def _finished(self, original: Image.Image, picture: Tensor, mask: Image.Image | None) -> Image.Image:
        """The picture as a result: at full size, blended with the original, in its colours if asked, masked."""
        settings = self.settings
        size = original.size
        result = picture if (picture.shape[-1], picture.shape[-2]) == size else _resampled(picture, size)
        if settings.blend < 1 or settings.colours == "photo" or mask is not None:
            photo = to_tensor(original, self.device)
            if settings.colours == "photo":
                result = with_lightness(photo, result)
            if settings.blend < 1:
                result = torch.lerp(photo, result, settings.blend)
            if mask is not None:
                allowed = self._allowed(mask, size)
                assert allowed is not None
                result = torch.where(allowed > 0, result, photo)
        return to_image(result)


@_own_modes
def load_dreamer(
    settings: DreamSettings,
    *,
    guide: Image.Image | None = None,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
) -> Dreamer:
    """Load the network that the settings name; see ``dream``."""
    settings = settings.changed(**settings.resolved())
    where = choose_device(device or "auto")
    parts = parse_layers(settings.layers)
    layers = [part.layer for part in parts]
    if guide is not None and not parts:
        raise DreamError(
            "A guide says what to look for in layers, and a subject alone has none: give layers too, or one of the two."
        )
    classifier, subject = None, None
    if settings.subject is not None:
        if settings.pooling != "max":
            raise DreamError("A subject is dreamed of with max-pooling only: its classifier was trained so.")
        classifier = load_classifier(settings.network, layers=layers, weights=weights, device=where)
        subject = class_number(classifier.classes, settings.subject)
        features = classifier.features
    else:
        features = load_features(
            settings.network, layers=layers, weights=weights, pooling=settings.pooling, device=where
        )
    objective = Objective(
        features,
        parts,
        maximise=settings.maximise,
        guide=_guide(guide, features, where) if guide is not None else None,
        classifier=classifier,
        subject=subject,
        precision=fast_dtype(where) if settings.precision == "auto" else None,
    )
    source = {"file": plain_name(weights), "sha256": features.sha256} if weights is not None else None
    return Dreamer(settings, objective, weights_source=source)


def _guide(guide: Image.Image, features: Features, device: torch.device) -> Tensor:
    small = fit(guide.size, min(GUIDE_SIDE, max(guide.size)))
    if min(small) < features.min_size:
        raise DreamError(
            f"The guide is too small or too narrow: made {small[0]} × {small[1]} pixels, it has fewer than the "
            f"{features.min_size} a side that {features.network} up to {features.layers[-1]} needs."
        )
    return to_tensor(resize(guide, small), device)


def _resampled(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(picture, (size[1], size[0]), mode="bicubic", antialias=max(picture.shape[-2:]) > max(size))
