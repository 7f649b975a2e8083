"""Runs in the sandbox, as the program: imports the candidate and tells how each test went.

It shares a process with the candidate, which could therefore forge what it tells. It depends on
the standard library alone. In: a job as JSON on stdin. Out: JSON lines on stdout; whatever the
candidate prints goes to stderr.
"""

import importlib
import json
import math
import operator
import os
import re
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

_TEXT = 1900
_VALUE = 600
_BITS = 13_000
"""Longer integers are refused by `json`, which reads at most 4,300 digits."""
_LEAST_SECONDS = 0.05
_TOO_LONG = "it took too long and was stopped"
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda left, right: left in right,
    "NotIn": lambda left, right: left not in right,
}


class _OutOfTimeError(BaseException):
    """A test took longer than its share."""


class _NotPlainError(Exception):
    """A value that JSON has no form for."""


def main() -> None:
    """Do the job on stdin and end the process."""
    job = json.load(sys.stdin)
    harness = Harness(os.dup(1), job["seconds"])
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, _alarm)
    try:
        harness.work(job)
    finally:
        sys.stdout.flush()
        os._exit(0)


def _alarm(number: int, frame: types.FrameType | None) -> None:
    raise _OutOfTimeError


class Harness:
    """Runs the steps of a job and tells of each at once, so that a death loses only one."""

    def __init__(self, results: int, seconds: float) -> None:
        self._results = results
        self._deadline = time.monotonic() + seconds
        self._folder = f"{Path.cwd()}/"

    def work(self, job: dict[str, Any]) -> None:
        """Import the candidate, then run every step."""
        sys.modules["pytest"] = _little_pytest()
        try:
            with self._time():
                solution = importlib.import_module("solution")
        except _OutOfTimeError as error:
            self._tell(**self._stop(error))
            return
        except BaseException as error:
            self._tell(broken=self._describe(error), **self._stop(error))
            return
        if "entry_point" in job:
            self._calls(solution, job["entry_point"], job["args"])
        else:
            self._steps(job["steps"])
        self._tell(done=True)

    def _calls(self, solution: types.ModuleType, entry_point: str, cases: list[list[Any]]) -> None:
        function = getattr(solution, entry_point, None) if entry_point else None
        if function is None:
            missing = f"the program defines no function {entry_point or 'to call'}"
            self._tell(status="error", message=missing)
            return
        for number, args in enumerate(cases):
            if not self._test(number, partial(function, *args)):
                return

    def _steps(self, steps: list[tuple[str, int | None]]) -> None:
        namespace: dict[str, Any] = {"__name__": "tests", "_compare": _compare, "_holds": _holds}
        for source, number in steps:
            run = partial(exec, compile(source, "<tests>", "exec"), namespace)
            if number is not None:
                if not self._test(number, run):
                    return
                continue
            try:
                with self._time():
                    run()
            except BaseException as error:
                self._tell(**self._stop(error))
                return

    def _test(self, number: int, run: Callable[[], Any]) -> bool:
        """Run one test and tell; return whether there is time for another."""
        if self._deadline - time.monotonic() < _LEAST_SECONDS:
            return False
        try:
            with self._time():
                value = run()
                told = _told(value)
        except BaseException as error:
            self._tell(end=number, **self._stop(error))
        else:
            self._tell(end=number, status="passed", **told)
        return True

    @contextmanager
    def _time(self) -> Iterator[None]:
        """Give what is inside half of the time that is left, so that one loop never takes all."""
        left = max(self._deadline - time.monotonic(), _LEAST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, left / 2)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _tell(self, **message: Any) -> None:
        rest = memoryview(json.dumps(message).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._results, rest) :]

    def _stop(self, error: BaseException) -> dict[str, str]:
        """Return the status and the message of what ended in `error`."""
        if isinstance(error, _OutOfTimeError):
            return {"status": "timeout", "message": _TOO_LONG}
        status = "failed" if isinstance(error, AssertionError) else "error"
        return {"status": status, "message": self._message(error)}

    def _message(self, error: BaseException) -> str:
        if isinstance(error, _FailedError):
            return str(error)[:_TEXT]
        told = self._describe(error)
        head = f"{told['name']}: {told['value']}" if told["value"] else told["name"]
        return f"{head}\n{told['traceback']}".rstrip()[:_TEXT]

    def _describe(self, error: BaseException) -> dict[str, str]:
        """Return name, text and the candidate's own lines of `error`."""
        try:
            value = str(error)[:_VALUE]
        except BaseException:
            value = "(its text cannot be read)"
        own = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.startswith(self._folder)
        ]
        lines = "".join(traceback.format_list(own[-10:]))
        if isinstance(error, SyntaxError):
            lines += "".join(traceback.format_exception_only(error)[:-1])
        return {
            "name": type(error).__name__,
            "value": value.replace(self._folder, ""),
            "traceback": lines.replace(self._folder, "")[:_TEXT],
        }


