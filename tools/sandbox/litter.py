"""Work folders on the host, where no mount makes them vanish with their run."""

import asyncio
import subprocess
import tempfile
from contextlib import suppress

from opencodeinterpreter.tools.sandbox.child import Child


class Litter:
    """Makes private folders and removes them, with whatever hostile code left in them."""

    def __init__(self) -> None:
        self._folders: list[str] = []
        self._removing: set[asyncio.Future[None]] = set()

    async def make_folder(self) -> str:
        """Return the path of a new folder that only its owner can enter."""
        folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="opencodeinterpreter-")
        self._folders.append(folder)
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
        for folder in self._folders:
            await asyncio.to_thread(_remove, folder)
        self._folders.clear()


def _remove(folder: str) -> None:
    # The system's own, since Python's goes wrong on a tree some thousand folders deep.
    remove = ["rm", "-rf", "--", folder]
    with suppress(OSError):
        if subprocess.run(remove, capture_output=True, check=False).returncode:
            unlock = ["chmod", "-R", "u+rwX", "--", folder]
            subprocess.run(unlock, capture_output=True, check=False)
            subprocess.run(remove, capture_output=True, check=False)
