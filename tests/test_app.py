"""perform(): saves what an engine makes, keeps what was there when stopped, treads on nobody's feet."""

from __future__ import annotations

import base64
import dataclasses
import io
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_app import APP, TINT, TintInputs, TintSettings

from apps import _results as results
from apps._app import Action, Saved, perform
from creative.images import ImageError
from creative.progress import Step, run
from creative.provenance import read_provenance
from creative.settings import SettingsError

SAY, TELL, GROW = APP.actions[1:4]


def inputs(photo: Path, **more: Any) -> TintInputs:
    return TintInputs(photo=(photo,), colour="red", **more)


def end(job: Generator[Step, None, Saved], error: type[BaseException]) -> Saved:
    """Throw into a job and take what it returns."""
    with pytest.raises(StopIteration) as stop:
        job.throw(error)
    return stop.value.value  # type: ignore[no-any-return]


def test_saves_with_provenance(photo_file: Path, tmp_path: Path) -> None:
    saved = run(perform(TINT, inputs(photo_file), TintSettings(steps=4, seed=7), out=tmp_path / "out"))
    assert saved.path == tmp_path / "out" / "photo-tint.png"
    assert (saved.complete, saved.metrics, saved.messages) == (True, {"light": 1.0}, ("Light on.",))
    assert saved.seconds > 0
    assert saved.peak_memory_mb > 10
    made = read_provenance(saved.path)
    assert made is not None
    assert (made.action, made.settings["steps"], made.settings["seed"]) == ("tint", 4, 7)
    assert [source.file for source in made.inputs["photo"]] == ["photo.jpg"]
    assert made.result["given"] == {"colour": "red"}
    assert str(tmp_path) not in made.to_json()


def test_text_has_its_provenance_beside_it(tmp_path: Path) -> None:
    saved = run(perform(SAY, SAY.inputs(prompt="ö"), SAY.settings(), out=tmp_path))
    assert saved.path.read_text(encoding="utf-8") == "ö\nö\n"
    made = read_provenance(saved.path)
    assert made is not None
    assert made.result["given"] == {"prompt": "ö"}


def test_a_text_may_come_with_more(tmp_path: Path) -> None:
    saved = run(perform(TELL, TELL.inputs(prompt="<so> it goes "), TELL.settings(letters=13), out=tmp_path))
    assert saved.path.read_text(encoding="utf-8") == saved.result.text == "<so> it goes "
    assert "<b title='4 letters'>&lt;so&gt;</b>" in saved.shown
    made = read_provenance(saved.path)
    assert made is not None
    assert (made.weights, made.result["given"]) == ({"voice": "0" * 64}, {"prompt": "<so> it goes "})


def test_an_interrupted_text_is_kept_and_shown(tmp_path: Path) -> None:
    job = perform(TELL, TELL.inputs(prompt="once upon"), TELL.settings(letters=900), out=tmp_path)
    for _ in range(8):
        next(job)
    saved = end(job, KeyboardInterrupt)
    assert (saved.path.name, saved.path.read_text(), saved.complete) == ("tell-stopped.txt", "once up", False)
    assert "2 letters" in saved.shown
    plain = perform(SAY, SAY.inputs(), SAY.settings(times=9), out=tmp_path)
    for _ in range(3):
        next(plain)
    assert (tmp_path / "say-stopped.txt") == end(plain, KeyboardInterrupt).path


def test_a_page_to_look_at(photo_file: Path, tmp_path: Path) -> None:
    told = run(perform(TELL, TELL.inputs(prompt="<so> "), TELL.settings(), out=tmp_path / "tale.html"))
    text = told.path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<pre class='text'>&lt;so&gt; &lt;so&gt;" in text
    assert "title='4 letters'" in text
    assert "<dt>prompt</dt><dd>&lt;so&gt; </dd>" in text
    assert "script" not in text.replace("default-src 'none'", "")
    assert "Content-Security-Policy" in text
    assert read_provenance(told.path) is not None
    tinted = run(perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path / "tinted.html")).path.read_text()
    encoded = tinted.split("data:image/png;base64,")[1].split('"')[0]
    plain = run(perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path / "tinted.png")).path
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert picture.tobytes() == Image.open(plain).tobytes()
    assert "Its mean is <code>" in tinted
    with pytest.raises(ValueError, match=r"`creative say` has no page to save as said\.html"):
        perform(SAY, SAY.inputs(), SAY.settings(), out=tmp_path / "said.html")


