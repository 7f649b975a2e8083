"""The runner: it runs a program, and grades it if it has tests."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.grading.grader import MODULES
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import Runner, SandboxRunner
from opencodeinterpreter.tools.sandbox.local.sandbox import open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner() -> AsyncIterator[Runner]:
    async with open_local_sandbox() as sandbox:
        yield SandboxRunner(sandbox)


async def test_a_program_without_tests_is_run(runner: Runner) -> None:
    program = Program(code="import part\nprint(part.word)", files={"part.py": "word = 'hi'"})
    execution = await runner.run(program)
    assert (execution.status, execution.logs.stdout, execution.tests) == ("ok", "hi\n", None)
    assert not execution.passed
    assert 0 < execution.seconds < 10


async def test_a_program_with_tests_is_graded_with_its_files(runner: Runner) -> None:
    program = Program(
        code="import part\ndef f():\n    return part.word\nif __name__ == '__main__':\n    f(1)",
        files={"part.py": "word = 'hi'"},
        tests=PythonTests(source="import solution\nassert solution.f() == 'hi'"),
    )
    assert (await runner.run(program)).passed


async def test_a_program_is_called_at_its_entry_point_within_its_limits(runner: Runner) -> None:
    program = Program(
        code="def f(x):\n    while True: pass\ndef g(x):\n    return x",
        entry_point="f",
        tests=CaseTests(cases=(CallCase(args=(1,), expected=1),)),
        limits=SandboxLimits(wall_seconds=0.4),
    )
    execution = await runner.run(program)
    assert execution.status == "timeout"
    assert not execution.passed


async def test_an_execution_survives_its_json(runner: Runner) -> None:
    program = Program(
        code="def f():\n    raise ValueError('\\ud800')",
        tests=PythonTests(source="from solution import f\nassert f()"),
    )
    execution = await runner.run(program)
    assert Execution.model_validate_json(execution.model_dump_json()) == execution


DOUBLE = Program(
    code="def double(n):\n    return n * 2\n",
    tests=PythonTests(source="from solution import double\nassert double(2) == 4\n"),
)


@pytest.mark.parametrize("contexts", [2, 5])
async def test_more_programs_than_there_are_contexts_for_wait_for_their_turn(contexts: int) -> None:
    async with open_local_sandbox(
        LocalSandboxSettings(contexts=contexts, modules=MODULES)
    ) as sandbox:
        runners = SandboxRunner(sandbox), SandboxRunner(sandbox)
        graded = await asyncio.gather(*(each.run(DOUBLE) for each in runners * 4))
    assert [execution.passed for execution in graded] == [True] * 8


async def test_tests_beside_another_sandbox_take_a_context_of_each() -> None:
    async with (
        open_local_sandbox(LocalSandboxSettings(contexts=1, modules=MODULES)) as sandbox,
        open_local_sandbox(LocalSandboxSettings(contexts=1, modules=MODULES)) as apart,
    ):
        runner = SandboxRunner(sandbox, apart)
        graded = await asyncio.gather(*(runner.run(DOUBLE) for _ in range(3)))
    assert [execution.passed for execution in graded] == [True] * 3


async def test_a_sandbox_with_too_few_contexts_for_tests_is_refused() -> None:
    async with open_local_sandbox(LocalSandboxSettings(contexts=1, modules=MODULES)) as sandbox:
        with pytest.raises(
            SandboxError, match=r"2 contexts are needed at once, but this .* keeps only 1"
        ):
            await SandboxRunner(sandbox).run(DOUBLE)


async def test_a_program_that_is_cancelled_while_it_waits_leaves_its_place_to_others() -> None:
    async with open_local_sandbox(LocalSandboxSettings(contexts=2, modules=MODULES)) as sandbox:
        runner = SandboxRunner(sandbox)
        running = [asyncio.create_task(runner.run(DOUBLE)) for _ in range(8)]
        for number, task in enumerate(running):
            await asyncio.sleep(0.005)
            if number % 2:
                task.cancel()
        kept = await asyncio.gather(*running[::2])
        assert all(execution.passed for execution in kept)
        assert (await runner.run(DOUBLE)).passed
