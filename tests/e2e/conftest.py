"""A studio in a process of its own, and a browser that visits it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera that shows a ball on green
]  # fmt: skip
PATIENCE = 90_000


@dataclass
class Site:
    """The studio under test."""

    url: str
    output: Path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("studio")
    (folder / "tmp").mkdir()
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "CREATIVE_CACHE": str(folder / "cache")}
    quiet["TMPDIR"] = str(folder / "tmp")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/e2e/toy.py"), str(folder / "out"), "0"],
            stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
            env={**os.environ, **quiet, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "http://localhost:" in said, (folder / "log").read_text()
        port = said.split("http://localhost:")[1].split()[0]
        yield Site(f"http://127.0.0.1:{port}", folder / "out")
        process.terminate()
        assert process.wait(60) == 0
    assert not list((folder / "tmp").glob("creative-site-*")), "uploads were left behind"
    said = (folder / "log").read_text()
    refused = said.count("InvalidPathError: Cannot move")  # by gradio, of a file that nobody uploaded
    assert said.count("Traceback") == refused, said


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")
    if CHROMIUM is None:
        pytest.skip("Chromium was not found: no browser tests (apt install chromium)")
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(site: Site, chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page of the studio in a browser context of its own; fails on any request to anywhere else."""
    foreign: list[str] = []
    errors: list[str] = []
    contexts = []

    def heard(request: Any) -> None:
        if not request.url.startswith((site.url, "data:", "blob:")):
            foreign.append(request.url)

    def open_page(path: str = "/toy", width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", heard)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(site.url + path)
        page.wait_for_selector("header h1")
        page.wait_for_selector("button.start:visible, .cards")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign, f"the page asked elsewhere: {foreign}"
    assert not errors, f"the page's scripts failed: {errors}"


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "hills.jpg"
    image = Image.linear_gradient("L").resize((300, 200))
    Image.merge("RGB", (image, image.rotate(180), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))).save(path)
    return path
