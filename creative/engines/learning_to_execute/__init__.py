"""Learning to execute: a recurrent network reads a small program and writes what it prints.

Zaremba and Sutskever, 2014, Learning to Execute, arXiv:1410.4615. Read ``training`` and ``evaluation``, then
``answering``, ``calibration`` and ``executing``; ``networks`` are the files.
"""

from creative.engines.learning_to_execute.answering import Digit
from creative.engines.learning_to_execute.calibration import Calibration
from creative.engines.learning_to_execute.evaluation import Accuracy
from creative.engines.learning_to_execute.executing import Executed, Neuron, Reading, execute
from creative.engines.learning_to_execute.networks import ExecuteError, Trained, join_networks, load_trained
from creative.engines.learning_to_execute.report import Report, evaluate_execute
from creative.engines.learning_to_execute.training import train_execute

__all__ = [
    "Accuracy",
    "Calibration",
    "Digit",
    "ExecuteError",
    "Executed",
    "Neuron",
    "Reading",
    "Report",
    "Trained",
    "evaluate_execute",
    "execute",
    "join_networks",
    "load_trained",
    "train_execute",
]
