"""Grade a program that reads stdin and prints: one run per case."""

import math
import re

from opencodeinterpreter.tools.ending import ending
from opencodeinterpreter.tools.execution import Execution, SandboxLimits, TestOutcome
from opencodeinterpreter.tools.grading.tests import CaseTests, StdinCase
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_LEAST_SECONDS = 0.05
_SHOWN = 600
_AROUND = 60
"""How many characters are shown before the first difference."""
_MESSAGE = 2000
_SPARE_BYTES = 4096
"""How many bytes of output are kept beyond the length of a right answer."""


async def grade_stdin(sandbox: ContextSandbox, tests: CaseTests, program: Program) -> Execution:
    """Run every case; return the execution of the first failed case, else of the last one.

    All cases together get the program's `limits.wall_seconds`, and each `limits.test_seconds`, by
    default half of that if there are several. Raises SandboxError.
    """
    limits = program.limits
    told: Execution | None = None
    failed = False
    seconds = 0.0
    outcomes: list[TestOutcome] = []
    for number, case in enumerate(tests.cases, 1):
        assert isinstance(case, StdinCase)
        name = f"case {number}"
        left = limits.wall_seconds - seconds
        if left < _LEAST_SECONDS:
            outcomes.append(TestOutcome(name=name, status="not run"))
            continue
        most = limits.test_seconds or limits.wall_seconds / (2 if len(tests.cases) > 1 else 1)
        share = _limits(limits, case, min(left, most))
        ended = await sandbox.run_code(
            program.code, files=program.all_files, stdin=case.stdin, limits=share
        )
        seconds += ended.seconds
        outcomes.append(_outcome(name, case, ended, share.wall_seconds))
        if not failed:
            told = ended
        failed = failed or outcomes[-1].status != "passed"
    told = told or Execution(status="ok")
    return told.model_copy(
        update={
            "tests": tuple(outcomes),
            "tests_by": "tests",
            "seconds": seconds,
            "logs": told.logs.model_copy(update={"stdout": cut(told.logs.stdout, 65_536)}),
        }
    )


def _limits(limits: SandboxLimits, case: StdinCase, seconds: float) -> SandboxLimits:
    """Return the limits of one case; a right answer always fits the output limit."""
    needed = len(case.stdout.encode("utf-8", "replace")) + _SPARE_BYTES
    return limits.model_copy(
        update={
            "wall_seconds": seconds,
            "output_bytes": max(limits.output_bytes, needed),
        }
    )


def _outcome(name: str, case: StdinCase, ended: Execution, seconds: float) -> TestOutcome:
    expected, actual = lines(case.stdout), lines(ended.logs.stdout)
    asked = f"Input: {cut(case.stdin.rstrip(), _SHOWN)}"
    sides = "\n".join([asked, *_sides(case.stdout.rstrip(), ended.logs.stdout.rstrip())])
    if ended.status == "timeout":
        message = f"{sides}\nIt took longer than {seconds:.3g} s and was stopped."
        return TestOutcome(name=name, status="timeout", message=cut(message, _MESSAGE))
    if ended.status != "ok" and (ended.status, ended.exit_code) != ("exited", 0):
        message = f"{asked}\nExpected: {cut(case.stdout.rstrip(), _SHOWN)}\n{_ending(ended)}"
        return TestOutcome(name=name, status="error", message=cut(message, _MESSAGE))
    if ended.logs.stdout_dropped or not _same(actual, expected, case.tolerance):
        return TestOutcome(name=name, status="failed", message=cut(sides, _MESSAGE))
    return TestOutcome(name=name, status="passed")


def _same(actual: list[str], expected: list[str], tolerance: float | None) -> bool:
    if tolerance is None or actual == expected:
        return actual == expected
    return len(actual) == len(expected) and all(
        _same_words(one.split(), other.split(), tolerance)
        for one, other in zip(actual, expected, strict=True)
    )


def _same_words(actual: list[str], expected: list[str], tolerance: float) -> bool:
    """Return whether words are equal, or are numbers that differ by at most `tolerance`."""
    if len(actual) != len(expected):
        return False
    for one, other in zip(actual, expected, strict=True):
        if one == other:
            continue
        try:
            if not _near(one, other, tolerance):
                return False
        except ValueError:
            return False
    return True


def _near(one: str, other: str, tolerance: float) -> bool:
    """Return whether two numbers differ by at most `tolerance`; raises ValueError for no number."""
    if _INTEGER.fullmatch(one) and _INTEGER.fullmatch(other):
        return abs(int(one) - int(other)) <= tolerance  # As floats, long ones would be equal.
    return math.isclose(float(one), float(other), rel_tol=0.0, abs_tol=tolerance)


def _sides(expected: str, actual: str) -> list[str]:
    """Return both outputs; a common beginning is left out up to shortly before the difference."""
    at = next(
        (at for at, pair in enumerate(zip(expected, actual, strict=False)) if pair[0] != pair[1]),
        min(len(expected), len(actual)),
    )
    start = max(0, at - _AROUND) if at > _SHOWN // 2 else 0
    where = f" (from character {start + 1})" if start else ""
    return [
        f"Expected{where}: {cut(expected[start:], _SHOWN)}",
        f"Actual{where}: {cut(actual[start:], _SHOWN)}",
    ]


def lines(text: str) -> list[str]:
    """Return the lines of `text` without trailing white space and trailing empty lines."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def cut(text: str, most: int) -> str:
    """Return at most `most` characters of `text`, and how many are missing."""
    if len(text) <= most:
        return text
    kept = most - 40
    return f"{text[:kept]}... ({len(text) - kept} more characters)"


def _ending(ended: Execution) -> str:
    if ended.error:
        return ended.error.traceback or f"{ended.error.name}: {ended.error.value}"
    return f"{ending(ended)}\n{ended.logs.stderr}".rstrip()
