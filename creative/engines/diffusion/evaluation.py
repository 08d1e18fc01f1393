"""How near the pictures that a diffusion network draws come to those it learned from, and whether they are copies."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image
from torch import Tensor

from creative.data.pictures import centre_crops
from creative.data.unpaired import Domain, find_domains, pack_domains
from creative.device import choose_device
from creative.engines.diffusion.denoising import Aim, drawn, noise, seen_at
from creative.engines.diffusion.diffuser import BUNDLED, Diffuser, choose_diffuser
from creative.files import plain_name
from creative.images import contact_sheet, save_image
from creative.metrics import JUDGED, Ruler, describe_pictures
from creative.models.diffusion import DiffusionError
from creative.models.features import Features, load_features
from creative.options.features import BUNDLED as BUNDLED_FEATURES
from creative.options.train_diffusion import EvaluateDiffusionSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run
from creative.weights import locate

JUDGE = "squeezenet1_0"
"""A network of others."""
SHOWN = 10
"""Pictures in a row of the sheet."""
AT_ONCE = 20
"""Pictures that are drawn between two Steps."""


@dataclass(frozen=True)
class Distances:
    """Of one kind of pictures, seen by one network: distances from held-out ones.

    Attributes:
        kernel, frechet: of those ``drawn``, of those of the ``other`` kind, and of those learned from, the ``floor``.
    """

    kernel: Mapping[str, float]
    frechet: Mapping[str, float]


@dataclass(frozen=True)
class Nearness:
    """How near drawn pictures are to the nearest training picture, relative to held-out ones: 1 alike, far below 1
    copies.

    Attributes:
        middle, nearest: of the median picture, and of the one that is nearest.
    """

    middle: float
    nearest: float


@dataclass
class Report:
    """Everything that was measured; ``text`` is a report in Markdown.

    Attributes:
        file, sha256: of the network.
        domains: what the two kinds are called.
        size: side of the pictures in pixels.
        counts: of each domain, pictures drawn, held out, and learned from.
        distances: by domain and judging network.
        nearness: by domain.
        picture: pictures drawn, not picked, and under them the training pictures nearest to them.
        provenance: how it was measured.
    """

    file: str
    sha256: str
    domains: Sequence[str]
    size: int
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    distances: dict[tuple[str, str], Distances] = field(default_factory=dict)
    nearness: dict[str, Nearness] = field(default_factory=dict)
    picture: Image.Image | None = None
    provenance: Provenance | None = None

    def metrics(self) -> dict[str, float]:
        """All numbers by name."""
        found: dict[str, float] = {}
        for (domain, judge), measured in self.distances.items():
            found |= {f"{domain}_{judge}_kernel_{name}": value for name, value in measured.kernel.items()}
            found |= {f"{domain}_{judge}_frechet_{name}": value for name, value in measured.frechet.items()}
        return found | {f"{domain}_nearness": value.middle for domain, value in self.nearness.items()}

    @property
    def text(self) -> str:
        """The report."""
        parts = [f"{self.file}, sha256 `{self.sha256}`"]
        for domain, counts in self.counts.items():
            parts.append(
                f"{domain}: {counts[0]} pictures drawn, {self.size} px, against {counts[1]} held-out ones; the floor "
                f"is {counts[2]} of the training set. Kernel and Fréchet distances of the layers' means and deviations "
                "(Fréchet per dimension); in brackets as a multiple of the floor."
            )
            judges = [judge for known, judge in self.distances if known == domain]
            head = (
                f"| {domain} | " + " | ".join(f"{kind}, {j}" for j in judges for kind in ("kernel", "Fréchet")) + " |"
            )
            rows = [head, "|---|" + "---:|" * (2 * len(judges))]
            for name, title in (
                ("other", "the other kind"),
                ("drawn", "**drawn**"),
                ("floor", "training set (the floor)"),
            ):
                cells = []
                for judge in judges:
                    measured = self.distances[domain, judge]
                    for values in (measured.kernel, measured.frechet):
                        times = f" ({values[name] / values['floor']:.1f}×)" if values["floor"] > 0 else ""
                        cells.append(f"{values[name]:.3f}" + times * (name != "floor"))
                rows.append(f"| {title} | " + " | ".join(cells) + " |")
            parts.append("\n".join(rows))
            if domain in self.nearness:
                near = self.nearness[domain]
                parts.append(
                    f"Distance to the nearest training picture, relative to that of held-out ones: {near.middle:.2f} "
                    f"in the middle, {near.nearest:.2f} for the nearest (copies would have 0)."
                )
        return "\n\n".join(parts) + "\n"

    def __str__(self) -> str:
        return self.text


def evaluate_diffusion(
    a: Path,
    b: Path,
    settings: EvaluateDiffusionSettings | None = None,
    *,
    model: str | Path | Diffuser = BUNDLED,
    judge: Path | None = None,
    cache: Path = Path("out/evaluate-diffusion"),
    sheet_file: Path | None = None,
    device: str = "auto",
) -> Generator[Step, None, Report]:
    """Measure a network against held-out pictures of its two kinds.

        report = run(evaluate_diffusion(Path("photo"), Path("monet")))
        print(report.text)

    Args:
        a, b: folders of pictures of its first and its second domain; held out are those in folders ``test`` or ``val``,
            else every tenth.
        settings: how many are drawn, and how.
        model: a trained network's name or file, or a network.
        judge: weights of torchvision's squeezenet1_0; None: where they are found, else it does not judge.
        cache: folder for the decoded pictures.
        sheet_file: a picture file for what is drawn and the training pictures nearest to it.
        device: where to compute.

    Raises:
        PicturesError, WeightsError, CheckpointError, DiffusionError, FeaturesError: at once, if something is missing.
    """
    settings, place = settings or EvaluateDiffusionSettings(), choose_device(device)
    kinds = find_domains(a, b)
    diffuser = choose_diffuser(model, place)
    if len(diffuser.domains) != 2:
        raise DiffusionError(f"It draws {len(diffuser.domains)} kinds of pictures, but two folders were given.")
    eyes = {BUNDLED_FEATURES: load_features(layers=JUDGED[BUNDLED_FEATURES], device=place)}
    if judge is not None or locate(JUDGE) is not None:
        eyes[JUDGE] = load_features(JUDGE, layers=JUDGED[JUDGE], weights=judge, device=place)
    report = Report(plain_name(diffuser.path), diffuser.sha256, diffuser.domains, diffuser.config.size)
    report.provenance = describe_run(
        "evaluate diffusion",
        settings,
        weights={BUNDLED: report.sha256, **{name: features.sha256 for name, features in eyes.items()}},
        device=place,
    )
    return _evaluate(kinds, diffuser, settings, eyes, report, Path(cache), sheet_file)


def _evaluate(
    kinds: tuple[Domain, Domain],
    diffuser: Diffuser,
    settings: EvaluateDiffusionSettings,
    eyes: Mapping[str, Features],
    report: Report,
    cache: Path,
    sheet_file: Path | None,
) -> Generator[Step, None, Report]:
    total = 2 * -(-settings.num // AT_ONCE) + 2 * len(eyes)
    preview: Callable[[], Report] = lambda: report  # noqa: E731
    yield Step(0, total, message="Decoding pictures.")
    a, b = kinds
    side = diffuser.config.size * 2 ** (diffuser.config.num_levels - 1)
    kept = yield from pack_domains(a.held_out, b.held_out, cache, size=side)
    known = yield from pack_domains(
        _some(a.training, settings.floor), _some(b.training, settings.floor), cache, size=side
    )
    held_out, learned = (
        [centre_crops(packed, report.size).to(diffuser.device) for packed in both] for both in (kept, known)
    )
    made: list[Tensor] = []
    done = 0
    for domain in diffuser.domains:
        aim = Aim(domain, steps=settings.steps, guidance=settings.guidance)
        found = []
        seeds = [settings.seed + place for place in range(settings.num)]
        for first in range(0, settings.num, AT_ONCE):
            start = noise(seeds[first : first + AT_ONCE], (report.size, report.size), diffuser.device)
            found.append(drawn(diffuser.network, start, aim))
            done += 1
            yield Step(done, total, report.metrics(), preview)
        made.append(torch.cat(found))
    rows: list[Tensor] = []
    for judge, features in eyes.items():
        described = [
            [describe_pictures(features, seen_at(each)) for each in part] for part in (held_out, learned, made)
        ]
        ruler = Ruler.between(judge, *described[0])
        for place, domain in enumerate(diffuser.domains):
            wanted, near, drawn_ = (part[place] for part in described)
            report.distances[domain, judge] = _distances(ruler, drawn_, described[0][1 - place], near, wanted)
            if judge == BUNDLED_FEATURES:
                report.counts[domain] = (len(drawn_), len(wanted), len(near))
                scaled = [(values - ruler.mean) / ruler.deviation for values in (drawn_, wanted, near)]
                report.nearness[domain], nearest = _nearness(*scaled)
                rows += [made[place][:SHOWN], learned[place][nearest[:SHOWN]]]
            done += 1
            yield Step(done, total, report.metrics(), preview)
    report.picture = contact_sheet(rows)
    if sheet_file is not None:
        save_image(report.picture, sheet_file)
    return report


def _some(files: Sequence[Path], most: int) -> list[Path]:
    stride = max(1, len(files) // most)
    return list(files[::stride][:most])


def _distances(ruler: Ruler, made: Tensor, other: Tensor, learned: Tensor, wanted: Tensor) -> Distances:
    """As many at a time as are held out, since the Fréchet distance of few is larger than that of many."""
    kernel, frechet = {}, {}
    for name, values in (("other", other), ("drawn", made), ("floor", learned)):
        parts = [part for part in values.split(len(wanted)) if len(part) == len(wanted)] or [values]
        kernel[name] = fmean(ruler.kernel(part, wanted) for part in parts)
        frechet[name] = fmean(ruler.frechet(part, wanted) for part in parts)
    return Distances(kernel, frechet)


def _nearness(made: Tensor, held_out: Tensor, learned: Tensor) -> tuple[Nearness, Tensor]:
    """And which training picture is nearest to each that was drawn."""
    distances = torch.cdist(made, learned)
    usual = torch.cdist(held_out, learned).amin(1).median().clamp(min=1e-9)
    nearest = distances.amin(1) / usual
    return Nearness(float(nearest.median()), float(nearest.min())), distances.argmin(1)
