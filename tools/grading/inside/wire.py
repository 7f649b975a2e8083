"""Encode plain data as text that preserves Python's types, to send it between processes.

`None`, bools, floats, strings, lists and integers of 64 bits are plain JSON. Any other type is an
object with one key, the type's tag: `{"tuple": [1, 2]}`. A value without an encoding is sent as
the name of its type and read as an `Opaque`. Reading builds values of these types only; no byte is
ever executed.

Both sides of the sandbox use this file, so it depends on the standard library only.
"""

import base64
import hashlib
import json
import marshal
import math
import re
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from keyword import iskeyword
from operator import itemgetter
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

_BIG = 1 << 63
_NAME = 200
_PIECE = 4096
"""How many items of a list are digested together."""
_ATOMS = frozenset({str, bool, float, type(None)})
_CONTAINERS = frozenset(
    {list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict, array}
)
_NUMPY = frozenset(
    {"bool", "str", "object", "float16", "float32", "float64", "complex64", "complex128"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)
"""The types of arrays that can be sent."""
_TIMES = ("datetime64", "timedelta64")
_UNIT = re.compile(r"(\[\d{0,5}(Y|M|W|D|h|m|s|ms|us|ns)\])?")
"""The types of numpy's times and spans of time, which are sent as integers."""

LIBRARY_ERRORS = {
    "asyncio.exceptions": "InvalidStateError QueueEmpty QueueFull",
    "binascii": "Error",
    "configparser": "Error DuplicateOptionError DuplicateSectionError MissingSectionHeaderError "
    "NoOptionError NoSectionError ParsingError",
    "csv": "Error",
    "_csv": "Error",
    "dataclasses": "FrozenInstanceError",
    "decimal": "DecimalException DivisionByZero InvalidOperation Overflow",
    "ipaddress": "AddressValueError NetmaskValueError",
    "json.decoder": "JSONDecodeError",
    "queue": "Empty Full",
    "_queue": "Empty",
    "re": "error",
    "re._constants": "PatternError error",
    "sqlite3": "DatabaseError Error IntegrityError OperationalError ProgrammingError",
    "sre_constants": "error",
    "statistics": "StatisticsError",
    "struct": "error",
    "subprocess": "CalledProcessError SubprocessError TimeoutExpired",
    "tomllib": "TOMLDecodeError",
    "urllib.error": "HTTPError URLError",
    "xml.etree.ElementTree": "ParseError",
    "zipfile": "BadZipFile",
    "zoneinfo": "ZoneInfoNotFoundError",
}
"""The exceptions of Python's library that tests may expect, by module."""


def is_library_error(module: str, name: str) -> bool:
    """Return whether an exception's class is the same one on both sides."""
    return name in LIBRARY_ERRORS.get(module, "").split()


_encode = json.JSONEncoder(separators=(",", ":")).encode

Form = Any
"""What `json` can hold."""


class WireError(ValueError):
    """The text does not encode a value."""


class Opaque:
    """A placeholder for a value that could not be sent; it equals only itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        """The name of the value's type, as its process reported it."""

    def __repr__(self) -> str:
        return f"<{self.name} object>"


class Long:
    """A placeholder for a value too long to send; equal placeholders mean equal values."""

    def __init__(self, kind: str, length: int, floats: bool, sha256: str) -> None:
        self.kind = kind
        """The name of the value's type."""
        self.length = length
        """Its length; -1 if its type has none."""
        self.floats = floats
        """Whether it is a list or tuple of floats only."""
        self.sha256 = sha256
        """Of the value's content, in hex."""

    def __eq__(self, other: object) -> bool:
        return type(other) is Long and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.sha256)


