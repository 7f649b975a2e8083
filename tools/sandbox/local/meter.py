"""Read from the host what a process in the sandbox uses."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGESIZE") if hasattr(os, "sysconf") else 4096
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
# Positions of the fields after the process name; see proc(5).
_UTIME, _CUTIME, _STIME, _CSTIME, _THREADS, _RESIDENT = 11, 13, 12, 14, 17, 21


class ResourceUsage(NamedTuple):
    """What a run uses at one moment."""

    resident: int
    """Resident memory in bytes."""
    cpu_seconds: float
    processes: int
    """Number of processes and threads."""


class Meter:
    """Reads what process `pid` uses; raises OSError or IndexError if it is gone."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._clock = (~pid << 3) | 2
        # Kept open: the file stays bound to this process, even if its id is reused.
        self._stat = open_proc(f"{pid}/stat")

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the process alone, by its own clock."""
        return time.clock_gettime(self._clock)

    def read(self) -> ResourceUsage:
        """Return what the process alone uses."""
        fields = _fields(os.pread(self._stat, 512, 0))
        resident = int(fields[_RESIDENT]) * _PAGE
        return ResourceUsage(resident, self.cpu_seconds(), int(fields[_THREADS]))

    def read_all(self) -> ResourceUsage:
        """Return what the process and all its descendants use. Slow: call it in a thread.

        Orphans become children of process 1 of the namespace, so none is missed.
        """
        total = self.read()
        for pid in _descendants(self.pid):
            with suppress(OSError, IndexError):
                descriptor = open_proc(f"{pid}/stat")
                try:
                    fields = _fields(os.pread(descriptor, 512, 0))
                finally:
                    os.close(descriptor)
                ticks = sum(int(fields[at]) for at in (_UTIME, _STIME, _CUTIME, _CSTIME))
                resident, cpu, processes = total
                total = ResourceUsage(
                    resident + int(fields[_RESIDENT]) * _PAGE,
                    cpu + ticks / _TICKS,
                    processes + int(fields[_THREADS]),
                )
        return total

    def close(self) -> None:
        """Close the file that refers to the process."""
        os.close(self._stat)


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


def _fields(stat: bytes) -> list[bytes]:
    # The name stands in parentheses and may contain any character.
    return stat.rpartition(b")")[2].split()


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            descriptor = open_proc(f"{pid}/task/{thread.name}/children")
            try:
                children = os.read(descriptor, 1 << 16).split()
            finally:
                os.close(descriptor)
            for child in map(int, children):
                yield child
                yield from _descendants(child)
