"""Runs in the sandbox: loads a candidate, calls it with each input and reports the results.

It shares a process with the candidate, so its reports are claims; it never gets the values with
which they are compared. It depends on the standard library and on `wire`.

Input, on stdin: a line of JSON (the job), then a line of inputs per set; the candidate is loaded
again for each set. Output, on the original stdout: a JSON list per call, `[set, number, kind,
seconds, value]`, with processor time as seconds; number -2 is the start of a set, -1 the loading.
"""

import gc
import io
import json
import linecache
import math
import os
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opencodeinterpreter.tools.grading.inside.wire import Writer, read

SHAPES: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda value: value,
    "set": set,
    "not None": lambda value: value is not None,
}
"""How the value that a call returned is reported."""
LOADING = -1
STARTED = -2
"""These replace a call's number: for the loading, and for the start of a set."""
_FILE = "solution.py"
_FLUSH_BYTES = 1 << 16
_FLUSH_SECONDS = 0.005
_LONG = 16_384
"""A result of at least this many characters is sent as its digest."""
_TEXT = 600
_FRAMES = 8
WALL = 3.0
"""The limit on wall time, as a multiple of the limit on processor time.

Other work on the machine may slow a candidate down.
"""
_LOOK_SECONDS = 0.02
"""How often the time of a call is checked, in seconds; a call may end that much too late."""


class TimeLimitError(Exception):
    """A call exceeded its time limit.

    An ordinary exception, as in EvalPlus: a candidate that catches everything catches this too.
    """


def main() -> None:
    """Do the job on stdin and end the process."""
    job = json.loads(sys.stdin.readline())
    inputs = [sys.stdin.readline() for _ in job["sets"]]
    told = _Told(os.dup(1))
    leave = os._exit
    _swallow()
    try:
        limit = _Limit(told, leave)
        depth = sys.getrecursionlimit()
        for at, given in enumerate(inputs):
            if at:
                sys.setrecursionlimit(depth)
                # Otherwise the memory of the last set would count for this one.
                gc.collect()
            _work(job, at, read(given), limit, told)
            limit.end_set()
            told.flush()
    finally:
        told.flush()
        leave(0)


def _work(job: dict[str, Any], at: int, inputs: list[Any], limit: "_Limit", told: "_Told") -> None:
    limits = job["sets"][at]
    told.tell(json.dumps([at, STARTED, "value", 0.0, None]))
    told.flush()
    limit.begin_set(limits["total"])
    function = _load(job, at, limit, told)
    if function is None:
        return
    writer, whole = Writer(), job["whole"]
    shape = SHAPES[job["shape"]]
    clock, each = time.thread_time, limits["each"]
    for number, arguments in enumerate(inputs):
        began = clock()
        try:
            limit.begin(each[number])
            value = function(*arguments)
            limit.end()
            seconds = clock() - began
            value = shape(value)
            text = writer.text(value) if number == whole else writer.short_text(value, _LONG)
            told.tell(f'[{at},{number},"value",{seconds!r},{text}]')
        except BaseException as error:
            limit.end()
            told.tell(json.dumps([at, number, *_failure(error, clock() - began)]))
            if job["stop_early"]:
                return


def _load(
    job: dict[str, Any], at: int, limit: "_Limit", told: "_Told"
) -> Callable[..., Any] | None:
    code, namespace = job["code"], dict[str, Any]()
    linecache.cache[_FILE] = (len(code), None, code.splitlines(keepends=True), _FILE)
    clock = time.thread_time
    began = clock()
    try:
        limit.begin(job["sets"][at]["loading"])
        exec(compile(code, _FILE, "exec", dont_inherit=True), namespace)  # noqa: S102
        limit.end()
        function: Callable[..., Any] = namespace[job["entry_point"]]
    except BaseException as error:
        limit.end()
        told.tell(json.dumps([at, LOADING, *_failure(error, clock() - began)]))
        return None
    told.tell(json.dumps([at, LOADING, "value", clock() - began, None]))
    return function


class _Limit:
    """Ends calls that take too long. It checks periodically: a timer per call would cost more.

    It raises TimeLimitError if a call exceeds its processor time or far more wall time, and ends
    the process if a whole set does. It also sends the reports so far while a call runs.
    """

    def __init__(self, told: "_Told", leave: Callable[[int], object]) -> None:
        self._told = told
        self._leave = leave
        self._seconds = math.inf
        self._set_ends = math.inf
        self._seen: tuple[float, float] | None = None
        # A candidate may replace them.
        self._on_signal, self._set_timer = signal.signal, signal.setitimer

    def begin_set(self, seconds: float) -> None:
        """Begin a set whose loading and calls may take `seconds` together."""
        self._set_ends = time.process_time() + seconds
        self._on_signal(signal.SIGALRM, self._look)
        self._set_timer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)

    def end_set(self) -> None:
        """Set no time limit until the next set."""
        self._set_ends = math.inf

    def begin(self, seconds: float) -> None:
        """Begin a call that may take `seconds`, counted from the first check."""
        self._seen = None
        self._seconds = seconds

    def end(self) -> None:
        """Set no time limit until the next call."""
        self._seconds = math.inf

    def _look(self, number: int, frame: types.FrameType | None) -> None:
        used, now = time.process_time(), time.perf_counter()
        if used > self._set_ends:
            self._told.flush()
            self._leave(0)
        if self._seconds == math.inf:
            return
        self._told.flush()
        if self._seen is None:
            self._seen = (used, now)
        elif used - self._seen[0] > self._seconds or now - self._seen[1] > WALL * self._seconds:
            self.end()
            raise TimeLimitError


def _failure(error: BaseException, seconds: float) -> tuple[str, float, list[str]]:
    """Return the kind, the seconds, and the exception's name, text and own lines."""
    kind = "timeout" if isinstance(error, TimeLimitError) else "error"
    try:
        text = str(error)[:_TEXT]
    except BaseException:
        text = "(its text cannot be read)"
    lines = ""
    with suppress(BaseException):
        frames = traceback.extract_tb(error.__traceback__, limit=-_FRAMES)
        own = [frame for frame in frames if frame.filename == _FILE]
        lines = "".join(traceback.format_list(own))[: 3 * _TEXT]
    return kind, seconds, [type(error).__name__, text, lines]


class _Told:
    """Collects lines and writes them in few pieces, none with a long delay."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._size = 0
        self._last = time.perf_counter()

    def tell(self, line: str) -> None:
        """Add a line."""
        self._lines.append(line)
        self._size += len(line)
        if self._size > _FLUSH_BYTES or time.perf_counter() - self._last > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the collected lines."""
        rest = memoryview("".join(f"{line}\n" for line in self._lines).encode())
        self._lines.clear()
        self._size = 0
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._last = time.perf_counter()


class _Void(io.StringIO):
    """Discards everything that is printed; reading raises OSError."""

    def write(self, text: str) -> int:
        return len(text)

    def read(self, size: int | None = -1) -> str:
        raise OSError("there is no input")

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        raise OSError("there is no input")

    def readlines(self, hint: int = -1) -> list[str]:  # type: ignore[override]
        raise OSError("there is no input")

    def readable(self) -> bool:
        return False


def _swallow() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)
    sys.stdin = sys.stdout = sys.stderr = _Void()
