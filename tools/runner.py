"""The runner seam: a program in, an execution out; sandbox and grader together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.execution import Execution, SandboxLimits
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.tools.grading.checking import check_tests
from opencodeinterpreter.tools.grading.grader import MODULES, grade
from opencodeinterpreter.tools.grading.tests import Tests
from opencodeinterpreter.tools.sandbox.opening import SandboxName, open_sandbox
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox


class Program(Frozen):
    """One draft, ready to run."""

    code: str
    files: dict[str, str] = {}
    """Further files of the draft, by relative path."""
    entry_point: str | None = None
    """The function that call cases call."""
    tests: Tests | None = None
    """Feedback tests; without them the program itself is run."""
    limits: SandboxLimits = SandboxLimits()

    @property
    def digest(self) -> str:
        """The sha256 of everything that decides what runs.

        Recorded executions are found by it: a field that is added later stays out of it while it
        has its default.
        """
        return digest(self.model_dump(mode="json"))


class Runner(Protocol):
    """Runs programs and grades their tests."""

    async def run(self, program: Program) -> Execution:
        """Run `program`; what it did is in the execution, only SandboxError is raised."""
        ...


class SandboxRunner:
    """Runs programs in `sandbox`, which it does not close, and grades those that have tests.

    Tests in Python run in `tests_sandbox`, by default in a context of their own in `sandbox`:
    name another where contexts of one sandbox can reach each other.
    """

    def __init__(
        self, sandbox: ContextSandbox, tests_sandbox: ContextSandbox | None = None
    ) -> None:
        self._sandbox = sandbox
        self._tests_sandbox = tests_sandbox

    async def check(self, tests: Tests, entry_point: str | None, reference: str | None) -> None:
        """Check a task's tests before a model is asked; see `check_tests`."""
        await check_tests(self._tests_sandbox or self._sandbox, tests, entry_point, reference)

    async def run(self, program: Program) -> Execution:
        """Grade `program` where it has tests, else run it; raises SandboxError."""
        clock = asyncio.get_running_loop().time
        began = clock()
        if program.tests is None:
            execution = await self._sandbox.run_code(
                program.code, files=program.files, limits=program.limits
            )
        else:
            execution = await grade(
                self._sandbox,
                program.tests,
                code=program.code,
                files=program.files,
                entry_point=program.entry_point,
                limits=program.limits,
                tests_sandbox=self._tests_sandbox,
            )
        return execution.model_copy(update={"seconds": clock() - began})


@asynccontextmanager
async def open_runner(sandbox: SandboxName) -> AsyncIterator[SandboxRunner]:
    """Open the sandbox of that name and yield a runner in it; close it at the end.

    Raises InputError for an unknown name and SandboxError where the sandbox cannot be opened.
    """
    async with open_sandbox(sandbox, modules=MODULES) as opened:
        yield SandboxRunner(opened)
