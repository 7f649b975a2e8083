"""The second run of passed tests: pytest with the program in its own process.

The examiner sees copies and handles of the program's values, so it cannot notice everything that
pytest notices, such as two names for one list. Here the tests and the program share a process. The
program may forge what this process reports. So a report can only fail a test that the examiner has
passed; it never passes one.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from opencodeinterpreter.tools.execution import TestOutcome
from opencodeinterpreter.tools.grading.boundary import (
    EXAMINER,
    MOST_BYTES,
    how_it_ended,
    outcomes_of,
)
from opencodeinterpreter.tools.grading.shipping import ship
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.protocol import Context, ContextSandbox
from opencodeinterpreter.tools.sandbox.shared.request import Files

_NAME, _TEXT, _FAILURES = 200, 2000, 200
"""Most characters of a name and of a message, and most failures, that are taken of a report."""
GOOD = ("passed", "skipped")
"""The outcomes that fail no test."""
_WHY = "It fails when it runs in one process with the program, as pytest runs it."


async def in_one_process(
    sandbox: ContextSandbox,
    context: Context,
    job: Mapping[str, Any],
    program: Program,
    tests: Files,
) -> tuple[TestOutcome, ...]:
    """Run tests and program in one process; return what failed there. Raises SandboxError."""
    ended = await sandbox.run_code(
        await ship(sandbox, *EXAMINER),
        files={**program.all_files, **tests, "solution.py": program.code},
        stdin=json.dumps({**job, "solution": "here"}),
        limits=program.limits.model_copy(update={"output_bytes": MOST_BYTES}),
        context=context,
    )
    if ended.status != "ok" or ended.logs.stdout_dropped:
        status = "timeout" if ended.status == "timeout" else "error"
        return _failures([{"name": "tests", "status": status, "message": how_it_ended(ended)}])
    try:
        told = json.loads(ended.logs.stdout.partition("\n")[0])["outcomes"]
        return _failures([each for each in told if each["status"] not in GOOD])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, ValidationError):
        return _failures([{"name": "tests", "status": "error", "message": "no report came."}])


def both(
    examined: Sequence[TestOutcome], failures: Sequence[TestOutcome]
) -> tuple[TestOutcome, ...]:
    """Return the examiner's outcomes, with those that failed in one process as failures."""
    failed = {each.name: each for each in failures}
    kept = [failed.pop(each.name, each) for each in examined]
    return (*kept, *failed.values())


def _failures(told: Sequence[Mapping[str, str]]) -> tuple[TestOutcome, ...]:
    return outcomes_of(
        [
            {
                "name": each["name"][:_NAME],
                "status": each["status"],
                "message": f"{each['message'][:_TEXT]}\n{_WHY}".lstrip(),
            }
            for each in told[:_FAILURES]
        ]
    )
