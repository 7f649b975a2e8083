"""Tests in Python: outcomes of right, wrong, hanging and crashing candidates."""

import pytest

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASSERTIONS = """
from solution import add
assert add(2, 3) == 5
assert 0 == add(1, -1), "one and minus one"
pair = [add(1, 1)]
assert pair[0] > 1
for n in range(3):
    assert add(n, n) == 2 * n
"""
FUNCTIONS = """
import pytest
from solution import add

def test_sum():
    total = add(2, 3)
    assert total == 5

def test_text_is_refused():
    with pytest.raises(TypeError, match="unsupported"):
        add(1, "x")

def test_close():
    assert add(0.1, 0.2) == pytest.approx(0.3)
"""
RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"


async def graded(
    sandbox: LocalSandbox, code: str, tests: str, limits: SandboxLimits | None = None
) -> Execution:
    source = PythonTests(source=tests)
    program = Program(code=code, tests=source, limits=limits or SandboxLimits())
    return await grade(sandbox, program)


def statuses(execution: Execution) -> list[str]:
    return [test.status for test in execution.tests or ()]


def messages(execution: Execution) -> list[str]:
    return [test.message for test in execution.tests or ()]


@pytest.mark.parametrize("tests", [ASSERTIONS, FUNCTIONS])
async def test_a_right_candidate_passes_all(sandbox: LocalSandbox, tests: str) -> None:
    execution = await graded(sandbox, RIGHT, tests)
    assert execution.passed
    assert execution.status == "ok"
    assert execution.tier == "full"


async def test_each_wrong_assertion_says_what_was_expected(sandbox: LocalSandbox) -> None:
    execution = await graded(sandbox, WRONG, ASSERTIONS)
    assert not execution.passed
    assert messages(execution) == [
        "assert add(2, 3) == 5\nExpected: 5\nActual: -1",
        "assert 0 == add(1, -1)\nExpected: 0\nActual: 2\none and minus one",
        "assert pair[0] > 1\nLeft: 0\nRight: 1",
        "assert add(n, n) == 2 * n\nExpected: 2\nActual: 0",
    ]


async def test_functions_are_outcomes_by_name(sandbox: LocalSandbox) -> None:
    execution = await graded(sandbox, "def add(a, b):\n    return 5\n", FUNCTIONS)
    told = [(test.name, test.status, test.message) for test in execution.tests or ()]
    assert told == [
        ("tests.py::test_sum", "passed", ""),
        (
            "tests.py::test_text_is_refused",
            "failed",
            'with pytest.raises(TypeError, match="unsupported"):\nDID NOT RAISE TypeError',
        ),
        (
            "tests.py::test_close",
            "failed",
            "assert add(0.1, 0.2) == pytest.approx(0.3)\nExpected: 0.3 ± 3.0e-07\nActual: 5",
        ),
    ]


async def test_an_exception_shows_the_candidates_own_lines(sandbox: LocalSandbox) -> None:
    code = "def add(a, b):\n    return helper(a)\n\ndef helper(a):\n    return [][a]\n"
    execution = await graded(sandbox, code, "from solution import add\nassert add(2, 3) == 5")
    assert execution.tests is not None
    (test,) = execution.tests
    assert test.status == "error"
    lines = [line.strip() for line in test.message.splitlines()]
    assert lines[0] == "IndexError: list index out of range"
    assert [line for line in lines if line.startswith("File")] == [
        'File "solution.py", line 2, in add',
        'File "solution.py", line 5, in helper',
    ]


@pytest.mark.parametrize(
    ("code", "status", "first"),
    [
        ("def add(", "error", "error"),
        ("raise ValueError('at import')", "error", "error"),
        ("import sys; sys.exit(0)", "error", "error"),
        ("x = 1", "ok", "error"),
        ("import os; os._exit(0)", "exited", "error"),
        ("while True: pass", "timeout", "timeout"),
    ],
)
async def test_a_candidate_that_cannot_be_imported_passes_nothing(
    sandbox: LocalSandbox, code: str, status: str, first: str
) -> None:
    limits = SandboxLimits(wall_seconds=0.6 if "while" in code else 20)
    execution = await graded(sandbox, code, ASSERTIONS, limits)
    assert (execution.status, statuses(execution)) == (status, [first, *["not run"] * 3])
    if code == "def add(":
        assert execution.error is not None
        assert execution.error.name == "SyntaxError"
        assert 'File "solution.py", line 1' in messages(execution)[0]


