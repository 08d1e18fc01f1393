"""The one training loop that every network of the suite is trained by.

``task`` is what an engine subclasses; ``loop`` trains it; ``state`` and ``metrics`` are what it writes.
"""

from creative.data.draws import Draw, mixed_seed
from creative.engines.training.loop import TrainingError, learning_rate_factor, train
from creative.engines.training.task import Networks, Task, Update
from creative.options.training import TrainingSettings

__all__ = [
    "Draw",
    "Networks",
    "Task",
    "TrainingError",
    "TrainingSettings",
    "Update",
    "learning_rate_factor",
    "mixed_seed",
    "train",
]
