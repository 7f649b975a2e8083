"""Runs in the sandbox, beside the candidate: what stands for functions and objects of the tests.

Every operation on such a stand-in is requested from the tests' process, which decides what it
permits; see `lending`. The same object of the tests always has the same stand-in.
"""

import asyncio
import builtins
import importlib
import typing  # noqa: F401 - annotations of the tests' functions are resolved among these names
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from opencodeinterpreter.tools.grading.inside.described import annotations, fields, signature

Ask = Callable[..., Any]
"""Requests an operation from the tests: its name, the object's number, and arguments."""

_SLOTS = ("_ask", "_number")
_OWN = frozenset({*_SLOTS, "_class_ask", "_class_number"})


class LentType(type):
    """The metaclass of stand-ins for objects of the tests; a class stands for one of theirs."""

    _class_ask: Ask
    _class_number: int

    def __call__(cls, /, *arguments: Any, **named: Any) -> Any:
        """Make an object of the class, in the tests' process."""
        return cls._class_ask("call", cls._class_number, *arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        if _is_own(name):
            raise AttributeError(name)
        return cls._class_ask("getattr", cls._class_number, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        cls._class_ask("setattr", cls._class_number, name, value)

    def __iter__(cls) -> Any:
        return cls._class_ask("special", cls._class_number, "iter")

    def __len__(cls) -> int:
        return int(cls._class_ask("special", cls._class_number, "len"))

    def __getitem__(cls, key: Any) -> Any:
        return cls._class_ask("special", cls._class_number, "getitem", key)

    def __contains__(cls, value: Any) -> bool:
        return bool(cls._class_ask("special", cls._class_number, "contains", value))

    def __bool__(cls) -> bool:
        return True


class Lent:
    """Stands for an object of the tests; the special methods are those of the object's class."""

    __slots__ = (*_SLOTS, "__weakref__")
    _ask: Ask
    _number: int
    __dict__ = property(lambda self: Attributes(self))

    def __copy__(self) -> Any:
        return self._ask("copy", self._number)

    def __deepcopy__(self, memory: object) -> Any:
        return self._ask("deepcopy", self._number)

    def __getattr__(self, name: str) -> Any:
        if _is_own(name):
            raise AttributeError(name)
        return self._ask("getattr", self._number, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", self._number, name, value)

    def __delattr__(self, name: str) -> None:
        self._ask("delattr", self._number, name)


class Attributes(dict[str, Any]):
    """The attributes of an object of the tests; what is changed here is changed there."""

    def __init__(self, lent: Lent) -> None:
        super().__init__(lent._ask("vars", lent._number))
        self._lent = lent

    def __setitem__(self, name: str, value: Any) -> None:
        self._lent._ask("store", self._lent._number, name, value)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self._lent._ask("store", self._lent._number, name)
        super().__delitem__(name)

    def update(  # type: ignore[override]
        self, given: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **named: Any
    ) -> None:
        """Set several attributes."""
        for name, value in dict(given, **named).items():
            self[name] = value

    def setdefault(self, name: str, value: Any = None) -> Any:
        """Set an attribute that is not set."""
        if name not in self:
            self[name] = value
        return self[name]

    def pop(self, name: str, *otherwise: Any) -> Any:
        """Delete an attribute; return its value."""
        value = super().get(name, *otherwise) if otherwise else self[name]
        if name in self:
            del self[name]
        return value


def _is_own(name: str) -> bool:
    return name in _OWN or (name.startswith("__") and name.endswith("__"))


class Borrowed:
    """The stand-ins that this process has."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._made: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        """What coroutines here wait for, by the number of the tests' awaitable."""

    def __bool__(self) -> bool:
        return bool(self._made)

    def number(self, value: Any) -> int | None:
        """Return the number of the tests' object for which a value stands."""
        return self._numbers.get(id(value))

    def find(self, told: Any) -> Any:
        """Return a stand-in: of `told`, its number, or number, kind and traits of a new one."""
        if type(told) is int:
            return self._made[told]
        number, kind, *traits = told
        if number not in self._made:
            made = getattr(self, f"_{kind}")(number, *traits)
            self._made[number] = made
            self._numbers[id(made)] = number
        return self._made[number]

    def _function(
        self, number: int, name: str, text: str | None, later: bool, told: list[Any] | None
    ) -> Any:

        async def awaited(*arguments: Any, **named: Any) -> Any:
            return await self._ask("call", number, *arguments, **named)

        def called(*arguments: Any, **named: Any) -> Any:
            return self._ask("call", number, *arguments, **named)

        function: Any = awaited if later else called
        function.__name__ = function.__qualname__ = name
        function.__doc__ = text
        if told is not None:
            function.__signature__ = signature(told)
            function.__annotations__ = annotations(told)
        return function

    def _object(self, number: int, kind: Any) -> Any:
        made = object.__new__(kind)
        object.__setattr__(made, "_ask", self._ask)
        object.__setattr__(made, "_number", number)
        return made

    def _class(
        self, number: int, name: str, text: str | None, specials: list[str], *of: Any
    ) -> Any:
        bases, library, annotated, told = of
        members: dict[str, Any] = {"__slots__": (), "__doc__": text}
        members["__annotations__"] = dict(annotated)
        if library is not None:
            kind = getattr(importlib.import_module(library[0]), library[1])
            members["__class__"] = property(lambda _: kind)
        if told is not None:
            members["__dataclass_fields__"] = fields(told)
        for special in specials:
            members[f"__{special}__"] = _special(special)
        if "await" in specials:
            members["__await__"] = lambda lent: self._wait(lent)
        if "hash" not in specials and "eq" in specials:
            members["__hash__"] = None
        return self._numbered(LentType(name, tuple(bases) or (Lent,), members), number)

    def _exception(self, number: int, name: str, base: str) -> Any:
        """Return a class for one of the tests' exceptions, derived from a built-in one."""
        return self._numbered(LentType(name, (getattr(builtins, base),), {}), number)

    def _numbered(self, made: Any, number: int) -> Any:
        type.__setattr__(made, "_class_ask", staticmethod(self._ask))
        type.__setattr__(made, "_class_number", number)
        return made

    def _error(self, number: int, kind: Any, arguments: list[Any]) -> BaseException:
        """Return an exception that stands for one of the tests."""
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            kind = RuntimeError
        try:
            error: BaseException = kind.__new__(kind, *arguments)
        except TypeError:
            error = RuntimeError(*arguments)
        error.args = tuple(arguments)
        return error

    def _wait(self, lent: Any) -> Generator[Any, Any, Any]:
        """Wait for an awaitable of the tests, which runs in their event loop."""
        done, value = self._ask("await", lent._number)
        if done:
            return value
        future = self.waiting[lent._number] = asyncio.get_running_loop().create_future()
        return (yield from future)

    def settle(self, results: tuple[tuple[int, str, Any], ...]) -> None:
        """Note how awaitables of the tests ended: number, how and value of each."""
        for number, how, value in results:
            future = self.waiting.pop(number, None)
            if future is None or future.done():
                continue
            if how == "value":
                future.set_result(value)
            elif how == "cancelled":
                future.cancel()
            else:
                future.set_exception(value)


def _special(name: str) -> Callable[..., Any]:
    def method(lent: Any, /, *arguments: Any, **named: Any) -> Any:
        return lent._ask("special", lent._number, name, *arguments, **named)

    method.__name__ = f"__{name}__"
    return method
