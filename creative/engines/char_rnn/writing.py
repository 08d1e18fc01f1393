"""Writing in a voice: from a prompt on, character by character.

Graves (2013), Generating Sequences With Recurrent Neural Networks, arXiv:1308.0850; Karpathy (2015), The Unreasonable
Effectiveness of Recurrent Neural Networks; top-p: Holtzman et al. (2020), The Curious Case of Neural Text Degeneration,
arXiv:1904.09751.

    written = run(write("ROMEO:\n", WriteSettings(length=400, temperature=0.7), voice="shakespeare"))
    print(written.text)
    written.variants[0].copied.longest             # what stands in the training text to the letter
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from creative.device import choose_device, random_generator
from creative.engines.char_rnn.copying import Copied, Search, read_fingerprints
from creative.engines.char_rnn.reading import before_everything, read_as, text_parts
from creative.engines.char_rnn.voices import Voice, load_voice
from creative.models.char_rnn import Sampler, SamplerState, draw
from creative.options.writing import WriteSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run

__all__ = ["Variant", "WritingError", "Written", "write"]

STRIDE = 8
"""Characters between two Steps."""
_CHUNK = 4096  # characters of a prompt that are read at a time
_MOST = 4_000_000  # characters of all variants together


class WritingError(ValueError):
    """What cannot be written. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One text.

    Attributes:
        prompt, continuation: how it was given, and what was written.
        copied: of the continuation; None for a voice that brings no fingerprints where no training text was given.
        stopped: whether it ended with the words to stop at.
    """

    prompt: str
    continuation: str
    copied: Copied | None
    stopped: bool = False

    @property
    def text(self) -> str:
        """All of it."""
        return self.prompt + self.continuation


@dataclass(frozen=True)
class Written:
    """What was written: one text, or several with numbers between them."""

    variants: tuple[Variant, ...]
    settings: WriteSettings
    voice: str
    sha256: str
    device: str

    @cached_property
    def text(self) -> str:
        """The texts as one."""
        if len(self.variants) == 1:
            return self.variants[0].text
        return "\n\n".join(f"[{number}]\n{one.text}" for number, one in enumerate(self.variants, 1))

    def __str__(self) -> str:
        return self.text

    @cached_property
    def provenance(self) -> Provenance:
        """How it was made."""
        told = [one.copied for one in self.variants if one.copied is not None]
        copied = {
            "share": round(max((one.share for one in told), default=0), 4),
            "longest": max((len(one.longest) for one in told if one.longest), default=0),
        }
        return describe_run(
            "write",
            self.settings,
            weights={self.voice: self.sha256},
            device=self.device,
            result={"copied": copied} if told else {},
        )


def write(
    prompt: str = "",
    settings: WriteSettings = WriteSettings(),  # noqa: B008 (frozen)
    *,
    voice: str | Path | Voice = "shakespeare",
    training_text: str | Path | None = None,
    device: str | None = None,
) -> Generator[Step, None, Written]:
    """Go on from a prompt in a voice; a Step for every few characters, whose preview is what there is so far.

    Args:
        prompt: how the text begins; it is read as if a paragraph had just ended before it, as in ``score_text``.
        settings: length, temperature, seed, and so on.
        voice: a bundled voice's name, a voice's file, or one that was loaded.
        training_text: a file with what the voice has learned, so that copies are found to the letter.
        device: where to compute.

    Returns:
        The engine; same prompt, settings and voice: same text.

    Raises:
        ValueError: at the call: no such voice, a prompt with characters that it has never seen where those are to be
            refused, more than can be written at once, a training text that is none.
    """
    place = choose_device(device or "auto")
    speaker = voice if isinstance(voice, Voice) else load_voice(voice, device=place)
    if settings.length * settings.variants > _MOST:
        raise WritingError(
            f"{settings.variants} texts of {settings.length:,} characters are more than the {_MOST:,} in all that are "
            "written at once; ask for fewer or shorter ones."
        )
    ids, message = read_as(prompt, speaker.vocabulary, settings.unseen)
    if training_text is not None:
        next(text_parts(training_text), None)
    return _writing(_Job(prompt, settings, speaker, place, ids, training_text), message)


@dataclass
class _Job:
    prompt: str
    settings: WriteSettings
    voice: Voice
    device: torch.device
    ids: Tensor
    training_text: str | Path | None

    def __post_init__(self) -> None:
        settings = self.settings
        self.out = torch.zeros(settings.variants, settings.length, dtype=torch.int64, device=self.device)
        self.done = 0
        self.ends: list[int | None] = [None] * settings.variants  # where the words to stop at begin
        stop = settings.stop_text()
        can_stop = stop and not self.voice.vocabulary.unseen(stop)
        self.stop = self.voice.vocabulary.encode(stop).to(self.device) if can_stop else None
        self.memory = None if self.voice.copied is None else read_fingerprints(self.voice.copied)

    def grow(
        self, count: int, sampler: Sampler, state: SamplerState, logits: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Write ``count`` characters more; the logits after them."""
        settings = self.settings
        with torch.inference_mode():
            for _ in range(count):
                ids = draw(
                    logits, settings.temperature, top_k=settings.top_k, top_p=settings.top_p, generator=generator
                )
                self.out[:, self.done] = ids
                logits = sampler.step(ids, state)
                self.done += 1
        if self.stop is not None:
            self._find_ends(self.stop, self.done - count)
        return logits

    def _find_ends(self, stop: Tensor, before: int) -> None:
        begin = max(0, before - len(stop) + 1)
        window = self.out[:, begin : self.done]
        if window.shape[1] < len(stop):
            return
        found = (window.unfold(1, len(stop), 1) == stop).all(-1)
        for row in found.any(-1).nonzero().flatten().tolist():
            if self.ends[row] is None:
                self.ends[row] = begin + int(found[row].nonzero()[0])

    @property
    def finished(self) -> bool:
        """Whether nothing is left to write."""
        return self.done == self.settings.length or None not in self.ends

    def written(self, copies: list[Copied | None] | None = None) -> Written:
        """What there is so far."""
        texts = self.continuations()
        copies = copies or [self.memory.find(text) if self.memory else None for text in texts]
        variants = tuple(
            Variant(self.prompt, text, copied, end is not None)
            for text, copied, end in zip(texts, copies, self.ends, strict=True)
        )
        return Written(variants, self.settings, self.voice.name, self.voice.sha256, str(self.device))

    def continuations(self) -> list[str]:
        rows = self.out[:, : self.done].tolist()
        return [self.voice.vocabulary.decode(row[:end]) for row, end in zip(rows, self.ends, strict=True)]


