"""The bundled feature network: how it is trained, and how good it is.

``hints`` says what it learns from its teachers' maps (through ``regressors``), ``unnatural`` from which pictures beside
photos, ``distillation`` how; ``training`` does it, and ``classifier`` fits what names pictures. ``evaluation`` measures
it: ``recognition``, ``explained`` (maps), ``cost``, ``drawings``, ``probe`` (scenes), ``styles``; ``report`` tells.
"""

from creative.engines.features.classifier import fit_classifier, train_classifier
from creative.engines.features.cost import Cost, measure_cost
from creative.engines.features.distillation import Distillation
from creative.engines.features.drawings import Artist, Drawing, Drawn, draw_and_judge
from creative.engines.features.evaluation import Material, evaluate_features
from creative.engines.features.hints import HINTS, Hint
from creative.engines.features.probe import Probed, Scenes, find_scenes, probe_scenes, ridge
from creative.engines.features.recognition import Recognition, Share
from creative.engines.features.report import Evaluation, Table
from creative.engines.features.styles import Painter, at_equal_content, save_untrained, score_styles
from creative.engines.features.training import train_features

__all__ = [
    "HINTS",
    "Artist",
    "Cost",
    "Distillation",
    "Drawing",
    "Drawn",
    "Evaluation",
    "Hint",
    "Material",
    "Painter",
    "Probed",
    "Recognition",
    "Scenes",
    "Share",
    "Table",
    "at_equal_content",
    "draw_and_judge",
    "evaluate_features",
    "find_scenes",
    "fit_classifier",
    "measure_cost",
    "probe_scenes",
    "ridge",
    "save_untrained",
    "score_styles",
    "train_classifier",
    "train_features",
]
