"""EvalPlus's rules for right outputs, one by one."""

from typing import Any

import numpy
import pytest

from opencodeinterpreter.tools.benchmarks.inside.evalplus_rules import Rule, is_floats
from opencodeinterpreter.tools.grading.inside.wire import Opaque


def right(
    output: Any,
    expected: Any,
    *,
    family: str = "humaneval",
    entry_point: str = "f",
    atol: float = 0,
    arguments: tuple[Any, ...] = (),
) -> bool:
    tolerance = 1e-6 if atol == 0 and is_floats(expected) else atol
    return Rule(family, entry_point).right(arguments, output, expected, tolerance)


@pytest.mark.parametrize(
    ("output", "expected", "verdict"),
    [
        (1, 1, True),
        (1, True, True),
        ([1], (1,), False),
        (0.1 + 0.2, 0.3, True),
        (0.3000009, 0.3, True),
        (0.300002, 0.3, False),
        (numpy.float64(0.3000001), 0.3, False),
        (numpy.float64(0.3), 0.3, True),
        ([0.1 + 0.2, 1.0], [0.3, 1.0], True),
        ([0.1 + 0.2, 1], [0.3, 1], False),
        ([0.3, 0.3], [0.3], False),
        ([], [], True),
        (float("nan"), float("nan"), False),
        (numpy.array([1.0, 2.0]), [1.0, 2.0], False),
        (numpy.array([1.0]), [1.0], True),
        ([[]], [0.3], False),
        ([[], []], [0.3, 0.5], False),
        ([[0.3], [0.3]], [0.3, 0.3], False),
        ([0.3, "0.5"], [0.3, 0.5], False),
        (Opaque("X"), 1, False),
        (None, 0, False),
    ],
)
def test_outputs_are_equal_or_close_and_of_one_type(
    output: Any, expected: Any, verdict: bool
) -> None:
    assert right(output, expected) == verdict


def test_a_root_is_right_where_the_polynomial_is_zero() -> None:
    how: dict[str, Any] = {"entry_point": "find_zero", "atol": 1e-4, "arguments": ([-6, 1, 1],)}
    assert right(2.00001, -3.0, **how)
    assert not right(2.1, 2.0, **how)
    assert not right(Opaque("Root"), 2.0, **how)


@pytest.mark.parametrize(
    ("entry_point", "arguments", "output", "expected", "verdict"),
    [
        ("are_equivalent", (1, 2), "anything", True, True),
        ("sum_div", (7,), 0, 1, True),
        ("sum_div", (7,), 2, 1, False),
        ("surface_Area", (3, 4), 35, 33, True),
        ("surface_Area", (3, 4), 33, 34, False),
        ("digit_distance_nums", (1, 256), 12, 7, True),
        ("digit_distance_nums", (1, 256), 13, 7, False),
        ("similar_elements", (), {4, 5}, (5, 4), True),
        ("Diff", (), [1, 1, 2], [2, 1], True),
        ("Diff", (), 5, [2, 1], False),
        ("check_str", (), Opaque("Match"), True, True),
        ("check_str", (), None, False, True),
        ("check_str", (), False, True, False),
        ("check_str", (), 0, False, False),
    ],
)
def test_some_tasks_have_their_own_rule(
    entry_point: str, arguments: tuple[Any, ...], output: Any, expected: Any, verdict: bool
) -> None:
    how: dict[str, Any] = {"family": "mbpp", "entry_point": entry_point, "arguments": arguments}
    assert right(output, expected, **how) == verdict
