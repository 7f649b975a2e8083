"""Check a task's tests before the first model call: only the user can fix faulty tests."""

from collections.abc import Mapping, Sequence

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.boundary import Examiner
from opencodeinterpreter.tools.grading.grader import files_of, grade, job_of
from opencodeinterpreter.tools.grading.tests import CallCase, PythonTests, Tests, with_files
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.python_syntax import bound_and_free
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

_SECONDS = 20.0
"""For the tests on their own; twice the time of a program, where that is less."""
_SHOWN = 500


async def check_tests(sandbox: ContextSandbox, tests: Tests, reference: Program) -> None:
    """Check tests on their own, and with the reference solution.

    `reference` also says the entry point, the task's files and the limits, which hold for the
    tests alone too. Its code is empty if there is no reference solution.

    Raises InputError, with the file and what to change, if the tests cannot be collected, contain
    an assertion that would never run, or fail with the reference; raises SandboxError.
    """
    if isinstance(tests, PythonTests):
        _check_names(tests)
        told = await _alone(sandbox, with_files(tests, reference.inputs), reference)
        for outcome in told:
            _check(tests.file, outcome)
        _check_skipped(tests.file, told)
    elif isinstance(tests.cases[0], CallCase) and not reference.entry_point:
        raise InputError(
            "the cases call a function: name it with --entry-point NAME or the field `entry_point`"
        )
    if reference.code:
        await _check_reference(sandbox, reference)


def _check_names(tests: PythonTests) -> None:
    """Raise InputError if the file uses a name that it does not define, as after a lost import."""
    _, free = bound_and_free(tests.source)
    if free and "from solution import *" not in tests.source:
        names = ", ".join(sorted(free))
        raise InputError(f"{tests.file}: {names} is used and not defined; is an import missing?")


async def _alone(
    sandbox: ContextSandbox, tests: PythonTests, reference: Program
) -> Sequence[Mapping[str, str]]:
    seconds = min(_SECONDS, 2 * reference.limits.wall_seconds)
    async with sandbox.reserve(1):
        context = await sandbox.create_context(limits=SandboxLimits())
        try:
            job = job_of(tests, reference.entry_point) | {"strict": False, "solution": "blank"}
            examiner = Examiner(sandbox, context, None)
            return await examiner.examine(job, files_of(tests), seconds)
        finally:
            await sandbox.remove_context(context)


def _check(file: str, outcome: Mapping[str, str]) -> None:
    """Raise InputError if an outcome shows that the file itself is faulty."""
    name, status, message = outcome["name"], outcome["status"], outcome.get("message", "")
    if status in ("blank", "passed", "skipped", "not run"):
        return
    if status == "never":
        raise InputError(
            f"{name}: {message}; pytest runs functions named test_*, methods of that name in "
            "classes named Test*, and assertions at the top level"
        )
    hint = ""
    if message.startswith("ModuleNotFoundError"):
        hint = "; tests import the program as `solution`, and files beside them come with --file"
    if message.startswith("FileNotFoundError"):
        hint = "; files beside the tests come with --file"
    where = "" if name == file else f" {name}:"
    told = " ".join(message[:_SHOWN].split())
    verb = "fails whatever the program does" if status == "failed" else "cannot run"
    raise InputError(f"{file}:{where} {verb}: {told}{hint}")


def _check_skipped(file: str, outcomes: Sequence[Mapping[str, str]]) -> None:
    """Refuse a file whose tests are all skipped, and a test with an empty set of parameters."""
    for outcome in outcomes:
        if outcome["status"] == "skipped" and "empty parameter set" in outcome["message"]:
            raise InputError(f"{file}: {outcome['name']} would never run: {outcome['message']}")
    if outcomes and all(outcome["status"] == "skipped" for outcome in outcomes):
        why = outcomes[0]["message"]
        raise InputError(f"{file}: every test is skipped, so that none would run: {why}")


async def _check_reference(sandbox: ContextSandbox, program: Program) -> None:
    execution = await grade(sandbox, program)
    if execution.passed:
        return
    wrong = next(
        (test for test in execution.tests or () if test.status not in ("passed", "skipped")), None
    )
    what = f"{wrong.name}: {' '.join(wrong.message.split())[:_SHOWN]}" if wrong else "no test ran"
    raise InputError(f"the reference solution fails its own tests, at {what}")
