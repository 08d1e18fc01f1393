"""The dreaming pages as somebody in front of them sees them, with the bundled network at small sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Site
from PIL import Image
from test_studio import start, status, tab

from creative.provenance import read_provenance
from creative.weights import WeightsError, find

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def network() -> None:
    try:
        find("features")
    except WeightsError as missing:
        pytest.skip(f"no bundled network: {missing}")


def give(page: Any, file: Path) -> None:
    page.locator(".column.form:visible input[type=file]").first.set_input_files(file)
    page.wait_for_selector(".column.form .picture img:visible")


def more(page: Any) -> None:
    page.get_by_role("button", name="More settings").locator("visible=true").click()


def write(page: Any, told: str, value: object) -> None:
    """Into the field whose help says so."""
    field = page.locator(".block:visible").filter(has_text=told).last
    field.locator("input:not([type=range]), textarea").first.fill(str(value))
    page.keyboard.press("Tab")


def test_dream_with_a_look(visit: Visit, site: Site, photo: Path) -> None:
    page = visit("/deep-dream")
    give(page, photo)
    page.get_by_label("Look", exact=True).click()
    page.get_by_role("option", name="Swirls").click()
    write(page, "Longest side of the result", 96)
    start(page)
    page.wait_for_selector(".stage .preview img:visible, .pair img:visible")  # a busy machine shows the result at once
    assert "hills-dream.png" in status(page, "done")
    made = read_provenance(site.output / "hills-dream.png")
    assert made is not None
    assert (made.settings["look"], made.settings["size"]) == ("swirls", 96)
    page.wait_for_function("[...document.querySelectorAll('.pair img')].every(i => i.complete && i.naturalWidth == 96)")


def test_look_inside_and_click_a_channel(visit: Visit, site: Site, photo: Path) -> None:
    page = visit("/deep-dream")
    write(page, "Longest side of the result", 96)
    tab(page, "Look inside")
    give(page, photo)
    write(page, "Strongest channels shown", 2)
    more(page)
    write(page, "Layers to look into", "relu3_3, relu4_3")
    write(page, "Longest side that the photo is looked at in", 96)
    write(page, "To draw what a channel looks for", 1)
    start(page)
    assert "Click a channel to dream it" in status(page, "done")
    assert page.locator(".areas button").count() == 4
    assert page.frame_locator("iframe.shown").get_by_text("What the network calls it").is_visible()
    button = page.locator(".areas button").nth(2)
    channel = str(button.get_attribute("title")).split()[1]
    assert channel.startswith("relu4_3:")
    button.click()
    page.get_by_text("hills-dream").first.wait_for()  # until then there stands what was done before
    assert "hills-dream" in status(page, "done.kept.figured")
    (result,) = [path for path in site.output.glob("hills-dream*.png") if _layers(path) == [channel]]
    assert Image.open(result).size == (96, 64)
    layers = page.locator(".block:visible").filter(has_text="NAME:CHANNEL").last
    assert layers.locator("input, textarea").first.input_value() == channel, "what is dreamed is not to be seen"
    page.get_by_role("button", name="\u2190 Look inside").click()
    page.wait_for_selector(".areas:visible")


def _layers(path: Path) -> list[str]:
    made = read_provenance(path)
    return made.settings["layers"] if made is not None else []


def test_visualize_a_channel(visit: Visit, site: Site) -> None:
    page = visit("/deep-dream")
    tab(page, "Visualize")
    write(page, "a sheet of its channels", "relu3_1{5=1, 7=-0.5}, relu3_1:3")
    write(page, "Side of each picture", 64)
    write(page, "Steps of gradient ascent", 4)
    start(page)
    assert ".png" in status(page, "done")
    picture = page.locator(".stage .preview img:visible")
    picture.wait_for()
    assert picture.evaluate("img => img.naturalWidth") >= 2 * 64


def test_travel_makes_a_film(visit: Visit, site: Site, photo: Path) -> None:
    pytest.importorskip("av")
    page = visit("/deep-dream")
    tab(page, "Travel")
    give(page, photo)
    write(page, "Longest side of the video", 64)
    write(page, "Length of the video", 0.5)
    write(page, "How smooth it is", 6)
    more(page)
    write(page, "Steps in each octave of the first frame", 1)
    start(page)
    assert "hills-dream-zoom.mp4" in status(page, "done")
    page.wait_for_function("document.querySelector('.film video')?.readyState >= 2")
    assert page.locator(".film video").evaluate("video => video.duration") == pytest.approx(0.5, abs=0.1)


def test_wrong_input_is_one_sentence(visit: Visit, photo: Path) -> None:
    page = visit("/deep-dream")
    give(page, photo)
    write(page, "Longest side of the result", 96)
    more(page)
    write(page, "NAME:CHANNEL", "relu4_9:3")
    start(page)
    said = status(page, "failed")
    assert "relu4_9" in said
    assert "relu4_1" in said, "near names are not told"
    write(page, "NAME:CHANNEL", "relu4_1:9999")
    start(page)
    page.wait_for_function("document.querySelector('.status.failed')?.innerText.includes('9999')")
    assert "Traceback" not in page.content()
