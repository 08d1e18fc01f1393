"""Programs: the language and its interpreter, the generator, curricula, batches."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from creative.data.programs import (
    CHARACTERS,
    TASKS,
    Curriculum,
    Dice,
    Level,
    ProgramError,
    Sample,
    Writing,
    compose,
    encode,
    make_batch,
    operation_of,
    read_program,
    sample,
    split_of,
)

FIRST = "i=8827\nc=(i-5347)\nprint((c+8704) if 2641<8500 else 5308)"
SECOND = "j=8584\nfor x in range(8):\n    j+=920\nb=(1500+j)\nprint((b+7567))"


def mixed(random) -> Level:
    return Level(random(6), random(4))


@pytest.fixture(scope="module")
def ten_thousand() -> list[Sample]:
    return sample(range(10_000), mixed)


def test_the_papers_programs_are_in_the_language() -> None:
    assert read_program(FIRST).answer == 12184
    assert read_program(SECOND).answer == 25011
    assert read_program(FIRST).length == 4
    assert read_program(FIRST).nesting == 3


def test_cpython_prints_the_same_for_10_000_programs(ten_thousand: list[Sample]) -> None:
    # The programs are our own generator's; what a user types is never run.
    runner = (
        "import contextlib, io, json, sys\n"
        "out = []\n"
        "for program in json.load(sys.stdin):\n"
        "    printed = io.StringIO()\n"
        "    with contextlib.redirect_stdout(printed):\n"
        "        exec(program, {})\n"
        "    out.append(printed.getvalue().strip())\n"
        "print(json.dumps(out))\n"
    )
    programs = [found.program for found in ten_thousand]
    command = [sys.executable, "-c", runner]
    ran = subprocess.run(command, input=json.dumps(programs), capture_output=True, check=True, text=True)
    printed = json.loads(ran.stdout)
    assert printed == [found.answer for found in ten_thousand]
    assert printed == [str(read_program(program).answer) for program in programs]


def test_a_program_that_was_generated_is_read_as_it_is_written(ten_thousand: list[Sample]) -> None:
    for found in ten_thousand:
        assert read_program(found.program).text == found.program


def test_levels_are_recognised() -> None:
    for length, nesting in [(1, 1), (3, 1), (2, 2), (5, 3)]:
        read = [read_program(found.program) for found in sample(range(300), lambda random: Level(length, nesting))]  # noqa: B023
        assert max(program.length for program in read) == length
        assert max(program.nesting for program in read) == nesting
        # Passing a value on is an operation that leaves no trace.
        assert Counter(program.nesting for program in read).most_common(1)[0][0] == nesting


def test_all_six_operations_come_up_as_often() -> None:
    programs = [found.program for found in sample(range(6000), lambda random: Level(4, 1))]
    kinds = Counter(map(operation_of, programs))
    assert len(kinds) == 6
    for program in programs[:600]:
        found = {type(node).__name__ for node in ast.walk(ast.parse(program))}
        name = operation_of(program)
        mark = {"loop": "For", "condition": "IfExp", "product": "Mult", "assignment": "Assign"}.get(name)
        assert mark is None or mark in found
        assert mark is not None or not found & {"For", "IfExp", "Mult", "Assign"}
        assert (name == "number passed on") == (not found & {"BinOp", "IfExp", "For"})
    assert all(880 < count < 1120 for count in kinds.values()), kinds


def test_numbers_are_uniform_from_1_to_a_power_of_ten() -> None:
    dice = Dice(5)
    passed = (compose(dice, lambda random: Level(1, 1)).program for _ in range(12_000))
    numbers = Counter(int(p[6:-1]) for p in passed if p[6:-1].isdigit())
    assert sorted(numbers) == list(range(1, 11))
    assert all(140 < count < 260 for count in numbers.values()), numbers


def test_the_same_seed_gives_the_same_program_beside_whichever_others() -> None:
    assert sample([7, 8, 9], mixed)[1] == sample([8], mixed)[0]
    assert sample([7], mixed) != sample([8], mixed)


def test_long_programs_do_not_run_out_of_randomness() -> None:
    programs = {compose(Dice(seed, [1, 2, 3]), lambda random: Level(9, 10)).program for seed in range(50)}
    assert len(programs) == 50
    assert {read_program(program).nesting for program in programs} >= {9, 10}


def test_what_is_held_out_is_never_trained_on() -> None:
    def level(random) -> Level:
        return Level(1, 1)

    parts = {part: set(sample(range(3000), level, part=part)) for part in ("training", "validation", "test")}
    assert not parts["training"] & parts["test"]
    assert not parts["training"] & parts["validation"]
    assert not parts["validation"] & parts["test"]
    assert {split_of(found) for found in parts["test"]} == {0}
    assert {split_of(found) for found in parts["training"]} == set(range(2, 10))


def test_a_program_copied_with_its_margin_is_read_and_its_lines_are_counted() -> None:
    assert read_program("    a=5\n\n    for x in range(3):\n      a+=2\n    print(a)\n").answer == 11
    with pytest.raises(ProgramError, match=r"^Line 3: division"):
        read_program("\n    a=5\n    print(a/2)\n")


@pytest.mark.parametrize("task", ["addition", "memorisation"])
def test_tasks_without_a_program(task: str) -> None:
    for found in sample(range(200), lambda random: Level(5, 1), task=task):
        if task == "addition":
            a, b = found.program.removeprefix("print(").removesuffix(")").split("+")
            assert len(a) == len(b) == 5
            assert read_program(found.program).answer == int(found.answer) == int(a) + int(b)
        else:
            assert found.program == found.answer
            assert len(found.answer) == 5
    assert set(TASKS) == {"programs", "addition", "memorisation"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n \n\t\n", "empty"),
        ("# nothing", "empty"),
        ("a=5", "prints nothing"),
        ("print(1)\nprint(2)", "Line 2: a program prints once"),
        ("print(1)\na=2", "Line 2: nothing may follow"),
        ("print((a+1))", "Line 1: the variable 'a' has no value yet"),
        ("total=3\nprint(total)", "'total' is not in the language"),
        ("print(8/2)", "division"),
        ("print(8//2)", "division"),
        ("print(2**9)", "the power"),
        ("print(-5)", "a sign before a number is not in the language; write (0-5) for -5."),
        ("print(5.0)", "a number with a point"),
        ("print(True)", "a truth value"),
        ("print('a')", "a text"),
        ("print(1,2)", "print takes one number"),
        ("print()", "print takes one number"),
        ("print(1<2)", "a comparison"),
        ("print(1 if 2==2 else 3)", "by < or >"),
        ("print(1 if 1<2<3 else 3)", "by < or >"),
        ("a=b=3\nprint(a)", "an assignment has one variable"),
        ("a,b=3,4\nprint(a)", "cannot be assigned to"),
        ("a=1\nfor x in range(1000000):a+=1\nprint(a)", "Line 2: a loop of 1,000,000 is too long"),
        ("a=1\nfor y in range(3):a+=1\nprint(a)", "a loop's variable is x"),
        ("a=1\nfor x in [1]:a+=1\nprint(a)", "over a range"),
        ("a=1\nfor x in range(a):a+=1\nprint(a)", "range is one number"),
        ("a=1\nfor x in range(3):\n a+=1\n a+=2\nprint(a)", "does one thing"),
        ("a=1\nfor x in range(3):a*=2\nprint(a)", "adds or subtracts"),
        ("a=1\nfor x in range(999):a+=a\nprint(a)", "more than 18 digits"),
        ("print(" + "9" * 30 + ")", "more than 18 digits"),
        ("a=2\na=(a*a)\nprint(a)", "a number on one side"),
        ("a=1\na+=2\nprint(a)", "outside a loop"),
        (
            "a=1\nif a<2:\n  a=3\nprint(a)",
            "Line 2: an if of its own is not in the language; a conditional expression is",
        ),
        ("while 1:\n  pass", "while"),
        ("import os\nprint(1)", "an import"),
        ("exit()\nprint(1)", "a call of anything but print"),
        ("print(int(3))", "a call"),
        ("print((1+2)", "this is not Python"),
        ("a=1\n\tb=2\nprint(a)", "Line 2: this is not Python"),
        ("print(٣)", "'٣' is not in the language"),
        ("ａ=3\nprint(a)", "'ａ' is not in the language"),
        ("print(1)\0", "'\\x00' is not in the language"),
        ("print(" + "1+" * 3000 + "1)", "6,008 characters"),
        ("print(" + "1+" * 300 + "1)", "deep"),
        ("print(" + "(" * 300 + "1" + ")" * 300 + ")", "this is not Python"),
        ("a=1\n" * 40 + "print(a)", "Line 33: a program has at most 32"),
    ],
)
def test_everything_else_is_refused_with_its_line_and_the_reason(text: str, words: str) -> None:
    with pytest.raises(ProgramError) as told:
        read_program(text)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_how_it_is_typed_does_not_matter() -> None:
    plain = "a=5;\nfor x in range(3):a+=(2*7)\nprint((a-1))"
    typed = "\ufeff# mine\r\n\r\na = 5\r\n\r\nfor x in range(3):\r\n\ta += 2 * 7\r\n\r\nprint(a - 1)  # done\r\n"
    assert read_program(typed).text == plain
    assert read_program(typed).answer == 46
    assert read_program("a=5\nfor x in range(0):a+=3\nprint(a)").answer == 5


@pytest.mark.parametrize("least_digit_first", [False, True])
@pytest.mark.parametrize("doubled_input", [False, True])
@pytest.mark.parametrize("reversed_input", [False, True])
def test_batches_hold_the_characters(least_digit_first: bool, doubled_input: bool, reversed_input: bool) -> None:
    writing = Writing(least_digit_first, reversed_input, doubled_input)
    samples = sample(range(40), mixed)
    batch = make_batch(samples, writing)
    assert batch.programs.dtype == batch.answers.dtype == np.uint8
    for row, (program, answer) in enumerate(samples):
        program = program[::-1] if reversed_input else program
        program = f"{program}@{program}@" if doubled_input else f"{program}@"
        read = "".join(CHARACTERS[number] for number in batch.programs[row])
        assert read.rstrip("\0") == program
        assert batch.lengths[row] == len(program)
        written = "".join(CHARACTERS[number] for number in batch.answers[row]).rstrip("\0")
        assert written[-1] == "."
        assert writing.answer(written[:-1]) == answer
    assert "".join(CHARACTERS[number] for number in encode("print(1)")) == "print(1)"


def test_curricula_draw_what_they_should() -> None:
    target, dice = Level(4, 3), Dice(1)
    drawn = {name: Counter() for name in ("baseline", "naive", "mix", "combined")}
    for name, found in drawn.items():
        curriculum = Curriculum(name, target, now=Level(2, 1))
        found.update(curriculum.draw(dice) for _ in range(6000))
    assert set(drawn["baseline"]) == {target}
    assert set(drawn["naive"]) == {Level(2, 1)}
    assert len(drawn["mix"]) == len(drawn["combined"]) == 12
    assert all(400 < count < 600 for count in drawn["mix"].values())
    assert 4700 < drawn["combined"][Level(2, 1)] < 5100  # four in five, and a twelfth of the rest


def test_the_curriculum_steps_as_the_release_does() -> None:
    curriculum = Curriculum("naive", Level(2, 2))
    assert not curriculum.measured(0.95, 0.5)
    assert curriculum.measured(0.951, 0.6)
    seen = [curriculum.now]
    while curriculum.harder():
        seen.append(curriculum.now)
    assert seen == [Level(1, 1), Level(2, 1), Level(1, 2), Level(2, 2)]
    # The measurement that called for more is remembered, so that five are there after four more.
    assert [curriculum.measured(0.1, 0.5) for _ in range(6)] == [False, False, False, False, True, False]
    assert [curriculum.measured(0.1, 0.51 + 0.01 * n) for n in range(9)] == [False] * 9
    assert Curriculum("naive", Level(2, 2), _history=[1.0] * 5).measured(0.1, 1.0)  # it cannot get any better


def test_a_curriculum_goes_on_from_its_state() -> None:
    one = Curriculum("combined", Level(3, 2))
    one.measured(0.99, 0.9)
    one.harder()
    one.measured(0.2, 0.8)
    other = Curriculum("combined", Level(3, 2))
    other.load_state(json.loads(json.dumps(one.state())))
    assert other == one
