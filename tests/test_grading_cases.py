"""Input/output cases: calls compared on the host's side, and programs that read and print."""

from typing import Any

import pytest

from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, StdinCase
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


def calls(*pairs: tuple[list[Any], Any]) -> CaseTests:
    return CaseTests(cases=tuple(CallCase(args=tuple(a), expected=e) for a, e in pairs))


def programs(*pairs: tuple[str, str]) -> CaseTests:
    return CaseTests(cases=tuple(StdinCase(stdin=i, stdout=o) for i, o in pairs))


async def graded(
    sandbox: LocalSandbox,
    code: str,
    tests: CaseTests,
    entry_point: str | None = None,
    limits: SandboxLimits | None = None,
) -> Execution:
    limits = limits or SandboxLimits()
    program = Program(code=code, entry_point=entry_point, tests=tests, limits=limits)
    return await grade(sandbox, program)


def outcomes(execution: Execution) -> list[tuple[str, str, str]]:
    return [(test.name, test.status, test.message) for test in execution.tests or ()]


async def test_a_call_is_compared_with_what_was_expected(sandbox: LocalSandbox) -> None:
    code = "def low(a, b):\n    return min(a, b)\n\ndef add(a, b):\n    return a + b\n"
    tests = calls(([2, 3], 5), ([[1], [2]], [1, 2]), ([0.1, 0.2], 0.3), ([1, 1], 3))
    execution = await graded(sandbox, code, tests, "add")
    assert outcomes(execution) == [
        ("case 1", "passed", ""),
        ("case 2", "passed", ""),
        ("case 3", "passed", ""),
        ("case 4", "failed", "Input: add(1, 1)\nExpected: 3\nActual: 2"),
    ]
    named = await graded(sandbox, code, calls(([2, 3], 2)), entry_point="low")
    assert named.passed


async def test_a_single_case_of_a_program_gets_the_whole_time(sandbox: LocalSandbox) -> None:
    code = "import time; time.sleep(1.2); print(1)"
    limits = SandboxLimits(wall_seconds=2)
    one = await graded(sandbox, code, programs(("", "1")), limits=limits)
    assert one.passed
    two = await graded(sandbox, code, programs(("", "1"), ("", "1")), limits=limits)
    name, status, message = outcomes(two)[0]
    assert (name, status) == ("case 1", "timeout")
    assert "It took longer than 1 s" in message


@pytest.mark.parametrize(
    ("value", "expected", "passes"),
    [
        ("(1, [2, {'a': None}])", [1, [2, {"a": None}]], True),
        ("{1: 2}", {"1": 2}, False),
        ("{'1': 2}", {"1": 2}, True),
        ("__import__('collections').Counter('aab')", {"a": 2, "b": 1}, True),
        ("1 == 1", True, True),
        ("{1, 2}", [1, 2], False),
        ("'1'", 1, False),
        ("None", 0, False),
        ("[1]", 1, False),
        ("float('nan')", 0, False),
        ("float('inf')", 10**400, False),
        ("10 ** 5000", 1, False),
        ("print", None, False),
        ("type('E', (), {'__eq__': lambda self, other: True})()", 1, False),
        ("type('E', (int,), {'__eq__': lambda self, other: True})(2)", 1, False),
    ],
)
async def test_only_plain_equal_values_pass(
    sandbox: LocalSandbox, value: str, expected: Any, passes: bool
) -> None:
    execution = await graded(sandbox, f"def f():\n    return {value}\n", calls(([], expected)), "f")
    assert execution.passed == passes
    assert execution.status == "ok"


async def test_an_endless_result_is_no_failure_of_the_sandbox(sandbox: LocalSandbox) -> None:
    code = "def f():\n    x = []\n    x.append(x)\n    return x\n"
    ((_, status, message),) = outcomes(await graded(sandbox, code, calls(([], [[]])), "f"))
    assert (status, message.splitlines()[-1]) == ("failed", "Actual: [[...]]")


async def test_exceptions_and_hangs_are_told_a_case(sandbox: LocalSandbox) -> None:
    code = "def f(x):\n    while x == 1: pass\n    return 1 // x\n"
    tests = calls(([0], 1), ([1], 1), ([2], 0))
    limits = SandboxLimits(wall_seconds=9)
    told = outcomes(await graded(sandbox, code, tests, "f", limits))
    assert [status for _, status, _ in told] == ["error", "timeout", "passed"]
    assert "Actual: ZeroDivisionError: " in told[0][2]
    assert 'File "solution.py", line 3, in f' in told[0][2]


async def test_a_missing_entry_point_is_named(sandbox: LocalSandbox) -> None:
    told = outcomes(await graded(sandbox, "x = 1", calls(([], 1), ([], 2)), entry_point="solve"))
    assert told == [
        ("case 1", "error", "the program defines no function solve"),
        ("case 2", "not run", ""),
    ]


async def test_large_results_are_compared_whole(sandbox: LocalSandbox) -> None:
    code = "def f(n):\n    return list(range(n))\n"
    numbers = list(range(100_000))
    assert (await graded(sandbox, code, calls(([100_000], numbers)), "f")).passed
    numbers[-1] = 0
    execution = await graded(sandbox, code, calls(([100_000], numbers)), "f")
    assert not execution.passed
    assert len(outcomes(execution)[0][2]) <= 2000


async def test_a_program_is_compared_by_what_it_prints(sandbox: LocalSandbox) -> None:
    code = "a, b = map(int, input().split())\nprint(a + b, ' ')\nprint()\n"
    execution = await graded(sandbox, code, programs(("1 2\n", "3"), ("2 2\n", "5\n")))
    assert outcomes(execution) == [
        ("case 1", "passed", ""),
        ("case 2", "failed", "Input: 2 2\nExpected: 5\nActual: 4"),
    ]
    assert execution.logs.stdout == "4  \n\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("print(3)\nimport sys; sys.exit(0)", "passed"),
        ("print(3)\nimport sys; sys.exit(1)", "error"),
        ("print(3)\n1 / 0", "error"),
        ("print(3)\nwhile True: pass", "timeout"),
        ("print(3, end='')", "passed"),
        ("print(' 3')", "failed"),
        ("print('3' + ' ' * 99_999)", "failed"),
        ("import sys; print(3, file=sys.stderr)", "failed"),
    ],
)
async def test_how_a_program_ends_counts_too(sandbox: LocalSandbox, code: str, status: str) -> None:
    limits = SandboxLimits(wall_seconds=0.6 if "while" in code else 20)
    ((_, told, message),) = outcomes(
        await graded(sandbox, code, programs(("", "3\n")), limits=limits)
    )
    assert told == status
    assert len(message) <= 2000


async def test_a_program_that_always_hangs_does_not_outlast_its_limit(
    sandbox: LocalSandbox,
) -> None:
    tests = programs(*[("", "3\n")] * 9)
    limits = SandboxLimits(wall_seconds=0.4)
    execution = await graded(sandbox, "while True: pass", tests, limits=limits)
    told = [status for _, status, _ in outcomes(execution)]
    assert told[0] == "timeout"
    assert told[-1] == "not run"
    assert execution.seconds < 2
