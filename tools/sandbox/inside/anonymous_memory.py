"""Give `mmap.mmap(-1, ...)` memory that a limit counts.

By default it asks for shared memory without a file, which the filter refuses: such memory stays
when nearly all of it is unmapped, and no limit would count it.
"""

import mmap
import os
from typing import Any

from opencodeinterpreter.tools.sandbox.inside import root

_OPTIONS = ("flags", "prot", "access", "offset")


def be_private() -> None:
    """Make it private memory, for runs that cannot start processes and so share with nobody."""
    mmap.mmap = _named(_Private)  # type: ignore[misc]


def be_files() -> None:
    """Make it a file of the work folder without a name, which processes can share."""
    mmap.mmap = _named(_File)  # type: ignore[misc]


class _Private(mmap.mmap):
    def __new__(cls, fileno: int, length: int, *arguments: Any, **options: Any) -> "_Private":
        given = _given(arguments, options)
        if fileno == -1 and _is_shared(given):
            if given.pop("access", mmap.ACCESS_DEFAULT) == mmap.ACCESS_READ:
                given["prot"] = mmap.PROT_READ
            kept = given.get("flags", 0) & ~mmap.MAP_SHARED
            given["flags"] = kept | mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        return super().__new__(cls, fileno, length, **given)


class _File(mmap.mmap):
    def __new__(cls, fileno: int, length: int, *arguments: Any, **options: Any) -> "_File":
        given = _given(arguments, options)
        if fileno != -1 or length <= 0 or not _is_shared(given):
            return super().__new__(cls, fileno, length, **given)
        if "flags" in given:
            given["flags"] &= ~mmap.MAP_ANONYMOUS
        file = os.open(root.SCRATCH, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC)
        try:
            os.posix_fallocate(file, 0, length)
            return super().__new__(cls, file, length, **given)
        finally:
            os.close(file)


def _given(arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(_OPTIONS, arguments, strict=False)) | options


def _is_shared(given: dict[str, Any]) -> bool:
    """Return whether a mapping is shared; one with contradictory options is left to fail."""
    if "access" in given:
        return given["access"] != mmap.ACCESS_COPY and not {"flags", "prot"} & given.keys()
    return not given.get("flags", mmap.MAP_SHARED) & mmap.MAP_PRIVATE


def _named(mapping: type[mmap.mmap]) -> type[mmap.mmap]:
    mapping.__name__ = mapping.__qualname__ = "mmap"
    mapping.__module__ = "mmap"
    return mapping
