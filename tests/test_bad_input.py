"""What people and disks do wrong, tried on the real thing: one sentence, the right exit status, nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from apart import Command
from PIL import Image
from test_cli import Creative, Said, creative  # noqa: F401

from apps._cli import main
from creative.images import open_image
from creative.weights import bundled_folder

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("--size", "64", "--iterations", "1", "--scales", "1")


@pytest.fixture
def here(photo_file: Path, painting_file: Path, creative: Creative) -> Creative:  # noqa: F811
    """In a folder with photo.jpg and painting.png, where nothing else may be left."""
    return creative


def refused(said: Said, sentence: str, *, code: int = 2) -> None:
    """One sentence on stderr, nothing on stdout, no file left."""
    lines = said.err.splitlines()
    assert (said.code, said.out) == (code, ""), said
    assert sentence in lines[-1], lines
    assert lines[-1].startswith("creative style: ")
    assert len(lines) == 1 or code == 1
    assert not Path("out").exists() or not list(Path("out").iterdir())


def bomb(path: Path) -> None:
    """A PNG of a few kilobytes that says it has 40,000 × 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    side = (40_000).to_bytes(4, "big")
    header = chunk(b"IHDR", side + side + b"\x08\x02\x00\x00\x00")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b""))


def make_bad_files() -> None:
    """One file of each kind that is no picture to paint."""
    Path("empty.jpg").write_bytes(b"")
    Path("text.jpg").write_text("dear diary")
    Path("cut.jpg").write_bytes(Path("photo.jpg").read_bytes()[:2000])
    Path("folder").mkdir()
    bomb(Path("bomb.png"))
    Image.new("L", (9, 4000)).save("mask.png")
    Path("list.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("nothing.jpg painting.png", "There is no file nothing.jpg."),
        ("photo.jpg nothing.png", "There is no file nothing.png."),
        ("empty.jpg painting.png", "empty.jpg is empty."),
        ("text.jpg painting.png", "text.jpg is not a picture"),
        ("cut.jpg painting.png", "cut.jpg is damaged or cut short"),
        ("photo.jpg text.jpg", "text.jpg is not a picture"),
        ("bomb.png painting.png", "million are allowed"),
        ("folder painting.png", "There is no picture in the folder folder."),
        ("photo.jpg folder", "folder is a folder"),
        ("photo.jpg starry-nihgt", "There is no preset called 'starry-nihgt'."),
        ("photo.jpg list.safetensors", "list.safetensors"),
        ("photo.jpg painting.png --size 63", "--size must be at least 64, but is 63"),
        ("photo.jpg painting.png --size 8193", "--size must be at most 8192, but is 8193"),
        ("photo.jpg painting.png --total-variation nan", "--total-variation must be a finite number, but is nan"),
        ("photo.jpg painting.png --style-weights nan", "--style-weights must be a finite number, but is nan"),
        ("photo.jpg painting.png --style-layers relu9_1", "relu9_1"),
        ("photo.jpg painting.png --style-layers relu1_1=nan", "relu1_1=nan"),
        ("photo.jpg painting.png --style-weights 1 2", "style"),
        ("photo.jpg painting.png --mask nothing.png", "There is no file nothing.png."),
        ("photo.jpg painting.png --mask text.jpg", "text.jpg is not a picture"),
        ("photo.jpg painting.png --network-weights text.jpg", "text.jpg"),
        ("photo.jpg painting.png --network vgg19", "creative weights get vgg19"),
        ("photo.jpg painting.png -o painted.bmp", "must end in .png, .jpg, .jpeg or .webp"),
        ("photo.jpg painting.png -o photo.jpg", "one of its inputs"),
        ("photo.jpg painting.png -o text.jpg/painted.png", "text.jpg is not a folder"),
        ("photo.jpg painting.png --device cuda", "No cuda device was found"),
    ],
)
def test_told_in_a_sentence(here: Creative, words: str, sentence: str) -> None:
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    make_bad_files()
    refused(here("style", *words.split(), *(() if "--size" in words else QUICK)), sentence)


