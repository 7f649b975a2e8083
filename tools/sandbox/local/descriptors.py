"""What open descriptors of processes in the sandbox keep on the host, where no limit counts it."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_SOCKET, _PIPE = 224 << 10, 64 << 10
"""The most bytes that the kernel keeps for what was written into a socket or a pipe."""
_LOOKS = 1024
"""How many descriptors of a run are looked at each time."""
_DELETED = " (deleted)"


def buffer_bytes(pids: Iterable[int]) -> int:
    """Return the most that the kernel keeps in the sockets and pipes of some processes.

    What several processes share counts once. Descriptors that the host may not or does not look at
    count as sockets of their own.
    """
    seen: set[str] = set()
    looks, unseen = _LOOKS, 0
    for pid in pids:
        try:
            held = list(_folder(pid).iterdir())
        except PermissionError:
            unseen += _count(pid)
            continue
        except OSError:
            continue
        seen.update(target for _, target in _targets(held[:looks]))
        unseen += max(0, len(held) - looks)
        looks = max(0, looks - len(held))
    sockets = sum(target.startswith("socket:") for target in seen)
    pipes = sum(target.startswith("pipe:") for target in seen)
    return (sockets + unseen) * _SOCKET + pipes * _PIPE


def deleted_bytes(pid: int, folder: str) -> int | None:
    """Return the size of all files that a process keeps below a folder without their names.

    Returns `None` if it maps one that is not open, whose size nobody can tell. Files that the host
    may not look at are not counted.
    """
    inside = f"{os.path.realpath(folder)}/"
    sizes: dict[int, int] = {}
    try:
        for held, target in _targets(_folder(pid).iterdir()):
            if target.startswith(inside) and target.endswith(_DELETED):
                with suppress(OSError):
                    file = held.stat()
                    sizes[file.st_ino] = file.st_size
        mapped = {
            int(fields[4])
            for line in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace").splitlines()
            if line.endswith(_DELETED)
            and len(fields := line.split(maxsplit=5)) > 5
            and fields[5].startswith(inside)
        }
    except PermissionError:
        return 0
    return sum(sizes.values()) if mapped <= sizes.keys() else None


def _folder(pid: int) -> Path:
    return Path(f"/proc/{pid}/fd")


def _targets(descriptors: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield what each descriptor refers to, except those that were closed meanwhile."""
    for descriptor in descriptors:
        with suppress(OSError):
            yield descriptor, str(descriptor.readlink())


def _count(pid: int) -> int:
    """Return how many descriptors a process has; 0 before Linux 6.2."""
    with suppress(OSError):
        return _folder(pid).stat().st_size
    return 0
