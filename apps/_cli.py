"""The command line: every verb's flags come from the settings that declare it.

    creative style photo.jpg starry-night --size 768

Each message is one sentence on stderr. Exit status: 0 done, 1 failed, 2 asked for something that cannot be, 130 stopped.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads starve one another

import dataclasses
import difflib
import importlib
import pkgutil
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from apps._app import Action, App
from creative import __version__
from creative.options.studio import StudioSettings
from creative.settings import Description, Field, Inputs, Record, SettingsError, WeightsFile, describe  # noqa: F401


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


@dataclasses.dataclass(frozen=True)
class Verb:
    """A word of the command line: an app's action, or one of the few that are not."""

    name: str
    group: str
    summary: str
    inputs: type[Record]
    settings: type[Record]
    run: Callable[[Any, Any, Options], int]
    action: Action | None = None


# The verbs -------------------------------------------------------------------------------------------------------------


def apps() -> list[App]:
    """The apps, found by their files."""
    import apps as package

    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_"))
    modules = [importlib.import_module(f"apps.{name}") for name in names if name not in {"studio", "demo"}]
    return [module.APP for module in modules if isinstance(getattr(module, "APP", None), App)]


def verbs() -> dict[str, Verb]:
    """Every verb by its word or words."""
    found = [_verb(app, action) for app in apps() for action in app.actions]
    found += [
        Verb("demo", "More", "Paint a first picture, offline.", NoInputs, NoSettings, _demo),
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
    from apps._terminal import get_weights, list_weights

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


# Words to records --------------------------------------------------------------------------------------------------------


def parse(verb: Verb, words: Sequence[str]) -> tuple[Any, Any, Options]:
    """The words after a verb as its inputs, its settings and the options of every verb.

    Raises:
        UsageError: a flag that there is not, a word too many, a value that is none.
        SystemExit: help was asked for.
    """
    import tyro

    if "-h" in words or "--help" in words:
        print(help_text(verb), end="")
        raise SystemExit(0)
    call = _call_class(verb, [("words", "WORD...", "")])
    try:
        found, unknown = tyro.cli(
            call, prog=f"creative {verb.name}", args=list(words), return_unknown_args=True, console_outputs=False
        )
    except SystemExit:
        raise UsageError(_lacking(verb, words)) from None
    for word in unknown:
        if word.startswith("-") and word != "-":
            raise UsageError(_unknown_flag(verb, word))
    values = vars(found)
    values = {**values, **vars(values.pop("advanced")), **vars(values.pop("general"))}
    values |= _positional(verb, [*values.pop("words", ()), *unknown])
    records = []
    for record in (verb.inputs, verb.settings, Options):
        given = {entry.name: _value(entry, values.get(entry.name)) for entry in describe(record)}
        try:
            records.append(record(**{name: value for name, value in given.items() if value is not None}))
        except SettingsError as error:
            raise UsageError(_as_flags(str(error), record)) from None
    return records[0], records[1], records[2]


def _fields(verb: Verb) -> Iterator[tuple[str, Description]]:
    """Every field with the group that it is shown in."""
    own = list(describe(verb.inputs)) + list(describe(verb.settings))
    for entry in own:
        yield "positional" if entry.positional else "advanced" if entry.advanced else "basic", entry
    for entry in describe(Options):
        yield "general", entry


def _call_class(verb: Verb, positional: Sequence[tuple[str, str, str]]) -> Any:
    """A dataclass for tyro: all values as words, which the settings check by themselves.

    Args:
        positional: name, placeholder and description of the words without a flag; of several, only help is of use.
    """
    from tyro.conf import OmitArgPrefixes, Positional, arg

    groups: dict[str, list[Any]] = {"basic": [], "advanced": [], "general": []}
    for name, word, told in positional:
        about = arg(name=name, metavar=word, help=told, help_behavior_hint="")
        groups["basic"].append((name, Annotated[Positional[tuple[str, ...]], about], dataclasses.field(default=())))
    for group, entry in _fields(verb):
        if group != "positional":
            groups[group].append(_argument(entry, pairs=group != "general"))
    nested = []
    for name in ("advanced", "general"):
        inner = dataclasses.make_dataclass(name.capitalize(), groups[name])
        inner.__doc__ = None
        nested.append((name, OmitArgPrefixes[inner], dataclasses.field(default_factory=inner)))  # type: ignore[misc]
    outer = dataclasses.make_dataclass("Call", [*groups["basic"], *nested])
    outer.__doc__ = None
    return outer


def _argument(entry: Description, *, pairs: bool) -> tuple[str, Any, Any]:
    """A field as tyro wants it; ``pairs``: a bool has both ``--x`` and ``--no-x``."""
    from tyro.conf import FlagCreatePairsOff, arg

    about: dict[str, Any] = {"help": entry.description, "help_behavior_hint": _hint(entry)}
    about["name"] = entry.name.replace("json_report", "json")
    if entry.name == "out":
        about["aliases"] = ["-o"]
    if entry.type is bool:
        kind = Annotated[bool, arg(**about)]
        return entry.name, kind if pairs else FlagCreatePairsOff[kind], dataclasses.field(default=bool(entry.default))  # type: ignore[misc]
    about["metavar"] = _metavar(entry) + ("..." if entry.many else "")
    if entry.many:
        return entry.name, Annotated[tuple[str, ...], arg(**about)], dataclasses.field(default=())
    return entry.name, Annotated[str | None, arg(**about)], dataclasses.field(default=None)


def _hint(entry: Description) -> str:
    """What is said after a description: bounds and default."""
    if entry.required:
        return "(required)"
    low, high = entry.minimum, entry.maximum
    bounded = low is not None and high is not None and entry.widget != "seed"
    parts = [f"{low:g} to {high:g}"] if bounded else []
    if entry.default not in (None, (), "") and entry.default is not False:
        parts.append(f"default: {_shown(entry.default)}")
    return f"({'; '.join(parts)})" if parts else ""


def _metavar(entry: Description) -> str:
    if entry.choices:
        return "{" + ",".join(map(str, entry.choices)) + "}"
    kinds: dict[Any, str] = {int: "N", float: "X", Path: "FOLDER" if entry.file == "folder" else "FILE"}
    if entry.name == "out":
        return "OUT"
    if entry.file == "style":
        return "STYLE"
    return kinds.get(entry.type, entry.name.upper().rsplit("_", 1)[-1].removesuffix("S") if entry.many else "TEXT")


def _word(entry: Description) -> str:
    word = entry.title.upper() if entry.title.isalpha() else entry.title
    many = f"{word}..." if entry.many else word
    return many if entry.required else f"[{many}]"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _positional(verb: Verb, words: list[str]) -> dict[str, Any]:
    """Words without a flag, given to the fields in their order, like cp: the field of many takes what others leave."""
    entries = [entry for group, entry in _fields(verb) if group == "positional"]
    many = next((place for place, entry in enumerate(entries) if entry.many), None)
    found: dict[str, Any] = {}
    if many is None:
        if len(words) > len(entries):
            raise UsageError(f"There is a word too many: {words[len(entries)]!r}.")
        return dict(zip((entry.name for entry in entries), words, strict=False))
    after = entries[many + 1 :]
    keep = min(len(after), max(0, len(words) - many - 1))
    tail = words[len(words) - keep :] if keep else []
    head = words[: len(words) - keep]
    found |= dict(zip((entry.name for entry in entries[:many]), head, strict=False))
    if rest := tuple(head[many:]):
        found[entries[many].name] = rest
    return found | dict(zip((entry.name for entry in after), tail, strict=False))


def _value(entry: Description, given: Any) -> Any:
    """Words as numbers where they are some; None for what was not given."""
    if given is None or given == () or isinstance(given, bool):
        return given if isinstance(given, bool) else None
    if isinstance(given, tuple):
        return tuple(_one(entry, word) for word in given)
    return _one(entry, given)


def _one(entry: Description, word: str) -> Any:
    if entry.choices:
        return next((choice for choice in entry.choices if str(choice) == word), word)
    if entry.type in {int, float}:
        for kind in (int, float):
            try:
                return kind(word)
            except ValueError:
                continue
    return word


# What to say when it cannot be meant --------------------------------------------------------------------------------------


def _as_flags(message: str, record: type[Record]) -> str:
    """The settings' sentence with the flags as they are typed."""
    for entry in describe(record):
        typed = _word(entry).strip("[].") if entry.positional else _flag(entry)
        message = re.sub(rf"(^|(?<=\. )){entry.name}(?= must | is missing|: )", typed, message)
    return message


def _flag(entry: Description) -> str:
    return "--" + entry.name.replace("json_report", "json").replace("_", "-")


def _flags(verb: Verb) -> dict[str, Description]:
    return {_flag(entry): entry for group, entry in _fields(verb) if group != "positional"}


def _unknown_flag(verb: Verb, word: str) -> str:
    flags = _flags(verb)
    known = [*flags, *(f"--no-{flag[2:]}" for flag, entry in flags.items() if entry.type is bool), "--help"]
    name = word.partition("=")[0]
    close = difflib.get_close_matches(name.replace("_", "-"), known, 1, 0.5)
    hint = f"did you mean {close[0]}?" if close else f"`creative {verb.name} --help` lists what there is."
    return f"There is no flag {name}: {hint}"


def _lacking(verb: Verb, words: Sequence[str]) -> str:
    """Why tyro could not read the words: a flag without its value, or a value where none goes."""
    flags = {flag: entry for flag, entry in _flags(verb).items()} | {"-o": None}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        name, _, value = word.replace("_", "-").partition("=")
        entry = flags.get(name)
        if entry is not None and entry.type is bool and value:
            return f"{name} takes no value: it is {name} or --no-{name[2:]}."
        if name in flags and not value and (entry is None or entry.type is not bool) and following.startswith("--"):
            return f"{name} lacks its value{f' ({_lowered(entry.description)})' if entry else ''}."
    return (
        f"`creative {verb.name} {' '.join(words)}` cannot be understood; `creative {verb.name} --help` says what can."
    )


# Help -------------------------------------------------------------------------------------------------------------------


def help_text(verb: Verb) -> str:
    """What ``creative VERB --help`` prints."""
    import contextlib
    import io

    import tyro

    about = verb.summary
    if any(entry.file == "style" for _, entry in _fields(verb)):
        from creative.weights import list_presets

        if names := list_presets():
            about += f"\n\nPresets: {', '.join(names)}."
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        words = [
            (entry.name, _word(entry), entry.description) for group, entry in _fields(verb) if group == "positional"
        ]
        tyro.cli(_call_class(verb, words), prog=f"creative {verb.name}", description=about, args=["--help"])
    usage = " ".join(word for _, word, _ in words)
    return re.sub(
        r"usage:.*?\n\n",
        f"usage: creative {verb.name} {usage} [OPTIONS]\n\n".replace("  ", " "),
        text.getvalue(),
        count=1,
        flags=re.S,
    )


def overview() -> str:
    """What ``creative --help`` prints."""
    strong, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    lines = [f"{strong}creative {__version__}{plain}: generative art with small networks, offline, on this machine", ""]
    lines += ["usage: creative VERB ... [--help]", ""]
    groups: dict[str, list[Verb]] = {}
    for verb in verbs().values():
        groups.setdefault(verb.group, []).append(verb)
    calls = {verb.name: f"{verb.name} {_call(verb)}".strip() for group in groups.values() for verb in group}
    width = max(map(len, calls.values())) + 4
    columns = max(60, min(110, shutil.get_terminal_size().columns))
    for group, members in groups.items():
        lines.append(f"{strong}{group}{plain}")
        for verb in members:
            wrapped = textwrap.wrap(verb.summary, columns - width) or [""]
            lines.append(f"  {calls[verb.name]:<{width - 2}}{wrapped[0]}")
            lines += [" " * width + more for more in wrapped[1:]]
        lines.append("")
    lines += ["For example:", "  creative style photo.jpg starry-night", "  creative style --help", ""]
    return "\n".join(lines)


def _call(verb: Verb) -> str:
    required = [
        f"{_flag(entry)} {_metavar(entry)}" for _, entry in _fields(verb) if entry.required and not entry.positional
    ]
    return " ".join([*(_word(entry) for group, entry in _fields(verb) if group == "positional"), *required])


# The entry --------------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = "creative"
    try:
        if not words or words[0] in {"-h", "--help", "help"} and len(words) == 1:
            print(overview(), end="")
            return 0
        if words[0] in {"-V", "--version", "version"}:
            print(f"creative {__version__}")
            return 0
        verb, rest = _find(words[1:] + ["--help"] if words[0] == "help" else words)
        name += f" {verb.name}"
        inputs, settings, options = parse(verb, rest)
        return verb.run(inputs, settings, options)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        print(f"{name}: stopped; there was nothing to keep yet.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from apps._terminal import report

        return report(error, name, words, status=2)


def _find(words: list[str]) -> tuple[Verb, list[str]]:
    """The verb that the words begin with, one or two of them, and the words after it."""
    known = verbs()
    for count in (2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in known:
            return known[name], words[count:]
    first = words[0]
    seconds = [name.split()[1] for name in known if name.startswith(f"{first} ")]
    if seconds:
        if {"-h", "--help"} & set(words) or len(words) == 1:
            raise UsageError(f"creative {first} what? There is {', '.join(seconds)}.")
        close = difflib.get_close_matches(words[1], seconds, 1)
        raise UsageError(
            f"There is no verb {first!r} {words[1]!r}; "
            + (f"did you mean `creative {first} {close[0]}`?" if close else f"there is {', '.join(seconds)}.")
        )
    close = difflib.get_close_matches(first, known, 1, 0.5)
    hint = f"did you mean `creative {close[0]}`?" if close else "`creative --help` lists what there is."
    if first.startswith("-"):
        raise UsageError(f"A verb comes first, not {first}: `creative --help` lists what there is.")
    raise UsageError(f"There is no verb {first!r}: {hint}")


if __name__ == "__main__":
    sys.exit(main())