async def test_an_endless_loop_is_a_timeout_and_later_tests_still_run(
    sandbox: LocalSandbox,
) -> None:
    code = "def add(a, b):\n    while a == 2: pass\n    return a + b\n"
    tests = "from solution import add\nassert add(2, 3) == 5\nassert add(1, 1) == 2"
    execution = await graded(sandbox, code, tests, SandboxLimits(wall_seconds=9))
    assert statuses(execution) == ["timeout", "passed"]
    assert (execution.status, execution.reason) == ("timeout", "wall")
    assert not execution.passed


@pytest.mark.parametrize(
    ("body", "limits", "status", "first"),
    [
        ("10 ** (10 ** 8)", SandboxLimits(wall_seconds=2), "timeout", "timeout"),
        ("__import__('os')._exit(0)", SandboxLimits(), "exited", "error"),
        ("__import__('ctypes').string_at(0)", SandboxLimits(), "crashed", "error"),
        ("b'x' * (100 << 20) * 1", SandboxLimits(memory_mb=32), "limit", "error"),
    ],
)
async def test_the_test_in_which_a_candidate_dies_is_named(
    sandbox: LocalSandbox, body: str, limits: SandboxLimits, status: str, first: str
) -> None:
    code = f"def add(a, b):\n    {body}\n    return a + b\n"
    tests = "from solution import add\nassert True\nassert add(2, 3) == 5\nassert True"
    execution = await graded(sandbox, code, tests, limits)
    assert execution.status == status
    assert statuses(execution)[:2] == ["passed", first]
    assert not execution.passed


async def test_what_a_candidate_prints_is_kept_apart_and_bounded(sandbox: LocalSandbox) -> None:
    code = "def add(a, b):\n    print('x' * 5000)\n    return a + b\n"
    limits = SandboxLimits(output_bytes=100)
    execution = await graded(sandbox, code, ASSERTIONS, limits)
    assert execution.passed
    assert execution.logs.stdout == "x" * 100
    assert execution.logs.stdout_dropped == 6 * 5001 - 100


async def test_messages_are_bounded(sandbox: LocalSandbox) -> None:
    code = "def add(a, b):\n    raise ValueError('x' * 1_000_000)\n"
    assert max(map(len, messages(await graded(sandbox, code, ASSERTIONS)))) <= 2000
    code = "def add(a, b):\n    return 'x' * 1_000_000\n"
    assert max(map(len, messages(await graded(sandbox, code, ASSERTIONS)))) <= 2000


async def test_a_file_without_top_level_assertions_is_one_test(sandbox: LocalSandbox) -> None:
    tests = "from solution import add\ndef check(f):\n    assert f(2, 3) == 5\ncheck(add)"
    assert statuses(await graded(sandbox, RIGHT, tests)) == ["passed"]
    execution = await graded(sandbox, WRONG, tests)
    assert messages(execution) == ["assert f(2, 3) == 5\nExpected: 5\nActual: -1"]


async def test_tests_that_do_not_parse_are_never_passed(sandbox: LocalSandbox) -> None:
    execution = await graded(sandbox, RIGHT, "assert (")
    assert statuses(execution) == ["error"]
    assert messages(execution)[0].startswith("the tests are broken")


async def test_a_failing_set_up_is_told_at_the_test_it_kept_from_running(
    sandbox: LocalSandbox,
) -> None:
    tests = "from solution import add\nassert add(1, 1) == 2\nx = add(1, None)\nassert x"
    execution = await graded(sandbox, RIGHT, tests)
    assert statuses(execution) == ["passed", "error"]
    assert messages(execution)[1].startswith("TypeError: ")
