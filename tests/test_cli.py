"""The command line, as it is typed."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import toy_app
from apart import Command
from PIL import Image

from apps import _verbs
from apps._app import perform
from apps._cli import main
from creative.progress import run
from creative.provenance import read_provenance

ROOT = Path(__file__).resolve().parent.parent
TOY = [sys.executable, str(ROOT / "tests" / "toy_app.py")]
CREATIVE = [sys.executable, "-m", "apps"]


@dataclass
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Creative = Callable[..., Said]


@pytest.fixture
def creative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Creative:
    """``creative`` with the toy app, in a folder of its own."""
    found = _verbs.apps()
    monkeypatch.setattr(_verbs, "apps", lambda: [*found, toy_app.APP])
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> Said:
        code = main([str(word) for word in words])
        caught = capsys.readouterr()
        assert "Traceback" not in caught.err
        return Said(code, caught.out, caught.err)

    return call


# Help and words -------------------------------------------------------------------------------------------------------


def test_help_is_quick_and_loads_no_torch() -> None:
    code = """
import sys, time
began = time.monotonic()
from apps._cli import main
for words in ("--help", "style --help", "stile", "style a b --size 3", "style a b", "weights", "--version"):
    main(words.split())
loaded = {"torch", "gradio", "torchvision", "diffusers"} & set(sys.modules)
print(loaded or "light")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("light\n"), done.stdout[-300:]
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*CREATIVE, "--help"], cwd=ROOT, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # the processor's time: others may be using it too
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if seconds[-1] < 0.9:  # torch alone would take twice as long
            return
    raise AssertionError(f"help took {seconds}")


def test_overview_lists_every_verb(creative: Creative) -> None:
    said = creative("--help")
    assert said.code == 0
    for name in _verbs.verbs():
        assert f"  {name} " in said.out
    assert creative().out == said.out == creative("help").out


