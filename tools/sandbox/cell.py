"""Inside a sealed child: run untrusted code as `__main__` and tell the host how it ended.

Everything here shares a process with hostile code, so what it tells is a claim.
"""

import atexit
import builtins
import io
import linecache
import os
import sys
import threading
import traceback
import types
from collections.abc import Mapping
from pathlib import Path

from opencodeinterpreter.tools.sandbox import frames

CHANNEL = 3
"""The descriptor that leads to the host."""
_NAME = "main.py"
"""What tracebacks call the program."""
_FRAMES = 50
_TEXT = 8000
"""Most frames and characters of a traceback."""


def live() -> None:
    """Take one request from the channel, run it, answer, and end the process."""
    frames.send(CHANNEL, {"ready": True})
    request = frames.receive(CHANNEL)
    # Saved before untrusted code can replace them.
    send, leave = frames.send, os._exit
    _open_streams()
    ending = _run(str(request["code"]), request["files"])
    _wind_up()
    try:
        send(CHANNEL, ending)
    finally:
        leave(0)


def _open_streams() -> None:
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), "utf-8", "surrogateescape")
    sys.stdout = _writer(1, "surrogateescape")
    sys.stderr = _writer(2, "backslashreplace")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = (  # type: ignore[misc]
        sys.stdin,
        sys.stdout,
        sys.stderr,
    )


def _writer(descriptor: int, errors: str) -> io.TextIOWrapper:
    # Line by line, so that a run that gets killed leaves what it printed.
    raw = io.BufferedWriter(io.FileIO(descriptor, "w"))
    return io.TextIOWrapper(raw, "utf-8", errors, line_buffering=True)


def _run(code: str, files: object) -> dict[str, object]:
    """Run `code`; return how it ended: `ok`, `exit` or `error`."""
    try:
        _write(files)
        main = _fresh_main(code)
        exec(compile(code, _NAME, "exec", dont_inherit=True), main.__dict__)  # noqa: S102
    except SystemExit as leaving:
        return {"exit": _exit_code(leaving)}
    except BaseException as error:
        return {"error": describe(error)}
    return {"ok": True}


def _write(files: object) -> None:
    if not isinstance(files, Mapping):
        return
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")


def _fresh_main(code: str) -> types.ModuleType:
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=_NAME, __builtins__=builtins)
    sys.modules["__main__"] = main
    sys.argv = [_NAME]
    sys.path.insert(0, str(Path.cwd()))
    lines = code.splitlines(keepends=True)
    linecache.cache[_NAME] = (len(code), None, lines, _NAME)
    return main


def _exit_code(leaving: SystemExit) -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    print(leaving.code, file=sys.stderr)
    return 1


def _wind_up() -> None:
    """Do what a program's normal end does: wait for its threads, run atexit, flush."""
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


def describe(error: BaseException) -> dict[str, object]:
    """Return name, value and traceback of `error`, whose own methods may be hostile."""
    tail = error.__traceback__.tb_next if error.__traceback__ else None
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