def test_folder_is_told_to_the_engine(tmp_path: Path) -> None:
    saved = run(perform(GROW, GROW.inputs(), GROW.settings(), out=tmp_path / "tree"))
    assert saved.path == tmp_path / "tree"
    assert len(list(saved.path.iterdir())) == 3


def test_wrong_input_fails_at_the_call(photo_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no file .*nothing\.png"):
        perform(TINT, inputs(tmp_path / "nothing.png"), TintSettings(), out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is not a folder"):
        perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path / "file" / "out.png")
    with pytest.raises(ValueError, match="one of its inputs"):
        perform(TINT, inputs(photo_file), TintSettings(), out=photo_file)
    with pytest.raises(SettingsError, match="One job takes one photo"):
        perform(TINT, TintInputs(photo=(photo_file, photo_file), colour="red"), TintSettings(), out=tmp_path)


@pytest.mark.parametrize("steps", [1, 2])
def test_interrupted_keeps_the_last_preview(photo_file: Path, tmp_path: Path, steps: int) -> None:
    job = perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path / "out")
    for _ in range(steps + 1):
        step = next(job)
    assert step.preview is not None
    shown = step.preview()
    saved = end(job, KeyboardInterrupt)
    assert saved.path == tmp_path / "out" / "photo-tint-stopped.png"
    assert not saved.complete
    assert Image.open(saved.path).tobytes() == shown.tobytes()
    made = read_provenance(saved.path)
    assert made is not None
    assert (made.result["complete"], made.result["steps"]) == (False, steps)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo-tint-stopped.png"]


def test_closed_keeps_the_last_preview_too(photo_file: Path, tmp_path: Path) -> None:
    job = perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path / "out")
    next(job), next(job)
    job.close()
    assert (tmp_path / "out" / "photo-tint-stopped.png").is_file()


def test_stopped_before_there_is_anything_leaves_nothing(photo_file: Path, tmp_path: Path) -> None:
    job = perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path / "out")
    next(job)
    with pytest.raises(KeyboardInterrupt):
        job.throw(KeyboardInterrupt)
    perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path / "out").close()
    assert not (tmp_path / "out").exists()


def test_interrupted_within_a_step(photo_file: Path, tmp_path: Path) -> None:
    def start(given: Any, settings: Any, device: str) -> Generator[Step, None, Image.Image]:
        yield Step(1, 2, preview=lambda: Image.new("RGB", (4, 4), "red"))
        raise KeyboardInterrupt

    action = Action("tint", "Tint", "", TintInputs, TintSettings, start)
    saved = run(perform(action, inputs(photo_file), TintSettings(), out=tmp_path / "out"))
    assert not saved.complete
    assert Image.open(saved.path).getpixel((0, 0)) == (255, 0, 0)