def _writing(job: _Job, message: str | None) -> Generator[Step, None, Written]:
    settings = job.settings
    yield Step(0, settings.length, message=message)
    if settings.stop and job.stop is None:
        yield Step(
            0, settings.length, message="The voice cannot write the words to stop at: it never saw some of them."
        )
    generator = random_generator(settings.seed, job.device)
    model = job.voice.model
    state = None
    begin = torch.cat([before_everything(job.voice.vocabulary), job.ids])
    for chunk in begin.to(job.device).split(_CHUNK):
        with torch.inference_mode():
            logits, state = model(chunk[None], state)
        yield Step(0, settings.length)
    assert state is not None
    sampler = Sampler(model, settings.precision)
    batch = settings.variants
    moving = sampler.start(batch, tuple(part.expand(-1, batch, -1) for part in state))
    logits = logits[:, -1].expand(batch, -1)
    while not job.finished:
        logits = job.grow(min(STRIDE, settings.length - job.done), sampler, moving, logits, generator)
        yield Step(job.done, settings.length, preview=partial(_Job.written, job))
    copies = None
    if job.training_text is not None:
        copies = yield from _exact(job, job.training_text)
    written = job.written(copies)
    yield Step(job.done, job.done, metrics=figures(written), preview=lambda: written)
    return written


def _exact(job: _Job, training_text: str | Path) -> Generator[Step, None, list[Copied | None]]:
    """Look the texts up in what the voice has learned."""
    searches = [Search(text) for text in job.continuations()]
    for part in text_parts(training_text):
        for search in searches:
            search.add(part)
            yield Step(job.done, job.settings.length)
    return [search.result() for search in searches]


def figures(written: Written) -> dict[str, float]:
    """What is worth telling in numbers: the share copied, and the longest passage in characters."""
    told = [one.copied for one in written.variants if one.copied is not None]
    if not told:
        return {}
    longest = max((len(one.longest) for one in told if one.longest), default=0)
    return {"copied": max(one.share for one in told), "longest copied": float(longest)}
