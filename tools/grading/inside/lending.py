"""Runs in the sandbox, in the examiner: the functions and objects that tests give the candidate.

The candidate holds stand-ins and requests each operation. It may do with an object what a program
does with it, but not reach the tests' code through it, replace its methods, or change what a mock
has recorded.
"""

import ast
import asyncio
import builtins
import copy
import functools
import inspect
import io
import re
import sys
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

from opencodeinterpreter.tools.grading.inside.described import fields_of, signature_of
from opencodeinterpreter.tools.grading.inside.losses import decides
from opencodeinterpreter.tools.grading.inside.reach import FUNCTIONS, holds_assertion
from opencodeinterpreter.tools.grading.inside.wire import Form

_SPECIALS = (
    "call iter next len contains getitem setitem delitem reversed enter exit aenter aexit aiter "
    "anext await bool hash eq ne lt le gt ge str repr format int float index complex abs neg pos "
    "invert round add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift radd "
    "rsub rmul rtruediv rfloordiv rmod rpow rmatmul rand ror rxor iadd isub imul itruediv ior iand "
    "fspath missing"
)
"""The special methods that a stand-in can have."""
_SHOWN = frozenset({"__doc__", "__module__", "__name__", "__qualname__"})
_FRAMES = frozenset(
    {"gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code", "tb_frame", "tb_next"}
    | {"f_back", "f_builtins", "f_code", "f_globals", "f_locals", "func", "mro"}
)
"""Attributes that lead to the tests' code."""
_FUNCTIONS = (
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType),
    *(types.WrapperDescriptorType, types.MethodDescriptorType),
)
_MOCKS_OWN = frozenset(name for name in dir(mock.AsyncMock()) if not name.startswith("__"))
"""What a mock records and how it is set up; the program of a test does not touch it."""
_NEVER = ("_pytest", "pytest", "opencodeinterpreter")
"""Packages whose objects are the tests' own."""
_ADDED = frozenset({"__repr__", "__str__"})
"""The special methods that the candidate may add to a class of the tests that lacks them."""
_OF_DATA = frozenset({"builtins", "collections", "datetime", "decimal", "fractions", "numpy"})
"""Modules of classes that hold plain data."""
_NEVER_KINDS = (
    *(types.ModuleType, types.FrameType, types.TracebackType, types.CodeType),
    *(asyncio.AbstractEventLoop, asyncio.Runner),
)


_READS = re.compile(r"\{[^{}]*[.\[](?:__|" + "|".join(sorted(_FRAMES)) + r")")
"""A replacement field that follows an attribute to the tests' code; see `str.format`."""


_COPYING: dict[str, Callable[[Any], Any]] = {"copy": copy.copy, "deepcopy": copy.deepcopy}


class RefusedError(Exception):
    """Something cannot be given to the candidate, or it may not do that."""


