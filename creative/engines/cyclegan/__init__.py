"""CycleGAN: translating between two kinds of pictures, photos and Monet's paintings for example.

Read ``training`` (what a run is), ``objective`` (what it learns by at each step), ``looks`` and ``alarms``; then
``evaluation``, which measures with ``distances``.
"""

from creative.engines.cyclegan.training import train_cyclegan

__all__ = ["train_cyclegan"]
