"""Painting at once, from a scribble, and what the camera sees: the style page with the bundled networks, small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Site
from PIL import Image
from test_brush_page import draw, easel
from test_dreams import give, write
from test_studio import start, status, tab

from apps._brush import PALETTE
from creative.provenance import read_provenance
from creative.weights import WeightsError, find

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def networks() -> None:
    for name in ("features", "instant-style"):
        try:
            find(name)
        except WeightsError as missing:
            pytest.skip(f"no bundled network: {missing}")


def test_a_photo_is_painted_at_once_and_taken_over(visit: Visit, site: Site, photo: Path) -> None:
    page = visit("/style-transfer")
    give(page, photo)
    page.locator(".form").get_by_label("Instant", exact=True).locator("visible=true").check()
    write(page, "Longest side of the result", 96)
    start(page)
    made = site.output / status(page, "done").split(" · ")[-1].split()[0]
    told = read_provenance(made)
    assert told is not None
    assert told.settings["instant"] is True
    with Image.open(made) as image:
        assert image.size == (96, 64)
    page.wait_for_function("[...document.querySelectorAll('.pair img')].every(i => i.complete && i.naturalWidth == 96)")


def test_a_scribble_over_nothing_and_over_a_painting(visit: Visit, site: Site, photo: Path) -> None:
    page = visit("/style-transfer")
    tab(page, "Doodle")
    assert page.get_by_text("Give a painting of your own first").locator("visible=true").count() == 1
    page.locator(".of-style:visible input[type=file]").set_input_files(photo)
    page.locator(".of-style:visible img").wait_for()
    for number in (0, 1):
        board = easel(page, number)
        draw(page, board, (0.0, 0.5), (1.0, 0.5))
        board.get_by_label("Blue").click()
        board.get_by_role("button", name="Fill").click()
        draw(page, board, (0.5, 0.9))
        page.wait_for_timeout(200)
    write(page, "Longest side of the result", 64)
    page.get_by_label("Draft").locator("visible=true").check()
    start(page)
    made = site.output / status(page, "done").split(" · ")[-1].split()[0]
    told = read_provenance(made)
    assert told is not None
    for name in ("map", "style_map"):
        with Image.open(site.output / told.inputs[name][0].file) as image:
            colours = {colour for _, colour in image.convert("RGB").getcolors()}
        assert colours == {(0, 0, 0), PALETTE["Red"], PALETTE["Blue"]}, "the palette differs from box to box"
    with Image.open(made) as image:
        assert max(image.size) == 64


def test_the_camera_is_painted(visit: Visit) -> None:
    page = visit("/style-transfer", width=390, height=844)
    page.locator(".overflow-menu button").first.click()
    page.locator(".overflow-dropdown").get_by_text("Webcam").click()
    write(page, "Longest side in pixels", 96)
    start(page)
    page.locator(".camera .status").filter(has_text="frames a second").wait_for()
    assert page.evaluate("document.querySelector('.camera canvas').width") <= 96
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("button.stop:visible").click()
    assert status(page, "stopped") == "The camera is off."
