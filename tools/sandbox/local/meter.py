"""Read from the host what a process in the sandbox uses."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from opencodeinterpreter.tools.sandbox.local.descriptors import buffer_bytes

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
# Positions of the fields of `stat` after the process name; see proc(5).
_UTIME, _STIME, _CUTIME, _CSTIME = 11, 12, 13, 14
_MEMORY = (b"VmRSS:", b"VmPTE:", b"VmSwap:")
"""The fields of `status`, in KiB, that count as memory: page tables and swap space too."""

_LONGEST_SECONDS = 0.1
"""The longest time for which one look counts: the host may have been busy."""
_CHANCE_SECONDS = 0.5
"""By how much half of an estimate may be too high, by chance."""


class ResourceUsage(NamedTuple):
    """What a run uses at one moment."""

    memory: int
    """Memory in bytes with page tables; of several processes, with sockets and pipes too."""
    cpu_seconds: float
    processes: int
    """Number of processes and threads."""


class Meter:
    """Reads what process `pid` uses.

    Its methods raise OSError, IndexError or ValueError if the process is gone.
    """

    slow = False
    """Whether a reading takes long, so that it needs a thread."""

    def __init__(self, pid: int, idle: int) -> None:
        """Read process `pid`; `idle` bytes of memory, those of the zygote, are not counted."""
        self.pid = pid
        self._idle = idle
        self._clock = (~pid << 3) | 2
        # Kept open: the file stays bound to this process, even if its id is reused.
        self._status = open_proc(f"{pid}/status")

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the process alone, by its own clock."""
        return time.clock_gettime(self._clock)

    def read(self) -> ResourceUsage:
        """Return what the process alone uses."""
        memory, threads = _counts(os.pread(self._status, 4096, 0))
        return ResourceUsage(memory - self._idle, self.cpu_seconds(), threads)

    def close(self) -> None:
        """Close the file that refers to the process."""
        os.close(self._status)


class TreeMeter(Meter):
    """Reads what process `pid`, the first of its namespace, and all its descendants use.

    Orphans become children of the first process, so none is missed. The CPU time of a process that
    nobody waits for is lost when it ends, if its parent ignores SIGCHLD. The time of all is
    therefore also estimated by which processes run whenever this is read, which is at moments that
    the run cannot know. It counts half, so that chance ends no run that keeps its limit.
    """

    slow = True

    def __init__(self, pid: int, idle: int) -> None:
        """Read process `pid`; see `Meter`."""
        super().__init__(pid, idle)
        self._read_at = time.monotonic()
        self._estimate = 0.0

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the process and of the children that it waited for.

        If that is more, return half of what all processes are estimated to have used.
        """
        return max(self._known_seconds(), self._estimate / 2 - _CHANCE_SECONDS)

    def _known_seconds(self) -> float:
        return super().cpu_seconds() + _seconds(_read(f"{self.pid}/stat"), _CUTIME, _CSTIME)

    def read(self) -> ResourceUsage:
        """Return what all processes use."""
        memory, processes = _counts(os.pread(self._status, 4096, 0))
        memory -= self._idle
        cpu, running = self._known_seconds(), _running(self.pid)
        others = list(_descendants(self.pid))
        for pid in others:
            running += _running(pid)
            with suppress(OSError, IndexError, ValueError):
                held, threads = _counts(_read(f"{pid}/status"))
                cpu += _seconds(_read(f"{pid}/stat"), _UTIME, _STIME, _CUTIME, _CSTIME)
                memory += held
                processes += threads
        self._look(running)
        memory += buffer_bytes([self.pid, *others])
        return ResourceUsage(memory, max(cpu, self.cpu_seconds()), processes)

    def _look(self, running: int) -> None:
        """Count as if the threads that run now had run since the last look."""
        now = time.monotonic()
        since, self._read_at = min(now - self._read_at, _LONGEST_SECONDS), now
        self._estimate += since * running * _processors_each()


def open_proc(path: str) -> int:
    """Open a file below /proc for reading; raises OSError."""
    return os.open(f"/proc/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def pid_of(pidfd: int) -> int | None:
    """Return the process id behind `pidfd`, or `None` if the process is gone."""
    descriptor = open_proc(f"self/fdinfo/{pidfd}")
    try:
        lines = os.pread(descriptor, 4096, 0).decode().splitlines()
    finally:
        os.close(descriptor)
    found = (int(line[4:]) for line in lines if line.startswith("Pid:"))
    return next((pid for pid in found if pid > 0), None)


def _read(path: str) -> bytes:
    """Return the beginning of a file below /proc; raises OSError."""
    descriptor = open_proc(path)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def _counts(status: bytes) -> tuple[int, int]:
    """Return the memory in bytes and the number of threads that a `status` file tells."""
    memory = sum(_number(status, name) for name in _MEMORY)
    return memory << 10, _number(status, b"Threads:")


def _number(status: bytes, name: bytes) -> int:
    # A process that has ended has no memory fields.
    at = status.find(b"\n" + name) + len(name) + 1
    return int(status[at : at + 24].split(None, 1)[0]) if at > len(name) else 0


def _seconds(stat: bytes, *positions: int) -> float:
    # The name stands in parentheses and may contain any character.
    fields = stat.rpartition(b")")[2].split()
    return sum(int(fields[at]) for at in positions) / _TICKS


def _running(pid: int) -> int:
    """Return how many threads of a process run or wait for a processor.

    A process or thread that has ended since it was listed did.
    """
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(_runs(f"{pid}/task/{thread.name}") for thread in threads)
    except OSError:
        return 1


def _runs(thread: str) -> bool:
    try:
        return _read(f"{thread}/stat").rpartition(b")")[2].split()[0] == b"R"
    except (OSError, IndexError):
        return True


def _processors_each() -> float:
    """Return how much of a processor each thread has that runs or waits for one."""
    # This thread runs too, but only now.
    others = int(_read("loadavg").split()[3].split(b"/")[0]) - 1
    return min(1.0, (os.cpu_count() or 1) / max(others, 1))


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, _read(f"{pid}/task/{thread.name}/children").split()):
                yield child
                yield from _descendants(child)
