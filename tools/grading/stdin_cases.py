"""Grade a program by what it prints for what it reads, one run a case."""

from collections.abc import Mapping

from opencodeinterpreter.tools.execution import Execution, SandboxLimits, TestOutcome
from opencodeinterpreter.tools.grading.plain_data import cut
from opencodeinterpreter.tools.grading.tests import StdinCase
from opencodeinterpreter.tools.sandbox.protocol import Sandbox

_LEAST_SECONDS = 0.05
_SHOWN = 600


async def grade_stdin(
    sandbox: Sandbox,
    cases: tuple[StdinCase, ...],
    *,
    code: str,
    files: Mapping[str, str],
    limits: SandboxLimits,
) -> Execution:
    """Run every case; the execution is that of the first case that failed, else of the last.

    All cases together get `limits.wall_seconds`, and each at most half of what is left.
    """
    told: Execution | None = None
    failed = False
    seconds = 0.0
    outcomes: list[TestOutcome] = []
    for number, case in enumerate(cases, 1):
        name = f"case {number}"
        left = limits.wall_seconds - seconds
        if left < _LEAST_SECONDS:
            outcomes.append(TestOutcome(name=name, status="not run"))
            continue
        share = limits.model_copy(update={"wall_seconds": left / 2})
        ended = await sandbox.run_code(code, files=files, stdin=case.stdin, limits=share)
        seconds += ended.seconds
        outcomes.append(_outcome(name, case, ended))
        if not failed:
            told = ended
        failed = failed or outcomes[-1].status != "passed"
    told = told or Execution(status="ok")
    return told.model_copy(update={"tests": tuple(outcomes), "seconds": seconds})


def _outcome(name: str, case: StdinCase, ended: Execution) -> TestOutcome:
    asked = f"Input: {_shown(case.stdin)}\nExpected: {_shown(case.stdout)}"
    actual = f"{asked}\nActual: {_shown(ended.logs.stdout)}"
    if ended.status == "timeout":
        message = f"{actual}\nIt took too long and was stopped."
        return TestOutcome(name=name, status="timeout", message=cut(message))
    if ended.status != "ok" and (ended.status, ended.exit_code) != ("exited", 0):
        return TestOutcome(name=name, status="error", message=cut(f"{asked}\n{_ending(ended)}"))
    if ended.logs.stdout_dropped or lines(ended.logs.stdout) != lines(case.stdout):
        return TestOutcome(name=name, status="failed", message=cut(actual))
    return TestOutcome(name=name, status="passed")


def _shown(text: str) -> str:
    return cut(text.rstrip(), _SHOWN)


def lines(text: str) -> list[str]:
    """Return the lines of `text` without white space at their ends, nor empty ones at its end."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _ending(ended: Execution) -> str:
    if ended.error:
        return ended.error.traceback or f"{ended.error.name}: {ended.error.value}"
    if ended.status == "exited":
        return f"The program left with exit code {ended.exit_code}.\n{ended.logs.stderr}"
    return f"The program ended by {ended.status}: {ended.reason}"
