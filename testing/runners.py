"""A runner that executes nothing: executions come from a table."""

from collections.abc import Iterable, Mapping
from typing import Any

from opencodeinterpreter.tools.errors import SandboxError
from opencodeinterpreter.tools.execution import Execution, ExecutionError, Logs, TestOutcome
from opencodeinterpreter.tools.program import Program


class ScriptedRunner:
    """Answers each program with `table[its code, stripped]`, or `default` if it is not there.

    The first run of each code in `fails` raises SandboxError.
    """

    def __init__(
        self,
        table: Mapping[str, Execution] | None = None,
        default: Execution | None = None,
        fails: Iterable[str] = (),
    ) -> None:
        self.ran: list[Program] = []
        """All programs so far."""
        self._table = table or {}
        self._default = default or ran("")
        self._fails = set(fails)

    async def run(self, program: Program) -> Execution:
        """Return the execution of `program`."""
        self.ran.append(program)
        code = program.code.strip()
        if code in self._fails:
            self._fails.remove(code)
            raise SandboxError("the sandbox broke")
        return self._table.get(code, self._default)


def ran(stdout: str, **fields: Any) -> Execution:
    """Return an execution that ended normally and printed `stdout`."""
    return Execution(status="ok", exit_code=0, logs=Logs(stdout=stdout), seconds=0.25, **fields)


def raised(name: str, value: str = "", **fields: Any) -> Execution:
    """Return an execution that ended with the exception `name: value`."""
    traceback = f"Traceback (most recent call last):\n  line 1\n{name}: {value}"
    error = ExecutionError(name=name, value=value, traceback=traceback)
    return Execution(status="error", exit_code=1, error=error, seconds=0.25, **fields)


def graded(*passed: bool, message: str = "expected 4, got 5") -> Execution:
    """Return an execution with one test per value: passed if true, failed with `message` if not."""
    outcomes = tuple(
        TestOutcome(
            name=f"test {number}",
            status="passed" if good else "failed",
            message="" if good else message,
        )
        for number, good in enumerate(passed, 1)
    )
    return Execution(status="ok", exit_code=0, tests=outcomes, seconds=0.25)
