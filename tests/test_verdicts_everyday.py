"""Everyday tests of right programs pass, as with pytest; the wrong twin of each program fails."""

import pytest

from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner
from tests.everyday_table import everyday
from tests.sampling import every

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = everyday()


@pytest.mark.parametrize("name", every(3, CASES))
async def test_a_right_program_passes_and_its_wrong_twin_fails(
    runner: SandboxRunner, name: str
) -> None:
    case = CASES[name]
    tests = PythonTests(source=case.tests)
    await runner.check(tests, None, None)
    right = await runner.run(Program(code=case.right, tests=tests))
    assert [test for test in right.tests or () if test.status != "passed"] == []
    assert not (await runner.run(Program(code=case.wrong, tests=tests))).passed
