"""Run untrusted code as `__main__` in a sealed child and report to the host how it ended.

This code shares its process with hostile code, so every report is a claim. The fields of a
request: `code` (`None`: write files only), `files`, `stdin` (cells only; a program reads
descriptor 0), `seed`, `cpu_seconds` (programs only), and `cell`, the cell's number in its context
or `None` for a program.
"""

import ast
import atexit
import base64
import builtins
import contextlib
import io
import linecache
import math
import os
import random
import resource
import select
import signal
import socket
import sys
import threading
import traceback
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.sandbox.inside import display, frames

CHANNEL = 3
"""The descriptor of the socket to the host."""
_NAME = "main.py"
"""The program's file name in tracebacks."""
_READY = frames.pack({"ready": True})
REHEARSAL = ("x = 1", "1 / 0", *["pass"] * 20)
"""Programs that the zygote runs often enough for the interpreter to specialise their bytecode.

Otherwise each child would specialise it again, and copy the memory that this changes.
"""
_FRAMES = 50
_TEXT = 8000
"""Maximum number of frames and of characters in a traceback."""

Told = dict[str, object]


def live() -> None:
    """Read requests from the channel, run and answer them, and end the process."""
    os.write(CHANNEL, _READY)
    if not select.select([CHANNEL], [], [], 0)[0]:
        # No request yet: this child was forked ahead and has time to warm up.
        rehearse(["pass"])
    # Kept in local names, since untrusted code can replace the globals.
    send, receive, leave = frames.send, frames.receive, os._exit
    request: dict[str, Any] = receive(CHANNEL)
    try:
        if request["cell"] is None:
            send(CHANNEL, _once(request))
        else:
            runner = _CellRunner()
            while True:
                send(CHANNEL, runner.answer(request))
                request = receive(CHANNEL)
    finally:
        leave(0)


def _once(request: dict[str, Any]) -> Told:
    """Run a program to its end and return how it ended: `ok`, `exit` or `error`."""
    seconds = math.ceil(request["cpu_seconds"]) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    told = _guarded(request)
    with contextlib.suppress(BaseException):
        # An exit handler of matplotlib closes the figures.
        display.save_figures(request["files"])
    _wind_up()
    return told


def _guarded(request: dict[str, Any]) -> Told:
    try:
        _reseed(request["seed"])
        write(request["files"])
        code = request["code"]
        main = _fresh_main()
        _remember(code, _NAME)
        exec(compile(code, _NAME, "exec", dont_inherit=True), main.__dict__)  # noqa: S102
    except SystemExit as leaving:
        return {"exit": _exit_code(leaving)}
    except BaseException as error:
        return {"error": describe(error)}
    return {"ok": True}


class _CellRunner:
    """Runs cells in one namespace. An interrupt ends a cell, never the process."""

    def __init__(self) -> None:
        self._main = _fresh_main()
        self._running = False

    def answer(self, request: dict[str, Any]) -> Told:
        """Run one cell and return how it ended and its results."""
        try:
            signal.signal(signal.SIGINT, self._interrupt)
            told = self._guarded(request)
        except KeyboardInterrupt as error:
            # The interrupt came while the end of the cell was being reported.
            told = {"error": describe(error)}
        self._running = False
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                continue
        return told

    def _guarded(self, request: dict[str, Any]) -> Told:
        try:
            self._running = True
            value = self._run(request)
            shown = display.show(value)
            self._running = False
        except SystemExit as leaving:
            self._running = False
            return {"exit": _exit_code(leaving)}
        except BaseException as error:
            self._running = False
            return {"error": describe(error)}
        return {"ok": True, "results": shown}

    def _run(self, request: dict[str, Any]) -> object:
        _reseed(request["seed"])
        write(request["files"])
        sys.stdin = _reader(request["stdin"])
        code, name = request["code"], f"<cell {request['cell']}>"
        if code is None:
            return None
        _remember(code, name)
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        scope = self._main.__dict__
        exec(compile(tree, name, "exec", dont_inherit=True), scope)  # noqa: S102
        if last is None:
            return None
        return eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), scope)

    def _interrupt(self, _: int, __: types.FrameType | None) -> None:
        if self._running:
            raise KeyboardInterrupt


