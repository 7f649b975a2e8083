"""Plain data as text that keeps Python's types apart, for crossing between processes.

JSON carries `None`, bools, floats, strings, lists and integers of 64 bits as they are. All else is
an object with one key, the type's tag: `{"tuple": [1, 2]}`. What has no form crosses as its type's
name alone and comes out as an `Opaque`. Reading builds values of these types and nothing else;
no byte of it is ever executed.

Both sides of the sandbox use this file, so it depends on the standard library alone.
"""

import base64
import hashlib
import json
import marshal
import math
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from keyword import iskeyword
from operator import itemgetter
from typing import Any

_BIG = 1 << 63
_NAME = 200
_PIECE = 4096
"""Items of a list that are digested together."""
_ATOMS = frozenset({str, bool, float, type(None)})
_NUMPY = frozenset(
    {"bool", "str", "object", "float16", "float32", "float64", "complex64", "complex128"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)
"""The arrays that cross, by what they hold."""

_encode = json.JSONEncoder(separators=(",", ":")).encode

Form = Any
"""What `json` can hold."""


class WireError(ValueError):
    """Text that is not the form of any value."""


class Opaque:
    """What stands for a value that could not cross; it equals only itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        """The name of the value's type, as its process told it."""

    def __repr__(self) -> str:
        return f"<{self.name} object>"


class Long:
    """What stands for a value too long to send; equal ones stand for equal values."""

    def __init__(self, kind: str, length: int, floats: bool, sha256: str) -> None:
        self.kind = kind
        """The name of the value's type."""
        self.length = length
        """Its length, where the type has one, else -1."""
        self.floats = floats
        """Whether it is a list or tuple of floats alone."""
        self.sha256 = sha256
        """Of the value's content, in hex."""

    def __eq__(self, other: object) -> bool:
        return type(other) is Long and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.sha256)


class Writer:
    """Turns values into text; `other` gives the form of those that are not plain data."""

    def __init__(self, other: Callable[[Any], Form] | None = None) -> None:
        self._other = other or _opaque

    def text(self, value: Any) -> str:
        """Return `value` as text; raises RecursionError if it is nested too deeply."""
        return _encode(self.form(value))

    def short_text(self, value: Any, most: int) -> str:
        """Return `value` as text, by a `Long` if that takes more than about `most` characters."""
        kind = type(value)
        if kind in (str, list, tuple) and len(value) > most // 4:
            # As good as text for telling whether two are the same, many times faster and smaller.
            with suppress(ValueError):
                return self._long(value, _pieces(value))
        text = self.text(value)
        return text if len(text) <= most else self._long(value, [text.encode()])

    def _long(self, value: Any, pieces: Iterable[bytes]) -> str:
        kind = type(value)
        listed = kind in (list, tuple)
        length = len(value) if listed or kind is str else -1
        floats = listed and set(map(type, value)) == {float}
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        return self.text(Long(kind.__name__[:_NAME], length, floats, digest.hexdigest()))

    def form(self, value: Any) -> Form:
        """Return `value` as what JSON can hold; raises RecursionError."""
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind is int:
            return value if -_BIG < value < _BIG else {"int": hex(value)}
        if kind is list:
            return self._items(value)
        if kind is tuple:
            return {"tuple": self._items(value)}
        if kind is dict:
            return {"dict": self._pairs(value)}
        write = _WRITERS.get(kind)
        return write(self, value) if write else self._of_a_subclass(value)

    def _items(self, values: list[Any] | tuple[Any, ...]) -> list[Form]:
        # Long lists are mostly of one simple type: spare them the walk.
        kinds = set(map(type, values))
        if kinds <= _ATOMS:
            return list(values)
        if kinds == {int} and min(values) > -_BIG and max(values) < _BIG:
            return list(values)
        return [self.form(value) for value in values]

    def _pairs(self, value: dict[Any, Any]) -> list[Form]:
        return [self._items(list(value)), self._items([value[key] for key in value])]

    def _of_a_subclass(self, value: Any) -> Form:
        """Return the form of the plain data in a subclass; its own methods are not asked."""
        kind = type(value)
        if kind.__module__ == "numpy" and "numpy" in sys.modules:
            return self._numpy(value)
        if isinstance(value, tuple):
            items = self._items([*tuple.__iter__(value)])
            fields = getattr(kind, "_fields", None)
            if isinstance(fields, tuple):
                return {"namedtuple": [kind.__name__, list(fields), items]}
            return {"tuple": items}
        for base, plain in _PLAIN:
            if isinstance(value, base):
                return self.form(plain(value))
        return self._other(value)

    def _numpy(self, value: Any) -> Form:
        name = str(value.dtype.name)
        if name.startswith("str"):
            name = "str"
        if name not in _NUMPY:
            return self._other(value)
        if value.shape == () and type(value).__name__ != "ndarray":
            return {"numpy": [name, self.form(value.item())]}
        return {"ndarray": [name, list(value.shape), self._items(value.ravel().tolist())]}


