"""DeepDream: amplify in a picture what a network sees in it.

Mordvintsev, Olah and Tyka, "Inceptionism: Going Deeper into Neural Networks" (Google Research Blog, 2015).

    from creative import run
    from creative.engines.deep_dream import dream

    run(dream(open_image("clouds.jpg"))).save("dream.png")

``dream`` is the algorithm; ``dream_zoom`` and ``dream_video`` apply it frame by frame. ``Objective`` is what grows, and
its gradient, of a whole picture or exactly in tiles.
"""

from creative.engines.deep_dream.along import dream_video
from creative.engines.deep_dream.objective import DreamError, Objective
from creative.engines.deep_dream.octaves import Dreamer, dream, load_dreamer
from creative.engines.deep_dream.zoom import dream_zoom

__all__ = ["DreamError", "Dreamer", "Objective", "dream", "dream_video", "dream_zoom", "load_dreamer"]
