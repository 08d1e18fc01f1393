"""Small Python programs with their answers: the language and its interpreter, the generator, curricula, batches.

Zaremba and Sutskever, 2014, Learning to Execute, arXiv:1410.4615. Read ``language`` (what a program is and what it
prints), ``generator`` (how one is drawn), ``numbers`` (the paper's addition and memorisation), ``curriculum`` (how
hard they are while training) and ``batches`` (as arrays of characters).
"""

from creative.data.programs.batches import CHARACTERS, Batch, Writing, encode, make_batch
from creative.data.programs.curriculum import EASIEST, STRATEGIES, Curriculum, Level
from creative.data.programs.generator import Sample, compose, operation_of, split_of
from creative.data.programs.language import Program, ProgramError, read_program
from creative.data.programs.numbers import addition, memorisation
from creative.data.programs.sampling import TASKS, Dice, sample

__all__ = [
    "CHARACTERS",
    "EASIEST",
    "STRATEGIES",
    "TASKS",
    "Batch",
    "Curriculum",
    "Dice",
    "Level",
    "Program",
    "ProgramError",
    "Sample",
    "Writing",
    "addition",
    "compose",
    "encode",
    "make_batch",
    "memorisation",
    "operation_of",
    "read_program",
    "sample",
    "split_of",
]
