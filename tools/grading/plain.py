"""Comparing plain data on our side of the sandbox."""

import math
from typing import Any

_RELATIVE = 1e-7
_ABSOLUTE = 1e-9


def equal(actual: Any, expected: Any) -> bool:
    """Whether two JSON values are equal as Python has it, floats up to rounding.

    `1`, `1.0` and `true` are equal; a tuple has become a list on its way here.
    """
    if isinstance(actual, list) and isinstance(expected, list | tuple):
        return len(actual) == len(expected) and all(map(equal, actual, expected))
    if isinstance(actual, dict) and isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            equal(actual[key], expected[key]) for key in expected
        )
    if isinstance(actual, float) or isinstance(expected, float):
        if not isinstance(actual, int | float) or not isinstance(expected, int | float):
            return False
        try:
            return math.isclose(actual, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
        except OverflowError:
            return False
    return bool(actual == expected)


def shown(value: Any, most: int = 600) -> str:
    """Return `value` as Python would write it, cut to about `most` characters."""
    return cut(repr(value), most)


def cut(text: str, most: int = 2000) -> str:
    """Return `text` with at most `most` characters, saying how many are missing."""
    if len(text) <= most:
        return text
    kept = most - 40
    return f"{text[:kept]}... ({len(text) - kept} more characters)"
