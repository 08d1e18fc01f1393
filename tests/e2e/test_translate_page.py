"""The Translate page as somebody in front of it sees it, with a toy's model and a training of a few steps."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Site
from PIL import Image
from test_dreams import give, more, write
from test_studio import start, status, tab, upload
from toy_translator import save_translator

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def model(site: Site) -> Path:
    """Under a name, where the studio looks for its owner's models."""
    home = site.output.parent / "cache" / "translators"
    home.mkdir(parents=True, exist_ok=True)
    return save_translator(home / "toy.safetensors")


def pick(page: Any, name: str) -> None:
    page.get_by_label("Model", exact=True).locator("visible=true").click()
    page.get_by_role("option", name=name).click()


def test_before_after_and_the_way_back(visit: Visit, site: Site, photo: Path) -> None:
    page = visit("/cyclegan", width=390, height=844)
    give(page, photo)
    pick(page, "toy")
    write(page, "Longest side of the result", 120)
    start(page)
    assert "hills-translate.png" in status(page, "done")
    page.wait_for_function(
        "[...document.querySelectorAll('.pair img')].every(i => i.complete && i.naturalWidth == 120)"
    )
    handle = page.locator(".pair input")
    handle.click()  # in the middle, once nothing moves any more
    at = page.locator(".pair").evaluate("pair => parseFloat(pair.style.getPropertyValue('--at'))")
    assert 40 < at < 60, "the handle does not follow"
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert frame.locator("figcaption").all_inner_texts() == ["Photo", "Monet", "Photo again"]
    told = frame.get_by_text("A small copy went there and back").bounding_box()
    shown = page.locator("iframe.shown:visible").bounding_box()
    assert told["y"] + told["height"] <= shown["y"] + shown["height"] + 1, "the frame cuts its last line off"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_two_zips_are_trained_on_and_translated_with(visit: Visit, site: Site, photo: Path, tmp_path: Path) -> None:
    for name, colour in (("red", "firebrick"), ("blue", "navy")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as file:
            for number in range(3):
                noise = Image.effect_noise((36, 36), 60 + 20 * number).convert("RGB")
                Image.blend(noise, Image.new("RGB", (36, 36), colour), 0.6).save(tmp_path / "one.png")
                file.write(tmp_path / "one.png", f"{number}.png")
    page = visit("/cyclegan")
    tab(page, "Train")
    for number, name in enumerate(("red", "blue")):
        upload(page.locator(".collection:visible").nth(number), tmp_path / f"{name}.zip")
    write(page, "What it is called", "bruises")
    write(page, "Training steps", 6)
    write(page, "Short side that pictures", 32)
    write(page, "Side of the crops", 32)
    more(page)
    write(page, "Channels of a generator", 2)
    write(page, "Steps between rows of metrics", 2)
    start(page)
    status(page, "done")
    assert page.locator(".charts figure:visible").count() >= 4
    assert page.locator(".stage .preview img:visible").count() == 1, "there are no samples to be seen"
    page.get_by_role("button", name="Translate with it").click()
    page.wait_for_function(
        "[...document.querySelectorAll('.translator input')].some(i => i.offsetParent && i.value == 'bruises')"
    )
    give(page, photo)
    write(page, "Longest side of the result", 64)
    start(page)
    page.wait_for_selector(".status.done.showing:visible")
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert frame.locator("figcaption").first.inner_text() == "Red"
