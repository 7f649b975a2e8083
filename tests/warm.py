"""A process that has imported the command and forks a copy of itself for each use.

The imports of the installed command cost a second or two; here they are paid once. What runs in a
copy is the same entry point, in a process of its own: own session, files, environment and end.
`tests.command.warm` starts it and talks to it over a socket.
"""

import atexit
import contextlib
import fcntl
import gc
import json
import os
import resource
import signal
import socket
import sys
import termios
import threading
from collections.abc import Sequence
from typing import Any

import langchain_openai  # noqa: F401 - the command imports it when a server is asked

from opencodeinterpreter.cli.main import main
from opencodeinterpreter.cli.verb_group import VERBS, module_of

REQUEST_BYTES = 65_536


def serve(connection: socket.socket) -> None:
    """Take requests until the other end is closed; each comes with four file descriptors.

    They are the command's stdin, stdout and stderr, and a pipe that is told its process id and,
    at the end, its exit status.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the keepers below need no wait
    gc.collect()
    gc.freeze()  # else the first collection of each copy would touch, and so copy, every page
    while True:
        data, files, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 4)
        if not data:
            return
        if os.fork() == 0:
            connection.close()
            _keep(json.loads(data), files)
        for file in files:
            os.close(file)


def _keep(request: dict[str, Any], files: Sequence[int]) -> None:
    """Start the command, tell of its start and its end, and be gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *standard, told = files
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _become(request, standard)
        _leave(_status_of_main())
    for file in standard:
        os.close(file)
    os.write(told, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _status_of_main() -> int:
    """Run the command; return its exit status as the interpreter would."""
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else end.code is not None
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _leave(status: int) -> None:
    """End as the interpreter does, but for taking apart all that was imported: that costs most."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


def _become(request: dict[str, Any], standard: Sequence[int]) -> None:
    os.setsid()
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["opencodeinterpreter", *request["arguments"]]
    if (length := request["file_bytes"]) is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (length, length))
        sys.dont_write_bytecode = True  # Python would keep what it could write of a module
    if (user := request["user"]) is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


for verb in VERBS:
    module_of(verb)

if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve(connection)