class Lending:
    """The objects that were given to the candidate, by number."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[tuple[int, ...], int] = {}
        self._told: set[int] = set()
        self._named: set[int] = set()
        """Classes that the candidate knows only from an annotation, or as the base of another."""
        self._decorated: dict[int, str] = {}
        """The names of asserting functions that were given outside of all tests, until a call."""
        self._set: dict[tuple[int, str], bool] = {}
        """Whether an attribute of a function is the candidate's, by number and name."""
        self.begun: dict[int, asyncio.Future[Any]] = {}
        """Awaitables of the tests for which the candidate waits."""

    def __getitem__(self, number: int) -> Any:
        if not 0 <= number < len(self._objects):
            raise LookupError(number)
        return self._objects[number]

    def number(self, value: Any) -> int:
        """Return the number of an object; an object always has the same one."""
        identity = _identity(value)
        if identity not in self._numbers:
            self._numbers[identity] = len(self._objects)
            self._objects.append(value)
        return self._numbers[identity]

    def uncalled(self) -> list[str]:
        """Return the asserting functions of the file that the candidate got and never called."""
        return [*self._decorated.values()]

    def form(self, value: Any, *, in_test: bool = True) -> Form:
        """Return the form of an object that is not plain data; raises RefusedError."""
        number = self.number(value)
        self._named.discard(number)
        if number in self._told:
            return {"lent": number}
        traits = self._traits(value)
        self._told.add(number)
        if not in_test and (definition := _definition(value)) and holds_assertion(definition):
            self._decorated[number] = definition.name
        return {"lent": [number, *traits]}

    def _traits(self, value: Any) -> list[Form]:
        """Return the kind of a stand-in, and what it is made of."""
        if type(value) in _FUNCTIONS:
            name, text = getattr(value, "__name__", ""), getattr(value, "__doc__", None)
            later = inspect.iscoroutinefunction(value)
            return ["function", str(name), _text(text), later, self._signature(value)]
        kind = value if isinstance(value, type) else type(value)
        if issubclass(kind, _NEVER_KINDS) or _is_never(kind):
            raise RefusedError(f"{kind.__name__} cannot be passed to the program")
        if not isinstance(value, type) and issubclass(kind, BaseException):
            # The candidate learns that a check failed, but not which one or how.
            return ["error", self._class_of(kind), [] if decides(value) else _arguments(value)]
        if not isinstance(value, type):
            return ["object", self.form(kind)]
        if issubclass(value, BaseException):
            return ["exception", value.__name__, _built_in(value)]
        own = vars(value).get("__annotations__", {})
        return [
            *("class", value.__name__, _text(value.__doc__), _specials(value)),
            [self._name(base) for base in value.__bases__ if _is_own(base)],
            _of_library(value),
            [[name, self._annotation(each)] for name, each in own.items()],
            fields_of(value, self._annotation, _hidden),
        ]

    def _signature(self, function: Any) -> list[Form] | None:
        """Return the form of a function's signature; `None` if it has none."""
        try:
            default = _shown if _is_told(function) else _hidden
            return signature_of(function, self._annotation, default)
        except (ValueError, TypeError):
            return None

    def _annotation(self, value: Any) -> Form:
        """Return the form of an annotation: a class, or what stands in the source."""
        if _is_of_program(value):
            return {"handle": value.__dict__["_class_number"]}
        if not isinstance(value, type) or isinstance(value, types.GenericAlias):
            return value if isinstance(value, str | None) else str(value)
        if place := named(value):
            return {"named": place}
        name = value.__name__
        if getattr(builtins, name, None) is value:
            return {"builtin": name}
        return self._name(value) if _is_own(value) and not _is_never(value) else str(value)

    def _name(self, kind: type) -> Form:
        """Return the form of a class that the candidate may not change, unless it is given it."""
        new = self.number(kind) not in self._told
        form = self.form(kind)
        if new:
            self._named.add(self.number(kind))
        return form

    def _class_of(self, kind: type) -> Form:
        return {"builtin": kind.__name__} if kind.__module__ == "builtins" else self.form(kind)

    def note(self, number: int, attributes: dict[str, Any]) -> Any:
        """Give a function of the tests the attributes that the candidate set; return it."""
        value = self[number]
        if attributes and not isinstance(value, types.FunctionType):
            raise LookupError(f"{number} is no function")
        for name, each in attributes.items():
            if name.startswith("__"):
                raise LookupError(name)  # Such as `__defaults__`, which change what it does.
            if self._set.setdefault((number, name), name not in vars(value)):
                setattr(value, name, each)
        return value

    def do(self, operation: str, number: int, /, *arguments: Any, **named: Any) -> Any:
        """Do what the candidate requests; raises RefusedError, and what the object raises."""
        value = self[number]
        _spare_classes_of_mocks(value)
        _spare_attributes(arguments, named)
        if operation == "call":
            self._decorated.pop(number, None)
            return value(*arguments, **named)
        if operation == "special":
            return _do_special(value, *arguments, **named)
        if operation == "getattr":
            return _attribute(value, *arguments)
        if operation in ("setattr", "delattr") and number in self._named:
            raise RefusedError(f"the program changes {value.__name__}, which it was not given")
        if operation in ("setattr", "delattr"):
            return _set_attribute(operation, value, *arguments)
        if operation in _COPYING:
            return _copied(value, _COPYING[operation])
        if operation == "vars":
            return _attributes(value)
        if operation == "store":
            return _store(value, *arguments)
        if operation == "await":
            return self._begin(number, value)
        raise RefusedError(f"there is no operation {operation}")

    def _begin(self, number: int, value: Any) -> tuple[bool, Any]:
        """Begin to wait for an awaitable; without a running loop, wait at once."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return True, asyncio.run(_awaited(value))
        self.begun[number] = asyncio.ensure_future(_awaited(value), loop=loop)
        return False, None

    def ended(self) -> tuple[tuple[int, str, Any], ...]:
        """Return number, kind of end and value of each awaitable that ended meanwhile."""
        done = [(number, future) for number, future in self.begun.items() if future.done()]
        return tuple(_end_of(number, self.begun.pop(number)) for number, _ in done)


async def _awaited(value: Any) -> Any:
    return await value


def _end_of(number: int, future: asyncio.Future[Any]) -> tuple[int, str, Any]:
    if future.cancelled():
        return number, "cancelled", None
    error = future.exception()
    return (number, "error", error) if error else (number, "value", future.result())


def named(value: Any) -> list[str] | None:
    """Return module and name of a function or class of Python's own library, else `None`.

    The candidate uses its own: so it runs nothing in the tests' process.
    """
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if type(value) not in _FUNCTIONS and not isinstance(value, type):
        return None
    if not isinstance(module, str) or module.partition(".")[0] not in sys.stdlib_module_names:
        return None
    found = getattr(sys.modules.get(module), str(name), None)
    return [module, str(name)] if found is value else None


def _is_told(function: Any) -> bool:
    """Return whether the candidate learns a function's defaults.

    They may be what a test expects, as in `lambda got, want=want: …`. So they must be constants
    in the source of a function that checks nothing.
    """
    definition = _definition(function)
    if definition is None or holds_assertion(definition):
        return False
    given = definition.args
    defaults = [*given.defaults, *filter(None, given.kw_defaults)]
    return all(isinstance(each, ast.Constant) for each in defaults)


def _definition(function: Any) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the definition of a function in the file of tests; `None` for others and lambdas."""
    if isinstance(function, types.MethodType):
        function = function.__func__
    if not isinstance(function, types.FunctionType):
        return None
    code, source = function.__code__, function.__globals__.get("__source_of_tests__")
    if source is None:
        return None
    for node in ast.walk(_parsed(source)):
        if isinstance(node, FUNCTIONS) and node.name == code.co_name:
            first = [*node.decorator_list, node][0]
            if first.lineno == code.co_firstlineno:
                return node
    return None


