"""CycleGAN: translating between two kinds of pictures, photos and Monet's paintings for example.

Read ``training`` (what a run is), ``objective`` (what it learns by at each step), ``looks`` and ``alarms``; then
``evaluation``, which measures with ``distances`` and says it in a ``report``.
"""

from creative.engines.cyclegan.evaluation import evaluate_cyclegan
from creative.engines.cyclegan.report import Report
from creative.engines.cyclegan.training import train_cyclegan

__all__ = ["Report", "evaluate_cyclegan", "train_cyclegan"]
