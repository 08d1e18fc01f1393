"""Feature visualization: what a neuron, a channel, a layer or a class wants to see, drawn from nothing."""

from creative.engines.feature_visualization.drawing import Drawn, ascend, draw, visualize
from creative.engines.feature_visualization.measure import (
    Between,
    Score,
    check_objectives,
    likeness,
    load_network,
    measure,
    num_channels,
)
from creative.engines.feature_visualization.parameterization import FourierPictures, Parameterization, PixelPictures
from creative.engines.feature_visualization.sheet import sheet
from creative.engines.feature_visualization.transforms import (
    Affine,
    Jitter,
    Pad,
    Rotate,
    Scale,
    Transform,
    Transforms,
    robust_transforms,
)
from creative.optimizers import Adam, Optimizer

__all__ = [
    "Adam",
    "Affine",
    "Between",
    "Drawn",
    "FourierPictures",
    "Jitter",
    "Optimizer",
    "Pad",
    "Parameterization",
    "PixelPictures",
    "Rotate",
    "Scale",
    "Score",
    "Transform",
    "Transforms",
    "ascend",
    "check_objectives",
    "draw",
    "likeness",
    "load_network",
    "measure",
    "num_channels",
    "robust_transforms",
    "sheet",
    "visualize",
]