_parsed = functools.cache(ast.parse)


def _shown(default: Any) -> Any:
    return default if isinstance(default, str | int | float | None) else repr(default)


def _hidden(default: Any) -> None:
    pass


def _is_own(kind: type) -> bool:
    """Return whether a class is the tests' own, and not one of Python's library."""
    return kind.__module__.partition(".")[0] not in sys.stdlib_module_names


def _of_library(kind: type) -> list[str] | None:
    """Return the class of Python's library from which a class derives, as `named` does."""
    for each in kind.__mro__:
        if each.__module__ not in ("builtins", "abc", "typing") and (place := named(each)):
            return place
    return None


def _text(text: Any) -> str | None:
    return text if isinstance(text, str | None) else str(text)


def _identity(value: Any) -> tuple[int, ...]:
    """Return what identifies an object; Python makes a new method on each access to it."""
    if type(value) is types.MethodType:
        return id(value.__self__), id(value.__func__)
    return (id(value),)


def _is_never(kind: type) -> bool:
    """Return whether the objects of a class are the tests' own machinery."""
    if issubclass(kind, io.IOBase):
        return False
    roots = {each.__module__.partition(".")[0] for each in kind.__mro__ if each is not object}
    return not roots.isdisjoint(_NEVER) or any(
        each.__module__ == "unittest.case" for each in kind.__mro__
    )


def _built_in(kind: type) -> str:
    """Return the name of the first built-in class from which an exception derives."""
    return next(each.__name__ for each in kind.__mro__ if each.__module__ == "builtins")


def _arguments(error: BaseException) -> list[Any]:
    plain = all(isinstance(each, str | int | float | None) for each in error.args)
    return [*(error.args if plain else (str(error),))]


def _specials(kind: type) -> list[str]:
    """Return the special methods of a class that are not those of `object`."""
    found = []
    for name in _SPECIALS.split():
        # Not by `getattr`, which also finds what a metaclass has: all classes can be called.
        owner = next((each for each in kind.__mro__ if f"__{name}__" in vars(each)), object)
        if owner is not object and vars(owner)[f"__{name}__"] is not None:
            found.append(name)
    return found if not issubclass(kind, types.CoroutineType) else [*found, "await"]


def _do_special(value: Any, name: str, /, *arguments: Any, **named: Any) -> Any:
    if name not in _SPECIALS.split():
        raise RefusedError(f"there is no operation {name}")
    method = getattr(type(value), f"__{name}__")
    return method(value, *arguments, **named)