def _pieces(value: str | list[Any] | tuple[Any, ...]) -> Iterator[bytes]:
    """Yield the content of plain data; raises ValueError where there is other data in it."""
    size = len(value) if isinstance(value, str) else _PIECE
    for start in range(0, len(value), size):
        yield marshal.dumps(value[start : start + size], 2)


def _opaque(value: Any) -> Form:
    return {"object": type(value).__qualname__[:_NAME]}


_WRITERS: dict[type, Callable[[Writer, Any], Form]] = {
    Long: lambda writer, value: {"long": [value.kind, value.length, value.floats, value.sha256]},
    set: lambda writer, value: {"set": writer._items(list(value))},
    frozenset: lambda writer, value: {"frozenset": writer._items(list(value))},
    type({}.keys()): lambda writer, value: {"keys": writer._items(list(value))},
    bytes: lambda writer, value: {"bytes": base64.b64encode(value).decode()},
    bytearray: lambda writer, value: {"bytearray": base64.b64encode(value).decode()},
    complex: lambda writer, value: {"complex": [value.real, value.imag]},
    range: lambda writer, value: {
        "range": [writer.form(part) for part in (value.start, value.stop, value.step)]
    },
    Counter: lambda writer, value: {"Counter": writer._pairs(value)},
    OrderedDict: lambda writer, value: {"OrderedDict": writer._pairs(value)},
    defaultdict: lambda writer, value: {"defaultdict": writer._pairs(value)},
    deque: lambda writer, value: {"deque": [writer._items(list(value)), value.maxlen]},
    Fraction: lambda writer, value: {
        "Fraction": [writer.form(value.numerator), writer.form(value.denominator)]
    },
    Decimal: lambda writer, value: {"Decimal": str(value)},
    datetime: lambda writer, value: {"datetime": value.isoformat()},
    date: lambda writer, value: {"date": value.isoformat()},
    time: lambda writer, value: {"time": value.isoformat()},
    timedelta: lambda writer, value: {"timedelta": [value.days, value.seconds, value.microseconds]},
}
_PLAIN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (complex, lambda value: complex(*map(float, (value.real, value.imag)))),
    (str, str.__str__),
    (bytes, lambda value: bytes.join(b"", [value])),
    (list, lambda value: [*list.__iter__(value)]),
    (dict, lambda value: dict(dict.items(value))),
    (set, lambda value: {*set.__iter__(value)}),
    (frozenset, lambda value: frozenset([*frozenset.__iter__(value)])),
)


def read(text: str, *, other: Callable[[str, Any], Any] | None = None) -> Any:
    """Return the value that `text` is the form of; raises WireError.

    The result takes memory in proportion to the text. Numpy's values come out as plain ones where
    numpy is not installed. `other` makes the values of tags that are
    not plain data and raises ValueError for those it doesn't know either.
    """

    decode = _decode if other is None else _decoder(other).decode
    try:
        return decode(text)
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
        raise WireError(f"no plain data: {type(error).__name__}: {str(error)[:_NAME]}") from None


def _decoder(other: Callable[[str, Any], Any]) -> json.JSONDecoder:
    def hook(form: dict[str, Any]) -> Any:
        if len(form) != 1:
            raise WireError(f"a tagged value has one key, not {len(form)}")
        ((tag, body),) = form.items()
        make = MAKERS.get(tag)
        return make(body) if make else other(tag, body)

    return json.JSONDecoder(object_hook=hook)


def _no_other(tag: str, body: Any) -> Any:
    raise WireError(f"no type has the tag {tag[:_NAME]!r}")


_decode = _decoder(_no_other).decode


