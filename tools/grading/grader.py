"""Run a candidate's tests in the sandbox and write down what became of each.

The candidate has a process of its own. Tests and expected values are with the examiner, our code in
a second sandboxed process, which asks the candidate through the host and decides. A test with no
reported outcome counts as not passed.
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
from opencodeinterpreter.tools.grading.stdin_cases import grade_stdin
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, PythonTests, Tests
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

__all__ = ["MODULES", "grade"]


async def grade(
    sandbox: ContextSandbox,
    tests: Tests,
    *,
    code: str,
    files: Mapping[str, str],
    entry_point: str | None,
    limits: SandboxLimits,
    tests_sandbox: ContextSandbox | None = None,
    strict: bool = False,
) -> Execution:
    """Run `tests` against `code`; the execution holds an outcome of each, in their order.

    `entry_point` is the function that cases call and that HumanEval's `check` is given; `limits`
    hold for all tests together. The examiner runs in `tests_sandbox`, by default `sandbox`, which
    must then keep its contexts apart. With `strict` a pass that rests on the candidate's own `==`
    is a failure. Waits while there is no room for the contexts. Raises SandboxError.
    """
    if isinstance(tests, CaseTests) and tests.of_stdin:
        return await grade_stdin(sandbox, tests, code, files, limits)
    apart = tests_sandbox or sandbox
    async with _reserved([sandbox, apart]), _context(sandbox, limits) as context:
        candidate = Candidate(sandbox, context, limits)
        loaded = await candidate.load(code, {**_data_of(tests), **files})
        if failed := _not_loaded(loaded, tests):
            return _execution(candidate, failed, loaded)
        async with _context(apart, SandboxLimits()) as beside:
            examiner = Examiner(apart, beside, candidate)
            job = job_of(tests, entry_point) | {"strict": strict}
            told = await examiner.examine(job, files_of(tests), candidate.left)
        return _execution(candidate, outcomes_of(told), loaded)


def job_of(tests: Tests, entry_point: str | None) -> dict[str, Any]:
    """Return what the examiner is asked to do for `tests`."""
    if isinstance(tests, PythonTests):
        return {
            "kind": "python",
            "file": tests.file,
            "source": tests.source,
            "entry_point": entry_point,
            "alone": False,
        }
    writer = wire.Writer()
    cases = [case for case in tests.cases if isinstance(case, CallCase)]
    return {
        "kind": "cases",
        "entry_point": entry_point or "",
        "cases": [writer.text([list(case.args), case.expected]) for case in cases],
    }


def files_of(tests: Tests) -> Mapping[str, str]:
    """Return the files that the examiner needs in its work folder."""
    if isinstance(tests, PythonTests):
        return {**tests.files, tests.file: tests.source}
    return {}


def _data_of(tests: Tests) -> Mapping[str, str]:
    """Return the files beside the tests that are no code; the candidate may read them as well."""
    files = tests.files if isinstance(tests, PythonTests) else {}
    return {name: text for name, text in files.items() if not name.endswith(".py")}


def _not_loaded(loaded: Mapping[str, Any], tests: Tests) -> tuple[TestOutcome, ...]:
    """Return the outcomes of the tests of a candidate that cannot be imported; empty if it can.

    The first one says why, and no other one was run.
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
