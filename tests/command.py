"""Runs the command line in processes of its own, for tests.

command = Command(tmp_path)                    # a home of its own; the installed executable
done = command("solve", "Add.", "--model", spec)
assert done.status == 0, done.stderr

command = Command(tmp_path, start=warm)        # the same without the second of imports
with command.start("solve", ...) as running:
    running.wait_for("turn 2")
    running.signal(signal.SIGKILL)
"""

import atexit
import contextlib
import functools
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self

INSTALLED = Path(sys.executable).with_name("opencodeinterpreter")
PATIENCE = 60.0
"""Seconds after which a process that does not end has failed its test."""
POLL = 0.01

# Tests that were started in the background of a shell ignore Ctrl-C, and so would their children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Plan:
    """What to start and with what."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    files: tuple[int, int, int]
    """Its stdin, stdout and stderr."""
    user: int | None = None
    """The user that it becomes; needs root."""
    file_bytes: int | None = None
    """How long a file that it writes may become."""


class Process(Protocol):
    """A command under way."""

    @property
    def pid(self) -> int: ...

    def wait(self, timeout: float) -> int:
        """Return the exit status, negative for a signal; raises subprocess.TimeoutExpired."""
        ...


def installed(plan: Plan, prefix: Sequence[str] = ()) -> Process:
    """Start the installed executable, by way of the program `prefix` where there is one."""
    stdin, stdout, stderr = plan.files
    environment = dict(plan.environment)
    if plan.file_bytes is not None:  # Python would keep what it could write of a module
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    process = subprocess.Popen(
        [*prefix, str(INSTALLED), *plan.arguments],
        env=environment,
        cwd=plan.folder,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        user=plan.user,
        start_new_session=True,
    )
    if plan.file_bytes is not None:  # in time: its imports take a second
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (plan.file_bytes, plan.file_bytes))
    return process


def warm(plan: Plan) -> Process:
    """Start a copy of a process that has imported the command already; see `tests.warm`."""
    told, tells = os.pipe()
    request = {
        "arguments": list(plan.arguments),
        "environment": dict(plan.environment),
        "folder": str(plan.folder),
        "user": plan.user,
        "file_bytes": plan.file_bytes,
    }
    socket.send_fds(_warm_server(), [json.dumps(request).encode()], [*plan.files, tells])
    os.close(tells)
    return _Copy(told)


class _Copy:
    """A command that the warm process has forked, and the pipe by which it tells of it."""

    def __init__(self, told: int) -> None:
        self._told = told
        self.pid = self._number(PATIENCE)

    def wait(self, timeout: float) -> int:
        status = self._number(timeout)
        os.close(self._told)
        return status

    def _number(self, timeout: float) -> int:
        text = b""
        while not text.endswith(b"\n"):
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("opencodeinterpreter", timeout)
            if not (read := os.read(self._told, 1)):
                raise RuntimeError("the keeper of a copied command ended without a word")
            text += read
        return int(text)


@functools.cache
def _warm_server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    handle = theirs.fileno()
    server = subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).with_name("warm.py")), str(handle)],
        stdin=subprocess.DEVNULL,
        pass_fds=[handle],
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait(PATIENCE)

    atexit.register(end)
    return ours


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


@dataclass
class Running:
    """A command under way, whose output goes to files; killed if it is left before its end."""

    process: Process
    stdout: Path
    stderr: Path
    status: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            self.signal(signal.SIGKILL)
            self.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the command's process group, unless that has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def wait(self, timeout: float = PATIENCE) -> Done:
        """Return how it ended; raises subprocess.TimeoutExpired."""
        self.status = self.process.wait(timeout)
        return Done(self.status, self.stdout.read_text("utf-8"), self.stderr.read_text("utf-8"))

    def wait_for(self, text: str) -> str:
        """Wait until stderr holds `text`, and return all of it so far."""
        until = time.monotonic() + PATIENCE
        while text not in (said := self.stderr.read_text("utf-8")):
            if time.monotonic() > until:
                raise AssertionError(f"{text!r} was not said within {PATIENCE:g} s, but:\n{said}")
            time.sleep(POLL)
        return said


@dataclass(frozen=True)
class Command:
    """The command with a home folder, and so a store, of its own."""

    home: Path
    start_process: Callable[[Plan], Process] = installed
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int | None = None
    file_bytes: int | None = None

    @property
    def store(self) -> Path:
        """The file of its store."""
        return self.home / "data" / "opencodeinterpreter" / "runs.sqlite"

    def __call__(self, *arguments: str, stdin: str = "", timeout: float = PATIENCE) -> Done:
        """Run the command to its end."""
        with self.start(*arguments, stdin=stdin) as running:
            return running.wait(timeout)

    def start(self, *arguments: str, stdin: str = "") -> Running:
        """Start the command in its home folder, with files for its output."""
        self.output.mkdir(parents=True, exist_ok=True)
        number = f"{time.monotonic_ns()}"
        stdout, stderr = (self.output / f"{number}.{name}" for name in ("out", "err"))
        given = self.output / f"{number}.in"
        given.write_text(stdin, "utf-8", "surrogateescape")
        with given.open("rb") as file, stdout.open("wb") as out, stderr.open("wb") as err:
            process = self.at(arguments, (file.fileno(), out.fileno(), err.fileno()))
        return Running(process, stdout, stderr)

    @property
    def output(self) -> Path:
        """The folder that keeps what its processes wrote."""
        return self.home / "output"

    def at(self, arguments: Sequence[str], files: tuple[int, int, int]) -> Process:
        """Start the command on open files of the caller's."""
        plan = Plan(arguments, self._environment(), self.home, files, self.user, self.file_bytes)
        return self.start_process(plan)

    def with_environment(self, **variables: str) -> "Command":
        """Return the same command with more environment variables."""
        return replace(self, environment={**self.environment, **variables})

    def _environment(self) -> dict[str, str]:
        """Return a whole environment; of the caller's only the cache of models is kept."""
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": cache,
            **self.environment,
        }
