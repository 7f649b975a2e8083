"""Runs in the sandbox, as the cells of a context: runs tests written in Python.

The candidate is in another process: the tests run in a thread that waits, between two cells,
for what was asked of it. It depends on the standard library, `wire`, `remote` and `asserting`.
"""

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from opencodeinterpreter.tools.grading.inside.assertions import (
    FailedError,
    compare,
    holds,
    little_pytest,
)
from opencodeinterpreter.tools.grading.inside.remote import Link

MARK = "\x1e"
_TEXT = 1900
_TOO_LONG = "it took too long and was stopped"
_STACK = 64 << 20


class _OutOfTimeError(BaseException):
    """The candidate did not answer in time."""


class _CandidateGoneError(BaseException):
    """The candidate's process ended; its text says how."""


class _StopError(BaseException):
    """Nothing more can be asked: no time is left, or no candidate."""


class Tester:
    """Runs the steps of a plan and tells of each; see `plan`."""

    def __init__(self, steps: list[tuple[str, int | None]]) -> None:
        self._steps = steps
        self._asked: queue.Queue[str | None] = queue.Queue()
        self._answered: queue.Queue[dict[str, Any]] = queue.Queue()
        self.told: list[dict[str, Any]] = []
        """How tests went, since the last cell."""
        self._link = Link(self._ask)

    def start(self) -> None:
        """Begin with the first step, in a thread."""
        sys.modules["pytest"] = little_pytest()
        sys.modules["solution"] = self._link.module(0)
        threading.stack_size(_STACK)
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, answer: dict[str, Any]) -> None:
        """Hand over what became of the last request."""
        self._answered.put(answer)

    def next_request(self) -> str | None:
        """Wait for the next request to the candidate; `None` at the end."""
        return self._asked.get()

    def _ask(self, request: str) -> str:
        self._asked.put(request)
        answer = self._answered.get()
        if "reply" in answer:
            return str(answer["reply"])
        if "late" in answer:
            raise _OutOfTimeError
        if "stop" in answer:
            raise _StopError
        raise _CandidateGoneError(answer["gone"])

    def _work(self) -> None:
        try:
            self._run_all()
        finally:
            self._asked.put(None)

    def _run_all(self) -> None:
        namespace: dict[str, Any] = {"__name__": "tests", "_compare": compare, "_holds": holds}
        for source, number in self._steps:
            run = partial(exec, compile(source, "<tests>", "exec"), namespace)
            if not self._run(run, number):
                return
        self.told.append({"done": True})

    def _run(self, run: Callable[[], Any], number: int | None) -> bool:
        """Run a step and tell how it went; return whether to go on."""
        where = {} if number is None else {"end": number}
        try:
            run()
        except _StopError:
            return False
        except _CandidateGoneError as error:
            self.told.append({**where, "status": "error", "message": str(error)})
            return False
        except _OutOfTimeError:
            self.told.append({**where, "status": "timeout", "message": _TOO_LONG})
            return number is not None
        except BaseException as error:
            status = "failed" if isinstance(error, AssertionError) else "error"
            self.told.append({**where, "status": status, "message": _message(error)})
            return number is not None
        if number is not None:
            self.told.append({"end": number, "status": "passed"})
        return True


def _message(error: BaseException) -> str:
    if isinstance(error, FailedError):
        return str(error)[:_TEXT]
    text, lines = getattr(error, "told", None) or (str(error), _lines(error))
    name = type(error).__name__
    return f"{name}: {text}\n{lines}".rstrip()[:_TEXT] if text else f"{name}\n{lines}".rstrip()


def _lines(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == "<tests>"]
    return "".join(f"  in the tests, {frame.name}\n" for frame in own if frame.name != "<module>")


@cache
def _tester() -> list[Tester]:
    return []


def main() -> None:
    """Take a plan or an answer from the cell's stdin; print outcomes and the next request."""
    given = json.loads(sys.stdin.read())
    if "steps" in given:
        _tester().append(Tester(given["steps"]))
        _tester()[0].start()
    else:
        _tester()[0].answer(given)
    tester = _tester()[0]
    request = tester.next_request()
    told, tester.told = tester.told, []
    said = json.dumps({"told": told, "request": request})
    rest = memoryview(f"{MARK}{said}\n".encode())
    while rest:
        rest = rest[os.write(1, rest) :]
