"""The bundled feature network: how it is trained, and how good it is.

``hints`` says what it learns from its teachers' maps, ``distillation`` trains it, ``evaluation`` and ``styles``
measure it.
"""

from creative.engines.features.distillation import Distillation, train_features
from creative.engines.features.evaluation import Cost, Evaluation, Share, evaluate_features, measure_cost
from creative.engines.features.hints import HINTS, Hint
from creative.engines.features.styles import Painter, save_untrained, score_styles

__all__ = [
    "HINTS",
    "Cost",
    "Distillation",
    "Evaluation",
    "Hint",
    "Painter",
    "Share",
    "evaluate_features",
    "measure_cost",
    "save_untrained",
    "score_styles",
    "train_features",
]
