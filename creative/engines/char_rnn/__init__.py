"""The char-RNN: learning a text character by character, writing on in its voice, scoring, looking inside.

``training`` makes voices, ``voices`` reads and stores them, ``evaluation`` says how well they predict a text;
``writing``, ``scoring`` and ``neurons`` work with them, and ``copying`` tells what a voice has by heart.
"""

from creative.engines.char_rnn.evaluation import Evaluation, evaluate_voice
from creative.engines.char_rnn.neurons import look_at_neurons
from creative.engines.char_rnn.scoring import score_text
from creative.engines.char_rnn.training import train_char_rnn
from creative.engines.char_rnn.voices import Voice, VoiceError, load_voice
from creative.engines.char_rnn.writing import write

__all__ = [
    "Evaluation",
    "Voice",
    "VoiceError",
    "evaluate_voice",
    "load_voice",
    "look_at_neurons",
    "score_text",
    "train_char_rnn",
    "write",
]
