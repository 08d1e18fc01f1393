"""The command line: every verb's flags come from the settings that declare it.

    creative style photo.jpg starry-night --size 768

Each message is one sentence on stderr. Exit status: 0 done, 1 failed, 2 for what cannot be done, 130 stopped.
"""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Mapping, Sequence

from apps._cli_help import help_text, overview
from apps._cli_videos import taking_over
from apps._cli_words import parse
from apps._verbs import UsageError, Verb, verbs
from creative import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files go out in the bytes that they came in
    name = "creative"
    try:
        if not words or (words[0] in {"-h", "--help", "help"} and len(words) == 1):
            print(overview(), end="")
            return 0
        if words[0] in {"-V", "--version", "version"}:
            print(f"creative {__version__}")
            return 0
        known = verbs()
        verb, rest = _find([*words[1:], "--help"] if words[0] == "help" else words, known)
        verb = taking_over(verb, rest, known)
        name += f" {verb.name}"
        if {"-h", "--help"} & set(rest):
            print(help_text(verb), end="")
            return 0
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


def _find(words: list[str], known: Mapping[str, Verb]) -> tuple[Verb, list[str]]:
    """The verb that the words begin with, one or two of them, and the words after it."""
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
