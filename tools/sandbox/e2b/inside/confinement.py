"""Prepare a process in an E2B sandbox for the untrusted code that it will run.

E2B's sandbox isolates. This enforces the run's limits and closes the supervisor's descriptors.
"""

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_DESCRIPTORS = 256
_MIB = 1 << 20


def confine(work: Path, descriptors: Sequence[int], limits: dict[str, Any], parent: int) -> None:
    """Keep only `descriptors` (in rising order) as 0 to 3, change to `work`, and set the limits.

    After that the process dies with `parent`.
    """
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
    os.closerange(len(descriptors), _DESCRIPTORS)
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    # Users of E2B's templates can use sudo without a password.
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.chdir(work)
    for name, value in _rlimits(limits).items():
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))


def _rlimits(limits: dict[str, Any]) -> dict[int, int]:
    # Resident memory is watched; this bounds what can be allocated between two checks.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    address_space = pages * os.sysconf("SC_PAGE_SIZE") + (2 * limits["memory_mb"] + 64) * _MIB
    return {
        resource.RLIMIT_AS: address_space,
        resource.RLIMIT_CPU: int(limits["cpu_seconds"]) + 2,
        resource.RLIMIT_FSIZE: limits["disk_mb"] * _MIB,
        resource.RLIMIT_NPROC: limits["processes"] + _threads_of_user(),
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_CORE: 0,
    }


def _threads_of_user() -> int:
    """Count the threads of our user, which the kernel counts together with the run's."""
    count = 0
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and folder.stat().st_uid == os.getuid():
                count += sum(1 for _ in (folder / "task").iterdir())
    return count
