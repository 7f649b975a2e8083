"""Runs in the sandbox, as the cells of a context: holds a candidate and does what it is asked.

A request is `[function, arguments, keyword arguments, surroundings]`. A reply is
`["value", value, changed arguments, surroundings]`, `["error", ...]` (see `_failure`), or
`["callback", number, arguments]`, which is answered by `["return", value]` or `["raise", text]`
before the call goes on. Objects that are not plain data stay here and cross as handles. The
candidate shares this process, so every reply is a claim. Only the standard library, `wire` and
`surroundings` are imported.
"""

import asyncio
import builtins
import importlib
import inspect
import io
import operator
import os
import queue
import re
import sys
import threading
import traceback
import types
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from opencodeinterpreter.tools.grading.inside.surroundings import Surroundings
from opencodeinterpreter.tools.grading.inside.wire import Form, WireError, Writer, read

MARK = "\x1e"
"""Stands before a reply, after what the candidate printed."""
SOLUTION = 0
"""The handle of the candidate's module."""
_TEXT = 600
_FRAMES = 10
_STACK = 64 << 20
_CHANGEABLE = (list, dict, set, bytearray, deque)
_BUILTINS = (
    "abs aiter bool bytes complex delattr dir divmod float format getattr hasattr hash int "
    "isinstance issubclass iter len list next pow repr reversed round setattr str"
)
_OPERATORS = (
    "add and_ concat contains delitem eq floordiv ge getitem gt iadd iand ifloordiv ilshift "
    "imatmul imod imul index invert ior ipow irshift isub itruediv ixor le lshift lt matmul mod "
    "mul ne neg or_ pos pow rshift setitem sub truediv xor"
)


def _wait_for(value: Any) -> Any:
    async def waiting() -> Any:
        return await value

    return asyncio.run(waiting())


def _signature(function: Any) -> list[list[Any]]:
    """Return name, kind, whether there is a default, and a plain default of each parameter."""
    told = []
    for parameter in inspect.signature(function).parameters.values():
        default = parameter.default
        has = default is not inspect.Parameter.empty
        plain = default if isinstance(default, int | float | str | bool | None) else repr(default)
        told.append([parameter.name, int(parameter.kind), has, plain if has else None])
    return told


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(builtins, name) for name in _BUILTINS.split()},
    **{name: getattr(operator, name) for name in _OPERATORS.split()},
    "enter": lambda value: type(value).__enter__(value),
    "exit": lambda value, *told: type(value).__exit__(value, *told),
    "public": lambda value: [name for name in vars(value) if not name.startswith("_")],
    "await": _wait_for,
    "signature": _signature,
}
"""What can be asked of any object, by name."""


