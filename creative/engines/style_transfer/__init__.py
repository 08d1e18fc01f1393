"""Style transfer by optimisation, texture synthesis, and style presets.

    image = run(stylize(photo, painting))
    image = run(stylize(photo, load_preset("starry-night")))
    texture = run(stylize(None, painting))

The algorithm is in ``painting``; what it minimises in ``objective``, how it steps in ``optimizers``, its sizes, memory
and time in ``plan``, and the checks of what it is given in ``job``.
"""

from creative.engines.style_transfer.checks import StyleError
from creative.engines.style_transfer.painting import stylize
from creative.engines.style_transfer.presets import make_preset
from creative.style_presets import Preset, PresetError, load_preset, save_preset

__all__ = ["Preset", "PresetError", "StyleError", "load_preset", "make_preset", "save_preset", "stylize"]
