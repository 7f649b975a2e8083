"""Comparing plain data on our side of the sandbox."""

import json
import math
from typing import Any

_RELATIVE = 1e-7
_ABSOLUTE = 1e-9


def equal(actual: Any, expected: Any) -> bool:
    """Whether a value equals a JSON value as Python has it, floats up to rounding.

    `1`, `1.0` and `true` are equal; a tuple or an array equals the list of its items, and a dict's
    keys are texts. Raises ValueError for a key of thousands of digits.
    """
    if hasattr(actual, "tolist"):
        actual = actual.tolist()
    if isinstance(actual, list | tuple) and isinstance(expected, list | tuple):
        return len(actual) == len(expected) and all(map(equal, actual, expected))
    if isinstance(actual, dict) and isinstance(expected, dict):
        named = {_name(key): value for key, value in actual.items()}
        return named.keys() == expected.keys() and all(
            equal(named[key], expected[key]) for key in expected
        )
    if isinstance(actual, float) or isinstance(expected, float):
        if not isinstance(actual, int | float) or not isinstance(expected, int | float):
            return False
        try:
            return math.isclose(actual, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
        except OverflowError:
            return False
    return bool(actual == expected)


def _name(key: Any) -> Any:
    """Return a dict's key as JSON would write it."""
    return json.dumps(key) if isinstance(key, bool | int | float | None) else key


def shown(value: Any, most: int = 600) -> str:
    """Return `value` as Python would write it, cut to about `most` characters."""
    try:
        return cut(repr(value), most)
    except ValueError:
        # Python refuses to write integers of more than 4,300 digits.
        return f"<{type(value).__name__} with integers too long to be written>"


def cut(text: str, most: int = 2000) -> str:
    """Return `text` with at most `most` characters, saying how many are missing."""
    if len(text) <= most:
        return text
    kept = most - 40
    return f"{text[:kept]}... ({len(text) - kept} more characters)"
