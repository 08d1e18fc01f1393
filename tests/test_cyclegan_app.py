"""Translate and train as they are typed and filled in: what comes out, what is told of what is wrong."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_cli import Creative, creative  # noqa: F401
from toy_translator import save_translator

from apps._app import perform
from apps._curves import curves, read_metrics
from apps._gathered import gathered
from apps.cyclegan import APP
from creative.data.archives import open_archive, unpack
from creative.data.pictures import PicturesError
from creative.options.cyclegan import TrainCycleGANInputs, TrainCycleGANSettings
from creative.progress import run
from creative.provenance import read_provenance

TRANSLATE, _, TRAIN, *_ = APP.actions
SMALL = ("--size", "32", "--crop", "32", "--steps", "1", "--width", "2", "--num-blocks", "0", "--workers", "0")


@pytest.fixture
def here(photo_file: Path, creative: Creative) -> Creative:  # noqa: F811
    """In a folder with photo.jpg, and model.safetensors for both directions."""
    save_translator(Path("model.safetensors"))
    return creative


def pictures(folder: Path, hue: int, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    random = np.random.default_rng(hue)
    for number in range(count):
        noise = Image.fromarray(random.integers(0, 255, (6, 6, 3), dtype=np.uint8)).resize((40, 48))
        Image.blend(noise, Image.new("RGB", (40, 48), f"hsl({hue}, 80%, 50%)"), 0.6).save(folder / f"{number}.png")
    return folder


def zipped(path: Path, *names: str, folder: Path | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for number, name in enumerate(names):
            data = sorted(folder.iterdir())[number].read_bytes() if folder is not None else b"not a picture"
            file.writestr(name, data)
    return path


# Typed ----------------------------------------------------------------------------------------------------------------


def test_a_photo_is_translated_and_made_again(here: Creative) -> None:
    said = here("translate", "photo.jpg", "--model", "model.safetensors", "--strength", "1.2")
    assert (said.code, said.out) == (0, "out/photo-translate.png\n"), said.err
    made = read_provenance("out/photo-translate.png")
    assert made is not None
    assert made.inputs["model"][0].file == "model.safetensors"
    again = here("replay", "out/photo-translate.png")
    assert again.code == 0, again.err
    assert "The same bytes" in again.err


def test_a_folder_of_photos_and_a_page(here: Creative) -> None:
    pictures(Path("photos"), 30)
    (Path("photos") / "2.png").write_bytes(b"no picture at all")
    said = here("translate", "photos", "--model", "model.safetensors", "-o", "done/", "--show", "round-trip")
    assert said.code == 1
    assert "2.png is not a picture" in said.err
    assert "3 files: 2 done, 1 failed." in said.err
    assert Image.open("done/0-translate.png").size == (3 * 40 + 24, 48)
    assert here("translate", "photo.jpg", "--model", "model.safetensors", "-o", "photo.html").code == 0
    page = Path("photo.html").read_text(encoding="utf-8")
    assert "There and back" in page
    assert page.count("data:image/jpeg") == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("translate nothing.jpg", "There is no file nothing.jpg."),
        ("translate model.safetensors --model model.safetensors", "is not a picture"),
        ("translate photo.jpg --model monets", "There is no translator called 'monets'."),
        ("translate photo.jpg --model lost.safetensors", "There is no file lost.safetensors."),
        ("translate photo.jpg --model photo.jpg", "photo.jpg is not a safetensors file"),
        ("translate photo.jpg --model voice.safetensors", "holds no CycleGAN; `creative train cyclegan` makes one."),
        ("translate photo.jpg --model one.safetensors --direction b_to_a", "has no b_to_a"),
        ("translate photo.jpg --model one.safetensors --show both-ways", "one direction only"),
        ("translate photo.jpg --model other.safetensors", "ResNetGenerator with width 6"),
        ("translate photo.jpg --strength 2.5", "--strength must be at most 2"),
        ("translate photo.jpg --direction back", "--direction must be 'a_to_b' or 'b_to_a'"),
        ("translate photo.jpg --model model.safetensors --device cuda", "No cuda device was found"),
        ("translate-video photo.jpg --model model.safetensors -o x.png", "must end in .mp4 or .gif"),
        ("export-onnx --model one.safetensors --direction b_to_a", "has no b_to_a"),
        ("train cyclegan a nowhere", "There is no file nowhere."),
        ("train cyclegan a empty", "No picture was found in empty."),
        ("train cyclegan a single", "holds a single picture"),
        ("train cyclegan a a", "Both domains are the folder a"),
        ("train cyclegan a twin", "are in a as well as in twin"),
        ("train cyclegan a photo.jpg", "photo.jpg is not a zip, or it is damaged."),
        ("train cyclegan a notes.zip", "There is no picture in notes.zip."),
        ("train cyclegan a sly.zip", "names a file outside of its own folder"),
        ("train cyclegan a b --name ../up", "--name cannot be '../up'"),
        ("train cyclegan a b --start-from voice.safetensors", "holds no CycleGAN"),
        ("train cyclegan a b --device cuda", "No cuda device was found"),
        ("train cyclegan a b -o photo.jpg", "photo.jpg is not a folder"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(here: Creative, words: str, sentence: str) -> None:
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    make_wrong_files()
    before = sorted(Path().rglob("*"))
    said = here(*words.split(), *(SMALL if words.startswith("train") else ()))
    assert said.code == 2
    assert said.out == ""
    assert sentence in said.err, said.err
    assert len(said.err.strip().splitlines()) == 1
    assert sorted(Path().rglob("*")) == before, "something was left behind"


def make_wrong_files() -> None:
    from creative.blocks.gan import ResNetConfig
    from creative.checkpoint import load_checkpoint, save_checkpoint

    save_translator(Path("one.safetensors"), "a_to_b")
    small = save_translator(Path("other.safetensors"), shape=ResNetConfig(width=4, num_blocks=1, residual=True))
    config = load_checkpoint("model.safetensors").metadata
    save_checkpoint("other.safetensors", load_checkpoint(small).tensors, config)
    save_checkpoint("voice.safetensors", {"x": torch.zeros(1)}, {"config": {"model": "a voice"}})
    pictures(Path("a"), 10)
    pictures(Path("b"), 200)
    pictures(Path("twin"), 10)
    pictures(Path("single"), 60, count=1)
    Path("empty").mkdir()
    zipped(Path("notes.zip"), "readme.txt")
    zipped(Path("sly.zip"), "../../home/you/.profile.png")


# Trained --------------------------------------------------------------------------------------------------------------


def test_two_zips_and_then_a_translation(here: Creative, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From two zips to a name that translates; started again with another recipe, it says what differs."""
    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path / "cache"))
    for name, hue in (("lemons", 55), ("limes", 100)):
        zipped(Path(f"{name}.zip"), "x/1.png", "x/2.png", "__MACOSX/x/._1.png", folder=pictures(Path(name), hue))
    said = here("train", "cyclegan", "lemons.zip", "limes.zip", *SMALL)
    assert said.code == 0, said.err
    home = tmp_path / "cache" / "translators" / "lemons2limes"
    assert said.out.strip() == str(home / "best.safetensors")
    assert "Unpacking 2 pictures of lemons.zip." in said.err
    assert len(list((home / "unpacked").rglob("*.png"))) == 4
    assert curves(home / "metrics.csv").count("<figure") >= 4
    said = here("translate", "photo.jpg", "--model", "lemons2limes", "--json")
    assert said.code == 0, said.err
    assert here("translate", "photo.jpg", "--model", "lemons2lime").err.count("Did you mean 'lemons2limes'?") == 1
    said = here("train", "cyclegan", "lemons.zip", "limes.zip", *SMALL, "--learning-rate", "0.1")
    assert said.code == 2
    assert "was trained with learning_rate = " in said.err
    assert "learning_rate = 0.1" in said.err


