"""What a camera sees is changed on the page as it comes, with the browser's own made-up camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Site
from test_studio import fill, jobs, start, status, tab

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]
MEAN = """() => {
  const canvas = document.querySelector(".camera.on canvas");
  if (!canvas) return null;
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const sum = [0, 0, 0];
  for (let at = 0; at < data.length; at += 4) for (const part of [0, 1, 2]) sum[part] += data[at + part];
  return sum.map((one) => (4 * one) / data.length);
}"""


def test_what_the_camera_sees_is_changed_until_it_is_stopped(visit: Visit, site: Site) -> None:
    page = visit()
    tab(page, "Webcam")
    start(page)
    page.wait_for_function(f"() => {{ const [r, g, b] = ({MEAN})() || [0, 0, 0]; return r > 200 && b < 40; }}")
    page.get_by_label("Blue").locator("visible=true").check()
    page.wait_for_function(f"() => {{ const [r, g, b] = ({MEAN})(); return b > 200 && r < 40; }}")
    page.wait_for_function(
        "document.querySelector('.camera .status').innerText.includes('frames a second · 960 × 540')"
    )
    page.locator("button.stop:visible").click()
    assert status(page, "stopped") == "The camera is off."
    assert page.evaluate("document.querySelector('.camera video').srcObject") is None
    page.get_by_label("Break it").locator("visible=true").check()
    start(page)
    assert status(page, "failed") == "The mirror is <broken>."
    page.get_by_label("Break it").locator("visible=true").uncheck()

    other = visit()
    tab(other, "Echo")
    fill(other, "How often", 500)
    start(page)
    page.wait_for_selector(".camera.on")
    start(other)
    page.wait_for_function("document.querySelector('.camera .status').innerText.includes('job is running')")
    other.locator("button.stop:visible").click()
    page.wait_for_function("document.querySelector('.camera .status').innerText.includes('frames a second')")
    page.keyboard.press("Escape")
    assert status(page, "stopped") == "The camera is off."
    assert jobs(site) == 0


def test_a_camera_that_is_refused_or_absent_is_told_in_a_sentence(visit: Visit) -> None:
    page = visit(width=900)
    tab(page, "Webcam")
    for reason, sentence in (
        ("NotAllowedError", "The camera was refused: allow it"),
        ("NotFoundError", "There is no camera on this device."),
        ("NotReadableError", "in use by another program"),
    ):
        refuse = f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{reason}'))"
        page.evaluate(f"() => {{ {refuse} }}")
        start(page)
        page.locator(".camera .status.failed").filter(has_text=sentence).wait_for()
    page.evaluate(
        """() => {
          const real = MediaDevices.prototype.getUserMedia.bind(navigator.mediaDevices);
          window.asked = 0;
          navigator.mediaDevices.getUserMedia = (what) => {
            window.asked++;
            return new Promise((give) => { window.allow = () => give(real(what)); });
          };
        }"""
    )
    start(page)
    page.locator("button.stop:visible").click()
    assert status(page, "stopped") == "The camera is off."
    start(page)  # twice, while the browser still asks
    page.evaluate("window.allow()")
    page.wait_for_selector(".camera.on")
    assert page.evaluate("window.asked") == 1
    page.locator("button.stop:visible").click()
    assert status(page, "stopped") == "The camera is off."
    page.evaluate("() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    start(page)
    page.locator(".camera .status.failed").filter(has_text="only to pages on this machine").wait_for()
    assert page.locator("button.start:visible").count() == 1
    assert page.locator(".camera figure:visible").count() == 0
