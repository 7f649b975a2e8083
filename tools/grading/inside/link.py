"""Runs in the sandbox, in the examiner: its end of the boundary to the candidate.

A call is sent as text and answered with plain data, handles of objects that stay with the
candidate, or an exception. Whatever could make plain data out of a lie is refused; see `remote`.
"""

import asyncio
import builtins
import inspect
import io
import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from opencodeinterpreter.tools.grading.inside.surroundings import Surroundings, TooLargeError
from opencodeinterpreter.tools.grading.inside.wire import Form, WireError, Writer, read

Ask = Callable[[str], tuple[str, str, str]]
"""Sends a request to the candidate; returns what it printed on both streams, and the reply."""


class HarnessError(BaseException):
    """A test asked for what cannot cross the boundary; the test fails and says so.

    No `except Exception` and no expected exception of a test is to take it for the candidate's.
    """


class TimedOutError(HarnessError):
    """The candidate did not answer in time."""


class GoneError(HarnessError):
    """The candidate's process ended; the text says how."""


class OverError(HarnessError):
    """There is no candidate any more, or no time, so that a test cannot be run."""


FAILURES: dict[str, type[HarnessError]] = {
    "late": TimedOutError,
    "gone": GoneError,
    "over": OverError,
}
"""What the host says of a request without a reply."""


