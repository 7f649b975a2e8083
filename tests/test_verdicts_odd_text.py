"""Texts that mean something to pytest's own formatting: a failed comparison is still told."""

import pytest

from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner
from tests.sampling import every

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = (
    *("1% of 4", "100%", "%s", "%(py0)s", "%%", "%o", "{x}", "}", "~", ">", "a\n{b", "a\n~b\n>c"),
    *("\\n{", "\x00%", "é%d", "{" * 50),
)


async def run(runner: SandboxRunner, text: str, check: str) -> Execution:
    code = f"def f(): return {text!r}\ndef raising(): raise ValueError({text!r})"
    source = f"import pytest\nfrom solution import f, raising\nODD = {text!r}\n{check}\n"
    return await runner.run(Program(code=code, tests=PythonTests(source=source)))


@pytest.mark.parametrize("text", ODD)
async def test_a_wrong_answer_is_told_with_both_values(runner: SandboxRunner, text: str) -> None:
    execution = await run(runner, text, "def test():\n    assert f() == 'right'")
    assert execution.tests is not None
    (test,) = execution.tests
    assert test.status == "failed"
    assert f"Expected: 'right'\nActual: {text!r}" in test.message


RIGHT = (
    "assert f() == 'left' or f() == ODD",
    "assert f() in ('a', ODD) and not f() == 'left'",
    "def test():\n    assert f() != 'left' and (f() == 'left' or f() == ODD)",
    "def test():\n    with pytest.raises(AssertionError):\n        assert f() == 'left'",
    "def test():\n    with pytest.raises(ValueError) as e:\n        raising()\n"
    "    assert str(e.value) == 'left' or str(e.value) == ODD",
)


@pytest.mark.parametrize("check", every(2, RIGHT))
async def test_a_right_answer_passes_after_a_comparison_that_fails(
    runner: SandboxRunner, check: str
) -> None:
    found = {text: (await run(runner, text, check)).tests or () for text in ODD}
    assert {text: [test.status for test in tests] for text, tests in found.items()} == {
        text: ["passed"] for text in ODD
    }
