"""Videos in and out, whatever they are."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from creative.video import VideoError, open_video, reading, save_video

av = pytest.importorskip("av", reason="the extra `video` is not installed")
pytest.importorskip("cv2", reason="the extra `video` is not installed")


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, colour)


def texture(width: int = 140, height: int = 100, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def sounding(
    path: Path, codec: str = "aac", frames: int = 10, container: str | None = None, begin: int = 0, late: int = 0
) -> Path:
    """A film of ``frames`` frames, none for sound alone, at 10 a second with a second of a tone.

    It begins at ``begin`` seconds, and its sound ``late`` seconds after that.
    """
    with av.open(str(path), "w", format=container) as out:
        sound = out.add_stream(codec, rate=48000)
        sound.layout = "mono"
        picture = out.add_stream("libx264" if path.suffix != ".webm" else "libvpx", rate=10) if frames else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            for number in range(frames):
                frame = av.VideoFrame.from_image(flat((200, 20 * number, 40)))
                frame.pts, frame.time_base = 10 * begin + number, Fraction(1, 10)
                out.mux(picture.encode(frame))
            out.mux(picture.encode(None))
        tone = (np.sin(np.arange(48000) * 0.06) * 8000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.sample_rate = 48000
        frame.pts, frame.time_base = 48000 * (begin + late), Fraction(1, 48000)
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


def filmed(
    path: Path, times: Any, *, unit: Fraction = Fraction(1, 10), rate: int = 10, set_up: Any = lambda stream: None
) -> Path:
    """A film whose frames, each a little brighter, come at these times in this unit of seconds."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264" if path.suffix != ".webm" else "libvpx", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = unit
        set_up(stream)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_image(flat((7 * number, 0, 0)))
            frame.pts, frame.time_base = time, unit
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def reds(path: Path) -> list[int]:
    """How red the middle of each frame of a video is."""
    return [int(np.asarray(frame)[frame.height // 2, frame.width // 2, 0]) for frame in open_video(path).frames()]


def rotated(path: Path, matrix: tuple[int, ...]) -> None:
    """Change an MP4's metadata so that it is to be shown turned."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # the display matrix of the track's header, version 0
    a, b, c, d = (value * 65536 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def test_colours_and_number_of_frames_come_back(tmp_path: Path) -> None:
    colours = [(200, 30, 40), (20, 180, 60), (40, 50, 220), (255, 255, 255), (0, 0, 0)]
    save_video([flat(colour) for colour in colours], tmp_path / "a.mp4", 24)
    clip = open_video(tmp_path / "a.mp4")
    assert (clip.size, clip.frames_per_second, clip.num_frames, clip.has_sound) == ((64, 48), 24, 5, False)
    found = [np.asarray(frame)[24, 32] for frame in clip.frames()]
    assert np.abs(np.array(found, int) - np.array(colours)).max() <= 4


def test_gif_comes_back(tmp_path: Path) -> None:
    save_video([flat((20 * number, 90, 10)) for number in range(6)], tmp_path / "a.gif", 20)
    clip = open_video(tmp_path / "a.gif")
    assert clip.frames_per_second == 20
    assert [int(np.asarray(frame)[0, 0, 0]) for frame in clip.frames()] == [0, 20, 40, 60, 80, 100]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_same_frames_same_bytes(tmp_path: Path, suffix: str) -> None:
    frames = [texture(seed=seed) for seed in range(4)]
    paths = [tmp_path / f"{number}{suffix}" for number in range(20)]
    for path in paths:
        save_video(frames, path, 12)
    made = {path.read_bytes() for path in paths}
    assert len(made) == 1, "an encoder that differs one time in three is found by trying often"


def test_odd_sides_become_even(tmp_path: Path) -> None:
    save_video([texture(61, 33)] * 3, tmp_path / "odd.mp4", 12)
    assert open_video(tmp_path / "odd.mp4").size == (62, 34)
    save_video([texture(61, 33)] * 3, tmp_path / "odd.gif", 12)
    assert next(open_video(tmp_path / "odd.gif").frames()).size == texture(61, 33).size


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [((0, 1, -1, 0), (-1, 0)), ((-1, 0, 0, -1), (-1, -1)), ((0, -1, 1, 0), (0, -1))],
    ids=["a quarter right", "upside down", "a quarter left"],
)
def test_rotation_in_the_metadata_is_followed(tmp_path: Path, matrix: tuple[int, ...], corner: tuple[int, int]) -> None:
    frame = flat((20, 20, 20), (64, 48))
    frame.paste((250, 20, 20), (0, 0, 16, 16))  # red, top left
    path = save_to(tmp_path / "a.mp4", [frame] * 3)
    rotated(path, matrix)
    clip = open_video(path)
    assert clip.size == ((64, 48) if matrix[0] else (48, 64))
    pixels = np.asarray(next(clip.frames()), int)
    assert pixels.shape == (clip.size[1], clip.size[0], 3)
    x, y = corner
    assert pixels[y * 4, x * 4, 0] > 200
    assert (pixels[:, :, 0] > 150).mean() == pytest.approx(256 / (64 * 48), rel=0.2)


def save_to(path: Path, frames: list[Image.Image]) -> Path:
    save_video(frames, path, 10)
    return path


def test_sound_is_kept_as_far_as_the_frames_go(tmp_path: Path) -> None:
    clip = open_video(sounding(tmp_path / "in.mp4"))
    assert clip.has_sound
    assert save_video(list(clip.frames())[:5], tmp_path / "out.mp4", 10, sound=clip.path)
    with av.open(str(tmp_path / "out.mp4")) as out:
        length = sum(frame.samples for frame in out.decode(audio=0)) / 48000
    assert 0.45 < length < 0.6
    assert len(list(open_video(tmp_path / "out.mp4").frames())) == 5
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_sound_goes_with_its_frames_whenever_the_film_begins(tmp_path: Path, suffix: str) -> None:
    """Broadcasts begin at any time of day: frames are counted from the first, and so must the sound be."""
    clip = open_video(sounding(tmp_path / f"in{suffix}", begin=5))
    assert save_video(clip.frames(), tmp_path / "out.mp4", 10, sound=clip.path)
    with av.open(str(tmp_path / "out.mp4")) as out:
        heard = list(out.decode(audio=0))
    assert heard[0].time == pytest.approx(0, abs=0.05)
    assert heard[-1].time == pytest.approx(1, abs=0.1)


def test_sound_that_begins_after_the_frames_is_not_said_to_be_there(tmp_path: Path) -> None:
    path = sounding(tmp_path / "in.mkv", late=5)
    assert not save_video([flat((1, 2, 3))] * 4, tmp_path / "out.mp4", 10, sound=path)
    assert not open_video(tmp_path / "out.mp4").has_sound


def test_sound_that_does_not_fit_is_left_out(tmp_path: Path) -> None:
    sounding(tmp_path / "in.mkv", "pcm_s16le", frames=4, container="matroska")
    heard = save_video([flat((1, 2, 3))] * 4, tmp_path / "out.mp4", 10, sound=tmp_path / "in.mkv")
    assert open_video(tmp_path / "out.mp4").has_sound is heard
    assert len(list(open_video(tmp_path / "out.mp4").frames())) == 4


def test_frames_that_last_longer_come_more_than_once(tmp_path: Path) -> None:
    path = filmed(tmp_path / "a.mp4", (0, 10, 20, 60, 70))
    rate = float(open_video(path).frames_per_second)
    seen = reds(path)
    assert len(set(seen)) == 5
    assert len(seen) == pytest.approx(7 * rate + 1, abs=1.5)
    assert max(seen.count(red) for red in set(seen)) == pytest.approx(4 * rate, abs=1)


def test_short_frames_beside_long_ones_are_not_lost_and_the_last_lasts_too(tmp_path: Path) -> None:
    """By the mean rate, 1.4 a second, the first two would have no place."""
    frames = [flat((level, 0, 0)) for level in (20, 120, 220)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 100, 2000], loop=0)
    assert open_video(tmp_path / "a.gif").frames_per_second == 10
    assert reds(tmp_path / "a.gif") == [20, 120, *[220] * 20]
    assert open_video(tmp_path / "a.gif").num_frames == 22


def test_a_rate_that_nobody_films_at_is_not_believed(tmp_path: Path) -> None:
    """Browsers that record a camera write a thousand frames a second, of which most are not there."""
    clip = open_video(filmed(tmp_path / "a.webm", range(0, 990, 33), unit=Fraction(1, 1000), rate=1000))
    assert float(clip.frames_per_second) == pytest.approx(1000 / 33, rel=0.01)
    assert len(list(clip.frames())) == 30


def test_the_last_frame_before_the_damage_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filmed(tmp_path / "a.mp4", range(6))
    clip, decoded = open_video(path), reading._decoded

    def breaking(path: Path) -> Any:
        yield from islice(decoded(path), 3)
        raise VideoError("cut short")

    monkeypatch.setattr(reading, "_decoded", breaking)
    frames = clip.frames()
    assert [next(frames).size for _ in range(3)] == [(64, 48)] * 3
    with pytest.raises(VideoError, match=r"a\.mp4 is damaged after frame 3\."):
        next(frames)


def test_what_is_no_video_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("once upon a time")
    (tmp_path / "empty.mp4").write_bytes(b"")
    sounding(tmp_path / "sound.mp4", frames=0)
    whole = save_to(tmp_path / "whole.mp4", [texture(seed=seed) for seed in range(8)]).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 4])
    (tmp_path / "two\nlines.mp4").write_text("once upon a time")
    for name in ("two\nlines.mp4", "no\nfile.mp4", "text.mp4", "empty.mp4", "sound.mp4", "cut.mp4", "missing.mp4", "."):
        with pytest.raises(VideoError) as found:
            open_video(tmp_path / name)
        assert "\n" not in str(found.value)
        assert str(found.value).endswith(".")


def test_texts_lists_and_pictures_are_no_videos(tmp_path: Path) -> None:
    """FFmpeg would paint a text as a terminal shows it, and a list of files lets a stranger see other files."""
    save_to(tmp_path / "other.mp4", [flat((1, 2, 3))])
    (tmp_path / "notes.txt").write_text("once upon a time\n" * 20)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n"
    (tmp_path / "list.m3u8").write_text(f"{head}{tmp_path / 'other.mp4'}\n#EXT-X-ENDLIST\n")
    flat((1, 2, 3)).save(tmp_path / "photo.png")
    for name in ("notes.txt", "list.mp4", "list.m3u8", "photo.png"):
        with pytest.raises(VideoError, match="is no video that can be read"):
            open_video(tmp_path / name)


def test_the_cover_of_a_song_is_no_film(tmp_path: Path) -> None:
    with av.open(str(sounding(tmp_path / "tone.mp4", frames=0))) as tone, av.open(str(tmp_path / "a.mp4"), "w") as out:
        track = out.add_stream_from_template(tone.streams.audio[0])
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame.from_image(flat((1, 2, 3)))))
        out.mux(cover.encode(None))
        for packet in tone.demux(audio=0):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
    with pytest.raises(VideoError, match="no picture track"):
        open_video(tmp_path / "a.mp4")


@pytest.mark.parametrize(("ratio", "size"), [(Fraction(2), (128, 48)), (Fraction(1, 2), (64, 96))])
def test_pixels_that_are_no_squares_become_squares(tmp_path: Path, ratio: Fraction, size: tuple[int, int]) -> None:
    def wide(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = ratio

    clip = open_video(filmed(tmp_path / "a.mp4", range(3), set_up=wide))
    assert clip.size == size
    assert {frame.size for frame in clip.frames()} == {size}


def test_no_frames_no_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frames"):
        save_video([], tmp_path / "a.mp4", 10)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def breaking() -> Any:
        yield flat((1, 2, 3))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        save_video(breaking(), tmp_path / "a.mp4", 10)
    assert not list(tmp_path.iterdir())


def test_wrong_places_to_save(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, words in ((tmp_path / "a.avi", "must end in"), (tmp_path / "file" / "a.mp4", "Could not write")):
        with pytest.raises(VideoError, match=words):
            save_video([flat((1, 2, 3))], path, 10)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match=r"creative\[video\]"):
        open_video(tmp_path / "a.mp4")
