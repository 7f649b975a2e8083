"""Runs in the sandbox, in the examiner: what has no values is close to nothing.

numpy makes an array of any sequence, broadcasts an empty one against any number, and has then
nothing to compare, so that an answer without values would be close and equal to what was expected.
"""

import functools
from collections.abc import Callable, Iterable, Sized
from typing import Any

_ANSWERING = "allclose array_equiv"
_ASSERTING = (
    "assert_allclose assert_almost_equal assert_array_almost_equal assert_array_equal assert_equal"
)
_SIDES = ("a", "b", "a1", "a2", "actual", "desired", "x", "y")


def demand_values(texts: Iterable[str], *, strict: bool) -> None:
    """Change pytest's comparison, and those of numpy if one of the tests' `texts` names it.

    Unless `strict`, an empty array may be close to zero, as a difference is for want of values.
    """
    import pytest

    approx: Any = type(pytest.approx(0.0))
    approx.__eq__ = _demanding(approx.__eq__, lambda: False, strict)
    if not any("numpy" in text for text in texts):
        return
    try:
        import numpy
        import numpy.testing
    except ImportError:
        return
    for name in _ANSWERING.split():
        setattr(numpy, name, _demanding(getattr(numpy, name), lambda: False, strict))
    numpy.isclose = _demanding(numpy.isclose, lambda: numpy.zeros(1, bool), strict)
    for name in _ASSERTING.split():
        asserting = _demanding(getattr(numpy.testing, name), _fail, strict)
        setattr(numpy.testing, name, asserting)
        # By this name `assert_equal` calls itself for what is in a dict.
        setattr(numpy.testing._private.utils, name, asserting)


def _demanding(
    function: Callable[..., Any], otherwise: Callable[[], Any], strict: bool
) -> Callable[..., Any]:
    """Return a comparison that calls `otherwise` if just one of its sides has values."""

    @functools.wraps(function)
    def compare(*given: Any, **named: Any) -> Any:
        sides = [*given[:2], *(value for name, value in named.items() if name in _SIDES)]
        valued = [side for side in sides if not _is_empty(side)]
        if len(sides) == 2 and len(valued) == 1 and (strict or not _is_zero(valued[0])):
            return otherwise()
        return function(*given, **named)

    return compare


def _is_empty(value: Any) -> bool:
    """Return whether numpy would make an array without values of it."""
    if isinstance(value, list | tuple):
        return all(_is_empty(item) for item in value)
    if isinstance(value, int | float | complex | str | bytes | dict | set | frozenset | None):
        return False  # an array of one value
    if (size := getattr(value, "size", None)) is not None and type(value).__module__ == "numpy":
        return bool(size == 0)
    return isinstance(value, Sized) and hasattr(type(value), "__getitem__") and len(value) == 0


def _is_zero(value: Any) -> bool:
    return type(value) in (int, float) and value == 0


def _fail() -> None:
    raise AssertionError("one side has no values, and the other has")
