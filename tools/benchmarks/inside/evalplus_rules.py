"""EvalPlus's rules for when an output is right, applied outside the candidate's process.

The rules are those of EvalPlus 0.3.1, so honest code gets the same verdicts: exact equality, else
closeness within a tolerance, with special rules for tasks that have several right answers.
Shapes must be equal before values are compared: EvalPlus lets an empty array be close to anything.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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
"""MBPP entry points whose output is only checked for being `None` or not."""
_RELATIVE = 1e-7
FLOATS = 1e-6
"""The absolute tolerance that floats bring to tasks which name none."""


class Rule(NamedTuple):
    """Which rule holds for the outputs of a task."""

    family: str
    """`humaneval` or `mbpp`."""
    entry_point: str

    @property
    def _special(self) -> "_Special | None":
        return _SPECIAL[self.family].get(self.entry_point)

    @property
    def uses_arguments(self) -> bool:
        """Whether what is right depends on more than the expected output."""
        return self._special in (_root, _pyramid, _digits)

    @property
    def shape(self) -> str:
        """What a candidate's process tells of an output; see `callee.SHAPES`."""
        return "set" if self._special is _same_set else "as it is"

    @property
    def right_shape(self) -> str:
        """What the reference's process tells of one."""
        return "not None" if self._special is _not_none else self.shape

    def right(self, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
        """Return whether `output` is right; what can't be compared is not.

        Raises MemoryError.
        """
        import numpy

        try:
            with numpy.errstate(all="ignore"):
                return self._right(arguments, output, expected, atol)
        except MemoryError:
            raise
        except Exception:
            # Hostile data may make any operator raise; such an answer is wrong.
            return False

    def _right(self, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
        import numpy

        special = self._special
        if special is _root:
            return bool(abs(_polynomial(arguments[0], output)) <= atol)
        exact = output == expected
        if special is not None:
            exact = special(exact, arguments, output, expected, atol)
        if exact or atol == 0:
            return bool(exact)
        if type(output) is not type(expected) or not _same_shape(output, expected):
            return False
        return bool(numpy.allclose(output, expected, rtol=_RELATIVE, atol=atol))


def _same_shape(output: Any, expected: Any) -> bool:
    import numpy

    if isinstance(output, list | tuple) or isinstance(expected, list | tuple):
        return (
            isinstance(output, list | tuple)
            and isinstance(expected, list | tuple)
            and len(output) == len(expected)
            and all(map(_same_shape, output, expected))
        )
    numbers = (int, float, complex, numpy.generic)
    if isinstance(output, numbers) and isinstance(expected, numbers):
        return True
    return type(output) is type(expected) and numpy.shape(output) == numpy.shape(expected)


def is_floats(expected: Any) -> bool:
    """Return whether an expected output brings a tolerance to a task that names none.

    It then stays for the later outputs of the run.
    """
    import numpy

    if isinstance(expected, Long):
        return expected.floats
    if isinstance(expected, list | tuple):
        return bool(expected) and all(isinstance(item, float) for item in expected)
    if isinstance(expected, numpy.ndarray):
        return expected.dtype in (numpy.float64, numpy.float32)
    return isinstance(expected, float)


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
    """Also accept the surface if the second argument is the height, not the slant height."""
    edge, height = arguments
    slant = math.sqrt((edge / 2) ** 2 + height**2)
    return exact or abs(output - round(edge**2 + 4 * (edge * slant) / 2)) <= atol


def _digits(exact: Any, arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> Any:
    """Also accept the distance after padding the shorter number with zeros."""
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
