"""Grade a program by what its entry point gives for arguments, compared on our side."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from opencodeinterpreter.tools.execution import ExecutionError, TestOutcome
from opencodeinterpreter.tools.grading.boundary import (
    LEAST_SECONDS,
    Failure,
    Handle,
    Held,
    claimed,
    request,
)
from opencodeinterpreter.tools.grading.inside.candidate import SOLUTION
from opencodeinterpreter.tools.grading.plain_data import cut, equal, shown
from opencodeinterpreter.tools.grading.tests import CallCase

_SHOWN = 700


async def grade_calls(
    held: Held,
    cases: Sequence[CallCase],
    entry_point: str,
    *,
    code: str,
    files: Mapping[str, str],
) -> tuple[tuple[TestOutcome, ...], ExecutionError | None]:
    """Return each case's outcome, and the exception that loading ended in; raises SandboxError."""
    names = [f"case {number}" for number in range(1, len(cases) + 1)]
    loaded = await held.load(code, files)
    if not loaded.ok:
        return loaded.outcomes(names), loaded.error
    function = await _function(held, entry_point)
    outcomes: list[TestOutcome] = []
    for name, case in zip(names, cases, strict=True):
        if held.gone or held.left < LEAST_SECONDS or (function is None and outcomes):
            outcomes.append(TestOutcome(name=name, status="not run"))
        elif function is None:
            missing = f"the program defines no function {entry_point or 'to call'}"
            outcomes.append(TestOutcome(name=name, status="error", message=missing))
        else:
            outcomes.append(await _outcome(held, name, case, entry_point, function))
    return tuple(outcomes), None


async def _function(held: Held, entry_point: str) -> Handle | None:
    """Return the entry point, if the candidate has it."""
    if not entry_point:
        return None
    reply = await held.ask(request("getattr", Handle(SOLUTION, ""), entry_point))
    found = None if reply is None else claimed(reply)
    return found if isinstance(found, Handle) else None


async def _outcome(
    held: Held, name: str, case: CallCase, entry_point: str, function: Handle
) -> TestOutcome:
    arguments = ", ".join(shown(argument) for argument in case.args)
    call = cut(f"{entry_point}({arguments})", _SHOWN)
    asked = f"Input: {call}\nExpected: {shown(case.expected)}"
    reply = await held.ask(request(function, *case.args))
    if reply is None:
        status, message = held.ending()
        return TestOutcome(name=name, status=status, message=cut(f"{asked}\nActual: {message}"))
    value = await asyncio.to_thread(claimed, reply)
    if isinstance(value, Failure):
        message = f"{asked}\nActual: {value}"
        return TestOutcome(name=name, status="error", message=cut(message))
    if await asyncio.to_thread(_is_right, value, case.expected):
        return TestOutcome(name=name, status="passed")
    actual = value.shown if isinstance(value, Handle) else shown(value, _SHOWN)
    return TestOutcome(
        name=name, status="failed", message=f"{asked}\nActual: {cut(actual, _SHOWN)}"
    )


def _is_right(value: Any, expected: Any) -> bool:
    try:
        return equal(value, expected)
    except (ValueError, RecursionError):
        return False
