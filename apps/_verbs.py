"""The words of the command line: what each takes and what it does. An app's actions are found by the app's file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from apps._app import Action, App
from creative.options.studio import StudioSettings
from creative.settings import Field, Inputs, Record


class UsageError(ValueError):
    """What was typed cannot be meant. The message is one sentence for a person."""


class Options(Record):
    """How to run a job: what every verb takes besides its own settings."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", title="Device", description="Where to compute")
    out: str | None = Field(
        None, title="Output", description="File or folder for the result; none: in out/, under a name of its own"
    )
    again: bool = Field(False, title="Again", description="Make it anew even if this very result is there")
    json_report: bool = Field(False, title="JSON", description="One JSON object on stdout for other programs")
    progress: bool = Field(False, title="Progress", description="Show progress even where stderr is no terminal")
    quiet: bool = Field(False, title="Quiet", description="Say nothing but errors and the result")
    debug: bool = Field(False, title="Debug", description="Show where an error comes from")


class NoInputs(Inputs):
    """Nothing is given."""


class NoSettings(Record):
    """Nothing is to be set."""


class ReplayInputs(Inputs):
    """The result to make again, and what it was made from if that lies elsewhere."""

    file: Path = Field(title="File", description="A result of creative's, or the JSON beside it", positional=True)
    input: tuple[Path, ...] = Field(
        (), title="Input", description="What it was made from; none: looked for beside it and in this folder"
    )


class WeightsInputs(Inputs):
    """A name to get, or nothing to list."""

    get: tuple[str, ...] = Field((), title="get NAME", description="Download these weights", positional=True)


_ORDER = (
    "style_transfer",
    "deep_dream",
    "cyclegan",
    "captioning",
    "char_rnn",
    "learning_to_execute",
    "diffusion",
    "compare",
)
"""What comes first, as in the README; whatever is not named comes after it."""


@dataclass(frozen=True)
class Verb:
    """A word of the command line: an app's action, or one of the few that are not."""

    name: str
    group: str
    summary: str
    inputs: type[Record]
    settings: type[Record]
    run: Callable[[Any, Any, Options], int]
    action: Action | None = None


def apps() -> list[App]:
    """The apps, found by their files."""
    import apps as package

    names = [found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_")]
    names.sort(key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
    modules = [importlib.import_module(f"apps.{name}") for name in names if name not in {"studio", "demo"}]
    return [module.APP for module in modules if isinstance(getattr(module, "APP", None), App)]


def verbs() -> dict[str, Verb]:
    """Every verb by its word or words."""
    found = [_verb(app, action) for app in apps() for action in app.actions if action.typed]
    found.sort(key=lambda verb: " " in verb.name)  # training and measuring come last
    found += [
        Verb("demo", "More", "Try each app once, offline.", NoInputs, NoSettings, _demo),
        Verb("studio", "More", "Open all apps in the browser.", NoInputs, StudioSettings, _studio),
        Verb("weights", "More", "List weights and style presets; `weights get NAME` downloads.", WeightsInputs,
             NoSettings, _weights),
        Verb("replay", "More", "Make a result again from what its file says, and compare.", ReplayInputs, NoSettings,
             _replay),
    ]  # fmt: skip
    return {verb.name: verb for verb in found}


def _verb(app: App, action: Action) -> Verb:
    def run(inputs: Inputs, settings: Any, options: Options) -> int:
        from apps._terminal import run_action

        return run_action(action, inputs, settings, options)

    return Verb(action.verb, app.title, action.summary, action.inputs, action.settings, run, action)


def _demo(inputs: NoInputs, settings: NoSettings, options: Options) -> int:
    from apps.demo import demo

    return demo(options)


def _studio(inputs: NoInputs, settings: StudioSettings, options: Options) -> int:
    if options.out is not None:
        settings = settings.changed(output=options.out)
    from apps.studio import build_studio, every_app, serve

    serve(build_studio(every_app(), settings.output), settings)
    return 0


def _weights(inputs: WeightsInputs, settings: NoSettings, options: Options) -> int:
    from apps._weights import get_weights, list_weights

    words = inputs.get
    if not words:
        return list_weights(options)
    if words[0] != "get" or len(words) < 2:
        raise UsageError(
            f"`creative weights` lists and `creative weights get NAME` downloads; {' '.join(words)!r} is neither."
        )
    return get_weights(words[1:], options)


def _replay(inputs: ReplayInputs, settings: NoSettings, options: Options) -> int:
    from apps._replay import replay

    actions = {action.verb: action for app in apps() for action in app.actions}
    return replay(inputs.file, inputs.input, actions, options)
