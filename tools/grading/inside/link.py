"""Runs in the sandbox, in the examiner: its end of the boundary to the candidate.

A call is sent as text and answered with plain data, handles of objects that stay with the
candidate, or an exception. Whatever could make plain data out of a lie is refused; see `remote`.
"""

import asyncio
import builtins
import io
import os
import sys
import types
import warnings
from collections.abc import Callable, ItemsView, ValuesView
from pathlib import Path, PurePath
from typing import Any, NoReturn, cast

from opencodeinterpreter.tools.grading.inside.lending import Lending, RefusedError, named
from opencodeinterpreter.tools.grading.inside.logs import changed, levels, log
from opencodeinterpreter.tools.grading.inside.losses import (
    loses_check_in_function,
    loses_check_in_with,
)
from opencodeinterpreter.tools.grading.inside.raised import Raised, number_of_class
from opencodeinterpreter.tools.grading.inside.shared import Frame, Shared
from opencodeinterpreter.tools.grading.inside.surroundings import Surroundings, TooLargeError
from opencodeinterpreter.tools.grading.inside.turns import Turns
from opencodeinterpreter.tools.grading.inside.watch import Watch
from opencodeinterpreter.tools.grading.inside.wire import (
    Form,
    WireError,
)

Ask = Callable[[str], tuple[str, str, str]]
"""Sends a request to the candidate; returns its output on both streams, and the reply."""


class HarnessError(BaseException):
    """A test needs something that cannot cross the boundary; it fails with this reason.

    It must not be caught by a test's `except Exception` or `pytest.raises`.
    """


class TimedOutError(HarnessError):
    """The candidate did not answer in time."""


class GoneError(HarnessError):
    """The candidate's process ended; the text says how."""


class OverError(HarnessError):
    """The candidate is gone or the time is over, so the test cannot be run."""


FAILURES: dict[str, type[HarnessError]] = {
    "late": TimedOutError,
    "gone": GoneError,
    "over": OverError,
}
"""The host's reasons for a request without a reply."""


