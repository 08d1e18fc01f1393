"""The Execute page as somebody in front of it sees it, with the bundled network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Site
from test_dreams import write
from test_studio import start, status

from creative.data.programs import read_program

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


def score(page: Any, answers: int) -> str:
    told = page.locator(".tally:visible p", has_text=f"of {answers} right")
    told.wait_for()
    return str(told.inner_text())


def truth(frame: Any) -> str:
    return "".join(frame.locator(".digits .truth").all_inner_texts()).replace("−", "-")


def test_a_program_is_made_up_and_read_and_one_is_typed(visit: Visit, site: Site) -> None:
    page = visit("/learning-to-execute")
    assert page.locator(".form textarea:visible").first.evaluate("e => getComputedStyle(e).fontFamily").count("mono")
    write(page, "Digits of a made-up program", 1)
    start(page)
    assert "programs 1" in status(page, "done")
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert truth(frame) == str(read_program(frame.locator("pre").first.inner_text()).answer)
    assert frame.locator(".digits .digit").count() >= 2  # the end is one of them
    assert frame.locator(".digits .digit").last.inner_text().count("%") >= 1
    right = frame.locator(".digits .off").count() == 0
    assert frame.locator(".verdict").inner_text().startswith("Right" if right else "Wrong")
    assert frame.locator(".levels .here").count() == 1
    assert score(page, 1) == f"On this visit {int(right)} of 1 right"
    assert not page.locator(".written:visible").count()  # the same once more

    write(page, "What the network is to run", "print(7/2)")
    start(page)
    assert status(page, "failed") == "Line 1: division is not in the language; +, - and * are."
    write(page, "What the network is to run", "a = 4\nprint(a + 3)")
    start(page)
    status(page, "done")
    assert truth(frame) == "7"
    right += frame.locator(".digits .off").count() == 0
    assert score(page, 2) == f"On this visit {int(right)} of 2 right"


def test_many_programs_have_a_score_of_their_own_on_a_small_screen(visit: Visit) -> None:
    page = visit("/learning-to-execute", width=390, height=844)
    write(page, "How many programs are made up", 5)
    start(page)
    assert "programs 5" in status(page, "done")
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert frame.locator("p").first.inner_text().endswith("of 5 right.")
    assert frame.locator(".all tbody tr").count() == 5
    wide = frame.locator("body").evaluate("e => Math.max(...[...e.querySelectorAll('*')].map(x => x.offsetWidth))")
    assert wide <= 390
