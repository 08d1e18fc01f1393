"""Classes of a network by the words that people use for them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache

from creative.models.chains import FeaturesError


def class_number(classes: Sequence[str], name: str) -> int:
    """The place of a class by its number or its name, whatever the case, spaces, hyphens and apostrophes.

        class_number(network.classes, "great white shark")

    Raises:
        FeaturesError: there is none; the message has the names that are near.
    """
    if name.strip().isdecimal():
        if int(name) < len(classes):
            return int(name)
        raise FeaturesError(f"The classes are numbered from 0 to {len(classes) - 1}, but number {name} was asked for.")
    plain, wanted = _all_plain(tuple(classes)), _plain(name)
    if wanted in plain:
        return plain.index(wanted)
    having_it = [known for known in plain if wanted and wanted in known.split("_")]
    close = list(dict.fromkeys([*having_it[:3], *difflib.get_close_matches(wanted, plain, 3, 0.6)]))[:4]
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {len(classes)}, such as {classes[0]}."
    raise FeaturesError(f"The network knows no class {name!r}; {hint}")


@lru_cache(maxsize=8)
def _all_plain(classes: tuple[str, ...]) -> list[str]:
    return [_plain(known) for known in classes]


def _plain(name: str) -> str:
    return "_".join(name.lower().replace("_", " ").replace("-", " ").replace("'", "").split())
