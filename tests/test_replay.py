"""A result is made again from what its file says, to the byte, or what differs is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy_app
from PIL import Image
from test_cli import Creative, creative  # noqa: F401

from apps import _replay
from creative.images import open_image, save_image
from creative.provenance import Provenance, read_provenance, versions


@pytest.fixture
def result(creative: Creative, photo_file: Path) -> Path:  # noqa: F811
    return Path(creative("tint", photo_file, "blue", "--seed", "3", "-o", "made.png").out.strip())


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_same_bytes(creative: Creative, photo_file: Path, suffix: str) -> None:  # noqa: F811
    creative("tint", photo_file, "red", "--seed", "9", "--strength", "0.7", "-o", f"a.{suffix}")
    said = creative("replay", f"a.{suffix}")
    assert (said.code, said.out) == (0, f"a-replay.{suffix}\n")
    assert "The same bytes as" in said.err
    assert Path(f"a.{suffix}").read_bytes() == Path(f"a-replay.{suffix}").read_bytes()
    report = creative("replay", f"a.{suffix}", "--json", "-o", f"b.{suffix}").json
    assert (report["same"], report["differences"], report["output"]) == (True, [], f"b.{suffix}")


def test_text_and_its_sidecar(creative: Creative) -> None:  # noqa: F811
    creative("say", "--prompt", "good day", "--seed", "4")
    for name in ("out/say.txt", "out/say.txt.json"):
        said = creative("replay", name)
        assert (said.code, said.out) == (0, "out/say-replay.txt\n")
    assert read_provenance("out/say-replay.txt") == read_provenance("out/say.txt")


def test_a_page_and_its_sidecar(creative: Creative) -> None:  # noqa: F811
    creative("tell", "--prompt", "what was said ", "-o", "tale.html")
    again = creative("replay", "tale.html")
    assert again.code == 0
    assert again.out == "tale-replay.html\n"


def test_a_stopped_result_is_stopped_again(creative: Creative, photo_file: Path) -> None:  # noqa: F811
    from apps._app import perform

    job = perform(toy_app.TINT, toy_app.TintInputs(photo=(photo_file,), colour="red"), toy_app.TintSettings(steps=9))
    for _ in range(4):
        next(job)
    job.close()
    said = creative("replay", "out/photo-tint-stopped.png")
    assert (said.code, said.out) == (0, "out/photo-tint-stopped-replay.png\n")


def test_inputs_are_found(creative: Creative, result: Path, photo_file: Path, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    moved = shutil.copy(result, folder / "moved.png")
    assert creative("replay", moved).code == 0  # in the working folder
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    renamed = photo_file.replace(elsewhere / "renamed.jpg")
    said = creative("replay", moved)
    assert said.code == 2
    assert "photo.jpg" in said.err
    assert "--input PATH" in said.err
    assert creative("replay", moved, "--input", renamed).code == 0
    shutil.copy(renamed, folder / "another.jpg")
    assert creative("replay", moved).code == 0  # beside it, known by its content


def test_several_inputs_are_given_by_one_flag_or_several(
    creative: Creative,  # noqa: F811
    result: Path,
    photo_file: Path,
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    photo = photo_file.rename(elsewhere / "renamed.jpg")
    other = elsewhere / "other.png"
    Image.new("RGB", (9, 9)).save(other)
    for words in (["--input", photo, "--input", other], ["--input", photo, other]):
        said = creative("replay", result, *words)
        assert said.code == 0
        assert said.err.endswith("The same bytes as made.png.\n")


def test_another_input_is_told(creative: Creative, result: Path, photo_file: Path, tmp_path: Path) -> None:  # noqa: F811
    photo_file.unlink()
    other = tmp_path / "elsewhere" / "photo.jpg"
    other.parent.mkdir()
    Image.new("RGB", (192, 128), "yellow").save(other)
    said = creative("replay", result, "--input", other)
    assert said.code == 1
    assert "Not the same bytes" in said.err
    assert "input 'photo'" in said.err
    assert "largest difference of a pixel" in said.err
    shutil.copy(other, photo_file)
    assert "content differs" in creative("replay", result).err


def test_what_differs_is_told(creative: Creative, result: Path) -> None:  # noqa: F811
    image = open_image(result)
    made = read_provenance(result)
    assert made is not None
    for change, told in (
        ({"versions": {**versions(), "torch": "1.0"}}, "version of 'torch': recorded 1.0"),
        ({"weights": {"features": "0" * 64}}, "weights 'features': recorded 000000000000"),
        ({"threads": made.threads + 1}, None),
        ({"result": {**made.result, "loss": 1}}, "result 'loss': recorded 1, here none"),
    ):
        image.info["provenance"] = made.model_copy(update=change)
        save_image(image, result)
        said = creative("replay", result)
        assert said.code == (1 if told else 0), said.err
        assert (told or "The same bytes") in said.err
    image.putpixel((0, 0), (1, 2, 3))
    image.info["provenance"] = made
    save_image(image, result)
    report = creative("replay", result, "--json").json
    assert not report["same"]
    assert report["largest_pixel_difference"] > 0
    assert "Nothing that the file records differs;" in creative("replay", result).err


def test_a_recoded_file_is_told(creative: Creative, result: Path) -> None:  # noqa: F811
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_itxt("creative", Image.open(result).info["creative"])
    Image.open(result).save(result, compress_level=1, pnginfo=note)
    said = creative("replay", result)
    assert said.code == 1
    assert "The pixels are the same." in said.err


def test_what_cannot_be_replayed(creative: Creative, result: Path, photo_file: Path) -> None:  # noqa: F811
    made = read_provenance(result)
    assert made is not None

    def changed(**change: Any) -> Path:
        image = open_image(photo_file)
        image.info["provenance"] = made.model_copy(update=change)
        return save_image(image, "changed.png")

    cases: list[tuple[Callable[[], Path], str]] = [
        (lambda: photo_file, "photo.jpg does not say how it was made"),
        (lambda: Path("nothing.png"), "There is no file nothing.png."),
        (Path, "is a folder"),
        (lambda: changed(action="dance"), "made by `creative dance`, which this version does not have"),
        (lambda: changed(settings={**made.settings, "glow": 1}), "another version of creative: There is no setting"),
        (lambda: changed(settings={"steps": 10**9}), "steps must be at most 1000"),
    ]  # fmt: skip
    for file, sentence in cases:
        said = creative("replay", file())
        assert (said.code, said.out) == (2, "")
        assert sentence in said.err
        assert len(said.err.splitlines()) == 1
    assert "would overwrite" in creative("replay", result, "-o", result).err
    assert "must be a .png file" in creative("replay", result, "-o", "x.jpg").err
    assert "There is no file gone.jpg" in creative("replay", result, "--input", "gone.jpg").err


def test_a_hostile_record_cannot_reach_other_files(creative: Creative, result: Path, tmp_path: Path) -> None:  # noqa: F811
    """Names in a record are names: no folders, so nothing outside is opened for them."""
    made = read_provenance(result)
    assert made is not None
    record = json.loads(made.to_json())
    record["inputs"]["photo"][0]["file"] = "../../../../etc/passwd"
    image = open_image(result)
    image.info["provenance"] = Provenance.model_validate(record)
    save_image(image, "hostile.png")
    (tmp_path / "photo.jpg").unlink()
    said = creative("replay", "hostile.png")
    assert said.code == 2


def test_the_largest_difference_of_other_sizes_is_none(tmp_path: Path) -> None:
    for name, size in (("a.png", (4, 4)), ("b.png", (5, 4))):
        Image.new("RGB", size).save(tmp_path / name)
    assert _replay._largest_difference(tmp_path / "a.png", tmp_path / "b.png") is None


def test_a_texture_of_an_earlier_version_is_the_same(creative: Creative, painting_file: Path) -> None:  # noqa: F811
    words = ["texture", painting_file, "--size", "64", "--iterations", "1", "--scales", "1", "--init", "style"]
    assert creative(*words, "-o", "texture.png").code == 0
    made = read_provenance("texture.png")
    assert made is not None
    assert not {"strength", "colours", "content_layers"} & made.settings.keys()
    before = {"strength": 0.5, "colours": "painting", "content_layers": []}
    image = Image.open("texture.png")
    image.load()
    image.info["provenance"] = made.model_copy(update={"settings": {**made.settings, **before}})
    save_image(image, "texture.png")
    again = creative("replay", "texture.png", "--input", painting_file)
    assert (again.code, again.out) == (0, "texture-replay.png\n"), again.err


def test_a_texture_has_no_settings_of_a_photo(creative: Creative, painting_file: Path) -> None:  # noqa: F811
    from creative.options.style_transfer import TextureSettings

    told = creative("texture", "--help").out
    assert "--style-scale" in told
    assert "--strength" not in told
    assert "no flag --colours" in creative("texture", painting_file, "--colours", "photo").err
    with pytest.raises(ValueError, match="no setting 'strength'"):
        TextureSettings(strength=0.3)  # type: ignore[call-arg]
    assert TextureSettings(strength=0.3, colours="photo", init="content", content_layers=()) == TextureSettings()  # type: ignore[call-arg]
