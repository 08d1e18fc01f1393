"""Diffusion: pictures out of noise, by a small network of our own or by a pipeline of the user's.

Ours: read ``drawing`` (new pictures and those between two), ``restyling`` and ``filling``; under them lie ``denoising``
(the way from noise to a picture), ``tiles``, ``schedule`` and ``diffuser``. ``training`` with ``squares`` makes such a
network, ``evaluation`` measures it.

Theirs: read ``pipelines``.
"""

from creative.engines.diffusion.diffuser import Diffuser, load_diffuser
from creative.engines.diffusion.drawing import between, generate
from creative.engines.diffusion.evaluation import evaluate_diffusion
from creative.engines.diffusion.filling import fill
from creative.engines.diffusion.pipelines import PipelineError, draw_with_pipeline
from creative.engines.diffusion.restyling import restyle
from creative.engines.diffusion.training import train_diffusion

__all__ = [
    "Diffuser",
    "PipelineError",
    "between",
    "draw_with_pipeline",
    "evaluate_diffusion",
    "fill",
    "generate",
    "load_diffuser",
    "restyle",
    "train_diffusion",
]
