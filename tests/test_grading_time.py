"""The time of one test is a setting, and an outcome says that it was spent."""

from typing import Any

import pytest

from opencodeinterpreter.tools.execution import SandboxLimits, TestOutcome
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests, StdinCase
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = """
import time
def wait(seconds):
    time.sleep(seconds)
    return seconds
if __name__ == "__main__":
    print(wait(float(input())))
"""
CALLS = CaseTests(cases=(CallCase(args=(5,), expected=5), CallCase(args=(0,), expected=0)))
PRINTS = CaseTests(cases=(StdinCase(stdin="5", stdout="5.0"), StdinCase(stdin="0", stdout="0.0")))
PYTHON = PythonTests(
    source=(
        "from solution import wait\n"
        "def test_long():\n    assert wait(5) == 5\n"
        "def test_short():\n    assert wait(0) == 0\n"
    )
)
MANY_CALLS = PythonTests(
    source=(
        "from solution import wait\n"
        "def test_long():\n    assert all(wait(0.2) == 0.2 for _ in range(20))\n"
        "def test_short():\n    assert wait(0.2) == 0.2\n"
    )
)


async def outcomes(runner: SandboxRunner, tests: Any, **limits: Any) -> tuple[TestOutcome, ...]:
    given = SandboxLimits(wall_seconds=20, cpu_seconds=20, **limits)
    program = Program(code=SLOW, tests=tests, entry_point="wait", limits=given)
    return (await runner.run(program)).tests or ()


@pytest.mark.parametrize("tests", [CALLS, PRINTS, PYTHON, MANY_CALLS])
async def test_a_test_that_takes_longer_fails_and_the_next_one_runs(
    runner: SandboxRunner, tests: Any
) -> None:
    long, short = await outcomes(runner, tests, test_seconds=1)
    assert (long.status, short.status) == ("timeout", "passed")
    assert "longer than" in long.message or "the 1 s for one test are spent" in long.message


async def test_a_test_may_take_more_than_half_of_the_whole_time(runner: SandboxRunner) -> None:
    limits = SandboxLimits(wall_seconds=3, cpu_seconds=3)
    case = CaseTests(cases=(CallCase(args=(1.8,), expected=1.8),))
    program = Program(code=SLOW, tests=case, entry_point="wait", limits=limits)
    assert not (await runner.run(program)).passed
    longer = limits.model_copy(update={"test_seconds": 2.8})
    assert (await runner.run(program.model_copy(update={"limits": longer}))).passed


ENDLESS = """
import itertools
def count(): return itertools.count()
def total(numbers): return sum(numbers)
def one(): return 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("call", ["list(count())", "set(count())", "total(itertools.count())"])
async def test_an_endless_iterator_ends_its_own_test_alone(
    runner: SandboxRunner, call: str
) -> None:
    source = f"import itertools\nfrom solution import *\ndef test_a():\n    assert {call} == 3\n"
    tests = PythonTests(source=f"{source}def test_b():\n    assert one() == 1\n")
    limits = SandboxLimits(wall_seconds=10, cpu_seconds=10)
    done = await runner.run(Program(code=ENDLESS, tests=tests, limits=limits))
    told = [(test.status, "of the 10 s for all tests" in test.message) for test in done.tests or ()]
    assert told == [("timeout", True), ("passed", False)]


async def test_without_the_setting_a_program_keeps_its_digest() -> None:
    assert "test_seconds" not in Program(code="x").model_dump()["limits"]
