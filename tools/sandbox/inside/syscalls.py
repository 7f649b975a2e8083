"""Linux system calls that Python 3.11 does not wrap, made through libc's `syscall`."""

import ctypes
import fcntl
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from opencodeinterpreter.tools.sandbox.inside.syscall_table import number

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)
_machine = os.uname().machine


class StepFailedError(Exception):
    """A step of setting up the sandbox failed; holds the step and the error number."""

    def __init__(self, step: str, errno: int, detail: str = "") -> None:
        super().__init__(step, errno, detail)
        self.step = step
        self.errno = errno
        self.detail = detail


class step:
    """Convert an OSError in its block into a StepFailedError that names the step."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            raise StepFailedError(self._name, error.errno or 0, str(error)) from error


def call(name: str, *arguments: Any) -> int:
    """Make a system call with ints, bytes, ctypes objects or `None`; raises OSError."""
    result: int = _libc.syscall(*_words(name, arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def _words(name: str, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return the arguments for libc's `syscall`, with integers as machine words."""
    words = (number(name, _machine) or -1, *arguments)
    return tuple(ctypes.c_long(word) if isinstance(word, int) else word for word in words)


class PreparedCall(NamedTuple):
    """A system call with its arguments converted for libc."""

    stage: str
    """The step that it belongs to, for errors."""
    words: tuple[Any, ...]


def prepare(stage: str, name: str, *arguments: Any) -> PreparedCall:
    """Return a system call for `make`; the arguments are those of `call`."""
    return PreparedCall(stage, _words(name, arguments))


def make(calls: Iterable[PreparedCall]) -> None:
    """Make `calls` in order; raises StepFailedError at the first failure."""
    for stage, words in calls:
        if _libc.syscall(*words) == -1:
            code = ctypes.get_errno()
            raise StepFailedError(stage, code, os.strerror(code))


def rehearse() -> None:
    """Make calls without effect, so that the code path is warm before the first fork."""
    make([prepare("rehearse", "prlimit64", 0, 0, None, None)] * 20)


def out_of_the_way(descriptor: int) -> int:
    """Return a copy of `descriptor` with a number that no run uses; the original stays open."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` at `target`; raises OSError."""
    call("mount", source.encode(), target.encode(), kind.encode(), flags, options.encode())


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def restrict_mounts(target: str, attributes: int) -> None:
    """Add `attributes` to the mount at `target` and all mounts below it; raises OSError.

    Needs Linux 5.12.
    """
    request = _MountAttributes(set=attributes)
    size = ctypes.sizeof(request)
    call(
        "mount_setattr",
        AT_FDCWD,
        target.encode(),
        AT_RECURSIVE,
        ctypes.byref(request),
        ctypes.c_size_t(size),
    )


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_CAPABILITY_HEADER = _CapabilityHeader(version=0x20080522, pid=0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()


def without_capabilities() -> PreparedCall:
    """Return the call that drops all capabilities for good."""
    header, none = ctypes.byref(_CAPABILITY_HEADER), ctypes.byref(_NO_CAPABILITIES)
    return prepare("capset", "capset", header, none)


def keep_capabilities(*kept: int) -> None:
    """Drop all capabilities but these, which the process must have; raises OSError."""
    mask = sum(1 << number for number in kept)
    # Effective, permitted and inheritable ones, of 32 bits each, then the higher 32 of each.
    sets = (ctypes.c_uint32 * 6)(mask, mask)
    call("capset", ctypes.byref(_CAPABILITY_HEADER), ctypes.byref(sets))
