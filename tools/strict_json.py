"""Read JSON strictly (RFC 8259). Python's own reader also accepts `NaN` and `Infinity`."""

import json
import math
from typing import Any


def loads(text: str) -> Any:
    """Return the value of a JSON text.

    Raises ValueError (a json.JSONDecodeError for bad syntax), or RecursionError if it is nested
    too deeply. A number too large for a float becomes infinite; see `loads_finite`.
    """
    return _STRICT.decode(text)


def loads_finite(text: str) -> Any:
    """Return the value of a JSON text whose numbers all fit a float; errors as for `loads`.

    Slower than `loads` for many floats: each one is checked in Python.
    """
    return _FINITE.decode(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a float")
    return number


# Built once: building a decoder takes as long as reading a short text.
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)
_FINITE = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
