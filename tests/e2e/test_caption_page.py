"""The Caption page as somebody in front of it sees it, with a toy's captioner in a file of its own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Site
from test_studio import start, status
from toy_captioner import picture, save_captioner

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]
OPACITY = "e => Number(getComputedStyle(e).opacity)"


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_captioner(tmp_path_factory.mktemp("captioners") / "toy.safetensors")


def give(page: Any, title: str, files: list[Path]) -> None:
    """Files into a box behind a title."""
    page.get_by_role("button", name=title).locator("visible=true").click()
    boxes = page.locator(".files:visible")
    box = boxes.filter(has_text="The file of a captioner") if title.startswith("A captioner") else boxes.first
    box.locator("input[type=file]").set_input_files(files)
    for file in files:
        page.locator(f'.filename[aria-label="{file.name}"]:visible').wait_for()


def choose(page: Any, file: Path) -> None:
    page.locator(".picture:visible input[type=file]").first.set_input_files(file)
    page.locator(".picture:visible img").first.wait_for()


def test_words_light_up_what_was_looked_at(visit: Visit, site: Site, captioner: Path, tmp_path: Path) -> None:
    picture("red", "left", 99).save(tmp_path / "red.png")
    page = visit("/captioning")
    assert page.locator(".picture:visible button[aria-label*='camera']").count() == 1
    start(page)
    assert "Please give a picture first." in status(page, "failed")
    give(page, "A captioner of your own", [captioner])
    choose(page, tmp_path / "red.png")
    start(page)
    status(page, "done")
    assert not page.locator(".written:visible").count()  # the same once more
    frame = page.frame_locator(".stage:visible iframe.shown")
    words, veils = frame.locator(".say label:not(.whole)"), frame.locator(".say label i")
    assert [one.split()[0] for one in words.all_inner_texts()] == ["a", "red", "picture", "darker", "on", "the", "left"]
    assert [veils.nth(place).evaluate(OPACITY) for place in range(7)] == [0] * 7
    frame.locator(".say .whole input").focus()
    page.keyboard.press("ArrowLeft")  # the last word
    page.wait_for_timeout(400)
    assert veils.last.evaluate(OPACITY) == 1
    words.nth(1).hover()
    page.wait_for_timeout(400)
    assert [veils.nth(place).evaluate(OPACITY) for place in (1, 6)] == [1, 0]
    words.nth(2).click()
    page.mouse.move(2, 2)
    page.wait_for_timeout(400)
    assert [veils.nth(place).evaluate(OPACITY) for place in (1, 2, 6)] == [0, 1, 0]
    boxes = [frame.locator(of).first.bounding_box() for of in (".cap > img", ".say label i")]
    assert boxes[0] == pytest.approx(boxes[1], abs=1), "the map does not lie over the picture"
    assert frame.locator("script").count() == 0


def test_several_with_a_strange_one_as_a_table_on_a_small_screen(
    visit: Visit, site: Site, captioner: Path, tmp_path: Path, photo: Path
) -> None:
    for place, colour in enumerate(("red", "blue")):
        picture(colour, "right", place).save(tmp_path / f"{colour}.png")
    (tmp_path / "broken.png").write_text("no picture")
    page = visit("/captioning", width=390, height=844)
    give(page, "Several at once", [*sorted(tmp_path.glob("*.png")), photo])
    give(page, "A captioner of your own", [captioner])
    page.get_by_text("CSV table").click()
    start(page)
    said = status(page, "done")
    assert "1 of 4 files could not be read and were skipped." in said
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert frame.locator(".cap").count() == 3
    assert frame.locator(".strange").count() == 1
    assert frame.locator("body").evaluate("e => e.scrollWidth <= e.clientWidth")
    with page.expect_download() as download:
        page.locator(".keep .download:visible").first.click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert [(row["file"], row["known"]) for row in rows] == [
        ("blue.png", "yes"), ("red.png", "yes"), ("hills.jpg", "no")
    ]  # fmt: skip
    assert download.value.suggested_filename.endswith(".csv")
