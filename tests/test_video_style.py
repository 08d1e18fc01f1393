"""Painting videos: along what moves, not over cuts, there and back, and what a webcam sees."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_painter import save_toy_painter

from creative.engines.fast_style import PainterError, paint
from creative.engines.style_transfer import StyleError
from creative.engines.video_style import live_painter, style_video
from creative.images import resize
from creative.motion import follow, warp_error
from creative.options.fast_style import InstantSettings
from creative.options.video_style import LiveStyleSettings, VideoStyleSettings
from creative.progress import Step, run
from creative.provenance import read_provenance
from creative.video import VideoError, open_video, save_video

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
    made_of = open_video(tmp_path / "a.mp4")
    assert (made_of.size, float(made_of.frames_per_second)) == ((64, 48), 12)
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


# There and back, over cuts, and on from where it stopped --------------------------------------------------------------


@pytest.mark.parametrize("passes", [1, 3])
def test_a_stopped_video_goes_on_to_the_same_bytes(
    clip: Path, painting: Image.Image, painter: Path, tmp_path: Path, passes: int
) -> None:
    settings = VideoStyleSettings(most_frames=4, passes=passes)

    def job(path: Path) -> Any:
        return style_video(clip, painting, path, settings, painter=painter, device="cpu")

    whole = run(job(tmp_path / "a.mp4")).read_bytes()
    for stop in (2, 6) if passes > 1 else (2,):
        stopped = job(tmp_path / "b.mp4")
        for step in stopped:
            if step.done == stop and step.preview is not None:
                break
        stopped.close()
        assert not (tmp_path / "b.mp4").exists()
    assert f"Goes on from frame {stop}." in told(job(tmp_path / "b.mp4"))
    assert (tmp_path / "b.mp4").read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.mp4.json", "b.mp4", "b.mp4.json"]


def test_what_somebody_else_keeps_beside_the_frames_stays(
    clip: Path, painting: Image.Image, painter: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "a.mp4.frames" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("not to be lost")
    painted(clip, painting, tmp_path / "a.mp4", painter, most_frames=2)
    assert [path.name for path in notes.parent.iterdir()] == ["notes.txt"]


def test_nothing_is_carried_over_a_cut(
    frames: list[Image.Image], painting: Image.Image, painter: Path, tmp_path: Path
) -> None:
    other = painting.crop((0, 0, 64, 48))
    save_video([*frames[:3], *[other] * 3], tmp_path / "cut.mp4", 12)
    settings = VideoStyleSettings(steady=0.9)
    said = told(style_video(tmp_path / "cut.mp4", painting, tmp_path / "a.mp4", settings, painter=painter))
    assert "A scene cut was found, over which no strokes are carried." in said
    one, another = (
        live_painter(painting, LiveStyleSettings(size=64, steady=0.9), painter=painter, device="cpu") for _ in range(2)
    )
    one(frames[2])
    assert one(other) == another(other)


def test_a_frame_that_lasts_is_painted_once(
    frames: list[Image.Image], painting: Image.Image, painter: Path, tmp_path: Path
) -> None:
    """In an animated picture a frame may stay for long, and nothing trembles meanwhile."""
    still = [frame.convert("P", palette=Image.Palette.ADAPTIVE) for frame in (frames[0], frames[3])]
    times = [400, 100]
    still[0].save(tmp_path / "a.gif", save_all=True, append_images=still[1:], duration=times, loop=0)
    found = painted(tmp_path / "a.gif", painting, tmp_path / "b.mp4", painter)
    assert len(found) > 2
    shown = list(open_video(tmp_path / "a.gif").frames())
    same = [
        (one == other, np.abs(a - b).mean() < 2)
        for (one, other), (a, b) in zip(pairwise(shown), pairwise(found), strict=True)
    ]
    assert all(after for before, after in same if before)
    assert not all(after for _, after in same)


# By optimisation ------------------------------------------------------------------------------------------------------


def test_optimising_keeps_what_it_has_painted(clip: Path, painting: Image.Image, tmp_path: Path) -> None:
    calm = {
        steady: restless(painted(clip, painting, tmp_path / f"{steady}.mp4", most_frames=4, steady=steady, **QUICK))
        for steady in (0, 0.6)
    }
    assert calm[0.6] < 0.7 * calm[0]


def test_optimising_there_and_back(clip: Path, painting: Image.Image, tmp_path: Path) -> None:
    steps: list[Step] = []
    settings = VideoStyleSettings(passes=2, most_frames=3, **QUICK)
    run(style_video(clip, painting, tmp_path / "a.mp4", settings, device="cpu"), steps.append)
    assert (steps[-1].done, steps[-1].total) == (6, 6)
    shares = [step.share or 0 for step in steps]
    assert shares == sorted(shares)
    assert len(list(open_video(tmp_path / "a.mp4").frames())) == 3


# What is wrong --------------------------------------------------------------------------------------------------------


def test_one_frame_is_a_video(frames: list[Image.Image], painting: Image.Image, painter: Path, tmp_path: Path) -> None:
    save_video(frames[:1], tmp_path / "one.mp4", 12)
    assert len(painted(tmp_path / "one.mp4", painting, tmp_path / "a.mp4", painter)) == 1
    assert len(painted(tmp_path / "one.mp4", painting, tmp_path / "b.mp4", painter, passes=2)) == 1


def test_a_damaged_video_is_painted_as_far_as_it_goes(
    clip: Path, painting: Image.Image, painter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from creative.video import reading

    decoded = reading._decoded

    def breaking(path: Path) -> Any:
        for count, frame in enumerate(decoded(path)):
            if count == 3 and path == clip:
                raise VideoError("cut short")
            yield frame

    monkeypatch.setattr(reading, "_decoded", breaking)
    said = told(style_video(clip, painting, tmp_path / "a.mp4", painter=painter))
    assert "walk.mp4 is damaged after frame 3. The painting ends there." in said
    assert len(list(open_video(tmp_path / "a.mp4").frames())) == 3


def test_what_cannot_be_painted_is_told_at_the_call(
    clip: Path, painting: Image.Image, painter: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("once upon a time")
    out = tmp_path / "out" / "a.mp4"

    def wrong(error: type[Exception], words: str, video: Path = clip, path: Path = out, **more: Any) -> None:
        settings = VideoStyleSettings(**{name: more.pop(name) for name in list(more) if name not in {"weights"}})
        with pytest.raises(error, match=words) as found:
            style_video(video, painting, path, settings, **{"painter": painter, **more})
        assert "\n" not in str(found.value)

    wrong(VideoError, "no video that can be read", tmp_path / "text.mp4")
    wrong(VideoError, "There is no file", tmp_path / "none.mp4")
    wrong(VideoError, "must end in", path=tmp_path / "a.avi")
    wrong(ValueError, "The optimise engine has no use for a painter", engine="optimise")
    wrong(ValueError, "The instant engine has no use for a network's weights", weights=painter)
    wrong(PainterError, "one number for each of the 1 styles", style_weights=(1.0, 2.0))
    with pytest.raises(ValueError, match="A style is missing"):
        style_video(clip, [], out, painter=painter)
    with pytest.raises(ValueError, match="or a preset"):
        style_video(clip, "udnie", out, painter=painter)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be VideoStyleSettings, but are a LiveStyleSettings"):
        style_video(clip, painting, out, LiveStyleSettings(), painter=painter)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be LiveStyleSettings, but are a dict"):
        live_painter(painting, {"size": 64}, painter=painter)  # type: ignore[arg-type]
    save_video([Image.new("RGB", (64, 8))], tmp_path / "flat.mp4", 5)
    with pytest.raises(StyleError, match="at least"):
        style_video(tmp_path / "flat.mp4", painting, out, VideoStyleSettings(**QUICK))
    with pytest.raises(ValueError, match="in which iterations means nothing"):
        VideoStyleSettings(iterations=9)
    assert not out.parent.exists()


def test_a_grey_painting_is_a_style_too(frames: list[Image.Image], painting: Image.Image, painter: Path) -> None:
    grey, same = (
        live_painter(style, LiveStyleSettings(size=64), painter=painter, device="cpu")(frames[0])
        for style in (painting.convert("L"), painting.convert("L").convert("RGB"))
    )
    assert grey == same


def test_a_large_video_is_made_smaller(painting: Image.Image, painter: Path, tmp_path: Path) -> None:
    save_video([Image.new("RGB", (1000, 20), "red")], tmp_path / "wide.mp4", 5)
    assert painted(tmp_path / "wide.mp4", painting, tmp_path / "a.mp4", painter, size=100)[0].shape == (2, 100, 3)


# A stream -------------------------------------------------------------------------------------------------------------


def test_a_stream_is_painted_as_a_video_is(
    frames: list[Image.Image], painting: Image.Image, painter: Path, tmp_path: Path
) -> None:
    live = live_painter(painting, LiveStyleSettings(size=64, steady=0.6), painter=painter, device="cpu")
    streamed = [levels(live(frame)) for frame in frames]
    alone = live_painter(painting, LiveStyleSettings(size=64, steady=0), painter=painter, device="cpu")
    assert restless(streamed) < restless([levels(alone(frame)) for frame in frames])
    first = run(paint(frames[0], painting, InstantSettings(size=64), painter=painter, device="cpu"))
    assert np.array_equal(streamed[0], levels(first))


@pytest.mark.parametrize("colours", ["matched", "photo"])
def test_colours_that_are_not_the_painting_s_are_those_of_each_frame(
    frames: list[Image.Image], painting: Image.Image, painter: Path, colours: str
) -> None:
    """A camera's first picture is often black, and films fade in."""
    live = live_painter(painting, LiveStyleSettings(size=64, steady=0, colours=colours), painter=painter, device="cpu")
    live(Image.new("RGB", (64, 48)))
    found = levels(live(frames[0]))
    assert np.abs(found.mean((0, 1)) - levels(frames[0]).mean((0, 1))).max() < 10
    assert np.abs(found - levels(frames[0])).mean() > 3, "nothing was painted, so nothing was tried"


def test_a_stream_may_change_its_size(photo: Image.Image, painting: Image.Image, painter: Path) -> None:
    live = live_painter(painting, LiveStyleSettings(size=64), painter=painter, device="cpu")
    sizes = [live(frame).size for frame in (photo, photo.rotate(90, expand=True), photo.convert("L"))]
    assert sizes == [(64, 43), (43, 64), (64, 43)]
