"""The learning rate as a pure function of where a run is."""

from __future__ import annotations

import math

from creative.options.training import TrainingSettings


def learning_rate_factor(settings: TrainingSettings, step: int, progress: float) -> float:
    """What the learning rate is multiplied with, 0 to 1.

    Args:
        settings: its schedule, warm-up and where the decay begins.
        step: steps done before this one.
        progress: how much of the run is over, 0 to 1.
    """
    rise = min(1.0, (step + 1) / (settings.warmup + 1))
    gone = max(0.0, (progress - settings.decay_from) / (1 - settings.decay_from))
    fall = {"constant": 1.0, "linear": 1 - gone, "cosine": (1 + math.cos(math.pi * gone)) / 2}[settings.schedule]
    return rise * fall
