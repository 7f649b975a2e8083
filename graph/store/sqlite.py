"""The default store: one SQLite file."""

import asyncio
import errno
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from opencodeinterpreter.graph.store import migration
from opencodeinterpreter.graph.store.listing import HostRuns
from opencodeinterpreter.graph.store.protocol import (
    CLAIM_ATTEMPTS,
    CLAIM_PAUSE,
    prepare,
)
from opencodeinterpreter.graph.store.saver import ListingSaver, whole
from opencodeinterpreter.graph.store.serializer import StrictSerializer
from opencodeinterpreter.tools.errors import BusyError, InputError, StoreError

BUSY_SECONDS = 5.0
"""How long opening waits for another process's write before the store counts as locked."""
WRITE_SECONDS = 30.0
"""How long a write waits. SQLite lets waiting writers try in no order, so one may be late."""

_COLUMNS_OF = "SELECT name FROM pragma_table_info(?)"

_CURES = {
    "file is not a database": "it is corrupt or no store; name another file",
    "malformed": "it is corrupt; restore a backup or name another file",
    "locked": "another program holds it; try again when that has ended",
    "unable to open": "its folder is missing or not writable; name another with --store",
    "readonly": "it may not be written; change its mode or name another with --store",
}


_OF_DISK = ("disk I/O error", "disk is full")
"""What SQLite says where the disk is full, or a limit on the size of files is reached."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""The same of the system, before SQLite is asked."""


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator["SqliteStore"]:
    """Open or create the file; raises InputError or StoreError if it cannot be used."""
    async with AsyncExitStack() as stack:
        with _unusable(path):
            await asyncio.to_thread(_make_private, path)
            saving = await stack.enter_async_context(_connect(path, "DEFERRED"))
            table = await stack.enter_async_context(_connect(path, None))
            saver = AsyncSqliteSaver(saving, serde=StrictSerializer())
            await saver.setup()
            store = SqliteStore(path, saver, table)
            await prepare(store, str(path), lambda: asyncio.to_thread(_upgrade, path))
            for connection in (saving, table):
                await connection.execute(f"PRAGMA busy_timeout={1000 * WRITE_SECONDS:.0f}")
        yield store


