"""Runs in the sandbox, in the examiner: grade input/output cases by comparing plain data."""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from opencodeinterpreter.tools.grading.inside.link import (
    HarnessError,
    Link,
    OverError,
    TimedOutError,
)
from opencodeinterpreter.tools.grading.inside.wire import read

_RELATIVE = 1e-7
_ABSOLUTE = 1e-9
_BESIDE_INTEGER = 1e-6
_NUMBERS = (int, float, Decimal, Fraction)
_SHOWN = 700


class _Case(NamedTuple):
    call: str
    """As it is shown."""
    entry_point: Callable[[], Any]
    """What returns the function for this case."""
    arguments: list[Any]
    expected: Any


def examine(job: dict[str, Any], link: Link) -> list[dict[str, str]]:
    """Call the job's `entry_point` for each of its `cases`; return one outcome per case."""
    outcomes: list[dict[str, str]] = []
    names = [f"case {number}" for number in range(1, len(job["cases"]) + 1)]
    entry_point, problem = _entry_point(link, job["entry_point"])
    for name, text in zip(names, job["cases"], strict=True):
        if problem:
            status = "error" if not outcomes else "not run"
            message = problem if not outcomes else ""
            outcomes.append({"name": name, "status": status, "message": message})
        else:
            arguments, expected = read(text)
            link.begin_test()
            asked = f"{job['entry_point']}({', '.join(map(shown, arguments))})"
            case = _Case(asked, entry_point, arguments, expected)
            outcomes.append(_outcome(name, case))
            link.end_test()
    return outcomes


def _entry_point(link: Link, name: str) -> tuple[Callable[[], Any], str]:
    """Return what returns the function for a case, and an empty text or what is wrong.

    A method of the class `Solution` gets an object of its own for each case.
    """
    module = link.module(0)
    try:
        found = getattr(module, name, None)
        if found is None and (solution := getattr(module, "Solution", None)) is not None:
            found = getattr(solution(), name, None)
            if callable(found):
                return lambda: getattr(solution(), name), ""
    except (Exception, HarnessError) as error:
        told = f"the program's {name} cannot be had: {type(error).__name__}: {error}"
        return lambda: None, told
    problem = "" if callable(found) else f"the program defines no function {name}"
    return lambda: found, problem


def _outcome(name: str, case: _Case) -> dict[str, str]:
    asked = f"Input: {_cut(case.call)}\nExpected: {shown(case.expected)}"
    try:
        value = case.entry_point()(*case.arguments)
        if equal(value, case.expected):
            return {"name": name, "status": "passed", "message": ""}
        status, actual = "failed", shown(value)
    except OverError:
        return {"name": name, "status": "not run", "message": ""}
    except TimedOutError as error:
        status, actual = "timeout", str(error)
    except HarnessError as error:
        status, actual = "error", str(error)
    except MemoryError:
        status, actual = "error", "the answer is too large to be compared"
    except RecursionError:
        status, actual = "failed", "the answer is nested too deeply to be compared"
    except Exception as error:
        status, actual = "error", told_of(error)
    return {"name": name, "status": status, "message": f"{asked}\nActual: {_cut(actual)}"}


def told_of(error: BaseException) -> str:
    """Return an exception of the candidate as text, with the candidate's own lines."""
    text, lines = getattr(error, "told", None) or (str(error), "")
    head = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{head}\n{lines}".rstrip()


def equal(actual: Any, expected: Any) -> bool:
    """Return whether a value equals a JSON value, with a tolerance for the rounding of floats.

    Between an integer and a float the tolerance is a millionth at most, however large they are.
    `1`, `1.0` and `true` are equal; a tuple or an array equals the list of its items. Dict keys
    must be texts, as in JSON: `1` is not `"1"`. Raises RecursionError.
    """
    if type(actual).__module__ == "numpy" and hasattr(actual, "tolist"):
        actual = actual.tolist()
    if isinstance(actual, list | tuple) and isinstance(expected, list | tuple):
        return len(actual) == len(expected) and all(map(equal, actual, expected))
    if isinstance(actual, dict) and isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            equal(actual[key], expected[key]) for key in expected
        )
    if isinstance(actual, float | Decimal | Fraction) or isinstance(expected, float):
        numbers = isinstance(actual, _NUMBERS) and isinstance(expected, int | float)
        return numbers and _close(actual, expected)
    return bool(actual == expected)


def _close(actual: Any, expected: int | float) -> bool:
    """Return whether two numbers differ by rounding alone."""
    try:
        if not math.isclose(actual, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE):
            return False
        if isinstance(actual, int) or isinstance(expected, int):
            # As floats, neighbouring integers of more than 53 bits are one.
            return abs(Fraction(actual) - Fraction(expected)) <= _BESIDE_INTEGER
    except (OverflowError, ValueError):
        return False
    return True


def shown(value: Any) -> str:
    """Return the `repr` of `value`, cut to a bounded length."""
    try:
        return _cut(repr(value))
    except ValueError:
        # Python refuses to write integers of more than 4,300 digits.
        return f"<{type(value).__name__} with integers too long to be written>"


def _cut(text: str) -> str:
    """Return the beginning of `text`, and how many characters are missing."""
    if len(text) <= _SHOWN:
        return text
    kept = _SHOWN - 40
    return f"{text[:kept]}... ({len(text) - kept} more characters)"
