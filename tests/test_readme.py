"""The README's commands and its Python run as they stand, on a small photo."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from apart import Command
from PIL import Image

from apps._cli import main
from creative.video import save_video

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
    for name, size in (("scribble", (96, 64)), ("mine", small.size), ("its", painting.size)):
        regions = Image.new("RGB", size, "blue")
        regions.paste("yellow", (0, 0, size[0] // 2, size[1]))
        regions.save(tmp_path / f"{name}.png")
    Image.new("L", small.size, 255).crop((0, 0, 48, 32)).resize(small.size).save(tmp_path / "mask.png")
    save_video([small, small], tmp_path / "clip.mp4", 5)
    (tmp_path / "letter.txt").write_text('Dear friend,\n"How are you?" (We are well.)\n' * 200, encoding="utf-8")
    (tmp_path / "program.py").write_text("print((12+3))\n", encoding="utf-8")
    (tmp_path / "photos").mkdir()
    small.save(tmp_path / "photos" / "first.png")
    return tmp_path


def one_after_another(commands: Sequence[list[str]]) -> int:
    """In one process; it ends at the first that fails."""
    for words in commands:
        print("::", *words)
        if status := main(words):
            return status
    return 0


def python(lines: Sequence[str]) -> int:
    exec("\n".join(lines), {"__name__": "__main__"})
    return 0


SHORT = {
    "style": ["--size", "96"],
    "doodle": ["--size", "96", "--iterations", "2"],
    "dream": ["--size", "64", "--octaves", "1", "--steps", "1"],
    "dream-zoom": ["--size", "64", "--octaves", "1", "--steps", "1", "--first-steps", "1", "--frames-per-second", "5"],
    "visualize": ["--size", "48", "--steps", "2"],
    "inside": ["--size", "96", "--layers", "relu3_1", "--channels", "1"],
    "translate": ["--size", "64"],
    "translate-video": ["--size", "64"],
    "diffuse": ["--steps", "2"],
    "compare": ["--size", "64", "--quality", "draft"],
    "caption": ["--guesses", "1"],
    "write": ["--length", "40"],
    "score": [],
    "neurons": [],
    "execute": [],
    "replay": [],
}
"""What makes the commands of each verb quick; those of other verbs train, or need what is not here."""


def shortened(words: list[str]) -> list[str]:
    quick = [{"30": "2", "200": "2"}.get(word, word) for word in words]
    optimises = words[0] == "style" and not {"--seconds", "--instant", "clip.mp4"} & set(words)
    return [*quick, *SHORT.get(words[0], []), *(["--iterations", "2"] if optimises else [])]


@pytest.mark.slow
def test_commands_run(folder: Path) -> None:
    words = [line[1:] for line in commands("")]
    assert {line[0] for line in words} >= SHORT.keys()
    chosen = [line for line in words if (line[0] in SHORT and "--pipeline" not in line) or "char-rnn" in line]
    chosen.sort(key=lambda line: line[0] == "replay")
    status, out, err = Command(one_after_another, [shortened(line) for line in chosen], folder).end()
    assert status == 0, out[-300:] + err
    assert "same bytes" in out + err


@pytest.mark.slow
def test_python_runs(folder: Path) -> None:
    code = "from creative import DreamSettings, StylizeSettings\n" + "\n".join(blocks("python"))
    small = {
        'load_preset("starry-night"))': 'load_preset("starry-night"), StylizeSettings(size=96, iterations=(2,)))',
        'dream(open_image("photo.jpg"))': 'dream(open_image("photo.jpg"), DreamSettings(size=96, steps=1))',
        "DiffuseSettings(": "DiffuseSettings(steps=2, ",
    }
    for long, short in small.items():
        assert long in code
        code = code.replace(long, short)
    status, _, err = Command(python, [code], folder).end()
    assert status == 0, err
    made = ("painted", "at-once", "dreamed", "as-monet", "restyled")
    assert {max(Image.open(folder / f"{name}.png").size) for name in made} <= {96, 512}


def test_files_it_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), f"README names {target}, which is not there"


def test_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make (demo|test|studio|[a-z]+)\b", "\n".join(blocks("sh")))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no make {target}"