def rehearse(programs: Sequence[str]) -> None:
    """Run `programs` as a child would, then restore the process's state.

    This warms caches: a first run is slower, and memory that a child changes is copied first.
    """
    standard_input = sys.stdin
    kept, path = sys.modules["__main__"], list(sys.path)
    message: Told = {"code": "pass", "files": {}, "stdin": "", "cell": None, "seed": None}
    ours, theirs = socket.socketpair()
    for code in programs:
        frames.send(ours.fileno(), {**message, "code": code})
        request: dict[str, Any] = frames.receive(theirs.fileno())
        frames.pack(_guarded(request))
        _CellRunner().answer({**request, "cell": 1, "code": f"{code}\n"})
    ours.close()
    theirs.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = standard_input
    sys.modules["__main__"], sys.path[:] = kept, path
    sys.argv[:] = ["python"]
    linecache.cache.clear()


def open_streams() -> None:
    """Open the standard streams on 0 to 2 in the zygote, for all its children.

    A stream remembers properties of its descriptor, so the descriptors are of the kinds that a
    run gets: a memory file and pipes.
    """
    given, (heard, told) = os.memfd_create("stdin"), os.pipe()
    for target, descriptor in enumerate((given, told, told)):
        os.dup2(descriptor, target)
    for descriptor in (given, heard, told):
        os.close(descriptor)
    use_streams()


def use_streams() -> None:
    """Open Python's standard streams on the descriptors 0 to 2."""
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), "utf-8", "surrogateescape")
    sys.stdout, sys.stderr = _writer(1, "surrogateescape"), _writer(2, "backslashreplace")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = (  # type: ignore[misc]
        sys.stdin,
        sys.stdout,
        sys.stderr,
    )


def _writer(descriptor: int, errors: str) -> io.TextIOWrapper:
    # Line-buffered, so that the output of a killed run is not lost.
    raw = io.BufferedWriter(io.FileIO(descriptor, "w"))
    return io.TextIOWrapper(raw, "utf-8", errors, line_buffering=True)


def _reader(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogateescape")), "utf-8")


def _reseed(seed: int | None) -> None:
    """Seed the random numbers with `seed`; without one, make them differ between runs.

    `random` reseeds itself in a forked process; numpy does not.
    """
    if seed is not None:
        random.seed(seed)
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed(None if seed is None else seed & 0xFFFFFFFF)


def write(files: dict[str, str | list[str]]) -> None:
    """Write files below the work folder: text, or a list with the content in base64.

    Raises ValueError for a path outside the folder, and OSError.
    """
    for name, content in files.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name}: the path of a file must be relative and without `..`")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8", errors="surrogateescape", newline="")
        else:
            path.write_bytes(base64.b64decode(content[0]))


def _fresh_main() -> types.ModuleType:
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=_NAME, __builtins__=builtins)
    sys.modules["__main__"] = main
    sys.argv = [_NAME]
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - a Path costs more than the call
    return main


def _remember(code: str, name: str) -> None:
    """Make the source lines available to tracebacks."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)


def _exit_code(leaving: SystemExit) -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    print(leaving.code, file=sys.stderr)
    return 1


def _wind_up() -> None:
    """End as a normal program does: wait for threads, run exit handlers, flush."""
    for action in (
        threading._shutdown,  # type: ignore[attr-defined]
        atexit._run_exitfuncs,
        lambda: sys.stdout.flush(),
        lambda: sys.stderr.flush(),
    ):
        try:
            action()
        except BaseException as error:
            print(f"at exit: {type(error).__name__}", file=sys.__stderr__)


def describe(error: BaseException) -> Told:
    """Return name, value and traceback of `error`, whose own methods may be hostile."""
    # Skip our own frames.
    tail = error.__traceback__
    while tail and tail.tb_frame.f_code.co_filename == __file__:
        tail = tail.tb_next
    try:
        value = str(error)[:_TEXT]
    except BaseException:
        value = "(its text cannot be read)"
    try:
        told = traceback.TracebackException(type(error), error, tail, limit=-_FRAMES, compact=True)
        text = "".join(told.format())
    except BaseException:
        text = ""
    if len(text) > _TEXT:
        text = text[: _TEXT // 2] + "\n...\n" + text[-_TEXT // 2 :]
    return {"name": type(error).__name__, "value": value, "traceback": text}
