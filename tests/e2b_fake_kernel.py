"""A Python kernel for the fake of E2B, run as a program.

One JSON request a line on stdin; on stdout the events that E2B's code interpreter streams, one
JSON object a line. What is written to the descriptors 1 and 2 is a cell's output too. An interrupt
reaches a cell as KeyboardInterrupt, and nothing between cells.
"""

import ast
import codecs
import io
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from typing import Any


def main() -> None:
    """Serve cells until stdin is closed."""
    sys.path.insert(0, "")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel = Kernel(os.dup(1))
    requests, sys.stdin = sys.stdin, io.StringIO()
    for line in requests:
        kernel.run(json.loads(line)["code"])


run_compiled = exec
"""Kept, since cells may change what `exec` means."""


class Events:
    """Where events go: ASCII only, as from the real server."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def emit(self, **event: Any) -> None:
        """Send one event."""
        rest = memoryview(json.dumps(event).encode() + b"\n")
        with self._lock:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


class Output:
    """A standard stream of the process, whose bytes a thread turns into events."""

    def __init__(self, events: Events, descriptor: int, kind: str) -> None:
        self._events = events
        self._kind = kind
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._moving = threading.Lock()
        self._source, sink = os.pipe()
        os.dup2(sink, descriptor)
        os.close(sink)
        self.text = io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(descriptor, "w")),
            "utf-8",
            "backslashreplace",
            line_buffering=True,
        )
        threading.Thread(target=self._move, daemon=True).start()

    def _move(self) -> None:
        while True:
            select.select([self._source], [], [])
            with self._moving:
                text = self._decoder.decode(os.read(self._source, 1 << 16))
                now = datetime.now(UTC).isoformat()
                self._events.emit(type=self._kind, text=text, timestamp=now)

    def settle(self) -> None:
        """Return when all that was written has been sent."""
        self.text.flush()
        while True:
            with self._moving:
                if not select.select([self._source], [], [], 0)[0]:
                    return
            time.sleep(0.001)


class Kernel:
    """One namespace and its cells."""

    def __init__(self, descriptor: int) -> None:
        self._events = Events(descriptor)
        self._outputs = (
            Output(self._events, 1, "stdout"),
            Output(self._events, 2, "stderr"),
        )
        self._count = 0
        self._names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}

    def run(self, code: str) -> None:
        """Run one cell and tell what it did."""
        self._count += 1
        self._events.emit(type="number_of_executions", execution_count=self._count)
        sys.stdout, sys.stderr = (output.text for output in self._outputs)
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            told = self._evaluate(code)
        except BaseException as error:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            told = _failure(error)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        for output in self._outputs:
            output.settle()
        if told:
            self._events.emit(**told)
        self._events.emit(type="end_of_execution")

    def _evaluate(self, code: str) -> dict[str, Any]:
        """Return what the last expression shows, nothing where the cell ends in none."""
        name = f"<cell-{self._count}>"
        body = ast.parse(code, name).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        run_compiled(compile(ast.Module(body, []), name, "exec"), self._names)
        if not isinstance(last, ast.Expr):
            return {}
        value = eval(compile(ast.Expression(last.value), name, "eval"), self._names)
        return {} if value is None else _shown(value)


def _shown(value: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"text": repr(value)}
    for kind in ("html", "png", "markdown"):
        if render := getattr(value, f"_repr_{kind}_", None):
            result[kind] = render()
    return {"type": "result", **result, "extra": {}, "is_main_result": True}


def _failure(error: BaseException) -> dict[str, Any]:
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(told.stack[2:])
    text = "".join(told.format())
    return {"type": "error", "name": type(error).__name__, "value": str(error), "traceback": text}


if __name__ == "__main__":
    main()
