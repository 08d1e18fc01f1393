"""The ways one after another: each paints, is measured, and takes its place on the sheet.

The style distances are Gatys et al.'s, "Image Style Transfer Using Convolutional Neural Networks" (2016,
arXiv:1508.06576), relative to the photo's own; see ``creative.metrics``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from creative.device import choose_device
from creative.engines.compare.judging import BUNDLED, SECOND, Distances, Judge
from creative.engines.compare.meter import Meter
from creative.engines.compare.sheet import Cell, draw_sheet
from creative.engines.compare.ways import Material, Way, prepare, sentence, title_of
from creative.images import fit, pixel_sha256, resize
from creative.options.compare import CompareSettings
from creative.options.translate import BUNDLED_TRANSLATOR
from creative.progress import Step
from creative.provenance import Provenance, describe_run
from creative.style_presets import Preset

PARTS = 100
"""Steps that each way counts for."""


@dataclass(frozen=True, slots=True)
class Painted:
    """What one way came to.

    Attributes:
        name, title, manner: of the way; what it paints like.
        picture: the painted photo.
        seconds: that it worked, without the loading of its network.
        memory_mb: the most that it held on top of what was held before it began, MiB; None where nobody says. On a GPU
            what PyTorch allocated there, else of the process's resident set.
        distances: of each judge.
    """

    name: str
    title: str
    manner: str
    picture: Image.Image
    seconds: float
    memory_mb: float | None
    distances: tuple[Distances, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures for other programs."""
        return {
            "way": self.name,
            "paints_like": self.manner,
            "seconds": round(self.seconds, 3),
            "memory_mb": None if self.memory_mb is None else round(self.memory_mb, 1),
            "distances": {
                one.judge: {"style": _rounded(one.style), "content": _rounded(one.content)} for one in self.distances
            },
        }


@dataclass(frozen=True)
class Comparison:
    """A photo, and what the ways made of it so far.

    Attributes:
        photo: at the size of the results.
        style: the painting to be seen beside it: the painting itself, a preset's swatch, or None.
        style_title: what that is called.
        results: of the ways that are done, in their order.
        left_out: by the way's name, why it could not.
        judges: who measured.
        provenance: how it was made; None while it is being made.
        at_work: the way that is painting, and what it has so far.
        to_come: the titles of the ways after that.
    """

    photo: Image.Image
    style: Image.Image | None
    style_title: str
    results: tuple[Painted, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    judges: tuple[str, ...] = ()
    provenance: Provenance | None = field(default=None, compare=False)
    at_work: tuple[str, str, Image.Image | None] | None = None
    to_come: tuple[str, ...] = ()

    @cached_property
    def picture(self) -> Image.Image:
        """The sheet: the photo, the painting and the results with what they took, in rows."""
        cells = [Cell(self.photo, "Photo")]
        if self.style is not None:
            cells.append(Cell(self.style, "Style", self.style_title))
        cells += [
            Cell(one.picture, one.title, one.manner, one.seconds, one.memory_mb, one.distances) for one in self.results
        ]
        if self.at_work is not None:
            title, manner, picture = self.at_work
            cells.append(Cell(picture, title, manner))
        cells += [Cell(None, title) for title in self.to_come]
        sheet = draw_sheet(cells, self.photo.size, self._notes())
        if self.provenance is not None:
            sheet.info["provenance"] = self.provenance
        return sheet

    @property
    def missing(self) -> list[str]:
        """Why ways are missing, a sentence for each."""
        return [f"{title_of(name)} is left out: {why}" for name, why in self.left_out.items()]

    @property
    def has_style(self) -> bool:
        """Whether there is a painting whose style the results can be near to."""
        return any(seen.style is not None for one in self.results for seen in one.distances)

    @property
    def figures_told(self) -> list[str]:
        """What has to be said of the figures, a few sentences each; none where there are no figures."""
        if not self.results:
            return []
        style = "Style: 0 is the painting's, 1 as far from it as the photo. " if self.has_style else ""
        return [f"{style}{CONTENT_NOTE}", TOOK_NOTE]

    def _notes(self) -> list[str]:
        second = [SECOND_NOTE] if SECOND in self.judges and self.results else []
        return [*self.figures_told, *second, *self.missing]

    def to_json(self) -> dict[str, Any]:
        """The figures for other programs."""
        left_out = [{"way": name, "reason": why} for name, why in self.left_out.items()]
        return {"ways": [one.to_json() for one in self.results], "left_out": left_out}


CONTENT_NOTE = "Content: 0 is the photo's. The network that sees this is the one that optimisation paints by."
TOOK_NOTE = "Seconds of work, without loading; the most memory held on top of what was held before."
SECOND_NOTE = "Second row of distances: SqueezeNet's, by which none of them paints."


def compare(
    photo: Image.Image,
    style: Image.Image | Preset | None = None,
    settings: CompareSettings = CompareSettings(),  # noqa: B008 (frozen)
    *,
    style_title: str = "",
    domain: str | None = None,
    painter: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] = BUNDLED_TRANSLATOR,
    diffuser: str | os.PathLike[str] | None = None,
    judge_weights: Path | None = None,
    device: str | torch.device | None = None,
) -> Generator[Step, None, Comparison]:
    """Paint one photo in every way, one after another, and measure them.

    Args:
        photo: of any size.
        style: a painting or a preset for the ways that paint like one; None: only the others are compared.
        settings: which ways, and how.
        style_title: what the style is called; a preset knows it.
        domain: the kind of pictures for the ways that know kinds; None for each network's second one.
        painter, model, diffuser: networks by name or file; None for the usual ones.
        judge_weights: weights of SqueezeNet 1.0, to measure with as well as with the bundled network.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The engine; its result is a ``Comparison``, whose ``picture`` is the sheet. Its previews are comparisons as
        well, so that what is done is kept when it is stopped. A way that fails on the way is left out with the reason.

    Raises:
        CompareError: at the call: no way can be gone, or not one that was asked for by name.
        ValueError: at the call: whatever else is wrong (no such device, weights of another network).

    Example:
        >>> run(compare(photo, load_preset("starry-night"))).picture.save("compared.png")
    """
    chosen = choose_device(device or "auto")
    small = resize(photo, fit(photo.size, min(settings.size, max(64, *photo.size))))
    title = style_title or (style.title if isinstance(style, Preset) else "the painting")
    material = Material(small, style, title, domain, painter, model, diffuser, chosen)
    ways, left_out = prepare(material, settings)
    judges = [Judge(BUNDLED, small, style, device=chosen)]
    if judge_weights is not None:
        judges.append(Judge(SECOND, small, style, weights=judge_weights, device=chosen))
    shown = style.swatch if isinstance(style, Preset) else style
    begun = Comparison(small, shown, title, left_out=left_out, judges=tuple(one.network for one in judges))
    record = partial(_provenance, photo, style, settings, chosen, judges)
    return compare_ways(begun, ways, judges, record, chosen)


