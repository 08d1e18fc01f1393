"""The Diffusion page as somebody in front of it sees it, with the bundled network and few steps."""

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

from creative.provenance import read_provenance
from creative.weights import WeightsError, find

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def network() -> None:
    try:
        find("diffusion")
    except WeightsError as missing:
        pytest.skip(f"no bundled network: {missing}")


def made_by(page: Any, site: Site) -> Path:
    return site.output / status(page, "done").split(" · ")[-1].split()[0]


def test_pictures_are_drawn_out_of_noise(visit: Visit, site: Site) -> None:
    page = visit("/diffusion", width=390, height=844)
    slow, late = True, []  # a studio that takes its time: typing does not wait for it
    page.route("**/gradio_api/**", lambda asked: late.append(asked) if slow else asked.continue_())
    page.get_by_role("button", name="In a hurry").click()
    page.wait_for_function("[...document.querySelectorAll('input[type=number]')].some(box => box.value == '4')")
    write(page, "How many to draw", 2)
    write(page, "Times that noise is taken away", 2)
    slow = False
    for asked in late:
        asked.continue_()
    for asked in late:
        asked.request.response()
    start(page)
    made = made_by(page, site)
    told = read_provenance(made)
    assert told is not None
    assert (told.action, told.settings["num"], told.settings["steps"]) == ("draw", 2, 2)
    page.wait_for_function("document.querySelector('.stage .preview img')?.naturalWidth > 100")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_is_painted_over_is_drawn_anew(visit: Visit, site: Site, photo: Path) -> None:
    page = visit("/diffusion")
    tab(page, "Fill in")
    give(page, photo)
    start(page)
    assert "Please give a mask first." in status(page, "failed")
    draw(page, easel(page), (0.3, 0.5), (0.6, 0.5))
    write(page, "Times that noise is taken away", 2)
    start(page)
    made = made_by(page, site)
    told = read_provenance(made)
    assert told is not None
    with Image.open(site.output / told.inputs["mask"][0].file) as image:
        mask = image.convert("L")
    with Image.open(made) as after, Image.open(photo) as before:
        assert mask.size == before.size
        assert mask.getpixel((135, 100)) == 255
        spot = (20, 20)  # far from the brush
        place = tuple(round(at * after.width / before.width) for at in spot)
        assert after.convert("RGB").getpixel(place) == pytest.approx(before.getpixel(spot), abs=12)


def test_an_example_shows_its_mask_on_the_canvas(visit: Visit) -> None:
    page = visit("/diffusion")
    tab(page, "Fill in")
    page.get_by_role("button", name="Lake").locator("visible=true").click()
    board = easel(page)
    page.wait_for_function(
        """easel => { const canvas = easel.querySelector("canvas");
        const at = canvas.getContext("2d").getImageData(0.72 * canvas.width, 0.27 * canvas.height, 1, 1).data;
        const off = canvas.getContext("2d").getImageData(9, 9, 1, 1).data;
        return at[3] === 255 && off[3] === 0; }""",
        arg=board.element_handle(),
    )
