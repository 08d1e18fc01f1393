"""Dreaming by command: mistakes are told in a sentence before any work, and odd films are dreamed anyway."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import Creative, creative  # noqa: F401
from test_video import rotated, sounding, texture

from creative.video import open_video, save_video

av = pytest.importorskip("av", reason="the extra `video` is not installed")

QUICK = ("--look", "brushwork", "--size", "64", "--octaves", "1", "--steps", "1")


@pytest.fixture
def here(photo_file: Path, creative: Creative) -> Creative:  # noqa: F811
    """In a folder with photo.jpg, and things that are none."""
    Path("text.jpg").write_text("dear diary")
    Path("text.mp4").write_text("dear diary")
    Path("empty.mp4").write_bytes(b"")
    Image.new("RGB", (400, 1)).save("thread.png")
    texture(40, 90).save("tall.png")
    return creative


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("dream photo.jpg --layers relu3_9", "bundled has no layer 'relu3_9' (did you mean relu3_"),
        ("dream photo.jpg --layers relu3_1:5000", "channels, 0 to"),
        ("dream photo.jpg --layers relu3_1:x", "A layer is given as NAME, NAME=WEIGHT or NAME:CHANNEL"),
        ("dream photo.jpg --octaves 0", "--octaves must be at least 1, but is 0"),
        ("dream photo.jpg --size 96 --octaves 12", "a side that bundled up to"),
        ("dream thread.png", "a side, but the picture would have"),
        ("dream photo.jpg --subject tucan", "did you mean toucan"),
        ("dream photo.jpg --subject toucan --guide tall.png", "give layers too, or one of the two"),
        ("dream photo.jpg --guide text.jpg", "text.jpg is not a picture"),
        ("dream photo.jpg --guide thread.png", "The guide is too small or too narrow"),
        ("dream photo.jpg --mask text.jpg", "text.jpg is not a picture"),
        ("dream photo.jpg --network squeezenet1_0", "creative weights get squeezenet1_0"),
        ("dream-zoom photo.jpg --octaves 0", "--octaves must be at least 1, but is 0"),
        ("dream-zoom photo.jpg --seconds 0", "--seconds must be more than 0"),
        ("dream-zoom photo.jpg -o film.avi", "must end in .mp4 or .gif"),
        ("dream-video nothing.mp4", "There is no file nothing.mp4."),
        ("dream-video text.mp4", "text.mp4 is no video that can be read"),
        ("dream-video empty.mp4", "empty.mp4 is no video that can be read"),
        ("dream-video sound.mp4", "sound.mp4 has no picture track"),
        ("dream-video cut.mp4", "cut.mp4 has no frames that can be read"),
        ("visualize relu3_9:1", "bundled has no layer 'relu3_9' (did you mean relu3_"),
        ("visualize relu3_1:5000", "but relu3_1:5000 asks for channel 5000"),
        ("visualize relu3_1:", "is no objective"),
        ("visualize class:tucan", "did you mean toucan"),
        ("visualize relu3_1:1 --towards relu3_1:5000", "asks for channel 5000"),
        ("inside photo.jpg --layers relu9_1", "bundled has no layer 'relu9_1'"),
        ("inside thread.png", "The photo is too narrow to look at"),
    ],
)
def test_told_in_a_sentence(here: Creative, words: str, sentence: str) -> None:
    if "sound.mp4" in words:
        sounding(Path("sound.mp4"), frames=0)
    if "cut.mp4" in words:
        save_video([texture(seed=seed) for seed in range(8)], "whole.mp4", 10)
        whole = Path("whole.mp4").read_bytes()
        Path("cut.mp4").write_bytes(whole[: len(whole) // 4])
    said = here(*words.split())
    lines = said.err.splitlines()
    assert (said.code, said.out, len(lines)) == (2, "", 1), said
    assert lines[0].startswith(f"creative {words.split()[0]}: ")
    assert sentence in lines[0]
    assert not Path("out").exists() or not list(Path("out").iterdir())


def test_a_guide_of_another_shape_is_fine(here: Creative) -> None:
    assert here("dream", "photo.jpg", "--guide", "tall.png", *QUICK, "-o", "guided.png").code == 0
    assert here("dream", "photo.jpg", *QUICK, "-o", "plain.png").code == 0
    assert Path("guided.png").read_bytes() != Path("plain.png").read_bytes()


def test_sound_is_kept(here: Creative) -> None:
    sounding(Path("film.mp4"), frames=4)
    said = here("dream-video", "film.mp4", *QUICK, "-o", "dreamed.mp4")
    assert said.code == 0, said
    clip = open_video("dreamed.mp4")
    assert clip.has_sound
    assert len(list(clip.frames())) == 4
    with av.open("film.mp4") as before, av.open("dreamed.mp4") as after:
        tracks = [np.concatenate([f.to_ndarray()[0] for f in one.decode(audio=0)]) for one in (before, after)]
    assert np.array_equal(tracks[1], tracks[0][: len(tracks[1])])
    assert len(tracks[1]) / 48000 == pytest.approx(0.4, abs=0.05)


def test_sound_that_a_gif_cannot_hold_is_said_to_be_left_out(here: Creative) -> None:
    sounding(Path("film.mp4"), frames=2)
    said = here("dream-video", "film.mp4", *QUICK, "-o", "dreamed.gif")
    assert said.code == 0
    assert "The sound is left out" in said.err


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_odd_sizes_and_turned_films_are_dreamed_upright(here: Creative, suffix: str) -> None:
    save_video([texture(61, 33, seed) for seed in range(2)], "odd.gif", 10)
    save_video([texture(64, 48, seed) for seed in range(2)], "turned.mp4", 10)
    rotated(Path("turned.mp4"), (0, 1, -1, 0))
    assert here("dream-video", "odd.gif", *QUICK, "-o", f"a{suffix}").code == 0
    assert open_video(f"a{suffix}").size == (64, 34)
    assert here("dream-video", "turned.mp4", *QUICK, "-o", f"b{suffix}").code == 0
    assert open_video(f"b{suffix}").size == (48, 64)
    near = np.asarray(next(open_video(f"b{suffix}").frames()), float)
    upright = np.asarray(texture(64, 48, 0).transpose(Image.Transpose.ROTATE_270), float)
    assert np.abs(near - upright).mean() < 0.5 * np.abs(near[::-1] - upright).mean()
