"""Work folders on the host, where no mount makes them vanish with their run."""

import asyncio
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from opencodeinterpreter.tools.sandbox.local.child import Child

_PREFIX = "opencodeinterpreter-"
_LOCK = "owner"
"""A file that its maker keeps locked for as long as it lives; no run can reach it."""


class HostFolders:
    """Makes private folders and removes them, with whatever hostile code left in them."""

    def __init__(self) -> None:
        self._folders: dict[str, int] = {}
        self._removing: set[asyncio.Future[None]] = set()

    async def make_folder(self) -> str:
        """Return the path of a new folder that only its owner can enter.

        Those of hosts that were killed are removed.
        """
        await asyncio.to_thread(_sweep)
        folder, lock = await asyncio.to_thread(_make)
        self._folders[folder] = lock
        return folder

    def adopt(self, child: Child) -> None:
        """Remove the folder of `child` once it was closed and has ended."""
        if child.private_folder:
            removing = asyncio.ensure_future(self._remove_after(child, child.private_folder))
            self._removing.add(removing)
            removing.add_done_callback(self._removing.discard)

    async def _remove_after(self, child: Child, folder: str) -> None:
        # A zygote that went away took the child with it.
        await asyncio.wait([child.ended])
        await child.closed
        await asyncio.to_thread(_remove, folder)

    async def clear(self) -> None:
        """Remove all that was ever made."""
        if self._removing:
            await asyncio.wait(self._removing)
        for folder, lock in self._folders.items():
            await asyncio.to_thread(_remove, folder)
            os.close(lock)
        self._folders.clear()


def _make() -> tuple[str, int]:
    import fcntl  # not on Windows

    folder = tempfile.mkdtemp(prefix=_PREFIX)
    lock, unnamed = Path(folder, _LOCK), Path(folder, "new")
    descriptor = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Under its name it was never unlocked.
    unnamed.rename(lock)
    return folder, descriptor


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if not folder.is_symlink() and _ownerless(folder / _LOCK):
                _remove(str(folder))


def _ownerless(lock: Path) -> bool:
    """Whether `lock` is ours and nobody holds it; raises OSError."""
    import fcntl  # not on Windows

    descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
    return True


def _remove(folder: str) -> None:
    # The system's own, since Python's goes wrong on a tree some thousand folders deep.
    remove = ["rm", "-rf", "--", folder]
    with suppress(OSError):
        if subprocess.run(remove, capture_output=True, check=False).returncode:
            unlock = ["chmod", "-R", "u+rwX", "--", folder]
            subprocess.run(unlock, capture_output=True, check=False)
            subprocess.run(remove, capture_output=True, check=False)
