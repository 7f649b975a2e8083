"""Look at a task's tests before any model is asked: a fault of theirs is the user's to mend."""

from collections.abc import Mapping, Sequence

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.grading.boundary import Examiner
from opencodeinterpreter.tools.grading.grader import files_of, grade, job_of
from opencodeinterpreter.tools.grading.tests import CallCase, PythonTests, Tests
from opencodeinterpreter.tools.python_syntax import bound_and_free
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

_SECONDS = 20.0
_SHOWN = 500


async def check_tests(
    sandbox: ContextSandbox, tests: Tests, entry_point: str | None, reference: str | None
) -> None:
    """Check tests by themselves, and against the reference solution if there is one.

    Raises InputError, with the file and what to change, for tests that cannot be collected, that
    hold an assertion which would never run, or that the reference fails; SandboxError.
    """
    if isinstance(tests, PythonTests):
        _check_names(tests)
        told = await _alone(sandbox, tests, entry_point)
        for outcome in told:
            _check(tests.file, outcome)
    elif isinstance(tests.cases[0], CallCase) and not entry_point:
        raise InputError("the cases call a function: name it with --entry-point NAME")
    if reference is not None:
        await _check_reference(sandbox, tests, entry_point, reference)


def _check_names(tests: PythonTests) -> None:
    """Refuse a name that the file uses and defines nowhere, as a forgotten import leaves it."""
    _, free = bound_and_free(tests.source)
    if free and "from solution import *" not in tests.source:
        names = ", ".join(sorted(free))
        raise InputError(f"{tests.file}: {names} is used and not defined; is an import missing?")


async def _alone(
    sandbox: ContextSandbox, tests: PythonTests, entry_point: str | None
) -> Sequence[Mapping[str, str]]:
    async with sandbox.reserve(1):
        context = await sandbox.create_context(limits=SandboxLimits())
        try:
            job = job_of(tests, entry_point) | {"strict": False, "alone": True}
            examiner = Examiner(sandbox, context, None)
            return await examiner.examine(job, files_of(tests), _SECONDS)
        finally:
            await sandbox.remove_context(context)


def _check(file: str, outcome: Mapping[str, str]) -> None:
    """Raise InputError for what shows a fault of the file itself."""
    name, status, message = outcome["name"], outcome["status"], outcome.get("message", "")
    if status in ("blank", "passed", "skipped", "not run"):
        return
    if status == "never":
        raise InputError(
            f"{file}, {name}: this assertion would never run, since {message}; "
            "pytest runs functions named test_* and classes named Test*"
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


async def _check_reference(
    sandbox: ContextSandbox, tests: Tests, entry_point: str | None, reference: str
) -> None:
    execution = await grade(
        sandbox,
        tests,
        code=reference,
        files={},
        entry_point=entry_point,
        limits=SandboxLimits(),
    )
    if execution.passed:
        return
    wrong = next(
        (test for test in execution.tests or () if test.status not in ("passed", "skipped")), None
    )
    what = f"{wrong.name}: {' '.join(wrong.message.split())[:_SHOWN]}" if wrong else "no test ran"
    raise InputError(f"the reference solution fails its own tests, at {what}")
