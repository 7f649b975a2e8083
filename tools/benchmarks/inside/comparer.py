"""Runs in the sandbox, as the cells of a context: compares a candidate's outputs with right ones.

No line of the candidate's runs in this process: it reads the candidate's outputs as data. Whatever
they do to it, by their size or by what comparing them costs, ends this process alone.

In, on stdin: a line of JSON that names a task of `_TASKS`, then lines of it. Out: `READY`, then a
character for each comparison as soon as it is decided, so that the one which ends the process is
known.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from opencodeinterpreter.tools.benchmarks.inside.evalplus_rules import Rule, is_floats
from opencodeinterpreter.tools.grading.inside.wire import Long, WireError, read

READY, NO_NUMPY = "+", "-"
"""Said before anything is read: the comparisons can begin, or lack numpy."""
RIGHT, WRONG, LONG = "1", "0", "?"
"""Verdicts; LONG where only the whole values can tell."""

_held: dict[str, list[str]] = {}
"""Pieces of the text of long values, by whether they are `output` or `expected`."""


def main() -> None:
    """Do the task on the cell's stdin."""
    try:
        import numpy  # noqa: F401
    except ImportError:
        _say(NO_NUMPY)
        return
    _say(READY)
    head, _, rest = sys.stdin.read().partition("\n")
    asked = json.loads(head)
    rule = Rule(asked["family"], asked["entry_point"])
    for verdict in _TASKS[asked["task"]](rule, rest.split("\n")):
        _say(verdict)


def _say(text: str) -> None:
    os.write(1, text.encode())


def _groups(lines: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*[iter(lines)] * size, strict=True)


def _compare(rule: Rule, lines: list[str]) -> Iterator[str]:
    """Lines are tolerance, arguments, expected output and output, for each comparison."""
    for atol, arguments, expected, output in _groups(lines, 4):
        yield _verdict(rule, float(atol), read(arguments), read(expected), output)


def _verdict(rule: Rule, atol: float, arguments: Any, expected: Any, text: str) -> str:
    try:
        output = read(text)
    except WireError:
        return WRONG
    if isinstance(expected, Long) and _may_equal(output, expected):
        return LONG
    return RIGHT if rule.right(arguments, output, expected, atol) else WRONG


def _may_equal(output: Any, expected: Long) -> bool:
    """Return whether only whole values can tell: other content of the same type and length."""
    if output == expected or expected.kind == "str":
        return False
    if isinstance(output, Long):
        return (output.kind, output.length) == (expected.kind, expected.length)
    # Of other types a value has one length as text, so that both are long or neither is.
    listed = isinstance(output, list | tuple) and type(output).__name__ == expected.kind
    return listed and len(output) == expected.length


def _hold(rule: Rule, lines: list[str]) -> Iterator[str]:
    """Lines are `output` or `expected`, and a piece of its text."""
    which, piece = lines
    _held.setdefault(which, []).append(piece)
    yield from ()


def _compare_held(rule: Rule, lines: list[str]) -> Iterator[str]:
    """Lines are tolerance and arguments; the outputs are what was held."""
    atol, arguments = lines
    expected, output = ("".join(_held.pop(which, [])) for which in ("expected", "output"))
    try:
        right = rule.right(read(arguments), read(output), read(expected), float(atol))
    except WireError:
        right = False
    yield RIGHT if right else WRONG


def _describe(rule: Rule, lines: list[str]) -> Iterator[str]:
    """Lines are as those of `compare`, with the expected output twice.

    Two verdicts for each: whether whatever has the same text is right, which it is not where it
    holds NaN; whether it brings a tolerance for floats.
    """
    for atol, arguments, expected, output in _groups(lines, 4):
        right = rule.right(read(arguments), read(output), read(expected), float(atol))
        yield RIGHT if right else WRONG
        yield RIGHT if is_floats(read(expected)) else WRONG


_TASKS: dict[str, Callable[[Rule, list[str]], Iterator[str]]] = {
    "compare": _compare,
    "hold": _hold,
    "compare held": _compare_held,
    "describe": _describe,
}
