"""The store in a PostgreSQL database (extra `postgres`)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from opencodeinterpreter.graph.store import migration
from opencodeinterpreter.graph.store.listing import HostRuns
from opencodeinterpreter.graph.store.protocol import (
    CLAIM_ATTEMPTS,
    CLAIM_PAUSE,
    prepare,
    without_password,
)
from opencodeinterpreter.graph.store.saver import ListingSaver
from opencodeinterpreter.graph.store.serializer import StrictSerializer
from opencodeinterpreter.tools.errors import InputError

CONNECT_SECONDS = 5.0
CONNECTIONS = 4
"""The most connections of one open store, for any number of runs."""
SET_UP_SECONDS = 30.0
"""How many seconds to wait for another process that sets up the same store."""

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator["PostgresStore"]:
    """Connect to the database and create missing tables; raises InputError if that fails."""
    name = without_password(url)
    options = {"autocommit": True, "row_factory": dict_row, "prepare_threshold": 0}
    pool = Pool(url, kwargs=options, open=False, min_size=1, max_size=CONNECTIONS)
    try:
        with _unusable(name):
            await pool.open(wait=True, timeout=CONNECT_SECONDS)
            store = PostgresStore(name, pool)
            async with pool.connection() as connection, _set_up_alone(connection, name):
                await AsyncPostgresSaver(connection).setup()
                await prepare(store, name, lambda: _upgrade(connection))
        yield store
    finally:
        await pool.close()


@contextmanager
def _unusable(name: str) -> Iterator[None]:
    """Raise InputError, with one line, if opening fails."""
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        raise InputError(f"cannot use store {name}: {error}") from error


@asynccontextmanager
async def _set_up_alone(connection: Connection, name: str) -> AsyncIterator[None]:
    """Hold the lock for creating tables: two concurrent CREATE ... IF NOT EXISTS may fail.

    The lock is polled, since a session that waits for it would block the CREATE INDEX CONCURRENTLY
    of the session that holds it.
    """
    key = _lock_key("set-up")
    for _ in range(round(SET_UP_SECONDS / CLAIM_PAUSE)):
        if await _ask(connection, "SELECT pg_try_advisory_lock(%s)", key):
            break
        await asyncio.sleep(CLAIM_PAUSE)
    else:
        raise InputError(
            f"cannot use store {name}: another process has been setting it up for "
            f"{SET_UP_SECONDS:g} s; try again when that has ended"
        )
    try:
        yield
    finally:
        await _ask(connection, "SELECT pg_advisory_unlock(%s)", key)


async def _upgrade(connection: Connection) -> None:
    """Bring a store from version 1 to version 2, in one transaction."""
    async with connection.transaction():
        found = await connection.execute(
            "SELECT thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata FROM checkpoints"
        )
        threads: set[str] = set()
        for row in await found.fetchall():
            checkpoint, metadata = row["checkpoint"], row["metadata"]
            if migration.is_ours(checkpoint, metadata):
                threads.add(row["thread_id"])
                await connection.execute(
                    "UPDATE checkpoints SET checkpoint = %(checkpoint)s, metadata = %(metadata)s "
                    "WHERE thread_id = %(thread_id)s AND checkpoint_ns = %(checkpoint_ns)s "
                    "AND checkpoint_id = %(checkpoint_id)s",
                    {
                        **row,
                        "checkpoint": Jsonb(migration.renamed(checkpoint)),
                        "metadata": Jsonb(migration.renamed_metadata(metadata)),
                    },
                )
        for table in ("checkpoint_blobs", "checkpoint_writes"):
            statement = (
                f"UPDATE {table} SET channel = %s WHERE channel = %s AND thread_id = ANY(%s)"
            )
            await connection.execute(
                statement.encode(), (migration.NEW, migration.OLD, list(threads))
            )
        await connection.execute("UPDATE opencodeinterpreter_store SET version = 2")


class PostgresStore:
    """A store in one database; each claimed run is an advisory lock."""

    failures: tuple[type[Exception], ...] = (psycopg.Error, PoolTimeout)

    def __init__(self, name: str, pool: Pool) -> None:
        """Use an open pool: one connection at a time for the saver, another one for claims."""
        self.name = name
        saver = AsyncPostgresSaver(pool, serde=StrictSerializer())
        self.saver: BaseCheckpointSaver[str] = ListingSaver(saver, HostRuns(self))
        self._pool = pool
        self._claims = _Claims(pool)

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement in its own transaction and return its rows."""
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(sql.replace("?", "%s").encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; none if there is no such table."""
        return {name for (name,) in await self.execute(_COLUMNS_OF, [table])}

    @asynccontextmanager
    async def claim(self, run: str) -> AsyncIterator[None]:
        """Claim a run; the server releases the lock when the process ends, however it ends."""
        for _ in range(CLAIM_ATTEMPTS):
            if await self._claims.take(run):
                break
            await asyncio.sleep(CLAIM_PAUSE)
        else:
            raise InputError(f"run {run} is being worked on by another process")
        try:
            yield
        finally:
            await self._claims.release(run)

    async def claimed(self, run: str) -> bool:
        """Return whether a running process has claimed the run."""
        found = await self.execute(_HOLDERS, [_lock_key(run)])
        return bool(found)


class _Claims:
    """The runs that this process has claimed: advisory locks of one shared connection.

    The connection is taken from the pool while any run is claimed. If it is lost, its locks are
    lost too; new claims use another connection, and releasing an old claim fails.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held: dict[str, Connection] = {}
        self._taking = asyncio.Lock()

    async def take(self, run: str) -> bool:
        """Lock a run; return whether it was free. (A session can take its own lock again.)"""
        async with self._taking:
            if run in self._held:
                return False
            connection = await self._connection()
            try:
                taken = await _ask(connection, "SELECT pg_try_advisory_lock(%s)", _lock_key(run))
                if taken:
                    self._held[run] = connection
            finally:
                await self._give_back(connection)
            return taken

    async def release(self, run: str) -> None:
        """Unlock a claimed run."""
        async with self._taking:
            connection = self._held.pop(run)
            try:
                await _ask(connection, "SELECT pg_advisory_unlock(%s)", _lock_key(run))
            finally:
                await self._give_back(connection)

    async def _connection(self) -> Connection:
        usable = (held for held in self._held.values() if not held.broken)
        return next(usable, None) or await self._pool.getconn()

    async def _give_back(self, connection: Connection) -> None:
        """Return the connection to the pool after its last lock is released."""
        if connection in self._held.values():
            return
        try:
            if not connection.broken:
                # A cancelled claim may still have taken its lock.
                await connection.execute("SELECT pg_advisory_unlock_all()")
        finally:
            await self._pool.putconn(connection)


_COLUMNS_OF = """
SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped
"""

_HOLDERS = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND (classid::bigint << 32) | objid::bigint = ?
"""


def _lock_key(name: str) -> int:
    """Return the 64-bit key of an advisory lock, distinct from keys of a host application."""
    hashed = hashlib.sha256(f"opencodeinterpreter {name}".encode()).digest()
    return int.from_bytes(hashed[:8], signed=True)


async def _ask(connection: Connection, sql: str, key: int) -> bool:
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(sql.encode(), (key,))
    row = await cursor.fetchone()
    return bool(row and row[0])
