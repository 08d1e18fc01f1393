"""The README's commands and its Python run as they stand, on a small photo."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(verb: str) -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"creative {verb}")]


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image, painting: Image.Image) -> Path:
    """Where the README's reader is, with the files that its commands name."""
    small = photo.copy()
    small.thumbnail((96, 96))
    small.save(tmp_path / "photo.jpg")
    painting.save(tmp_path / "painting.jpg")
    (tmp_path / "letter.txt").write_text('Dear friend,\n"How are you?" (We are well.)\n' * 200, encoding="utf-8")
    (tmp_path / "program.py").write_text("print((12+3))\n", encoding="utf-8")
    (tmp_path / "photos").mkdir()
    small.save(tmp_path / "photos" / "first.png")
    return tmp_path


def call(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_commands_run(folder: Path) -> None:
    painting = commands("style")
    assert len(painting) >= 2
    for command in painting:
        short = ["--size", "96", *([] if "--seconds" in command else ["--iterations", "2"])]
        short_command = [word if word != "30" else "2" for word in command[1:]]
        done = call([sys.executable, "-m", "apps", *short_command, *short], folder)
        assert done.returncode == 0, done.stderr
    quick = {
        "dream": ["--size", "64", "--octaves", "1", "--steps", "1"],
        "dream-zoom": [
            "--size",
            "64",
            "--octaves",
            "1",
            "--steps",
            "1",
            "--first-steps",
            "1",
            "--frames-per-second",
            "5",
        ],
        "visualize": ["--size", "48", "--steps", "2"],
        "inside": ["--size", "96", "--layers", "relu3_1", "--channels", "1"],
        "translate": ["--size", "64"],
        "caption": ["--guesses", "1"],
        "write": ["--length", "40"],
        "score": [],
        "neurons": [],
        "execute": [],
    }
    for verb, short in quick.items():
        for command in [line for line in commands(verb) if line[1] == verb]:
            done = call([sys.executable, "-m", "apps", *command[1:], *short], folder)
            assert done.returncode == 0, f"{command}: {done.stderr}"
    for command in commands("train char-rnn"):
        done = call([sys.executable, "-m", "apps", *[word if word != "200" else "2" for word in command[1:]]], folder)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    for command in commands("replay"):
        done = call([sys.executable, "-m", "apps", *command[1:]], folder)
        assert done.returncode == 0, done.stderr
        assert "same bytes" in done.stdout + done.stderr


@pytest.mark.slow
def test_python_runs(folder: Path) -> None:
    paint, dream, translate, caption, write = blocks("python")
    small = paint.replace('load_preset("starry-night"))', 'load_preset("starry-night"), StylizeSettings(size=96))')
    small += dream.replace('open_image("photo.jpg")', 'open_image("photo.jpg"), DreamSettings(size=96, steps=1)')
    assert small != paint + dream
    small += translate + caption + write
    done = call([sys.executable, "-c", "from creative import DreamSettings, StylizeSettings\n" + small], folder)
    assert done.returncode == 0, done.stderr
    sizes = [max(Image.open(folder / f"{name}.png").size) for name in ("painted", "dreamed", "as-monet")]
    assert sizes == [96, 96, 96]


def test_files_it_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), f"README names {target}, which is not there"


def test_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make (demo|test|studio|[a-z]+)\b", "\n".join(blocks("sh")))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no make {target}"
