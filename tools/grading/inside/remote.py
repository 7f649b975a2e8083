"""Runs in the sandbox, in the examiner: proxies of the candidate's module, classes and objects.

Every operation on a proxy is requested from the candidate. The answer is plain data, which the
tests compare, or another object. Ordering would show the candidate plain data of the tests and let
it choose a fitting result, so it is refused. Arithmetic with plain data must give an object, and no
operator of that object may give plain data. Equality with plain data is always false. The candidate
decides about the equality of two of its own objects; this is recorded.
"""

import ast
import asyncio
import builtins
import collections.abc
import inspect
import linecache
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import ModuleSpec
from typing import Any, cast

from opencodeinterpreter.tools.grading.inside.derived import Above, derive
from opencodeinterpreter.tools.grading.inside.described import fields, signature
from opencodeinterpreter.tools.grading.inside.link import HarnessError, Link
from opencodeinterpreter.tools.grading.inside.reach import HOOKS, bound_names

_ASKED = "complex float index int repr str"
_ASKED_FOR_ANY = "abs getitem invert neg pos reversed round"
_ASKED_WITH = "delitem enter setitem"
_ARITHMETIC = "add and_ floordiv lshift matmul mod mul or_ pow rshift sub truediv xor"
_IN_PLACE = "iadd ifloordiv ilshift imatmul imod imul ior ipow irshift isub itruediv ixor"
_ORDER = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_OF_ARRAYS = (
    "all any argmax argmin clip cumsum dot dtype equals flatten item max mean min ndim nonzero "
    "prod ravel reshape shape size squeeze std sum tolist trace transpose var"
)
_PLAIN = frozenset(
    name
    for kind in (bytes, complex, dict, float, frozenset, int, list, range, set, str, tuple)
    for name in dir(kind)
) | frozenset(_OF_ARRAYS.split())
"""The attributes of plain data and arrays: an object that has them may imitate plain data."""
_FILE = "solution.py"
_OF_CODE = (
    "co_argcount co_firstlineno co_flags co_kwonlyargcount co_name co_nlocals co_posonlyargcount "
    "co_varnames"
)
"""What tests may read of the code of a function."""
_SLOTS = ("_link", "_number", "_shown")
_CATCHING = (AssertionError, Exception, BaseException)
"""The exceptions by which a failed assertion is caught."""
_SHORT, _LONG = 0.001, 0.02
"""The least and most seconds that a coroutine runs before the tests' own code gets a turn."""


