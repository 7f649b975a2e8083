"""Runs in the sandbox, in the examiner: the candidate's exceptions, as exceptions of the tests.

An exception's class is one of Python's own, or is made here and derives from it. What the class
does not have is requested from the candidate.
"""

import builtins
import importlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from opencodeinterpreter.tools.grading.inside.wire import WireError, is_library_error

Do = Callable[..., Any]
"""Requests an operation from the candidate; see `Link.do`."""
_SET = frozenset(
    {"code", "errno", "filename", "filename2", "name", "path", "strerror", "value"}
    | {"__cause__", "__context__", "__suppress_context__"}
)
"""What the candidate tells of an exception beside its arguments."""


class Raised:
    """The candidate's exceptions and their classes, by handle."""

    def __init__(self, do: Do, never: type[BaseException]) -> None:
        self._do = do
        self._never = never
        """The base of exceptions that the candidate cannot raise in the tests."""
        self._classes: dict[int, type[BaseException]] = {}
        self._errors: dict[int, BaseException] = {}

    def error(self, own: int) -> BaseException | None:
        """Return the exception of a handle, if there is one."""
        return self._errors.get(own)

    def exception(
        self, kind: type[BaseException], told: tuple[Any, ...], more: Mapping[str, Any], own: int
    ) -> BaseException:
        """Return the exception of a handle as it is now; `told` is arguments, text and lines."""
        arguments, text, lines = told
        error = self._errors.get(own) or _made(kind, arguments, more.get("exceptions"))
        self._errors[own] = error
        error.told = str(text), str(lines)  # type: ignore[attr-defined]
        error.remote = self._do, own  # type: ignore[attr-defined]
        for name, value in more.items():
            if name in _SET:
                setattr(error, name, value)
        if notes := more.get("__notes__"):
            error.__notes__ = [str(note) for note in notes]
        return error

    def kind(self, name: str, others: tuple[Any, ...]) -> type[BaseException]:
        """Return the class of an exception: the name of a known one, and those derived from it."""
        kind = self._known(name)
        for number, own in reversed(others):
            if type(number) is not int:
                raise WireError("a class has a number")
            if number not in self._classes:
                self._classes[number] = self._class(str(own), kind, number)
            kind = self._classes[number]
        return kind

    def _class(self, name: str, base: type[BaseException], number: int) -> type[BaseException]:
        members: dict[str, Any] = {"__str__": _text, "__getattr__": _attribute}
        if number >= 0:
            members |= {"__init__": self._init(number), "_class_number": number}
        return type(name, (base,), members)

    def _init(self, number: int) -> Callable[..., None]:
        """Return an `__init__` that makes the exception in the candidate's process as well."""

        def init(error: Any, *arguments: Any, **named: Any) -> None:
            kind = self._classes[number]
            if "remote" in error.__dict__:
                return
            made: Any = self._do(kind, *arguments, **named)
            error.args, error.told, error.remote = made.args, made.told, made.remote
            self._errors[made.remote[1]] = error

        return init

    def _known(self, name: str) -> type[BaseException]:
        module, _, own_name = name.rpartition(":")
        if is_library_error(module, own_name):
            library = getattr(importlib.import_module(module), own_name)
            return self._class(own_name, library, -1)
        kind: Any = getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            return Exception
        if kind in (SystemExit, BaseExceptionGroup):
            return kind
        # KeyboardInterrupt and the like would end the tests instead of one of them.
        return kind if issubclass(kind, Exception) and kind is not self._never else Exception


def _made(kind: Any, arguments: Any, group: Any) -> BaseException:
    try:
        if group and issubclass(kind, BaseExceptionGroup):
            return cast("BaseException", kind.__new__(kind, str(arguments[0]), [*group]))
        # `__init__` of the candidate's own classes would make another one.
        error: BaseException = kind.__new__(kind, *arguments)
        base: Any = next(each for each in kind.__mro__ if "_class_number" not in vars(each))
        base.__init__(error, *arguments)
    except Exception:
        error = kind.__new__(kind)
    if not issubclass(kind, BaseExceptionGroup):
        error.args = tuple(arguments)
    return error


def number_of_class(value: Any) -> int | None:
    """Return the handle of an exception's class; `None` for anything else."""
    if isinstance(value, type) and issubclass(value, BaseException):
        return vars(value).get("_class_number")
    return None


def _text(self: Any) -> str:
    told = self.__dict__.get("told")
    return str(told[0]) if told else BaseException.__str__(self)


def _attribute(self: Any, name: str) -> Any:
    """Ask the candidate for an attribute of one of its exceptions."""
    if name.startswith("__") or "remote" not in self.__dict__:
        raise AttributeError(name)
    do, _ = self.remote
    return do("getattr", self, name)
