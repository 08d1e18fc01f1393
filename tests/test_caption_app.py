"""``creative caption`` and its page, with a toy captioner that knows red and blue pictures."""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image
from test_cli import Creative, Said, creative  # noqa: F401
from toy_captioner import picture, save_captioner

from apps import captioning
from apps._app import perform
from apps._caption_html import FULL, knows, show_captions, where
from apps._caption_scenes import Checked, check, save_scene, scene_of
from creative import caption, run
from creative.data.scenes import draw_scene
from creative.engines.captioning import Captions, Description, Guess, Sentence
from creative.images import ImageError
from creative.models.captioner import CaptionerError
from creative.options.caption import CaptionInputs, CaptionSettings
from creative.provenance import read_provenance

CAPTION = captioning.APP.actions[0]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_captioner(tmp_path_factory.mktemp("captioner") / "toy.safetensors")


@pytest.fixture
def here(creative: Creative, toy: Path, photo: Image.Image) -> Creative:  # noqa: F811
    """The command line in a folder with pictures and the captioner."""
    picture("red", "left", 99).save("red.png")
    picture("blue", "right", 98).save("blue.png")
    photo.save("cat.png")
    shutil.copy(toy, "toy.safetensors")
    return creative


MODEL = ("--model", "toy.safetensors")
RED, BLUE = "a red picture darker on the left", "a blue picture darker on the right"


def refused(said: Said, part: str, code: int = 2) -> None:
    assert said.code == code, said
    assert said.out == ""
    assert part in said.err
    assert len(said.err.splitlines()) == 1


# The command line -----------------------------------------------------------------------------------------------------


def test_one_picture_is_one_sentence(here: Creative) -> None:
    said = here("caption", "red.png", *MODEL)
    assert (said.code, said.out) == (0, f"{RED}\n"), said
    assert Path("out/red-caption.txt").read_text(encoding="utf-8").rstrip() == RED
    assert "Saved in out/red-caption.txt" in said.err


def test_several_are_one_job_with_names(here: Creative) -> None:
    said = here("caption", "red.png", "blue.png", *MODEL)
    assert said.out == f"red.png: {RED}\nblue.png: {BLUE}\n"


