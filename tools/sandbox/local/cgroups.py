"""Account for a run by a cgroup of its own (cgroup v2), if this process may create some.

The kernel then counts exactly what all processes of the run use: memory with the buffers of sockets
and pipes, CPU time with that of processes that nobody waited for, and the number of processes.

To move a process into a cgroup can take tens of milliseconds, so only runs of the profile `proc`
are moved. All others are one process, which is counted without it.
"""

import asyncio
import itertools
import os
import time
from contextlib import suppress
from pathlib import Path

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.meter import Meter, ResourceUsage

_PREFIX = "opencodeinterpreter-"
_OWN = f"{_PREFIX}host"
"""The cgroup that this process moves into: one that has processes cannot be divided."""
_CONTROLLERS = ("memory", "pids")
_OLD_SECONDS = 10.0
"""Age from which an unlocked cgroup is left over: a living host has locked its own."""
_DYING_SECONDS = 5.0
_SLACK_MIB = 16
"""Memory beyond the limits before the kernel kills; the watch notices earlier."""


class NoCgroupsError(Exception):
    """Cgroups cannot be had; the message says why."""


class RunCgroup:
    """The cgroup of one run. Its methods block and raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self, limits: SandboxLimits) -> None:
        """Create it with `limits`."""
        self._path.mkdir()
        most = limits.memory_mb + limits.disk_mb + _SLACK_MIB
        _write(self._path / "memory.max", f"{most}M")
        _write(self._path / "memory.oom.group", "1")
        _write(self._path / "pids.max", str(limits.processes))
        with suppress(FileNotFoundError):
            # Without swap space there is no such file.
            _write(self._path / "memory.swap.max", "0")

    def add(self, pid: int) -> None:
        """Move a process into it."""
        _write(self._path / "cgroup.procs", str(pid))

    def usage(self) -> ResourceUsage:
        """Return what its processes use; the CPU time is that of past ones too.

        Memory is what the kernel cannot take back, without the files of the work folder.
        """
        told = _numbers(self._path / "memory.stat")
        held = int((self._path / "memory.current").read_text())
        memory = held - told["file"] - told.get("slab_reclaimable", 0)
        processes = int((self._path / "pids.current").read_text())
        return ResourceUsage(memory, self.cpu_seconds(), processes)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes, past ones too."""
        return _numbers(self._path / "cpu.stat")["usage_usec"] / 1e6

    def ran_out(self) -> bool:
        """Return whether the kernel killed the run since it had no memory left."""
        return _numbers(self._path / "memory.events").get("oom_kill", 0) > 0

    def remove(self) -> None:
        """Kill what is left in it, and remove it once that is dead."""
        _remove(self._path)


class GroupMeter(Meter):
    """Reads what the run whose first process is `pid` uses, by its cgroup."""

    def __init__(self, pid: int, group: RunCgroup) -> None:
        super().__init__(pid, 0)
        self._group = group

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all processes."""
        return self._group.cpu_seconds()

    def read(self) -> ResourceUsage:
        """Return what all processes use."""
        return self._group.usage()


class Cgroups:
    """The cgroups of one sandbox's runs; see `open_cgroups`."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, a cgroup that can be divided, and lock it for the lifetime of the host."""
        import fcntl  # not on Windows

        self._folder = folder
        self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._numbers = itertools.count(1)
        self._removing: set[asyncio.Future[None]] = set()

    def enter(self, limits: SandboxLimits, pid: int) -> RunCgroup:
        """Move process `pid` into a new cgroup with `limits`. Blocks; raises OSError."""
        group = RunCgroup(self._folder / f"run-{next(self._numbers)}")
        group.prepare(limits)
        group.add(pid)
        return group

    def remove(self, group: RunCgroup) -> None:
        """Remove a run's cgroup in the background."""
        removing = asyncio.ensure_future(asyncio.to_thread(group.remove))
        self._removing.add(removing)
        removing.add_done_callback(self._removing.discard)

    async def close(self) -> None:
        """Remove all cgroups."""
        if self._removing:
            await asyncio.wait(self._removing)
        await asyncio.to_thread(_remove, self._folder)
        os.close(self._lock)


def open_cgroups() -> Cgroups:
    """Create a cgroup for a sandbox's runs, and remove those that killed hosts left. Blocks.

    Raises NoCgroupsError if this process may not create cgroups, or without the controllers.
    """
    base = _base()
    folder = base / f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    try:
        _sweep(base)
        _divide(base)
        folder.mkdir()
        opened = Cgroups(folder)
        _divide(folder)
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()
        raise NoCgroupsError(f"{error.filename or base}: {error.strerror}") from None
    return opened


def _base() -> Path:
    """Return the cgroup in which to create others; raises NoCgroupsError."""
    mount = _mount()
    base = mount
    if os.geteuid() != 0:
        own = mount / Path("/proc/self/cgroup").read_text().rpartition("::/")[2].strip()
        base = own.parent if own.name == _OWN else own
    try:
        there = (base / "cgroup.controllers").read_text().split()
    except OSError as error:
        raise NoCgroupsError(f"{base}: {error.strerror}") from None
    if missing := set(_CONTROLLERS) - set(there):
        raise NoCgroupsError(f"{base} lacks the controllers {' and '.join(sorted(missing))}")
    if not os.access(base / "cgroup.procs", os.W_OK):
        raise NoCgroupsError(f"{base} is not this user's to divide")
    if base != mount:
        _leave(base)
    return base


def _mount() -> Path:
    """Return where cgroup v2 is mounted; raises NoCgroupsError."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(target)
    raise NoCgroupsError("cgroup v2 is not mounted")


def _leave(base: Path) -> None:
    """Move this process into a cgroup below `base`; raises NoCgroupsError if it is not alone."""
    inside = {int(pid) for pid in (base / "cgroup.procs").read_text().split()}
    if inside - {os.getpid()}:
        raise NoCgroupsError(f"{base} holds other processes than this one")
    if inside:
        try:
            (base / _OWN).mkdir(exist_ok=True)
            _write(base / _OWN / "cgroup.procs", str(os.getpid()))
        except OSError as error:
            raise NoCgroupsError(f"{base}: {error.strerror}") from None


def _divide(group: Path) -> None:
    """Let the cgroups below `group` count memory and processes; raises OSError."""
    counted = (group / "cgroup.subtree_control").read_text().split()
    missing = [f"+{name}" for name in _CONTROLLERS if name not in counted]
    if missing:
        _write(group / "cgroup.subtree_control", " ".join(missing))


def _sweep(base: Path) -> None:
    """Remove the cgroups of hosts that were killed."""
    import fcntl  # not on Windows

    for folder in base.glob(f"{_PREFIX}*"):
        if folder.name == _OWN or time.time() - folder.stat().st_mtime < _OLD_SECONDS:
            continue
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
        _remove(folder)


def _remove(group: Path) -> None:
    """Kill the processes in `group` and remove it with those below; it stays if one survives."""
    with suppress(OSError):
        _write(group / "cgroup.kill", "1")
    deadline = time.monotonic() + _DYING_SECONDS
    while group.exists():
        with suppress(OSError):
            for inner in [entry for entry in group.iterdir() if entry.is_dir()]:
                inner.rmdir()
            group.rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.002)


def _write(path: Path, text: str) -> None:
    # One write, without creating or truncating: the kernel takes each as one order.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _numbers(path: Path) -> dict[str, int]:
    """Return the entries of a file that has a name and a number in each line."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {name: int(number) for name, number in lines}
