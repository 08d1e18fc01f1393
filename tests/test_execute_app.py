"""``creative execute`` and its page, with the bundled network."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import torch
from test_cli import Creative, creative  # noqa: F401

from apps._execute_html import show_executed
from creative import run
from creative.checkpoint import load_checkpoint
from creative.data.programs import Level, read_program
from creative.engines.learning_to_execute import Digit, Executed, Reading, execute, load_trained
from creative.engines.learning_to_execute.answering import answer_all
from creative.engines.learning_to_execute.evaluation import held_out
from creative.engines.learning_to_execute.networks import levels_of
from creative.options.execute import ExecuteSettings, TrainExecuteSettings
from creative.weights import find


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a = 5\nprint(a + 3)\n"))


def test_a_file_the_standard_input_and_a_text_are_the_same(
    creative: Creative,  # noqa: F811
    typed: None,
) -> None:
    Path("p.py").write_text("a = 5\nprint(a + 3)\n")
    said = [
        creative("execute", *words, "-o", f"{number}.txt")
        for number, words in enumerate((["p.py"], ["-"], ["--text", "a=5\nprint((a+3))"]))
    ]
    assert [one.code for one in said] == [0, 0, 0], said
    texts = [Path(f"{number}.txt").read_text() for number in range(3)]
    assert texts[0] == texts[1] == texts[2]
    assert "a=5;\nprint((a+3))\n  network: " in texts[0]
    assert "Python:  8" in texts[0]


def test_a_byte_order_mark_is_no_part_of_a_program(creative: Creative, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    program = b"\xef\xbb\xbfprint(1+2)\r\n"
    Path("p.py").write_bytes(program)
    assert "Python:  3" in creative("execute", "p.py").out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(program), encoding="utf-8"))
    assert "Python:  3" in creative("execute", "-", "--seed", "1").out


def test_the_standard_input_may_be_in_another_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    from apps._cli_words import parse
    from apps._verbs import UsageError, verbs

    for encoding, text in (("latin-1", "caf\xe9"), ("utf-16", "caf\xe9 \u2603"), ("utf-8", "\u2603")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode(encoding)), encoding="ascii"))
        assert parse(verbs()["score"], ["-", "--encoding", encoding])[0].text == text
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="ascii"))
    with pytest.raises(UsageError, match="is not text in utf-8"):
        parse(verbs()["score"], ["-"])


def test_what_came_in_on_the_standard_input_is_replayed(
    creative: Creative,  # noqa: F811
    typed: None,
) -> None:
    assert creative("execute", "-", "-o", "a.txt").code == 0
    said = creative("replay", "a.txt")
    assert said.code == 0, said


def test_the_answer_is_said_once(creative: Creative) -> None:  # noqa: F811
    said = creative("execute", "--text", "print((5-3))")
    lines = said.out.splitlines()
    assert lines[0] == "print((5-3))"
    assert re.fullmatch(r"  network: -?\d+   \(\d+ % sure\)", lines[1])
    assert re.fullmatch(r"  Python:  2   \((right|wrong)\)", lines[2])
    assert said.out.count("print((5-3))") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("print(7/2)", "Line 1: division is not in the language"),
        ("a=1\nfor x in range(1000000):a+=1\nprint(a)", "Line 2: a loop of 1,000,000"),
        ("", "is empty"),
        ("print(٣)", "is not in the language"),
    ],
)
def test_bad_programs_are_told_in_one_sentence(creative: Creative, text: str, sentence: str) -> None:  # noqa: F811
    Path("p.py").write_text(text, encoding="utf-8")
    said = creative("execute", "p.py")
    assert said.code == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert sentence in said.err


def test_two_programs_and_no_text_are_told(creative: Creative) -> None:  # noqa: F811
    Path("p.py").write_text("print(1)")
    assert "two programs" in creative("execute", "p.py", "--text", "print(1)").err
    Path("p.py").write_bytes(b"print(1)\xff")
    assert "p.py is not text in UTF-8 (byte 8)" in creative("execute", "p.py").err


def test_the_report_of_a_made_up_program_is_json(creative: Creative) -> None:  # noqa: F811
    said = creative("execute", "--length", "1", "--count", "3", "--json")
    assert said.code == 0
    assert json.loads(said.out)["metrics"]["programs"] == 3


def test_the_page_marks_where_the_program_belongs() -> None:
    shown = show_executed(run(execute("a=27\nprint((a-9))")))
    assert shown.count(' here"') == 1
    assert "&lt;" not in shown
    assert "<script" not in shown
    cell = re.search(r'<td class="[^"]*here"[^>]*>(\d+) %', shown)
    assert cell is not None
    measured = load_trained()["programs"].accuracy[Level(2, 1)].whole
    assert int(cell[1]) == pytest.approx(100 * measured, abs=0.51)
    easy = show_executed(run(execute("print((8-(3+4)))")))
    assert load_trained()["programs"].accuracy[Level(1, 1)].whole < 1
    assert re.findall(r"<td class=[^>]*>(\d+) %", easy)[0] == "99"  # never 100 for less
    outside = show_executed(run(execute("print(((1234567-2)-5))")))
    assert ' here"' not in outside
    assert "lies outside" in outside


def test_the_page_escapes_and_counts() -> None:
    shown = show_executed(run(execute("print((8 if 4<6 else 7))")))
    assert "4&lt;6" in shown
    many = run(execute(None, ExecuteSettings(count=7)))
    shown = show_executed(many)
    right, done = many.score
    assert f"{right} of {done} right" in shown
    assert "All 7 programs" in shown
    assert shown.count("<tr><td><pre>") == 7


def test_the_page_shows_each_digit_with_its_guesses_above_the_truth() -> None:
    digits = (
        Digit("5", 0.6, (("5", 0.6), ("4", 0.38), ("3", 0.001))),
        Digit("1", 0.5, (("1", 0.5), (".", 0.3), ("-", 0.2))),
        Digit(".", 1.0, ((".", 1.0),)),
    )
    shown = show_executed(Executed((Reading(read_program("print((8+6))"), "14", "programs", digits, True),)))
    grid = shown[shown.index('class="digits"') : shown.index("verdict", shown.index('class="digits"'))]
    cells = re.findall(r'<span class="(digit[^"]*)" style="--at:(\d)"[^>]*><b>(\w+)</b><small>(\d+) %', grid)
    # Written from the last digit on: they stand as one reads them, and come in the order of writing.
    assert cells == [("digit end", "2", "end", "100"), ("digit", "1", "1", "50"), ("digit off", "0", "5", "60")]
    assert re.findall(r'class="truth"[^>]*>(.)<', grid) == ["1", "4"]
    assert re.findall(r"<i>(\w+|−)</i> (\d+) %", grid) == [("end", "30"), ("−", "20"), ("4", "38")]
    assert "Wrong, <span>and was only 30 % sure" in shown
    assert (
        show_executed(Executed((Reading(read_program("print(14)"), "14", "programs", digits[:1], True),))).count("…")
        == 1
    )


def test_the_bundled_network_knows_something() -> None:
    networks = load_trained()
    assert set(networks) == {"programs", "addition"}
    for trained in networks.values():
        assert trained.accuracy
        assert trained.accuracy[Level(1, 1)].whole > 0.5
    right, done = run(execute(None, ExecuteSettings(length=1, count=40))).score
    assert right > done / 2


def test_the_defaults_of_training_are_the_bundled_networks_recipe() -> None:
    made = load_checkpoint(find("execute")).metadata["training"]["programs"]["settings"]
    assert TrainExecuteSettings().model_dump(mode="json") == made


def test_the_bundled_network_is_right_as_often_as_it_says() -> None:
    trained = load_trained(device="cpu")["programs"]
    samples = [one for level in levels_of(trained) for one in held_out("programs", level, 60)]
    written = answer_all(trained.executor, samples, trained.writing, trained.device)
    right = torch.tensor([answer == one.answer for answer, one in zip(written.answers, samples, strict=True)])
    sure = written.confidences(trained.temperature) > 0.9
    assert sure.float().mean() > 0.5
    assert right[sure].float().mean() > 0.97