def _attribute(value: Any, name: str) -> Any:
    if (name.startswith("__") and name not in _SHOWN) or name in _FRAMES:
        raise AttributeError(name)
    _spare_mock(value, name)
    if isinstance(value, functools.partial | functools.partialmethod):
        raise RefusedError(f"the program reads {name} of a partial function of the tests")
    return getattr(value, name)


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes that an object itself has and that the candidate may read."""
    if isinstance(value, type) or type(value) in _FUNCTIONS or _is_mock(value):
        raise AttributeError("__dict__")
    return {name: each for name, each in vars(value).items() if name not in _FRAMES}


def _copied(value: Any, copied: Callable[[Any], Any]) -> Any:
    if _is_mock(value):
        raise RefusedError("the program copies a mock, which is for the tests")
    return copied(value)


def _store(value: Any, name: str, *new: Any) -> None:
    """Put an attribute into the object itself, or delete it, past its class's descriptors."""
    if _is_mock(value):
        raise RefusedError(f"the program changes {name} of a mock, which is for the tests")
    _spare_parts(value, name, *new)
    if new:
        vars(value)[name] = new[0]
    else:
        del vars(value)[name]


def _set_attribute(operation: str, value: Any, name: str, *new: Any) -> None:
    _spare_parts(value, name, *new)
    (setattr if operation == "setattr" else delattr)(value, name, *new)


def _spare_parts(value: Any, name: str, *new: Any) -> None:
    """Raise RefusedError if the program would put something in place of a part of the tests."""
    _spare_mock(value, name)
    if _may_be_added(value, name):
        return
    if name.startswith("__") or (_is_part(value, name) and not _is_mock(value)):
        kind = value if isinstance(value, type) else type(value)
        raise RefusedError(f"the program changes {kind.__name__}.{name}, a part of the tests")
    if new and _is_of_program(new[0]) and _is_of_tests(getattr(value, name, None)):
        what = f"{type(value).__name__}.{name}, which the tests have set"
        raise RefusedError(f"the program puts an object of its own in place of {what}")


def _may_be_added(value: Any, name: str) -> bool:
    """Return whether a class of the tests may get a method that shows its objects.

    It has none yet, and the result is compared as plain data; operators that compare stay away.
    """
    if not isinstance(value, type) or name not in _ADDED:
        return False
    return all(name not in vars(each) for each in value.__mro__ if each is not object)


def _is_of_program(value: Any) -> bool:
    from opencodeinterpreter.tools.grading.inside.remote import Remote, RemoteType

    return isinstance(value, Remote | RemoteType)


def _is_of_tests(value: Any) -> bool:
    """Return whether a value is an object that does something for the tests, not plain data."""
    return not _is_of_program(value) and type(value).__module__ not in _OF_DATA


def _is_part(value: Any, name: str) -> bool:
    """Return whether an attribute does something: a method or descriptor, or one behind a fake."""
    present = inspect.getattr_static(value, name, None)
    if _is_of_program(present):
        return False
    if inspect.isdatadescriptor(present) and not isinstance(value, type):
        return getattr(present, "fset", True) is None  # Else the tests' own setter decides.
    return callable(present) or hasattr(present, "__get__") or callable(getattr(value, name, None))


def _is_mock(value: Any) -> bool:
    return isinstance(value, mock.NonCallableMock)


def _spare_classes_of_mocks(value: Any) -> None:
    """Raise RefusedError for the class of a mock, through which all that it records is changed."""
    if isinstance(value, type) and issubclass(value, mock.NonCallableMock):
        raise RefusedError("the program uses the class of a mock, which is for the tests")


def _spare_attributes(*given: Any) -> None:
    """Raise RefusedError for a text that, as a format, reads attributes of the tests' objects."""
    for value in given:
        if isinstance(value, str) and _READS.search(value):
            raise RefusedError(f"the program gives the tests the format {value[:80]!r}")
        if isinstance(value, dict):
            _spare_attributes(*value, *value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            _spare_attributes(*value)


def _spare_mock(value: Any, name: str) -> None:
    """Raise RefusedError if the program touches what only the tests should."""
    if _is_mock(value) and (name in _MOCKS_OWN or name.startswith("assert")):
        raise RefusedError(f"the program uses {name} of a mock, which is for the tests")
