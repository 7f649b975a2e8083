"""Runs in the sandbox, as the cells of a context: holds a candidate and does what it is asked.

A request is `[function, arguments, keyword arguments]`, a reply `[kind, ...]`; see `_answer`.
Objects that are not plain data stay here and cross as handles. It shares a process with the
candidate, so each reply is a claim. It depends on the standard library and on `wire`.
"""

import builtins
import importlib
import operator
import os
import re
import sys
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.grading.inside.wire import Form, WireError, Writer, read

MARK = "\x1e"
"""Stands before a reply, after whatever the candidate printed."""
SOLUTION = 0
"""The handle of the candidate's module."""
_TEXT = 600
_FRAMES = 10
_CHANGEABLE = (list, dict, set, bytearray, deque)
_BUILTINS = (
    "abs aiter bool bytes complex delattr dir divmod float format getattr hasattr hash int "
    "isinstance issubclass iter len list next pow repr reversed round setattr str"
)
_OPERATORS = (
    "add and_ concat contains delitem floordiv ge getitem gt iadd iand ifloordiv ilshift imatmul "
    "imod imul index invert ior ipow irshift isub itruediv ixor le lshift lt matmul mod mul neg "
    "or_ pos pow rshift setitem sub truediv xor"
)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(builtins, name) for name in _BUILTINS.split()},
    **{name: getattr(operator, name) for name in _OPERATORS.split()},
    "enter": lambda value: type(value).__enter__(value),
    "exit": lambda value, *told: type(value).__exit__(value, *told),
    "public": lambda value: [name for name in vars(value) if not name.startswith("_")],
}
"""What can be asked of any object, by name."""


class Candidate:
    """The candidate's module and the objects of it that others hold handles of."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._folder = f"{Path.cwd()}/"
        self._writer = Writer(self._handle)

    def load(self) -> str:
        """Import the candidate, as `solution`; return the reply."""
        return self._answer(self._load, [], {})

    def _load(self) -> int:
        return self._number(importlib.import_module("solution"))

    def reply(self, request: str) -> str:
        """Do what `request` asks; return the reply."""
        try:
            function, arguments, named = read(request, other=self._object)
        except WireError as error:
            return self._writer.text(["error", "TypeError", [], (str(error),), str(error), ""])
        asked = FUNCTIONS[function] if isinstance(function, str) else function
        return self._answer(asked, arguments, named)

    def _answer(self, asked: Callable[..., Any], arguments: list[Any], named: Any) -> str:
        """Return `["value", value, changed arguments]` or `["error", ...]`; see `_failure`."""
        before = [self._state(argument) for argument in arguments]
        try:
            value = asked(*arguments, **named)
        except KeyboardInterrupt:
            # The sandbox's way to say that time is up.
            raise
        except BaseException as error:
            return self._writer.text(["error", *self._failure(error)])
        try:
            changed = {
                at: argument
                for at, argument in enumerate(arguments)
                if before[at] is not None and self._state(argument) != before[at]
            }
            return self._writer.text(["value", value, changed])
        except RecursionError:
            return self._writer.text(["value", _Endless(value), {}])

    def _state(self, argument: Any) -> str | None:
        return self._writer.text(argument) if type(argument) in _CHANGEABLE else None

    def _failure(self, error: BaseException) -> tuple[str, list[Any], Any, str, str]:
        """Return built-in type, other types, arguments, text and own lines of an exception."""
        try:
            text = str(error)[:_TEXT]
        except BaseException:
            text = "(its text cannot be read)"
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.startswith(self._folder)
        ]
        lines = "".join(traceback.format_list(frames[-_FRAMES:]))
        if isinstance(error, SyntaxError):
            lines += "".join(traceback.format_exception_only(error)[:-1])
        arguments = error.args if len(repr(text)) < _TEXT and type(error.args) is tuple else (text,)
        lines = lines.replace(self._folder, "")[: 3 * _TEXT]
        return *self._kinds(type(error)), arguments, text.replace(self._folder, ""), lines

    def _kinds(self, kind: type[BaseException]) -> tuple[str, list[Any]]:
        """Return the built-in type of an exception, and handle and name of those before it."""
        kinds = [each for each in kind.__mro__ if issubclass(each, BaseException)]
        builtin = next(each for each in kinds if each.__module__ == "builtins")
        others = kinds[: kinds.index(builtin)]
        return builtin.__name__, [[self._number(each), each.__name__] for each in others]

    def _object(self, tag: str, body: Any) -> Any:
        if tag == "builtin":
            return getattr(builtins, body)
        if tag == "handle" and type(body) is int and 0 <= body < len(self._objects):
            return self._objects[body]
        raise WireError(f"there is no {tag} {body!r} here")

    def _number(self, value: Any) -> int:
        """Return the handle of an object, always the same one."""
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return self._numbers[id(value)]

    def _handle(self, value: Any) -> Form:
        if isinstance(value, _Endless):
            value = value.value
        if isinstance(value, type):
            name = value.__name__
            if getattr(builtins, name, None) is value:
                return {"builtin": name}
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"exception": list(self._kinds(value))}
        return {"handle": [self._number(value), shown(value)]}


class _Endless:
    """A value that has no text, since it holds itself."""

    def __init__(self, value: Any) -> None:
        self.value = value


def shown(value: Any) -> str:
    """Return the start of a value's `repr`, whatever that does."""
    try:
        text = repr(value)
    except Exception as error:
        return f"({type(value).__name__} whose repr raises {type(error).__name__})"
    # Addresses differ from run to run, equal outcomes should not.
    text = re.sub(r" at 0x[0-9a-f]+>", ">", text[: _TEXT + 1]) + text[_TEXT + 1 :]
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}... ({len(text)} characters)"


@cache
def _candidate() -> Candidate:
    return Candidate()


def main() -> None:
    """Do what the cell's stdin asks and print the reply; an empty one asks to load."""
    request = sys.stdin.read()
    reply = _candidate().reply(request) if request else _candidate().load()
    with suppress(Exception):
        sys.stdout.flush()
    rest = memoryview(f"{MARK}{reply}\n".encode())
    while rest:
        rest = rest[os.write(1, rest) :]