def _upgrade(path: Path) -> None:
    """Bring a store from version 1 to version 2, in one transaction."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            (version,) = connection.execute(
                "SELECT version FROM opencodeinterpreter_store"
            ).fetchone()
            if version == 1:  # Another process may have done it meanwhile.
                _rename_channel(connection)
                connection.execute("UPDATE opencodeinterpreter_store SET version = 2")


def _rename_channel(connection: sqlite3.Connection) -> None:
    serializer = StrictSerializer()
    threads: set[str] = set()
    rows = connection.execute(
        "SELECT rowid, thread_id, type, checkpoint, metadata FROM checkpoints"
    )
    for row, thread, kind, blob, about in rows:
        with suppress(ValueError, TypeError, UnicodeDecodeError):  # Reading it raises the error.
            checkpoint, metadata = serializer.loads_typed((kind, blob)), json.loads(about)
            if migration.is_ours(checkpoint, metadata):
                threads.add(thread)
                connection.execute(
                    "UPDATE checkpoints SET checkpoint = ?, metadata = ? WHERE rowid = ?",
                    [
                        serializer.dumps_typed(migration.renamed(checkpoint))[1],
                        json.dumps(migration.renamed_metadata(metadata)).encode(),
                        row,
                    ],
                )
    connection.executemany(
        "UPDATE writes SET channel = ? WHERE channel = ? AND thread_id = ?",
        [(migration.NEW, migration.OLD, thread) for thread in threads],
    )


def _make_private(path: Path) -> None:
    """Create a file and a folder that are not there; the file is for its owner alone.

    Runs hold what models were told. SQLite gives its other files the same mode, and names what it
    may not open.
    """
    # The file that a link names is created here too, not by SQLite, which would let all read it.
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # An existing file must not be opened here: to close it would end all locks that SQLite holds on
    # it in this process, and the next process that closes the store would delete its log.
    with suppress(FileExistsError, PermissionError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600))


@asynccontextmanager
async def _connect(path: Path, isolation: str | None) -> AsyncIterator[aiosqlite.Connection]:
    """Open the file; with no `isolation`, each statement commits itself."""
    # If a file cannot be opened, aiosqlite leaves a thread that fails after the loop's end.
    (await asyncio.to_thread(sqlite3.connect, path, check_same_thread=False)).close()
    async with aiosqlite.connect(
        path, timeout=BUSY_SECONDS, isolation_level=isolation
    ) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        # A turn costs seconds of model time, an fsync per commit only milliseconds.
        await connection.execute("PRAGMA synchronous=FULL")
        yield connection


@contextmanager
def _unusable(path: Path) -> Iterator[None]:
    """Raise InputError if the file cannot be opened, StoreError if its disk is full or fails."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError(f"{path}: {error.strerror}; what it held before is safe") from error
        raise InputError(f"cannot use store {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        if any(sign in str(error) for sign in _OF_DISK):
            raise StoreError(f"{path}: {error}; what it held before is safe") from error
        cures = (cure for sign, cure in _CURES.items() if sign in str(error))
        raise InputError(f"cannot use store {path}: {next(cures, error)}") from error


class SqliteStore:
    """One SQLite file; each claimed run has a lock file in a folder beside it."""

    failures: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, saver: AsyncSqliteSaver, table: aiosqlite.Connection) -> None:
        """Use a saver and a separate connection, so that their transactions do not mix."""
        self.name = str(path)
        self.saver: BaseCheckpointSaver[str] = ListingSaver(saver, HostRuns(self))
        # One folder for all names of the store: locks in another would hold nobody back.
        self._locks = Path(f"{os.path.realpath(path)}-locks")
        self._table = table

    async def execute(
        self, sql: str, values: Sequence[Any] = (), run: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement in its own transaction and return its rows.

        `run` needs no check here: the kernel takes no lock from a living process.
        """
        # One call is one statement, which commits itself: nothing is left open by a failure, by a
        # cancelled caller, or between two rows of a query.
        return [tuple(row) for row in await self._table.execute_fetchall(sql, values)]

    async def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; none if there is no such table."""
        return {name for (name,) in await self.execute(_COLUMNS_OF, [table])}

    @asynccontextmanager
    async def claim(self, run: str) -> AsyncIterator[None]:
        """Claim a run; the kernel releases the lock when the process ends, however it ends."""
        path = self._locks / run
        try:
            for _ in range(CLAIM_ATTEMPTS):
                if (handle := await _lock(path)) is not None:
                    break
                await asyncio.sleep(CLAIM_PAUSE)
            else:
                raise BusyError(f"run {run} is being worked on by another process")
        except OSError as error:
            raise StoreError(f"cannot lock run {run}: {error}") from error
        try:
            yield
        finally:
            await whole(asyncio.to_thread(_unlock, path, handle))

    async def claimed(self, *runs: str) -> set[str]:
        """Return those of the runs that a running process has claimed."""
        return await asyncio.to_thread(lambda: {run for run in runs if _held(self._locks / run)})


def _held(path: Path) -> bool:
    """Return whether a process has locked a file."""
    if not path.exists():
        return False
    handle = _locked(path)
    if handle is not None:
        os.close(handle)
    return handle is None


async def _lock(path: Path) -> int | None:
    """Lock a file as `_locked` does; a caller that is cancelled meanwhile leaves no lock."""
    locking = asyncio.ensure_future(asyncio.to_thread(_locked, path))
    try:
        return await asyncio.shield(locking)
    except asyncio.CancelledError:
        locking.add_done_callback(_close)
        raise


def _close(locking: asyncio.Future[int | None]) -> None:
    if locking.exception() is None and (handle := locking.result()) is not None:
        os.close(handle)


def _unlock(path: Path, handle: int) -> None:
    path.unlink(missing_ok=True)
    os.close(handle)


def _locked(path: Path) -> int | None:
    """Open and lock a file; return its descriptor, or None if another process has locked it.

    A file that was unlinked while we opened it counts as locked.
    """
    import fcntl  # Not on Windows, where no run is advanced.

    path.parent.mkdir(0o700, exist_ok=True)
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
