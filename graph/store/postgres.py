"""The store in a PostgreSQL database (extra `postgres`)."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import Jsonb

from opencodeinterpreter.graph.store import migration
from opencodeinterpreter.graph.store.claims import (
    CLAIMED,
    FAILURES,
    TABLES,
    Claims,
    Connection,
    FencedSaver,
    Pool,
    new_holder,
)
from opencodeinterpreter.graph.store.listing import HostRuns
from opencodeinterpreter.graph.store.protocol import (
    CLAIM_ATTEMPTS,
    CLAIM_PAUSE,
    LEASE_SECONDS,
    prepare,
    without_password,
)
from opencodeinterpreter.graph.store.saver import ListingSaver, whole
from opencodeinterpreter.tools.errors import BusyError, InputError

CONNECT_SECONDS, CONNECT_PAUSE = 5.0, 0.2
CONNECTIONS = 4
"""The most connections of one open store, for any number of runs."""
SET_UP_SECONDS = 30.0
"""How many seconds to wait for another process that sets up the same store."""

_NETWORK = {
    "tcp_user_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""How soon the server notices that a host is cut off; its own default may be two hours."""


@asynccontextmanager
async def open_postgres(url: str, lease: float = LEASE_SECONDS) -> AsyncIterator["PostgresStore"]:
    """Connect to the database and create missing tables; raises InputError if that fails.

    After `lease` seconds in which this process is silent, another may take over its runs.
    """
    name = without_password(url)
    holder = new_holder(lease)
    options = {
        "autocommit": True,
        "row_factory": dict_row,
        "prepare_threshold": 0,
        "application_name": holder.session,
    }
    pool = Pool(
        url,
        kwargs=options,
        open=False,
        min_size=1,
        max_size=CONNECTIONS,
        configure=_notice_cut_off_hosts,
        check=Pool.check_connection,
    )
    claims = Claims(pool, holder)
    try:
        with _unusable(name):
            await _await_server(url)
            await pool.open()
            store = PostgresStore(name, pool, claims)
            async with pool.connection() as connection, _set_up_alone(connection, name):
                await AsyncPostgresSaver(connection).setup()
                for table in TABLES:
                    await connection.execute(table.encode())
                await prepare(store, name, lambda: _upgrade(connection))
        yield store
    finally:
        await claims.give_back()
        # In this order: an open pool warns of each closed connection that it gets back.
        await pool.close()
        await claims.close()


async def _await_server(url: str) -> None:
    """Wait for a server that may be starting; raises why the last attempt to connect failed.

    A pool would log why, and raise that it took too long.
    """
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            connection = await Connection.connect(url, connect_timeout=round(CONNECT_SECONDS))
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(CONNECT_PAUSE)
        else:
            return await connection.close()


async def _notice_cut_off_hosts(connection: Connection) -> None:
    for name, value in _NETWORK.items():
        await connection.execute("SELECT set_config(%s, %s, false)", (name, value))


@contextmanager
def _unusable(name: str) -> Iterator[None]:
    """Raise InputError, with one line, if opening fails."""
    try:
        yield
    except FAILURES as error:
        told = " ".join(str(error).split())
        raise InputError(f"cannot use store {name}: {told}") from error


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
    """A store in one database; see `claims` for how a run is claimed."""

    failures = FAILURES

    def __init__(self, name: str, pool: Pool, claims: Claims) -> None:
        """Use an open pool."""
        self.name = name
        self.saver: BaseCheckpointSaver[str] = ListingSaver(
            FencedSaver(pool, claims), HostRuns(self)
        )
        self._pool = pool
        self._claims = claims
        self.writing = claims.writing

    async def execute(
        self, sql: str, values: Sequence[Any] = (), run: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement in its own transaction and return its rows."""
        using = self._pool.connection() if run is None else self._claims.writing(run)
        async with using as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(sql.replace("?", "%s").encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; none if there is no such table."""
        return {name for (name,) in await self.execute(_COLUMNS_OF, [table])}

    @asynccontextmanager
    async def claim(self, run: str) -> AsyncIterator[None]:
        """Claim a run; it is free again when the process ends, however it ends."""
        for _ in range(CLAIM_ATTEMPTS):
            if await self._claims.take(run):
                break
            await asyncio.sleep(CLAIM_PAUSE)
        else:
            raise BusyError(f"run {run} is being worked on by another process")
        try:
            yield
        finally:
            await whole(self._claims.release(run))

    async def claimed(self, *runs: str) -> set[str]:
        """Return those of the runs that a running process has claimed."""
        return {run for (run,) in await self.execute(CLAIMED, [list(runs)])}


_COLUMNS_OF = """
SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped
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
