"""Run a candidate's tests in the sandbox and write down what became of each.

The candidate has a process of its own. What it is asked goes in, plain data comes out, and both
what is expected and what compares with it stay outside: calls are compared on our side, tests in
Python run in a second sandboxed process. A test that nobody told of has not passed.
"""

import ast
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, cast

from opencodeinterpreter.tools.execution import (
    Execution,
    ExecutionError,
    SandboxLimits,
    TestOutcome,
)
from opencodeinterpreter.tools.grading.boundary import Held
from opencodeinterpreter.tools.grading.call_cases import grade_calls
from opencodeinterpreter.tools.grading.inside import assertions, candidate, remote, tester, wire
from opencodeinterpreter.tools.grading.plain_data import cut
from opencodeinterpreter.tools.grading.plan import plan
from opencodeinterpreter.tools.grading.python_tests import Testing
from opencodeinterpreter.tools.grading.stdin_cases import grade_stdin
from opencodeinterpreter.tools.grading.tests import CallCase, CaseTests, StdinCase, Tests
from opencodeinterpreter.tools.python_syntax import parsed
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox

MODULES = (wire, candidate, remote, assertions, tester)
"""What of ours runs in the sandbox; one that is opened with them need not be sent them."""
_TESTS_MEMORY = 512
"""MiB that the tests' own process may take."""


async def grade(
    sandbox: ContextSandbox,
    tests: Tests,
    *,
    code: str,
    files: Mapping[str, str],
    entry_point: str | None,
    limits: SandboxLimits,
    tests_sandbox: ContextSandbox | None = None,
) -> Execution:
    """Run `tests` against `code`; the execution holds an outcome of each, in their order.

    `limits` hold for all tests together. Tests in Python run in `tests_sandbox`, by default
    `sandbox`, which must then keep its contexts apart. Waits while there is no room for the
    contexts that it takes. Raises SandboxError when a sandbox fails.
    """
    if isinstance(tests, CaseTests) and tests.cases and isinstance(tests.cases[0], StdinCase):
        execution = await grade_stdin(sandbox, tests.cases, code=code, files=files, limits=limits)
        return execution.model_copy(update={"tests_by": "tests"})
    apart = tests_sandbox or sandbox
    in_use = [sandbox] if isinstance(tests, CaseTests) else [sandbox, apart]
    async with _reserved(in_use), _context(sandbox, limits) as context:
        held = Held(sandbox, context, limits)
        if isinstance(tests, CaseTests):
            cases = cast(tuple[CallCase, ...], tests.cases)
            name = entry_point or last_function(code)
            outcomes, failure = await grade_calls(held, cases, name, code=code, files=files)
            return _execution(held, outcomes, failure)
        try:
            names, steps = plan(tests.source)
        except (SyntaxError, ValueError, RecursionError) as error:
            message = f"the tests are broken: {error}"
            wrong = TestOutcome(name="tests", status="error", message=message)
            return Execution(status="ok", tests=(wrong,), tests_by="tests")
        loaded = await held.load(code, files)
        if not loaded.ok:
            return _execution(held, loaded.outcomes(names), loaded.error)
        async with _context(apart, SandboxLimits(memory_mb=_TESTS_MEMORY)) as beside:
            told = await Testing(apart, beside, held).run(steps)
        return _execution(held, _outcomes(names, told), None)


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


def _outcomes(names: Sequence[str], told: Sequence[dict[str, Any]]) -> tuple[TestOutcome, ...]:
    """Return each test's outcome; what stopped all is told at the first that did not run."""
    ends: dict[int, tuple[Any, str]] = {}
    for message in told:
        at = message.get("end", next(at for at in count() if at not in ends))
        if "status" in message:
            text = message.get("message", "").encode("utf-8", "replace").decode()
            ends.setdefault(at, (message["status"], cut(text)))
    outcomes = [(name, *ends.get(at, ("not run", ""))) for at, name in enumerate(names)]
    return tuple(
        TestOutcome(name=name, status=status, message=message) for name, status, message in outcomes
    )


def _execution(
    held: Held, outcomes: tuple[TestOutcome, ...], error: ExecutionError | None
) -> Execution:
    """Return the execution of a candidate whose tests had these outcomes."""
    changes: dict[str, Any] = {"tests": outcomes, "tests_by": "tests", "logs": held.logs()}
    if error is not None:
        changes |= {"status": "error", "error": error, "exit_code": 1}
    elif held.late:
        changes |= {"status": "timeout", "reason": "wall", "exit_code": None}
    return held.last.model_copy(update={**changes, "results": (), "execution_count": None})


def last_function(code: str) -> str:
    """Return the name of the last function at the top level of `code`, empty if it has none."""
    module = parsed(code)
    body = module.body if module else []
    return next((node.name for node in reversed(body) if isinstance(node, ast.FunctionDef)), "")
