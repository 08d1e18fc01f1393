"""What all tests share: sample pictures, the data beside the checkout, quiet threads, and no network."""

from __future__ import annotations

import os

# Before torch is imported, here and in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import ipaddress
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# A shell's background job ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Any connection to another machine fails the test that makes it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            raise AssertionError(f"A test tried to connect to {address[0]}.")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Downloads and presets of the tests stay out of the home folder."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREATIVE_CACHE", str(folder))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        yield folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data beside the checkout: photos, paintings, real ImageNet weights."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the data in ../shared/data, which is not here")
    return folder


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A photo of 192 × 128 pixels."""
    try:
        from skimage import data
    except ImportError:
        return _scene(192, 128, seed=0)
    return Image.fromarray(data.chelsea()).resize((192, 128), Image.Resampling.LANCZOS)


@pytest.fixture(scope="session")
def painting() -> Image.Image:
    """A picture of strong strokes and colours, 160 × 160 pixels."""
    return _scene(160, 160, seed=1)


@pytest.fixture
def photo_file(photo: Image.Image, tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    photo.save(path, quality=95)
    return path


@pytest.fixture
def painting_file(painting: Image.Image, tmp_path: Path) -> Path:
    path = tmp_path / "painting.png"
    painting.save(path)
    return path


def _scene(width: int, height: int, seed: int) -> Image.Image:
    """Waves of colour, generated."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 32
    picture = np.zeros((height, width, 3))
    for _ in range(12):
        a, b, phase = random.normal(0, 2, 3)
        picture += np.sin(a * x + b * y + 3 * phase)[..., None] * random.normal(0, 0.25, 3)
    return Image.fromarray((255 / (1 + np.exp(-2 * picture))).astype(np.uint8))
