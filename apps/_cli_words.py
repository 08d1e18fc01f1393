"""The words after a verb as its inputs, its settings and the options of every verb; or what is wrong with them."""

from __future__ import annotations

import dataclasses
import difflib
import io
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from apps._verbs import Options, UsageError, Verb
from creative.files import shown
from creative.settings import NAMED, Description, Record, SettingsError, describe

_MOST = 1_000_000  # characters of the standard input that are read


def parse(verb: Verb, words: Sequence[str]) -> tuple[Any, Any, Options]:
    """The words after a verb as its inputs, its settings and the options of every verb.

    Raises:
        UsageError: a flag that there is not, a word too many, a value that is none.
    """
    import tyro

    call = call_class(verb, [("words_without_flag", "WORD...", "")])
    try:
        found, unknown = tyro.cli(
            call,
            prog=f"creative {verb.name}",
            args=_gathered(verb, _joined(verb, words)),
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
    _read_standard_input(verb, values)
    _check_given(verb, values)
    records: list[Any] = []
    for record in (verb.inputs, verb.settings, Options):
        typed = [entry for entry in describe(record) if entry.type is not bool or _is_typed(entry, words)]
        given = {entry.name: _value(entry, values.get(entry.name)) for entry in typed}
        try:
            records.append(record(**{name: value for name, value in given.items() if value is not None}))
        except SettingsError as error:
            raise UsageError(_as_flags(str(error), record)) from None
    return records[0], records[1], records[2]


def fields_of(verb: Verb) -> Iterator[tuple[str, Description]]:
    """Every field with the group that it is shown in."""
    own = list(describe(verb.inputs)) + list(describe(verb.settings))
    for entry in own:
        yield "positional" if entry.positional else "advanced" if entry.advanced else "basic", entry
    for entry in describe(Options):
        yield "general", entry


def call_class(verb: Verb, positional: Sequence[tuple[str, str, str]]) -> Any:
    """A dataclass for tyro: all values as words, which the settings check by themselves.

    Args:
        positional: name, placeholder and description of the words without a flag; of several, only help is of use.
    """
    from tyro.conf import OmitArgPrefixes, Positional, arg

    groups: dict[str, list[Any]] = {"basic": [], "advanced": [], "general": []}
    for name, word, told in positional:
        about = arg(name=name, metavar=word, help=told, help_behavior_hint="")
        groups["basic"].append((name, Annotated[Positional[tuple[str, ...]], about], dataclasses.field(default=())))
    for group, entry in fields_of(verb):
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
    about["metavar"] = metavar(entry) + ("..." if entry.many else "")
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


def metavar(entry: Description) -> str:
    """What stands for its value in help."""
    if entry.choices:
        return "{" + ",".join(map(str, entry.choices)) + "}"
    kinds: dict[Any, str] = {int: "N", float: "X", Path: "FOLDER" if entry.file in {"folder", "pictures"} else "FILE"}
    if entry.name == "out":
        return "OUT"
    if entry.file is not None and entry.file in {"style", *NAMED}:
        return "MODEL" if entry.file == "translator" else entry.file.upper()
    return kinds.get(entry.type, entry.name.upper().rsplit("_", 1)[-1].removesuffix("S") if entry.many else "TEXT")


def word_for(entry: Description) -> str:
    """What stands for it where it has no flag."""
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
    entries = [entry for group, entry in fields_of(verb) if group == "positional"]
    many = next((place for place, entry in enumerate(entries) if entry.many), None)
    found: dict[str, Any] = {}
    if many is None:
        if len(words) > len(entries):
            hint = f"`creative {verb.name} --help` says what it takes, and by which flags."
            raise UsageError(f"There is a word too many: {shown(words[len(entries)])!r}; {hint}")
        return dict(zip((entry.name for entry in entries), words, strict=False))
    after = entries[many + 1 :]
    keep = min(len(after), max(0, len(words) - many - 1))
    tail = words[len(words) - keep :] if keep else []
    head = words[: len(words) - keep]
    found |= dict(zip((entry.name for entry in entries[:many]), head, strict=False))
    if rest := tuple(head[many:]):
        found[entries[many].name] = rest
    return found | dict(zip((entry.name for entry in after), tail, strict=False))


def _read_standard_input(verb: Verb, values: dict[str, Any]) -> None:
    """``-`` for a text file, where the inputs also take the ``text`` itself: what comes in on the standard input."""
    for entry in describe(verb.inputs):
        if entry.file == "text" and values.get(entry.name) == "-" and "text" in verb.inputs.model_fields:
            values[entry.name] = None
            try:
                values["text"] = _standard_input(_encoding(verb, values)).removeprefix("\ufeff")
            except UnicodeError as error:
                told = f"{error.encoding} (byte {error.start})" if isinstance(error, UnicodeDecodeError) else str(error)
                raise UsageError(f"The standard input is not text in {told}.") from None


def _encoding(verb: Verb, values: dict[str, Any]) -> str | None:
    """In which the settings say that texts are, where they do."""
    entry = next((one for one in describe(verb.settings) if one.name == "encoding"), None)
    given = values.get("encoding") or (entry.default if entry else None)
    return given if entry is not None and given in (entry.choices or ()) else None


def _standard_input(encoding: str | None) -> str:
    """As much of it as anything reads; None: in the encoding that the system has for it."""
    data = getattr(sys.stdin, "buffer", None)
    if encoding is None or data is None:
        return sys.stdin.read(_MOST)
    text = io.TextIOWrapper(data, encoding=encoding)
    try:
        return text.read(_MOST)
    finally:
        text.detach()


def _check_given(verb: Verb, values: dict[str, Any]) -> None:
    if values.get("out") in ("", "-"):
        raise UsageError(f"-o takes the name of a file or of a folder, and {values['out']!r} is none.")
    for _, entry in fields_of(verb):
        given = values.get(entry.name)
        if (entry.file is not None or entry.type is Path) and "" in (given if isinstance(given, tuple) else (given,)):
            raise UsageError(
                f"{word_for(entry).strip('[].') if entry.positional else flag_of(entry)} is an empty name."
            )
    missing = [entry for _, entry in fields_of(verb) if entry.required and values.get(entry.name) in (None, ())]
    names = [word_for(entry).rstrip(".") if entry.positional else flag_of(entry) for entry in missing]
    greedy = [flag_of(entry) for group, entry in fields_of(verb) if entry.many and group != "positional"]
    greedy = [flag for flag in greedy if values.get(flag[2:].replace("-", "_"))]
    if greedy and any(entry.positional for entry in missing):
        lacking = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} missing"
        usage = f"creative {verb.name} {usage_of(verb)} {greedy[0]} ..."
        raise UsageError(f"{lacking}: {greedy[0]} takes every word after it, so write it last, as `{usage}`.")
    if len(missing) == 1:
        raise UsageError(f"{names[0]} is missing ({_lowered(missing[0].description)}).")
    if missing:
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        raise UsageError(f"{listed} are missing; it is `creative {verb.name} {usage_of(verb)}`.")


