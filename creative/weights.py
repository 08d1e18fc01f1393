"""Weights: what there is, where it comes from, under which licence, and where it is found on this machine.

    path = find("features")                 # a bundled file, or one in the cache, or a sentence on how to get it
    run(fetch("vgg19"))                     # downloads, when asked to; a broken download goes on where it stopped

Nothing here downloads on its own.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from creative.download import DownloadError, download, size_told
from creative.files import explain, file_sha256
from creative.progress import Step

__all__ = [
    "Entry",
    "WeightsError",
    "bundled_folder",
    "cache_folder",
    "catalog",
    "entry",
    "fetch",
    "file_sha256",
    "find",
    "find_preset",
    "list_presets",
    "locate",
    "near",
    "own_presets_folder",
]


class WeightsError(ValueError):
    """Weights are not known, not here, or cannot be had. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Weights that the suite knows."""

    name: str
    file: str
    title: str
    licence: str
    source: str
    url: str | None = None
    """Where to download it; None for bundled weights."""
    sha256: str | None = None
    """In hexadecimal, all of it or its beginning; checked after a download."""
    size: int | None = None
    """Bytes, about."""
    network: str = ""
    """The architecture, if it is not the name."""


_TORCHVISION = "https://download.pytorch.org/models/"


def _torchvision(name: str, title: str, file: str, megabytes: float) -> Entry:
    """torchvision writes the first eight digits of the SHA-256 into the file's name."""
    digits = file.removesuffix(".pth").rsplit("-", 1)[1]
    return Entry(
        name=name,
        file=file,
        title=title,
        licence="BSD-3-Clause",
        source="torchvision, trained on ImageNet-1k",
        url=_TORCHVISION + file,
        sha256=digits,
        size=round(megabytes * 2**20),
        network=name,
    )


def _voice(name: str, title: str, text: str) -> Entry:
    return Entry(
        name=name,
        file=f"voices/{name}.safetensors",
        title=f"A voice: {title}",
        licence="MIT",
        source=f"bundled, trained by this project on {text}",
        network="char-rnn",
    )


def _captioner(name: str, title: str, data: str) -> Entry:
    return Entry(
        name=name,
        file=f"captions/{name}.safetensors",
        title=f"Captions of {title}",
        licence="MIT",
        source=f"bundled, trained by this project on {data}",
        network="captioner",
    )


def _painter(name: str, painting: str) -> Entry:
    return Entry(
        name=name,
        file=f"painters/{name}.safetensors",
        title=f"A painter: {painting}",
        licence="MIT",
        source="bundled, trained by this project on monet2photo's photos and on the painting",
        network="style-net",
    )


REGISTRY: dict[str, Entry] = {
    known.name: known
    for known in (
        Entry(
            name="features",
            file="features.safetensors",
            title="Features of pictures, for style and likeness",
            licence="MIT",
            source="bundled, trained by this project",
            network="bundled",
        ),
        Entry(
            name="photo2monet",
            file="photo2monet.safetensors",
            title="Photos into Monet's paintings, and back",
            licence="MIT",
            source="bundled, trained by this project on the monet2photo set",
            network="cyclegan",
        ),
        Entry(
            name="diffusion",
            file="diffusion.safetensors",
            title="Photos and Monet's paintings out of noise",
            licence="MIT",
            source="bundled, trained by this project on the monet2photo set",
            network="diffusion",
        ),
        Entry(
            name="execute",
            file="execute.safetensors",
            title="Small Python programs, and sums of long numbers",
            licence="MIT",
            source="bundled, trained by this project",
        ),
        Entry(
            name="instant-style",
            file="instant-style.safetensors",
            title="Any painting's style in one pass",
            licence="MIT",
            source="bundled, trained by this project on monet2photo's photos and on paintings",
            network="style-net",
        ),
        _painter("starry-night", "Vincent van Gogh, The Starry Night"),
        _painter("great-wave", "Hokusai, The Great Wave off Kanagawa"),
        _painter("udnie", "Francis Picabia, Udnie"),
        _voice("shakespeare", "Shakespeare's plays", "tinyshakespeare (public domain)"),
        _voice("tolstoy", "Tolstoy, War and Peace", "Project Gutenberg's text (public domain)"),
        _voice("folk-tunes", "Folk tunes in abc notation", "the Nottingham collection (GPL-3.0)"),
        _voice("c-source", "C source of a kernel", "xv6 (MIT)"),
        _voice("latex", "LaTeX of algebraic geometry", "the Stacks project (GFDL-1.2)"),
        _captioner("aerial", "aerial photos", "UCM-Captions and UAVIC (research use)"),
        _captioner("scenes", "drawn scenes", "scenes that it draws itself"),
        _torchvision("vgg16", "VGG-16", "vgg16-397923af.pth", 527.8),
        _torchvision("vgg19", "VGG-19", "vgg19-dcbb9e9d.pth", 548.1),
        _torchvision("squeezenet1_0", "SqueezeNet 1.0", "squeezenet1_0-b66bff10.pth", 4.8),
        _torchvision("squeezenet1_1", "SqueezeNet 1.1", "squeezenet1_1-b8a52dc0.pth", 4.7),
        _torchvision("googlenet", "GoogLeNet", "googlenet-1378be20.pth", 49.7),
        _torchvision("inception_v3", "Inception v3", "inception_v3_google-0cc3c7bd.pth", 103.9),
        _torchvision("resnet50", "ResNet-50", "resnet50-11ad3fa6.pth", 97.8),
        _torchvision("mobilenet_v2", "MobileNet v2", "mobilenet_v2-7ebf99e0.pth", 13.6),
    )
}