def test_a_folder_becomes_a_table(here: Creative) -> None:
    Path("photos").mkdir()
    for number in range(40):
        picture("red" if number % 2 else "blue", "left", number).save(f"photos/{number:02}, of 40.png")
    Path("photos/notes.txt").write_text("not a picture")
    Path("photos/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    said = here("caption", "photos", *MODEL, "-o", "captions.csv", "--json")
    assert said.code == 0, said
    assert said.json["metrics"] == {"pictures": 40, "known": 40, "skipped": 1}
    assert any("1 of 41 files could not be read" in message for message in said.json["messages"])
    assert any("broken.jpg" in message for message in said.json["messages"])
    told = said.json["captions"]
    assert len(told) == 40
    assert {"file", "text", "known", "unlikeness", "model", "sentences", "guesses"} == set(told[0])
    assert {"text", "confidence", "words", "confidences"} == set(told[0]["sentences"][0])
    assert [one["text"] for one in told[:2]] == [BLUE.replace("right", "left"), RED]
    (unread,) = said.json["unread"]
    assert unread["file"] == "broken.jpg"
    assert "damaged" in unread["error"]
    again = here("caption", "photos", *MODEL, "-o", "captions.csv", "--json")
    assert again.json["captions"] == told  # though the file is there already
    rows = list(csv.DictReader(Path("captions.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows] == [f"{number:02}, of 40.png" for number in range(40)]
    for number, row in enumerate(rows):
        assert row["caption"] == f"a {'red' if number % 2 else 'blue'} picture darker on the left"
        assert row["known"] == "yes"
        assert 0 < float(row["confidence"]) <= 1
    again = here("caption", "photos", *MODEL, "-o", "captions.csv")
    assert "is there already" in again.err
    assert again.out == "captions.csv\n"


def test_files_of_one_name_are_told_apart_and_odd_bytes_in_one_do_no_harm(here: Creative) -> None:
    for folder in ("day", "night"):
        Path(folder).mkdir()
    shutil.copy("red.png", "day/1.png")
    shutil.copy("blue.png", "night/1.png")
    odd = Path(os.fsdecode(b"day/caf\xe9\n.png"))  # as a disk from elsewhere has it
    try:
        shutil.copy("red.png", odd)
    except OSError:
        pytest.skip("this disk takes no such name")
    told = ["day/1.png: " + RED, "caf? .png: " + RED, "night/1.png: " + BLUE]
    for out in ("told.txt", "told.csv", "told.html"):
        said = here("caption", "day", "night", *MODEL, "-o", out)
        assert said.code == 0, said
        assert said.out.splitlines() == told
    with Path("told.csv").open(encoding="utf-8", newline="") as table:
        assert [row["file"] for row in csv.DictReader(table)] == ["day/1.png", "caf?\n.png", "night/1.png"]


def test_an_unknown_picture_gets_labels_and_no_sentence(here: Creative) -> None:
    said = here("caption", "cat.png", *MODEL)
    assert said.code == 0
    assert said.out.startswith("unlike anything the model toy.safetensors has seen; perhaps: ")
    assert len(re.findall(r"\(\d+ %\)", said.out)) == 5
    assert "picture darker" not in said.out
    anyway = here("caption", "cat.png", *MODEL, "--anyway").out
    assert "; anyway: a " in anyway
    assert "perhaps" not in here("caption", "cat.png", *MODEL, "--guesses", "0").out


def test_the_page_is_saved(here: Creative) -> None:
    said = here("caption", "red.png", "cat.png", *MODEL, "-o", "captions.html")
    assert said.code == 0, said
    text = Path("captions.html").read_text(encoding="utf-8")
    assert text.count('type="radio"') == len(RED.split()) + 1
    assert text.count("data:image/jpeg") == 2
    assert "<script" not in text
    assert not re.findall(r"(?:src|href|url\()\s*=?['\"]?https?:", text)
    assert "Unlike anything this model was trained on" in text


def test_it_is_replayed(here: Creative) -> None:
    assert here("caption", "red.png", *MODEL, "-o", "red.txt").code == 0
    made = read_provenance(Path("red.txt"))
    assert made is not None
    assert [source.file for source in made.inputs["model"]] == ["toy.safetensors"]
    said = here("replay", "red.txt")
    assert said.code == 0, said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nothing.png",), "There is no file nothing.png."),
        (("empty",), "There is no picture in the folder empty."),
        (("cut.jpg",), "cut.jpg"),
        (("text.png",), "text.png is not a picture"),
        (("text.png", "cut.jpg"), "None of 2 pictures can be read"),
        (("red.png", "--model", "areal"), "There is no captioner called 'areal'"),
        (("red.png", "--model", "nothing.safetensors"), "There is no file nothing.safetensors."),
        (("red.png", "--model", "features.safetensors"), "features.safetensors is not a captioner"),
        (("red.png", "--model", "text.safetensors"), "text.safetensors"),
        (("red.png", "--model", "other.safetensors"), "was trained with another bundled network"),
        (("red.png", "--model", "empty"), "holds no pretrained captioner: there is no config.json"),
        (("red.png", "--model", "deep/down/captioner"), "There is no file deep/down/captioner."),
        (("red.png", "--model", ""), "--model is an empty name."),
        (("red.png", "--beam", "0"), "--beam must be at least 1, but is 0"),
        (("red.png", "--beam", "2", "--sentences", "3"), "A beam of 2 finds 2 sentences, not 3: widen the beam."),
        (("red.png", "--temperature", "nan"), "--temperature must be a finite number"),
        (("red.png", "-o", "red.png"), "one of its inputs"),
        ((), "PICTURE is missing"),
    ],
)
def test_bad_input_is_one_sentence(here: Creative, toy: Path, words: tuple[str, ...], sentence: str) -> None:
    from creative.checkpoint import load_checkpoint, save_checkpoint
    from creative.weights import bundled_folder

    Path("empty").mkdir()
    Path("text.png").write_text("hello")
    Path("text.safetensors").write_text("hello")
    picture("red", "left").save("whole.jpg")
    Path("cut.jpg").write_bytes(Path("whole.jpg").read_bytes()[:200])
    shutil.copy(bundled_folder() / "features.safetensors", "features.safetensors")
    made = load_checkpoint(toy)
    looks = {**made.metadata["config"]["encoder"], "kind": "features", "layers": ["relu3_3"], "sha256": "0" * 64}
    config = {**made.metadata["config"], "encoder": looks}
    save_checkpoint(Path("other.safetensors"), made.tensors, {**made.metadata, "config": config})
    said = here("caption", *words, *(() if "--model" in words else MODEL))
    many = words == ("text.png", "cut.jpg")
    if many:  # each is named before
        assert said.code == 1
        assert sentence in said.err.splitlines()[-1]
    else:
        refused(said, sentence)
    assert not Path("out").exists()


def test_a_network_without_its_words_is_told(here: Creative, toy: Path) -> None:
    from creative.checkpoint import load_checkpoint, save_checkpoint

    made = load_checkpoint(toy)
    config = {**made.metadata["config"], "vocabulary": {"units": "words", "words": ["one"]}}
    save_checkpoint(Path("one.safetensors"), made.tensors, {**made.metadata, "config": config})
    refused(here("caption", "red.png", "--model", "one.safetensors"), "one.safetensors is damaged")


# From Python ----------------------------------------------------------------------------------------------------------


def test_pictures_files_one_and_many_are_the_same(toy: Path, tmp_path: Path) -> None:
    pictures = [picture("red", "right", 3), picture("blue", "left", 4, (96, 60)), picture("blue", "right", 5)]
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for one, file in zip(pictures, files, strict=True):
        one.save(file)
    many = run(caption(files, model=toy)).descriptions
    assert [one.text for one in many] == [
        "a red picture darker on the right", "a blue picture darker on the left", "a blue picture darker on the right"
    ]  # fmt: skip
    for one, file, found in zip(pictures, files, many, strict=True):
        for given in (one, file, [str(file)]):
            best, same = found.best, run(caption(given, model=toy)).descriptions[0].best
            assert best is not None
            assert same is not None
            assert same.text == best.text
            assert same.confidences == pytest.approx(best.confidences, abs=1e-4)


def test_sentences_their_words_and_places(toy: Path) -> None:
    found = run(caption(picture("red", "left", 7), CaptionSettings(beam=5, sentences=4), model=toy)).descriptions[0]
    assert len(found.sentences) == 4
    assert [one.score for one in found.sentences] == sorted((one.score for one in found.sentences), reverse=True)
    assert len({one.words for one in found.sentences}) == 4
    for one in found.sentences:
        assert one.attention is not None
        assert one.attention.shape == (len(one.words), 4, 4)
        torch.testing.assert_close(one.attention.sum((1, 2)), torch.ones(len(one.words)))
    drawing = CaptionSettings(decoding="sample", sentences=6, temperature=3.0, seed=5)
    drawn = [run(caption(picture("red", "left", 7), drawing, model=toy)).descriptions[0].sentences for _ in range(2)]
    assert [one.text for one in drawn[0]] == [one.text for one in drawn[1]]
    assert len(drawn[0]) > 1


def test_nothing_to_describe_and_no_such_model_at_the_call(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(CaptionerError, match="no picture to describe"):
        caption([], model=toy)
    with pytest.raises(ValueError, match="no captioner called 'nobody'"):
        caption(picture("red", "left"), model="nobody")
    with pytest.raises(ImageError):
        caption(tmp_path / "nothing.png", model=toy)


def test_it_can_be_stopped_and_keeps_what_it_has(toy: Path, tmp_path: Path) -> None:
    for number in range(20):
        picture("red", "left", number).save(tmp_path / f"{number:02}.png")
    inputs = CaptionInputs(pictures=tuple(sorted(tmp_path.glob("*.png"))), model=str(toy))
    job = perform(CAPTION, inputs, CaptionSettings(), out=tmp_path / "captions.csv")
    while next(job).done == 0:
        pass
    with pytest.raises(StopIteration) as end:
        job.throw(KeyboardInterrupt)
    saved = end.value.value
    assert not saved.complete
    assert len(list(csv.reader(saved.path.open(encoding="utf-8")))) == 1 + 16
    assert saved.shown


# Drawn scenes ---------------------------------------------------------------------------------------------------------


def test_a_drawn_scene_knows_which_it_is_until_it_is_changed(tmp_path: Path) -> None:
    path = save_scene(7, tmp_path)
    scene = scene_of(path)
    assert scene == draw_scene(7, part="test")
    with Image.open(path) as image:
        about = image.text  # type: ignore[attr-defined]
        changed = image.convert("RGB")
    changed.putpixel((3, 3), (1, 2, 3))
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    for key, value in about.items():
        note.add_text(key, value)
    changed.save(tmp_path / "changed.png", pnginfo=note)
    assert scene_of(tmp_path / "changed.png") is None
    Image.open(path).save(tmp_path / "plain.jpg")
    assert scene_of(tmp_path / "plain.jpg") is None
    assert scene_of(tmp_path / "nothing.png") is None


def test_the_checker_says_what_is_true(tmp_path: Path) -> None:
    path = save_scene(7, tmp_path)
    true = draw_scene(7, part="test").sentences(1)[0]
    said = [_sentence(text) for text in (true, "a purple star below a purple star", "no sentence of the grammar")]
    found = Description(path.name, Image.new("RGB", (8, 8)), tuple(said), True, 0.1, (), "scenes")
    checked = check(Captions((found,)), [path])
    assert checked.verdicts == {path.name: (True, False, False)}
    assert [one["true"] for one in checked.to_json()["captions"][0]["sentences"]] == [True, False, False]
    shown = show_captions(checked, checked.verdicts)
    assert shown.count("✓") == 2
    assert shown.count("✗") == 2
    assert "True of this scene" in shown
    assert isinstance(checked, Checked)


def test_each_click_draws_another_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creative.trained.list_trained", lambda family: ["scenes"])
    offered = CAPTION.examples(tmp_path)  # type: ignore[misc]
    scene = offered["A new scene"]
    assert callable(scene)
    files = {scene()["pictures"] for _ in range(4)}
    assert len(files) > 1
    assert all(scene_of(file) is not None for file in files)


# The page -------------------------------------------------------------------------------------------------------------


def _sentence(text: str, maps: torch.Tensor | None = None) -> Sentence:
    words = tuple(text.split())
    return Sentence(words, tuple(0.9 for _ in words), maps, -0.5, text)


def _map(row: int, column: int, size: int = 8) -> torch.Tensor:
    found = torch.zeros(size, size)
    found[row, column] = 1.0
    return found


@pytest.mark.parametrize(
    ("row", "column", "told"),
    [(0, 0, "the upper left"), (7, 7, "the lower right"), (0, 3, "the upper part"), (4, 0, "the left part")],
)
def test_where_it_looked_in_words(row: int, column: int, told: str) -> None:
    assert where(_map(row, column)) == told


def test_where_it_looked_at_all_or_the_middle() -> None:
    assert where(torch.full((7, 7), 1 / 49)) == "all of it"
    assert where((_map(3, 3) + _map(4, 4)) / 2) == "the middle"


def test_words_light_up_their_places() -> None:
    found = Description(
        "a.png", Image.new("RGB", (80, 80), "white"), (_sentence("one two", torch.stack([_map(0, 0), _map(7, 7)])),),
        True, 0.0, (), "aerial",
    )  # fmt: skip
    shown = show_captions(Captions((found,)))
    veils = [
        Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
        for data in re.findall(r"url\('data:image/png;base64,([^']+)'\)", shown)
    ]
    assert len(veils) == 2
    for veil, (lit, dark) in zip(veils, [((2, 2), (-3, -3)), ((-3, -3), (2, 2))], strict=True):
        at = [veil.getpixel((x % veil.width, y % veil.height)) for x, y in (lit, dark)]
        assert at[0][3] < at[1][3], "it is darker where the network looked"  # type: ignore[index]
    assert 'aria-label="one: 90 % sure, looked at the upper left"' in shown


def test_nothing_that_is_shown_is_run() -> None:
    evil = "<script>alert(1)</script><img src=x onerror='alert(2)'>"
    said = (_sentence(evil), _sentence(f"{evil} two"))
    found = Description(evil, Image.new("RGB", (8, 8)), said, False, 3.0, (Guess(evil, 0.5),), evil)
    shown = show_captions(Captions((found,) * (FULL + 2), ((evil, evil),)))
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed(shown)
    assert not {tag for tag, _ in tags} & {"script", "iframe", "object", "embed", "link"}
    assert not [name for _, about in tags for name in about if name.startswith("on")]
    assert all(str(about["src"]).startswith("data:image/jpeg") for tag, about in tags if tag == "img")
    assert any(about.get("alt") == evil for _, about in tags), "the reader reads what was escaped"


def test_many_pictures_are_shown_small_and_what_failed_is_named() -> None:
    one = Description("a.png", Image.new("RGB", (8, 8)), (_sentence("one two"),), True, 0.0, (), "aerial")
    shown = show_captions(Captions((one,) * (FULL + 5), (("x.jpg", "x.jpg is damaged."),)))
    assert shown.count('class="cap"') == FULL
    assert shown.count("<figure>") == 5
    assert "1 file could not be read" in shown
    assert "x.jpg is damaged." in shown
    assert shown.count(knows("aerial")) == 1


def test_what_a_model_knows_is_said() -> None:
    assert "seen nothing else" in knows("aerial")
    assert "never seen a photo" in knows("scenes")
    assert knows("aerial or scenes") == f"{knows('aerial')} {knows('scenes')}"
    assert "own" in knows("mine.safetensors")
    assert "pretrained" in knows("Salesforce/blip-image-captioning-base")
