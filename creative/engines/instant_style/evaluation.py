"""How well a network paints in one pass: style, content and grain by a judge, colours kept, checkerboards.

report = run(evaluate_instant_style([Path("photos")], ["udnie", "wave.jpg"]))
print(report.text)
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from creative.data.pictures import find_pictures
from creative.device import choose_device
from creative.engines.instant_style.objective import CONTENT_LAYER, JUDGE_LAYERS
from creative.files import file_sha256, plain_name
from creative.images import fit, open_image, resize, save_image, to_image, to_tensor
from creative.metrics import checkerboard, style_quality
from creative.models.features import Features, load_features
from creative.models.style_net import STYLE_LAYERS, StyleNet, StyleNetError, load_style_net, style_moments
from creative.options.instant_style import EvaluateInstantStyleSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run
from creative.trained import find_trained

FIGURES = ("style", "content", "grain", "colour")


@dataclass
class Report:
    """What was measured; ``text`` is a table in Markdown.

    Attributes:
        file, sha256: of the network.
        rows: by pair, its photo, its painting and the ``FIGURES``: style (0 the painting's, 1 as far from it as the
            photo), content (0 the photo's), grain (1 the painting's) and colour (deviation of the colours over the
            painting's: washed out below 1).
        checkerboard: of the photos and of what was painted, all together; it takes several pictures to tell.
        picture: photo, painting and painted photo of each pair.
        provenance: how it was measured.
    """

    file: str
    sha256: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    checkerboard: tuple[float, float] | None = None
    picture: Image.Image | None = None
    provenance: Provenance | None = None

    def metrics(self) -> dict[str, float]:
        """The mean of each figure over the pairs, and the checkerboard of what was painted."""
        found = {name: fmean(row[name] for row in self.rows) for name in FIGURES} if self.rows else {}
        return found | ({"checkerboard": self.checkerboard[1]} if self.checkerboard else {})

    @property
    def text(self) -> str:
        """A table with a row for each pair, and their mean."""
        lines = [f"| photo | painting | {' | '.join(FIGURES)} |", f"|---|---|{'---:|' * len(FIGURES)}"]
        for row in [*self.rows, {"photo": "mean", "painting": "", **self.metrics()}]:
            figures = [f"{row[name]:.3f}" for name in FIGURES if name in row]
            lines.append(f"| {row['photo']} | {row['painting']} | {' | '.join(figures)} |")
        if self.checkerboard:
            before, after = self.checkerboard
            lines += ["", f"checkerboard {after:.2f}, that of the photos {before:.2f}"]
        return f"{self.file}, sha256 {self.sha256[:12]}\n\n" + "\n".join(lines) + "\n"


def evaluate_instant_style(
    photos: Sequence[Path],
    styles: Sequence[Path],
    settings: EvaluateInstantStyleSettings | None = None,
    *,
    painter: str | Path = "instant-style",
    judge_weights: Path | None = None,
    sheet_file: Path | None = None,
    device: str = "auto",
) -> Generator[Step, None, Report]:
    """Measure a network that paints in one pass.

    Args:
        photos: folders of photos; as many as there are pairs are taken from all over them.
        styles: paintings' files, taken in turn. A network of one painting is measured with the first.
        settings: how many pairs, how large, how strong.
        painter: a network's name or file.
        judge_weights: SqueezeNet's file; None finds it.
        sheet_file: a picture file for all that was painted.
        device: where to compute.

    Raises:
        PicturesError, ImageError, WeightsError, FeaturesError, CheckpointError, StyleNetError: at once, if something is
            missing or is not what it should be.
    """
    settings, chosen = settings or EvaluateInstantStyleSettings(), choose_device(device)
    files = find_pictures([Path(folder) for folder in photos])
    paintings = [(Path(style).stem, open_image(style)) for style in styles]
    if not paintings:
        raise StyleNetError("No painting was given to measure with.")
    path = find_trained("painter", painter)
    network = load_style_net(path, chosen)
    judge = load_features("squeezenet1_0", layers=JUDGE_LAYERS, weights=judge_weights, device=chosen)
    features = load_features(layers=STYLE_LAYERS, device=chosen)
    report = Report(plain_name(path), file_sha256(path))
    weights = {"painter": report.sha256, "judge": judge.sha256}
    report.provenance = describe_run("evaluate instant-style", settings, weights=weights, device=chosen)
    taken = files[:: max(1, len(files) // settings.pairs)][: settings.pairs]
    return _evaluate(taken, paintings, network, judge, features, settings, chosen, report, sheet_file)


def _evaluate(
    photos: Sequence[Path],
    paintings: Sequence[tuple[str, Image.Image]],
    network: StyleNet,
    judge: Features,
    features: Features,
    settings: EvaluateInstantStyleSettings,
    device: torch.device,
    report: Report,
    sheet_file: Path | None,
) -> Generator[Step, None, Report]:
    yield Step(0, len(photos))
    triples: list[list[Image.Image]] = []
    compared: list[tuple[Tensor, Tensor]] = []
    for number, file in enumerate(photos):
        name, painting = paintings[number % len(paintings)]
        photo = open_image(file)
        photo = resize(photo, fit(photo.size, settings.size))
        x = to_tensor(photo, device)
        with torch.no_grad():
            code = code_of(network, painting, settings.size, features)
            painted = network(x, network.scaled(code, settings.strength))
        # The judge sees the painting in the photo's shape.
        style = to_tensor(painting.resize(photo.size, Image.Resampling.BICUBIC), device)
        quality = style_quality(x, style, painted, judge, content_layer=CONTENT_LAYER)
        report.rows.append(
            {
                "photo": file.stem,
                "painting": name,
                "style": quality.style,
                "content": quality.content,
                "grain": quality.grain,
                "colour": colourfulness(painted) / max(colourfulness(style), 1e-6),
            }
        )
        compared.append((x, painted))
        small = resize(painting, fit(painting.size, settings.size))
        triples.append([photo, small, to_image(painted)])
        yield Step(number + 1, len(photos), report.metrics())
    report.checkerboard = _checkerboards(compared)
    report.picture = _beside(triples, settings.size)
    if sheet_file is not None:
        save_image(report.picture, sheet_file)
    return report


def _checkerboards(compared: Sequence[tuple[Tensor, Tensor]]) -> tuple[float, float] | None:
    """Of photos and of painted ones, in the middle that all of them have; None where that is too small to tell."""
    side = min(min(photo.shape[-2:]) for photo, _ in compared)
    if side < 64:
        return None
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for pair in compared:
        for part, picture in zip(parts, pair, strict=True):
            top, left = (picture.shape[-2] - side) // 2, (picture.shape[-1] - side) // 2
            part.append(picture[..., top : top + side, left : left + side])
    return checkerboard(torch.cat(parts[0])), checkerboard(torch.cat(parts[1]))


def code_of(network: StyleNet, painting: Image.Image, longest: int, features: Features) -> Tensor:
    """The code (1, N) of a painting seen at a longest side in pixels, or the network's own where it has one."""
    if network.code is not None:
        return network.code
    small = resize(painting, fit(painting.size, min(longest, max(painting.size))))
    return network.predict(style_moments(features, to_tensor(small, features.scale.device)))


def colourfulness(picture: Tensor) -> float:
    """Deviation of the two differences of colours, red - green and yellow - blue: (1, 3, H, W) in [0, 1].

    After Hasler and Süsstrunk (2003), Measuring Colourfulness in Natural Images.
    """
    red, green, blue = picture.unbind(1)
    first, second = red - green, (red + green) / 2 - blue
    return float((first.var() + second.var()).sqrt())


def _beside(rows: Sequence[Sequence[Image.Image]], side: int) -> Image.Image:
    canvas = Image.new("RGB", (side * 6, side * -(-len(rows) // 2)), (24, 24, 24))
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            left = (number % 2 * 3 + column) * side
            canvas.paste(picture, (left + (side - picture.width) // 2, number // 2 * side))
    return canvas
