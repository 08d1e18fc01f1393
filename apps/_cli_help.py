"""What ``creative --help`` and ``creative VERB --help`` print."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import textwrap

from apps._cli_videos import about_videos
from apps._cli_words import call_class, fields_of, usage_of, word_for
from apps._verbs import Verb, verbs
from creative import __version__

LONGEST = 28
"""Of the calls that have what they do beside them; it stands below longer ones."""


_CALLED = {"voice": "Voices", "translator": "Models", "captioner": "Captioners", "painter": "Painters"}
"""What networks that are given by a name are called in help."""


def help_text(verb: Verb) -> str:
    """What ``creative VERB --help`` prints."""
    import tyro

    about = verb.summary + about_videos(verb)
    if any(entry.file == "style" for _, entry in fields_of(verb)):
        from creative.weights import list_presets

        if names := list_presets():
            about += f"\n\nPresets: {', '.join(names)}."

    for family, called in _CALLED.items():
        if any(entry.file == family for _, entry in fields_of(verb)):
            from creative.trained import list_trained

            if names := list_trained(family):
                about += f"\n\n{called}: {', '.join(names)}."

    class Text(io.StringIO):
        """Pretends to be stdout, so that tyro draws for what reads it in the end."""

        encoding = sys.stdout.encoding
        isatty = sys.stdout.isatty

    text = Text()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        words = [
            (entry.name, word_for(entry), entry.description)
            for group, entry in fields_of(verb)
            if group == "positional"
        ]
        tyro.cli(call_class(verb, words), prog=f"creative {verb.name}", description=about, args=["--help"])
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
    calls = {verb.name: f"{verb.name} {usage_of(verb)}".strip() for group in groups.values() for verb in group}
    width = max(len(call) for call in calls.values() if len(call) <= LONGEST) + 4
    columns = max(60, min(110, shutil.get_terminal_size().columns))
    for group, members in groups.items():
        lines.append(f"{strong}{group}{plain}")
        for verb in members:
            call, wrapped = calls[verb.name], textwrap.wrap(verb.summary, columns - width) or [""]
            if len(call) > LONGEST:
                lines.append(f"  {call}")
            else:
                lines.append(f"  {call:<{width - 2}}{wrapped.pop(0)}")
            lines += [" " * width + more for more in wrapped]
        lines.append("")
    lines += ["For example:", "  creative style photo.jpg starry-night", "  creative style --help", ""]
    return "\n".join(lines)
