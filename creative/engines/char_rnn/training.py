"""Training a voice: truncated back-propagation through time over a text that is read on from step to step.

Many places of the text are read side by side; each step goes on in each of them where the one before has ended, with
the hidden state carried over (Williams & Peng, 1990, An Efficient Gradient-Based Algorithm for On-Line Training of
Recurrent Network Trajectories). Dropout between layers: Zaremba et al. (2014), arXiv:1409.2329; weight drop: Merity et
al. (2017), Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182.

    path = run(train_char_rnn([Path("poems")], CharRNNSettings(steps=3000), Path("out/poet")))
    load_voice(path)
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from creative.blocks.rnn import State
from creative.checkpoint import read_metadata
from creative.data.draws import Draw, mixed_seed
from creative.data.text import PackedText, Streams, find_texts, pack_text, read_codes
from creative.data.vocabulary import Vocabulary, VocabularyError, named
from creative.device import random_generator
from creative.engines.char_rnn.copying import fingerprints
from creative.engines.char_rnn.evaluation import measure_streams, split
from creative.engines.char_rnn.voices import Voice, load_voice, packed_tensors
from creative.engines.training import Networks, Task, TrainingError, Update, check_run, train
from creative.files import shown
from creative.models.char_rnn import CharRNN, CharRNNConfig, Sampler, draw
from creative.options.char_rnn import CharRNNSettings
from creative.progress import Step

MEASURED = 120_000
"""Characters of what is held out, at most, that the evaluations during training look at."""
FINGERPRINTED = 10_000_000
"""Characters of the text that its fingerprints cover, at most."""


def train_char_rnn(
    text: Sequence[Path],
    settings: CharRNNSettings | None = None,
    folder: Path = Path("out/train-char-rnn"),
    *,
    start_from: str | Path | None = None,
    device: str = "auto",
    resume: bool = True,
) -> Generator[Step, None, Path]:
    """Train a character-level recurrent network on texts; returns the file of the finished voice.

    Without dropout, several processes give what one does; each has masks of its own.

    Args:
        text: files, and folders of files, in which what is no text is skipped. The last tenth of all is held out.
        settings: of the network and its training.
        folder: for checkpoints, metrics.csv and the text as numbers; a run that was stopped goes on from there.
        start_from: a voice to go on from, by name or file: its weights, its size and its vocabulary, to which the
            text's new characters are added.
        device: where to train.
        resume: go on where an earlier run in ``folder`` stopped.

    Raises:
        TextError: at once, if a file is missing or empty, or begins as something that is binary or in another
            encoding; once it is read, if it goes on so.
        WeightsError, VoiceError: at once, if there is no such voice.
        TrainingError: a text that nothing can be learned from, or another one than the run in ``folder`` began with.
    """
    settings, folder = settings or CharRNNSettings(), Path(folder)
    start = load_voice(start_from) if start_from else None
    if start is not None and settings.units != start.vocabulary.units:
        raise TrainingError(
            f"The voice {start.name} reads {start.vocabulary.units}, not {settings.units}: set units to "
            f"{start.vocabulary.units}, or start without it."
        )
    if start is None:
        _shape(1, settings)  # errors at once
    check_run(settings, folder, resume=resume)
    for file in find_texts([Path(path) for path in text]):
        if file.named:  # what is no text mostly shows at its beginning
            next(read_codes(file.path, units=settings.units, encoding=settings.encoding), None)
    packing = pack_text(
        [Path(path) for path in text],
        folder / "text",
        units=settings.units,
        encoding=settings.encoding,
        vocabulary=start.vocabulary if start else None,
    )
    return _train(packing, settings, folder, start, device, resume)


def _train(
    packing: Generator[Step, None, PackedText],
    settings: CharRNNSettings,
    folder: Path,
    start: Voice | None,
    device: str,
    resume: bool,
) -> Generator[Step, None, Path]:
    packed = yield from packing
    task = Writing(packed, settings, start)
    last = folder / "last.safetensors"
    if resume and last.exists():
        _check_same(read_metadata(last).get("config", {}), task, last)
    return (yield from train(task, settings, folder, device=device, resume=resume))


def _check_same(before: Mapping[str, Any], task: Writing, last: Path) -> None:
    """Tell in a sentence what a comparison of whole vocabularies would fill pages with."""
    otherwise = "give the text it was, choose another folder, or start again without resuming"
    try:
        was = Vocabulary.from_json(before.get("vocabulary", {}))
    except VocabularyError:
        return
    now = task.packed.vocabulary
    if was.units != now.units:
        return  # which is one of the settings
    if was != now:
        new, gone = (named(a.unseen(b.characters or "")) for a, b in ((was, now), (now, was)))
        parts = [f"new is {new}"] * bool(new) + [f"missing is {gone}"] * bool(gone) or ["they are numbered otherwise"]
        raise TrainingError(
            f"{shown(last)} was trained with a vocabulary of {len(was)}, and this text has one of {len(now)} "
            f"({'; '.join(parts)}): {otherwise}."
        )
    if before.get("text") != task.config()["text"]:
        raise TrainingError(f"{shown(last)} was trained on another text: {otherwise}.")


class Writing(Task):
    """What is trained: the next character, given those before.

    Args:
        packed: the text.
        settings: of the network and its training.
        start: a voice to go on from.
    """

    best_metric = "bits_per_character"

    def __init__(self, packed: PackedText, settings: CharRNNSettings, start: Voice | None = None) -> None:
        self.packed, self.settings, self.start = packed, settings, start
        self.training, self.held_out = split(len(packed))
        needed = settings.sequence_length + 1
        if len(self.training) < needed or len(self.held_out) < 2:
            raise TrainingError(
                f"The text has {len(packed):,} {packed.vocabulary.units}, of which {len(self.training):,} are to learn "
                f"from, but a sequence needs {needed:,}: give it more text, or set a shorter sequence_length."
            )
        if _is_one(packed):
            raise TrainingError(
                f"The text is {named(packed.text(0, 1))} and nothing else, {len(packed):,} times: "
                "there is nothing to learn from it."
            )
        size = len(packed.vocabulary)
        self.shape = _shape(size, settings)
        if start is not None:
            self.shape = replace(start.model.config, vocabulary_size=size, dropout=settings.dropout)
        self.states: dict[int, State] = {}

    def networks(self) -> Networks:
        """The network, new or grown from the voice it starts from."""
        self.network = CharRNN(self.shape)
        if self.start is not None:
            take_over(self.network, self.start.model)
        return {"network": self.network}

    def dataset(self) -> Streams:
        """Sequences from any place of the text."""
        return Streams(self.packed, self.training, self.settings.sequence_length, self.settings.forget)

    def draws(self, step: int, settings: Any) -> list[Draw]:
        """Places that are evenly spread over the text at first, and all move on by a sequence each step."""
        size, rows = len(self.training), settings.batch_size
        begun = step * settings.sequence_length
        return [
            Draw((row * size // rows + begun) % size, mixed_seed(settings.seed, "row", step, row))
            for row in range(rows)
        ]

    def step(self, batch: Mapping[str, Tensor], update: Update) -> dict[str, Tensor]:
        """Predict every character of the sequences; the state goes on, the gradient does not."""
        ids = batch["ids"]
        state = self.states.get(update.part)
        if state is None:
            state = self.network.initial_state(len(ids))
        keep = batch["keep"][None, :, None]
        state = tuple(part * keep.to(part.dtype) for part in state)
        logits, state = functional_call(self.network, self._dropped(update.step), (ids[:, :-1], state))
        self.states[update.part] = tuple(part.detach() for part in state)
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        update(loss)
        return {"loss": loss}

    def _dropped(self, step: int) -> dict[str, Tensor]:
        """The recurrent weights, some of them zero for this step: the same ones in all parts and processes."""
        rate = self.settings.weight_drop
        if not rate:
            return {}
        generator = random_generator(mixed_seed(self.settings.seed, "weight drop", step), self.device)
        weights = {name: p for name, p in self.network.named_parameters() if name.endswith("weight_hh")}
        return {
            name: weight * (torch.rand(weight.shape, generator=generator, device=self.device) >= rate) / (1 - rate)
            for name, weight in weights.items()
        }

    def evaluate(self, networks: Networks) -> dict[str, float]:
        """Bits and nats per character and perplexity on what is held out, or on the beginning of it, if it is long."""
        ids = self.packed.ids(self.held_out.start, min(self.held_out.stop, self.held_out.start + MEASURED))
        surprise = measure_streams(_char_rnn(networks), ids.to(self.device))
        return surprise.metrics()

    def sample(self, networks: Networks) -> str:
        """What it writes now."""
        network, generator = (
            _char_rnn(networks),
            random_generator(mixed_seed(self.settings.seed, "sample"), self.device),
        )
        sampler = Sampler(network, "float32")
        state, ids = sampler.start(1), torch.tensor([int(self.packed[0:1][0])], device=self.device)
        written = []
        for _ in range(400):
            ids = draw(sampler.step(ids, state), 0.8, generator=generator)
            written.append(ids)
        return self.packed.vocabulary.decode(torch.cat(written).cpu())

    def extra_state(self) -> dict[str, Any]:
        """The hidden state of each place in the text."""
        return {"states": {part: list(state) for part, state in self.states.items()}}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self.states = {
            part: tuple(tensor.to(self.device) for tensor in tensors) for part, tensors in state["states"].items()
        }

    def export(self, networks: Networks) -> dict[str, Tensor]:
        """The network in the precision of the file, and fingerprints of what it has learned from."""
        return packed_tensors(_char_rnn(networks), self.settings.saved_as, self._fingerprints())

    def _fingerprints(self) -> Tensor:
        if not hasattr(self, "_copied"):
            self._copied = fingerprints(self.packed.text(0, min(len(self.training), FINGERPRINTED)))
        return self._copied

    def config(self) -> dict[str, Any]:
        """The network's shape, its vocabulary, and what the text was."""
        packed = self.packed
        text = {"sha256": packed.sha256, "length": len(packed), "held_out": len(self.held_out)}
        about = {"model": self.shape.to_json(), "vocabulary": packed.vocabulary.to_json(), "text": text}
        return about | ({"start_from": self.start.sha256} if self.start else {})