def _checked(body: Any, kind: type, name: str) -> Any:
    if type(body) is not kind:
        raise WireError(f"{name} is made of {kind.__name__}, not {type(body).__name__}")
    return body


def _list(body: Any) -> list[Any]:
    return _checked(body, list, "a container")  # type: ignore[no-any-return]


def _text(body: Any) -> str:
    return _checked(body, str, "this type")  # type: ignore[no-any-return]


def _parts(body: Any, *kinds: type) -> list[Any]:
    return [
        _checked(part, kind, "this type") for part, kind in zip(_list(body), kinds, strict=True)
    ]


def _dict(body: Any) -> dict[Any, Any]:
    keys, values = _list(body)
    return dict(zip(_list(keys), _list(values), strict=True))


def _deque(body: Any) -> deque[Any]:
    items, most = _list(body)
    return deque(_list(items), most)


def _named(body: Any) -> Any:
    name, fields, items = _list(body)
    for field in _list(fields):
        if not _text(field).isidentifier() or iskeyword(field) or field.startswith("_"):
            raise WireError(f"{field[:_NAME]!r} is no field's name")
    if len(set(fields)) != len(_list(items)) or len(fields) != len(items):
        raise WireError("a named tuple has one value a field")
    members: dict[str, Any] = {field: property(itemgetter(at)) for at, field in enumerate(fields)}
    members |= {"__slots__": (), "_fields": tuple(fields), "__repr__": _named_shown}
    return type(_text(name)[:_NAME], (tuple,), members)(items)


def _named_shown(value: Any) -> str:
    parts = ", ".join(f"{field}={item!r}" for field, item in zip(value._fields, value, strict=True))
    return f"{type(value).__name__}({parts})"


def _numpy(body: Any) -> Any:
    name, value = _list(body)
    made = _array([name, [], [value]])
    return made[()] if "numpy" in sys.modules else made


def _nested(shape: list[int], items: list[Any]) -> Any:
    """Return what `tolist` of an array gives, for a side without numpy."""
    if not shape:
        return items[0]
    size = len(items) // shape[0] if shape[0] else 0
    return [
        _nested(shape[1:], items[start * size : (start + 1) * size]) for start in range(shape[0])
    ]


def _array(body: Any) -> Any:
    name, shape, items = _list(body)
    if name not in _NUMPY:
        raise WireError("arrays hold numbers, bools, strings or objects")
    if any(_checked(size, int, "a shape") < 0 for size in _list(shape)):
        raise WireError("a shape has no negative size")
    if math.prod(shape) != len(_list(items)):
        raise WireError("an array has as many items as its shape says")
    try:
        import numpy
    except ImportError:
        return _nested(shape, items)
    made = numpy.empty(len(items), object)
    made[:] = items
    return (made if name == "object" else made.astype(name)).reshape(shape)


MAKERS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda body: tuple(_list(body)),
    "dict": _dict,
    "int": lambda body: int(_text(body), 16),
    "set": lambda body: set(_list(body)),
    "frozenset": lambda body: frozenset(_list(body)),
    "keys": lambda body: dict.fromkeys(_list(body)).keys(),
    "bytes": lambda body: base64.b64decode(_text(body), validate=True),
    "bytearray": lambda body: bytearray(base64.b64decode(_text(body), validate=True)),
    "complex": lambda body: complex(*_parts(body, float, float)),
    "range": lambda body: range(*_parts(body, int, int, int)),
    "Counter": lambda body: Counter(_dict(body)),
    "OrderedDict": lambda body: OrderedDict(_dict(body)),
    "defaultdict": lambda body: defaultdict(None, _dict(body)),
    "deque": _deque,
    "namedtuple": _named,
    "Fraction": lambda body: Fraction(*_parts(body, int, int)),
    "Decimal": lambda body: Decimal(_text(body)),
    "datetime": lambda body: datetime.fromisoformat(_text(body)),
    "date": lambda body: date.fromisoformat(_text(body)),
    "time": lambda body: time.fromisoformat(_text(body)),
    "timedelta": lambda body: timedelta(*_parts(body, int, int, int)),
    "long": lambda body: Long(*_parts(body, str, int, bool, str)),
    "numpy": _numpy,
    "ndarray": _array,
    "object": lambda body: Opaque(_text(body)[:_NAME]),
}
"""How a value of each tag is made from what it is made of."""