class Link:
    """The tests' end of the boundary."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._writer = Writer(self._form)
        self._exceptions: dict[int, type[BaseException]] = {}
        self._classes: dict[int, Any] = {}
        self._objects: dict[int, Any] = {}
        self._callbacks: list[Callable[..., Any]] = []
        self._calling = False
        self._sent = ""
        self._surroundings = Surroundings()
        self._stdin, self._input = sys.stdin, builtins.input
        self.trouble: HarnessError | None = None
        """What went wrong at the boundary during the present test; a test cannot hide it."""
        self.own_word: str = ""
        """The operator of the candidate's own that the present test rests on, if any."""

    def begin_test(self) -> None:
        """Forget what the last test ran into."""
        self.trouble = None
        self.own_word = ""

    def fail(self, error: HarnessError) -> HarnessError:
        """Note what a test ran into, whatever it does with the exception; return it."""
        self.trouble = self.trouble or error
        return error

    def module(self, number: int) -> types.ModuleType:
        """Return the candidate's module, whose handle is `number`."""
        from opencodeinterpreter.tools.grading.inside.remote import RemoteModule

        return RemoteModule(self, number)

    def do(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call `function`, a remote object or the name of a function, on the candidate's side.

        Arguments that the call changed are changed here too. Raises what the candidate raised, and
        HarnessError for what cannot cross.
        """
        given: dict[Any, Any] = {**dict(enumerate(arguments)), **named}
        told = self._exchange(function, arguments, named)
        if told[0] == "error":
            self._take(told[-1])
            raise self._exception(told[1:-1], function)
        _, value, changed, around = told
        self._take(around)
        for at, new in changed.items():
            _change(given.get(at), new)
        return given.get(value.at) if isinstance(value, _Argument) else value

    def _exchange(self, function: Any, arguments: Any, named: Any) -> list[Any]:
        """Send a request and answer calls back until the reply comes."""
        if self._calling:
            what = "a function that the program was given may not call the program itself"
            raise self.fail(HarnessError(what))
        try:
            asked = self._writer.form([function, arguments, named])
            # Only now is known whether functions are among the arguments.
            asked.append(self._writer.form(self._around()))
            text = json.dumps(asked)
        except (RecursionError, TooLargeError) as error:
            raise self.fail(HarnessError(f"the arguments cannot cross: {error}")) from None
        told = self._reply(text)
        while told[0] == "callback":
            told = self._reply(self._called_back(*told[1:]))
        return told

    def _called_back(self, number: int, arguments: list[Any]) -> str:
        """Call a function of the tests for the candidate; return what is sent back."""
        self._calling = True
        try:
            return self._writer.text(["return", self._callbacks[number](*arguments), ""])
        except Exception as error:
            return self._writer.text(["raise", type(error).__name__, str(error)])
        finally:
            self._calling = False

    def _reply(self, text: str) -> list[Any]:
        stdout, stderr, reply = self._ask(text)
        sys.stdout.write(stdout)
        sys.stderr.write(stderr)
        try:
            told = read(reply, other=self._made)
            if not _is_reply(told):
                raise WireError("it has no known form")
        except (ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
            what = f"the program's answer cannot be read: {error}"
            raise self.fail(HarnessError(what)) from None
        return told  # type: ignore[no-any-return]

    def _around(self) -> dict[str, Any]:
        """Return what a call finds around it on the candidate's side."""
        self._sent = ""
        if isinstance(sys.stdin, io.StringIO):
            at = sys.stdin.tell()
            self._sent = sys.stdin.read()
            sys.stdin.seek(at)
        replaced = builtins.input is not self._input
        if replaced:
            self._callbacks.append(builtins.input)
        return {
            "files": self._surroundings.changes(),
            "variables": self._surroundings.variables(),
            "current": self._surroundings.current(),
            "stdin": self._sent,
            "input": len(self._callbacks) - 1 if replaced else -1,
            "callbacks": bool(self._callbacks),
        }

    def _take(self, around: Any) -> None:
        """Take over the files that a call wrote and the input that it read."""
        if not isinstance(around, dict):
            raise self.fail(HarnessError("the program's answer cannot be read"))
        if around.get("problem"):
            raise self.fail(HarnessError(f"files cannot cross: {around['problem']}"))
        self._surroundings.apply(around.get("files") or {})
        unread = around.get("unread")
        if self._sent and isinstance(sys.stdin, io.StringIO) and isinstance(unread, int):
            read_ = max(0, len(self._sent) - max(0, unread))
            sys.stdin.read(read_)

    def _exception(self, told: list[Any], function: Any) -> BaseException:
        """Return the exception that a reply tells of."""
        name, others, arguments, text, lines, own = told
        if name in ("StopIteration", "StopAsyncIteration", "GeneratorExit") and function != "next":
            # It would end a loop of the tests as if all had been well (as PEP 479 has it).
            name, others, arguments = "RuntimeError", [], (f"the program raised {name}",)
        kind = self._kind(name, others)
        try:
            error = kind(*arguments)
        except BaseException:
            error = kind.__new__(kind)
        error.told = text, lines  # type: ignore[attr-defined]
        error.remote = (self, own)  # type: ignore[attr-defined]
        return error

    def _kind(self, name: str, others: list[Any]) -> type[BaseException]:
        """Return the class that stands for an exception type of the candidate's."""
        kind: Any = getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            kind = Exception
        if issubclass(kind, HarnessError | KeyboardInterrupt) or not issubclass(kind, Exception):
            # SystemExit and the like would end the tests instead of one of them.
            kind = kind if kind is SystemExit else Exception
        for number, own in reversed(others):
            if number not in self._exceptions:
                members = {"__init__": _init, "__str__": _text, "__getattr__": _attribute}
                self._exceptions[number] = type(str(own), (kind,), members)
            kind = self._exceptions[number]
        return kind  # type: ignore[no-any-return]

    def _made(self, tag: str, body: Any) -> Any:
        if tag == "handle":
            number, kind, of, shown = body
            return self._object(int(number), kind, of, str(shown))
        if tag == "class":
            return self._class(body)
        if tag == "argument":
            return _Argument(body)
        if tag == "path":
            return Path(str(body))
        if tag == "exception":
            return self._kind(*body)
        if tag == "builtin" and isinstance(kind := getattr(builtins, body, None), type):
            return kind
        raise WireError(f"no type has the tag {tag!r}")

    def _object(self, number: int, kind: str, of: Any, shown: str) -> Any:
        """Return what stands for an object of the candidate's, always the same thing."""
        from opencodeinterpreter.tools.grading.inside.remote import KINDS, bind

        if number not in self._objects:
            made = KINDS.get(kind) or self._class(of)
            self._objects[number] = bind(made, self, number, shown)
        return self._objects[number]

    def _class(self, of: Any) -> Any:
        """Return the class that stands for one of the candidate's."""
        from opencodeinterpreter.tools.grading.inside.remote import make_class

        number, name, bases = of
        if number not in self._classes:
            parents = tuple(dict.fromkeys(self._class(base) for base in bases))
            self._classes[number] = make_class(self, int(number), str(name), parents)
        return self._classes[number]

    def _form(self, value: Any) -> Form:
        from opencodeinterpreter.tools.grading.inside.remote import number_of

        number = number_of(value)
        if number is not None:
            return {"handle": number}
        if isinstance(value, PurePath):
            return {"path": os.fspath(value)}
        name = getattr(value, "__name__", None)
        if isinstance(name, str) and getattr(builtins, name, None) is value:
            return {"builtin": name}
        if callable(value) and not isinstance(value, type):
            self._callbacks.append(value)
            return {"callback": len(self._callbacks) - 1}
        raise self.fail(
            HarnessError(
                f"{type(value).__name__} cannot be passed to the program: only plain data, paths, "
                "functions and the program's own objects cross to it"
            )
        )


_REPLIES: dict[str, tuple[type, ...]] = {
    "value": (object, dict, dict),
    "error": (str, list, object, str, str, int, dict),
    "callback": (int, list),
}
"""What follows the first word of a reply."""


def _is_reply(told: Any) -> bool:
    """Return whether what was read has the form of a reply, so that nothing below can fail."""
    if type(told) is not list or not told or type(told[0]) is not str:
        return False
    kinds = _REPLIES.get(told[0])
    if kinds is None or len(told) != len(kinds) + 1:
        return False
    if told[0] == "error" and not all(
        type(each) is list and len(each) == 2 and type(each[0]) is int for each in told[2]
    ):
        return False
    return all(isinstance(part, kind) for part, kind in zip(told[1:], kinds, strict=True))


class _Argument:
    """Stands for the argument of a call that it gave back."""

    def __init__(self, at: Any) -> None:
        self.at = at


def _init(self: BaseException, *arguments: Any) -> None:
    self.args = arguments


def _text(self: Any) -> str:
    return str(self.told[0])


def _attribute(self: Any, name: str) -> Any:
    """Ask the candidate for an attribute of one of its exceptions."""
    if name.startswith("__") or "remote" not in self.__dict__ or self.remote[1] < 0:
        raise AttributeError(name)
    link, number = self.remote
    return link.do("getattr", link._object(number, "object", [number, "exception", []], ""), name)


def _change(argument: Any, new: Any) -> None:
    """Make a list, dict or set of the tests' equal to what the candidate made of its copy."""
    if type(argument) is not type(new):
        return
    if type(argument).__name__ == "ndarray":
        if argument.shape == new.shape:
            argument[...] = new
        return
    argument.clear()
    (argument.update if isinstance(argument, dict | set) else argument.extend)(new)


def run_coroutine(awaitable: Any) -> Any:
    """Run a coroutine of the tests to its end."""
    return asyncio.run(awaitable)


def is_coroutine_function(function: Any) -> bool:
    """Return whether calling `function` gives a coroutine."""
    return inspect.iscoroutinefunction(function)
