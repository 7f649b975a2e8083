"""Run a candidate's tests in the sandbox and record the outcome of each.

The candidate has its own process. The examiner, our code in a second sandboxed process, holds the
tests and expected values, calls the candidate through the host, and decides. A test with no
reported outcome counts as not passed.

Tests in Python that all pass there are run once more, in one process with the candidate, as pytest
runs them: see `one_process`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
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
from opencodeinterpreter.tools.grading.inside.reach import names_of_tests
from opencodeinterpreter.tools.grading.one_process import GOOD, both, in_one_process
from opencodeinterpreter.tools.grading.stdin_cases import grade_stdin
from opencodeinterpreter.tools.grading.tests import (
    CallCase,
    CaseTests,
    PythonTests,
    Tests,
    with_files,
)
from opencodeinterpreter.tools.input_files import plain
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

__all__ = ["MODULES", "grade"]


async def grade(
    sandbox: ContextSandbox,
    program: Program,
    *,
    tests_sandbox: ContextSandbox | None = None,
    strict: bool = False,
) -> Execution:
    """Run a program's tests; the execution holds one outcome per test, in order.

    The examiner runs in `tests_sandbox`, by default `sandbox`, which must then keep its contexts
    apart. With `strict`, a test that passes only by the candidate's own operator fails. Waits
    while there is no room for the contexts. Raises SandboxError, and ValueError for a program
    without tests.
    """
    if program.tests is None:
        raise ValueError("a program without tests can be run, but not graded")
    tests, limits = with_files(program.tests, program.inputs), program.limits
    if isinstance(tests, CaseTests) and tests.of_stdin:
        return await grade_stdin(sandbox, tests, program)
    apart = tests_sandbox or sandbox
    async with _reserved([sandbox, apart]), _context(sandbox, limits) as context:
        candidate = Candidate(sandbox, context, limits)
        loaded = await candidate.load(program.code, {**_data_of(tests), **program.all_files})
        if failed := _not_loaded(loaded, tests):
            return _execution(candidate, failed, loaded)
        async with _context(apart, SandboxLimits()) as beside:
            examiner = Examiner(apart, beside, candidate)
            job = job_of(tests, program.entry_point) | {"strict": strict}
            told = await examiner.examine(job, files_of(tests), candidate.left)
        outcomes = outcomes_of(told)
        if isinstance(tests, PythonTests) and all(each.status in GOOD for each in outcomes):
            async with _context(sandbox, limits) as beside:
                again = await in_one_process(sandbox, beside, job, program, files_of(tests))
            outcomes = both(outcomes, again)
        return _execution(candidate, outcomes, loaded)


def job_of(tests: Tests, entry_point: str | None) -> dict[str, Any]:
    """Return the examiner's job for `tests`."""
    if isinstance(tests, PythonTests):
        return {
            "kind": "python",
            "file": tests.file,
            "source": tests.source,
            "entry_point": entry_point,
            "solution": "apart",
        }
    writer = wire.Writer()
    cases = [case for case in tests.cases if isinstance(case, CallCase)]
    return {
        "kind": "cases",
        "entry_point": entry_point or "",
        "cases": [writer.text([list(case.args), case.expected]) for case in cases],
    }


def files_of(tests: Tests) -> Mapping[str, str | bytes]:
    """Return the files that the examiner needs in its work folder."""
    if isinstance(tests, PythonTests):
        return {**plain(tests.files), tests.file: tests.source}
    return {}


def _data_of(tests: Tests) -> Mapping[str, str | bytes]:
    """Return the test files that are not code; the candidate may read them too."""
    files = plain(tests.files) if isinstance(tests, PythonTests) else {}
    return {name: text for name, text in files.items() if not name.endswith(".py")}


def _not_loaded(loaded: Mapping[str, Any], tests: Tests) -> tuple[TestOutcome, ...]:
    """Return the outcomes if the candidate cannot be imported; empty if it can.

    The first outcome says why; the other tests were not run.
    """
    if "reply" not in loaded:
        status, message = ("timeout" if loaded["why"] == "late" else "error"), loaded["text"]
    elif (error := loading_error(loaded["reply"])) is not None:
        head = f"{error.name}: {error.value}" if error.value else error.name
        status, message = "error", f"{head}\n{error.traceback}".rstrip()
    else:
        return ()
    first, *others = _names(tests) or ["import"]
    told = {"name": first, "status": status, "message": message}
    return outcomes_of([told, *({"name": name, "status": "not run"} for name in others)])


def _names(tests: Tests) -> list[str]:
    if isinstance(tests, PythonTests):
        return [f"{tests.file}::{name}" for name in names_of_tests(tests.source)]
    return [f"case {number}" for number in range(1, len(tests.cases) + 1)]


@asynccontextmanager
async def _reserved(sandboxes: Sequence[ContextSandbox]) -> AsyncIterator[None]:
    """Reserve a context in each sandbox; two contexts if a sandbox is listed twice."""
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
    """Return the candidate's execution with these outcomes."""
    changes: dict[str, Any] = {"tests": outcomes, "tests_by": "tests", "logs": candidate.logs()}
    error = loading_error(loaded.get("reply", ""))
    if error is not None:
        changes |= {"status": "error", "error": error, "exit_code": 1}
    elif candidate.late:
        changes |= {"status": "timeout", "reason": "wall", "exit_code": None}
    return candidate.last.model_copy(update={**changes, "results": (), "execution_count": None})
