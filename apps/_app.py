"""What an app is: a declaration that the command line and the page are both made from, and the one way to perform it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from creative.progress import Step
from creative.settings import Inputs, Settings

OutputKind = Literal["image", "text", "model", "folder"]


@dataclass(frozen=True, slots=True)
class Action:
    """One verb: what it is given, how it can be tuned, and the engine that does it.

    Attributes:
        verb: the word after ``creative`` on the command line; also the page's ``api_name``.
        title: what the button says, two words at most.
        summary: one sentence: the help text and the page's subtitle.
        inputs, settings: what it takes; every flag and every widget comes from these two.
        start: makes the engine from loaded inputs. It imports the engine inside, so that help costs no torch.
        output: what the result is.
        batch: the input field whose many files are separate jobs (a folder stands for its pictures), or None.
        examples: rows of inputs that a page offers to click.
        page: whether the action has a form on its app's page (training on a server may not).
    """

    verb: str
    title: str
    summary: str
    inputs: type[Inputs]
    settings: type[Settings]
    start: Callable[[Any, Any, str], Generator[Step, None, Any]]
    output: OutputKind = "image"
    batch: str | None = None
    examples: tuple[Mapping[str, Any], ...] = ()
    page: bool = True


@dataclass(frozen=True, slots=True)
class App:
    """One application: a page of the studio, verbs of the command line."""

    name: str
    title: str
    summary: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A finished job: where the result is and what it took."""

    path: Path
    settings: Settings
    seconds: float
    peak_memory_mb: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    complete: bool = True
    """False where the job was stopped and the last preview was kept."""


def perform(
    action: Action, inputs: Inputs, settings: Settings, *, device: str = "auto", out: Path
) -> Generator[Step, None, Saved]:
    """Run one job and save its result; itself a generator of Steps.

    Checks what can be checked (inputs, output folder) at the call, before the first Step.
    """
    raise NotImplementedError