class Link:
    """The tests' end of the boundary."""

    def __init__(self, ask: Ask, *, strict: bool) -> None:
        self._ask = ask
        self.strict = strict
        self._shared = Shared(1, self._form, self._form_of_subclass, self._made)
        self.lending = Lending()
        self.watch = Watch()
        self._turns = Turns()
        self._carried: list[Any] = []
        """Lists, dicts and sets of the candidate's own classes."""
        self._raised = Raised(self.do, HarnessError)
        self._classes: dict[int, Any] = {}
        self._objects: dict[int, Any] = {}
        self._sent = ""
        self._levels = levels()
        self._surroundings = Surroundings()
        self.runs = self._surroundings.runs
        self.is_of_tests = self._surroundings.is_given
        self._outside: tuple[HarnessError | None, BaseException | None, str] = (None, None, "")
        self._folder = os.getcwd()  # noqa: PTH109 - a Path costs more than the call
        self.test = 0
        """The number of the current test, from 1; 0 outside of all tests."""
        self.followed = False
        """Whether other tests are known to follow."""
        self._begun = 0
        self.trouble: HarnessError | None = None
        """What went wrong at the boundary during the current test; the test cannot hide it."""
        self.failure: BaseException | None = None
        """The exception of a function of the tests that the candidate called."""
        self.own_word: str = ""
        """The candidate's own operator on which the current test depends, if any."""
        self.made: set[int] = {0}
        """The handles of the module, of classes that tests use as classes, and of their objects."""
        self.functions: set[int] = set()
        """The handles of classes that the tests use by the name of a function."""
        self.wrapped: dict[int, Any] = {}
        """What a function's `__wrapped__` is, by the function's handle; pytest looks for it."""
        self.mixed: set[int | None] = set()
        """The handles of objects that came of arithmetic with plain data of the tests."""
        self.ended: set[int] = set()
        """The handles of exhausted iterators."""

    @property
    def troubled(self) -> bool:
        """Whether the current test failed at the boundary, whatever else happened in it."""
        return self.trouble is not None or self.failure is not None

    def begin_test(self) -> None:
        """Begin a test; trouble in the code outside all tests counts for it too."""
        self._outside = self.trouble, self.failure, self.own_word
        self._begun += 1
        self.test = self._begun

    def end_test(self) -> None:
        """Forget the trouble of the test."""
        self.trouble, self.failure, self.own_word = self._outside
        self.test = 0

    def decides(self, operator: str, number: int | None = None) -> None:
        """Record that the candidate's own operator may decide the current test.

        Raises HarnessError for an object that the candidate made of plain data of the tests.
        """
        if number in self.mixed:
            raise self.fail(
                HarnessError(
                    f"a test does {operator} with what the program made of an object of its own "
                    "and plain data of the test: plain data is needed for that"
                )
            )
        self.own_word = self.own_word or operator

    def reads(self, operator: str, number: int | None) -> None:
        """Note an operator that makes plain data of the candidate's object `number`.

        The tests expect as much of what they made of a class. What else has such operators may
        stand in for plain data, and give another one each time: strict grading takes it for none.
        """
        if number in self.mixed or (self.strict and number not in self.made):
            self.decides(operator, number)

    def may_swallow(self, error: BaseException) -> bool:
        """Return whether the candidate's `__exit__` may suppress an exception of the tests."""
        return not loses_check_in_with(error, self._folder)

    def fail(self, error: HarnessError) -> HarnessError:
        """Record a test's trouble, even if the test catches the exception; return it."""
        self.trouble = self.trouble or error
        return error

    def module(self, number: int) -> types.ModuleType:
        """Return the candidate's module, whose handle is `number`."""
        from opencodeinterpreter.tools.grading.inside.remote import RemoteModule

        return RemoteModule(self, number)

    def do(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call `function`, a remote object or a function's name, in the candidate's process.

        Containers that both sides hold are changed here as they were there. Raises the candidate's
        exception, and HarnessError if something cannot cross.
        """
        with self._turns.own():
            told = self._exchange(function, arguments, named)
            self._take(told[-1])
            if self.strict:
                # What was compared once must not change later.
                self._shared.end()
        if told[0] == "error":
            self._raise(told[1], function)
        return told[1]

    def turn(self, work: Any, wait: float) -> Any:
        """Let a coroutine of the candidate run for `wait` seconds.

        Return `None` if it goes on, else how it ended and its value.
        """
        ended = self.lending.ended()
        for _, how, error in ended:
            if how == "error":
                self._note_failure(error)
        return self.do("turn", work, wait, ended)

    def _note_failure(self, error: BaseException) -> None:
        """Record a failed check in the tests' code that the candidate ran: it may catch it."""
        if loses_check_in_function(error, self._folder):
            self.failure = self.failure or error

    def _exchange(self, function: Any, arguments: Any, named: Any) -> list[Any]:
        """Send a request and answer callbacks until the reply arrives."""
        try:
            text = self._shared.text([function, arguments, Frame(named), Frame(self._around())])
        except (RecursionError, TooLargeError, RefusedError) as error:
            raise self.fail(HarnessError(f"the arguments cannot cross: {error}")) from None
        told = self._reply(text)
        while told[0] == "callback":
            told = self._reply(self._called_back(*told[1:]))
        if self.trouble is not None:
            raise self.trouble
        return told

    def _called_back(self, operation: str, number: int, given: tuple[Any, ...], named: Any) -> str:
        """Do for the candidate what it requests of an object; return what is sent back."""
        try:
            with self._turns.lent():
                value = self.lending.do(operation, number, *given, **named)
            return self._shared.text(["return", value])
        except RefusedError as error:
            self.fail(HarnessError(str(error)))
            return self._shared.text(["raise", RuntimeError(str(error))])
        except BaseException as error:
            self._note_failure(error)
            return self._shared.text(["raise", error])

    def _reply(self, text: str) -> list[Any]:
        stdout, stderr, reply = self._ask(text)
        sys.stdout.write(stdout)
        sys.stderr.write(stderr)
        try:
            told = self._shared.read(reply)
            if not _is_reply(told):
                raise WireError("it has no known form")
        except (ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
            what = f"the program's answer cannot be read: {error}"
            raise self.fail(HarnessError(what)) from None
        return told  # type: ignore[no-any-return]

    def _around(self) -> dict[str, Any]:
        """Return the surroundings of a call for the candidate's process."""
        self._sent = ""
        before, self._levels = self._levels, levels()
        if isinstance(sys.stdin, io.StringIO):
            at = sys.stdin.tell()
            self._sent = sys.stdin.read()
            sys.stdin.seek(at)
        return {
            "files": Frame(self._surroundings.changes()),
            "variables": Frame(self._surroundings.variables()),
            "current": self._surroundings.current(),
            "stdin": self._sent,
            "patched": self.watch.patched(),
            "looping": _is_looping(),
            "levels": Frame(changed(self._levels, before)),
            "carried": tuple(self._carried),
        }

    def _take(self, around: Any) -> None:
        """Apply the files that a call wrote and the input that it read."""
        if not isinstance(around, dict):
            raise self.fail(HarnessError("the program's answer cannot be read"))
        if around.get("problem"):
            raise self.fail(HarnessError(f"files cannot cross: {around['problem']}"))
        try:
            self._surroundings.take(around.get("files") or {})
        except Exception as error:
            raise self.fail(HarnessError(f"files cannot cross: {error}")) from None
        try:
            log(around.get("logs") or ())
        except (ValueError, TypeError) as error:
            raise self.fail(HarnessError(f"what was logged cannot be read: {error}")) from None
        for category, text in around.get("warnings") or ():
            if isinstance(category, type) and issubclass(category, Warning):
                warnings.warn(str(text), category, stacklevel=4)
        unread = around.get("unread")
        if self._sent and isinstance(sys.stdin, io.StringIO) and isinstance(unread, int):
            read_ = max(0, len(self._sent) - max(0, unread))
            sys.stdin.read(read_)

    def _raise(self, error: Any, function: Any) -> NoReturn:
        """Raise the exception of a reply."""
        asked = function if isinstance(function, str) else ""
        passing = {"next": StopIteration, "turn": StopAsyncIteration}.get(asked, ())
        if isinstance(error, StopIteration | StopAsyncIteration | GeneratorExit) and not (
            isinstance(error, passing)
        ):
            # StopIteration would silently end a loop of the tests (see PEP 479).
            raise RuntimeError(f"the program raised {type(error).__name__}")
        raise error

    def _exception(self, body: Any) -> BaseException:
        name, others, arguments, text, lines, own, more = body
        kind = self._raised.kind(name, others)
        if type(arguments) is not tuple or type(own) is not int or type(more) is not dict:
            raise WireError("an exception has arguments and a number")
        return self._raised.exception(kind, (arguments, text, lines), more, own)

    def _made(self, tag: str, body: Any) -> Any:
        if tag == "handle" and type(body) is int:
            return self._raised.error(body) or self._objects[body]
        if tag == "raising":
            return self._exception(body)
        if tag == "handle":
            number, kind, of, shown, *wrapped = body
            if wrapped:
                self.wrapped[int(number)] = wrapped[0]
            return self._object(int(number), kind, of, str(shown))
        if tag == "lent":
            return self.lending.note(*body)
        if tag == "carried":
            return self._carry(*body)
        if tag == "class":
            return self._class(body)
        if tag == "path":
            return Path(str(body))
        if tag == "exception":
            return self._raised.kind(*body)
        if tag == "builtin" and isinstance(kind := getattr(builtins, body, None), type):
            return kind
        raise WireError(f"no type has the tag {tag!r}")

    def _object(self, number: int, kind: str, of: Any, shown: str) -> Any:
        """Return the proxy of an object of the candidate; an object always has the same one."""
        from opencodeinterpreter.tools.grading.inside.remote import KINDS, awaitable, bind

        if number not in self._objects:
            made = KINDS.get(kind) or self._class(of)
            if kind == "awaitable":
                made = awaitable(made)
            self._objects[number] = bind(made, self, number, shown)
        return self._objects[number]

    def know_class(self, number: int, made: Any) -> None:
        """Note the proxy of a class that the tests derived."""
        self._classes[number] = made
        self.made.add(number)

    def _class(self, of: Any) -> Any:
        """Return the proxy of a class of the candidate."""
        from opencodeinterpreter.tools.grading.inside.remote import PLAIN, describe, make_class

        number, name, bases, of_plain, describing = of
        if number not in self._classes:
            parents = tuple(dict.fromkeys(self._class(base) for base in bases))
            kind = PLAIN.get(of_plain) if not self.strict else None
            made = make_class(self, int(number), str(name), parents, kind)
            describe(made, describing)
            self._classes[number] = made
        return self._classes[number]

    def _carry(self, number: int, of: Any, overridden: list[str], plain: Any) -> Any:
        """Return plain data as an object of the candidate's class, always the same one.

        It is compared and computed with as the plain data that it is. Strict grading has no more
        of it than that.
        """
        from opencodeinterpreter.tools.grading.inside.remote import Carried, carry, fill

        kind = self._class(of)
        if not issubclass(kind, Carried):
            return plain
        if number not in self._objects:
            self._objects[number] = made = carry(kind, self, number, plain, overridden)
            if isinstance(made, list | dict | set):
                self._carried.append(made)
        found = self._objects[number]
        if type(found) is not kind:
            raise WireError(f"object {number} is another one")
        fill(found, plain)
        return found

    def _form_of_subclass(self, value: Any, plain: Form) -> Form:
        """Return the form of plain data in a class: the candidate's own object, if it is one."""
        from opencodeinterpreter.tools.grading.inside.remote import Carried

        if isinstance(value, Carried):
            return {"carried": [value._number, plain]}
        # One of the tests' own classes: the candidate may change it, as it may change any list.
        return self._shared.reference(value) if isinstance(value, list | dict | set) else plain

    def _form(self, value: Any) -> Form:
        from opencodeinterpreter.tools.grading.inside.remote import number_of

        number = number_of(value)
        if number is None:
            number = number_of_class(value)
        if isinstance(value, BaseException) and "remote" in value.__dict__:
            number = cast("Any", value).remote[1]
        if number is not None:
            return {"handle": number}
        if isinstance(value, PurePath):
            return {"path": os.fspath(value)}
        name = value.__name__ if isinstance(value, type) else ""
        if name and getattr(builtins, name, None) is value:
            return {"builtin": name}
        if place := named(value):
            return {"named": place}
        if isinstance(value, ValuesView | ItemsView):
            return self._shared.form(list(value))
        try:
            return self.lending.form(value, in_test=self.test > 0)
        except RefusedError as error:
            raise self.fail(HarnessError(str(error))) from None


def _is_looping() -> bool:
    """Return whether the tests run in an event loop at present."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_REPLIES: dict[str, tuple[type, ...]] = {
    "value": (object, dict),
    "error": (BaseException, dict),
    "callback": (str, int, tuple, dict),
}
"""The types of what follows the first word of a reply."""


def _is_reply(told: Any) -> bool:
    """Return whether the value has the form of a reply, so that the code below cannot fail."""
    if type(told) is not list or not told or type(told[0]) is not str:
        return False
    kinds = _REPLIES.get(told[0])
    if kinds is None or len(told) != len(kinds) + 1:
        return False
    return all(isinstance(part, kind) for part, kind in zip(told[1:], kinds, strict=True))
