"""Texts as a voice can read them: characters that it has never seen replaced by what is nearest, and named.

ids, message = read_as("naïve", vocabulary, "replace")     # message: The voice has never seen 'ï'; 'i' is read for it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from creative.data.text import TextError, Vocabulary, VocabularyError, read_codes
from creative.data.vocabulary import named
from creative.files import shown
from creative.options.writing import Unseen

_ALIKE = {
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‘’‚‛‹›′`´", "'"),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("…", "."),
    **dict.fromkeys("×", "x"),
    **dict.fromkeys("ß", "s"),
    **dict.fromkeys("æÆ", "a"),
    **dict.fromkeys("øØ", "o"),
    **dict.fromkeys("[{", "("),
    **dict.fromkeys("]}", ")"),
    **dict.fromkeys('"', "'"),
}


def read_as(text: str, vocabulary: Vocabulary, unseen: Unseen = "replace") -> tuple[Tensor, str | None]:
    """A text's numbers, (N,) int64, with a sentence on what was replaced, if anything was; no character is left out.

    Raises:
        VocabularyError: there are unseen characters where they are to be refused.
    """
    missing = vocabulary.unseen(text)
    if not missing:
        return vocabulary.encode(text), None
    if unseen == "refuse":
        raise VocabularyError(
            f"The voice has never seen {named(missing)}; leave that out, or let what is nearest be read for it."
        )
    nearest: dict[str, str | int | None] = {character: _nearest(character, vocabulary) for character in missing}
    names = {" ": "a space", "\n": "a line's end"}
    pairs = [f"{names.get(str(new)) or named([str(new)])} for {named([old])}" for old, new in nearest.items()][:6]
    more = f" and so on for {len(missing) - 6} more" if len(missing) > 6 else ""
    message = f"The voice has never seen {named(missing)}; it reads {', '.join(pairs)}{more}."
    return vocabulary.encode(text.translate(str.maketrans(nearest))), message


def _nearest(character: str, vocabulary: Vocabulary) -> str:
    """The known character that is most like one: without its accent, in the other case, another such sign, a space."""
    plain = unicodedata.normalize("NFKD", character)[0]
    candidates = [plain, _ALIKE.get(character, plain), plain.swapcase(), _ALIKE.get(plain, plain)]
    candidates += [_ALIKE.get(candidates[1], plain)]
    if character.isspace():
        candidates = [" ", "\n"]
    candidates += ["?" if character.isalnum() else " ", " ", "\n"]
    known = (one for one in candidates if len(one) == 1 and not vocabulary.unseen(one))
    return next(known, vocabulary.decode([0]))


def before_everything(vocabulary: Vocabulary) -> Tensor:
    """What is read before the first character of a text, (N,) int64: a paragraph's end, where the voice knows such."""
    return torch.zeros(1, dtype=torch.int64) if vocabulary.unseen("\n") else vocabulary.encode("\n\n")


def opened(text: str | Path, limit: int, encoding: str) -> tuple[str, bool]:
    """The first characters of a text, or of the file of a ``Path``, and whether it goes on after them.

    Raises:
        TextError: there is nothing to read; see ``text_parts``.
    """
    if isinstance(text, Path):
        return beginning(text, limit, encoding)
    if not text:
        raise TextError("There is nothing to read: the text is empty.")
    return text[:limit], len(text) > limit


def text_parts(path: str | Path, encoding: str = "utf-8") -> Iterator[str]:
    """A text file in parts of some megabytes, with single newlines at the ends of lines.

    Raises:
        TextError: there is no such file, it is binary, or it is in another encoding; the message names the place.
    """
    path = Path(path)
    if not path.is_file():
        raise TextError(f"{shown(path)} is a folder." if path.is_dir() else f"There is no file {shown(path)}.")
    for codes in read_codes(path, encoding=encoding):
        yield np.ascontiguousarray(codes, "<u4").tobytes().decode("utf-32-le", "surrogatepass")


def beginning(path: str | Path, limit: int, encoding: str = "utf-8") -> tuple[str, bool]:
    """The first characters of a text file, and whether it goes on after them; the rest of it is not read.

    Raises:
        TextError: as ``text_parts``, or the file is empty.
    """
    text = ""
    for part in text_parts(path, encoding):
        text += part[: limit + 1 - len(text)]
        if len(text) > limit:
            break
    if not text:
        raise TextError(f"{shown(path)} is empty: there is nothing to read in it.")
    return text[:limit], len(text) > limit
