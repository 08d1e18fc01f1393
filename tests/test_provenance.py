"""A result says how it was made, the same way each time, and whatever else it says does no harm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from creative import provenance
from creative.files import file_sha256
from creative.images import ImageError, open_image, read_note, save_image
from creative.options.style_transfer import StylizeSettings
from creative.provenance import (
    Provenance,
    ProvenanceError,
    Source,
    describe_run,
    differences,
    find_input,
    read_provenance,
    sidecar_path,
    write_sidecar,
)


@pytest.fixture
def record(photo_file: Path, painting_file: Path) -> Provenance:
    return describe_run(
        "style",
        StylizeSettings(size=128, seed=7),
        inputs={"photo": open_image(photo_file), "style": [open_image(painting_file), None], "mask": None},
        weights={"features": "ab" * 32},
        result={"iterations": (30, 20)},
    )


def test_a_run_is_described_in_full(record: Provenance, photo_file: Path) -> None:
    assert record.settings["seed"] == 7
    assert StylizeSettings(**record.settings) == StylizeSettings(size=128, seed=7)
    assert record.inputs["photo"] == [Source(file="photo.jpg", sha256=file_sha256(photo_file))]
    assert set(record.inputs) == {"photo", "style"}
    assert set(record.versions) == {"creative", "python", "torch", "pillow", "processor"}
    assert record.result == {"iterations": [30, 20]}
    assert record.threads >= 1


def test_a_record_has_no_folders_and_no_dates(record: Provenance, tmp_path: Path) -> None:
    text = record.to_json()
    assert str(tmp_path) not in text
    assert text.isascii()
    assert text == record.model_copy(update={"settings": dict(reversed(record.settings.items()))}).to_json()
    assert text == Provenance.model_validate_json(text).to_json()
    assert not any(word in text for word in ("date", "time", "second_", "host", "user"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp"])
def test_pictures_carry_their_record(record: Provenance, photo: Image.Image, suffix: str, tmp_path: Path) -> None:
    picture = photo.copy()
    picture.info["provenance"] = record
    first, second = (save_image(picture, tmp_path / f"{name}{suffix}") for name in "ab")
    assert read_provenance(first) == record
    assert first.read_bytes() == second.read_bytes()
    assert open_image(first).size == photo.size
    plain = save_image(photo, tmp_path / f"plain{suffix}")
    assert read_provenance(plain) is None
    assert b"starry" not in plain.read_bytes()


def test_other_programs_can_read_the_record(record: Provenance, photo: Image.Image, tmp_path: Path) -> None:
    photo = photo.copy()
    photo.info["provenance"] = record
    with Image.open(save_image(photo, tmp_path / "a.png")) as opened:
        assert json.loads(opened.text["creative"])["action"] == "style"  # type: ignore[attr-defined]
    comment = Image.open(save_image(photo, tmp_path / "a.jpg")).getexif().get_ifd(0x8769)[0x9286]
    assert json.loads(comment.removeprefix(b"ASCII\0\0\0"))["settings"]["size"] == 128


def test_prompts_in_any_script_survive(photo: Image.Image, tmp_path: Path) -> None:
    record = describe_run("diffuse", {"prompt": "海の絵 – naïve 🎨\n\0 \ud800"}, inputs={})
    photo = photo.copy()
    photo.info["provenance"] = record
    for suffix in (".png", ".jpg", ".webp"):
        assert read_provenance(save_image(photo, tmp_path / f"a{suffix}")) is not None
    text = tmp_path / "poem.txt"
    text.write_text("a poem")
    write_sidecar(text, record)
    read = read_provenance(text)
    assert read is not None
    assert read.settings["prompt"].startswith("海の絵 – naïve 🎨\n\0")


def test_a_record_too_long_for_the_format_is_refused(photo: Image.Image, tmp_path: Path) -> None:
    photo = photo.copy()
    photo.info["provenance"] = describe_run("write", {"prompt": "x" * 100_000})
    with pytest.raises(ImageError, match="save it as PNG"):
        save_image(photo, tmp_path / "a.jpg")
    assert read_provenance(save_image(photo, tmp_path / "a.png")) is not None


def test_sidecars(record: Provenance, tmp_path: Path) -> None:
    poem = tmp_path / "poem.txt"
    poem.write_text("a poem")
    assert read_provenance(poem) is None
    beside = write_sidecar(poem, record)
    assert beside == sidecar_path(poem) == tmp_path / "poem.txt.json"
    assert read_provenance(poem) == read_provenance(beside) == record
    before = beside.read_bytes()
    write_sidecar(poem, record)
    assert beside.read_bytes() == before
    with pytest.raises(ProvenanceError, match="Could not write"):
        write_sidecar(poem / "inside", record)
    with pytest.raises(ProvenanceError, match="no file"):
        read_provenance(tmp_path / "none.png")
    with pytest.raises(ProvenanceError, match="folder"):
        read_provenance(tmp_path)


GOOD = {"format": 1, "action": "style", "settings": {}}
HOSTILE = [
    "",
    "{",
    "null",
    "[]",
    "3",
    "[" * 100_000,
    '{"a":' * 100_000,
    json.dumps({**GOOD, "settings": []}),
    json.dumps({**GOOD, "threads": "many"}),
    json.dumps({**GOOD, "inputs": {"photo": [{"file": 3, "sha256": None}]}}),
    json.dumps({**GOOD, "inputs": {"photo": "../../etc/passwd"}}),
    json.dumps({"action": "style"}),
    '{"format": 1, "action": "style", "settings": {"size": NaN}}',
    '{"format": 1, "action": "style", "settings": {"size": ' + "9" * 5000 + "}}",
    json.dumps({**GOOD, "action": "x" * 1_100_000}),
    "\\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_records_count_as_none(text: str, photo: Image.Image, tmp_path: Path) -> None:
    notes = PngInfo()
    notes.add_itxt("creative", text)
    photo.save(tmp_path / "a.png", pnginfo=notes)
    assert read_provenance(tmp_path / "a.png") is None
    (tmp_path / "b.txt").write_text("a poem")
    (tmp_path / "b.txt.json").write_text(text)
    assert read_provenance(tmp_path / "b.txt") is None


def test_hostile_files_have_no_record(tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0\xff\xfe\xff"
    photo.save(tmp_path / "a.jpg", exif=exif)
    photo.save(tmp_path / "b.jpg", exif=b"Exif\0\0garbage")
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\xff" * 100)
    (tmp_path / "d.webp").write_bytes(b"")
    squeezed = PngInfo()  # a text of 80 MB in 80 kB
    squeezed.add_itxt("creative", " " * 80_000_000, zip=True)
    photo.save(tmp_path / "e.png", pnginfo=squeezed)
    (tmp_path / "f.txt").touch()
    (tmp_path / "f.txt.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "g.txt").touch()
    (tmp_path / "g.txt.json").mkdir()
    for name in ("a.jpg", "b.jpg", "c.png", "d.webp", "e.png", "f.txt", "g.txt"):
        assert read_note(tmp_path / name) is None or name == "a.jpg"
        assert read_provenance(tmp_path / name) is None


def test_a_record_of_a_later_version_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "a.txt.json").write_text(json.dumps({**GOOD, "format": 2, "news": 1}))
    with pytest.raises(ProvenanceError, match="later version"):
        read_provenance(tmp_path / "a.txt")


def test_differences_are_sentences(record: Provenance) -> None:
    assert differences(record, record) == []
    changed: dict[str, Any] = {
        "weights": {"features": "cd" * 32},
        "versions": {**record.versions, "torch": "1.0"},
        "threads": record.threads + 1,
        "device": "cuda (H200)",
        "settings": {**record.settings, "seed": 8},
        "inputs": {"photo": [Source(file="other.jpg", sha256="ef" * 32)]},
    }
    found = differences(record, record.model_copy(update=changed))
    text = "\n".join(found)
    assert "weights 'features': recorded abababababab…, here cdcdcdcdcdcd…." in found
    assert f"version of 'torch': recorded {record.versions['torch']}, here 1.0." in found
    assert f"threads: recorded {record.threads}, here {record.threads + 1}." in found
    assert "device: recorded cpu, here cuda (H200)." in found
    assert "setting 'seed': recorded 7, here 8." in found
    assert "input 'photo': recorded" in text
    assert "input 'style': recorded" in text
    assert "here none." in text
    assert len(found) == 7


def test_differences_show_no_control_characters(record: Provenance) -> None:
    hostile = record.model_copy(update={"device": "\x1b[2J" + "x" * 9000, "weights": {"\x1b]": "\x1b[31m"}})
    for sentence in differences(hostile, record):
        assert sentence.isprintable()
        assert len(sentence) < 400


def test_a_renamed_input_is_no_difference(record: Provenance) -> None:
    photo = record.inputs["photo"][0]
    renamed = {**record.inputs, "photo": [Source(file="renamed.jpg", sha256=photo.sha256)]}
    assert differences(record, record.model_copy(update={"inputs": renamed})) == []


def test_inputs_are_found_by_their_content(photo_file: Path, tmp_path: Path) -> None:
    source = Source(file="photo.jpg", sha256=file_sha256(photo_file))
    result = tmp_path / "out" / "result.png"
    result.parent.mkdir()
    assert find_input(source, result) == photo_file  # one folder up
    renamed = tmp_path / "out" / "renamed.jpg"
    shutil.move(photo_file, renamed)
    assert find_input(source, result) == renamed
    elsewhere = tmp_path / "elsewhere" / "another.jpg"
    elsewhere.parent.mkdir()
    shutil.move(renamed, elsewhere)
    with pytest.raises(ProvenanceError, match=r"photo\.jpg \(sha256 .*give its path"):
        find_input(source, result)
    assert find_input(source, result, [tmp_path / "none.jpg", elsewhere]) == elsewhere
    (tmp_path / "out" / "photo.jpg").write_bytes(b"something else")
    with pytest.raises(ProvenanceError, match="content differs"):
        find_input(source, result)


def test_pictures_from_memory_are_found_by_their_pixels(photo: Image.Image, tmp_path: Path) -> None:
    source = describe_run("style", {}, inputs={"photo": photo}).inputs["photo"][0]
    assert source.file == ""
    result = tmp_path / "result.png"
    with pytest.raises(ProvenanceError, match="The picture"):
        find_input(source, result)
    (tmp_path / "broken.png").write_bytes(b"broken")
    photo.save(tmp_path / "kept.png")
    assert find_input(source, result) == tmp_path / "kept.png"


def test_a_record_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    result = tmp_path / "a" / "b" / "c" / "result.png"
    result.parent.mkdir(parents=True)
    source = Source(file="../../../secret.txt", sha256=file_sha256(secret))
    with pytest.raises(ProvenanceError):
        find_input(source, result)


def test_odd_file_names_are_recorded(photo: Image.Image, tmp_path: Path) -> None:
    path = Path(str(tmp_path) + "/ph\udcffoto.png")
    photo.save(path)
    record = describe_run("style", {}, inputs={"photo": open_image(path)})
    assert record.inputs["photo"][0].file == "ph?oto.png"
    assert record.to_json()
    assert find_input(record.inputs["photo"][0], tmp_path / "result.png") == path


def test_sources_that_are_no_pictures(tmp_path: Path) -> None:
    record = describe_run("style", {}, inputs={"style": {"file": "/home/me/starry-night", "sha256": "12" * 32}})
    assert record.inputs["style"] == [Source(file="starry-night", sha256="12" * 32)]
    for wrong in (object(), float("nan")):
        with pytest.raises(ProvenanceError, match="JSON"):
            describe_run("style", {}, result={"steps": wrong})


def test_importing_it_costs_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, creative.provenance, creative.weights, creative.checkpoint; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=Path(provenance.__file__).parent.parent, check=False
        ).returncode
        == 0
    )
