"""The store in a PostgreSQL database (extra `postgres`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from opencodeinterpreter.graph.store.protocol import (
    CLAIM_ATTEMPTS,
    CLAIM_PAUSE,
    prepare,
    strict_serializer,
    without_password,
)
from opencodeinterpreter.tools.errors import InputError

CONNECT_SECONDS = 5.0

Pool = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]

_LOCK_SPACE = 0x6F6369  # "oci": keeps our advisory locks apart from a host application's.


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator["PostgresStore"]:
    """Connect to the database and create what is missing; raises InputError when it cannot."""
    options = {"autocommit": True, "row_factory": dict_row, "prepare_threshold": 0}
    pool = Pool(url, kwargs=options, open=False, min_size=1, max_size=8)
    try:
        try:
            await pool.open(wait=True, timeout=CONNECT_SECONDS)
            saver = AsyncPostgresSaver(pool, serde=strict_serializer())
            await saver.setup()
            store = PostgresStore(url, pool, saver)
            await prepare(store, without_password(url))
        except (psycopg.Error, PoolTimeout) as error:
            raise InputError(f"cannot use store {without_password(url)}: {error}") from error
        yield store
    finally:
        await pool.close()


class PostgresStore:
    """One database; a run being worked on holds an advisory lock of its session."""

    failures: tuple[type[Exception], ...] = (psycopg.Error, PoolTimeout)

    def __init__(self, url: str, pool: Pool, saver: AsyncPostgresSaver) -> None:
        """Take an open pool and a saver on it; claims connect to `url` by themselves."""
        self._url = url
        self.name = without_password(url)
        self.saver: BaseCheckpointSaver[str] = saver
        self._pool = pool

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows."""
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(sql.replace("?", "%s").encode(), values)
            return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def claim(self, run: str) -> AsyncIterator[None]:
        """Hold a run; the lock is the server's, so it ends with the connection.

        A pooled connection would be missing to the runs themselves when many are held.
        """
        async with await psycopg.AsyncConnection[DictRow].connect(
            self._url, autocommit=True, row_factory=dict_row
        ) as connection:
            for _ in range(CLAIM_ATTEMPTS):
                if await _ask(connection, "SELECT pg_try_advisory_lock(%s, hashtext(%s))", run):
                    break
                await asyncio.sleep(CLAIM_PAUSE)
            else:
                raise InputError(f"run {run} is being worked on by another process")
            try:
                yield
            finally:
                await _ask(connection, "SELECT pg_advisory_unlock(%s, hashtext(%s))", run)

    async def claimed(self, run: str) -> bool:
        """Return whether some living process holds the run."""
        async with self._pool.connection() as connection:
            if not await _ask(connection, "SELECT pg_try_advisory_lock(%s, hashtext(%s))", run):
                return True
            await _ask(connection, "SELECT pg_advisory_unlock(%s, hashtext(%s))", run)
            return False


async def _ask(connection: psycopg.AsyncConnection[DictRow], sql: str, run: str) -> bool:
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(sql.encode(), (_LOCK_SPACE, run))
    row = await cursor.fetchone()
    return bool(row and row[0])
