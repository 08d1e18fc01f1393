"""The reference of all verbs, from the settings that declare them: ``python -m apps._docs > docs/options.md``."""

from __future__ import annotations

from collections.abc import Iterator

from apps._verbs import Verb, verbs
from creative.settings import Description, Record, describe


def reference() -> str:
    """Every verb with its inputs and settings, as Markdown."""
    parts = ["# Options", "", "Written by `python -m apps._docs > docs/options.md` from the declarations; do not edit."]
    for verb in verbs().values():
        if verb.action is not None:
            parts += ["", f"## creative {verb.name}", "", verb.summary, "", *_tables(verb)]
    return "\n".join(parts) + "\n"


def _tables(verb: Verb) -> Iterator[str]:
    yield from table(verb.inputs)
    yield ""
    yield from table(verb.settings)


def table(record: type[Record]) -> list[str]:
    """The fields of a record as the lines of a Markdown table."""
    rows = ["| option | values | default | what it is |", "|---|---|---|---|"]
    for entry in describe(record):
        option = f"**{entry.title}**" if entry.positional else f"`--{entry.name.replace('_', '-')}`"
        default = "required" if entry.required else _default(entry)
        told = f"{entry.title}: {entry.description}" + (" (advanced)" if entry.advanced else "")
        rows.append(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in (option, _values(entry), default, told)) + " |"
        )
    return rows


def _default(entry: Description) -> str:
    if entry.default is None or entry.default == () or entry.default == "":
        return ""
    if isinstance(entry.default, bool):
        return "yes" if entry.default else "no"
    return str(entry.default)


def _values(entry: Description) -> str:
    if entry.choices:
        kind = ", ".join(map(str, entry.choices))
    elif entry.file is not None:
        kind = {"style": "picture or preset", "any": "file", "pictures": "folder or zip"}.get(entry.file, entry.file)
    else:
        kind = {bool: "yes or no", int: "whole number", float: "number"}.get(entry.type, "text")
    low, high = entry.minimum, entry.maximum
    if low is not None and high is not None and entry.widget != "seed":
        kind += f", {low:.10g} to {high:.10g}"
    return f"several: {kind}" if entry.many else kind


if __name__ == "__main__":
    print(reference(), end="")