def compare_ways(
    begun: Comparison,
    ways: Sequence[Way],
    judges: Sequence[Callable[[Image.Image], Distances]],
    record: Callable[[Sequence[Painted]], Provenance],
    device: torch.device,
) -> Generator[Step, None, Comparison]:
    """Let ways that are ready paint in turn; see ``compare``.

    Args:
        begun: the photo and the style.
        ways: in their order.
        judges: who measure each result.
        record: the provenance of a comparison with these results.
        device: whose memory is measured.
    """
    results: list[Painted] = []
    left_out = dict(begun.left_out)
    failed: BaseException | None = None
    titles = [way.title for way in ways]

    def so_far(number: int, picture: Callable[[], Any] | None = None) -> Comparison:
        at_work = (ways[number].title, ways[number].manner, picture() if picture else None)
        to_come = tuple(titles[number + 1 :])
        return _with(begun, results, left_out, at_work=at_work, to_come=to_come)

    total = PARTS * len(ways)
    try:
        for name, why in begun.left_out.items():
            yield Step(0, total, message=f"{title_of(name)} is left out: {why}")
        yield Step(0, total, preview=partial(so_far, 0))
        for number, way in enumerate(ways):
            meter, done = Meter(device), PARTS * number
            engine = meter.run(way.engine)
            try:
                while True:
                    step = next(engine)
                    share = min(0.99, step.share or 0.0)
                    told = f"{way.title}: {step.message}" if step.message else None
                    at = max(done + int(PARTS * share), 1 if number else 0)
                    yield Step(at, total, preview=partial(so_far, number, step.preview), message=told)
            except StopIteration as end:
                picture: Image.Image = end.value
            except Exception as error:  # the others' results are worth keeping
                failed = error
                left_out[way.name] = sentence(error)
                yield Step(done + PARTS, total, message=f"{way.title} is left out: {sentence(error)}")
                continue
            finally:
                engine.close()
            seen = tuple(judge(picture) for judge in judges)
            results.append(Painted(way.name, way.title, way.manner, picture, meter.seconds, meter.memory_mb, seen))
            now = _with(begun, results, left_out, to_come=tuple(titles[number + 1 :]))
            yield Step(done + PARTS, total, preview=partial(_same, now), message=_told(results[-1]))
    finally:
        for way in ways:
            way.engine.close()
    if not results and failed is not None:
        raise failed
    return _with(begun, results, left_out, provenance=record(results))


def _with(begun: Comparison, results: Sequence[Painted], left_out: Mapping[str, str], **more: Any) -> Comparison:
    return Comparison(begun.photo, begun.style, begun.style_title, tuple(results), dict(left_out), begun.judges, **more)


def _same(comparison: Comparison) -> Comparison:
    return comparison


def _told(one: Painted) -> str:
    """A result in a sentence."""
    parts = [f"{one.seconds:.1f} s"]
    parts += [f"{one.memory_mb:,.0f} MB"] if one.memory_mb is not None else []
    first = one.distances[0] if one.distances else None
    if first is not None:
        parts += [f"style {first.style:.2f}"] if first.style is not None else []
        parts += [f"content {first.content:.2f}"]
    return f"{one.title}: {', '.join(parts)}."


def _provenance(
    photo: Image.Image,
    style: Image.Image | Preset | None,
    settings: CompareSettings,
    device: torch.device,
    judges: Sequence[Judge],
    results: Sequence[Painted],
) -> Provenance:
    weights = {"features" if one.network == BUNDLED else one.network: one.sha256 for one in judges}
    given: dict[str, Any] = {"photo": photo, "style": style if isinstance(style, Image.Image) else None}
    if isinstance(style, Preset):
        given["style"] = {"file": style.file, "sha256": style.sha256}
    for result in results:
        made = result.picture.info.get("provenance")
        if isinstance(made, Provenance):
            weights |= made.weights
            for name in {"model", "painter"} & set(made.inputs):  # networks that are not the bundled ones
                source = made.inputs[name][0]
                given["diffuser" if result.name == "diffusion" else name] = {
                    "file": source.file,
                    "sha256": source.sha256,
                }
    return describe_run(
        "compare",
        settings.changed(ways=tuple(result.name for result in results)),
        inputs=given,
        weights=weights,
        device=device,
        result={
            "pictures": {result.name: pixel_sha256(result.picture) for result in results},
            "figures": {result.name: result.to_json() for result in results},
        },
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
