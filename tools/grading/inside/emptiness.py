"""Runs in the sandbox, in the examiner: what has no values is close to nothing.

numpy makes an array of any sequence, broadcasts an empty one against any number, and has then
nothing to compare, so that an answer without values would be close and equal to what was expected.
"""

import ast
import functools
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any

from opencodeinterpreter.tools.grading.inside.reach import is_check

_ANSWERING = "allclose array_equiv"
_ASSERTING = (
    "assert_allclose assert_almost_equal assert_array_almost_equal assert_array_equal assert_equal"
)
_LEFT, _RIGHT = "@left", "@right"
"""The names under which a marked comparison finds `Sides`; they are not valid identifiers."""
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


class Sides:
    """The sides of comparisons of which all items are asserted, as in `(x == y).all()`."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._left: Any = None

    def mark(self, tree: ast.AST) -> None:
        """Mark both sides of such comparisons in the code of tests."""
        checks = [node for node in ast.walk(tree) if is_check(node, ())]
        for comparison in {each for check in checks for each in _of_all_items(check)}:
            comparison.left = _through(_LEFT, comparison.left)
            comparison.comparators = [_through(_RIGHT, comparison.comparators[0])]

    def names(self) -> dict[str, Callable[[Any], Any]]:
        """Return what marked code refers to."""
        return {_LEFT: self._begin, _RIGHT: self._end}

    def _begin(self, value: Any) -> Any:
        self._left = value
        return value

    def _end(self, value: Any) -> Any:
        left, self._left = self._left, None
        if _lacks_values([left, value], self._strict):
            _fail()
        return value


def _of_all_items(check: ast.AST) -> Iterable[ast.Compare]:
    for part in ast.walk(check):
        match part:
            case (
                ast.Call(func=ast.Attribute(value=ast.Compare(ops=[_]) as found, attr="all"))
                | ast.Call(
                    func=ast.Attribute(attr="all") | ast.Name(id="all"),
                    args=[ast.Compare(ops=[_]) as found],
                )
            ):
                yield found
            case _:
                pass


def _through(name: str, value: ast.expr) -> ast.expr:
    called = ast.Call(ast.Name(name, ast.Load()), [value], [])
    return ast.fix_missing_locations(ast.copy_location(called, value))


def _demanding(
    function: Callable[..., Any], otherwise: Callable[[], Any], strict: bool
) -> Callable[..., Any]:
    """Return a comparison that calls `otherwise` if just one of its sides has values."""

    @functools.wraps(function)
    def compare(*given: Any, **named: Any) -> Any:
        sides = [*given[:2], *(value for name, value in named.items() if name in _SIDES)]
        return otherwise() if _lacks_values(sides, strict) else function(*given, **named)

    return compare


def _lacks_values(sides: Sequence[Any], strict: bool) -> bool:
    """Return whether just one of two sides has values."""
    valued = [side for side in sides if not _is_empty(side)]
    return len(sides) == 2 and len(valued) == 1 and (strict or not _is_zero(valued[0]))


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
