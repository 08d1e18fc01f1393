"""Voices: a trained char-RNN with its vocabulary, as one file; bundled, of one's own, or just being trained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from creative.blocks.rnn import RecurrentError
from creative.checkpoint import in_float32, load_checkpoint, load_into, packed_as
from creative.data.vocabulary import Vocabulary, VocabularyError
from creative.device import choose_device
from creative.files import shown
from creative.models.char_rnn import CharRNN, CharRNNConfig
from creative.trained import find_voice

SavedAs = Literal["float32", "float16", "int8"]

_COPIED = "copied"


class VoiceError(ValueError):
    """A file is no voice. The message is one sentence for a person."""


@dataclass(frozen=True)
class Voice:
    """A network that writes, and what its numbers mean.

    Attributes:
        name: of the bundled voice, or of the file.
        model: in eval mode, float32, whatever the file has.
        vocabulary: of the characters or bytes that go in and out.
        config: all that the file says of it: ``model``, ``vocabulary``, ``text`` and more.
        sha256: of the file.
        copied: fingerprints of the text it was trained on, uint8, if it has any; see ``copying``.
        settings: of its training.
    """

    name: str
    model: CharRNN
    vocabulary: Vocabulary
    config: Mapping[str, Any]
    sha256: str
    copied: Tensor | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def load_voice(voice: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Voice:
    """A bundled voice by name, a voice's file, or the folder it was trained in.

    Raises:
        WeightsError: there is no voice of that name, nor a file.
        VoiceError, CheckpointError: the file is something else, or damaged.

    Example:
        >>> voice = load_voice("shakespeare")
        >>> logits, state = voice.model(voice.vocabulary.encode("ROMEO:")[None])
    """
    path = find_voice(voice)
    checkpoint = load_checkpoint(path)
    config, chosen = checkpoint.metadata.get("config", {}), choose_device(device)
    try:
        vocabulary = Vocabulary.from_json(config["vocabulary"])
        shape = CharRNNConfig.from_json(config["model"])
    except (KeyError, TypeError, VocabularyError, RecurrentError):
        raise VoiceError(f"{shown(path)} is not a voice: `creative train char-rnn TEXT` makes one.") from None
    if shape.vocabulary_size != len(vocabulary):
        raise VoiceError(
            f"{shown(path)} is damaged: a network for {shape.vocabulary_size} characters, but a vocabulary of "
            f"{len(vocabulary)}."
        )
    tensors = dict(checkpoint.tensors)
    copied = tensors.pop(_COPIED, None)
    with torch.device("meta"):
        model = CharRNN(shape)
    model.to_empty(device="cpu")
    load_into(model, in_float32(tensors))
    name = os.fspath(voice) if os.fspath(voice) == path.stem else path.name
    settings = checkpoint.metadata.get("settings", {})
    ready = model.eval().requires_grad_(False).to(chosen)
    return Voice(name, ready, vocabulary, config, checkpoint.sha256, copied, settings)


def packed_tensors(model: CharRNN, saved_as: SavedAs, copied: Tensor | None = None) -> dict[str, Tensor]:
    """What a voice's file holds.

    Args:
        model: the network.
        saved_as: precision.
        copied: fingerprints of its training text.

    Raises:
        CheckpointError: values that this precision cannot hold.
    """
    tensors = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    stored = packed_as(saved_as, tensors)
    return stored if copied is None else {**stored, _COPIED: copied}
