"""The runner seam: it takes a program and returns an execution, using sandbox and grader."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from opencodeinterpreter.tools.execution import USUAL_LIMITS, Execution, SandboxLimits
from opencodeinterpreter.tools.grading.checking import check_tests
from opencodeinterpreter.tools.grading.grader import MODULES, grade
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.input_files import Content
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.opening import SandboxName, named_python, open_sandbox
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox, RunExtras
from opencodeinterpreter.tools.sessions import Sessions

_ALL_FILES = RunExtras(collect=["*"])


class Runner(Protocol):
    """Runs programs and grades their tests."""

    async def run(self, program: Program) -> Execution:
        """Run `program` and return what it did; raises SandboxError alone."""
        ...


class SandboxRunner:
    """Runs programs in `sandbox`, and grades those that have tests; the caller closes `sandbox`.

    Tests in Python run in `tests_sandbox`, by default in a separate context of `sandbox`. Pass
    another one if the contexts of one sandbox can reach each other.
    """

    def __init__(
        self, sandbox: ContextSandbox, tests_sandbox: ContextSandbox | None = None
    ) -> None:
        self._sandbox = sandbox
        self._tests_sandbox = tests_sandbox
        self._sessions = Sessions(sandbox)

    async def check(
        self,
        tests: Tests,
        entry_point: str | None,
        reference: str | None,
        inputs: Mapping[str, Content] | None = None,
        limits: SandboxLimits = USUAL_LIMITS,
    ) -> None:
        """Check a task's tests before a model is asked; see `check_tests`."""
        program = Program(
            code=reference or "",
            inputs=inputs or {},
            entry_point=entry_point,
            tests=tests,
            limits=limits,
        )
        await check_tests(self._tests_sandbox or self._sandbox, tests, program)

    async def run(self, program: Program) -> Execution:
        """Grade `program` if it has tests, else run it and collect the files that it wrote.

        A program without tests that names steps before it runs in a session.

        Raises SandboxError.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        if program.tests is not None:
            execution = await grade(self._sandbox, program, tests_sandbox=self._tests_sandbox)
        elif program.before is not None:
            execution = await self._sessions.run(program, program.before)
        else:
            execution = await self._sandbox.run_code(
                program.code, files=program.all_files, limits=program.limits, extras=_ALL_FILES
            )
        return execution.model_copy(update={"seconds": clock() - began})


@asynccontextmanager
async def open_runner(
    sandbox: SandboxName, preload: Sequence[str] = ()
) -> AsyncIterator[SandboxRunner]:
    """Open the sandbox of that name, yield a runner in it, and close it at the end.

    Programs run under the Python that the environment names, and find the modules of `preload`
    imported. Raises InputError for an unknown name or no such Python, and SandboxError if the
    sandbox cannot be opened.
    """
    async with open_sandbox(
        sandbox, preload=preload, modules=MODULES, python=named_python()
    ) as opened:
        yield SandboxRunner(opened)
