"""Landlock: a second, independent layer around the file system, which each run applies.

Rights and versions: Linux `Documentation/userspace-api/landlock.rst`.
"""

import ctypes
import os
import stat
from collections.abc import Iterable

from opencodeinterpreter.tools.sandbox.inside import syscalls
from opencodeinterpreter.tools.sandbox.inside.syscalls import call

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE
"""The rights that a rule about a single file may name (without truncation, which none needs)."""
_RIGHTS_BY_VERSION = ((5, 16), (3, 15), (2, 14), (1, 13))
"""Number of file rights from each version on, newest first."""


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the kernel's Landlock version; 0 if it has none or it is disabled."""
    try:
        return call("landlock_create_ruleset", None, ctypes.c_size_t(0), 1)
    except OSError:
        return 0


def build(
    readable: Iterable[str], writable: Iterable[str], devices: Iterable[str], execute: bool
) -> int | None:
    """Return the descriptor of a ruleset that allows these trees alone; `None` without Landlock.

    A writable tree must be the parent of the mount points that runs may write to, since Landlock
    skips the mount points themselves. `execute`: whether programs in readable trees may be
    started. Raises OSError.
    """
    known = version()
    if not known:
        return None
    rights = next((1 << count) - 1 for least, count in _RIGHTS_BY_VERSION if known >= least)
    # TCP is blocked from version 4 on; abstract sockets and signals from version 6 on.
    ruleset = _Ruleset(files=rights, net=3 if known >= 4 else 0, scoped=3 if known >= 6 else 0)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    descriptor = call("landlock_create_ruleset", ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    never = _EXECUTE | _MAKE_CHAR | _MAKE_SOCK | _MAKE_BLOCK
    run = _EXECUTE if execute else 0
    try:
        for tree in readable:
            _allow(descriptor, tree, _READ_FILE | _READ_DIR | run)
        for device in devices:
            _allow(descriptor, device, _READ_FILE | _WRITE_FILE)
        for tree in writable:
            _allow(descriptor, tree, rights & ~never)
        return syscalls.out_of_the_way(descriptor)
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: str, rights: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _OF_FILES
        rule = _PathRule(allowed=rights, parent=parent)
        call("landlock_add_rule", ruleset, 1, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def wearing(ruleset: int) -> syscalls.PreparedCall:
    """Return the call that applies the ruleset for good; it needs no_new_privs."""
    return syscalls.prepare("landlock", "landlock_restrict_self", ruleset, 0)
