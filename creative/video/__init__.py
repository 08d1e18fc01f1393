"""Video: frames in, upright and at a steady rate; frames out as MP4 or GIF.

    clip = open_video("street.mp4")              # a VideoError in one sentence where it is none
    save_video((soften(frame) for frame in clip.frames()), "soft.mp4", clip.frames_per_second, sound=clip.path)

Needs the extra ``video`` (PyAV), which is loaded where it is used. What moves between frames is in ``motion``.
"""

from creative.video.container import VideoError
from creative.video.reading import MAX_SIDE, Clip, open_video
from creative.video.saving import SAVED_AS, check_video_output, even, save_video

__all__ = [
    "MAX_SIDE",
    "SAVED_AS",
    "Clip",
    "VideoError",
    "check_video_output",
    "even",
    "open_video",
    "save_video",
]
