"""The Write page as somebody in front of it sees it, with a toy's voice in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Site
from test_dreams import more, write
from test_studio import start, status, tab, upload
from test_tunes import JIG
from toy_voice import SAYING, save_voice

from creative.engines.char_rnn.engraving import can_engrave

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]
HOSTILE = "The <script>window.hacked = 1</script> cat <img src=x onerror='window.hacked = 2'> {{1 + 1}} said"


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_voice(tmp_path_factory.mktemp("voices") / "cat.safetensors")


def open_with(visit: Visit, voice: Path, action: str, **options: Any) -> Any:
    """The page with a voice of one's own in the form of an action."""
    page = visit("/char-rnn", **options)
    tab(page, action)
    page.get_by_role("button", name="A voice of your own").locator("visible=true").click()
    upload(page.locator(".block:visible").filter(has_text="The file of a voice").last, voice)
    return page


def text_of(page: Any) -> str:
    return str(page.locator(".written textarea:visible").input_value())


def test_writes_and_tells_what_is_copied(visit: Visit, voice: Path, site: Site) -> None:
    page = open_with(visit, voice, "Write")
    write(page, "How the text begins", "The cat")
    write(page, "Characters to write", 100)
    write(page, "0 takes the likeliest", 0)
    start(page)
    assert "write" in status(page, "done")
    assert text_of(page) == (SAYING * 2)[:107]
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert "Copied from the training text" in frame.locator("p").first.inner_text()
    assert frame.locator(".heat u").first.inner_text().replace("⏎", "") in (SAYING * 2)
    assert "cat" in page.locator(".results:visible").inner_text()


def test_streams_until_stopped_and_keeps_the_text(visit: Visit, voice: Path, site: Site) -> None:
    page = open_with(visit, voice, "Write")
    write(page, "How the text begins", "The ")
    write(page, "Characters to write", 500_000)
    start(page)
    page.wait_for_function("[...document.querySelectorAll('.written textarea')].some(box => box.value.length > 50)")
    before = len(text_of(page))
    page.wait_for_function(
        "n => [...document.querySelectorAll('.written textarea')].some(box => box.value.length > n)", arg=before
    )
    page.locator("button.stop:visible").click()
    told = status(page, "stopped")
    assert "the last preview is kept" in told
    kept = text_of(page)
    assert kept.startswith("The ")
    assert len(kept) > before
    saved = max(site.output.glob("write*stopped*.txt"), key=lambda path: path.stat().st_mtime)
    assert saved.read_text(encoding="utf-8") == kept


def test_a_hostile_text_is_scored_and_stays_text(visit: Visit, voice: Path) -> None:
    page = open_with(visit, voice, "Score")
    write(page, "The text itself", HOSTILE)
    start(page)
    assert "bits per character" in status(page, "done")
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert HOSTILE in frame.locator(".heat").inner_text()
    assert frame.locator("script, img").count() == 0
    pointed = frame.locator(".heat b").first.get_attribute("title")
    assert pointed.startswith("T")
    assert pointed.count("%") == 5
    assert page.evaluate("window.hacked") is None
    assert frame.locator("body").evaluate("() => window.hacked") is None
    frame.get_by_text("below it what the voice expected").click()
    assert frame.locator(".guesses td").count() >= 6 * len(HOSTILE)
    assert "never seen '<'" in page.locator(".said:visible").first.inner_text()


def test_looks_inside_in_the_dark(visit: Visit, voice: Path) -> None:
    page = open_with(visit, voice, "Look inside", color_scheme="dark")
    write(page, "The text itself", SAYING * 4)
    start(page)
    status(page, "done")
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert frame.locator("tbody tr").count() == 8
    assert frame.locator(".heat").count() == 8
    assert frame.locator(".heat b.w8, .heat b.c8, .heat b.w7, .heat b.c7").count() > 0
    paper, ink = (
        frame.locator(".heat").first.evaluate(f"e => getComputedStyle(e).{name}")
        for name in ("backgroundColor", "color")
    )
    assert paper != ink
    assert int(ink.split("(")[1].split(",")[0]) > 150  # light on dark


@pytest.mark.skipif(not can_engrave(), reason="verovio is not installed")
def test_a_tune_is_drawn_and_plays(visit: Visit, voice: Path) -> None:
    page = open_with(visit, voice, "Write")
    write(page, "How the text begins", JIG + "\n")
    write(page, "Characters to write", 1)
    start(page)
    status(page, "done")
    frame = page.frame_locator(".stage:visible iframe.shown")
    assert frame.locator("h3").first.inner_text() == "The Test of Time"
    assert frame.locator("svg .note").count() > 40
    player = frame.locator("audio")
    player.evaluate("a => a.readyState > 0 || new Promise(done => a.onloadedmetadata = done)")
    assert 5 < player.evaluate("a => a.duration") < 30
    assert frame.locator("script").count() == 0


def test_wrong_input_is_one_sentence(visit: Visit, voice: Path, tmp_path: Path) -> None:
    page = open_with(visit, voice, "Score")
    start(page)
    assert "There is nothing to read: give a file, or a text." in status(page, "failed")
    (tmp_path / "poem.txt").write_bytes(b"roses\0are red")
    upload(page.locator(".form:visible"), tmp_path / "poem.txt")
    start(page)
    page.get_by_text("is binary, not a text").wait_for()
    assert "offset 5" in status(page, "failed")


def test_a_voice_is_trained_and_its_samples_are_seen(visit: Visit, site: Site, tmp_path: Path) -> None:
    (tmp_path / "saying.txt").write_text(SAYING * 30, encoding="utf-8")
    page = visit("/char-rnn")
    tab(page, "Train")
    upload(page.locator(".form:visible"), tmp_path / "saying.txt")
    write(page, "Training steps", 30)
    write(page, "Numbers that each layer", 16)
    more(page)
    write(page, "Characters per step", 16)
    start(page)
    page.wait_for_function("[...document.querySelectorAll('.written textarea')].some(box => box.value.length > 20)")
    status(page, "done")
