"""What somebody in front of the page sees, in a real browser: a toy app for speed, style transfer once at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Site
from PIL import Image
from toy import BLUR, BlurInputs, BlurSettings

pytestmark = pytest.mark.e2e
Visit = Callable[..., Any]


def give(page: Any, photo: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(photo)
    page.wait_for_selector(".picture img")


def fill(page: Any, label: str, value: object) -> None:
    page.locator("label, .block").filter(has_text=label).locator("input[type=number]").first.fill(str(value))
    page.keyboard.press("Tab")


def slow(page: Any) -> None:
    """A job of a minute."""
    fill(page, "How many times to blur", 1000)


def upload(box: Any, file: Path) -> None:
    """Into a box for files; its name is to be seen in one piece while it comes, and in two once it is there."""
    box.locator("input[type=file]").first.set_input_files(file)
    box.page.locator(f'.filename[aria-label="{file.name}"]:visible').first.wait_for()


def start(page: Any) -> None:
    """Start the form in view; what its status line says now is not taken for what comes of it."""
    page.evaluate("document.querySelectorAll('.status').forEach(one => one.classList.add('before'))")
    page.locator("button.start:visible").click()


def status(page: Any, state: str) -> str:
    return str(page.wait_for_selector(f".status.{state}:not(.before):visible").inner_text())


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(site: Site, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(site.url + path, data, {"Content-Type": "application/json"})
    with OPENER.open(request, timeout=120) as answer:
        return json.load(answer)


def jobs(site: Site) -> int:
    return int(ask(site, "/health")["jobs"])


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_from_upload_to_a_download_that_repeats(visit: Visit, site: Site, photo: Path, tmp_path: Path) -> None:
    from apps._app import perform
    from creative.progress import run
    from creative.provenance import read_provenance

    page = visit()
    give(page, photo)
    fill(page, "How many times to blur", 30)
    start(page)
    seen = set()
    page.wait_for_selector(".status.working .bar")
    while page.locator(".status.kept").count() == 0:
        picture = page.locator(".stage .preview img")
        if picture.count():
            seen.add(picture.first.get_attribute("src"))
        page.wait_for_timeout(60)
    assert len(seen) >= 2, "there were no live previews"
    assert "Done" in status(page, "done")
    page.wait_for_function("[...document.querySelectorAll('.pair img')].every(i => i.complete && i.naturalWidth > 0)")
    with page.expect_download() as downloading:
        page.locator(".download:visible").first.click()
    kept = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(kept)
    saved = site.output / kept.name
    assert kept.read_bytes() == saved.read_bytes(), "the download is not the file that was saved"
    made = read_provenance(kept)
    assert made is not None
    assert made.settings["steps"] == 30
    assert made.inputs["photo"][0].file == photo.name
    again = run(perform(BLUR, BlurInputs(photo=(photo,)), BlurSettings(**made.settings), out=tmp_path / "again.png"))
    assert Image.open(again.path).tobytes() == Image.open(kept).tobytes()


def test_stop_keeps_the_last_preview_and_the_next_run_works(visit: Visit, site: Site, photo: Path) -> None:
    page = visit()
    give(page, photo)
    slow(page)
    start(page)
    page.wait_for_selector(".stage .preview img")
    page.locator("button.stop:visible").click()
    assert "last preview is kept" in status(page, "stopped")
    wait_for(lambda: jobs(site) == 0)
    assert list(site.output.glob("*stopped*"))
    fill(page, "How many times to blur", 2)
    start(page)
    assert "Done" in status(page, "done")


def test_keys_start_and_stop(visit: Visit, photo: Path) -> None:
    page = visit()
    give(page, photo)
    slow(page)
    page.keyboard.press("Control+Enter")
    status(page, "working")
    page.wait_for_selector("button.stop:visible")
    page.keyboard.press("Escape")
    status(page, "stopped")


def test_an_example_is_clicked_and_painted(visit: Visit, site: Site) -> None:
    page = visit()
    page.get_by_role("button", name="Lake").click()
    page.wait_for_function("document.querySelector('.form .picture img')?.naturalWidth > 0")
    start(page)
    assert "lake-blur.png" in status(page, "done")
    assert (site.output / "lake-blur.png").is_file()


def test_wrong_input_is_told_and_the_form_keeps_its_values(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    fill(page, "Longest side", 96)
    start(page)
    assert "photo" in status(page, "failed")
    page.wait_for_timeout(300)
    assert page.locator(".toast-body").count() == 0, "told twice"

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:1500])
    page.locator("input[type=file]").first.set_input_files(broken)
    page.wait_for_selector(".picture img", state="attached")
    start(page)
    page.wait_for_function("document.querySelector('.status.failed')?.innerText.includes('broken.jpg')")

    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()
    give(page, photo)
    fill(page, "Longest side", 3)
    start(page)
    page.wait_for_function("document.querySelector('.status.failed')?.innerText.includes('at least 16')")
    fill(page, "Longest side", 64)
    start(page)
    status(page, "done")
    assert "Traceback" not in page.content()


def test_output_folder_that_cannot_be_written_is_told(visit: Visit, site: Site, photo: Path) -> None:
    page = visit()
    give(page, photo)
    site.output.mkdir(exist_ok=True)
    aside = site.output.rename(site.output.with_name("aside"))
    try:
        site.output.write_text("a file where the folder should be")
        start(page)
        assert len(status(page, "failed")) > 20
    finally:
        site.output.unlink()
        aside.rename(site.output)


def test_reload_keeps_what_was_made_and_its_settings_can_be_used_again(visit: Visit, photo: Path) -> None:
    page = visit()
    give(page, photo)
    fill(page, "Longest side", 77)
    start(page)
    status(page, "done")
    page.reload()
    page.locator(".results .thumbnail-item").first.click()
    page.wait_for_selector(".facts")
    assert "77" in page.locator(".facts").inner_text()
    page.locator("button.again").click()
    page.wait_for_function("[...document.querySelectorAll('input[type=number]')].some(input => input.value == '77')")


def test_a_closed_tab_frees_the_machine(visit: Visit, site: Site, photo: Path) -> None:
    page = visit()
    give(page, photo)
    slow(page)
    start(page)
    page.wait_for_selector(".stage .preview img")
    assert jobs(site) == 1
    page.context.close()
    wait_for(lambda: jobs(site) == 0)


def test_two_people_take_turns(visit: Visit, site: Site, photo: Path) -> None:
    first, second = visit(), visit()
    for page in (first, second):
        give(page, photo)
    slow(first)
    start(first)
    first.wait_for_selector(".stage .preview img")
    start(second)
    assert "Another job is running" in status(second, "waiting")
    assert jobs(site) == 2
    second.keyboard.press("Escape")
    assert "before its turn" in status(second, "stopped")
    start(second)
    status(second, "waiting")
    first.locator("button.stop:visible").click()
    assert "Done" in status(second, "done")
    wait_for(lambda: jobs(site) == 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_screens_and_the_dark(visit: Visit, photo: Path, scheme: str) -> None:
    page = visit("/toy", width=390, height=844, color_scheme=scheme)
    give(page, photo)
    start(page)
    status(page, "done")
    for path in ("/toy", "/"):
        if path != "/toy":
            page = visit(path, width=390, height=844, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        brightness = "(css) => css.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0) / 3"
        ink = page.evaluate(f"({brightness})(getComputedStyle(document.querySelector('header h1')).color)")
        ground = page.evaluate(f"({brightness})(getComputedStyle(document.body).backgroundColor)")
        assert (ground < 60 < 190 < ink) if scheme == "dark" else (ink < 60 < 190 < ground)


def tab(page: Any, title: str) -> None:
    """Open a tab; on a narrow screen those that do not fit are in a menu."""
    page.wait_for_selector("button[role=tab]:visible")
    page.wait_for_timeout(300)  # until it has found out which fit
    there = page.get_by_role("tab", name=title, exact=True)
    if there.count() == 0 or not there.is_visible():
        page.locator(".overflow-menu > button:visible").click()
        there = page.locator(".overflow-dropdown button", has_text=title)
    there.click()
    page.wait_for_selector("button.start:visible")


def test_a_text_grows_and_shows_more_of_itself_where_nothing_can_run(visit: Visit, site: Site, tmp_path: Path) -> None:
    page = visit()
    tab(page, "Echo")
    page.locator(".form textarea:visible").fill("<b>{{so}}</b> ${it} goes")
    fill(page, "How often", 150)
    start(page)
    seen = set()
    while page.locator(".status.kept:visible").count() == 0:
        box = page.locator(".written textarea:visible")
        seen.add(len(box.input_value()) if box.count() else 0)
        page.wait_for_timeout(40)
    assert len(seen) > 2, "the text did not grow"
    whole = page.locator(".written textarea:visible").input_value()
    assert whole == "<b>{{so}}</b> ${it} goes\n" * 150
    frame = page.frame_locator("iframe.shown")
    assert frame.locator("p").first.inner_text() == "<b>{{so}}</b> ${it} goes {{this}} ${1 + 1}"
    page.wait_for_function("document.querySelector('iframe.shown').offsetHeight > 600")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as a page").click()
    kept = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(kept)
    assert kept.suffix == ".html"
    assert "How it was made" in kept.read_text()
    page.reload()
    page.locator(".results .thumbnail-item").first.click()
    page.wait_for_selector(".facts")
    assert page.locator(".chosen .written textarea").input_value() == whole
    tab(page, "Echo")
    page.locator("button.again").click()
    page.wait_for_function(
        "[...document.querySelectorAll('.form textarea')].some(box => box.value.startsWith('<b>{{so}}'))"
    )


def test_a_click_on_a_picture_starts_what_it_leads_to(visit: Visit, site: Site, photo: Path) -> None:
    page = visit()
    tab(page, "Tiles")
    page.locator(".picture input[type=file]:visible, [role=tabpanel]:visible input[type=file]").first.set_input_files(
        photo
    )
    page.wait_for_selector(".picture img:visible")
    start(page)
    assert "Click a tile" in status(page, "done")
    page.get_by_role("button", name="Blur it little").click()
    page.wait_for_selector("#start-blur", state="attached")
    assert "hills-blur" in str(page.wait_for_selector(".status.done:visible:has-text('hills-blur')").inner_text())
    words = page.locator(".advanced .block:visible").filter(has_text="Remembered").locator("input, textarea").last
    assert words.input_value() == "little", "what was filled in is to be seen"
    page.get_by_role("button", name="\u2190 Tiles").click()
    page.get_by_role("button", name="Blur it much").click()
    status(page, "working")
    page.wait_for_selector(".stage .preview img:visible")
    page.keyboard.press("Escape")
    assert "last preview is kept" in status(page, "stopped")


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_a_video_plays(visit: Visit, photo: Path, suffix: str) -> None:
    pytest.importorskip("av")
    page = visit()
    tab(page, "Film")
    page.locator("[role=tabpanel]:visible input[type=file]").first.set_input_files(photo)
    page.wait_for_selector(".picture img:visible")
    page.get_by_label(suffix.upper(), exact=True).check()
    start(page)
    assert f".{suffix}" in status(page, "done")
    if suffix == "mp4":
        page.wait_for_function("document.querySelector('.film video')?.readyState >= 2")
        page.locator(".film video").evaluate("video => video.play()")
        page.wait_for_function("document.querySelector('.film video').currentTime > 0.2")
        assert page.locator(".stage .preview:visible").count() == 0
    else:
        picture = page.locator(".stage .preview img:visible")
        picture.wait_for()
        assert "gif" in str(picture.get_attribute("src"))
        assert picture.evaluate("img => img.complete && img.naturalWidth") == 64


def test_programs_may_call_it_too(site: Site, photo: Path, tmp_path: Path) -> None:
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(site.url, verbose=False, download_files=str(tmp_path))
    names = list(client.view_api(return_format="dict", print_info=False)["named_endpoints"])
    assert {"/blur", "/echo", "/tiles", "/film"} <= set(names)
    assert len(names) == len(set(names))
    given = client_module.handle_file(str(photo))
    result = client.predict(photo=given, size=64, steps=1, api_name="/blur")
    assert any(str(part).endswith(".png") for part in result)
    bomb = tmp_path / "bomb.png"
    Image.new("1", (30000, 30000)).save(bomb)
    for wrong, sentence in (
        ({"photo": None}, "photo"),
        ({"size": 5000}, "at most 2048"),
        ({"photo": client_module.handle_file(str(bomb))}, "bomb.png"),
    ):
        with pytest.raises(Exception, match=sentence):
            client.predict(**{"photo": given, **wrong}, api_name="/blur")
    client.close()


def test_a_call_may_not_name_a_file_of_the_machine(site: Site, tmp_path: Path) -> None:
    private = tmp_path / "private.png"
    Image.new("RGB", (40, 30)).save(private)
    info = ask(site, "/gradio_api/info")["named_endpoints"]["/blur"]["parameters"]
    values = {part["parameter_name"]: part.get("parameter_default") for part in info}
    values["photo"] = {"path": str(private), "meta": {"_type": "gradio.FileData"}}
    event = ask(site, "/gradio_api/call/blur", {"data": list(values.values())})["event_id"]
    with OPENER.open(f"{site.url}/gradio_api/call/blur/{event}", timeout=120) as answer:
        said = answer.read().decode()
    assert "event: error" in said
    assert not list(site.output.glob("private*"))


def test_a_photo_painted_in_the_browser_is_replayed_by_the_command_line(
    visit: Visit, photo: Path, tmp_path: Path
) -> None:
    from creative.weights import WeightsError, find

    try:
        find("features")
    except WeightsError as missing:
        pytest.skip(f"no bundled network yet: {missing}")
    painting = tmp_path / "waves.png"
    Image.effect_noise((96, 96), 80).convert("RGB").save(painting)
    page = visit("/style-transfer")
    page.locator(".picture input[type=file]:not(.own *)").first.set_input_files(photo)
    page.locator(".own input[type=file]").first.set_input_files(painting)
    page.wait_for_function("document.querySelectorAll('.desk:first-child .picture img').length >= 2")
    fill(page, "Longest side of the result", 64)
    page.get_by_label("Draft").first.check()
    start(page)
    status(page, "done")
    with page.expect_download() as downloading:
        page.locator(".download:visible").first.click()
    kept = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(kept)
    again = subprocess.run(
        [sys.executable, "-m", "apps", "replay", kept, "--input", photo, painting],
        capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    assert "same" in (again.stdout + again.stderr).lower()