def catalog() -> list[Entry]:
    """All weights that the suite knows, bundled ones first."""
    return sorted(REGISTRY.values(), key=lambda known: known.url is not None)


def entry(name: str) -> Entry:
    """The entry called ``name``.

    Raises:
        WeightsError: there is none.
    """
    if name not in REGISTRY:
        raise WeightsError(f"There are no weights called {name!r}.{near(name, list(REGISTRY))}")
    return REGISTRY[name]


def near(name: str, names: list[str]) -> str:
    """The end of a message about an unknown name: those that it may have meant, or all that there are."""
    close = difflib.get_close_matches(name.lower(), names, 3, 0.5)
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    return f" There are {', '.join(names)}." if names else ""


def bundled_folder() -> Path:
    """The folder of the weights that come with the suite: in the installed package, or in the checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_weights"
    return installed if installed.is_dir() else package.parent / "weights"


def cache_folder() -> Path:
    """The folder of downloaded weights, which may not exist yet: ``$CREATIVE_CACHE``, else the system's for caches."""
    import platformdirs

    given = os.environ.get("CREATIVE_CACHE")
    return Path(given).expanduser() if given else platformdirs.user_cache_path("creative", appauthor=False)


def own_presets_folder() -> Path:
    """The folder of presets of one's own: ``$CREATIVE_CACHE/presets``, else in the system's place for data."""
    import platformdirs

    given = os.environ.get("CREATIVE_CACHE")
    home = Path(given).expanduser() if given else platformdirs.user_data_path("creative", appauthor=False)
    return home / "presets"


def _torch_hub_folder() -> Path:
    """Where torchvision itself keeps the same files."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"


def locate(name: str) -> Path | None:
    """Where the weights called ``name`` are, or None: in the bundled folder, the cache, or torchvision's own cache."""
    known = entry(name)
    folders = [bundled_folder(), cache_folder(), *([_torch_hub_folder()] if known.url else [])]
    return next((folder / known.file for folder in folders if (folder / known.file).is_file()), None)


def find(name: str, path: str | os.PathLike[str] | None = None) -> Path:
    """The file of the weights called ``name``: the path given, else bundled, else in the cache.

    Raises:
        WeightsError: it is not there; the message names the file, the URL and the command that gets it.
    """
    known = entry(name)
    if path is not None:
        if not Path(path).is_file():
            raise WeightsError(f"There is no weights file {path}.")
        return Path(path)
    found = locate(name)
    if found is not None:
        return found
    if known.url is None:
        raise WeightsError(
            f"The weights {name!r} ({known.file}) are missing from {bundled_folder()}: "
            "this copy of the suite is not complete; install it again."
        )
    raise WeightsError(
        f"The weights {name!r} are not on this machine: get {known.file} ({size_told(known.size)}, {known.url}) "
        f"with `creative weights get {name}`, or give the path of the file."
    )


def fetch(name: str) -> Generator[Step, None, Path]:
    """Download weights into the cache. Steps count kilobytes; the result is the file.

    What an interrupted download has got so far is kept as ``FILE.part`` and the next one goes on from there.

    Raises:
        WeightsError: at the call, if there is nothing to download; later, if the download fails.
    """
    known = entry(name)
    if known.url is None:
        raise WeightsError(f"The weights {name!r} come with the suite; there is nothing to download.")
    return _fetched(known, known.url)


def _fetched(known: Entry, url: str) -> Generator[Step, None, Path]:
    target = cache_folder() / known.file
    try:
        yield from download(url, target, size=known.size, sha256=known.sha256)
    except DownloadError as error:
        raise WeightsError(
            f"{known.file} could not be downloaded from {url}: {error}. "
            f"Try `creative weights get {known.name}` again later, or put the file into {cache_folder()}."
        ) from None
    except BlockingIOError:
        raise WeightsError(f"{known.file} is already being downloaded by another program.") from None
    except OSError as error:
        raise WeightsError(explain(error, target)) from error
    return target


def list_presets() -> list[str]:
    """The names of the style presets, bundled ones and one's own."""
    folders = (bundled_folder() / "presets", own_presets_folder())
    return sorted({file.stem for folder in folders for file in folder.glob("*.safetensors")})


def find_preset(name: str) -> Path:
    """The file of the preset called ``name``: one's own before a bundled one.

    Raises:
        WeightsError: there is none; the message has the names that are near.
    """
    for folder in (own_presets_folder(), bundled_folder() / "presets"):
        if name and Path(name).name == name and (folder / f"{name}.safetensors").is_file():
            return folder / f"{name}.safetensors"
    raise WeightsError(f"There is no preset called {name!r}.{near(name, list_presets())}")
