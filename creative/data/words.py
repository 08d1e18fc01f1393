"""Sentences as words and numbers: the COCO evaluation's tokenisation, and vocabularies of words or of characters.

tokenise("A man's dog isn't here.")                 # ["a", "man", "'s", "dog", "is", "n't", "here"]
vocabulary = WordVocabulary.of(["a red circle", "a blue circle"])
vocabulary.decode(vocabulary.encode("a blue square"))   # "a blue <unknown>"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

START, END, UNKNOWN = 0, 1, 2
"""The numbers of what is no word: where a sentence begins, where it ends, and what the vocabulary has not."""
SPECIAL = ("<start>", "<end>", "<unknown>")


class WordsError(ValueError):
    """There are no words to learn, or a vocabulary is none. The message is one sentence for a person."""


# Tokenisation -------------------------------------------------------------------------------------------------------

_ALWAYS = """
    adj adm adv al ala alex apr ariz assoc asst atty aug ave bldg blvd bros calif capt cf cie cmdr co col conn corp cos
    cpl ct dak dec dept det dr elec ens esq est etc ext feb fla fri ft ga gen gov hon inc ind insp intl jan jos jr jul
    jun kan ky lieut lt ltd maj mar md messrs mich minn mlle mme mo mon mont mr mrs ms mt neb nev nov oct okla penn pfc
    ph plc pres prof pte ptes pty pvt rd rep rev rt sen sens sep sept seq sfc sgt spc sq sr st ste supt sys tel tenn thu
    thurs tue tues univ va vs vt wed wis wisc wm wyo ph\\.d
