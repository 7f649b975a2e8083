"""Supervise one run of untrusted code in an E2B sandbox, as its parent process.

It is sent in an archive with `confinement`, `sandbox.inside.cell` and what they import. It reports
on stdout, one JSON object per line: `begun`, then pieces of `stdout` and `stderr`, then `end`. The
untrusted code runs as the same user, so all reports are claims, like the output itself.
"""

import codecs
import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opencodeinterpreter.tools.sandbox.e2b.inside.confinement import confine
from opencodeinterpreter.tools.sandbox.inside.cell import live, use_streams
from opencodeinterpreter.tools.sandbox.inside.frames import HEADER

_LOOK_SECONDS = 0.01
"""Interval at which memory and CPU time are read."""
_DISCARD = 16 << 20
"""Bytes of output that are dropped before the run is stopped."""
_ANSWER = 1 << 20
"""Maximum size of the child's answers in bytes."""
_PR_SET_CHILD_SUBREAPER = 36
_MIB = 1 << 20


def main(request: bytes, stdin: bytes, limits: dict[str, Any]) -> None:
    """Send `request`, a frame, to a child in a new folder, and report how it ended."""
    here = Path(sys.argv[0]).resolve().parent
    _clear(here)
    work = here / "work"
    work.mkdir()
    (here / "stdin").write_bytes(stdin)
    # Orphans of the run become our children, so that they can be killed.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _tell(begun=True)
    run = SupervisedRun(limits)
    run.start(request, work, here / "stdin")
    run.follow()
    _tell(end=run.ending())


class OutputStream:
    """An output stream of the run: its beginning is reported as it arrives, the rest is counted."""

    def __init__(self, name: str, keep: int) -> None:
        self.dropped = 0
        self._name = name
        self._room = keep
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, data: bytes) -> None:
        """Add a piece of output; the last piece is empty."""
        kept = data[: self._room]
        self._room -= len(kept)
        self.dropped += len(data) - len(kept)
        if text := self._decoder.decode(kept, final=not data):
            _tell(**{self._name: text})


class ChildAnswers:
    """Collects the child's answers: that it is ready, and then how the code ended."""

    def __init__(self) -> None:
        self._data = b""
        self.dropped = 0

    def take(self, data: bytes) -> None:
        """Add a piece; bytes beyond the maximum are dropped."""
        room = _ANSWER - len(self._data)
        self._data += data[:room]
        self.dropped += max(0, len(data) - room)

    def frames(self) -> list[Any]:
        """Return the messages of the first two frames, if they are complete."""
        found: list[Any] = []
        rest = self._data
        while len(rest) > HEADER and len(found) < 2:
            end = HEADER + int.from_bytes(rest[:HEADER], "big")
            try:
                found.append(json.loads(rest[HEADER:end]))
            except (ValueError, RecursionError):
                break
            rest = rest[end:]
        return found


class SupervisedRun:
    """One run and its limits. The reason for a kill is recorded before it."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self._limits = limits
        self._stdout = OutputStream("stdout", limits["output_bytes"])
        self._stderr = OutputStream("stderr", limits["output_bytes"])
        self._answers = ChildAnswers()
        self._sources = selectors.DefaultSelector()
        self._reason = ""
        self._code: int | None = None
        self._seconds = 0.0

    def start(self, request: bytes, work: Path, stdin: Path) -> None:
        """Fork the child and send it the request."""
        given = [os.open(stdin, os.O_RDONLY)]
        for stream in (self._stdout, self._stderr):
            ours, theirs = os.pipe()
            self._sources.register(ours, selectors.EVENT_READ, stream)
            given.append(theirs)
        channel, theirs_too = socket.socketpair()
        given.append(theirs_too.detach())
        self._out_of_memory = _out_of_memory_kills()
        self._base = _usage([os.getpid()])[0]
        self._began = time.monotonic()
        parent = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            try:
                confine(work, sorted(given), self._limits, parent)
                sys.path.pop(0)
                use_streams()
                live()
            finally:
                os._exit(1)
        for end in given:
            os.close(end)
        # The child reads all of it before the first untrusted line. If it failed before that, it
        # has reported so.
        with contextlib.suppress(OSError):
            channel.sendall(request)
        self._sources.register(channel.detach(), selectors.EVENT_READ, self._answers)

    def follow(self) -> None:
        """Read and watch until the child has ended, then kill the processes that it left."""
        look = 0.0
        while self._code is None:
            self._read(_LOOK_SECONDS)
            if time.monotonic() >= look:
                self._look()
                look = time.monotonic() + _LOOK_SECONDS
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        self._seconds = time.monotonic() - self._began
        _kill_descendants()
        while self._sources.get_map():
            self._read(0)
        for stream in (self._stdout, self._stderr):
            stream.take(b"")

    def _read(self, seconds: float) -> None:
        for key, _ in self._sources.select(seconds):
            try:
                data = os.read(key.fd, 1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                self._sources.unregister(key.fd)
                continue
            key.data.take(data)
            if key.data.dropped > _DISCARD or (key.data is self._answers and key.data.dropped):
                self._stop("frame" if key.data is self._answers else "output")

    def _look(self) -> None:
        resident, seconds = _usage(list(_descendants(self._child)))
        if time.monotonic() - self._began > self._limits["wall_seconds"]:
            self._stop("wall")
        elif seconds > self._limits["cpu_seconds"]:
            self._stop("cpu")
        elif resident - self._base > self._limits["memory_mb"] * _MIB:
            self._stop("memory")

    def _stop(self, reason: str) -> None:
        self._reason = self._reason or reason
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)

    def ending(self) -> dict[str, Any]:
        """Return the report of the run's end."""
        if self._code == -signal.SIGKILL and _out_of_memory_kills() > self._out_of_memory:
            self._reason = self._reason or "memory"
        return {
            "reason": self._reason,
            "answers": self._answers.frames(),
            "code": self._code,
            "seconds": self._seconds,
            "dropped": [self._stdout.dropped, self._stderr.dropped],
        }


def _tell(**message: Any) -> None:
    rest = memoryview(json.dumps(message).encode() + b"\n")
    while rest:
        rest = rest[os.write(1, rest) :]


def _clear(here: Path) -> None:
    """Remove the folders of earlier runs in this sandbox."""
    for other in here.parent.iterdir():
        if other != here:
            shutil.rmtree(other, ignore_errors=True)


def _descendants(pid: int) -> Iterator[int]:
    """Yield `pid` and all its descendants that still run."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _descendants(int(child))


def _usage(pids: list[int]) -> tuple[int, float]:
    """Return the total resident bytes and CPU seconds of some processes."""
    resident, ticks = 0, 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            # utime, stime, cutime and cstime; see proc(5).
            ticks += sum(map(int, fields[11:15]))
            resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return resident, ticks / os.sysconf("SC_CLK_TCK")


def _out_of_memory_kills() -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path("/proc/vmstat").read_text().partition("oom_kill ")[2].split()[0])
    return 0


def _kill_descendants() -> None:
    while pids := [pid for pid in _descendants(os.getpid()) if pid != os.getpid()]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                pass
