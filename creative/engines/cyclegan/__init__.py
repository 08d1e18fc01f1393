"""CycleGAN: translating between two kinds of pictures, photos and Monet's paintings for example.

Read ``training`` (what a run is), ``objective`` (what it learns by at each step), ``sides``, ``looks`` and ``alarms``;
then ``evaluation``, which measures with ``distances`` and says it in a ``report``. Apart from these, ``translating``
uses what was trained, ``canvas`` draws large pictures, ``along`` videos, and ``onnx`` takes a generator elsewhere.
"""

from creative.engines.cyclegan.along import translate_video
from creative.engines.cyclegan.evaluation import evaluate_cyclegan
from creative.engines.cyclegan.onnx import export_onnx
from creative.engines.cyclegan.report import Report
from creative.engines.cyclegan.training import train_cyclegan
from creative.engines.cyclegan.translating import RoundTrip, load_translator, translate

__all__ = [
    "Report",
    "RoundTrip",
    "evaluate_cyclegan",
    "export_onnx",
    "load_translator",
    "train_cyclegan",
    "translate",
    "translate_video",
]
