"""What was made with the bundled feature network, and making it anew once the network is another.

    python -m apps._dependents              what is out of date
    make dependents DATA=../shared/data     makes that anew: presets, the model card, captioners, painters, pictures
    make dependents ONLY=presets            makes this anew, whatever it is made with

Each thing that depends on the network is one line of ``DEPENDENTS``; it remembers the SHA-256 of the network that it
was made with: of its maps where these are all that it uses, or of the file, with the classifier. A later one adds its
line; the tests watch over it.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creative.progress import Step

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS, EXAMPLES = ROOT / "weights", ROOT / "examples"
TRAINED_ON = ("imagenet_sample", "objects", "aerial_captions", "monet2photo")
PAIRS = (
    ("chelsea", "van_gogh_starry_night_1889.jpg"),
    ("coffee", "hokusai_great_wave_1831.jpg"),
    ("astronaut", "matisse_woman_with_a_hat_1905.jpg"),
    ("monet2photo/photo/test/2014-08-01 17_41_55.jpg", "van_gogh_wheat_field_1889.jpg"),
    ("monet2photo/photo/test/2014-08-05 21_54_30.jpg", "turner_shipwreck_1805.jpg"),
    ("monet2photo/photo/test/2014-08-12 16_56_23.jpg", "munch_the_scream_1893.jpg"),
)
"""Photos, three of scikit-image's and three of the data's, and the paintings that they are painted as for the card."""


@dataclass(frozen=True, slots=True)
class Dependent:
    """Files made with the bundled feature network.

    Attributes:
        name: what to ask for.
        made_with: of each file that there is, the SHA-256 of the network that it was made with.
        rebuild: makes them anew from the folder of the data.
        classes: whether they depend on its classifier too; otherwise on its maps alone.
    """

    name: str
    made_with: Callable[[], Mapping[Path, str]]
    rebuild: Callable[[Path], Generator[Step, None, None]]
    classes: bool = False

    def stale(self) -> list[Path]:
        """The files that were made with another network than the one that is bundled now."""
        now = whole_network() if self.classes else network()
        return [path for path, sha256 in self.made_with().items() if sha256 != now]


def network() -> str:
    """The SHA-256 of the bundled network's maps, as ``Features.sha256`` has it."""
    from creative.checkpoint import tensors_sha256
    from creative.weights import find

    return tensors_sha256(find("features"), "features.")


def whole_network() -> str:
    """The SHA-256 of the bundled network's file, its classifier included."""
    from creative.files import file_sha256
    from creative.weights import find

    return file_sha256(find("features"))


# Style presets ------------------------------------------------------------------------------------------------------


def _presets() -> dict[Path, str]:
    from creative.checkpoint import read_metadata

    return {path: read_metadata(path)["preset"]["network"] for path in sorted(WEIGHTS.glob("presets/*.safetensors"))}


