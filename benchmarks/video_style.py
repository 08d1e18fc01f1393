"""Painted videos: how much they flicker, and how fast they are painted.

    python benchmarks/video_style.py [VIDEO ...] [--styles starry-night great-wave udnie] [--steady 0.6]

Flicker is the warp error (``creative.motion.warp_error``), in levels of 255: of the frames themselves, of each painted
by itself, and of each painted along with the one before it; and the ratio of the last two. Without a file, scenes are
made here of scikit-image's photos, so that it is known what moved where: a camera that pans and zooms, a thing that
moves in front, and noise. In a video that is given, motion is what ``follow`` finds in it, as for the painting itself.

``grain`` is the fine detail of what is painted along over that of frames painted by themselves: 1 as crisp, below 1
softer. Frames a second count everything but reading and writing files: scaling, flow, painting, mixing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
import torch
from PIL import Image

from creative.engines.video_style import live_painter
from creative.engines.video_style.ways import Carried, Optimising
from creative.images import fit, open_image, resize, to_tensor
from creative.metrics import grain
from creative.motion import follow, warp_error
from creative.options.video_style import LiveStyleSettings, VideoStyleSettings
from creative.progress import run
from creative.style_presets import load_preset
from creative.video import open_video

SCENES = {"coffee": "astronaut", "chelsea": "coins", "rocket": "chelsea"}
"""The photo behind, and the one that a round thing in front is cut from."""
NOISE = 2.0
"""Of a camera: standard deviation in levels of 255."""


@dataclass
class Moment:
    """A frame, where each of its pixels was in the one before, and which of them were in view there."""

    frame: Image.Image
    flow: np.ndarray
    seen: np.ndarray


def scene(behind: str, front: str, num_frames: int, size: tuple[int, int]) -> Iterator[Moment]:
    """A camera that pans and zooms over a photo, with a disk of another in front, which moves on its own."""
    from skimage import data

    width, height = size
    random = np.random.default_rng(0)
    photo, thing = (Image.fromarray(getattr(data, name)()).convert("RGB") for name in (behind, front))
    scale = 1.5 * max(width / photo.width, height / photo.height)
    wide = np.asarray(resize(photo, (round(photo.width * scale), round(photo.height * scale))), np.float32)
    radius = height // 6
    disk = np.asarray(resize(thing, (2 * radius, 2 * radius)), np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    before = None
    for time_ in range(num_frames):
        zoom = 1.15 - 0.3 * time_ / num_frames  # pixels of the photo for one of the frame
        x = wide.shape[1] / 2 + 0.3 * (wide.shape[1] - 1.2 * width) * math.sin(0.12 * time_)
        y = wide.shape[0] / 2 + 0.25 * (wide.shape[0] - 1.2 * height) * math.cos(0.09 * time_)
        left, top = width * (0.15 + 0.7 * (0.02 * time_ % 1)), height * (0.5 + 0.25 * math.sin(0.2 * time_))
        there = x + (columns - width / 2) * zoom, y + (rows - height / 2) * zoom
        mask = np.clip(radius - np.hypot(columns - left, rows - top), 0, 1).astype(np.float32)
        picture = _looked_up(wide, *there) * (1 - mask[..., None])
        picture += _looked_up(disk, columns - left + radius, rows - top + radius) * mask[..., None]
        picture += random.normal(0, NOISE, picture.shape)
        flow, seen = np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.float32)
        if before is not None:
            was_x, was_y, was_zoom, was_left, was_top, was_mask = before
            on = mask > 0.5
            flow[..., 0] = np.where(on, was_left - left, (there[0] - was_x) / was_zoom + width / 2 - columns)
            flow[..., 1] = np.where(on, was_top - top, (there[1] - was_y) / was_zoom + height / 2 - rows)
            place = columns + flow[..., 0], rows + flow[..., 1]
            inside = (place[0] >= 0) & (place[0] <= width - 1) & (place[1] >= 0) & (place[1] <= height - 1)
            covered = cv2.remap(was_mask, *place, cv2.INTER_LINEAR)
            whole = (mask > 0.99) | (mask < 0.01)
            seen = (inside & whole & np.where(on, covered > 0.99, covered < 0.01)).astype(np.float32)
        before = x, y, zoom, left, top, mask
        yield Moment(Image.fromarray(np.rint(picture.clip(0, 255)).astype(np.uint8)), flow, seen)


def _looked_up(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    places = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return np.asarray(cv2.remap(picture, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def filmed(path: str, num_frames: int, size: int) -> Iterator[Moment]:
    """A video; its cuts count as if nothing had been in view before."""
    before: Image.Image | None = None
    for _, frame in zip(range(num_frames), open_video(path).frames(), strict=False):
        frame = resize(frame, fit(frame.size, size))
        flow, seen = np.zeros((frame.height, frame.width, 2), np.float32), np.zeros(frame.size[::-1], np.float32)
        if before is not None:
            motion = follow(frame, before)
            flow, seen = motion.flow, (motion.trust > 0.5).astype(np.float32) * (not motion.cut)
        yield Moment(frame, flow, seen)
        before = frame


def flicker(moments: list[Moment], pictures: list[Image.Image]) -> float:
    """The root mean square over frames of the warp errors of some pictures, one for each frame."""
    errors = [
        warp_error(np.asarray(after), np.asarray(before), moment.flow, moment.seen)
        for before, after, moment in zip(pictures, pictures[1:], moments[1:], strict=False)
        if moment.seen.any()
    ]
    return math.sqrt(sum(error**2 for error in errors) / max(1, len(errors)))


def painted(
    moments: list[Moment], paint: Callable[[Image.Image], Image.Image]
) -> tuple[list[Image.Image], float, float]:
    """The frames painted, and seconds and CPU-seconds for each but the first."""
    pictures = [paint(moments[0].frame)]
    began, used = time.perf_counter(), time.process_time()
    pictures += [paint(moment.frame) for moment in moments[1:]]
    each = max(1, len(moments) - 1)
    return pictures, (time.perf_counter() - began) / each, (time.process_time() - used) / each


def optimiser(style: str, size: int, settings: VideoStyleSettings) -> Callable[[Image.Image], Image.Image]:
    """What paints one frame after another by optimisation."""
    way: Optimising | None = None
    before: tuple[Image.Image, Image.Image] | None = None

    def paint(frame: Image.Image) -> Image.Image:
        nonlocal way, before
        way = way or Optimising((_style(style),), settings, frame.size)
        motion = follow(frame, before[0]) if before is not None else None
        carried = None
        if motion is not None and before is not None and not motion.cut:
            carried = Carried(motion.carried(np.asarray(before[1], np.float32)), motion.trust)
        before = frame, run(way.paint(frame, carried))
        return before[1]

    return paint


def _style(name: str) -> Image.Image:
    return open_image(name) if Path(name).is_file() else load_preset(name)  # type: ignore[return-value]


def main() -> None:
    """Print a JSON object for each scene and style, and one of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", help="videos to measure on, in place of the scenes made here")
    parser.add_argument("--styles", nargs="+", default=["starry-night", "great-wave", "udnie"])
    parser.add_argument("--painter", help="who paints; none: as creative style VIDEO STYLE chooses")
    parser.add_argument("--engine", choices=["instant", "optimise"], default="instant")
    parser.add_argument("--steady", type=float, default=VideoStyleSettings().steady)
    parser.add_argument("--strength", type=float, default=VideoStyleSettings().strength)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", help="a PNG for some frames of each, painted alone above and along below")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    cv2.setNumThreads(asked.threads)
    size = asked.size, asked.size * 3 // 4
    found, rows = [], []
    sources = {video: filmed(video, asked.frames, asked.size) for video in asked.videos} or {
        name: scene(name, front, asked.frames, size) for name, front in SCENES.items()
    }
    for name, source in sources.items():
        moments = list(source)
        own = flicker(moments, [moment.frame for moment in moments])
        for style in asked.styles:
            ways: dict[float, Callable[[Image.Image], Image.Image]] = {}
            for steady in (0.0, asked.steady):
                values = {"size": asked.size, "steady": steady, "strength": asked.strength}
                if asked.engine == "instant":
                    ways[steady] = live_painter(_style(style), LiveStyleSettings(**values), painter=asked.painter)
                else:
                    ways[steady] = optimiser(style, asked.size, VideoStyleSettings(engine="optimise", **values))
            alone, _, alone_cpu = painted(moments, ways[0.0])
            along, seconds, cpu = painted(moments, ways[asked.steady])
            by_itself, steadied = flicker(moments, alone), flicker(moments, along)
            detail = [grain(to_tensor(one)) / grain(to_tensor(other)) for one, other in zip(along, alone, strict=True)]
            found.append(
                {
                    "scene": name,
                    "style": style,
                    "input": round(own, 2),
                    "alone": round(by_itself, 2),
                    "along": round(steadied, 2),
                    "ratio": round(steadied / by_itself, 3),
                    "grain": round(float(np.mean(detail[len(detail) // 2 :])), 3),
                    "frames_per_second": round(1 / seconds, 2),
                    "cpu_s_per_frame": round(cpu, 3),
                    "cpu_s_alone": round(alone_cpu, 3),
                }
            )
            print(json.dumps(found[-1]), flush=True)
            rows += [
                [pictures[place] for place in np.linspace(0, len(moments) - 1, 5).astype(int)]
                for pictures in (alone, along)
            ]
    summary = {
        key: round(float(np.mean([one[key] for one in found])), 3) for key in ("ratio", "grain", "cpu_s_per_frame")
    }
    print(json.dumps({"mean": summary, "worst_ratio": max(one["ratio"] for one in found)}))
    if asked.sheet:
        sheet = [np.concatenate([np.asarray(picture) for picture in row], 1) for row in rows]
        Image.fromarray(np.concatenate([row for row in sheet if row.shape == sheet[0].shape])).save(asked.sheet)


if __name__ == "__main__":
    main()