class Candidate:
    """The candidate's module and the objects of it that others hold handles of."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._folder = f"{Path.cwd()}/"
        self._surroundings = Surroundings()
        self._writer = Writer(self._handle)
        self._replies: queue.Queue[str] = queue.Queue()
        self._returned: queue.Queue[list[Any]] = queue.Queue()
        self._calling = False
        self._own_input = builtins.input

    def load(self) -> str:
        """Import the candidate, as `solution`; return the reply."""
        return self._answer(self._load, [], {})

    def _load(self) -> int:
        return self._number(importlib.import_module("solution"))

    def reply(self, request: str) -> str:
        """Do what `request` asks; return the reply."""
        try:
            told = read(request, other=self._object)
        except WireError as error:
            return self._writer.text(["error", "TypeError", [], (str(error),), str(error), "", -1])
        if self._calling:
            self._returned.put(told)
            return self._next_reply()
        function, arguments, named, around = told
        asked = FUNCTIONS[function] if isinstance(function, str) else function
        self._surroundings.apply(around["files"])
        self._surroundings.enter(around["variables"], around["current"])
        sys.stdin = io.StringIO(around["stdin"])
        builtins.input = self._input(around["input"])
        if not around["callbacks"]:
            return self._answer(asked, arguments, named)
        # A call that may call back runs in a thread, so that this cell can end with the question.
        self._calling = True
        threading.stack_size(_STACK)
        work = threading.Thread(
            target=lambda: self._replies.put(self._answer(asked, arguments, named)), daemon=True
        )
        work.start()
        return self._next_reply()

    def _next_reply(self) -> str:
        reply = self._replies.get()
        self._calling = reply.startswith('["callback"')
        return reply

    def _call_back(self, number: int, *arguments: Any) -> Any:
        stdin = sys.stdin
        self._replies.put(self._writer.text(["callback", number, list(arguments)]))
        kind, value, text = self._returned.get()
        # The cell that brought the answer has put its own in place of the call's.
        sys.stdin = stdin
        if kind == "raise":
            raised = getattr(builtins, str(value), None)
            if not (isinstance(raised, type) and issubclass(raised, Exception)):
                raised = RuntimeError
            raise raised(text)
        return value

    def _input(self, number: int) -> Callable[..., Any]:
        """Return what `input` is during a call: the tests' function, or Python's own."""
        if number < 0:
            return self._own_input
        return lambda *prompt: self._call_back(number, *prompt)

    def _answer(self, asked: Callable[..., Any], arguments: list[Any], named: Any) -> str:
        given = {**dict(enumerate(arguments)), **named}
        before = {at: self._state(argument) for at, argument in given.items()}
        try:
            value = asked(*arguments, **named)
        except KeyboardInterrupt:
            # The sandbox's way to say that time is up.
            raise
        except BaseException as error:
            return self._writer.text(["error", *self._failure(error), self._around()])
        same = next((at for at, argument in given.items() if argument is value), None)
        if same is not None and before[same] is not None:
            value = _Argument(same)
        try:
            changed = {
                at: argument
                for at, argument in given.items()
                if before[at] is not None and self._state(argument) != before[at]
            }
            return self._writer.text(["value", value, changed, self._around()])
        except RecursionError:
            return self._writer.text(["value", _Endless(value), {}, self._around()])

    def _around(self) -> dict[str, Any]:
        try:
            files = self._surroundings.changes()
        except Exception as error:
            return {"files": {}, "unread": 0, "problem": str(error)[:_TEXT]}
        rest = sys.stdin.read() if isinstance(sys.stdin, io.StringIO) else ""
        return {"files": files, "unread": len(rest), "problem": ""}

    def _state(self, argument: Any) -> str | None:
        changeable = type(argument) in _CHANGEABLE or type(argument).__name__ == "ndarray"
        try:
            return self._writer.text(argument) if changeable else None
        except RecursionError:
            return None

    def _failure(self, error: BaseException) -> tuple[str, list[Any], Any, str, str, int]:
        """Return built-in type, other types, arguments, text, own lines, handle of an exception."""
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
        own = self._number(error) if vars(error) else -1
        return *self._kinds(type(error)), arguments, text.replace(self._folder, ""), lines, own

    def _kinds(self, kind: type[BaseException]) -> tuple[str, list[Any]]:
        """Return the built-in type of an exception, and handle and name of those before it."""
        kinds = [each for each in kind.__mro__ if issubclass(each, BaseException)]
        builtin = next(each for each in kinds if each.__module__ == "builtins")
        others = kinds[: kinds.index(builtin)]
        return builtin.__name__, [[self._number(each), each.__name__] for each in others]

    def _object(self, tag: str, body: Any) -> Any:
        if tag == "builtin":
            return getattr(builtins, body)
        if tag == "path":
            return Path(body)
        if tag == "callback":
            return lambda *arguments: self._call_back(body, *arguments)
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
        if isinstance(value, _Argument):
            return {"argument": value.at}
        if isinstance(value, _Endless):
            value = value.value
        if isinstance(value, PurePath):
            return {"path": str(value)}
        if isinstance(value, type):
            name = value.__name__
            if getattr(builtins, name, None) is value:
                return {"builtin": name}
            if issubclass(value, BaseException):
                return {"exception": list(self._kinds(value))}
            return {"class": self._class(value)}
        kind = "coroutine" if inspect.iscoroutine(value) else "object"
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            kind = "function"
        return {"handle": [self._number(value), kind, self._class(type(value)), shown(value)]}

    def _class(self, kind: type) -> list[Any]:
        """Return handle, name and bases of a class, as far as these are no built-in ones."""
        bases = [
            self._class(base)
            for base in kind.__bases__
            if getattr(builtins, base.__name__, None) is not base
        ]
        return [self._number(kind), kind.__name__, bases]


class _Argument:
    """Stands for a value that is one of the call's own arguments."""

    def __init__(self, at: int | str) -> None:
        self.at = at


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
    rest = memoryview(f"{MARK}{reply}\n".encode("utf-8", "replace"))
    while rest:
        rest = rest[os.write(1, rest) :]
