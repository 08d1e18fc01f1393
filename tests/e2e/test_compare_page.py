"""The Compare page as somebody in front of it sees it: two quick ways, a slider between any two of three pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_dreams import give, write
from test_studio import start, status

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


def test_a_sheet_a_slider_and_figures(visit: Visit, photo: Path) -> None:
    page = visit("/compare")
    give(page, photo)
    page.get_by_text("The Starry Night").locator("visible=true").first.click()
    write(page, "Longest side of each picture", 64)
    for way in ("cyclegan", "optimisation"):
        page.locator(f"input[type=checkbox][name={way}]:visible").check()
    start(page)
    assert "hills-starry-night" in status(page, "done")
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert frame.locator("td:first-child").all_inner_texts() == ["CycleGAN", "Optimisation"]
    view = frame.locator(".view")
    at = "view => getComputedStyle(view.querySelector('b')).left"
    middle = float(view.evaluate(at)[:-2])
    view.locator("label").nth(5).hover()
    assert float(view.evaluate(at)[:-2]) < middle / 2, "the handle does not follow the pointer"
    view.locator("label").nth(5).click()
    page.mouse.move(5, 5)
    assert float(view.evaluate(at)[:-2]) < middle / 2, "the handle does not stay where it was clicked"
    shown = "view => getComputedStyle(view.querySelector('.left')).backgroundImage"
    before = view.evaluate(shown)
    frame.locator(".pick").first.get_by_text("Optimisation").click()
    assert view.evaluate(shown) != before
    if os.environ.get("LOOK"):
        page.screenshot(path=os.environ["LOOK"], full_page=True)