def test_two_presets_in_a_row_are_explained(here: Creative, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creative.weights.list_presets", lambda: ["dusk", "dawn"])
    refused(
        here("style", "photo.jpg", "dusk", "painting.png", *QUICK), "dusk; it is a style, and only the last word is one"
    )


def test_unreadable_and_unwritable(here: Creative, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(
        here("style", "photo.jpg", "painting.png", *QUICK, "-o", "/proc/nowhere/"), "Could not write /proc/nowhere/"
    )
    if os.geteuid() == 0:
        return  # root may read and write everything
    Path("locked").mkdir(mode=0o500)
    refused(here("style", "photo.jpg", "painting.png", *QUICK, "-o", "locked/"), "no permission")
    Path("photo.jpg").chmod(0)
    refused(here("style", "photo.jpg", "painting.png", *QUICK), "no permission")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk(here: Creative, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = Path.write_bytes

    def full(self: Path, data: Any) -> int:
        if self.suffix == ".tmp":
            real(self, bytes(data)[: len(data) // 2])
            raise OSError(number, os.strerror(number), str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    said = here("style", "photo.jpg", "painting.png", *QUICK)
    refused(said, "Could not write out/photo-painting.png", code=1)
    assert ".tmp" not in said.err


def limited(words: Sequence[str]) -> int:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    return main(words)


def test_a_limit_on_the_size_of_files(here: Creative, tmp_path: Path) -> None:
    """The system's own refusal, half-way through a file."""
    said = Said(*Command(limited, ["style", "photo.jpg", "painting.png", *QUICK], tmp_path).end())
    refused(said, "Could not write out/photo-painting.png", code=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2)])
@pytest.mark.parametrize("which", ["photo", "style"])
def test_odd_sizes_are_painted_or_refused(here: Creative, size: tuple[int, int], which: str) -> None:
    Image.new("RGB", size, "orange").save("odd.png")
    words = ("odd.png", "painting.png") if which == "photo" else ("photo.jpg", "odd.png")
    said = here("style", *words, *QUICK)
    if said.code:
        refused(said, "odd.png" if "odd.png" in said.err else "pixels")
    else:
        assert open_image(said.out.strip()).width >= 1


def test_the_style_may_be_the_photo(here: Creative) -> None:
    said = here("style", "photo.jpg", "photo.jpg", *QUICK, "--json").json
    assert Path(said["output"]).name == "photo-photo.png"
    picture = open_image(said["output"])
    assert all(low < high for low, high in picture.getextrema())  # type: ignore[misc]


def test_a_mask_of_another_size_or_shape(here: Creative) -> None:
    """It is fitted or refused, never a traceback."""
    for size in ((9, 4000), (64, 43), (1, 1)):
        Image.new("L", size, 255).save("mask.png")
        said = here("style", "photo.jpg", "painting.png", *QUICK, "--mask", "mask.png", "--again")
        assert said.code in {0, 2}
        assert said.code == 0 or "mask" in said.err


def test_more_masks_than_styles(here: Creative) -> None:
    Image.new("L", (64, 64), 255).save("mask.png")
    refused(here("style", "photo.jpg", "painting.png", *QUICK, "--style-masks", "mask.png", "mask.png"), "mask")


def test_a_damaged_network(here: Creative, tmp_path: Path) -> None:
    weights = bytearray((bundled_folder() / "features.safetensors").read_bytes())
    Path("cut.safetensors").write_bytes(weights[: len(weights) // 2])
    refused(
        here("style", "photo.jpg", "painting.png", *QUICK, "--network-weights", "cut.safetensors"), "cut.safetensors"
    )


def test_a_network_of_nan(here: Creative) -> None:
    from creative.checkpoint import load_checkpoint, save_checkpoint

    known = load_checkpoint(bundled_folder() / "features.safetensors")
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in known.tensors.items()}
    save_checkpoint(Path("nan.safetensors"), broken, known.metadata)
    said = here("style", "photo.jpg", "painting.png", *QUICK, "--network-weights", "nan.safetensors")
    assert said.code in {1, 2}
    assert "nan.safetensors" in said.err or "finite" in said.err or "NaN" in said.err
    assert not list(Path.cwd().glob("out/*"))


def test_weights_that_are_not_here_name_file_address_and_command(here: Creative) -> None:
    said = here("style", "photo.jpg", "painting.png", *QUICK, "--network", "squeezenet1_1")
    refused(said, "squeezenet1_1-b8a52dc0.pth")
    assert "https://" in said.err
    assert "`creative weights get squeezenet1_1`" in said.err


def test_no_network_is_a_normal_state(tmp_path: Path) -> None:
    """A download without a connection: one sentence with file, address and what to do; exit status 1."""
    code = """
import socket, sys
def nobody(*words, **more): raise socket.gaierror(-2, "Name or service not known")
socket.getaddrinfo = nobody
from apps._cli import main
sys.exit(main(["weights", "get", "squeezenet1_1"]))
"""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**environment, "CREATIVE_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no connection to the network" in done.stderr.splitlines()[-1]
    assert "https://" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*.pth"))


def test_the_real_thing_is_replayed(here: Creative) -> None:
    report = here("style", "photo.jpg", "painting.png", *QUICK, "--seed", "3", "--json").json
    assert report["settings"]["seed"] == 3
    assert set(report["metrics"])
    json.dumps(report)
    said = here("replay", report["output"])
    assert (said.code, said.out) == (0, "out/photo-painting-replay.png\n"), said.err


def test_a_time_budget_is_replayed(here: Creative) -> None:
    report = here("style", "photo.jpg", "painting.png", "--size", "64", "--seconds", "1.5", "--json").json
    said = here("replay", report["output"])
    assert said.code == 0, said.err


# On the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def form() -> Any:
    """The form that paints, as the page has it."""
    gr = pytest.importorskip("gradio")
    from apps import _form_action, style_transfer

    with gr.Blocks():
        return _form_action.ActionForm(style_transfer.APP.actions[0], Path("out"), "")


def filled(form: Any, **values: Any) -> list[Any]:
    """What the form's components hold where somebody has filled some of them."""
    held: list[Any] = []
    for widget in form.widgets:
        names = widget.names
        held += [values.get(name, part.value) for name, part in zip(names, widget.components, strict=True)]
    return held


def start(form: Any, **values: Any) -> tuple[str, str]:
    """Click the button: the last status line, and the error's sentence if there was one."""
    from apps._jobs import MACHINE
    from apps._watch import JobError, watch

    held = filled(form, **({"photo": "photo.jpg", "style_picture": "painting.png", "size": 64} | values))
    said, wrong = "", ""
    try:
        for view in watch(form.action, lambda: form._read(held), Path("out"), "me", Path("site")):
            said = view["status"]
    except JobError as problem:
        wrong = str(problem)
    assert len(MACHINE) == 0
    return said, wrong


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"photo": None}, "Please give a photo first."),
        ({"style": None, "style_picture": None}, "Please give a style first."),
        ({"photo": "empty.jpg"}, "empty.jpg is empty."),
        ({"photo": "text.jpg"}, "text.jpg is not a picture"),
        ({"photo": "cut.jpg"}, "cut.jpg is damaged or cut short"),
        ({"style_picture": "cut.jpg"}, "cut.jpg is damaged or cut short"),
        ({"photo": "bomb.png"}, "million are allowed"),
        ({"style": "starry-nihgt", "style_picture": None}, "There is no preset called 'starry-nihgt'."),
        ({"size": 63}, "size must be at least 64, but is 63"),
        ({"size": 8193}, "size must be at most 8192, but is 8193"),
        ({"size": 70.5}, "size"),
        ({"seconds": "soon"}, "seconds must be a number, but is 'soon'"),
        ({"total_variation": float("nan")}, "total_variation must be a finite number, but is nan"),
        ({"style_weights": "nan"}, "style_weights must be a finite number, but is nan"),
        ({"style_layers": "relu9_1"}, "relu9_1"),
        ({"mask": "mask.png"}, "another shape than the photo's"),
        ({"network": "vgg19"}, "creative weights get vgg19"),
        ({"network_weights": "text.jpg"}, "text.jpg"),
    ],
)
def test_the_page_tells_it_too(here: Creative, form: Any, values: dict[str, Any], sentence: str) -> None:
    make_bad_files()
    said, wrong = start(form, **values)
    assert sentence in wrong
    assert len(wrong.splitlines()) == 1
    assert "failed" in said
    assert not list(Path.cwd().glob("out/*"))


@pytest.mark.parametrize("size", [(1, 1), (1, 4000)])
def test_odd_sizes_on_the_page(here: Creative, form: Any, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "orange").save("odd.png")
    said, wrong = start(form, photo="odd.png", iterations="1", scales="1")
    assert "pixels" in wrong if wrong else "Done" in said
