"""The strict JSON reader refuses what Python's own reader accepts beyond RFC 8259."""

import json
from collections.abc import Callable

import pytest

from opencodeinterpreter.tools import strict_json

READERS = (strict_json.loads, strict_json.loads_finite)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("value", [None, True, 1, -0.5, 1e300, "é", [], {"a": [1, {"b": ""}]}])
def test_json_is_read(read: Callable[[str], object], value: object) -> None:
    assert read(json.dumps(value)) == value


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", ["NaN", "Infinity", "[-Infinity]", '{"a": NaN}'])
def test_a_constant_that_is_not_json_is_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        read(text)


def test_a_number_too_large_for_a_float_is_refused_by_the_finite_reader_alone() -> None:
    assert strict_json.loads("1e999") == float("inf")
    with pytest.raises(ValueError, match="1e999 is too large for a float"):
        strict_json.loads_finite("1e999")


@pytest.mark.parametrize("read", READERS)
def test_bad_syntax_tells_its_position(read: Callable[[str], object]) -> None:
    with pytest.raises(json.JSONDecodeError) as raised:
        read("[1,\n 2")
    assert raised.value.lineno == 2
