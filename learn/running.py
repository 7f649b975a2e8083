"""Runs the drafts of many tasks in one program: a program of their own for each would take longer.

The drafts share a process of the sandbox, so one could disturb another. They are the pupil's, in a
language of sixteen clauses; a batch that does not come to its end is run again in halves.
"""

import ast
from collections.abc import Sequence
from typing import Any

from opencodeinterpreter.tools.execution import Execution, SandboxLimits, TestOutcome
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import Runner
from opencodeinterpreter.traces.training.together import Together

_MOST = 256
_LIMITS = SandboxLimits(wall_seconds=60, cpu_seconds=60, test_seconds=2)
_DRAFTS = """
drafts = {drafts!r}

def f(number, inputs):
    space = {{}}
    exec(drafts[number], space)
    return [outcome(space["f"], xs) for xs in inputs]

def outcome(draft, xs):
    try:
        return draft(xs)
    except Exception as error:
        return type(error).__name__
"""
_ENDED = ("passed", "failed", "error")


class SharedRunner:
    """Grades programs with call cases of `f(xs)` together, each up to its first failing case.

    A program is one test of the shared one: all its results must equal those expected.
    """

    def __init__(self, runner: Runner) -> None:
        """Take what runs the shared programs."""
        self._runner = runner
        self._together = Together(self._all)

    async def run(self, program: Program) -> Execution:
        """Return how a program does on its cases; raises SandboxError."""
        return await self._together(program)

    async def _all(self, programs: list[Program]) -> list[Execution]:
        found: list[Execution] = []
        for start in range(0, len(programs), _MOST):
            found += await self._some(programs[start : start + _MOST])
        return found

    async def _some(self, programs: Sequence[Program]) -> list[Execution]:
        shared = await self._runner.run(_shared(programs))
        graded = shared.tests or ()
        if len(programs) > 1 and any(each.status not in _ENDED for each in graded):
            half = len(programs) // 2
            return [*await self._some(programs[:half]), *await self._some(programs[half:])]
        return [
            shared.model_copy(update={"tests": _outcomes(program, each), "seconds": 0.0})
            for program, each in zip(programs, graded, strict=True)
        ]


def _shared(programs: Sequence[Program]) -> Program:
    cases = tuple(
        CallCase(
            args=(number, [case.args[0] for case in _cases(program)]),
            expected=[case.expected for case in _cases(program)],
        )
        for number, program in enumerate(programs)
    )
    return Program(
        code=_DRAFTS.format(drafts=[program.code for program in programs]),
        entry_point="f",
        tests=CaseTests(cases=cases),
        limits=_LIMITS,
    )


def _cases(program: Program) -> list[CallCase]:
    assert isinstance(program.tests, CaseTests)
    return [case for case in program.tests.cases if isinstance(case, CallCase)]


def _outcomes(program: Program, graded: TestOutcome) -> tuple[TestOutcome, ...]:
    """Return a program's outcomes: of all cases if it passed, else of the first that fails."""
    cases = _cases(program)
    if graded.status == "passed":
        return tuple(TestOutcome(name=_call(case), status="passed") for case in cases)
    results = _results(graded)
    for case, result in zip(cases, results, strict=False):
        if result != case.expected:
            ended = f"raised {result}" if isinstance(result, str) else f"returned {result}"
            message = f"{ended}, expected {case.expected}"
            return (TestOutcome(name=_call(case), status="failed", message=message),)
    message = f"gave no result, expected {cases[0].expected}"
    return (TestOutcome(name=_call(cases[0]), status="failed", message=message),)


def _results(graded: TestOutcome) -> list[Any]:
    """Return what a program gave for its cases, as the grader shows it; none if it shows no list.

    It is shown to the pupil, and decides nothing.
    """
    try:
        found = ast.literal_eval(graded.message.rpartition("\nActual: ")[2])
    except (ValueError, SyntaxError):
        return []
    return found if isinstance(found, list) else []


def _call(case: CallCase) -> str:
    return f"f({case.args[0]})"
