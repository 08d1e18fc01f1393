"""The command line: every verb's flags come from the settings that declare it.

    creative style photo.jpg starry-night --size 768

Each message is one sentence on stderr. Exit status: 0 done, 1 failed, 2 for what cannot be done, 130 stopped.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from apps._verbs import Options, UsageError, Verb, verbs
from creative import __version__
from creative.settings import Description, Record, SettingsError, describe

# Words to records ---------------------------------------------------------------------------------------------------


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
    call = _call_class(verb, [("words_without_flag", "WORD...", "")])
    try:
        found, unknown = tyro.cli(
            call,
            prog=f"creative {verb.name}",
            args=_gathered(verb, words),
            return_unknown_args=True,
            console_outputs=False,
        )
    except SystemExit:
        raise UsageError(_lacking(verb, words)) from None
    if bare := _bare(verb, words):
        raise UsageError(bare)
    for word in unknown:
        if word.startswith("-") and word != "-":
            raise UsageError(_unknown_flag(verb, word))
    values = vars(found)
    values = {**values, **vars(values.pop("advanced")), **vars(values.pop("general"))}
    values |= _positional(verb, [*values.pop("words_without_flag", ()), *unknown])
    _check_given(verb, values)
    records: list[Any] = []
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
    nested: list[Any] = []
    for name in ("advanced", "general"):
        inner: Any = dataclasses.make_dataclass(name.capitalize(), groups[name])
        inner.__doc__ = None
        nested.append((name, Annotated[inner, OmitArgPrefixes], dataclasses.field(default_factory=inner)))
    outer: Any = dataclasses.make_dataclass("Call", [*groups["basic"], *nested])
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
        return entry.name, kind if pairs else FlagCreatePairsOff[kind], dataclasses.field(default=bool(entry.default))
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
    parts = [f"{low:.10g} to {high:.10g}"] if bounded else []
    if entry.default not in (None, (), "") and entry.default is not False:
        parts.append(f"default: {_shown(entry.default)}")
    return f"({'; '.join(parts)})" if parts else ""


def _metavar(entry: Description) -> str:
    if entry.choices:
        return "{" + ",".join(map(str, entry.choices)) + "}"
    kinds: dict[Any, str] = {int: "N", float: "X", Path: "FOLDER" if entry.file == "folder" else "FILE"}
    if entry.name == "out":
        return "OUT"
    if entry.file in {"style", "voice"}:
        return entry.file.upper()
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


def _check_given(verb: Verb, values: dict[str, Any]) -> None:
    for _, entry in _fields(verb):
        given = values.get(entry.name)
        if (entry.file is not None or entry.type is Path) and "" in (given if isinstance(given, tuple) else (given,)):
            raise UsageError(f"{_word(entry).strip('[].') if entry.positional else _flag(entry)} is an empty name.")
    missing = [entry for _, entry in _fields(verb) if entry.required and values.get(entry.name) in (None, ())]
    names = [_word(entry).rstrip(".") if entry.positional else _flag(entry) for entry in missing]
    greedy = [_flag(entry) for group, entry in _fields(verb) if entry.many and group != "positional"]
    greedy = [flag for flag in greedy if values.get(flag[2:].replace("-", "_"))]
    if greedy and any(entry.positional for entry in missing):
        lacking = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} missing"
        usage = f"creative {verb.name} {_call(verb)} {greedy[0]} ..."
        raise UsageError(f"{lacking}: {greedy[0]} takes every word after it, so write it last, as `{usage}`.")
    if len(missing) == 1:
        raise UsageError(f"{names[0]} is missing ({_lowered(missing[0].description)}).")
    if missing:
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        raise UsageError(f"{listed} are missing; it is `creative {verb.name} {_call(verb)}`.")


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


# What to say when it cannot be meant --------------------------------------------------------------------------------


def _as_flags(message: str, record: type[Record]) -> str:
    """The settings' sentence with the flags as they are typed."""
    for entry in describe(record):
        typed = _word(entry).strip("[].") if entry.positional else _flag(entry)
        message = re.sub(rf"(^|(?<=\. )){entry.name}(?= must | cannot | is missing|: )", typed, message)
    return message


def _flag(entry: Description) -> str:
    return "--" + entry.name.replace("json_report", "json").replace("_", "-")


def _gathered(verb: Verb, words: Sequence[str]) -> list[str]:
    """``--input A --input B`` as ``--input A B``, which tyro would take for B alone."""
    many = {flag for flag, entry in _flags(verb).items() if entry.many}
    values: dict[str, list[str]] = {}
    others: list[str] = []
    into = others
    for word in words:
        flag, has_value, value = word.partition("=")
        flag = flag.replace("_", "-")
        if flag in many:
            into = values.setdefault(flag, [])
            if has_value:
                into.append(value)
                into = others
        else:
            if word.startswith("--") or word == "-o":
                into = others
            into.append(word)
    return others + [word for flag, given in values.items() for word in (flag, *given)]


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
    """Why tyro could not read the words."""
    said = _bare(verb, words)
    return said or f"`creative {verb.name} {' '.join(words)}` cannot be understood; --help says what can."


def _bare(verb: Verb, words: Sequence[str]) -> str | None:
    """What there is to say about a flag without its value, or with one where none goes."""
    flags: dict[str, Description | None] = {**_flags(verb), "-o": None}
    for word, following in itertools.pairwise([*words, "--"]):
        name, _, value = word.replace("_", "-").partition("=")
        entry = flags.get(name)
        if entry is not None and entry.type is bool and value:
            return f"{name} takes no value."
        if name in flags and not value and (entry is None or entry.type is not bool) and following.startswith("--"):
            return f"{name} lacks its value{f' ({_lowered(entry.description)})' if entry else ''}."
    return None


# Help ---------------------------------------------------------------------------------------------------------------


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

    class Text(io.StringIO):
        """Pretends to be stdout, so that tyro draws for what reads it in the end."""

        encoding = sys.stdout.encoding
        isatty = sys.stdout.isatty

    text = Text()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        words = [
            (entry.name, _word(entry), entry.description) for group, entry in _fields(verb) if group == "positional"
        ]
        tyro.cli(_call_class(verb, words), prog=f"creative {verb.name}", description=about, args=["--help"])
    usage = " ".join(word for _, word, _ in words)
    usage = f"usage: creative {verb.name} {usage} [OPTIONS]".replace("  ", " ")
    after_usage = text.getvalue().partition("\n\n")[2]
    return re.sub(r" +$", "", f"{usage}\n\n{after_usage}", flags=re.M)


def overview() -> str:
    """What ``creative --help`` prints."""
    strong, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    lines = [f"{strong}creative {__version__}{plain}: generative art with small networks, offline, on this machine", ""]
    lines += ["usage: creative VERB ... [--help]", ""]
    groups: dict[str, list[Verb]] = {}
    for verb in verbs().values():
        groups.setdefault("Training" if " " in verb.name else verb.group, []).append(verb)
    groups = {name: groups[name] for name in sorted(groups, key=lambda name: (name == "More", name == "Training"))}
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


# The entry ----------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = "creative"
    try:
        if not words or (words[0] in {"-h", "--help", "help"} and len(words) == 1):
            print(overview(), end="")
            return 0
        if words[0] in {"-V", "--version", "version"}:
            print(f"creative {__version__}")
            return 0
        verb, rest = _find([*words[1:], "--help"] if words[0] == "help" else words)
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
