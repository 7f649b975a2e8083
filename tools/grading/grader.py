"""Run a candidate's tests in the sandbox and write down what became of each.

The candidate has a process of its own. Tests and expected values are with the examiner, our code in
a second sandboxed process, which asks the candidate through the host and decides. A test with no
reported outcome counts as not passed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from opencodeinterpreter.tools.execution import Execution, SandboxLimits, TestOutcome
from opencodeinterpreter.tools.grading.boundary import (
    MODULES,
    Candidate,
    Examiner,
    loading_error,
    outcomes_of,
)
from opencodeinterpreter.tools.grading.inside import wire
from opencodeinterpreter.tools.grading.stdin_cases import grade_stdin
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests, Tests
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

__all__ = ["MODULES", "Submission", "grade"]


@dataclass(frozen=True)
class Submission:
    """A candidate to be graded."""

    code: str
    files: Mapping[str, str]
    entry_point: str | None
    """The function that cases call and that HumanEval's `check` is given."""
    limits: SandboxLimits
    """For all tests together."""
    strict: bool = False
    """Whether a pass that rests on the candidate's own `==` is a failure."""


async def grade(
    sandbox: ContextSandbox,
    tests: Tests,
    submission: Submission,
    tests_sandbox: ContextSandbox | None = None,
) -> Execution:
    """Run `tests` against a submission; the execution holds an outcome of each, in their order.

    The examiner runs in `tests_sandbox`, by default `sandbox`, which must then keep its contexts
    apart. Waits while there is no room for the contexts. Raises SandboxError when a sandbox fails.
    """
    if isinstance(tests, CaseTests) and tests.of_stdin:
        return await grade_stdin(sandbox, tests, submission.code, submission.files, submission.limits)
    apart = tests_sandbox or sandbox
    async with _reserved([sandbox, apart]), _context(sandbox, submission.limits) as context:
        candidate = Candidate(sandbox, context, submission.limits)
        loaded = await candidate.load(submission.code, submission.files)
        failure = _not_loaded(loaded)
        if failure is not None:
            return _execution(candidate, (failure,), loaded)
        async with _context(apart, SandboxLimits()) as beside:
            examiner = Examiner(apart, beside, candidate)
            job = _job(tests, submission)
            told = await examiner.examine(job, _files(tests), candidate.left)
        return _execution(candidate, outcomes_of(told), loaded)


def _job(tests: Tests, submission: Submission) -> dict[str, Any]:
    if isinstance(tests, PythonTests):
        return {
            "kind": "python",
            "file": tests.file,
            "source": tests.source,
            "entry_point": submission.entry_point,
            "strict": submission.strict,
            "alone": False,
        }
    writer = wire.Writer()
    cases = [case for case in tests.cases if isinstance(case, CallCase)]
    return {
        "kind": "cases",
        "entry_point": submission.entry_point or "",
        "cases": [writer.text([list(case.args), case.expected]) for case in cases],
    }


def _files(tests: Tests) -> Mapping[str, str]:
    if isinstance(tests, PythonTests):
        return {**tests.files, tests.file: tests.source}
    return {}


def _not_loaded(loaded: Mapping[str, Any]) -> TestOutcome | None:
    """Return the outcome that stands for all tests of a candidate that cannot be imported."""
    if "reply" not in loaded:
        status = "timeout" if loaded["why"] == "late" else "error"
        return outcomes_of([{"name": "import", "status": status, "message": loaded["text"]}])[0]
    error = loading_error(loaded["reply"])
    if error is None:
        return None
    message = "\n".join([f"{error.name}: {error.value}".rstrip(": "), error.traceback]).rstrip()
    return outcomes_of([{"name": "import", "status": "error", "message": message}])[0]


@asynccontextmanager
async def _reserved(sandboxes: Sequence[ContextSandbox]) -> AsyncIterator[None]:
    """Keep room for a context in each, in one that stands there twice for two."""
    async with AsyncExitStack() as stack:
        for sandbox in dict.fromkeys(sandboxes):
            await stack.enter_async_context(sandbox.reserve(sandboxes.count(sandbox)))
        yield


@asynccontextmanager
async def _context(sandbox: ContextSandbox, limits: SandboxLimits) -> AsyncIterator[Context]:
    context = await sandbox.create_context(limits=limits)
    try:
        yield context
    finally:
        await sandbox.remove_context(context)


def _execution(
    candidate: Candidate, outcomes: tuple[TestOutcome, ...], loaded: Mapping[str, Any]
) -> Execution:
    """Return the execution of a candidate whose tests had these outcomes."""
    changes: dict[str, Any] = {"tests": outcomes, "tests_by": "tests", "logs": candidate.logs()}
    error = loading_error(loaded.get("reply", ""))
    if error is not None:
        changes |= {"status": "error", "error": error, "exit_code": 1}
    elif candidate.late:
        changes |= {"status": "timeout", "reason": "wall", "exit_code": None}
    return candidate.last.model_copy(update={**changes, "results": (), "execution_count": None})