def _char_rnn(networks: Networks) -> CharRNN:
    network = networks["network"]
    assert isinstance(network, CharRNN)
    return network


def _shape(size: int, settings: CharRNNSettings) -> CharRNNConfig:
    return CharRNNConfig(
        vocabulary_size=size,
        hidden_size=settings.hidden_size,
        num_layers=settings.num_layers,
        kind=settings.kind,
        embedding_size=settings.embedding_size,
        layer_norm=settings.layer_norm,
        dropout=settings.dropout,
        residual=settings.residual,
    )


def _is_one(packed: PackedText) -> bool:
    first, stride = packed[0:1][0], 1 << 22
    return all(bool((packed[at : at + stride] == first).all()) for at in range(0, len(packed), stride))


@torch.no_grad()
def take_over(network: CharRNN, older: CharRNN) -> None:
    """Give a network the weights of another one whose vocabulary is the beginning of its own.

    New characters begin as the mean of the others, and as unlikely as the most unlikely of them.
    """
    known = older.config.vocabulary_size
    theirs = older.state_dict()
    for name, tensor in network.state_dict().items():
        old = theirs[name].to(tensor)
        if old.shape == tensor.shape:
            tensor.copy_(old)
        elif name == "classifier.bias":
            tensor.copy_(torch.cat([old, old.min().expand(len(tensor) - known)]))
        else:
            axis = next(axis for axis in range(2) if old.shape[axis] != tensor.shape[axis])
            new = old.mean(axis, keepdim=True)
            tensor.copy_(torch.cat([old, new.expand_as(tensor.narrow(axis, known, tensor.shape[axis] - known))], axis))
