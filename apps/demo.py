"""The demo: one job of each app, offline, on the weights that come with the suite.

A new app adds a row to JOBS.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps import _results as results
from apps import captioning, char_rnn, compare, cyclegan, deep_dream, diffusion, learning_to_execute, style_transfer
from apps._app import Action, App, perform
from apps._samples import sample_photo, sample_titles
from apps._terminal import Screen, Stopped, facts, follow
from creative.options.caption import CaptionInputs, CaptionSettings
from creative.options.compare import CompareInputs, CompareSettings
from creative.options.deep_dream import DreamInputs, DreamSettings
from creative.options.diffusion import DiffuseInputs, DiffuseSettings
from creative.options.execute import ExecuteInputs, ExecuteSettings
from creative.options.style_transfer import StylizeInputs, StylizeSettings
from creative.options.translate import TranslateInputs, TranslateSettings
from creative.options.writing import WriteInputs, WriteSettings
from creative.settings import Inputs, Settings, describe

SIDE = 512
SCENE = 5
FAVOURITES = ("starry-night", "great-wave", "the-great-wave", "wave", "the-scream", "scream")


@dataclass(frozen=True)
class Job:
    """One row of the demo."""

    title: str
    app: App
    verb: str
    inputs: Callable[[Path], Inputs]
    """Makes what the job needs in a folder, and names it."""
    settings: Settings
    next: Sequence[str]
    """Commands to try after it; result and style stand for what was made."""

    @property
    def action(self) -> Action:
        """The app's action of that verb."""
        return next(action for action in self.app.actions if action.verb == self.verb)


def _photo(folder: Path) -> Path:
    title = sample_titles()[0]
    return sample_photo(title, folder / f"demo-{title.lower()}.png")


def _photo_and_preset(folder: Path) -> Inputs:
    return StylizeInputs(photo=(_photo(folder),), style=favourite_preset())


def _photo_to_dream_into(folder: Path) -> Inputs:
    return DreamInputs(photo=(_photo(folder),))


def _photo_to_translate(folder: Path) -> Inputs:
    return TranslateInputs(photo=(sample_photo("Lake", folder / "demo-lake.png"),))


def _photo_to_compare(folder: Path) -> Inputs:
    return CompareInputs(photo=_photo(folder), style=favourite_preset())


def _scene(folder: Path) -> Inputs:
    from apps._caption_scenes import save_scene

    return CaptionInputs(pictures=(save_scene(SCENE, folder),), model="scenes")


JOBS = (
    Job(
        title="A photo, painted like a painting",
        app=style_transfer.APP,
        verb="style",
        inputs=_photo_and_preset,
        settings=StylizeSettings(size=SIDE),
        next=(
            "creative style YOUR_PHOTO.jpg {style} --size 768",
            "creative weights                     (which styles there are)",
            "creative replay {result}",
        ),
    ),
    Job(
        title="What the network sees in it, amplified",
        app=deep_dream.APP,
        verb="dream",
        inputs=_photo_to_dream_into,
        settings=DreamSettings(size=SIDE),
        next=("creative dream YOUR_PHOTO.jpg --look swirls",),
    ),
    Job(
        title="A lake as Monet might have painted it",
        app=cyclegan.APP,
        verb="translate",
        inputs=_photo_to_translate,
        settings=TranslateSettings(size=SIDE),
        next=("creative translate YOUR_PHOTO.jpg --strength 0.6",),
    ),
    Job(
        title="What is in a picture, in a sentence",
        app=captioning.APP,
        verb="caption",
        inputs=_scene,
        settings=CaptionSettings(),
        next=("creative caption A_PHOTO_FROM_ABOVE.jpg -o caption.html",),
    ),
    Job(
        title="A scene in Shakespeare's voice",
        app=char_rnn.APP,
        verb="write",
        inputs=lambda folder: WriteInputs(prompt="ROMEO:"),
        settings=WriteSettings(length=300),
        next=("creative write --voice folk-tunes",),
    ),
    Job(
        title="A sum, added by a network that has learned how",
        app=learning_to_execute.APP,
        verb="execute",
        inputs=lambda folder: ExecuteInputs(text="print((271828182+314159265))"),
        settings=ExecuteSettings(),
        next=("creative execute --count 10",),
    ),
    Job(
        title="Nine small paintings out of noise",
        app=diffusion.APP,
        verb="diffuse",
        inputs=lambda folder: DiffuseInputs(),
        settings=DiffuseSettings(num=9),
        next=("creative diffuse YOUR_PHOTO.jpg --strength 0.4",),
    ),
    Job(
        title="One photo, painted at once and translated, side by side",
        app=compare.APP,
        verb="compare",
        inputs=_photo_to_compare,
        settings=CompareSettings(ways=("instant", "cyclegan")),
        next=(
            "creative compare YOUR_PHOTO.jpg {style}",
            "creative studio                      (all of it in the browser)",
        ),
    ),
)


def favourite_preset() -> str:
    """The name of a preset that suits most photos.

    Raises:
        ValueError: there is no preset at all.
    """
    from creative.weights import list_presets

    names = list_presets()
    if not names:
        raise ValueError("There are no style presets: this copy of the suite is not complete; install it again.")
    return next((name for name in FAVOURITES if name in names), names[0])


def demo(options: Any) -> int:
    """Do every job and say where its result is; the exit status."""
    folder = Path(options.out) if options.out is not None else results.OUT
    screen = Screen.of(options)
    reports, after = [], []
    for number, job in enumerate(JOBS, 1):
        inputs = job.inputs(folder)
        command = f"creative {job.verb} {_words(inputs)} {_flags(job.settings)}".rstrip()
        screen.say(f"{number} of {len(JOBS)}: {job.title}: {command}")
        engine = perform(job.action, inputs, job.settings, device=options.device, out=f"{folder}/")
        try:
            saved = follow(engine, screen, job.verb)
        except Stopped as stop:
            kept = f"; the last preview is kept in {stop.saved.path}" if stop.saved else ""
            print(f"Stopped{kept}.", file=sys.stderr)
            return 130
        except Exception as error:
            error.__dict__["while_running"] = True
            raise
        reports.append(facts(saved))
        if not options.json_report:
            if job.action.output == "text":
                print(saved.path.read_text(encoding="utf-8").rstrip(), flush=True)
            print(saved.path, flush=True)
        screen.say(f"   done in {saved.seconds:.0f} s with {saved.peak_memory_mb:,.0f} MB at most")
        after += [line.format(result=saved.path, style=getattr(inputs, "style", "")) for line in job.next]
    if options.json_report:
        print(json.dumps({"results": reports}, ensure_ascii=False))
    else:
        screen.say("\nLook at it there, and then try:")
        for line in after:
            screen.say(f"  {line}")
    return 0


def _words(inputs: Inputs) -> str:
    words: list[str] = []
    for entry in describe(type(inputs)):
        value = getattr(inputs, entry.name)
        if value == entry.default:
            continue
        words += [] if entry.required or entry.positional else [f"--{entry.name.replace('_', '-')}"]
        words += [shlex.quote(str(one)) for one in (value if isinstance(value, tuple) else (value,))]
    return " ".join(words)


def _flags(settings: Settings) -> str:
    changed = {name: value for name, value in settings if value != type(settings).model_fields[name].default}
    words = {name: value if isinstance(value, tuple) else (value,) for name, value in changed.items()}
    return " ".join(f"--{name.replace('_', '-')} {' '.join(map(str, value))}" for name, value in words.items())