def _value(entry: Description, given: Any) -> Any:
    """Words as numbers where they are some; None for what was not given."""
    if given is None or given == () or isinstance(given, bool):
        return given if isinstance(given, bool) else None
    if isinstance(given, tuple):
        return tuple(_one(entry, word) for word in given)
    return _one(entry, given)


def _is_typed(entry: Description, words: Sequence[str]) -> bool:
    """Whether a bool is among the words, which tyro gives its default where it is not."""
    flag = flag_of(entry)
    return any(word.replace("_", "-") in {flag, f"--no-{flag[2:]}"} for word in words)


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


def usage_of(verb: Verb) -> str:
    """What a call needs: the words without a flag, and the flags that must be given."""
    required = [
        f"{flag_of(entry)} {metavar(entry)}" for _, entry in fields_of(verb) if entry.required and not entry.positional
    ]
    return " ".join([*(word_for(entry) for group, entry in fields_of(verb) if group == "positional"), *required])


# What to say when it cannot be meant --------------------------------------------------------------------------------


def _as_flags(message: str, record: type[Record]) -> str:
    """The settings' sentence with the flags as they are typed."""
    for entry in describe(record):
        typed = word_for(entry).strip("[].") if entry.positional else flag_of(entry)
        message = re.sub(rf"(^|(?<=\. )){entry.name}(?= must | cannot | is | are |: )", typed, message)
    return message


def flag_of(entry: Description) -> str:
    """As it is typed."""
    return "--" + entry.name.replace("json_report", "json").replace("_", "-")


def _joined(verb: Verb, words: Sequence[str]) -> list[str]:
    """``--prompt -x`` as ``--prompt=-x``: after a flag that takes a value, what begins with one dash is its value."""
    takes = {flag for flag, entry in _flags(verb).items() if entry.type is not bool and not entry.many}
    found: list[str] = []
    for word in words:
        if found and found[-1].replace("_", "-") in takes and re.match(r"-[^-]", word) and word not in {"-o", "-h"}:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


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
    return {flag_of(entry): entry for group, entry in fields_of(verb) if group != "positional"}


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
            about = f" ({_lowered(entry.description)})" if entry else ""
            if entry is not None and entry.type is str and following.partition("=")[0] not in {*flags, "--", "--help"}:
                about += f"; one that begins with dashes is written {shown(f'{name}={following}')}"
            return f"{name} lacks its value{about}."
    return None
