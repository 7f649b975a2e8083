"""Run a candidate's tests in the sandbox and write down what became of each.

Tests in Python run in the candidate's own process, so a candidate that sets out to forge their
outcomes can. The results of calls and what a program prints are compared on our side. A test
that nobody told of has not passed.
"""

import ast
import asyncio
import json
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from opencodeinterpreter.tools.grading import harness
from opencodeinterpreter.tools.grading.outcomes import TestOutcome
from opencodeinterpreter.tools.grading.plain import cut, equal, shown
from opencodeinterpreter.tools.grading.plan import plan
from opencodeinterpreter.tools.grading.stdin import grade_stdin
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, StdinCase, Tests
from opencodeinterpreter.tools.sandbox.protocol import (
    Execution,
    ExecutionError,
    Logs,
    Sandbox,
    SandboxLimits,
)

_RESULTS = 16 << 20
"""Bytes of results that are kept of one candidate."""
_Outcome = Literal["passed", "failed", "error", "timeout", "not run"]


class _Job(NamedTuple):
    names: list[str]
    message: dict[str, Any]
    cases: tuple[CallCase, ...] = ()
    entry_point: str = ""


async def grade(
    sandbox: Sandbox,
    tests: Tests,
    *,
    code: str,
    files: Mapping[str, str],
    entry_point: str | None,
    limits: SandboxLimits,
) -> Execution:
    """Run `tests` against `code`; the execution holds an outcome of each, in their order.

    `limits` hold for all tests together. Raises SandboxError when the sandbox fails.
    """
    if isinstance(tests, CaseTests) and tests.cases and isinstance(tests.cases[0], StdinCase):
        return await grade_stdin(sandbox, tests.cases, code=code, files=files, limits=limits)
    try:
        job = _job(tests, code, entry_point)
    except (SyntaxError, ValueError, RecursionError) as error:
        broken = TestOutcome(name="tests", status="error", message=f"the tests are broken: {error}")
        return Execution(status="ok", tests=(broken,))
    seconds = min(limits.wall_seconds, limits.cpu_seconds)
    ended = await sandbox.run_code(
        await asyncio.to_thread(_harness),
        files={**files, "solution.py": code},
        stdin=json.dumps({**job.message, "seconds": seconds}),
        limits=limits.model_copy(update={"output_bytes": _RESULTS}),
    )
    return await asyncio.to_thread(_graded, job, ended, limits)


@cache
def _harness() -> str:
    return Path(harness.__file__).read_text(encoding="utf-8")


def _job(tests: Tests, code: str, entry_point: str | None) -> _Job:
    if isinstance(tests, CaseTests):
        cases = cast(tuple[CallCase, ...], tests.cases)
        name = entry_point or last_function(code)
        message = {"entry_point": name, "args": [case.args for case in cases]}
        return _Job([f"case {at}" for at in range(1, len(cases) + 1)], message, cases, name)
    names, steps = plan(tests.source)
    return _Job(names, {"steps": steps})


def last_function(code: str) -> str:
    """Return the name of the last function at the top level of `code`, empty if it has none."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError):
        return ""
    return next((node.name for node in reversed(body) if isinstance(node, ast.FunctionDef)), "")


def _graded(job: _Job, ended: Execution, limits: SandboxLimits) -> Execution:
    told = _Told(ended.logs.stdout)
    outcomes = tuple(_outcome(job, at, told, ended) for at in range(len(job.names)))
    changes: dict[str, Any] = {"tests": outcomes, "logs": _logs(ended.logs, limits.output_bytes)}
    if told.broken is not None:
        changes |= {"status": "error", "error": told.broken, "exit_code": 1, "reason": ""}
    elif any(outcome.status == "timeout" for outcome in outcomes) and not ended.reason:
        changes |= {"status": "timeout", "reason": "wall", "exit_code": None}
    elif told.done:
        changes |= {"status": "ok", "exit_code": 0, "reason": ""}
    return ended.model_copy(update=changes)


def _logs(logs: Logs, most: int) -> Logs:
    """What the candidate printed, on either stream, as its stdout."""
    printed = logs.stderr.encode()
    kept = printed[:most].decode(errors="ignore")
    return Logs(stdout=kept, stdout_dropped=logs.stderr_dropped + len(printed[most:]))


class _Told:
    """What the harness told, as far as it can be read; the first word on a test stands."""

    def __init__(self, lines: str) -> None:
        self.ends: dict[int, dict[str, Any]] = {}
        self.stop: dict[str, Any] | None = None
        """What kept the next test from being run, and all later ones with it."""
        self.broken: ExecutionError | None = None
        """The exception that importing the candidate ended in."""
        self.done = False
        for line in lines.split("\n"):
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                self._take(message)
        self.next = next(at for at in count() if at not in self.ends)
        """The first test that nothing was told of."""

    def _take(self, message: dict[str, Any]) -> None:
        if isinstance(end := message.get("end"), int):
            self.ends.setdefault(end, message)
        elif message.get("status") != "passed" and "message" in message:
            self.stop = message
        if isinstance(broken := message.get("broken"), dict):
            self.broken = ExecutionError(
                **{key: _text(broken.get(key)) for key in ("name", "value", "traceback")}
            )
        self.done |= message.get("done") is True


def _text(value: object) -> str:
    """Return a claimed text, cut and without lone surrogates, empty if it is no text."""
    return cut(value.encode("utf-8", "replace").decode()) if isinstance(value, str) else ""


def _outcome(job: _Job, at: int, told: _Told, ended: Execution) -> TestOutcome:
    status, message = _verdict(job, at, told, ended)
    return TestOutcome(name=job.names[at], status=status, message=cut(message))


def _verdict(job: _Job, at: int, told: _Told, ended: Execution) -> tuple[_Outcome, str]:
    end = told.ends.get(at)
    if end is not None:
        return _case(job, at, end) if job.cases else _claim(end)
    if at != told.next or (told.done and told.stop is None):
        return "not run", ""
    return _interrupted(ended) if told.stop is None else _claim(told.stop)


def _claim(end: dict[str, Any]) -> tuple[_Outcome, str]:
    status = end.get("status")
    if status == "passed":
        return "passed", ""
    known: _Outcome = status if status in ("failed", "timeout") else "error"
    return known, _text(end.get("message"))


def _case(job: _Job, at: int, end: dict[str, Any]) -> tuple[_Outcome, str]:
    case = job.cases[at]
    arguments = ", ".join(shown(argument) for argument in case.args)
    asked = (
        f"Input: {cut(f'{job.entry_point}({arguments})', 700)}\nExpected: {shown(case.expected)}"
    )
    if end.get("status") != "passed":
        status, message = _claim(end)
        return status, f"{asked}\nActual: {message}"
    if "value" in end:
        try:
            if equal(end["value"], case.expected):
                return "passed", ""
        except RecursionError:
            pass
    actual = _text(end.get("shown")) or shown(end.get("value"))
    return "failed", f"{asked}\nActual: {cut(actual, 700)}"


def _interrupted(ended: Execution) -> tuple[_Outcome, str]:
    """What became of the test that the process ended in."""
    if ended.status == "timeout":
        return "timeout", f"it did not end within the limit ({ended.reason})"
    if ended.status == "limit":
        return "error", f"the program was stopped by a limit: {ended.reason}"
    if ended.status == "crashed":
        return "error", f"the program crashed: {ended.reason}"
    return "error", f"the program ended its process (exit code {ended.exit_code})"
