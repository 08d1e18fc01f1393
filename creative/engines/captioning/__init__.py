"""Captioning: a network looks at a picture and writes a sentence about it, word by word."""

from creative.engines.captioning.results import Captions, Description, Guess, Sentence

__all__ = ["Captions", "Description", "Guess", "Sentence"]
