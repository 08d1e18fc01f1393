"""Captioning: a network looks at a picture and writes a sentence about it, word by word."""

from creative.engines.captioning.describing import caption
from creative.engines.captioning.evaluation import evaluate_caption
from creative.engines.captioning.refit import refit_likeness
from creative.engines.captioning.results import Captions, Description, Guess, Sentence
from creative.engines.captioning.training import train_caption

__all__ = [
    "Captions",
    "Description",
    "Guess",
    "Sentence",
    "caption",
    "evaluate_caption",
    "refit_likeness",
    "train_caption",
]
