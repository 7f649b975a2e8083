"""Runs in the sandbox, in the examiner: what stands for the candidate's module, classes, objects.

All that is done to them is asked of the candidate. What it answers is plain data, which the tests
compare, or a further object. An operation that shows the candidate plain data of the tests and
could answer with whatever suits (arithmetic, ordering) is refused; equality with plain data is
always false. Equality of two of its own objects is the candidate's own word, and is noted.
"""

import ast
import builtins
import collections.abc
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, cast

from opencodeinterpreter.tools.grading.inside.link import HarnessError, Link

_ASKED = "abs bool complex float index int invert len neg pos repr reversed round str"
_ASKED_WITH = "delitem enter getitem iter next setitem"
_ARITHMETIC = "add and_ floordiv lshift matmul mod mul or_ pow rshift sub truediv xor"
_IN_PLACE = "iadd ifloordiv ilshift imatmul imod imul ior ipow irshift isub itruediv ixor"
_ORDER = "lt le gt ge"
_SLOTS = ("_link", "_number", "_shown")


class RemoteType(type):
    """The class of classes: what is done to a candidate's class is asked of the candidate."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        """Make an object of the class."""
        return _link(cls).do(cls, *arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        if _absent(name) or "_class_link" not in cls.__dict__:
            raise AttributeError(name)
        return _link(cls).do("getattr", cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        _link(cls).do("setattr", cls, name, value)

    @property
    def __signature__(cls) -> inspect.Signature:
        if "_class_link" not in cls.__dict__:
            raise AttributeError("__signature__")
        return _signature(cls)

    def __bool__(cls) -> bool:
        return True

    def __iter__(cls) -> Any:
        return _link(cls).do("iter", cls)

    def __len__(cls) -> int:
        return int(_link(cls).do("len", cls))

    def __getitem__(cls, name: Any) -> Any:
        return _link(cls).do("getitem", cls, name)

    def __contains__(cls, value: Any) -> bool:
        return bool(_link(cls).do("contains", cls, value))

    def __repr__(cls) -> str:
        return f"<class 'solution.{cls.__name__}'>"


_SPECIAL = frozenset(
    {"__annotations__", "__call__", "__dataclass_fields__", "__dict__", "__doc__"}
    | {"__members__", "__module__", "__name__", "__qualname__", "__version__"}
)
"""The attributes with underscores of which the candidate is asked."""


def _absent(name: str) -> bool:
    """Return whether an attribute is one that only Python or pytest looks for."""
    if name.startswith("__") and name.endswith("__"):
        return name not in _SPECIAL
    return name in _SLOTS or name.startswith(("_mock", "_pytest", "_class_link"))


class Remote(metaclass=RemoteType):
    """An object of the candidate's."""

    __slots__ = _SLOTS
    _link: Link
    _number: int
    _shown: str

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        """Call the object."""
        return self._link.do(self, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if _absent(name):
            raise AttributeError(name)
        return self._link.do("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.do("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._link.do("delattr", self, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Remote | RemoteType):
            return False
        if other is self:
            return True
        return _own_word(self, "==", bool(self._link.do("eq", self, other)))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return int(self._link.do("hash", self))

    def __contains__(self, value: Any) -> bool:
        return _own_word(self, "in", bool(self._link.do("contains", self, value)))

    def __divmod__(self, other: Any) -> Any:
        return self._link.do("divmod", self, _own(self, "divmod", other))

    def __format__(self, spec: str) -> str:
        return str(self._link.do("format", self, spec))

    def __exit__(self, *told: object) -> Any:
        return self._link.do("exit", self, None, None, None)

    def __reduce__(self) -> Any:
        raise self._link.fail(HarnessError("an object of the program cannot be copied here"))


class RemoteFunction(Remote):
    """A function or method of the candidate's."""

    __slots__ = ()

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return self._link.do("getattr", self, "__doc__")

    @property
    def __name__(self) -> str:
        return str(self._link.do("getattr", self, "__name__"))

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature(self)


class RemoteCoroutine(Remote):
    """A coroutine of the candidate's; awaiting it runs it on the candidate's side."""

    __slots__ = ()

    def send(self, value: Any) -> Any:
        """Run the coroutine to its end, which is told as StopIteration."""
        raise StopIteration(self._link.do("await", self))

    def __next__(self) -> Any:
        return self.send(None)

    def throw(self, *told: Any) -> Any:
        """Raise `told` here; the candidate's side is left alone."""
        raise told[0]

    def close(self) -> None:
        """Leave the coroutine as it is."""

    def __await__(self) -> Any:
        return self._link.do("await", self)
        yield

    def __del__(self) -> None:
        """Do nothing: the candidate's side is not told."""


collections.abc.Coroutine.register(RemoteCoroutine)

KINDS: dict[str, type[Remote]] = {"function": RemoteFunction, "coroutine": RemoteCoroutine}


class RemoteModule(types.ModuleType):
    """The candidate's module: its names are looked up when they are asked for."""

    def __init__(self, link: Link, number: int) -> None:
        super().__init__("solution")
        self.__dict__["_remote"] = bind(Remote, link, number, "solution")

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return _offered(self._remote)
        if name in ("__path__", "__spec__", "__file__", "__loader__"):
            raise AttributeError(name)
        return getattr(self._remote, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(self._remote, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._remote, name)


def _offered(module: Remote) -> list[str]:
    """Return the names that `from solution import *` brings: none of Python's or of the tests'."""
    public = module._link.do("public", module)
    taken = set(dir(builtins)) | _names_of_importer()
    names = public if isinstance(public, list) else []
    return [
        name
        for name in names
        if type(name) is str
        and name.isidentifier()
        and not name.startswith("_")
        and name not in taken
    ]


def _names_of_importer() -> set[str]:
    """Return the names that the importing file binds itself, wherever it does."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        source = frame.f_globals.get("__source_of_tests__")
        if isinstance(source, str):
            return _bound_names(source)
        frame = frame.f_back
    return set()


def _bound_names(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Import(names=found):
                names |= {(each.asname or each.name).partition(".")[0] for each in found}
            case ast.ImportFrom(module=module, names=found) if module != "solution":
                names |= {each.asname or each.name for each in found}
            case _:
                pass
    return names


def bind(kind: Any, link: Link, number: int, shown: str) -> Any:
    """Return an object of a class that stands for the candidate's object `number`."""
    made = object.__new__(kind)
    for name, value in zip(_SLOTS, (link, number, shown), strict=True):
        object.__setattr__(made, name, value)
    return made


def make_class(link: Link, number: int, name: str, bases: tuple[Any, ...]) -> Any:
    """Return a class that stands for the candidate's class `number`."""
    members = {"__slots__": (), "_class_link": link, "_class_number": number, "__doc__": _Doc()}
    try:
        return RemoteType(name, bases or (Remote,), members)
    except TypeError:
        # Bases that do not go together here did there.
        return RemoteType(name, (Remote,), members)


class _Doc:
    """Looks a class's docstring up when it is asked for."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return _link(owner).do("getattr", owner if instance is None else instance, "__doc__")


def number_of(value: Any) -> int | None:
    """Return the handle of a remote object or class; `None` for anything else."""
    if isinstance(value, RemoteType):
        return cast("int | None", value.__dict__.get("_class_number"))
    if isinstance(value, Remote):
        return value._number
    if isinstance(value, RemoteModule):
        return cast("int", value._remote._number)
    return None


def _link(kind: Any) -> Link:
    return kind.__dict__["_class_link"]  # type: ignore[no-any-return]


def _signature(function: Any) -> inspect.Signature:
    link = _link(function) if isinstance(function, RemoteType) else function._link
    parameters = []
    for name, kind, has, default in link.do("signature", function):
        value = default if has else inspect.Parameter.empty
        kinds = list(inspect._ParameterKind)
        parameters.append(inspect.Parameter(name, kinds[kind], default=value))
    return inspect.Signature(parameters)


def _own_word(remote: Remote, operator: str, holds: bool) -> bool:
    """Note that a test rests on what the candidate's own operator says."""
    if holds:
        remote._link.own_word = operator
    return holds


def _own(remote: Remote, operation: str, other: Any) -> Any:
    """Return `other` if it is the candidate's own object; raises HarnessError otherwise."""
    if isinstance(other, Remote | RemoteType):
        return other
    raise remote._link.fail(
        HarnessError(
            f"the program gave an object of its own ({remote._shown}) where the test does "
            f"{operation} with {type(other).__name__}: plain data is needed for that"
        )
    )


def _asking(name: str) -> Callable[..., Any]:
    wanted = _RESULTS.get(name)
    if wanted is None:
        return lambda self, *arguments: self._link.do(name, self, *arguments)
    return lambda self: _of_type(self, wanted, self._link.do(name, self))


def _of_type(remote: Remote, wanted: type, value: Any) -> Any:
    if type(value) is wanted:
        return value
    raise remote._link.fail(
        HarnessError(f"the program gave {type(value).__name__} where {wanted.__name__} must be")
    )


def _between(name: str) -> Callable[..., Any]:
    return lambda self, other: self._link.do(name, self, _own(self, name.strip("_"), other))


def _reflected(name: str) -> Callable[..., Any]:
    return lambda self, other: self._link.do(name, _own(self, name.strip("_"), other), self)


_RESULTS: dict[str, type] = {
    "bool": bool,
    "complex": complex,
    "float": float,
    "index": int,
    "int": int,
    "len": int,
    "repr": str,
    "str": str,
}
"""The types that Python insists on."""

for _name in f"{_ASKED} {_ASKED_WITH}".split():
    type.__setattr__(Remote, f"__{_name}__", _asking(_name))
for _name in f"{_ARITHMETIC} {_IN_PLACE} {_ORDER}".split():
    type.__setattr__(Remote, f"__{_name.strip('_')}__", _between(_name))
for _name in _ARITHMETIC.split():
    type.__setattr__(Remote, f"__r{_name.strip('_')}__", _reflected(_name))
