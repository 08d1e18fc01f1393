"""The language of the programs, and what they print: an interpreter that accepts this language and nothing else.

A program is up to 32 statements, each on a line of its own, the last one a print::

    NAME=EXPRESSION                                  a letter from a to j
    for x in range(NUMBER):NAME+=EXPRESSION          or -=; the loop may also be written on two lines
    print(EXPRESSION)

An expression is a whole number, a variable, a sum or a difference, a product with a number, or a conditional expression
on a comparison by < or >. Python's own parser reads the text, and what it found is walked here: a program that somebody
typed is never given to exec or eval.
"""

from __future__ import annotations

import ast
import textwrap
import warnings
from dataclasses import dataclass

NAMES = "abcdefghij"
"""The variables a program may have."""
MAX_CHARACTERS = 1000
MAX_STATEMENTS = 32
MAX_DEPTH = 24
"""Expressions within expressions."""
MAX_LOOP = 1000
MAX_VALUE = 10**18
"""No value on the way may be larger."""


class ProgramError(ValueError):
    """A program outside the language. The message is one sentence for a person, with the line.

    Attributes:
        line: where, from 1; None where it is the whole program.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(f"Line {line}: {message}" if line else message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Program:
    """A program that was read.

    Attributes:
        text: as the generator would have written it: without blanks, comments and needless lines, all brackets there.
        answer: the number that it prints.
        length: digits of its longest number, as the generator counts them: numbers up to 10^length.
        nesting: operations one within or after another.
    """

    text: str
    answer: int
    length: int
    nesting: int


def read_program(text: str) -> Program:
    """Read and run a program.

    Raises:
        ProgramError: it is not in the language, prints nothing or twice, or its numbers grow too large.

    Example:
        >>> read_program("i=8827\\nc=(i-5347)\\nprint((c+8704) if 2641<8500 else 5308)").answer
        12184
    """
    reader = _Reader()
    for statement in _parsed(text):
        reader.statement(statement)
    if reader.answer is None:
        raise ProgramError("The program prints nothing: its last line must be a print, such as print((a+1)).")
    return Program("\n".join(reader.lines), reader.answer, reader.length, max(1, reader.nesting))


def _parsed(text: str) -> list[ast.stmt]:
    text = textwrap.dedent(text.removeprefix("\ufeff"))  # as it may have been copied from a page
    if len(text) > MAX_CHARACTERS:
        raise ProgramError(f"The program has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read.")
    for number, line in enumerate(text.split("\n"), 1):
        for character in line:
            if not (character.isascii() and (character.isprintable() or character in "\t\r\f")):
                raise ProgramError(f"the character {character!r} is not in the language.", number)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(text).body
    except SyntaxError as error:
        raise ProgramError(f"this is not Python: {error.msg}.", error.lineno) from None
    except (ValueError, RecursionError, MemoryError):
        raise ProgramError("The program is nested too deeply to be read.") from None
    if not statements:
        raise ProgramError("The program is empty: write a few lines, the last one a print, such as print((12+34)).")
    if len(statements) > MAX_STATEMENTS:
        raise ProgramError(
            f"a program has at most {MAX_STATEMENTS} statements, this one {len(statements)}.",
            statements[MAX_STATEMENTS].lineno,
        )
    return statements


_Value = tuple[str, int]
"""An expression as the generator writes it, and its value."""


class _Reader:
    """Walks the statements in order, running them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answer: int | None = None
        self.length = 1
        self.nesting = 0
        self._variables: dict[str, int] = {}

    def statement(self, node: ast.stmt) -> None:
        call = _print_call(node)
        if self.answer is not None:
            reason = "a program prints once, and this is the second time" if call else "nothing may follow the print"
            raise ProgramError(f"{reason}.", node.lineno)
        if isinstance(node, ast.Assign):
            name = self._name(node.targets[0], node) if len(node.targets) == 1 else None
            if name is None:
                raise ProgramError("an assignment has one variable, such as a=(12+34).", node.lineno)
            text, value = self._expression(node.value)
            self._variables[name] = value
            self.lines.append(f"{name}={text};")
        elif isinstance(node, ast.For):
            self._loop(node)
        elif call is not None:
            self._print(call)
        else:
            raise _refused(node)

    def _print(self, call: ast.Call) -> None:
        if len(call.args) != 1 or call.keywords or isinstance(call.args[0], ast.Starred):
            raise ProgramError("print takes one number, such as print((a+1)).", call.lineno)
        text, self.answer = self._expression(call.args[0])
        self.lines.append(f"print({text})")

    def _loop(self, node: ast.For) -> None:
        call, body = node.iter, node.body
        if not isinstance(node.target, ast.Name) or node.target.id != "x":
            raise ProgramError("a loop's variable is x: for x in range(8):.", node.lineno)
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise ProgramError("a loop goes over a range: for x in range(8):.", node.lineno)
        count = _number(call.args[0]) if len(call.args) == 1 and not call.keywords else None
        if count is None:
            raise ProgramError("a loop's range is one number: for x in range(8):.", node.lineno)
        change = body[0]
        if len(body) != 1 or not isinstance(change, ast.AugAssign) or node.orelse:
            raise ProgramError("a loop does one thing, such as a+=12.", change.lineno)
        if count > MAX_LOOP:
            raise ProgramError(f"a loop of {count:,} is too long; at most {MAX_LOOP:,} are run.", node.lineno)
        if not isinstance(change.op, ast.Add | ast.Sub):
            raise ProgramError("a loop adds or subtracts: a+=12 or a-=12.", change.lineno)
        sign = "+" if isinstance(change.op, ast.Add) else "-"
        name = self._name(change.target, change)
        value, before = self._known(name, change), self.nesting
        text, by = self._expression(change.value)
        for _ in range(count):
            self.nesting = before  # what is in the body counts once
            text, by = self._expression(change.value)
            value = self._bounded(value + by if sign == "+" else value - by, change)
            self._variables[name] = value
        self._count_multiplier(count)
        self.nesting += 1
        self.lines.append(f"for x in range({count}):{name}{sign}={text}")

    def _expression(self, node: ast.expr, depth: int = 0) -> _Value:
        if depth > MAX_DEPTH:
            raise ProgramError(f"expressions are nested more than {MAX_DEPTH} deep.", node.lineno)
        number = _number(node)
        if number is not None:
            value = self._bounded(number, node)
            self.length = max(self.length, len(str(max(value - 1, 0))))
            return str(value), value
        if isinstance(node, ast.Name):
            return node.id, self._known(self._name(node, node), node)
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth)
        if isinstance(node, ast.IfExp):
            return self._conditional(node, depth)
        raise _refused(node)

    def _operation(self, node: ast.BinOp, depth: int) -> _Value:
        if isinstance(node.op, ast.Mult):
            return self._product(node, depth)
        if not isinstance(node.op, ast.Add | ast.Sub):
            raise ProgramError(f"{_words(node.op)} is not in the language; +, - and * are.", node.lineno)
        (left, a), (right, b) = self._expression(node.left, depth + 1), self._expression(node.right, depth + 1)
        self.nesting += 1
        if isinstance(node.op, ast.Add):
            return f"({left}+{right})", self._bounded(a + b, node)
        return f"({left}-{right})", self._bounded(a - b, node)

    def _product(self, node: ast.BinOp, depth: int) -> _Value:
        first, second = _number(node.left), _number(node.right)
        # Of two numbers the smaller one is taken for the multiplier, of which there are few.
        if second is not None and (first is None or second <= first):
            (text, value), factor = self._expression(node.left, depth + 1), second
            text = f"({text}*{factor})"
        elif first is not None:
            (text, value), factor = self._expression(node.right, depth + 1), first
            text = f"({factor}*{text})"
        else:
            raise ProgramError("a product has a number on one side, such as (a*3).", node.lineno)
        self._count_multiplier(factor)
        self.nesting += 1
        return text, self._bounded(value * self._bounded(factor, node), node)

    def _conditional(self, node: ast.IfExp, depth: int) -> _Value:
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Lt | ast.Gt):
            raise ProgramError("a condition is one comparison by < or >, such as (1 if a<5 else 2).", test.lineno)
        chosen, other, left, right = (
            self._expression(part, depth + 1) for part in (node.body, node.orelse, test.left, test.comparators[0])
        )
        sign = "<" if isinstance(test.ops[0], ast.Lt) else ">"
        holds = left[1] < right[1] if sign == "<" else left[1] > right[1]
        self.nesting += 1
        return f"({chosen[0]} if {left[0]}{sign}{right[0]} else {other[0]})", (chosen if holds else other)[1]

    def _count_multiplier(self, factor: int) -> None:
        """A program of some length has multipliers and loops up to four times that."""
        if factor <= 40:
            self.length = max(self.length, -(-factor // 4))
        else:
            self.length = max(self.length, len(str(factor - 1)))

    @staticmethod
    def _name(target: ast.expr, node: ast.stmt | ast.expr) -> str:
        if not isinstance(target, ast.Name):
            raise ProgramError(f"{_words(target)} cannot be assigned to; a letter from a to j can.", node.lineno)
        if target.id not in NAMES or len(target.id) != 1:
            raise ProgramError(f"the variable {target.id[:20]!r} is not in the language; a to j are.", node.lineno)
        return target.id

    def _known(self, name: str, node: ast.stmt | ast.expr) -> int:
        if name not in self._variables:
            raise ProgramError(f"the variable {name!r} has no value yet.", node.lineno)
        return self._variables[name]

    @staticmethod
    def _bounded(value: int, node: ast.stmt | ast.expr) -> int:
        if abs(value) > MAX_VALUE:
            raise ProgramError("a number here has more than 18 digits, which is too long.", node.lineno)
        return value


def _number(node: ast.expr) -> int | None:
    """Its value, if it is a whole number."""
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _print_call(node: ast.stmt) -> ast.Call | None:
    """The call, if the statement is a print."""
    call = node.value if isinstance(node, ast.Expr) else None
    named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"
    return call if named and isinstance(call, ast.Call) else None


_KINDS = {
    "Div": "division",
    "FloorDiv": "division",
    "Mod": "the remainder",
    "Pow": "the power",
    "UnaryOp": "a sign before a number",
    "AugAssign": "+= outside a loop",
    "While": "while",
    "If": "an if of its own",
    "FunctionDef": "a function",
    "Import": "an import",
    "ImportFrom": "an import",
    "Expr": "a line that does nothing",
    "Call": "a call",
    "Compare": "a comparison outside a condition",
    "JoinedStr": "a text",
    "List": "a list",
    "Tuple": "a tuple",
    "Subscript": "an index",
    "Attribute": "an attribute",
    "Name": "a variable",
}


_INSTEAD = {
    "If": "; a conditional expression is, such as (1 if a<5 else 2)",
    "UnaryOp": "; write (0-5) for -5",
}


def _refused(node: ast.stmt | ast.expr) -> ProgramError:
    instead = _INSTEAD.get(type(node).__name__, "")
    return ProgramError(f"{_words(node)} is not in the language{instead}.", node.lineno)


def _words(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return {"str": "a text", "float": "a number with a point", "bool": "a truth value"}.get(
            type(node.value).__name__, "a value of this kind"
        )
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return "a call of anything but print"
    return _KINDS.get(type(node).__name__, f"Python's {type(node).__name__}")
