"""Plain data across the boundary: types are preserved, hostile text does nothing."""

import json
import math
import re
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencodeinterpreter.tools.grading.inside.wire import MAKERS, Opaque, WireError, Writer, read

HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**64, max_value=2**200)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.lists(inner, max_size=5).map(deque)
        | st.sets(HASHABLE, max_size=5)
        | st.dictionaries(HASHABLE, inner, max_size=5)
        | st.dictionaries(HASHABLE, inner, max_size=5).map(OrderedDict)
        | st.dictionaries(HASHABLE, inner, max_size=5).map(lambda made: defaultdict(None, made))
    ),
    max_leaves=12,
)
Point = namedtuple("Point", "x y")


class Level(IntEnum):
    HIGH = 3


class Liar(list[int]):
    def __iter__(self) -> Any:
        raise RuntimeError("asked")

    def __eq__(self, other: object) -> bool:
        return True


def crossed(value: Any) -> Any:
    return read(Writer().text(value))


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple | deque):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, set | frozenset):
        return bool(left == right) and {*map(type, left)} == {*map(type, right)}
    return bool(left == right)


@given(VALUES)
def test_a_value_comes_back_as_itself(value: Any) -> None:
    assert same(crossed(value), value)


@pytest.mark.parametrize(
    "value",
    [
        True,
        1,
        1.0,
        math.inf,
        "\ud800 \x00",
        -(2**63),
        [1, True, 1.0],
        [2**70, 1],
        (1, (2, [3])),
        {1: "a", "1": "b", (1,): None},
        {"tuple": [1]},
        range(2, 9, 3),
        bytearray(b"ab"),
        Counter("aab"),
        deque([1], 3),
        datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))),
        date(2026, 1, 2),
        time(3, 4),
        Fraction(1, 3),
        Decimal("1.10"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_types_are_kept_apart(value: Any) -> None:
    found = crossed(value)
    assert same(found, value)


def test_a_zero_keeps_its_sign() -> None:
    assert math.copysign(1, crossed(-0.0)) == -1


def test_an_integer_may_be_longer_than_python_would_print() -> None:
    assert crossed(-(10**5000)) == -(10**5000)


def test_nan_comes_back_as_nan() -> None:
    assert math.isnan(crossed([float("nan")])[0])


@pytest.mark.parametrize(
    "value",
    [
        numpy.float64(0.5),
        numpy.float32(0.5),
        numpy.int64(3),
        numpy.bool_(True),
        numpy.str_("a"),
        numpy.complex128(1j),
        numpy.array([[1, 2], [3, 4]], "int8"),
        numpy.array([], "float64"),
        numpy.array(["a", "bcd"]),
        numpy.array([None, [1]], object),
        numpy.array(5.0),
        numpy.datetime64("2020-01-31"),
        numpy.timedelta64(3, "h"),
        numpy.array([["2020-01-31", "1969-12-31"]], "datetime64[ns]"),
        numpy.array([3], "datetime64[25s]"),
    ],
)
def test_numpy_values_keep_their_type_and_shape(value: Any) -> None:
    found = crossed(value)
    assert type(found) is type(value)
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert numpy.all(found == value)


def test_no_time_of_numpy_crosses_as_its_number() -> None:
    found = crossed([numpy.datetime64("NaT"), numpy.array(["NaT"], "timedelta64[D]")])
    assert numpy.isnat(found[0])
    assert numpy.isnat(found[1]).all()


def test_a_named_tuple_keeps_its_fields() -> None:
    found = crossed(Point(1, [2]))
    assert found == (1, [2])
    assert (found.x, found.y, repr(found)) == (1, [2], "Point(x=1, y=[2])")


def test_a_subclass_crosses_as_the_data_it_holds() -> None:
    assert same(crossed([Level.HIGH, Liar([1, 2])]), [3, [1, 2]])


def test_keys_of_a_dict_equal_a_set() -> None:
    assert crossed({1: 2}.keys()) == {1}


def test_a_value_that_cannot_be_sent_becomes_an_object_that_equals_only_itself() -> None:
    found = crossed([re.match("a", "a"), object()])
    assert [repr(item) for item in found] == ["<Match object>", "<object object>"]
    assert isinstance(found[0], Opaque)
    assert found[0] == found[0] != found[1]


def test_a_long_value_may_cross_as_a_digest() -> None:
    value = [0.5] * 100
    text = Writer().short_text(value, 200)
    found = read(text)
    assert len(text) < 200
    assert (found.kind, found.length, found.floats) == ("list", 100, True)
    assert found == read(Writer().short_text([0.5] * 100, 200))
    assert found != read(Writer().short_text([0.5] * 99 + [0.6], 200))
    assert read(Writer().text(found)) == found
    assert read(Writer().short_text(value, 2000)) == value


def test_a_value_in_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(RecursionError):
        Writer().text(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '{"tuple":[],"set":[]}',
        '{"tuple":"abc"}',
        '{"set":[[1]]}',
        '{"dict":[[1],[]]}',
        '{"dict":[[[1]],[2]]}',
        '{"int":"__import__"}',
        '{"Fraction":[1,0]}',
        '{"Decimal":"x"}',
        '{"range":[1,2,0]}',
        '{"complex":["1","2"]}',
        '{"namedtuple":["P",["__class__"],[1]]}',
        '{"namedtuple":["P",["a","a"],[1,2]]}',
        '{"namedtuple":["P",["a b"],[1]]}',
        '{"ndarray":["float64",[1000000000000],[1.0]]}',
        '{"ndarray":["float64",[-1],[1.0]]}',
        '{"ndarray":["<U1000000000",[1],["a"]]}',
        '{"numpy":["datetime64","2020"]}',
        '{"timedelta":[99999999999,0,0]}',
        '{"py/object":"os.system"}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_text_that_is_not_a_value_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        read(text)


@given(st.text(alphabet='[]{}":,0123456789eE-.ntupledicsafr', max_size=60))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    try:
        read(text)
    except WireError:
        return


TAGS = st.sampled_from(sorted(MAKERS))
FORMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TAGS, inner, max_size=1),
    max_leaves=10,
)


@given(FORMS)
def test_any_tagged_form_is_a_value_or_refused(form: Any) -> None:
    try:
        read(json.dumps(form))
    except WireError:
        return