def test_a_form_for_a_part_of_a_verb_is_no_verb_but_can_be_replayed(
    creative: Creative, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Image.new("RGB", (12, 8), "teal").save(tmp_path / "photo.png")
    photo = tmp_path / "photo.png"
    tint = next(action for action in toy_app.APP.actions if action.verb == "tint")
    part = dataclasses.replace(tint, verb="shade", typed=False)
    app = dataclasses.replace(toy_app.APP, actions=(*toy_app.APP.actions, part))
    monkeypatch.setattr(_verbs, "apps", lambda: [app])
    assert "shade" not in creative("--help").out
    assert creative("shade", str(photo), "red").code == 2
    made = run(perform(part, part.inputs(photo=(photo,), colour="red"), part.settings(), out=tmp_path))
    assert creative("replay", made.path).code == 0


def test_every_verb_has_help(creative: Creative) -> None:
    for name, verb in _verbs.verbs().items():
        said = creative(*name.split(), "--help")
        assert said.code == 0
        assert verb.summary[:40] in said.out
        assert "--device" in said.out
        assert creative("help", *name.split()).out == said.out


def test_help_names_what_there_is(creative: Creative) -> None:
    assert "Voices: shakespeare, " in creative("write", "--help").out
    assert "Models: photo2monet" in creative("translate", "--help").out
    assert "Voices" not in creative("execute", "--help").out


def test_help_has_basic_and_advanced_apart(creative: Creative) -> None:
    text = creative("tint", "--help").out
    basic, advanced = text.index("--steps"), text.index("--pause")
    assert text.index(" options") < basic < text.index("advanced options") < advanced < text.index("general options")
    assert text.startswith("usage: creative tint PHOTO... COLOUR [OPTIONS]\n")
    assert "--gentle, --no-gentle" in text
    assert "(1 to 1000; default: 3)" in " ".join(text.split())


def test_version(creative: Creative) -> None:
    assert creative("--version").out == "creative 0.1.0\n"


def test_python_m_apps_is_creative() -> None:
    done = subprocess.run([*CREATIVE, "--version"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("creative ")


def test_unknown_words_get_a_near_one(creative: Creative) -> None:
    for words, near in (
        (("stile",), "`creative style`"),
        (("tnit", "a.png", "red"), "`creative tint`"),
        (("tint", "a", "red", "--stpes", "3"), "--steps"),
        (("tint", "a", "red", "--no-gentel"), "--no-gentle"),
        (("grow", "three"), "`creative grow tree`"),
        (("tint", "a", "reed"), "'red'"),
    ):
        said = creative(*words)
        assert said.code == 2
        assert said.out == ""
        assert near in said.err
        assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("tint", "PHOTO and COLOUR are missing; it is `creative tint PHOTO... COLOUR`."),
        ("tint a.png", "COLOUR is missing (colour of the light)."),
        ("tint a red --steps", "--steps lacks its value (passes over the picture)."),
        ("tint a red --steps --gentle", "--steps lacks its value (passes over the picture)."),
        ("tint a red -o", "-o lacks its value."),
        ("tint a red -o -", "-o takes the name of a file or of a folder, and '-' is none."),
        ("write --prompt --x", "; one that begins with dashes is written --prompt=--x."),
        ("write hello", "There is a word too many: 'hello'; `creative write --help` says what it takes"),
        ("neurons --text a --neurons x", "--neurons are named as LAYER:NUMBER, such as 1:17"),
        ("tint a red --steps 0", "--steps must be at least 1, but is 0 (passes over the picture)."),
        (
            "tint --curve a red",
            "PHOTO and COLOUR are missing: --curve takes every word after it, so write it last, "
            "as `creative tint PHOTO... COLOUR --curve ...`.",
        ),
        ("tint a red --steps many", "--steps must be a whole number, but is 'many' (passes over the picture)."),
        ("tint a red --strength nan", "--strength must be a finite number, but is nan (of the light)."),
        ("tint a red --curve 1 x", "--curve must be a number, but is 'x' (levels to pass through)."),
        ("tint a red --device tpu", "--device must be 'auto', 'cpu', 'cuda' or 'mps', but is 'tpu'."),
        ("tint nothing.png red", "There is no file nothing.png."),
        ("tint a red --curve --steps 2", "--curve lacks its value (levels to pass through)."),
        ("tint https://example.org/cat.jpg red", "cat.jpg is on the web, and nothing is fetched from there"),
        ("grow", "creative grow what? There is tree."),
        ("weights got x", "`creative weights` lists and `creative weights get NAME` downloads; 'got x' is neither."),
        ("--size 3", "A verb comes first, not --size: `creative --help` lists what there is."),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(creative: Creative, words: str, sentence: str) -> None:
    said = creative(*words.split())
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.splitlines()) == 1


def test_empty_names(creative: Creative) -> None:
    assert "PHOTO is an empty name." in creative("tint", "", "red").err
    assert "--mask is an empty name." in creative("tint", "a", "red", "--mask", "").err


# Jobs -----------------------------------------------------------------------------------------------------------------


def test_the_last_word_is_the_colour(creative: Creative, photo_file: Path, painting_file: Path, tmp_path: Path) -> None:
    said = creative("tint", photo_file, "--steps", "2", painting_file, "blue", "--no-gentle", "--curve", "1", "2.5")
    assert said.code == 0
    assert said.out.splitlines() == ["out/photo-tint.png", "out/painting-tint.png"]
    assert "2 files: 2 done." in said.err
    made = read_provenance(tmp_path / "out/painting-tint.png")
    assert made is not None
    assert made.settings | {"seed": 0} == {
        **{"seed": 0, "steps": 2, "strength": 0.5, "gentle": False, "pause": 0.0, "curve": [1.0, 2.5]},
        "fail": "no",
    }
    assert made.result["given"] == {"colour": "blue"}


@pytest.mark.parametrize("words", ["--curve 1 2 3", "--curve 1 --curve 2 3", "--curve=1 --gentle --curve 2 --curve=3"])
def test_a_flag_of_many_values_may_come_again(creative: Creative, photo_file: Path, words: str) -> None:
    said = creative("tint", photo_file, "red", *words.split(), "--json")
    assert said.json["settings"]["curve"] == [1, 2, 3]


def test_json_is_one_object(creative: Creative, photo_file: Path) -> None:
    report = creative("tint", photo_file, "red", "--json", "--seed", "5", "-o", "here.jpg").json
    assert report["output"] == "here.jpg"
    assert report["settings"]["seed"] == 5
    assert report["metrics"] == {"light": 1.0}
    assert report["seconds"] > 0
    assert report["peak_memory_mb"] > 10
    assert report["complete"]
    assert Image.open("here.jpg").format == "JPEG"


def test_json_tells_errors_too(creative: Creative) -> None:
    said = creative("tint", "nothing.png", "red", "--json")
    assert said.json == {"error": "creative tint: There is no file nothing.png."}


def test_done_jobs_are_skipped_and_said_so(creative: Creative, photo_file: Path) -> None:
    first = creative("tint", photo_file, "red")
    result = Path(first.out.strip())
    before = result.stat().st_mtime_ns
    again = creative("tint", photo_file, "red")
    assert (again.code, again.out) == (0, first.out)
    assert "there already" in again.err
    assert result.stat().st_mtime_ns == before
    assert creative("tint", photo_file, "red", "--json").json["skipped"]
    assert creative("tint", photo_file, "red", "--again").out == first.out
    assert result.stat().st_mtime_ns > before


def test_overwriting_is_asked_for_and_said(creative: Creative, photo_file: Path) -> None:
    creative("tint", photo_file, "red", "-o", "x.png")
    assert "x.png is replaced." in creative("tint", photo_file, "blue", "-o", "x.png").err


def test_a_broken_file_among_many(creative: Creative, photo_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo_file.replace(folder / "a.jpg")
    (folder / "b.jpg").write_bytes((folder / "a.jpg").read_bytes()[:900])
    Image.new("RGB", (8, 8)).save(folder / "c.png")
    (folder / "notes.txt").write_text("no picture")
    said = creative("tint", folder, "red")
    assert said.code == 1
    assert said.out.splitlines() == ["out/a-tint.png", "out/c-tint.png"]
    assert "b.jpg" in said.err
    assert "3 files: 2 done, 1 failed." in said.err
    report = creative("tint", folder, "red", "--json").json
    assert [one["skipped"] for one in report["results"]] == [True, True]
    assert [Path(one["file"]).name for one in report["failed"]] == ["b.jpg"]


def test_a_wrong_setting_stops_a_batch_at_once(creative: Creative, photo_file: Path, painting_file: Path) -> None:
    Image.new("L", (3, 3)).save("mask.png")
    said = creative("tint", photo_file, painting_file, "red", "--mask", "mask.png", "-o", "results")
    assert said.code != 0
    assert not Path("results").exists()
    said = creative("tint", photo_file, painting_file, "red", "-o", "one.png")
    assert said.code == 2
    assert "2 results need a folder" in said.err


def test_text_is_printed(creative: Creative) -> None:
    said = creative("say", "--prompt", "Good day", "--times", "1")
    assert said.out == "Good day\n"
    assert "Saved in out/say.txt." in said.err


def test_a_value_may_begin_with_a_dash(creative: Creative) -> None:
    said = creative("say", "--prompt", "-x", "--times", "1")
    assert (said.code, said.out) == (0, "-x\n"), said


def test_text_comes_as_it_grows(tmp_path: Path) -> None:
    job = Command(toy_app.main, ["tell", "--prompt", "abcdefgh\n", "--letters", "20", "--pause", "0.15"], tmp_path)
    first = job.out.read(1)
    began = time.monotonic()
    status, rest, _ = job.end()
    assert time.monotonic() - began > 0.5, "it all came at once"
    assert (status, first + rest) == (0, "abcdefgh\nabcdefgh\nab\n")


def test_text_that_changes_its_mind_is_whole_in_the_end(creative: Creative) -> None:
    said = creative("tell", "--prompt", "abcd", "--letters", "8", "--pause", "0.06", "--change", "5")
    assert said.out.splitlines() == ["abcd", "Abcdabcd"]


def test_text_is_not_streamed_into_json(creative: Creative) -> None:
    said = creative("tell", "--prompt", "abcd", "--letters", "8", "--pause", "0.06", "--json")
    assert Path(said.json["output"]).read_text() == "abcdabcd"
    assert said.json["text"] == "abcdabcd"


def test_json_has_the_text_also_where_it_is_there_already(creative: Creative) -> None:
    words = ("say", "--prompt", "Good day", "--times", "1", "--json")
    made, again = creative(*words), creative(*words)
    assert again.json["skipped"]
    assert made.json["text"] == again.json["text"] == "Good day\n"


@pytest.mark.parametrize("name", ["said.png", "said.mp4", "said.csv"])
def test_a_text_is_not_saved_as_something_else(creative: Creative, name: str) -> None:
    said = creative("say", "--prompt", "Good day", "-o", name)
    assert (said.code, said.out) == (2, "")
    assert f"{name} is no name for one" in said.err
    assert not Path(name).exists()


def test_a_name_of_odd_bytes_goes_out_as_it_came_in(photo_file: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    try:
        odd.touch()
    except OSError:
        pytest.skip("this disk takes no such name")
    said = [
        subprocess.run(
            [*TOY, "tint", photo_file, "red", "-o", odd, *more], capture_output=True, cwd=tmp_path, timeout=600
        )
        for more in ([], ["--again", "--json"])
    ]
    assert [one.returncode for one in said] == [0, 0], said
    assert said[0].stdout == os.fsencode(odd) + b"\n"
    assert json.loads(said[1].stdout)["output"] == str(odd)


def test_text_and_errors_do_not_share_a_line(creative: Creative) -> None:
    said = creative("tell", "--prompt", "abcd", "--letters", "3", "--pause", "0.06", "--fail")
    assert (said.code, said.out, said.err) == (1, "abc", "creative tell: The thread is lost.\n")


def test_ctrl_c_keeps_the_text_so_far(tmp_path: Path) -> None:
    job = Command(toy_app.main, ["tell", "--prompt", "abcd", "--letters", "900", "--pause", "0.1"], tmp_path)
    first = job.out.read(2)
    job.signal(signal.SIGINT)
    status, out, err = job.end()
    assert status == 130
    assert "the last preview is kept in out/tell-stopped.txt" in err
    assert first + out == (tmp_path / "out/tell-stopped.txt").read_text() + "\n"


def test_a_page_is_saved_and_found_again(creative: Creative) -> None:
    words = ["tell", "--prompt", "one two ", "--letters", "8", "-o", "tale.html"]
    said = creative(*words)
    assert (said.code, said.out) == (0, "one two \n")
    assert "Saved in tale.html." in said.err
    assert "3 letters" in Path("tale.html").read_text()
    again = creative(*words)
    assert again.out == "tale.html\n"
    assert "there already" in again.err
    assert "has no page" in creative("say", "-o", "said.html").err


def test_quiet_and_progress(creative: Creative, photo_file: Path) -> None:
    assert creative("tint", photo_file, "red", "--quiet").err == ""
    assert "1/3" in creative("tint", photo_file, "blue", "--progress").err
    assert "1/3" not in creative("tint", photo_file, "green").err


def test_failures_on_the_way(creative: Creative, photo_file: Path) -> None:
    told = creative("tint", photo_file, "red", "--fail", "value")
    assert (told.code, told.err.splitlines()[-1]) == (1, "creative tint: The lamp broke.")
    fault = creative("tint", photo_file, "red", "--fail", "fault")
    assert fault.code == 1
    assert "unexpected KeyError" in fault.err
    assert "--debug" in fault.err
    memory = creative("tint", photo_file, "red", "--fail", "memory")
    assert memory.code == 1
    assert "not enough memory" in memory.err
    assert not Path("out").exists()


def test_debug_shows_where(
    photo_file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _verbs.apps()
    monkeypatch.setattr(_verbs, "apps", lambda: [*found, toy_app.APP])
    monkeypatch.chdir(photo_file.parent)
    assert main(["tint", str(photo_file), "red", "--fail", "fault", "--debug"]) == 1
    assert "Traceback" in capfd.readouterr().err


def test_weights_are_listed(creative: Creative) -> None:
    said = creative("weights", "--json").json
    names = {row["name"]: row for row in said["weights"]}
    assert names["vgg19"]["url"].startswith("https://")
    assert names["features"]["licence"] == "MIT"
    table = creative("weights").out
    assert all(name in table for name in names)
    assert all(preset["name"] in table for preset in said["presets"])


def test_weights_that_there_are_none(creative: Creative) -> None:
    said = creative("weights", "get", "vgg18")
    assert said.code == 2
    assert "'vgg16'" in said.err or "'vgg19'" in said.err


# Other processes ------------------------------------------------------------------------------------------------------


def listen(job: Command, awaited: str) -> None:
    """Until it says something."""
    said = ""
    while awaited not in said:
        heard = job.err.read(1)
        assert heard, said
        said += heard


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_ctrl_c_keeps_the_last_preview(photo_file: Path, tmp_path: Path, number: int, times: int) -> None:
    pause = "0.4" if times == 1 else "30"
    job = Command(
        toy_app.main, ["tint", str(photo_file), "red", "--steps", "900", "--pause", pause, "--progress"], tmp_path
    )
    listen(job, "1/900")
    for _ in range(times):
        time.sleep(0.3)
        job.signal(number)
    status, out, err = job.end()
    assert status == 130
    assert "the last preview is kept in out/photo-tint-stopped.png" in err
    assert "Traceback" not in err
    assert "light off" in err  # the engine cleaned up
    assert out == "out/photo-tint-stopped.png\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo-tint-stopped.png"]


def test_ctrl_c_leaves_a_training_run_to_go_on(tmp_path: Path) -> None:
    job = Command(toy_app.main, ["grow", "tree", "--height", "9", "--pause", "0.5", "--progress"], tmp_path)
    listen(job, "1/9")
    job.signal(signal.SIGINT)
    status, _, err = job.end()
    assert status == 130
    assert "Stopped; the same command goes on from what is in out/grow-tree." in err
    assert (tmp_path / "out/grow-tree/stopped").is_file()


def test_two_processes_at_once(photo_file: Path, tmp_path: Path) -> None:
    jobs = [Command(toy_app.main, ["tint", str(photo_file), "red", "--seed", str(seed)], tmp_path) for seed in (1, 2)]
    outs = {job.end()[1].strip() for job in jobs}
    assert outs == {"out/photo-tint.png", "out/photo-tint-2.png"}
    assert {read_provenance(tmp_path / out).settings["seed"] for out in outs} == {1, 2}  # type: ignore[union-attr]


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    command = f"{' '.join(TOY)} --help | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""


def test_threads_wait_quietly() -> None:
    code = "import os, sys; sys.argv[1:] = ['--version']; from apps.__main__ import main; main(); "
    code += "print(os.environ['OMP_WAIT_POLICY'])"
    quiet = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=quiet, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nPASSIVE\n")


# Videos ---------------------------------------------------------------------------------------------------------------


def test_a_video_goes_to_the_verb_that_takes_it(creative: Creative, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "still.gif")
    (tmp_path / "clip.MP4").write_bytes(b"film")
    for words in (
        ("clip.MP4", "red", "--flow", "0.25"),
        ("--flow", "0.25", "clip.MP4", "red"),
        ("--flow=0.25", "clip.MP4", "red", "--curve", "1", "2"),
        ("-o", "clip.txt", "--json", "clip.MP4", "red", "--flow", "0.25"),
        ("moves.gif", "red", "--flow", "0.25"),
    ):
        said = creative("tint", *words, "--again")
        assert said.code == 0, said.err
        texts = [path.read_text() for path in (*tmp_path.glob("out/*.txt"), *tmp_path.glob("*.txt"))]
        assert f"{'moves.gif' if 'moves.gif' in words else 'clip.MP4'} in red, flow 0.25\n" in texts
    for words in (("still.gif", "red"), ("still.gif", "red", "--curve", "1", "--mask", "clip.mp4")):
        assert "flow" not in creative("tint", *words, "--flow", "0.5").out
        assert "There is no flag --flow" in creative("tint", *words, "--flow", "0.5").err


def test_what_is_wrong_with_a_video_is_told_with_its_own_verb(creative: Creative, tmp_path: Path) -> None:
    said = creative("tint", "clip.mp4", "red")
    assert (said.code, said.err) == (2, "creative tint film: There is no file clip.mp4.\n")
    (tmp_path / "clip.mp4").write_bytes(b"film")
    assert "did you mean --flow?" in creative("tint", "clip.mp4", "red", "--flo", "1").err
    said = creative("tint", "clip.mp4", "red", "--strength", "1")
    assert said.err.startswith("creative tint film: There is no flag --strength: ")
    assert "goes to `creative tint film`" in " ".join(creative("tint", "--help").out.split())
    assert creative("tint", "clip.mp4", "--help").out == creative("tint", "film", "--help").out
