"""Painting videos, and what a webcam sees: each frame along with the one before it.

    path = run(style_video("street.mp4", load_preset("starry-night"), "painted.mp4"))
    path = run(style_video("street.mp4", painting, "painted.mp4", VideoStyleSettings(engine="optimise", passes=3)))

    paint = live_painter(painting)               # keeps what it needs of the last frame
    picture = paint(frame)

The loop over frames and passes is in ``along``; the two ways to paint a frame, by a trained network or by optimisation,
are in ``ways``; ``live`` paints a stream of frames that has no end.
"""

from creative.engines.video_style.along import style_video
from creative.engines.video_style.live import live_painter

__all__ = ["live_painter", "style_video"]
