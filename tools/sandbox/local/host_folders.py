"""Work folders on the host, for runs without mounts; they must be removed explicitly."""

import asyncio
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from opencodeinterpreter.tools.sandbox.local.child import Child

_PREFIX = "opencodeinterpreter-"
_LOCK = "owner"
"""A file that its creator locks for its lifetime; runs cannot reach it."""


class HostFolders:
    """Creates private folders and removes them with whatever hostile code left in them."""

    def __init__(self) -> None:
        self._folders: dict[str, int] = {}
        self._removing: set[asyncio.Future[None]] = set()

    async def make_folder(self) -> str:
        """Return the path of a new folder that only its owner can enter.

        Also removes the folders that killed hosts left behind.
        """
        await asyncio.to_thread(_sweep)
        folder, lock = await asyncio.to_thread(_make)
        self._folders[folder] = lock
        return folder

    def adopt(self, child: Child) -> None:
        """Remove the folder of `child` once the child is closed and has ended."""
        if child.private_folder:
            removing = asyncio.ensure_future(self._remove_after(child, child.private_folder))
            self._removing.add(removing)
            removing.add_done_callback(self._removing.discard)

    async def _remove_after(self, child: Child, folder: str) -> None:
        # If the zygote died, the child died with it.
        await asyncio.wait([child.ended])
        await child.closed
        await asyncio.to_thread(_remove, folder)

    async def clear(self) -> None:
        """Remove all folders that are left."""
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
    # Renamed when locked: under its final name it is never unlocked.
    unnamed.rename(lock)
    return folder, descriptor


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if not folder.is_symlink() and _ownerless(folder / _LOCK):
                _remove(str(folder))


def _ownerless(lock: Path) -> bool:
    """Return whether `lock` belongs to this user and no process holds it; raises OSError."""
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
    # Not shutil.rmtree: it fails on a tree some thousand folders deep.
    remove = ["rm", "-rf", "--", folder]
    with suppress(OSError):
        if subprocess.run(remove, capture_output=True, check=False).returncode:
            unlock = ["chmod", "-R", "u+rwX", "--", folder]
            subprocess.run(unlock, capture_output=True, check=False)
            subprocess.run(remove, capture_output=True, check=False)