"""
_CAPITALISED = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"
_BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"


def _any(words: str) -> str:
    return "|".join(words.split())


_LETTER = r"[^\W\d_]"
_LATE = r"(?:'(?:s|m|d|ll|re|ve)|n['`]t)"  # what is cut off at the end of a word
_TOKEN = re.compile(
    "|".join(
        (
            r"(?:https?|ftp)://[^\s<>\"]*[\w/]",
            r"[\w.]+@\w+(?:\.\w+)+",
            r"</?[a-zA-Z!][^<>]*>",
            r"-(?i:[lr][rsc]b)-|[:;=]-?[()](?!\w)",
            r"(?i:\b(?:can(?=not\b)|(?<=\bcan)not\b|(?:gon|wan)(?=na\b)|got(?=ta\b)|(?:gim|lem)(?=me\b)))",
            r"(?<=\b[gG]on)na\b|(?<=\b[wW]an)na\b|(?<=\b[gG]ot)ta\b|(?<=\b[gG]im)me\b|(?<=\b[lL]em)me\b",
            r"(?i:'t(?=(?:is|was)\b)|'em\b|'n'|'cause\b|'n\b|d'ye\b|o'clock\b|ma'am\b|y'(?=\w))",
            r"'\d0s\b",
            rf"(?i:(?<!\w)\b(?:{_any(_ALWAYS)})\.)(?!\w)",
            rf"(?<!\w)(?:{_any(_CAPITALISED)})\.(?!\w)",
            rf"(?i:(?<!\w)(?:{_any(_BEFORE_NUMBERS)})\.(?=\s?\d))",
            rf"(?<!\w){_LETTER}\.(?:{_LETTER}\.)*(?![\w.])",  # initials, with their last dot
            r"[A-Z]+&[A-Z]+(?!\w)",
            rf"(?:[dljno]'|[A-HJ-Z]'(?=\w\w\w)){_LETTER}+(?:-\w+)*|\w+'e[rn](?!\w)",  # l'homme, O'Brien, ne'er
            rf"{_LETTER}\w*?(?=n['`]t(?!\w))",
            rf"{_LATE}(?!\w)",
            rf"{_LETTER}(?=\.\w){_LETTER}*(?:\.{_LETTER}[\w-]*)+|{_LETTER}{_LETTER}+(?:[.!?]{_LETTER}[\w-]*)+",
            r"[-+]?\d*(?:[.,:/]\d+)+(?:ths?|st|nd|rd|s\b)?|[-+]\d+(?!\w)",
            r"\w+(?:[-/]\w+)*",
            r"[#@](?!\d)\w+",
            r"\.\.+|--+|[!?]+|\*+|''|``|[\^_]+",
            r"\S",
        )
    )
)
_AS_ASCII = {
    **dict.fromkeys("‘’‛′", "'"),
    **dict.fromkeys("“„«", " `` "),
    **dict.fromkeys("”»", " '' "),
    **dict.fromkeys("–—―", " -- "),
    **{"…": " ... ", "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "£": "#", "€": "$", "¢": " cents "},
    **{"\u00ad": "", "\u200b": "", "\ufeff": ""},
}
_TABLE = str.maketrans(_AS_ASCII)
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_READABLE = {token: bracket for bracket, token in _BRACKETS.items()}
_LEFT_OUT = {'"', "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}


def tokenise(sentence: str) -> list[str]:
    """The words of a sentence as the COCO evaluation counts them: lower case, contractions apart, no punctuation.

    Chen et al., "Microsoft COCO Captions" (2015, arXiv:1504.00325) take Stanford's PTBTokenizer and then drop
    punctuation. Written anew, without Java, and tested on that program's own output; brackets are words (``-lrb-``)
    there, and so they are here. What is in other scripts is cut at blanks and punctuation only.

    Example:
        >>> tokenise("A man's dog isn't here, on St. James St. (yet)!")
        ['a', 'man', "'s", 'dog', 'is', "n't", 'here', 'on', 'st.', 'james', 'st.', '-lrb-', 'yet', '-rrb-']
    """
    text = sentence.translate(_TABLE)
    whole = "<" in text or _BEFORE_NUMBER.search(text)  # nothing else depends on what is beyond a blank
    return [word for part in ([text] if whole else text.split()) for word in _words(part)]


_BEFORE_NUMBER = re.compile(r"\w\.\s\d")


@lru_cache(maxsize=1 << 14)
def _words(text: str) -> tuple[str, ...]:
    words = []
    for token in _TOKEN.findall(text):
        if token in _LEFT_OUT or token.startswith("..") or token.startswith("--"):
            continue
        for bracket, name in _BRACKETS.items():
            token = token.replace(bracket, name)
        words.append(token.lower())
    return tuple(words)


def readable(words: Iterable[str]) -> str:
    """Words as a person would write them down: the inverse of ``tokenise``, but for what that left out.

    Example:
        >>> readable(["the", "dog", "is", "n't", "the", "man", "'s"])
        "the dog isn't the man's"
    """
    text = " ".join(_READABLE.get(word, word) for word in words)
    text = re.sub(rf" (?={_LATE}\b)", "", text)
    text = re.sub(r"\b(can) (not)\b|\b(gon|wan) (na)\b", lambda match: "".join(filter(None, match.groups())), text)
    return re.sub(r"([(\[{]) | ([)\]}])", r"\1\2", text)


# Vocabularies -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WordVocabulary:
    """The words that a captioner can write, in the order of their numbers, after ``<start>``, ``<end>``, ``<unknown>``.

    Attributes:
        words: each once, the most frequent first where ``of`` made it.

    Example:
        >>> vocabulary = WordVocabulary.of(["a red circle", "a blue circle"])
        >>> vocabulary.encode("a blue square").tolist(), vocabulary.decode([0, 3, 5, 2, 1, 4])
        ([0, 3, 5, 2, 1], 'a blue <unknown>')
    """

    words: tuple[str, ...]

    units: ClassVar[Literal["words", "characters"]] = "words"
    _between: ClassVar[str] = " "

    def __post_init__(self) -> None:
        if not self.words:
            raise WordsError("A vocabulary has at least one word.")
        if len(set(self.words)) != len(self.words) or set(self.words) & set(SPECIAL):
            raise WordsError("A vocabulary has each word once, and none called <start>, <end> or <unknown>.")

    @classmethod
    def of(cls, sentences: Iterable[str], *, min_count: int = 1) -> Self:
        """What occurs at least ``min_count`` times in some sentences, the most frequent first.

        Raises:
            WordsError: nothing does.
        """
        counts = Counter(unit for sentence in sentences for unit in cls.units_of(sentence) if unit not in SPECIAL)
        if not counts:
            raise WordsError("There is no word in these sentences.")
        kept = [unit for unit, count in counts.items() if count >= min_count]
        if not kept:
            raise WordsError(
                f"None of {len(counts):,} {cls.units} occurs {min_count} times: the most frequent one "
                f"occurs {max(counts.values())} times. Lower the least count."
            )
        return cls(tuple(sorted(kept, key=lambda unit: (-counts[unit], unit))))

    @classmethod
    def units_of(cls, sentence: str) -> list[str]:
        """A sentence cut into what this kind of vocabulary numbers."""
        return tokenise(sentence)

    def __len__(self) -> int:
        return len(SPECIAL) + len(self.words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, len(SPECIAL))}

    def encode(self, sentence: str) -> Tensor:
        """The numbers of a sentence between those of start and end, (T + 2,) int64."""
        numbers = self._numbers
        ids = [numbers.get(unit, UNKNOWN) for unit in self.units_of(sentence)]
        return torch.tensor([START, *ids, END])

    def words_of(self, ids: Tensor | Sequence[int] | NDArray[Any]) -> list[str]:
        """What some numbers stand for, up to the first end; a start is left out."""
        found = []
        for number in np.asarray(ids).tolist():
            if number == END:
                break
            if number != START:
                found.append(SPECIAL[UNKNOWN] if number == UNKNOWN else self.words[number - len(SPECIAL)])
        return found

    def decode(self, ids: Tensor | Sequence[int] | NDArray[Any]) -> str:
        """The sentence of some numbers, its words as ``tokenise`` gives them, with one blank between them."""
        return self._between.join(self.words_of(ids))

    def unknown(self, sentence: str) -> list[str]:
        """What of a sentence the vocabulary has not, each once, in the order of the sentence."""
        return [unit for unit in dict.fromkeys(self.units_of(sentence)) if unit not in self._numbers]

    def to_json(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"units": self.units, "words": list(self.words)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> WordVocabulary:
        """From the checkpoint, of whichever kind it is.

        Raises:
            WordsError: there is none in it.
        """
        kinds = {kind.units: kind for kind in (WordVocabulary, CharacterVocabulary)}
        units, words = values.get("units"), values.get("words")
        if units not in kinds or not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise WordsError("There is no vocabulary of words in this file.")
        return kinds[units](tuple(words))


class CharacterVocabulary(WordVocabulary):
    """The characters that a captioner can write: a sentence's words, as ``tokenise`` gives them, letter by letter.

    Example:
        >>> CharacterVocabulary.of(["a cab"]).decode([0, 3, 2, 5, 1])
        'a<unknown>b'
    """

    units = "characters"
    _between = ""

    @classmethod
    def units_of(cls, sentence: str) -> list[str]:
        """The characters of a sentence's words, with one blank between words."""
        return list(" ".join(tokenise(sentence)))
