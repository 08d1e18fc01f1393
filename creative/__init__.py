"""creative: generative art and text with small networks of our own.

Importing this package costs milliseconds: every engine, and torch with it, loads when it is first used.

    from creative import run, stylize
    from PIL import Image

    run(stylize(Image.open("photo.jpg"), Image.open("painting.jpg"))).save("painted.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from creative.engines.deep_dream import dream, dream_video, dream_zoom
    from creative.engines.feature_visualization import visualize
    from creative.engines.look_inside import look_inside
    from creative.engines.style_transfer import stylize
    from creative.images import open_image, save_image
    from creative.options.deep_dream import DreamSettings, DreamVideoSettings, DreamZoomSettings
    from creative.options.style_transfer import StylizeSettings
    from creative.progress import Step, run
    from creative.settings import Settings, SettingsError
    from creative.style_presets import load_preset

__version__ = "0.1.0"

__all__ = [
    "DreamSettings",
    "DreamVideoSettings",
    "DreamZoomSettings",
    "Settings",
    "SettingsError",
    "Step",
    "StylizeSettings",
    "__version__",
    "dream",
    "dream_video",
    "dream_zoom",
    "load_preset",
    "look_inside",
    "open_image",
    "run",
    "save_image",
    "stylize",
    "visualize",
]

_HOMES = {
    "DreamSettings": "creative.options.deep_dream",
    "DreamVideoSettings": "creative.options.deep_dream",
    "DreamZoomSettings": "creative.options.deep_dream",
    "Settings": "creative.settings",
    "SettingsError": "creative.settings",
    "Step": "creative.progress",
    "StylizeSettings": "creative.options.style_transfer",
    "dream": "creative.engines.deep_dream",
    "dream_video": "creative.engines.deep_dream",
    "dream_zoom": "creative.engines.deep_dream",
    "load_preset": "creative.style_presets",
    "look_inside": "creative.engines.look_inside",
    "open_image": "creative.images",
    "run": "creative.progress",
    "save_image": "creative.images",
    "stylize": "creative.engines.style_transfer",
    "visualize": "creative.engines.feature_visualization",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'creative' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
