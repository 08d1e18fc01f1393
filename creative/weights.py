"""Weights: what there is, where it comes from, under which licence, and where it is found on this machine.

    path = find("features")                 # a bundled file, or one in the cache, or a sentence on how to get it
    run(fetch("vgg19"))                     # downloads, when asked to; a broken download goes on where it stopped

Nothing here downloads on its own.
"""

from __future__ import annotations

import difflib
import http.client
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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


_TIMEOUT = 30.0  # seconds without a byte
_PAUSE = 1.0  # seconds, longer with each failure in a row
_MAX_FAILURES = 4  # connections in a row that bring nothing
_MAX_SIZE = 4 * 10**9  # bytes, where the size is not known
_CHUNK = 2**18  # bytes
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that a later attempt may not get

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
        f"The weights {name!r} are not on this machine: get {known.file} ({_size(known.size)}, {known.url}) "
        f"with `creative weights get {name}`, or give the path of the file."
    )


def _size(size: int | None) -> str:
    return "of unknown size" if size is None else f"{size / 1e6:,.0f} MB" if size >= 10e6 else f"{size / 1e6:.1f} MB"


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
    total = known.size // 1000 if known.size else None
    yield Step(0, total, message=f"Downloading {known.file} ({_size(known.size)}) from {url}")
    if target.is_file() and _is_right(target, known):
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _lock(file, known)
            yield from _downloaded(known, url, file)
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise WeightsError(explain(error, target)) from error
    return target


def _downloaded(known: Entry, url: str, file: BinaryIO) -> Generator[Step, None, None]:
    """Fill ``file`` up to its end, over as many connections as it takes, and check it."""
    failures, resumed = 0, file.tell() > 0
    while True:
        before, reason = file.tell(), "the connection was cut"
        try:
            complete = yield from _transfer(known, url, file)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # the server has no more than this; if that is not all of it, begin anew
                complete = True
            elif error.code in _PASSING:
                complete, reason = False, f"the server answers {error.code} {error.reason}"
            else:
                raise WeightsError(_failed(known, url, f"the server answers {error.code} {error.reason}")) from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            cause = getattr(error, "reason", error)
            complete, reason = False, _told(cause)
            if isinstance(cause, socket.gaierror):  # nobody knows the server: there is no network
                raise WeightsError(_failed(known, url, reason)) from None
        file.flush()
        if complete:
            if _is_right(Path(file.name), known):
                return
            file.seek(0)
            file.truncate()
            if not resumed:
                raise WeightsError(_failed(known, url, "what came has another checksum, and was deleted"))
            resumed = False  # what was there from an earlier time may have spoilt it: once more from the start
            continue
        failures = 0 if file.tell() > before else failures + 1
        if failures == _MAX_FAILURES:
            raise WeightsError(_failed(known, url, reason))
        time.sleep(_PAUSE * failures)


def _transfer(known: Entry, url: str, file: BinaryIO) -> Generator[Step, None, bool]:
    """One connection: append to ``file`` what it lacks; whether that was all there is."""
    file.seek(0, os.SEEK_END)
    done = file.tell()
    headers = {"User-Agent": "creative", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
        if done and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            file.seek(0)  # a server that cannot go on in the middle sends everything
            file.truncate()
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdigit() else None
        limit = int(known.size * 1.1) + 10**6 if known.size else _MAX_SIZE
        if total is not None and total > limit:
            raise WeightsError(_failed(known, url, f"it has {_size(total)}, where {_size(known.size)} were expected"))
        free = shutil.disk_usage(Path(file.name).parent).free
        if total is not None and total - done > free:
            raise WeightsError(
                _failed(known, url, f"the disk has {_size(free)} left and {_size(total - done)} are missing")
            )
        while chunk := _received(response):
            file.write(chunk)
            done += len(chunk)
            if done > limit:
                raise WeightsError(_failed(known, url, f"it is larger than the {_size(known.size)} expected"))
            yield Step(done // 1000, (total or known.size or 0) // 1000 or None, metrics={"MB": done / 1e6})
    return total is None or done >= total


def _received(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except OSError as error:  # of the network: told apart from the disk's
        raise urllib.error.URLError(error) from error


def _is_right(path: Path, known: Entry) -> bool:
    return known.sha256 is None or file_sha256(path).startswith(known.sha256)


def _failed(known: Entry, url: str, reason: str) -> str:
    return (
        f"{known.file} could not be downloaded from {url}: {reason}. "
        f"Try `creative weights get {known.name}` again later, or put the file into {cache_folder()}."
    )


def _told(cause: object) -> str:
    if isinstance(cause, socket.gaierror):
        return "there is no connection to the network"
    if isinstance(cause, TimeoutError):
        return "the server does not answer"
    return (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).rstrip(".").lower()


def _lock(file: BinaryIO, known: Entry) -> None:
    """Two downloads into one file would spoil it."""
    try:
        import fcntl
    except ImportError:  # Windows keeps no such locks
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WeightsError(f"{known.file} is already being downloaded by another program.") from None


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