class RemoteType(type):
    """The metaclass of proxies: operations on a candidate's class are requested from it."""

    def __new__(
        cls, name: str, bases: tuple[Any, ...], members: dict[str, Any], /, **named: Any
    ) -> Any:
        """Make a class that stands for one of the candidate's, or derives from one."""
        links = [each for each in bases if "_class_link" in each.__dict__]
        if "_class_link" in members or not links:
            return super().__new__(cls, name, bases, members)
        link = _link(links[0])
        if link.strict or any(issubclass(each, Carried) for each in links):
            what = f"the tests' class {name} cannot derive from the program's {links[0].__name__}"
            raise link.fail(HarnessError(f"{what}: give the program plain data"))
        number = derive(link, name, bases, members, named)
        kept = {each: members[each] for each in ("__classcell__", "__doc__") if each in members}
        own = {"_class_link": link, "_class_number": number, "__slots__": ()}
        made = super().__new__(cls, name, bases, kept | own)
        link.know_class(number, made)
        return made

    def __init__(cls, name: str, bases: Any, members: Any, /, **named: Any) -> None:
        super().__init__(name, bases, members)

    def __call__(cls, /, *arguments: Any, **named: Any) -> Any:
        """Make an object of the class."""
        made = _link(cls).do(cls, *arguments, **named)
        if isinstance(made, Remote | Carried) and number_of(cls) in _link(cls).made:
            _link(cls).made.add(made._number)
        return made

    def __getattr__(cls, name: str) -> Any:
        if _absent(name) or "_class_link" not in cls.__dict__:
            raise AttributeError(name)
        if name in _PLAIN:
            _reads(cls, name)
        value = _link(cls).do("getattr", cls, name)
        _spare_assertions(_link(cls), name, value)
        return value

    def __setattr__(cls, name: str, value: Any) -> None:
        if isinstance(value, Above):
            delattr(cls, name)  # `patch` found it, and puts it back
        else:
            _link(cls).do("setattr", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        _link(cls).do("delattr", cls, name)

    def __dir__(cls) -> Any:
        return _link(cls).do("dir", cls) if "_class_link" in cls.__dict__ else ()

    @property
    def __signature__(cls) -> inspect.Signature:
        if "_class_link" not in cls.__dict__:
            raise AttributeError("__signature__")
        return _signature(cls)

    @property
    def __annotations__(cls) -> Any:  # type: ignore[override]
        return _annotations(cls)

    @property
    def __flags__(cls) -> int:
        flags: int = type.__dict__["__flags__"].__get__(cls)
        abstract = "_class_link" in cls.__dict__ and _link(cls).do("abstract", cls)
        return flags | inspect.TPFLAGS_IS_ABSTRACT if abstract else flags

    @property
    def __dataclass_fields__(cls) -> Mapping[str, Any]:
        names = _link(cls).do("fields", cls) if "_class_link" in cls.__dict__ else None
        if names is None:
            raise AttributeError("__dataclass_fields__")
        return fields(names)

    def __bool__(cls) -> bool:
        return True

    def __iter__(cls) -> Any:
        _reads(cls, "iter")
        return _link(cls).do("iter", cls)

    def __len__(cls) -> int:
        _reads(cls, "len")
        return int(_link(cls).do("len", cls))

    def __getitem__(cls, name: Any) -> Any:
        _reads(cls, "[]")
        return _link(cls).do("getitem", cls, name)

    def __contains__(cls, value: Any) -> bool:
        _link(cls).decides("in")
        return bool(_link(cls).do("contains", cls, value))

    def __repr__(cls) -> str:
        return f"<class 'solution.{cls.__name__}'>"


_SPECIAL = frozenset(
    {"__annotations__", "__call__", "__defaults__", "__dict__", "__doc__", "__kwdefaults__"}
    | {"__abstractmethods__", "__match_args__", "__required_keys__", "__slots__"}
    | {
        "__isabstractmethod__",
        "__members__",
        "__module__",
        "__name__",
        "__qualname__",
        "__version__",
    }
)
"""The attributes with underscores that are requested from the candidate."""


def _absent(name: str) -> bool:
    """Return whether only Python or pytest looks for an attribute of this name."""
    if name.startswith("__") and name.endswith("__"):
        return name not in _SPECIAL
    return name in _SLOTS or name.startswith(("_mock", "_pytest", "_class_link"))


class Remote(metaclass=RemoteType):
    """A proxy of an object of the candidate."""

    __slots__ = _SLOTS
    _link: Link
    _number: int
    _shown: str

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        """Call the object."""
        return self._link.do(self, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name == "__dataclass_fields__":
            return type(self).__dataclass_fields__
        if name == "__wrapped__" and self._number in self._link.wrapped:
            return self._link.wrapped[self._number]
        if _absent(name):
            raise AttributeError(name)
        if name in _PLAIN:
            _reads(self, name)
        return self._link.do("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.do("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._link.do("delattr", self, name)

    def __eq__(self, other: object) -> bool:
        if type(other) is types.SimpleNamespace:
            told = self._link.do("vars", self)
            return type(told) is dict and told == vars(other)
        if not isinstance(other, Remote | RemoteType):
            return False
        if other is self:
            _reads(self, "==")
            return True
        self._link.decides("==")
        return bool(self._link.do("eq", self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        _reads(self, "hash")
        return int(self._link.do("hash", self))

    def __bool__(self) -> bool:
        self._link.decides("bool", self._number)
        return bool(_of_type(self, bool, self._link.do("bool", self)))

    def __len__(self) -> int:
        # `list` also asks objects without a length, such as iterators.
        length = _of_type(self, int, self._link.do("len", self))
        _reads(self, "len")
        return int(length)

    def __contains__(self, value: Any) -> bool:
        self._link.decides("in", self._number)
        return bool(self._link.do("contains", self, value))

    def __iter__(self) -> Any:
        found = self._link.do("iter", self)
        if found is not self:
            _reads(self, "iter")
        return found

    def __next__(self) -> Any:
        # An exhausted iterator stays exhausted, so that its sequence of items is fixed.
        if self._number in self._link.ended:
            raise StopIteration
        try:
            return self._link.do("next", self)
        except StopIteration:
            self._link.ended.add(self._number)
            raise

    def __divmod__(self, other: Any) -> Any:
        _reads(self, "divmod")
        return self._link.do("divmod", self, _own(self, "divmod", other))

    def __format__(self, spec: str) -> str:
        _reads(self, "format")
        return str(self._link.do("format", self, spec))

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        ended = bool(self._link.do("exit", self, error))
        return ended and error is not None and self._link.may_swallow(error)

    async def __aenter__(self) -> Any:
        return await self._link.do("aenter", self)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        ended = bool(await self._link.do("aexit", self, error))
        return ended and error is not None and self._link.may_swallow(error)

    def __aiter__(self) -> Any:
        return self._link.do("aiter", self)

    async def __anext__(self) -> Any:
        return await self._link.do("anext", self)

    def __copy__(self) -> Any:
        return self._link.do("copy", self)

    def __deepcopy__(self, memory: object) -> Any:
        return self._link.do("deepcopy", self)

    def __dir__(self) -> Any:
        return self._link.do("dir", self)

    def __reduce__(self) -> Any:
        raise self._link.fail(HarnessError("an object of the program cannot be copied here"))


def _of_function(name: str) -> Any:
    return property(lambda self: self._link.do("getattr", self, name))


class RemoteFunction(Remote):
    """A proxy of a function of the candidate, which `inspect` takes for a function."""

    __slots__ = ()
    _kind: type = types.FunctionType
    __defaults__, __kwdefaults__ = _of_function("__defaults__"), _of_function("__kwdefaults__")
    __doc__, __module__ = _of_function("__doc__"), _of_function("__module__")
    __func__, __self__ = _of_function("__func__"), _of_function("__self__")
    __name__ = _of_function("__name__")

    def __bool__(self) -> bool:
        return True

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # In a class of the tests, a function of the program is a method.
        bound = instance is not None and self._kind is types.FunctionType
        return types.MethodType(self, instance) if bound else self

    __class__ = property(lambda self: self._kind)

    @property
    def __annotations__(self) -> Any:  # type: ignore[override]
        return _annotations(self)

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature(self)

    @property
    def __code__(self) -> types.CodeType:
        told, text = self._link.do("code", self)
        traits = {name: told[name] for name in _OF_CODE.split()}
        linecache.cache[_FILE] = len(text), None, text.splitlines(True), _FILE
        return _some_code.__code__.replace(co_filename=_FILE, **traits)


class RemoteMethod(RemoteFunction):
    """A proxy of a method that is bound to an object of the candidate."""

    __slots__ = ()
    _kind = types.MethodType


class RemoteBuiltin(RemoteFunction):
    """A proxy of a function that is not written in Python."""

    __slots__ = ()
    _kind = types.BuiltinFunctionType


def _some_code() -> None:
    """Do nothing; its code is what the code of other functions is made of."""


class RemoteIterator(Remote):
    """A proxy of a generator, a `map` or another iterator of Python's own."""

    __slots__ = ()
    _kind: type = types.GeneratorType

    __class__ = property(lambda self: self._kind)


def _iterators() -> dict[str, Any]:
    kinds = (types.GeneratorType, types.AsyncGeneratorType, map, filter, zip, enumerate, reversed)
    return {
        kind.__name__: RemoteType(
            kind.__name__, (RemoteIterator,), {"__slots__": (), "_kind": kind}
        )
        for kind in kinds
    }


class RemoteCoroutine(Remote):
    """A proxy of a coroutine, which runs in the candidate's process, in turns with the tests."""

    __slots__ = ("_work",)
    _work: Any

    def _run(self) -> Any:
        if self._work is None:
            object.__setattr__(self, "_work", _finish(self._link, self))
        return self._work

    def send(self, value: Any) -> Any:
        """Run the coroutine; raises StopIteration with its result."""
        return self._run().send(value)

    def __next__(self) -> Any:
        return self.send(None)

    def throw(self, *told: Any) -> Any:
        """Raise an exception where the coroutine waits."""
        return self._run().throw(*told)

    def close(self) -> None:
        """Do nothing to the candidate's coroutine."""
        self._run().close()

    def __await__(self) -> Any:
        return self._run().__await__()

    def __del__(self) -> None:
        """Do nothing: the candidate is not informed."""


def awaitable(kind: Any) -> Any:
    """Return a class whose objects can be awaited, derived from a proxy's class."""
    members = {"__slots__": (), "__await__": lambda self: _finish(self._link, self).__await__()}
    return type.__new__(RemoteType, kind.__name__, (kind,), {**_identity_of(kind), **members})


def _identity_of(kind: Any) -> dict[str, Any]:
    """Return what says which class of the candidate a proxy class stands for."""
    return {name: vars(kind)[name] for name in ("_class_link", "_class_number", "__doc__")}


async def _finish(link: Link, work: Any) -> Any:
    """Let a coroutine of the candidate run to its end, in turns with the tests' own ones."""
    wait = _SHORT
    while (told := link.turn(work, wait)) is None:
        wait = _SHORT if link.lending.begun else min(2 * wait, _LONG)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            link.do("cancel", number_of(work))
    how, value = told
    if how == "cancelled":
        raise asyncio.CancelledError
    return value


collections.abc.Coroutine.register(RemoteCoroutine)

KINDS: dict[str, type[Remote]] = {
    "function": RemoteFunction,
    "method": RemoteMethod,
    "builtin_function_or_method": RemoteBuiltin,
    "coroutine": RemoteCoroutine,
    **_iterators(),
}


class RemoteModule(types.ModuleType):
    """A proxy of the candidate's module; its names are looked up on use."""

    def __init__(self, link: Link, number: int) -> None:
        super().__init__("solution")
        self.__dict__["_remote"] = bind(Remote, link, number, "solution")
        self.__dict__["__file__"] = _FILE
        linecache.cache[_FILE] = (lambda: str(link.do("source", self)),)  # read on use

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return _offered(self._remote)
        if name in ("__path__", "__spec__", "__loader__"):
            raise AttributeError(name)
        value = getattr(self._remote, name)
        _spare_assertions(self._remote._link, name, value)
        if isinstance(value, RemoteType):
            _note_use(value, name)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(self._remote, name, value)

    def __delattr__(self, name: str) -> None:
        # So `monkeypatch` undoes what it set: it finds no names in a module's own dict.
        delattr(self._remote, name)


class Importer:
    """Imports the candidate again, if the tests reload it or remove it from `sys.modules`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._new: list[types.ModuleType] = []

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """Return how the candidate's module is imported; `None` for others."""
        return ModuleSpec(name, cast("Any", self)) if name == "solution" else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Return a new module."""
        self._new.append(RemoteModule(self._link, int(self._link.do("import"))))
        return self._new[-1]

    def exec_module(self, module: types.ModuleType) -> None:
        """Run a module once more, unless it is new."""
        if module in self._new:
            self._new.remove(module)
        else:
            self._link.do("reload", module)


def _offered(module: Remote) -> list[str]:
    """Return the names for `from solution import *`, without those of Python and the tests."""
    public = module._link.do("public", module)
    # What the test runner calls by its name is for the tests to define.
    taken = set(dir(builtins)) | HOOKS | _names_of_importer()
    names = public if isinstance(public, list) else []
    return [
        name
        for name in names
        if type(name) is str
        and name.isidentifier()
        and not name.startswith(("_", "pytest"))
        and name not in taken
    ]


def _names_of_importer() -> set[str]:
    """Return the names that the importing file binds anywhere."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        source = frame.f_globals.get("__source_of_tests__")
        if isinstance(source, str):
            return bound_names(ast.parse(source))
        frame = frame.f_back
    return set()


def bind(kind: Any, link: Link, number: int, shown: str) -> Any:
    """Return a proxy of the candidate's object `number`."""
    made = object.__new__(kind)
    for name, value in zip(_SLOTS, (link, number, shown), strict=True):
        object.__setattr__(made, name, value)
    if kind is RemoteCoroutine:
        object.__setattr__(made, "_work", None)
    return made


class Carried(metaclass=RemoteType):
    """Plain data of a class of the candidate's own: the data, and further attributes."""

    _link: Link
    _number: int

    def __getattr__(self, name: str) -> Any:
        if _absent(name) or "_number" not in self.__dict__:
            raise AttributeError(name)
        if name in _PLAIN and self._number not in self._link.made:
            # It would answer in place of plain data of another type.
            raise AttributeError(name)
        return self._link.do("getattr", self, name)

    def __copy__(self) -> Any:
        return self._link.do("copy", self)

    def __deepcopy__(self, memory: object) -> Any:
        return self._link.do("deepcopy", self)


PLAIN: dict[str, type] = {
    kind.__name__: kind for kind in (int, float, str, bytes, list, dict, set, frozenset, tuple)
}
_SHOWING = ("__repr__", "__str__")
_DESCRIBING = frozenset({"delete", "get", "set", "set_name"})


def carry(kind: Any, link: Link, number: int, plain: Any, overridden: list[str]) -> Any:
    """Return plain data as an object of `kind`, which has its own methods `overridden`.

    Raises TypeError and the like for what is no such data.
    """
    base = plain_of(kind)
    made = base.__new__(kind) if base in (list, dict, set) else base.__new__(kind, plain)
    names = getattr(plain, "_fields", None)
    made.__dict__.update({"_link": link, "_number": number, "_named": names})
    fill(made, plain)
    for name in overridden:
        if name in (*_SHOWING, "__missing__"):
            type.__setattr__(kind, name, _asked_operator(base, name))
        elif not name.startswith("_"):
            made.__dict__[name] = _asked_method(made, getattr(base, name), name)
    return made


def plain_of(kind: Any) -> Any:
    """Return the class of plain data from which a class derives."""
    return next(each for each in kind.__mro__ if each in PLAIN.values())


def fill(carried: Any, plain: Any) -> None:
    """Put plain data into a list, dict or set of the candidate's own class; others have it."""
    base = plain_of(type(carried))
    if base in (list, dict, set):
        base.clear(carried)
        (base.extend if base is list else base.update)(carried, plain)


def _asked_method(carried: Any, plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a method that is the candidate's for what the tests made of its class, else plain."""

    def method(*given: Any, **named: Any) -> Any:
        if carried._number in carried._link.made:
            return carried._link.do("getattr", carried, name)(*given, **named)
        return plain(carried, *given, **named)

    return method


def _asked_operator(base: type, name: str) -> Callable[..., Any]:
    def operator(self: Any, *given: Any) -> Any:
        if name == "__missing__" or self._number in self._link.made:
            return self._link.do("getattr", self, name)(*given)
        if names := self.__dict__.get("_named"):
            parts = zip(names, tuple.__iter__(self), strict=True)
            return f"{type(self).__name__}({', '.join(f'{each}={item!r}' for each, item in parts)})"
        return getattr(base, name)(self)

    return operator


def make_class(
    link: Link, number: int, name: str, bases: tuple[Any, ...], plain: type | None = None
) -> Any:
    """Return a proxy of the candidate's class `number`, which derives from `plain` data or not."""
    members = {"_class_link": link, "_class_number": number, "__doc__": _Doc()}
    members["__module__"] = "solution"
    if plain is not None:
        parents = tuple(base for base in bases if issubclass(base, Carried)) or (Carried, plain)
        return RemoteType(name, parents, members)
    members["__slots__"] = ()
    try:
        return RemoteType(name, bases or (Remote,), members)
    except TypeError:
        # The bases are compatible in the candidate's process, but their proxies are not.
        return RemoteType(name, (Remote,), members)


def describe(kind: Any, methods: Iterable[str]) -> None:
    """Let a proxy class have those special methods of descriptors that its class has."""
    for name in methods:
        if name not in _DESCRIBING:
            raise ValueError(f"no descriptor has __{name}__")
        type.__setattr__(kind, f"__{name}__", _reading(name))


class _Doc:
    """Looks up a class's docstring on use."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return _link(owner).do("getattr", owner if instance is None else instance, "__doc__")


def number_of(value: Any) -> int | None:
    """Return the handle of a proxy; `None` for anything else."""
    if isinstance(value, RemoteType):
        return cast("int | None", value.__dict__.get("_class_number"))
    if isinstance(value, Remote):
        return value._number
    if isinstance(value, RemoteModule):
        return cast("int", value._remote._number)
    return None


def _link(kind: Any) -> Link:
    return kind.__dict__["_class_link"]  # type: ignore[no-any-return]


def _annotations(remote: Any) -> Any:
    link = _link(remote) if isinstance(remote, RemoteType) else remote._link
    return link.do("annotations", remote)


def _signature(function: Any) -> inspect.Signature:
    link = _link(function) if isinstance(function, RemoteType) else function._link
    return signature(link.do("signature", function))


def _spare_assertions(link: Link, name: str, value: Any) -> None:
    """Raise HarnessError for a name like that of an exception by which tests would lose a check.

    `except solution.ParseError` would also catch a failed assertion, if it is `Exception`.
    """
    kinds = value if isinstance(value, tuple) else (value,)
    if not name[:1].isupper():
        return
    if not any(kind is each and name != each.__name__ for kind in kinds for each in _CATCHING):
        return
    what = f"the program's {name} would also catch a failed assertion: it is {value!r}"
    raise link.fail(HarnessError(what))


def _note_use(kind: RemoteType, name: str) -> None:
    """Record whether the tests use a class as a class, by the name that they give it.

    The candidate may return a class instead of a function, but it cannot choose the tests' names.
    """
    link, number = _link(kind), number_of(kind)
    if number is not None and name[:1].isupper() and number not in link.functions:
        link.made.add(number)
    elif number is not None:
        link.functions.add(number)
        link.made.discard(number)


def _reads(remote: Any, operator: str) -> None:
    """Record an operator of an object or class whose result is plain data."""
    link = _link(remote) if isinstance(remote, RemoteType) else remote._link
    link.reads(operator, number_of(remote))


def _own(remote: Remote, operation: str, other: Any) -> Any:
    """Return `other` if it is a proxy; raises HarnessError otherwise."""
    if isinstance(other, Remote | RemoteType):
        return other
    raise _plain_needed(remote, operation, other)


def _plain_needed(remote: Remote, operation: str, other: Any) -> HarnessError:
    return remote._link.fail(
        HarnessError(
            f"the program gave an object of its own ({remote._shown}) where the test does "
            f"{operation} with {type(other).__name__}: plain data is needed for that"
        )
    )


def _asking(name: str) -> Callable[..., Any]:
    """Return a method that requests the operation and returns the answer."""
    return lambda self, *arguments: self._link.do(name, self, *arguments)


def _reading(name: str) -> Callable[..., Any]:
    """Return a method that requests the operation and records that its answer may be plain data."""

    def ask(self: Remote, *arguments: Any) -> Any:
        _reads(self, name)
        value = self._link.do(name, self, *arguments)
        wanted = _RESULTS.get(name)
        return value if wanted is None else _of_type(self, wanted, value)

    return ask


def _of_type(remote: Remote, wanted: type, value: Any) -> Any:
    if type(value) is wanted:
        return value
    raise remote._link.fail(
        HarnessError(f"the program gave {type(value).__name__} where {wanted.__name__} must be")
    )


def _between(name: str) -> Callable[..., Any]:
    return lambda self, other: _combined(name, self, other, (self, other))


def _reflected(name: str) -> Callable[..., Any]:
    return lambda self, other: _combined(name, self, other, (other, self))


def _combined(name: str, remote: Remote, other: Any, pair: tuple[Any, Any]) -> Any:
    """Return what arithmetic gives; with plain data that is an object, else a HarnessError."""
    link, operation = remote._link, name.strip("_")
    _reads(remote, operation)
    value = link.do(name, *pair)
    if isinstance(other, Remote | RemoteType):
        return value
    if not isinstance(value, Remote):
        raise _plain_needed(remote, operation, other)
    (link.made if remote._number in link.made else link.mixed).add(value._number)
    return value


def _ordering(name: str) -> Callable[..., Any]:
    def ask(self: Remote, other: Any) -> Any:
        self._link.decides(_ORDER[name], self._number)
        return self._link.do(name, self, _own(self, name, other))

    return ask


_RESULTS: dict[str, type] = {
    "complex": complex,
    "float": float,
    "index": int,
    "int": int,
    "repr": str,
    "str": str,
}
"""The result types that Python requires."""

for _name in _ASKED_WITH.split():
    type.__setattr__(Remote, f"__{_name}__", _asking(_name))
for _name in f"{_ASKED} {_ASKED_FOR_ANY}".split():
    type.__setattr__(Remote, f"__{_name}__", _reading(_name))
for _name in _ORDER:
    type.__setattr__(Remote, f"__{_name}__", _ordering(_name))
for _name in f"{_ARITHMETIC} {_IN_PLACE}".split():
    type.__setattr__(Remote, f"__{_name.strip('_')}__", _between(_name))
for _name in _ARITHMETIC.split():
    type.__setattr__(Remote, f"__r{_name.strip('_')}__", _reflected(_name))
