"""A text on stdout as it grows."""

from __future__ import annotations

import io

import pytest

from apps._stream import Stream


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        (["a", "ab", "abc"], "abc\n"),
        (["", "a\n", "a\nb", "a\nb\n"], "a\nb\n"),
        (["a ", "a"], "a \n"),  # the end without its blank
        (["na\ufffd", "na\ufffd", "naïve"], "naïve\n"),  # half a character waits
        (["one", "two", "two more"], "one\ntwo more\n"),
        (["one", "two", "one and more"], "one and more\n"),  # it came round
        (["all at once"], "all at once\n"),
    ],
)
def test_only_what_is_new_is_written(texts: list[str], written: str) -> None:
    out = io.StringIO()
    stream = Stream(out)
    for text in texts[:-1]:
        stream.grow(text)
    stream.end(texts[-1])
    assert out.getvalue() == written


def test_a_person_sees_a_changed_text_on_a_line_of_its_own_and_no_control_characters() -> None:
    out = Terminal()
    stream = Stream(out)
    stream.grow("one\x1b[2J\ttwo")
    stream.pause()
    stream.pause()
    stream.grow("one\x1b[2J\ttwo three")
    stream.end("else")
    assert out.getvalue() == "one\ufffd[2J\ttwo\n three\nelse\n"


def test_what_an_encoding_lacks_is_replaced() -> None:
    file = io.BytesIO()
    out = io.TextIOWrapper(file, encoding="ascii", newline="\n")
    Stream(out).end("naïve")
    assert file.getvalue() == b"na?ve\n"
