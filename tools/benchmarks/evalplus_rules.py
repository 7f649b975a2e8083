"""EvalPlus's rules for when an output is right, applied outside of the candidate's process.

They are those of EvalPlus 0.3.1, so that honest code gets its verdicts: exact equality, else
closeness within a tolerance, with special rules for tasks that have more than one right answer.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.grading.inside.wire import Long

AS_SETS = frozenset(
    {
        "Diff",
        "common_in_nested_lists",
        "extract_singly",
        "find_char_long",
        "find_dissimilar",
        "intersection_array",
        "larg_nnum",
        "similar_elements",
    }
)
"""MBPP entry points whose outputs are compared as sets."""
WHETHER_NONE = frozenset({"check_str", "text_match_three", "text_starta_endb"})
"""MBPP entry points of which only matters whether they return something."""
_RELATIVE = 1e-7
_FLOATS = 1e-6
"""The absolute tolerance of floats in tasks that name none."""


def check_numpy() -> None:
    """Raise InputError where numpy, whose idea of closeness is part of the rules, is missing."""
    try:
        import numpy  # noqa: F401
    except ImportError:
        raise InputError(
            "grading benchmarks needs numpy: pip install 'opencodeinterpreter[eval]'"
        ) from None


class Comparison:
    """Compares the outputs of one run, in order: a tolerance once taken up stays."""

    def __init__(self, family: str, entry_point: str, atol: float) -> None:
        """`family` is `humaneval` or `mbpp`; `atol` the task's absolute tolerance."""
        self._entry_point = entry_point
        self._atol = atol
        self._special = _SPECIAL[family].get(entry_point)

    @property
    def plain(self) -> bool:
        """Whether what equals the expected output is right, whatever the arguments."""
        return self._special is None

    def go_on(self, expected: Any) -> None:
        """Take up the tolerance that an expected output brings, as `right` does by itself."""
        if self._atol == 0 and _is_floats(expected):
            self._atol = _FLOATS

    def right(self, arguments: Sequence[Any], output: Any, expected: Any) -> bool:
        """Whether `output` is right for `arguments`; what can't be compared is not."""
        import numpy

        try:
            with numpy.errstate(all="ignore"):
                return self._right(arguments, output, expected)
        except Exception:
            # Hostile data may make any operator raise; that is never a right answer.
            return False

    def _right(self, arguments: Sequence[Any], output: Any, expected: Any) -> bool:
        import numpy

        if self._special is _root:
            return bool(abs(_polynomial(arguments[0], output)) <= self._atol)
        exact = output == expected
        if self._special is not None:
            exact = self._special(exact, arguments, output, expected, self._atol)
        self.go_on(expected)
        if exact or self._atol == 0:
            return bool(exact)
        if type(output) is not type(expected):
            return False
        if isinstance(expected, list | tuple) and len(output) != len(expected):
            return False
        return bool(numpy.allclose(output, expected, rtol=_RELATIVE, atol=self._atol))


def _is_floats(value: Any) -> bool:
    import numpy

    if isinstance(value, Long):
        return value.floats
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, float) for item in value)
    if isinstance(value, numpy.ndarray):
        return value.dtype in (numpy.float64, numpy.float32)
    return isinstance(value, float)


_Special = Callable[[Any, Sequence[Any], Any, Any, float], Any]
"""Exact equality, arguments, output, expected output and tolerance to whether it is right."""


def _root(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    raise NotImplementedError("a root is right by itself")


def _polynomial(coefficients: Sequence[Any], x: Any) -> Any:
    return sum([each * math.pow(x, power) for power, each in enumerate(coefficients)])


def _anything(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    return exact or True


def _or_zero(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    return exact or output == 0


def _pyramid(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    """Accept the surface for the height of the pyramid instead of that of its sides."""
    edge, height = arguments
    slant = math.sqrt((edge / 2) ** 2 + height**2)
    return exact or abs(output - round(edge**2 + 4 * (edge * slant) / 2)) <= atol


def _digits(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    """Accept the distance of the digits of the shorter number, filled up with zeros."""
    first, second = map(str, arguments)
    width = max(len(first), len(second))
    pairs = zip(first.zfill(width), second.zfill(width), strict=True)
    return exact or output == sum(abs(int(left) - int(right)) for left, right in pairs)


def _same_set(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    return set(output) == set(expected)


def _not_none(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    return output == expected if isinstance(output, bool) else expected == (output is not None)


_SPECIAL: dict[str, dict[str, _Special]] = {
    "humaneval": {"find_zero": _root},
    "mbpp": {
        "are_equivalent": _anything,
        "sum_div": _or_zero,
        "surface_Area": _pyramid,
        "digit_distance_nums": _digits,
        **dict.fromkeys(AS_SETS, _same_set),
        **dict.fromkeys(WHETHER_NONE, _not_none),
    },
}
