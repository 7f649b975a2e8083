"""What a forked child does to itself before the first byte of untrusted code.

The order matters: mounting needs the capabilities that are then dropped, Landlock needs
no_new_privs, and seccomp comes last since it forbids the other steps.
"""

import ctypes
import math
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass

from opencodeinterpreter.tools.sandbox import landlock, syscalls
from opencodeinterpreter.tools.sandbox.root import SCRATCH, USER, WORK
from opencodeinterpreter.tools.sandbox.syscalls import call, mount, step

_MIB = 1 << 20
_FILES = 2048
"""Most files and folders in the work folder."""
_DESCRIPTORS = 256


@dataclass(frozen=True)
class Walls:
    """What the zygote prepared once for all of its children."""

    ruleset: int | None
    """Landlock's descriptor, `None` where the kernel has none."""
    program: ctypes.Array[ctypes.c_char]
    """The compiled seccomp filter."""
    address_space: int
    """Bytes of address space that the bare interpreter takes."""
    runs: int
    """How many children may live at once; they share one count of threads."""


@dataclass(frozen=True)
class Limits:
    """The limits that the kernel itself enforces on one child."""

    cpu_seconds: float
    memory_mb: int
    disk_mb: int
    processes: int


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.c_void_p))


def seal(walls: Walls, limits: Limits, descriptors: Sequence[int]) -> None:
    """Lock the calling process in for good; `descriptors` become 0 to 3, all others close.

    Raises StepFailedError.
    """
    with step("descriptors"):
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
    with step("setsid"):
        os.setsid()
    _mount_work(limits)
    with step("no_new_privs"):
        call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if walls.ruleset is not None:
        with step("landlock"):
            landlock.wear(walls.ruleset)
    with step("close_range"):
        call("close_range", len(descriptors), ctypes.c_uint(0xFFFFFFFF), 0)
    with step("rlimits"):
        _set_rlimits(walls, limits)
    with step("capset"):
        syscalls.drop_capabilities()
    with step("seccomp"):
        program = _Program(len(walls.program) // 8, ctypes.addressof(walls.program))
        call("prctl", syscalls.PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0)


def _mount_work(limits: Limits) -> None:
    options = f"size={limits.disk_mb}m,nr_inodes={_FILES},mode=700,uid={USER},gid={USER}"
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    with step("unshare for a run"):
        call("unshare", syscalls.CLONE_NEWNS)
    with step("mount the work folder"):
        mount("tmpfs", WORK, "tmpfs", flags, options)
        mount("tmpfs", SCRATCH, "tmpfs", flags, options)
        os.chdir(WORK)


def _set_rlimits(walls: Walls, limits: Limits) -> None:
    # The host watches resident memory; this bounds what can be asked for between two looks.
    address_space = walls.address_space + (2 * limits.memory_mb + 64) * _MIB
    cpu = math.ceil(limits.cpu_seconds) + 1
    for name, value in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, limits.disk_mb * _MIB),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_NPROC, limits.processes * walls.runs + 2),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))
