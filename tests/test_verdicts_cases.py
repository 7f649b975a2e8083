"""Input/output cases that a careless comparison or reader gets wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.entry import checked_task
from opencodeinterpreter.graph.task_files import read_scored_tasks
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, StdinCase, read_tests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox
from opencodeinterpreter.tools.strict_json import DEEPEST

in_one_loop = pytest.mark.asyncio(loop_scope="module")

NUMBERS: list[tuple[str, Any, bool]] = [
    ("200000003 / 2", 100000001, False),
    ("100000001.0", 100000000, False),
    ("[100000001.0]", [100000000], False),
    ("(10**16 + 10**8) ** 0.5", 100000000, False),
    ("float(10**20)", 10**20 + 1, False),
    ("10**20 + 1", 1e20, False),
    ("100000001", 100000000.0, False),
    ("__import__('numpy').array([1e9 + 1])", [10**9], False),
    ("__import__('decimal').Decimal('4.6')", 4.5, False),
    ("__import__('fractions').Fraction(9, 4)", 4.5, False),
    ("True", 1.5, False),
    ("float('inf')", 10**20, False),
    ("27 ** (1 / 3)", 3, True),
    ("float(10**20)", 10**20, True),
    ("10**20", 1e20, True),
    ("0.1 + 0.2", 0.3, True),
    ("1e9 + 1e-3", 1e9, True),
    ("__import__('decimal').Decimal('4.5')", 4.5, True),
    ("[__import__('decimal').Decimal('0.1')]", [0.1], True),
    ("__import__('fractions').Fraction(9, 2)", 4.5, True),
    ("__import__('fractions').Fraction(4)", 4, True),
]


@in_one_loop
@pytest.mark.parametrize(("value", "expected", "right"), NUMBERS)
async def test_an_integer_needs_more_than_closeness(
    sandbox: LocalSandbox, value: str, expected: Any, right: bool
) -> None:
    tests = CaseTests(cases=(CallCase(args=(), expected=expected),))
    program = Program(code=f"def f():\n    return {value}\n", entry_point="f", tests=tests)
    assert (await grade(sandbox, program)).passed == right


@in_one_loop
@pytest.mark.parametrize(
    ("printed", "expected", "tolerance", "right"),
    [
        ("100000000000000000001", "100000000000000000000", 0.1, False),
        ("9007199254740993", "9007199254740992", 0.5, False),
        ("-9007199254740993", "-9007199254740992", 0.5, False),
        ("9007199254740993", "9007199254740992", 1.0, True),
        ("3", "3.05", 0.1, True),
        ("+3", "3", 0.1, True),
        ("0.1 5", "0.15 5", 0.1, True),
        ("9" * 5000, "8" * 5000, 0.1, False),
    ],
)
async def test_a_tolerance_is_exact_for_integers(
    sandbox: LocalSandbox, printed: str, expected: str, tolerance: float, right: bool
) -> None:
    tests = CaseTests(cases=(StdinCase(stdin="", stdout=expected, tolerance=tolerance),))
    program = Program(code=f"print({printed!r})", tests=tests)
    assert (await grade(sandbox, program)).passed == right


@in_one_loop
async def test_each_case_has_a_solution_object_of_its_own(sandbox: LocalSandbox) -> None:
    code = (
        "class Solution:\n"
        "    def __init__(self):\n        self.found = []\n"
        "    def f(self, x):\n        self.found.append(x)\n        return self.found\n"
    )
    cases = tuple(CallCase(args=(n,), expected=[n]) for n in range(3))
    program = Program(code=code, entry_point="f", tests=CaseTests(cases=cases))
    assert (await grade(sandbox, program)).passed


@in_one_loop
async def test_a_constructor_that_fails_in_a_later_case_is_told_with_its_line(
    sandbox: LocalSandbox,
) -> None:
    code = (
        "made = []\n"
        "class Solution:\n"
        "    def __init__(self):\n        made.append(1)\n        [0, 0, 0][len(made)]\n"
        "    def f(self, x):\n        return x\n"
    )
    cases = tuple(CallCase(args=(n,), expected=n) for n in range(3))
    program = Program(code=code, entry_point="f", tests=CaseTests(cases=cases))
    outcomes = list((await grade(sandbox, program)).tests or ())
    assert [each.status for each in outcomes] == ["passed", "error", "error"]
    assert "IndexError" in outcomes[1].message
    assert "line 5" in outcomes[1].message


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


FAULTS = {
    '{"args": [1], "expected": 1, "expected": 5}': "the key 'expected' occurs twice",
    '{"args": [{"a": 1, "a": 2}], "expected": 5}': "the key 'a' occurs twice",
    '{"args": [1], "expected": {"$int": "5"}}': "write the integer itself",
    '{"args": [1], "expected": {"$int": 5.7}}': "write the integer itself",
    '{"args": [1], "expected": {"$int": null}}': "write the integer itself",
    '{"args": [{"$int": [1]}], "expected": 1}': "write the integer itself",
    '{"args": [1], "expected": {"$int": "abc"}}': "write the integer itself",
    '{"args": [1e999], "expected": 1}': "1e999 is too large for a float",
    '{"args": [1], "expected": ' + "9" * 5000 + "}": "an integer of 5000 digits",
    '{"args": [1], "expected": {"\\ud800": 1}}': "half of a character",
    '{"args": ["\\udfff"], "expected": 1}': "half of a character",
    '{"args": [1], "expected": ' + nested(300) + "}": f"more than {DEEPEST} levels",
    '{"args": [1], "expected": ' + nested(500) + "}": f"more than {DEEPEST} levels",
    '{"args": [1], "expected": ' + nested(100_000) + "}": f"more than {DEEPEST} levels",
    '{"args": null, "expected": 1}': "`args` is a list, not null",
    '{"args": [1], "kwargs": {}, "expected": 1}': "this has: args, expected, kwargs",
    '{"stdin": 5, "stdout": ""}': "`stdin` is a text, not a number",
    '{"stdin": "", "stdout": "", "tolerance": true}': "a number, not true or false",
    '{"stdin": "", "stdout": "", "tolerance": -1}': "a finite number from 0",
    "5": "this is a number",
}


@pytest.mark.parametrize("line", FAULTS)
@pytest.mark.parametrize("field", ["a file of cases", "tests", "scoring"])
def test_a_faulty_case_is_one_line_wherever_it_stands(
    tmp_path: Path, field: str, line: str
) -> None:
    with pytest.raises(InputError) as caught:
        if field == "a file of cases":
            path = tmp_path / "cases.jsonl"
            path.write_text(f"{line}\n", "utf-8")
            read_tests(path)
        else:
            path = tmp_path / "tasks.jsonl"
            path.write_text(f'{{"id": "a", "prompt": "f(x)", "{field}": [{line}]}}\n', "utf-8")
            read_scored_tasks(path)
    told = str(caught.value)
    assert told.startswith(f"{path}, line 1: ")
    assert FAULTS[line] in told
    assert "\n" not in told and "pydantic" not in told
    assert len(told) < 400


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "a", "id": "b", "prompt": "x"}', "the key 'id' occurs twice"),
        ('{"id": "\\ud800", "prompt": "x"}', "half of a character"),
        ('{"id": "a", "prompt": "x\\ud800"}', "half of a character"),
        ('{"id": "a", "prompt": "x", "tests": []}', "`tests` has no case in it"),
        ('{"id": "a", "prompt": "x", "scoring": []}', "`scoring` has no case in it"),
        ('{"id": "a", "prompt": "x", "tests": 5}', "`tests` is Python or a list of cases"),
        ('{"id": "a", "prompt": "x", "scoring": {}}', "not an object"),
        (
            '{"id": "a", "prompt": "x", "tests": [{"args": [], "expected": 1}, '
            '{"stdin": "", "stdout": ""}]}',
            "tests, case 2: two shapes of cases",
        ),
        ("[]", "a task is a JSON object, not a list"),
    ],
)
def test_a_faulty_task_is_one_line(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(f"{line}\n", "utf-8")
    with pytest.raises(InputError, match=r"tasks\.jsonl, line 1: ") as caught:
        read_scored_tasks(path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_large_deep_or_odd_and_right_is_read(tmp_path: Path) -> None:
    value = {"$int": 1, "deep": json.loads(nested(DEEPEST - 4)), "long": 10**4000, "😀": "\u0000"}
    path = tmp_path / "tasks.jsonl"
    case = {"args": [value], "expected": value}
    path.write_text(json.dumps({"id": "a", "prompt": "f(x)", "tests": [case]}), "utf-8-sig")
    (scored,) = read_scored_tasks(path).values()
    stored = CaseTests.model_validate(scored.task.get("tests"))
    assert stored.cases == (CallCase(args=(value,), expected=value),)


def in_lists(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (in_lists(300), f"more than {DEEPEST} levels"),
        (in_lists(900), f"more than {DEEPEST} levels"),
        ({"\ud800": 1}, "half of a character"),
        (["\ud800"], "half of a character"),
        ({"$int": None}, "write the integer itself"),
    ],
    ids=["deep", "deeper", "half a key", "half a text", "stored form"],
)
def test_what_could_not_be_stored_is_refused_in_programs_too(value: Any, told: str) -> None:
    for case in ({"args": [value], "expected": 1}, {"args": [], "expected": value}):
        with pytest.raises(InputError, match=told):
            checked_task({"prompt": "f(x)", "tests": [case]})
