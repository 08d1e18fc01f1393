"""Maps and masks that are painted on a page, by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Site
from PIL import Image
from test_dreams import give
from test_studio import start, status, tab

from apps._brush import PALETTE
from creative.provenance import read_provenance

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


def easel(page: Any, number: int = 0) -> Any:
    """Where it can be painted on, once it has the picture below it."""
    found = page.locator(".easel:visible:not(.waiting)").nth(number)
    found.wait_for()
    page.wait_for_function("easel => easel.style.getPropertyValue('--ratio')", arg=found.element_handle())
    return found


def draw(page: Any, on: Any, *points: tuple[float, float]) -> None:
    """A stroke, in parts of the canvas."""
    canvas = on.locator("canvas")
    canvas.evaluate("canvas => canvas.scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(200)
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def colours(image: Image.Image) -> set[object]:
    return {colour for _, colour in image.convert("RGB").getcolors()}


def halves(path: Path) -> Sequence[Image.Image]:
    with Image.open(path) as image:
        sheet = image.convert("RGB")
    assert sheet.size == (300, 400), "what was painted has not the size of the photo"
    return sheet.crop((0, 0, 300, 200)), sheet.crop((0, 200, 300, 400))


@pytest.mark.parametrize("width", [1280, 390])
def test_regions_and_a_mask_are_painted_and_taken_over_again(
    visit: Visit, site: Site, photo: Path, width: int, tmp_path: Path
) -> None:
    page = visit(width=width, height=844)
    tab(page, "Doodle")
    assert page.get_by_text("Give a photo first").locator("visible=true").count() == 2
    give(page, photo)
    regions, mask = easel(page), easel(page, 1)
    draw(page, regions, (0.0, 0.5), (1.0, 0.5))
    regions.get_by_label("Blue").click()
    regions.get_by_role("button", name="Fill").click()
    draw(page, regions, (0.5, 0.9))
    draw(page, mask, (0.2, 0.2), (0.6, 0.2))
    mask.get_by_role("button", name="Clear").click()
    draw(page, mask, (0.2, 0.8), (0.6, 0.8))
    draw(page, mask, (0.8, 0.2), (0.9, 0.2))
    mask.get_by_role("button", name="Undo").click()
    start(page)
    said = status(page, "done")
    made = site.output / said.split()[-1]
    painted, white = halves(made)
    assert colours(painted) == {(0, 0, 0), PALETTE["Red"], PALETTE["Blue"]}
    assert [painted.getpixel((150, y)) for y in (30, 100, 180)] == [(0, 0, 0), PALETTE["Red"], PALETTE["Blue"]]
    assert colours(white) == {(0, 0, 0), (255, 255, 255)}
    spots = [white.getpixel(spot) for spot in ((100, 40), (100, 160), (255, 40))]
    assert spots == [(0, 0, 0), (255, 255, 255), (0, 0, 0)], "cleared, painted, taken back"
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    name = read_provenance(made).inputs["mask"][0].file
    assert (site.output / name).is_file(), "what was painted is not kept beside the result"
    mask.get_by_role("button", name="Clear").click()
    draw(page, mask, (0.5, 0.5), (0.5, 0.6))
    page.reload()
    tab(page, "Doodle")
    page.locator(".results .thumbnail-item").first.click()
    page.wait_for_selector(".facts")
    page.locator("button.again").click()
    page.get_by_text("The settings are in the form again").first.wait_for()
    give(page, photo)
    page.wait_for_function(
        """() => [...document.querySelectorAll(".easel")].filter((easel) => easel.offsetParent).every((easel) =>
        easel.querySelector("canvas").getContext("2d").getImageData(0, 0, 300, 200).data.some((part) => part))"""
    )
    start(page)
    again = site.output / status(page, "done").split()[-1]
    assert halves(again)[1].tobytes() == white.tobytes()
    assert halves(again)[0].tobytes() == painted.tobytes()


def test_the_file_or_the_painting_whichever_came_last(visit: Visit, site: Site, photo: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), PALETTE["Green"]).save(tmp_path / "green.png")
    page = visit()
    tab(page, "Doodle")
    give(page, photo)
    regions, mask = easel(page), easel(page, 1)
    draw(page, mask, (0.2, 0.2), (0.6, 0.2))
    draw(page, regions, (0.2, 0.2), (0.6, 0.2))
    page.locator(".brush:visible").first.get_by_role("button", name="or a file of it").click()
    page.locator(".brush:visible").first.locator("input[type=file]").set_input_files(tmp_path / "green.png")
    page.locator(".brush:visible .several-files img").wait_for()
    page.wait_for_function(
        "easel => !easel.querySelector('canvas').getContext('2d').getImageData(0, 0, 300, 200).data.some((p) => p)",
        arg=regions.element_handle(),
    )
    start(page)
    assert colours(halves(site.output / status(page, "done").split()[-1])[0]) == {PALETTE["Green"]}
    draw(page, regions, (0.2, 0.5), (0.6, 0.5))
    page.wait_for_function("!document.querySelector('.brush .several-files img')")
    start(page)
    made = site.output / status(page, "done").split()[-1]
    assert colours(halves(made)[0]) == {(0, 0, 0), PALETTE["Red"]}


def test_a_blank_canvas_takes_the_size_of_what_comes_from_elsewhere(visit: Visit) -> None:
    page = visit()
    tab(page, "Doodle")
    page.get_by_role("button", name="More settings").locator("visible=true").click()
    blank = page.locator(".easel:visible:not([data-over]) canvas")
    assert blank.evaluate("canvas => [canvas.width, canvas.height]") == [768, 512]
    page.locator("button.example:visible").first.click()
    page.wait_for_function(
        """canvas => canvas.width === 60 && canvas.height === 90 &&
        canvas.getContext("2d").getImageData(0, 0, 60, 90).data.every((part) => part === 255)""",
        arg=blank.element_handle(),
    )
