"""How many of a voice's tunes are tunes to a program that plays abc notation: abc2midi, of Debian's package abcmidi.

measured = run(evaluate_tunes(EvaluateTunesSettings(count=100), voice="folk-tunes"))
measured.accepted, measured.in_measure             # shares of the tunes
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from creative.engines.char_rnn.abc_notation import parse_tune
from creative.engines.char_rnn.reading import text_parts
from creative.engines.char_rnn.voices import Voice, load_voice
from creative.engines.char_rnn.writing import write
from creative.options.writing import EvaluateTunesSettings, WriteSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run

__all__ = ["TuneEvaluation", "TuneEvaluationError", "Verdict", "evaluate_tunes", "judge"]

_PATIENCE = 20  # seconds for one tune


class TuneEvaluationError(ValueError):
    """Nothing can be measured. The message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What abc2midi says of a tune, and how many of its bars are too long, or too short without reason.

    Attributes:
        notes: whether there is any to be played.
        errors: what it cannot read.
        warnings: what it reads but finds odd.
        bars: of a wrong length, by our own reader: abc2midi takes a change of measure within a repeat for one.
    """

    notes: bool
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    bars: int

    @property
    def accepted(self) -> bool:
        """A tune with notes and without any error."""
        return self.notes and not self.errors


@dataclass(frozen=True)
class TuneEvaluation:
    """Shares of tunes, from 0 to 1: the voice's and, to compare, a collection's.

    Attributes:
        voice: whose.
        verdicts, collection: one for each tune.
        settings: what was asked.
        sha256: of the voice.
    """

    voice: str
    sha256: str
    verdicts: tuple[Verdict, ...]
    collection: tuple[Verdict, ...]
    settings: EvaluateTunesSettings

    def figures(self) -> dict[str, float]:
        """By name."""
        shares = {
            "accepted": share(one.accepted for one in self.verdicts),
            "accepted, bars right": share(one.accepted and not one.bars for one in self.verdicts),
            "no warning": share(one.accepted and not one.bars and not one.warnings for one in self.verdicts),
        }
        if self.collection:
            shares |= {
                "collection: accepted": share(one.accepted for one in self.collection),
                "collection: accepted, bars right": share(one.accepted and not one.bars for one in self.collection),
                "collection: no warning": share(
                    one.accepted and not one.bars and not one.warnings for one in self.collection
                ),
            }
        return shares

    @cached_property
    def text(self) -> str:
        """The report."""
        lines = [f"{self.voice}: {len(self.verdicts)} tunes, read by abc2midi."]
        lines += [f"  {name:<34} {value:.1%}" for name, value in self.figures().items()]
        common = Counter(re.sub(r"\d+", "N", one) for verdict in self.verdicts for one in verdict.errors)
        if common:
            lines += ["", "Errors, how often:"]
            lines += [f"  {count:4}  {name}" for name, count in common.most_common(8)]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text

    @cached_property
    def provenance(self) -> Provenance:
        """How it was made."""
        shares = {name: round(value, 4) for name, value in self.figures().items()}
        return describe_run("evaluate tunes", self.settings, weights={self.voice: self.sha256}, result=shares)


def share(kept: Iterable[bool]) -> float:
    """Of all."""
    every = list(kept)
    return sum(every) / len(every) if every else 0.0


def evaluate_tunes(
    settings: EvaluateTunesSettings = EvaluateTunesSettings(),  # noqa: B008 (frozen)
    *,
    voice: str | Path | Voice = "folk-tunes",
    collection: str | Path | None = None,
    device: str | None = None,
) -> Generator[Step, None, TuneEvaluation]:
    """Have a voice write tunes, none picked, each from ``X:`` up to the first empty line, and abc2midi read them.

    A tune counts as accepted where abc2midi reports no error and finds notes to play. Bars of a wrong length and other
    warnings are counted by themselves: a real collection has them too.

    Args:
        settings: how many tunes, and how they are written.
        voice: a bundled voice's name, a voice's file, or one that was loaded.
        collection: a file of tunes that are measured in the same way, as many of them, evenly spread.
        device: where to compute.

    Raises:
        ValueError: at the call: no such voice, or abc2midi is not installed.
    """
    if shutil.which("abc2midi") is None:
        raise TuneEvaluationError("abc2midi, which tunes are measured with, was not found: apt install abcmidi.")
    speaker = voice if isinstance(voice, Voice) else load_voice(voice)
    asked = WriteSettings(
        length=settings.length,
        temperature=settings.temperature,
        top_p=settings.top_p,
        variants=min(settings.count, 64),
        stop="\\n\\n",
        seed=settings.seed,
    )
    return _evaluating(speaker, settings, asked, collection, device)


def _evaluating(
    voice: Voice,
    settings: EvaluateTunesSettings,
    asked: WriteSettings,
    collection: str | Path | None,
    device: str | None,
) -> Generator[Step, None, TuneEvaluation]:
    yield Step(0, settings.count)
    tunes: list[str] = []
    while len(tunes) < settings.count:
        writing = write("X:", asked.changed(seed=settings.seed + len(tunes)), voice=voice, device=device)
        while True:
            try:
                step = next(writing)
            except StopIteration as stop:
                tunes += [one.text for one in stop.value.variants]
                break
            yield Step(len(tunes), settings.count, message=step.message)
    verdicts = []
    for tune in tunes[: settings.count]:
        verdicts.append(judge(tune))
        yield Step(len(verdicts), settings.count)
    others = []
    for tune in _spread(collection, settings.count) if collection is not None else ():
        others.append(judge(tune))
        yield Step(settings.count, settings.count)
    measured = TuneEvaluation(voice.name, voice.sha256, tuple(verdicts), tuple(others), settings)
    yield Step(settings.count, settings.count, metrics=measured.figures(), preview=lambda: measured)
    return measured


def _spread(collection: str | Path, count: int) -> Sequence[str]:
    text = "".join(text_parts(collection))
    tunes = [part.split("\n\n")[0] for part in re.split(r"^(?=X:)", text, flags=re.M) if part.startswith("X:")]
    return tunes[:: max(1, len(tunes) // count)][:count]


def judge(abc: str) -> Verdict:
    """What abc2midi says of one tune."""
    with tempfile.TemporaryDirectory(prefix="creative-") as folder:
        file = Path(folder) / "tune.abc"
        file.write_text(abc.rstrip() + "\n", encoding="utf-8")
        try:
            ran = subprocess.run(
                ["abc2midi", str(file), "-o", str(file.with_suffix(".mid"))],
                capture_output=True, timeout=_PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Verdict(False, ("it does not come to an end",), (), 0)
        said = (ran.stdout + ran.stderr).decode("utf-8", "replace").splitlines()
        midi = file.with_suffix(".mid").is_file()
    errors = [line.split(":", 1)[-1].strip() for line in said if line.startswith("Error")]
    warnings = [line.split(":", 1)[-1].strip() for line in said if line.startswith("Warning")]
    others = tuple(one for one in warnings if "time units while the time signature" not in one)
    tune = parse_tune(abc)
    if ran.returncode:
        errors.append(f"abc2midi ended with status {ran.returncode}")
    return Verdict(midi and tune is not None, tuple(errors), others, len(tune.wrong_bars()) if tune else 0)