class Writer:
    """Turns values into text.

    `other` gives the form of values that are not plain data, `subclass` that of a subclass, whose
    plain data has a form already, and `share` that of lists and other containers.
    """

    def __init__(
        self,
        other: Callable[[Any], Form] | None = None,
        subclass: Callable[[Any, Form], Form] | None = None,
        share: Callable[[Any], Form] | None = None,
    ) -> None:
        self._other = other or _opaque
        self._subclass = subclass or (lambda _, plain: plain)
        self._share = share

    def text(self, value: Any) -> str:
        """Return `value` as text; raises RecursionError if it is nested too deeply."""
        return _encode(self.form(value))

    def short_text(self, value: Any, most: int) -> str:
        """Return `value` as text, as a `Long` if it takes more than about `most` characters."""
        kind = type(value)
        if kind in (str, list, tuple) and len(value) > most // 4:
            # A digest shows equality as well as the text, and is much faster and smaller.
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
        """Return the encoding of `value` as a JSON value; raises RecursionError."""
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind is int:
            return value if -_BIG < value < _BIG else {"int": hex(value)}
        if self._share is not None and kind in _CONTAINERS:
            return self._share(value)
        return self._content(value, kind)

    def _content(self, value: Any, kind: type) -> Form:
        """Return the encoding of anything but a number or the like, as a value of its own."""
        if kind is list:
            return self._items(value)
        if kind is tuple:
            return {"tuple": self._items(value)}
        if kind is dict:
            return {"dict": self._pairs(value)}
        write = _WRITERS.get(kind)
        return write(self, value) if write else self._of_a_subclass(value)

    def _items(self, values: list[Any] | tuple[Any, ...]) -> list[Form]:
        # Long lists mostly have one simple type and need no walk.
        kinds = set(map(type, values))
        if kinds <= _ATOMS:
            return list(values)
        if kinds == {int} and min(values) > -_BIG and max(values) < _BIG:
            return list(values)
        return [self.form(value) for value in values]

    def _pairs(self, value: dict[Any, Any]) -> list[Form]:
        return [self._items(list(value)), self._items([value[key] for key in value])]

    def _of_a_subclass(self, value: Any) -> Form:
        """Encode the plain data in an instance of a subclass, without calling its own methods."""
        kind = type(value)
        if kind.__module__ == "numpy" and "numpy" in sys.modules:
            return self._numpy(value)
        if isinstance(value, tuple):
            items = self._items([*tuple.__iter__(value)])
            fields = getattr(kind, "_fields", None)
            if isinstance(fields, tuple):
                named = {"namedtuple": [kind.__name__, list(fields), items]}
                return self._subclass(value, named)
            return self._subclass(value, {"tuple": items})
        for base, plain in _PLAIN:
            if isinstance(value, base):
                return self._subclass(value, self.unshared(plain(value)))
        return self._other(value)

    def unshared(self, value: Any) -> Form:
        """Return the encoding of a container that is not shared, though what is in it may be."""
        kind = type(value)
        return self._content(value, kind) if kind in _CONTAINERS else self.form(value)

    def _numpy(self, value: Any) -> Form:
        name = str(value.dtype.name)
        if name.startswith("str"):
            name = "str"
        if not _is_numpy(name):
            return self._other(value)
        if self._share is not None and type(value).__name__ == "ndarray":
            return self._share(value)
        data = value.astype("int64") if name.startswith(_TIMES) else value
        if value.shape == () and type(value).__name__ != "ndarray":
            return {"numpy": [name, self.form(data.item())]}
        return {"ndarray": [name, list(value.shape), self._items(data.ravel().tolist())]}


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
    defaultdict: lambda writer, value: {
        "defaultdict": [*writer._pairs(value), getattr(value.default_factory, "__name__", "")]
    },
    deque: lambda writer, value: {"deque": [writer._items(list(value)), value.maxlen]},
    Fraction: lambda writer, value: {
        "Fraction": [writer.form(value.numerator), writer.form(value.denominator)]
    },
    Decimal: lambda writer, value: {"Decimal": str(value)},
    datetime: lambda writer, value: {"datetime": _moment(writer, value)},
    date: lambda writer, value: {"date": value.isoformat()},
    time: lambda writer, value: {"time": value.isoformat()},
    slice: lambda writer, value: {
        "slice": [writer.form(part) for part in (value.start, value.stop, value.step)]
    },
    type(...): lambda writer, value: {"single": "Ellipsis"},
    type(NotImplemented): lambda writer, value: {"single": "NotImplemented"},
    UUID: lambda writer, value: {"UUID": str(value)},
    re.Pattern: lambda writer, value: {"Pattern": [writer.form(value.pattern), value.flags]},
    timezone: lambda writer, value: {"timezone": writer.form(value.utcoffset(None))},
    ZoneInfo: lambda writer, value: {"ZoneInfo": str(value.key)},
    MappingProxyType: lambda writer, value: {"mappingproxy": writer._pairs(dict(value))},
    array: lambda writer, value: {"array": [value.typecode, writer._items(value.tolist())]},
    memoryview: lambda writer, value: {"memoryview": base64.b64encode(value).decode()},
    IPv4Address: lambda writer, value: {"ip_address": str(value)},
    IPv6Address: lambda writer, value: {"ip_address": str(value)},
    IPv4Network: lambda writer, value: {"ip_network": str(value)},
    IPv6Network: lambda writer, value: {"ip_network": str(value)},
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
    """Return the value that `text` encodes; raises WireError.

    The result takes memory in proportion to the text. Without numpy, numpy's values are read as
    plain ones. `other` makes the values of other tags, and raises ValueError for an unknown tag.
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


def _moment(writer: Writer, value: datetime) -> Form:
    """Return text of a moment, and its zone and fold if it is in a zone with a name."""
    if type(value.tzinfo) is not ZoneInfo:
        return value.isoformat()
    return [value.replace(tzinfo=None).isoformat(), writer.form(value.tzinfo), value.fold]


def _datetime(body: Any) -> datetime:
    if type(body) is not list:
        return datetime.fromisoformat(_text(body))
    text, zone, fold = body
    return datetime.fromisoformat(_text(text)).replace(tzinfo=zone, fold=fold)


_FACTORIES = {kind.__name__: kind for kind in (bool, dict, float, int, list, set, str, tuple)}


def _deque(body: Any) -> deque[Any]:
    items, most = _list(body)
    return deque(_list(items), most)


def _named(body: Any) -> Any:
    name, fields, items = _list(body)
    for field in _list(fields):
        if not _text(field).isidentifier() or iskeyword(field) or field.startswith("_"):
            raise WireError(f"{field[:_NAME]!r} is not a field name")
    if len(set(fields)) != len(_list(items)) or len(fields) != len(items):
        raise WireError("a named tuple has one value a field")
    members: dict[str, Any] = {field: property(itemgetter(at)) for at, field in enumerate(fields)}
    members |= {"__slots__": (), "_fields": tuple(fields), "__repr__": _named_shown}
    members |= {"_asdict": _named_as_dict, "_replace": _named_replaced}
    return type(_text(name)[:_NAME], (tuple,), members)(items)


def _named_as_dict(value: Any) -> dict[str, Any]:
    return dict(zip(value._fields, value, strict=True))


def _named_replaced(value: Any, /, **named: Any) -> Any:
    if strange := named.keys() - set(value._fields):
        raise ValueError(f"Got unexpected field names: {sorted(strange)}")
    return type(value)((_named_as_dict(value) | named).values())


def _named_shown(value: Any) -> str:
    parts = ", ".join(f"{field}={item!r}" for field, item in zip(value._fields, value, strict=True))
    return f"{type(value).__name__}({parts})"


def _numpy(body: Any) -> Any:
    name, value = _list(body)
    made = _array([name, [], [value]])
    return made[()] if "numpy" in sys.modules else made


def _nested(shape: list[int], items: list[Any]) -> Any:
    """Return what `tolist` of the array would return, if numpy is not installed."""
    if not shape:
        return items[0]
    size = len(items) // shape[0] if shape[0] else 0
    return [
        _nested(shape[1:], items[start * size : (start + 1) * size]) for start in range(shape[0])
    ]


def _array(body: Any) -> Any:
    name, shape, items = _list(body)
    if not _is_numpy(name):
        raise WireError("arrays hold numbers, bools, strings, times or objects")
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
    if name.startswith(_TIMES):
        times = numpy.array([_checked(item, int, "a time") for item in items], "int64")
        return times.view(name).reshape(shape)
    return (made if name == "object" else made.astype(name)).reshape(shape)


def _is_numpy(name: Any) -> bool:
    """Return whether arrays of a type can be sent."""
    kind, bracket, unit = _text(name).partition("[")
    return name in _NUMPY or (kind in _TIMES and _UNIT.fullmatch(bracket + unit) is not None)


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
    "defaultdict": lambda body: defaultdict(_FACTORIES.get(body[2]), _dict(body[:2])),
    "deque": _deque,
    "namedtuple": _named,
    "Fraction": lambda body: Fraction(*_parts(body, int, int)),
    "Decimal": lambda body: Decimal(_text(body)),
    "datetime": _datetime,
    "slice": lambda body: slice(*_list(body)),
    "single": lambda body: {"Ellipsis": ..., "NotImplemented": NotImplemented}[_text(body)],
    "UUID": lambda body: UUID(_text(body)),
    "Pattern": lambda body: re.compile(*_list(body)),
    "timezone": timezone,
    "ZoneInfo": lambda body: ZoneInfo(_text(body)),
    "mappingproxy": lambda body: MappingProxyType(_dict(body)),
    "array": lambda body: array(*_list(body)),
    "memoryview": lambda body: memoryview(base64.b64decode(_text(body), validate=True)),
    "ip_address": lambda body: ip_address(_text(body)),
    "ip_network": lambda body: ip_network(_text(body)),
    "date": lambda body: date.fromisoformat(_text(body)),
    "time": lambda body: time.fromisoformat(_text(body)),
    "timedelta": lambda body: timedelta(*_parts(body, int, int, int)),
    "long": lambda body: Long(*_parts(body, str, int, bool, str)),
    "numpy": _numpy,
    "ndarray": _array,
    "object": lambda body: Opaque(_text(body)[:_NAME]),
}
"""How to make a value of each tag from its content."""