def test_where_a_model_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps._results import Place

    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path))
    a, b = pictures(tmp_path / "horses" / "train", 20), zipped(tmp_path / "zebras.zip", "1.png", folder=None)
    inputs, settings = TrainCycleGANInputs(a=a, b=b), TrainCycleGANSettings()
    own = tmp_path / "translators"
    assert Place.of(TRAIN, inputs, settings, None).path == own / "horses2zebras"
    assert Place.of(TRAIN, inputs.changed(name="stripes"), settings, None).path == own / "stripes"
    assert Place.of(TRAIN, inputs, settings, tmp_path / "runs" / "1").path == tmp_path / "runs" / "1"
    assert TRAIN.onward is not None
    assert TRAIN.onward.values(inputs, settings) == {"model": "horses2zebras"}


# Zips -----------------------------------------------------------------------------------------------------------------


def test_a_zip_becomes_a_folder_once(tmp_path: Path) -> None:
    source = pictures(tmp_path / "source", 0)
    path = zipped(tmp_path / "my pictures.zip", "train/a.PNG", "test/b.png", "a:b\\c.png", folder=source)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("notes.txt", "x")
        file.writestr(".hidden.png", "x")
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    archive = open_archive(path)
    assert archive.skipped == 2
    folder = run(unpack(archive, tmp_path / "cache"))
    assert folder.name == "my pictures"
    found = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    assert found == ["a-b/c.png", "test/b.png", "train/a.PNG"]
    assert (folder / "test" / "b.png").read_bytes() == (source / "1.png").read_bytes()
    (folder / "train" / "a.PNG").write_bytes(b"touched")
    assert run(unpack(archive, tmp_path / "cache")) == folder
    assert (folder / "train" / "a.PNG").read_bytes() == b"touched", "it was unpacked a second time"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../up.png", "outside of its own folder"),
        ("/root.png", "outside of its own folder"),
        ("a/../../up.png", "outside of its own folder"),
        ("..\\up.png", "outside of its own folder"),
        ("C:/up.png", "outside of its own folder"),
    ],
)
def test_no_zip_writes_elsewhere(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(PicturesError, match=sentence):
        open_archive(zipped(tmp_path / "sly.zip", "fine.png", name))


def test_limits_of_a_zip(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(4):
            file.writestr(f"{number}.png", bytes(10**6))
    with pytest.raises(PicturesError, match=r"4 pictures; 3 are allowed"):
        open_archive(bomb, most_files=3)
    with pytest.raises(PicturesError, match=r"GB unpacked"):
        open_archive(bomb, most_bytes=3 * 10**6)
    huge = zipped(tmp_path / "huge.zip", "1.png")
    data = bytearray(huge.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (300_000_000).to_bytes(4, "little")
    huge.write_bytes(data)
    with pytest.raises(PicturesError, match=r"1\.png in huge\.zip has 300 MB"):
        open_archive(huge)


def test_a_zip_that_holds_more_than_it_says(tmp_path: Path) -> None:
    """No more is written than was announced, and nothing is left of it."""
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.png", bytes(10**7))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(PicturesError, match=r"liar\.zip is damaged"):
        run(unpack(open_archive(path), tmp_path / "cache"))
    assert not [one for one in (tmp_path / "cache").rglob("*") if one.is_file()]


def test_a_locked_and_a_cut_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "locked.zip", "1.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(PicturesError, match="locked with a password"):
        open_archive(path)
    path.write_bytes(data[:-30])
    with pytest.raises(PicturesError, match="not a zip, or it is damaged"):
        open_archive(path)


# On the page ----------------------------------------------------------------------------------------------------------


def test_uploads_are_gathered(tmp_path: Path) -> None:
    one = pictures(tmp_path / "one", 0)
    other = pictures(tmp_path / "other", 90)
    paths = [str(path) for path in (*one.iterdir(), *other.iterdir())]  # the names are the same
    folder = gathered(paths, tmp_path / "site", "a")
    assert folder.name == "a"
    assert len({path.read_bytes() for path in folder.iterdir()}) == 6
    assert gathered(paths[::-1], tmp_path / "site", "a") == folder
    path = str(zipped(tmp_path / "x.zip", "1.png"))
    assert gathered([path], tmp_path / "site", "a") == Path(path)
    with pytest.raises(ValueError, match="Give one zip, or pictures, not both"):
        gathered([path, paths[0]], tmp_path / "site", "a")


def test_curves_of_a_training(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    assert curves(path) == ""
    rows = [f"{20 * n},{n}.5,{1 / n},{'' if n % 50 else 0.3},nan" for n in range(1, 401)]
    path.write_text("step,seconds,<loss>,kernel_distance,broken\n" + "\n".join([*rows, "8020,4"]))
    assert list(read_metrics(path)) == ["<loss>", "broken", "kernel_distance"]
    drawn = curves(path)
    assert drawn.index("kernel distance") < drawn.index("&lt;loss&gt;"), "what is measured comes first"
    assert "<loss>" not in drawn
    assert drawn.count("<figure") == 2, "a curve of what are no numbers"
    assert "&lt;loss&gt;: 0.0025 at step 8000, from 0.0025 to 1" in drawn
    assert len(drawn) < 10_000, "more points than can be told apart"


@pytest.fixture
def forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The forms that translate and train, and a model called toy."""
    gr = pytest.importorskip("gradio")
    from apps._form_action import ActionForm

    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path))
    save_translator(tmp_path / "translators" / "toy.safetensors")
    with gr.Blocks():
        return {action.verb: ActionForm(action, tmp_path / "out", "") for action in (TRANSLATE, TRAIN)}


def held(form: Any, **values: Any) -> list[Any]:
    return [
        values.get(name, part.value)
        for widget in form.widgets
        for name, part in zip(widget.names, widget.components, strict=True)
    ]


def test_the_forms_read_what_is_filled_in(forms: Any, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "1.png")
    form = forms["train cyclegan"]
    inputs, _ = form._read(held(form, a=[str(path)], b_folder=f" {tmp_path} ", name="mine", start_from="toy"))
    assert (inputs.a, inputs.b, inputs.name, inputs.start_from) == (path, tmp_path, "mine", "toy")
    with pytest.raises(ValueError, match="Please give a pictures b first"):
        form._read(held(form, a=[str(path)]))
    form = forms["translate"]
    changed = form.filled({"model": "toy"})
    assert list(changed.values()) == ["toy", None]
    inputs, _ = form._read(held(form, photo="photo.jpg", model="toy"))
    assert inputs.model == "toy"
    choices = (
        [choice for choice, _ in changed[0].choices] if 0 in changed else [c for c, _ in next(iter(changed)).choices]
    )
    assert "toy" in choices


def test_a_finished_training_leads_on(tmp_path: Path, photo_file: Path) -> None:
    """What the page is told when a training is done, or stopped before there is anything to translate with."""
    from apps._app import Saved
    from apps._views import result_view

    folder = tmp_path / "mine"
    folder.mkdir()
    inputs = TrainCycleGANInputs(a=tmp_path, b=tmp_path, name="mine")
    stopped = Saved(folder, TrainCycleGANSettings(), 1.0, 1.0, complete=False)
    view = result_view(TRAIN, stopped, inputs, TrainCycleGANSettings(), tmp_path / "site")
    assert "Stopped; start again to go on" in view["status"]
    assert "onward" not in view
    (folder / "metrics.csv").write_text("step,loss\n1,0.5\n2,0.4\n")
    save_translator(folder / "best.safetensors")
    view = result_view(TRAIN, stopped, inputs, TrainCycleGANSettings(), tmp_path / "site")
    assert view["onward"] == {"model": "mine"}
    assert "<svg" in view["curves"]
    assert Path(str(view["download"])).name == "best.safetensors"


def test_the_page_compares_and_shows_the_way_back(photo_file: Path, tmp_path: Path) -> None:
    from apps._views import result_view

    model = save_translator(tmp_path / "toy.safetensors")
    inputs = TRANSLATE.inputs(photo=(photo_file,), model=str(model))
    settings = TRANSLATE.settings()
    saved = run(perform(TRANSLATE, inputs, settings, out=tmp_path / "out"))
    view = result_view(TRANSLATE, saved, inputs, settings, tmp_path / "site")
    assert view["figure"].count("<img") == 2
    assert "There and back" in view["shown"]
    assert "Photo again" in view["shown"]
    settings = TRANSLATE.settings(show="pair", cycle=False)
    saved = run(perform(TRANSLATE, inputs, settings, out=tmp_path / "out"))
    view = result_view(TRANSLATE, saved, inputs, settings, tmp_path / "site")
    assert (view["figure"], view["shown"]) == ("", "")
