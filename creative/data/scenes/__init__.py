"""Generated pictures with sentences that are true of them, and a checker that says of any sentence whether it is.

scene = draw_scene(7)
scene.picture(96).save("scene.png")
scene.sentences(2)                          # ["a red circle above a blue star", "there is a red circle ..."]
scene.is_true("a blue star below a circle")     # True

Read ``things`` (shapes, and what is left of what), ``grammar`` (the sentences), ``drawing`` (the pictures) and
``sampling`` (what is drawn, and what is held out).
"""

from creative.data.scenes.drawing import BACKGROUNDS
from creative.data.scenes.grammar import Item, Noun, Sentence, SentenceError, read_sentence, vocabulary_of_grammar
from creative.data.scenes.sampling import HELD_OUT_PAIRS, KINDS, PARTS, Scene, draw_scene, split_of
from creative.data.scenes.things import COLOURS, PLACES, RELATIONS, SHAPES, SIZES, Thing

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "HELD_OUT_PAIRS",
    "KINDS",
    "PARTS",
    "PLACES",
    "RELATIONS",
    "SHAPES",
    "SIZES",
    "Item",
    "Noun",
    "Scene",
    "Sentence",
    "SentenceError",
    "Thing",
    "draw_scene",
    "read_sentence",
    "split_of",
    "vocabulary_of_grammar",
]
