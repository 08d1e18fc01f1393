"""The one training loop that every network of the suite is trained by.

Read ``task`` (what an engine subclasses), ``loop`` (what is done with it) and ``run`` (what happens at each step);
``saving``, ``state``, ``metrics``, ``processes``, ``schedule``, ``muon`` and ``modes`` are their helpers.
"""

from creative.data.draws import Draw, mixed_seed
from creative.engines.training.loop import check_run, train
from creative.engines.training.muon import MuonAdamW
from creative.engines.training.saving import MAY_CHANGE, TrainingError, save_network
from creative.engines.training.schedule import learning_rate_factor
from creative.engines.training.task import Networks, Task, Update
from creative.options.training import TrainingSettings

__all__ = [
    "MAY_CHANGE",
    "Draw",
    "MuonAdamW",
    "Networks",
    "Task",
    "TrainingError",
    "TrainingSettings",
    "Update",
    "check_run",
    "learning_rate_factor",
    "mixed_seed",
    "save_network",
    "train",
]