def _make_presets(data: Path) -> Generator[Step, None, None]:
    from creative.engines.style_transfer import make_preset
    from creative.images import open_image
    from creative.options.style_transfer import PresetSettings
    from creative.style_presets import save_preset

    with (WEIGHTS / "presets" / "paintings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pictures = [open_image(data / "paintings" / row["file"]) for row in rows]
    for row, picture in zip(rows, pictures, strict=True):
        settings = PresetSettings(name=row["name"], title=row["title"], painter=row["painter"], year=int(row["year"]))
        preset = yield from make_preset(picture, settings)
        path = save_preset(preset, WEIGHTS / "presets" / f"{row['name']}.safetensors")
        yield Step(1, 1, message=f"{path.relative_to(ROOT)}")


# The model card -----------------------------------------------------------------------------------------------------

CARD = WEIGHTS / "features.md"


def _card() -> dict[Path, str]:
    """The network that the card's measurements are of; nothing where the card names another one at its head."""
    named = re.findall(r"sha256 `([0-9a-f]{64})`", CARD.read_text(encoding="utf-8"))
    return {CARD: named[0] if len(set(named)) == 1 and len(named) > 1 else "unknown"}


def _make_card(data: Path) -> Generator[Step, None, None]:
    """Measure the network, and write what was found into the card."""
    from apps.features import APP
    from creative.options.features import EvaluateFeaturesInputs, EvaluateFeaturesSettings

    measure = next(action for action in APP.actions if action.verb == "evaluate features")
    with tempfile.TemporaryDirectory(prefix="creative-") as folder:
        inputs = EvaluateFeaturesInputs(
            data=tuple(data / name for name in TRAINED_ON),
            squeezenet=data / "weights" / "squeezenet1_0_imagenet.safetensors",
            mobilenet=data / "weights" / "mobilenet_v2_imagenet.safetensors",
            photos=tuple(_photo(name, data, Path(folder)) for name, _ in PAIRS),
            paintings=tuple(data / "paintings" / name for _, name in PAIRS),
            scenes=data / "aerial_captions",
            sheet=ROOT / "out" / "features-sheet.png",
        )
        found = yield from measure.start(inputs, EvaluateFeaturesSettings(), "auto")
    CARD.write_text(with_measurements(CARD.read_text(encoding="utf-8"), found.text, found.sha256), encoding="utf-8")
    yield Step(1, 1, message=f"{CARD.relative_to(ROOT)}")


def _photo(name: str, data: Path, folder: Path) -> Path:
    """A photo of the data; or one of scikit-image's as a file."""
    if "/" in name:
        return data / name
    import skimage.data
    from PIL import Image

    path = folder / f"{name}.png"
    Image.fromarray(getattr(skimage.data, name)()).save(path)
    return path


def with_measurements(card: str, report: str, sha256: str) -> str:
    """A model card with its section of measurements replaced by a report, and the network's SHA-256 at its head."""
    head, measured, rest = re.split(r"(?m)^## Measurements\n", card)[0], "## Measurements\n", ""
    after = re.search(r"(?ms)^## Measurements\n.*?(^## .*)", card)
    if after:
        rest = after[1]
    head = re.sub(r"(?m)^sha256 `[0-9a-f]*`$", f"sha256 `{sha256}`", head)
    told = "`make dependents ONLY=card` measures, and writes this section."
    return f"{head}{measured}\n{told}\n\n{report.strip()}\n\n{rest}".rstrip() + "\n"


# Captioners ---------------------------------------------------------------------------------------------------------


def _captioners() -> dict[Path, str]:
    """Those that look with the feature network."""
    return {path: config["encoder"]["sha256"] for path, config in _configs() if config["encoder"]["kind"] == "features"}


def _likenesses() -> dict[Path, str]:
    """Those with an encoder of their own: by the feature network they only know their own kind of pictures."""
    return {path: config.get("eye", "unknown") for path, config in _configs() if config["encoder"]["kind"] == "own"}


def _configs() -> list[tuple[Path, dict[str, Any]]]:
    from creative.checkpoint import read_metadata

    return [(path, read_metadata(path)["config"]) for path in sorted(WEIGHTS.glob("captions/*.safetensors"))]


def _make_captioners(data: Path) -> Generator[Step, None, None]:
    """The recipe of its card: ten minutes of one core; what its card says of it has to be measured again."""
    from creative.engines.captioning import train_caption

    others = (data / "objects", data / "monet2photo" / "photo" / "train")
    folder = ROOT / "out" / f"aerial-{network()[:12]}"
    trained = yield from train_caption(data / "aerial_captions", folder=folder, others=others)
    path = WEIGHTS / "captions" / "aerial.safetensors"
    shutil.copyfile(trained, path)
    yield Step(1, 1, message=f"{path.relative_to(ROOT)}: measure it with `creative evaluate caption`, for its card")


def _make_likenesses(data: Path) -> Generator[Step, None, None]:
    """What scenes are like, and nothing else of the captioner: seconds."""
    from creative.engines.captioning import refit_likeness

    for path in _likenesses():
        yield from refit_likeness(path, path, folder=ROOT / "out" / "likeness")
        yield Step(1, 1, message=f"{path.relative_to(ROOT)}: measure it with `creative evaluate caption`, for its card")


# Painters -----------------------------------------------------------------------------------------------------------


def _painters() -> dict[Path, str]:
    """Those for any painting, which see a painting with the feature network; those for one have its code."""
    from creative.checkpoint import read_metadata

    features = {
        path: read_metadata(path)["config"]["features"] for path in sorted(WEIGHTS.glob("instant*.safetensors"))
    }
    return {path: sha256 for path, sha256 in features.items() if sha256}


def _make_painters(data: Path) -> Generator[Step, None, None]:
    """Another predictor, where git still has the network that it was made with: ten minutes of one core.

    Otherwise the recipe of its card: an hour and more. What its card says of it has to be measured again.
    """
    from creative.checkpoint import read_metadata
    from creative.engines.instant_style import refit_predictor, train_instant_style
    from creative.options.instant_style import TrainInstantStyleSettings

    path, folder = WEIGHTS / "instant-style.safetensors", ROOT / "out" / "instant-style"
    settings = TrainInstantStyleSettings(held_out=("wheat_field", "the_scream", "shipwreck"))
    photos = (data / "monet2photo" / "photo" / "train", data / "imagenet_sample")
    paintings = (data / "monet2photo" / "monet" / "train", data / "paintings")
    folder.mkdir(parents=True, exist_ok=True)
    first = _as_trained(path, folder / "as-trained.safetensors")
    old = _from_history(read_metadata(first)["config"]["features"], folder / "old-features.safetensors")
    if old:
        trained = yield from refit_predictor(first, old, (*paintings, photos[1]), settings, folder / "refit")
    else:
        judge = data / "weights" / "squeezenet1_0_imagenet.safetensors"
        trained = yield from train_instant_style(photos, paintings, settings, folder, judge_weights=judge)
    shutil.copyfile(trained, path)
    yield Step(
        1, 1, message=f"{path.relative_to(ROOT)}: measure it with `creative evaluate instant-style`, for its card"
    )


def _as_trained(path: Path, to: Path) -> Path:
    """The painter before its predictor was ever fitted anew, written to ``to``; ``path`` itself where git has none.

    A predictor that is fitted to one that was fitted adds the errors of both.
    """
    found = path
    for version in _versions(path, to.with_suffix(".part")):
        if _paints_alike(version, path):
            found = Path(shutil.copyfile(version, to))
    return found


def _paints_alike(one: Path, other: Path) -> bool:
    """Whether two painters differ in nothing but how they see a painting."""
    from creative.checkpoint import load_checkpoint

    painting = [
        {name: tensor for name, tensor in load_checkpoint(path).tensors.items() if not name.startswith("predictor.")}
        for path in (one, other)
    ]
    return painting[0].keys() == painting[1].keys() and all(
        tensor.equal(painting[1][name]) for name, tensor in painting[0].items()
    )


def _from_history(sha256: str, path: Path) -> Path | None:
    """Write the bundled network whose maps have this SHA-256, as git remembers it; None where it does not."""
    from creative.checkpoint import tensors_sha256

    for version in _versions(WEIGHTS / "features.safetensors", path):
        if tensors_sha256(version, "features.") == sha256:
            return version
    path.unlink(missing_ok=True)
    return None


def _versions(file: Path, path: Path) -> Generator[Path, None, None]:
    """What git remembers of a file, newest first, one after another written to ``path``; nothing without a history."""
    git, name = ["git", "-C", str(ROOT)], str(file.relative_to(ROOT))
    try:
        known = subprocess.run([*git, "log", "--format=%H", "--", name], check=True, capture_output=True, text=True)
        for commit in known.stdout.split():
            shown = subprocess.run([*git, "show", f"{commit}:{name}"], check=True, capture_output=True)
            path.write_bytes(shown.stdout)
            yield path
    except (OSError, subprocess.CalledProcessError):
        pass  # no git, no history


# Pictures -----------------------------------------------------------------------------------------------------------


def _pictures(*names: str) -> Callable[[], dict[Path, str]]:
    def made_with() -> dict[Path, str]:
        return {EXAMPLES / name: _network_of(EXAMPLES / name) for name in names}

    return made_with


def _network_of(picture: Path) -> str:
    from creative.provenance import read_provenance

    made = read_provenance(picture) if picture.is_file() else None
    return made.weights.get("bundled", "unknown") if made else "unknown"


def _by_script(name: str, *arguments: str) -> Callable[[Path], Generator[Step, None, None]]:
    def rebuild(data: Path) -> Generator[Step, None, None]:
        yield Step(0, 1, message=f"python examples/{' '.join([name, *arguments])}")
        subprocess.run([sys.executable, str(EXAMPLES / name), *arguments], check=True)
        yield Step(1, 1)

    return rebuild


DEPENDENTS: tuple[Dependent, ...] = (
    Dependent("presets", _presets, _make_presets),
    Dependent("likenesses", _likenesses, _make_likenesses),
    Dependent("card-picture", _pictures("features.jpg"), _by_script("features_picture.py"), classes=True),
    Dependent("painters", _painters, _make_painters),
    Dependent("captioners", _captioners, _make_captioners),
    Dependent(
        "readme-pictures",
        _pictures("painted.jpg", "dreamed.jpg"),
        _by_script("readme_pictures.py", "painted", "instant", "dreamed"),
    ),
    Dependent("card", _card, _make_card, classes=True),
)
"""In this order: what is quick and what others need first, measuring last."""


def main(arguments: Sequence[str]) -> int:
    """List what is out of date; or, given the folder of the data and maybe names, make that anew."""
    names = [one.name for one in DEPENDENTS]
    data, only = (Path(arguments[0]), list(arguments[1:])) if arguments else (None, [])
    if unknown := sorted(set(only) - set(names)):
        print(f"Nothing called {', '.join(unknown)} depends on the network; there is {', '.join(names)}.")
        return 2
    if data is not None and not data.is_dir():
        print(f"There is no folder {data}: give the one with the data, DATA=FOLDER.")
        return 2
    for one in DEPENDENTS:
        stale = one.stale()
        wanted = one.name in only if only else bool(stale)
        if data is None:
            told = "up to date" if not stale else f"made with another network: {', '.join(p.name for p in stale)}"
            print(f"{one.name}: {told}.")
        elif wanted:
            print(f"{one.name}: making it anew.", flush=True)
            for step in one.rebuild(data):
                if step.message:
                    print(f"  {step.message}", flush=True)
        else:
            print(f"{one.name}: {'not asked for' if stale else 'up to date'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
