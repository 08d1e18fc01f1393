"""A video where a verb takes a photo: the verb that takes over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from apps._cli_words import fields_of, flag_of
from apps._verbs import Verb

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".mts", ".m2ts"}
)
"""Of files that are videos, whatever is in them."""


def taking_over(verb: Verb, words: Sequence[str], known: Mapping[str, Verb]) -> Verb:
    """The verb that is meant: another one where the first word without a flag is a video, and the action has one."""
    other = known.get(verb.action.videos) if verb.action is not None and verb.action.videos else None
    if other is None:
        return verb
    first = _first_word(words, verb, other)
    return other if first is not None and is_video(first) else verb


def is_video(name: str) -> bool:
    """Whether a file is a video by its name, or a GIF that moves."""
    path = Path(name)
    suffix = path.suffix.lower()
    return suffix in SUFFIXES or (suffix == ".gif" and _moves(path))


def about_videos(verb: Verb) -> str:
    """What help says of it; nothing where no verb takes over."""
    if verb.action is None or verb.action.videos is None:
        return ""
    photo = next((entry.title.lower() for group, entry in fields_of(verb) if group == "positional"), "first word")
    other = f"creative {verb.action.videos}"
    return f"\n\nA video or an animated GIF in place of the {photo} goes to `{other}`, which has its own --help."


def _moves(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) > 1
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # whoever opens it as a picture tells what is wrong


def _first_word(words: Sequence[str], *verbs: Verb) -> str | None:
    """The first word that is neither a flag nor a flag's value."""
    flags = {flag_of(entry): entry for verb in verbs for group, entry in fields_of(verb) if group != "positional"}
    skipped = 0
    for word in words:
        flag, has_value, _ = word.partition("=")
        entry = flags.get("--out" if flag == "-o" else flag.replace("_", "-"))
        if word.startswith("-") and word != "-":
            takes = entry is not None and entry.type is not bool and not has_value
            skipped = (len(words) if entry is not None and entry.many else 1) if takes else 0
        elif skipped:
            skipped -= 1
        else:
            return word
    return None
