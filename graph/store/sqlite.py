"""The store in one SQLite file, the embedded default."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from opencodeinterpreter.graph.store.protocol import (
    CLAIM_ATTEMPTS,
    CLAIM_PAUSE,
    prepare,
    strict_serializer,
)
from opencodeinterpreter.tools.errors import InputError, StoreError

BUSY_SECONDS = 5.0
"""How long to wait for another process's write before the store counts as locked."""

_CURES = {
    "file is not a database": "it is corrupt or no store; name another file",
    "malformed": "it is corrupt; restore a backup or name another file",
    "locked": "another program holds it; try again when that has ended",
    "unable to open": "its folder is missing or not writable; name another with --store",
    "readonly": "it may not be written; change its mode or name another with --store",
}


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator["SqliteStore"]:
    """Open or create the file; raises InputError when it cannot be used."""
    async with AsyncExitStack() as stack:
        with _unusable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            saving = await stack.enter_async_context(_connect(path))
            table = await stack.enter_async_context(_connect(path))
            saver = AsyncSqliteSaver(saving, serde=strict_serializer())
            await saver.setup()
            store = SqliteStore(path, saver, table)
            await prepare(store, str(path))
        yield store


@asynccontextmanager
async def _connect(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    # Where a file cannot be opened, aiosqlite leaves a thread that complains after the loop's end.
    (await asyncio.to_thread(sqlite3.connect, path, check_same_thread=False)).close()
    async with aiosqlite.connect(path, timeout=BUSY_SECONDS) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        # A turn costs seconds of model time: the fsync of every commit is worth its milliseconds.
        await connection.execute("PRAGMA synchronous=FULL")
        yield connection


@contextmanager
def _unusable(path: Path) -> Iterator[None]:
    """Turn a failure to open into one line for a person."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot use store {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        cures = (cure for sign, cure in _CURES.items() if sign in str(error))
        raise InputError(f"cannot use store {path}: {next(cures, error)}") from error


class SqliteStore:
    """One SQLite file; beside it stands a lock file for each run that is being worked on."""

    failures: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, saver: AsyncSqliteSaver, table: aiosqlite.Connection) -> None:
        """Take a saver and a connection of our own, so that their transactions do not mix."""
        self.name = str(path)
        self.saver: BaseCheckpointSaver[str] = saver
        self._locks = path.with_name(f"{path.name}-locks")
        self._table = table
        self._one_at_a_time = asyncio.Lock()

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows."""
        # A write beside a half-read answer would fail at once where another connection wrote.
        async with self._one_at_a_time:
            try:
                async with self._table.execute(sql, values) as cursor:
                    rows = [tuple(row) for row in await cursor.fetchall()]
                await self._table.commit()
            except BaseException:
                # Else its transaction would go on and hold all other writers up.
                await self._table.rollback()
                raise
        return rows

    @asynccontextmanager
    async def claim(self, run: str) -> AsyncIterator[None]:
        """Hold a run; the lock is the kernel's, so it ends with the process however that ends."""
        path = self._locks / run
        try:
            for _ in range(CLAIM_ATTEMPTS):
                if (handle := await asyncio.to_thread(_locked, path)) is not None:
                    break
                await asyncio.sleep(CLAIM_PAUSE)
            else:
                raise InputError(f"run {run} is being worked on by another process")
        except OSError as error:
            raise StoreError(f"cannot lock run {run}: {error}") from error
        try:
            yield
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            os.close(handle)

    async def claimed(self, run: str) -> bool:
        """Return whether some living process holds the run."""
        path = self._locks / run
        if not await asyncio.to_thread(path.exists):
            return False
        handle = await asyncio.to_thread(_locked, path)
        if handle is not None:
            os.close(handle)
        return handle is None


def _locked(path: Path) -> int | None:
    """Open and lock a file; return its descriptor, or None while another process holds it.

    A file that was unlinked while we opened it counts as held: its holder was there just now.
    """
    import fcntl  # Absent on Windows, where nothing that needs it runs.

    path.parent.mkdir(exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if os.fstat(handle).st_nlink == 0:
        os.close(handle)
        return None
    return handle