def test_a_failure_leaves_nothing(photo_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="The lamp broke"):
        run(perform(TINT, inputs(photo_file), TintSettings(fail="value"), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# Names ----------------------------------------------------------------------------------------------------------------


def test_another_job_takes_another_name(photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "photo-tint.png").write_text("somebody's own")
    first = run(perform(TINT, inputs(photo_file), TintSettings(seed=1), out=tmp_path)).path
    second = run(perform(TINT, inputs(photo_file), TintSettings(seed=2), out=tmp_path)).path
    again = run(perform(TINT, inputs(photo_file), TintSettings(seed=1), out=tmp_path)).path
    assert [first.name, second.name, again.name] == ["photo-tint-2.png", "photo-tint-3.png", "photo-tint-2.png"]
    assert (tmp_path / "photo-tint.png").read_text() == "somebody's own"


def test_what_is_done_is_found(photo_file: Path, tmp_path: Path) -> None:
    def found(given: TintInputs, settings: TintSettings) -> Path | None:
        place = results.Place.of(TINT, given, settings, tmp_path)
        return place.done_already(results.job_key(TINT, given, settings), given)

    settings = TintSettings()
    assert found(inputs(photo_file), settings) is None
    saved = run(perform(TINT, inputs(photo_file), settings, out=tmp_path))
    assert found(inputs(photo_file), settings) == saved.path
    assert found(inputs(photo_file), settings.changed(seed=1)) is None
    assert found(TintInputs(photo=(photo_file,), colour="blue"), settings) is None
    Image.new("RGB", (9, 9)).save(photo_file)
    assert found(inputs(photo_file), settings) is None


def test_a_stopped_result_is_not_done(photo_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "painted.png"
    job = perform(TINT, inputs(photo_file), TintSettings(), out=out)
    next(job), next(job)
    end(job, KeyboardInterrupt).path.replace(out)
    assert results.Place(out, fixed=True).done_already(
        results.job_key(TINT, inputs(photo_file), TintSettings()), inputs(photo_file)
    ) is None  # fmt: skip


def test_a_file_too_large_is_refused_unread(
    photo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from apps._terminal import run_action
    from apps._verbs import Options

    def nobody(path: Path) -> str:
        raise AssertionError(f"{path} was read to its end")

    monkeypatch.setattr(results, "file_sha256", nobody)
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(3_000_000_000)  # a file with a hole takes no room
    started = dataclasses.replace(TINT, start=nobody)
    with pytest.raises(ImageError, match=r"huge\.png is too large: a picture's file may have 200 MB at most\."):
        run_action(started, inputs(huge), TintSettings(), Options(out=str(tmp_path / "out")))
    folder = tmp_path / "photos"
    folder.mkdir()
    photo_file.replace(folder / "a.png")
    huge.replace(folder / "huge.png")
    monkeypatch.undo()
    assert run_action(TINT, inputs(folder), TintSettings(), Options(out=str(tmp_path / "out"))) == 1
    assert capsys.readouterr().err.endswith("2 files: 1 done, 1 failed.\n")


def test_other_weights_make_another_result(photo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = run(perform(TINT, inputs(photo_file), TintSettings(), out=tmp_path))
    made = read_provenance(saved.path)
    assert made is not None
    key = results.job_key(TINT, inputs(photo_file), TintSettings())
    for sha256, same in (("0" * 64, False), (results.file_sha256(photo_file), True)):
        monkeypatch.setattr(
            results, "read_provenance", lambda path, sha=sha256: made.model_copy(update={"weights": {"features": sha}})
        )
        monkeypatch.setattr("creative.weights.locate", lambda name: photo_file)
        assert results.is_result_of(saved.path, key, inputs(photo_file)) is same


def test_names_are_plain() -> None:
    given = TintInputs(photo=(Path("out/My cat: (1).jpeg"),), colour="red")
    assert results.result_name(TINT, given) == "My-cat-1-tint"
    assert results.result_name(SAY, SAY.inputs(prompt="a/b")) == "say"


@pytest.mark.parametrize(
    ("out", "folder"), [("x", True), ("x.d/", True), ("x.png", False), (".", True), ("x.y/z", True)]
)
def test_a_suffix_makes_a_file(out: str, folder: bool) -> None:
    assert results.is_folder(out) is folder


def test_many_jobs_at_once_take_names_of_their_own(photo_file: Path, tmp_path: Path) -> None:
    saved: list[Path] = []
    jobs = [perform(TINT, inputs(photo_file), TintSettings(seed=seed), out=tmp_path / "out") for seed in range(8)]
    threads = [threading.Thread(target=lambda job=job: saved.append(run(job).path)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(saved)) == 8
    seeds = {made.settings["seed"] for path in saved if (made := read_provenance(path)) is not None}
    assert seeds == set(range(8))
