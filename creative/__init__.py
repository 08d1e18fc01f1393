"""creative: generative art and text with small networks of our own.

Importing this package costs milliseconds: every engine, and torch with it, loads when it is first used.

    from creative import run, stylize
    from PIL import Image

    run(stylize(Image.open("photo.jpg"), Image.open("painting.jpg"))).save("painted.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from creative.engines.captioning import caption
    from creative.engines.char_rnn.neurons import look_at_neurons
    from creative.engines.char_rnn.scoring import score_text
    from creative.engines.char_rnn.voices import load_voice
    from creative.engines.char_rnn.writing import write
    from creative.engines.compare import compare
    from creative.engines.cyclegan import translate, translate_video
    from creative.engines.deep_dream import dream, dream_video, dream_zoom
    from creative.engines.diffusion import fill, generate, restyle
    from creative.engines.fast_style import paint
    from creative.engines.feature_visualization import visualize
    from creative.engines.learning_to_execute import execute
    from creative.engines.look_inside import look_inside
    from creative.engines.style_transfer import stylize
    from creative.engines.video_style import style_video
    from creative.images import open_image, save_image
    from creative.options.caption import CaptionSettings
    from creative.options.compare import CompareSettings
    from creative.options.deep_dream import DreamSettings, DreamVideoSettings, DreamZoomSettings
    from creative.options.diffusion import DiffuseSettings
    from creative.options.execute import ExecuteSettings
    from creative.options.fast_style import InstantSettings
    from creative.options.style_transfer import StylizeSettings
    from creative.options.translate import TranslateSettings, TranslateVideoSettings
    from creative.options.video_style import VideoStyleSettings
    from creative.options.writing import NeuronsSettings, ScoreSettings, WriteSettings
    from creative.progress import Step, run
    from creative.settings import Settings, SettingsError
    from creative.style_presets import load_preset

__version__ = "0.1.0"

__all__ = [
    "CaptionSettings",
    "CompareSettings",
    "DiffuseSettings",
    "DreamSettings",
    "DreamVideoSettings",
    "DreamZoomSettings",
    "ExecuteSettings",
    "InstantSettings",
    "NeuronsSettings",
    "ScoreSettings",
    "Settings",
    "SettingsError",
    "Step",
    "StylizeSettings",
    "TranslateSettings",
    "TranslateVideoSettings",
    "VideoStyleSettings",
    "WriteSettings",
    "__version__",
    "caption",
    "compare",
    "dream",
    "dream_video",
    "dream_zoom",
    "execute",
    "fill",
    "generate",
    "load_preset",
    "load_voice",
    "look_at_neurons",
    "look_inside",
    "open_image",
    "paint",
    "restyle",
    "run",
    "save_image",
    "score_text",
    "style_video",
    "stylize",
    "translate",
    "translate_video",
    "visualize",
    "write",
]

_HOMES = {
    "CaptionSettings": "creative.options.caption",
    "CompareSettings": "creative.options.compare",
    "DiffuseSettings": "creative.options.diffusion",
    "DreamSettings": "creative.options.deep_dream",
    "DreamVideoSettings": "creative.options.deep_dream",
    "DreamZoomSettings": "creative.options.deep_dream",
    "ExecuteSettings": "creative.options.execute",
    "InstantSettings": "creative.options.fast_style",
    "NeuronsSettings": "creative.options.writing",
    "ScoreSettings": "creative.options.writing",
    "Settings": "creative.settings",
    "SettingsError": "creative.settings",
    "Step": "creative.progress",
    "StylizeSettings": "creative.options.style_transfer",
    "TranslateSettings": "creative.options.translate",
    "TranslateVideoSettings": "creative.options.translate",
    "VideoStyleSettings": "creative.options.video_style",
    "WriteSettings": "creative.options.writing",
    "caption": "creative.engines.captioning",
    "compare": "creative.engines.compare",
    "dream": "creative.engines.deep_dream",
    "dream_video": "creative.engines.deep_dream",
    "dream_zoom": "creative.engines.deep_dream",
    "execute": "creative.engines.learning_to_execute",
    "fill": "creative.engines.diffusion",
    "generate": "creative.engines.diffusion",
    "load_preset": "creative.style_presets",
    "load_voice": "creative.engines.char_rnn.voices",
    "look_at_neurons": "creative.engines.char_rnn.neurons",
    "look_inside": "creative.engines.look_inside",
    "open_image": "creative.images",
    "paint": "creative.engines.fast_style",
    "restyle": "creative.engines.diffusion",
    "run": "creative.progress",
    "save_image": "creative.images",
    "score_text": "creative.engines.char_rnn.scoring",
    "style_video": "creative.engines.video_style",
    "stylize": "creative.engines.style_transfer",
    "translate": "creative.engines.cyclegan",
    "translate_video": "creative.engines.cyclegan",
    "visualize": "creative.engines.feature_visualization",
    "write": "creative.engines.char_rnn.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'creative' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
