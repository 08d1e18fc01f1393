"""Painting at once: any painting's style, or one painting's, in one pass of a network that learned it.

    image = run(paint(photo, load_preset("starry-night")))
    image = run(paint(photo, [painting, other], InstantSettings(style_weights=(2, 1), size=1920)))

    painter = load_painter()                                # kept: for a video, a camera, many photos
    code = painter.code(painting)
    frame = painter.paint_tensor(picture, painter.at_strength(code, 0.4))

The network and how it sees a style are in ``painter``, what is asked of it and checked in ``request``, the job in
``painting``, large pictures in ``canvas``.
"""

from creative.engines.fast_style.painter import Painter, PainterError, choose_painter, load_painter
from creative.engines.fast_style.painting import paint

__all__ = ["Painter", "PainterError", "choose_painter", "load_painter", "paint"]
