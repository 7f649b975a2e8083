"""Read JSON strictly (RFC 8259). Python's own reader also accepts `NaN` and `Infinity`."""

import json
import math
import re
from typing import Any

DEEPEST = 100
"""How deeply JSON that a person wrote may be nested; what is stored adds levels of its own."""
TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"
_MOST_DIGITS = 4300
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


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


def loads_given(text: str) -> Any:
    """Return the value of a JSON text that a person wrote.

    Raises ValueError for what could be read in two ways or not be stored: a key that occurs twice,
    a number that is too large, half of a character (a lone surrogate), more than DEEPEST levels.
    """
    try:
        value = _GIVEN.decode(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    check_text(json.dumps(value, ensure_ascii=False))
    level, depth = [value], 0
    while level := [item for held in level for item in _items(held)]:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(TOO_DEEP)
    return value


def check_text(text: str) -> None:
    """Raise ValueError for a text with half of a character."""
    if _LONE_SURROGATE.search(text):
        raise ValueError("it holds half of a character (a lone surrogate), which is no text")


def name_of(value: object) -> str:
    """Return what JSON calls a value."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    names |= {list: "a list", dict: "an object", type(None): "null"}
    return names[type(value)]


def _items(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return found


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits; at most {_MOST_DIGITS} can be read")
    return int(text)


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
_GIVEN = json.JSONDecoder(
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_whole,
    object_pairs_hook=_once,
)
