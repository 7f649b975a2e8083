"""Runs in the sandbox, on the tests' side: what assertions are turned into, and a little pytest.

It depends on the standard library alone.
"""

import math
import operator
import re
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_VALUE = 600
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda left, right: left in right,
    "NotIn": lambda left, right: left not in right,
}


class FailedError(AssertionError):
    """An assertion of the tests that did not hold; its text is ready to be shown."""


def compare(
    text: str, name: str, left: Any, right: Any, swapped: bool, note: Callable[[], Any]
) -> None:
    """Raise FailedError, with both sides, unless the comparison `name` holds."""
    if _OPERATORS[name](left, right):
        return
    actual, expected = (right, left) if swapped else (left, right)
    if name == "Eq":
        lines = [text, f"Expected: {_shown(expected)}", f"Actual: {_shown(actual)}"]
    else:
        lines = [text, f"Left: {_shown(left)}", f"Right: {_shown(right)}"]
    raise FailedError("\n".join(lines + _noted(note)))


def holds(text: str, value: Any, note: Callable[[], Any]) -> None:
    """Raise FailedError unless `value` is true."""
    if not value:
        raise FailedError("\n".join([text, f"Actual: {_shown(value)}", *_noted(note)]))


def _noted(note: Callable[[], Any]) -> list[str]:
    said = note()
    return [] if said is None else [str(said)[:_VALUE]]


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:
        return f"({type(value).__name__} whose repr raises {type(error).__name__})"
    # Addresses differ from run to run, equal outcomes should not.
    text = re.sub(r" at 0x[0-9a-f]+>", ">", text[: _VALUE + 1]) + text[_VALUE + 1 :]
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}... ({len(text)} characters)"


def little_pytest() -> types.ModuleType:
    """Return a module with pytest's `raises` and `approx`, for tests that import it."""
    module = types.ModuleType("pytest", "raises and approx; nothing else of pytest is here")
    module.__dict__.update(raises=_raises, approx=_Approx)
    return module


@contextmanager
def _raises(
    expected: type[BaseException] | tuple[type[BaseException], ...], *, match: str | None = None
) -> Iterator[types.SimpleNamespace]:
    caught = types.SimpleNamespace(value=None, type=None)
    try:
        yield caught
    except expected as error:
        caught.value, caught.type = error, type(error)
        if match is not None and not re.search(match, str(error)):
            raise FailedError(f"{match!r} does not match {_shown(str(error))}") from None
        return
    kinds = expected if isinstance(expected, tuple) else (expected,)
    raise FailedError(f"did not raise {' or '.join(kind.__name__ for kind in kinds)}")


class _Approx:
    """Equal to numbers close to it, and to sequences and dicts of such."""

    def __init__(self, expected: Any, rel: float = 1e-6, abs: float = 1e-12) -> None:
        self._expected = expected
        self._rel = rel
        self._abs = abs

    def __eq__(self, actual: object) -> bool:
        return self._close(actual, self._expected)

    def __repr__(self) -> str:
        return f"approx({self._expected!r})"

    def _close(self, actual: Any, expected: Any) -> bool:
        if isinstance(expected, dict):
            return actual.keys() == expected.keys() and all(
                self._close(actual[key], expected[key]) for key in expected
            )
        if isinstance(expected, list | tuple):
            return len(actual) == len(expected) and all(map(self._close, actual, expected))
        if actual == expected:
            return True
        return math.isclose(actual, expected, rel_tol=self._rel, abs_tol=self._abs)