def _told(value: Any) -> dict[str, Any]:
    if value is None:
        return {"value": None}
    try:
        return {"value": _plain(value), "shown": _shown(value)}
    except (_NotPlainError, RecursionError):
        return {"shown": _shown(value)}


def _plain(value: Any) -> Any:
    """Return `value` as what JSON can hold; raises _NotPlainError."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise _NotPlainError
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str | int | float | bool | None) for key in value):
            raise _NotPlainError
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    raise _NotPlainError


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:
        return f"({type(value).__name__} whose repr raises {type(error).__name__})"
    # Addresses differ from run to run, equal outcomes should not.
    text = re.sub(r" at 0x[0-9a-f]+>", ">", text[: _VALUE + 1]) + text[_VALUE + 1 :]
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}... ({len(text)} characters)"


class _FailedError(AssertionError):
    """An assertion of the tests that did not hold; its text is ready to be shown."""


def _compare(
    text: str, name: str, left: Any, right: Any, swapped: bool, note: Callable[[], Any]
) -> None:
    if _OPERATORS[name](left, right):
        return
    actual, expected = (right, left) if swapped else (left, right)
    if name == "Eq":
        lines = [text, f"Expected: {_shown(expected)}", f"Actual: {_shown(actual)}"]
    else:
        lines = [text, f"Left: {_shown(left)}", f"Right: {_shown(right)}"]
    raise _FailedError("\n".join(lines + _noted(note)))


def _holds(text: str, value: Any, note: Callable[[], Any]) -> None:
    if not value:
        raise _FailedError("\n".join([text, f"Actual: {_shown(value)}", *_noted(note)]))


def _noted(note: Callable[[], Any]) -> list[str]:
    said = note()
    return [] if said is None else [str(said)[:_VALUE]]


def _little_pytest() -> types.ModuleType:
    """Return a module with pytest's `raises` and `approx`, for tests that import it."""
    module = types.ModuleType("pytest", "raises and approx; nothing else of pytest is here")
    module.__dict__.update(raises=_raises, approx=_Approx)
    return module


@contextmanager
def _raises(
    expected: type[BaseException] | tuple[type[BaseException], ...], *, match: str | None = None
) -> Iterator[types.SimpleNamespace]:
    caught = types.SimpleNamespace(value=None, type=None)
    try:
        yield caught
    except expected as error:
        caught.value, caught.type = error, type(error)
        if match is not None and not re.search(match, str(error)):
            raise _FailedError(f"{match!r} does not match {_shown(str(error))}") from None
        return
    kinds = expected if isinstance(expected, tuple) else (expected,)
    raise _FailedError(f"did not raise {' or '.join(kind.__name__ for kind in kinds)}")


class _Approx:
    """Equal to numbers close to it, and to sequences and dicts of such."""

    def __init__(self, expected: Any, rel: float = 1e-6, abs: float = 1e-12) -> None:
        self._expected = expected
        self._rel = rel
        self._abs = abs

    def __eq__(self, actual: object) -> bool:
        return self._close(actual, self._expected)

    def __repr__(self) -> str:
        return f"approx({self._expected!r})"

    def _close(self, actual: Any, expected: Any) -> bool:
        if isinstance(expected, dict):
            return actual.keys() == expected.keys() and all(
                self._close(actual[key], expected[key]) for key in expected
            )
        if isinstance(expected, list | tuple):
            return len(actual) == len(expected) and all(map(self._close, actual, expected))
        if actual == expected:
            return True
        return math.isclose(actual, expected, rel_tol=self._rel, abs_tol=self._abs)


if __name__ == "__main__":
    main()
