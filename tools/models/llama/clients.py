"""Running a download client (pip, uv, the hub's) in a child process, with progress by its disk use.

The clients show progress only to a terminal and each in a way of its own; what all of them do is
to write the bytes that have come into a folder.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

_WATCH_SECONDS = 0.5


class ClientFailed(Exception):
    """A client did not start or ended with an error; the text is the last line of its complaint."""


async def run_client(
    command: Sequence[str], watch: Callable[[int], None], folder: Path | None = None
) -> str:
    """Run `command` to its end and return the last line that it printed.

    Meanwhile `watch` is told by how many bytes `folder` has grown, which is also the folder for
    temporary files. A client that is given none prints its own as its first line. Raises
    ClientFailed; a cancelled client is killed.
    """
    own = {"TMPDIR": str(folder)} if folder else {}
    async with _started(command, own) as process:
        assert process.stdout and process.stderr
        complaint = asyncio.create_task(process.stderr.read())
        if folder is None:
            folder = Path((await process.stdout.readline()).decode().rstrip("\n"))
        async with _watched(folder, watch):
            printed = (await process.stdout.read()).decode().splitlines()
            await process.wait()
        told = (await complaint).decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise ClientFailed(told[-1].strip() if told else f"exit status {process.returncode}")
    return printed[-1] if printed else ""


@asynccontextmanager
async def _started(
    command: Sequence[str], variables: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **variables},
        )
    except OSError as error:
        raise ClientFailed(f"it cannot be started ({error.strerror})") from None
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@asynccontextmanager
async def _watched(folder: Path, watch: Callable[[int], None]) -> AsyncIterator[None]:
    before = await asyncio.to_thread(_size, folder)

    async def tell() -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            watch(max(await asyncio.to_thread(_size, folder) - before, 0))

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()


def _size(folder: Path) -> int:
    """Return the bytes of the files below `folder`, which come and go meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(where, name).lstat().st_size
    return total
