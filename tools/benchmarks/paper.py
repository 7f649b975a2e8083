"""A task of HumanEval+ or MBPP+ as the paper's authors gave it to their loop.

The tests that score, base and plus inputs alike, also give the feedback. The assertions follow
EvalPlus's rules, special cases included; see `evalplus_rules`.
"""

import ast
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from opencodeinterpreter.tools.benchmarks.feedback import FeedbackTask, assertion
from opencodeinterpreter.tools.benchmarks.inside.evalplus_rules import AS_SETS, WHETHER_NONE
from opencodeinterpreter.tools.benchmarks.tasks import InputTask
from opencodeinterpreter.tools.benchmarks.truth import Truth, rule_of
from opencodeinterpreter.tools.grading.tests import PythonTests

_HEAD = "from math import inf\nfrom pytest import approx\nfrom solution import {}\n"
_BITS = 10_000
"""Python writes no integer of more than 4,300 digits."""


def with_scoring_tests(task: InputTask, truth: Truth) -> FeedbackTask:
    """Return a task whose feedback tests are those that score, and whose prompt is unchanged.

    Inputs and outputs that cannot be written as Python literals are left out.
    """
    mbpp = rule_of(task).family == "mbpp"
    prompt = str(ast.literal_eval(task.prompt.strip())).strip() if mbpp else task.prompt
    lines = [_HEAD.format(task.entry_point)]
    sets = {
        "base": zip(task.base_input, truth.base.values, strict=True),
        "plus": zip(task.plus_input, truth.plus.values, strict=True),
    }
    for name, calls in sets.items():
        # A function, not a test for each: there are a thousand, and the authors show one.
        if assertions := [f"    {line}" for line in _assertions(task, calls)]:
            lines += [f"def test_{name}():", *assertions, ""]
    source = "\n".join(lines)
    return FeedbackTask(prompt, task.entry_point, PythonTests(source=source))


def _assertions(task: InputTask, calls: Iterable[tuple[Sequence[Any], Any]]) -> Iterator[str]:
    """Yield an assertion for each call, of which arguments and right output are given."""
    for arguments, output in calls:
        # A Counter, for one, equals the dict of its items.
        value = dict(output) if isinstance(output, dict) else output
        if _is_literal(arguments) and _is_literal(value):
            yield _assertion(task, arguments, value)


def _assertion(task: InputTask, arguments: Sequence[Any], value: Any) -> str:
    call = f"{task.entry_point}({', '.join(map(repr, arguments))})"
    if rule_of(task).family == "humaneval":
        return assertion(task, arguments, value)
    if task.entry_point in AS_SETS:
        return f"assert set({call}) == set({value!r})"
    if task.entry_point in WHETHER_NONE:
        return f"assert ({call} not in (None, False)) is {value}"
    match task.entry_point:
        case "are_equivalent":  # any answer is right
            return f"assert [{call}]"
        case "sum_div":
            return f"assert {call} in ({value!r}, 0)"
        case "surface_Area":
            return f"assert {call} in ({value!r}, {_by_height(*arguments)!r})"
        case "digit_distance_nums":
            return f"assert {call} in ({value!r}, {_padded_distance(*arguments)!r})"
        case _:
            return assertion(task, arguments, value)


def _by_height(edge: float, height: float) -> int:
    """Return the surface of a pyramid whose second argument is its height."""
    return round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))


def _padded_distance(first: int, second: int) -> int:
    """Return the distance of the digits of two numbers, the shorter one padded with zeros."""
    width = max(len(str(first)), len(str(second)))
    pairs = zip(str(first).zfill(width), str(second).zfill(width), strict=True)
    return sum(abs(int(left) - int(right)) for left, right in pairs)


def _is_literal(value: Any) -> bool:
    """Whether the `repr` of a value is Python that gives it again; `nan` is not equal to itself."""
    if isinstance(value, list | tuple | set | frozenset):
        return type(value) in (list, tuple, set) and all(map(_is_literal, value))
    if isinstance(value, dict):
        return type(value) is dict and all(
            _is_literal(key) and _is_literal(held) for key, held in value.items()
        )
    if type(value) is int:
        return value.bit_length() < _BITS
    return value is None or (
        type(value) in (bool, float, complex, str, bytes) and bool(value == value)
    )
