"""Painting videos: along what moves, not over cuts, there and back, and what a webcam sees."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_painter import save_toy_painter

from creative.engines.fast_style import paint
from creative.engines.video_style import style_video
from creative.images import resize
from creative.motion import follow, warp_error
from creative.options.fast_style import InstantSettings
from creative.options.video_style import VideoStyleSettings
from creative.progress import Step, run
from creative.provenance import read_provenance
from creative.video import open_video, save_video

av = pytest.importorskip("av", reason="the extra `video` is not installed")
pytest.importorskip("cv2", reason="the extra `video` is not installed")

QUICK: dict[str, Any] = {"engine": "optimise", "quality": "draft", "iterations": 3}


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_painter(tmp_path_factory.mktemp("painters") / "toy.safetensors")


@pytest.fixture(scope="module")
def frames(photo: Image.Image) -> list[Image.Image]:
    """Six frames of 64 × 48 pixels that move by two pixels."""
    return [photo.crop((2 * number, 20, 64 + 2 * number, 68)) for number in range(6)]


@pytest.fixture(scope="module")
def clip(frames: list[Image.Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    save_video(frames, path, 12)
    return path


def painted(video: Path, style: Any, path: Path, painter: Path | None = None, **settings: Any) -> list[np.ndarray]:
    """The frames of a painted video, as levels."""
    run(style_video(video, style, path, VideoStyleSettings(**settings), painter=painter, device="cpu"))
    return [levels(frame) for frame in open_video(path).frames()]


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32)


def told(engine: Any) -> list[str]:
    """What a job says to its end."""
    said: list[str] = []
    run(engine, lambda step: said.append(step.message) if step.message else None)
    return said


def restless(frames: list[np.ndarray]) -> float:
    """How much changes from frame to frame, where everything moves by two pixels."""
    return float(
        np.mean([np.abs(after[4:-4, 4:-12] - before[4:-4, 6:-10]).mean() for before, after in pairwise(frames)])
    )


# With a painter -------------------------------------------------------------------------------------------------------


def test_without_steadiness_each_frame_is_painted_by_itself(
    clip: Path, painting: Image.Image, painter: Path, tmp_path: Path
) -> None:
    found = painted(clip, painting, tmp_path / "a.mp4", painter, steady=0)
    plain = open_video(clip)
    assert len(found) == 6
    assert (open_video(tmp_path / "a.mp4").size, open_video(tmp_path / "a.mp4").frames_per_second) == ((64, 48), 12)
    for after, before in zip(found, plain.frames(), strict=True):
        alone = run(paint(before, painting, InstantSettings(size=64), painter=painter, device="cpu"))
        # fine colours go in the encoding
        small = [levels(resize(one, (16, 12))) for one in (Image.fromarray(after.astype(np.uint8)), alone, before)]
        assert np.abs(small[0] - small[1]).mean() < 4
        assert np.abs(small[2] - small[1]).mean() > 8, "nothing was painted, so nothing was tried"
    made = read_provenance(tmp_path / "a.mp4")
    assert made is not None
    assert (made.action, made.inputs["video"][0].file) == ("style-video", "walk.mp4")
    assert made.inputs["painter"][0].file == "toy.safetensors"


def test_steadiness_calms(clip: Path, painting: Image.Image, painter: Path, tmp_path: Path) -> None:
    calm = {
        steady: restless(painted(clip, painting, tmp_path / f"{steady}.mp4", painter, steady=steady))
        for steady in (0, 0.6, 0.95)
    }
    assert calm[0.6] < 0.9 * calm[0]
    assert calm[0.95] < calm[0.6]


def test_a_further_pass_is_calmer(clip: Path, painting: Image.Image, painter: Path, tmp_path: Path) -> None:
    once, twice = (painted(clip, painting, tmp_path / f"{n}.mp4", painter, steady=0.5, passes=n) for n in (1, 2))
    assert len(once) == len(twice) == 6
    assert restless(twice) < restless(once)
    assert np.abs(once[5] - twice[5]).mean() < 4, "the last frame is the first of the way back"
    assert not (tmp_path / "2.mp4.frames").exists()


def test_flicker_is_told(clip: Path, painting: Image.Image, painter: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    run(style_video(clip, painting, tmp_path / "a.mp4", painter=painter, device="cpu"), steps.append)
    seen = list(open_video(clip).frames())
    own = [
        warp_error(levels(after), levels(before), (motion := follow(after, before)).flow, motion.trust > 0.5)
        for before, after in pairwise(seen)
    ]
    assert steps[-1].metrics["flicker_input"] == pytest.approx(np.mean(own), rel=1e-4)
    assert steps[-1].metrics["flicker"] > 0
