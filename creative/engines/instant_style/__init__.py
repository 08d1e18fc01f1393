"""Networks that paint in one pass: how they are trained, for any painting or for one, and how they are measured.

Read ``objective`` (what they learn by), ``bank`` (the styles that they learn from), ``training`` (any painting),
``single`` (one painting), ``refit`` (any painting, seen by another feature network) and ``evaluation``.
``engines/fast_style`` paints with them.
"""

from creative.engines.instant_style.evaluation import evaluate_instant_style
from creative.engines.instant_style.refit import refit_predictor
from creative.engines.instant_style.single import train_fast_style
from creative.engines.instant_style.training import train_instant_style

__all__ = ["evaluate_instant_style", "refit_predictor", "train_fast_style", "train_instant_style"]
