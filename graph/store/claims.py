"""Claims of runs in PostgreSQL: who works on a run, and the fence that keeps all others from it.

A process that claims runs is a *holder*. Two things show that it lives: an advisory lock, which
the server releases as soon as its session ends, and a lease, which it renews; a process that is
frozen, or a host that is cut off, keeps its lock for long but does not renew its lease. A run
belongs to the holder that its row of claims names, until the holder gives it back or is dead and
another takes it. Every write to a claimed run locks that row in its own transaction, so a holder
that has lost a run cannot write to it, whenever it wakes up.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from opencodeinterpreter.graph.store.serializer import StrictSerializer
from opencodeinterpreter.tools.errors import ClaimLostError

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

FAILURES: tuple[type[Exception], ...] = (psycopg.Error, PoolTimeout)
_RENEWALS = 3
"""How often a lease is renewed in its time."""
_RECONNECT_SECONDS = 0.2
_GIVE_BACK_SECONDS = 2.0

TABLES = (
    "CREATE TABLE IF NOT EXISTS opencodeinterpreter_holders "
    "(holder BIGINT PRIMARY KEY, name TEXT, expires TIMESTAMPTZ)",
    "CREATE TABLE IF NOT EXISTS opencodeinterpreter_claims (run TEXT PRIMARY KEY, holder BIGINT)",
)


@dataclass(frozen=True)
class Holder:
    """A process, as one open store, that claims runs."""

    key: int
    """The key of its advisory lock: 64 bits, at random."""
    name: str
    """Its host and process, for people."""
    lease: float

    @property
    def session(self) -> str:
        """The name of its sessions at the server, by which others end them."""
        return f"opencodeinterpreter {self.key}"


def new_holder(lease: float) -> Holder:
    """Return a holder that no other process has."""
    key = int.from_bytes(secrets.token_bytes(8), signed=True)
    return Holder(key, f"{socket.gethostname()}:{os.getpid()}", lease)


class Claims:
    """The runs that this process has claimed."""

    def __init__(self, pool: Pool, holder: Holder) -> None:
        """Claim nothing yet; `close` ends what the first claim starts."""
        self._pool = pool
        self._holder = holder
        self._held: set[str] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._kept = asyncio.Event()

    async def take(self, run: str) -> bool:
        """Claim a run; return whether it was free, or its holder dead."""
        if run in self._held:
            return False
        self._held.add(run)
        taken = False
        try:
            await self._be_alive()
            async with self._pool.connection() as connection:
                # A dead holder that froze in a transaction would otherwise block the next line.
                await connection.execute(_END_DEAD, (run,))
                done = await connection.execute(_TAKE, (run, self._holder.key))
                taken = done.rowcount == 1
        finally:
            if not taken:
                self._held.remove(run)
        return taken

    async def release(self, run: str) -> None:
        """Give a claimed run back; one that was lost stays with whoever took it."""
        self._held.remove(run)
        async with self._pool.connection() as connection:
            await connection.execute(_RELEASE, (run, self._holder.key))

    @asynccontextmanager
    async def writing(self, run: str) -> AsyncIterator[Connection]:
        """Yield a connection in a transaction that writes to a run.

        Raises ClaimLostError if this process has claimed the run and another has taken it over;
        until the transaction ends, none can.
        """
        async with self._pool.connection() as connection, connection.transaction():
            if run in self._held:
                found = await connection.execute(_HOLD, (run, self._holder.key))
                if await found.fetchone() is None:
                    raise ClaimLostError(
                        f"run {run} was taken over by another process, because this one was silent "
                        f"for {self._holder.lease:g} s or lost its connection; nothing more is "
                        "written here, and the run goes on there"
                    )
            yield connection

    async def give_back(self) -> None:
        """Give all runs back, also those whose claim or release was cancelled half-way.

        Without a connection they stay claimed until the lease ends.
        """
        if self._keeper is None:
            return
        with suppress(*FAILURES):
            async with self._pool.connection(_GIVE_BACK_SECONDS) as connection:
                await connection.execute(_TIDY, (self._holder.key, []))

    async def close(self) -> None:
        """Stop renewing the lease."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def _be_alive(self) -> None:
        """Wait until other processes see that this one lives."""
        self._keeper = self._keeper or asyncio.create_task(self._keep())
        try:
            await asyncio.wait_for(self._kept.wait(), self._pool.timeout)
        except TimeoutError:
            told = f"no claim can be made: no connection within {self._pool.timeout:g} s"
            raise psycopg.OperationalError(told) from None

    async def _keep(self) -> None:
        while True:
            with suppress(*FAILURES):
                await self._keep_with(await self._pool.getconn())
            self._kept.clear()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _keep_with(self, connection: Connection) -> None:
        """Hold the lock and renew the lease until the connection breaks."""
        key, name, lease = self._holder.key, self._holder.name, self._holder.lease
        try:
            await connection.execute("SELECT pg_advisory_lock(%s)", (key,))
            await connection.execute(_FORGET)
            while True:
                await connection.execute(_RENEW, (key, name, lease))
                # Giving a run back may have failed with its connection.
                await connection.execute(_TIDY, (key, list(self._held)))
                self._kept.set()
                # Nothing is listened to: this ends at once when the connection breaks.
                async for _ in connection.notifies(timeout=max(lease, 1.0) / _RENEWALS):
                    pass
        finally:
            await connection.close()
            await self._pool.putconn(connection)


class FencedSaver(AsyncPostgresSaver):
    """LangGraph's saver, with each write in a transaction that holds this process's claim."""

    def __init__(self, pool: Pool, claims: Claims) -> None:
        """Read through `pool`, write through `claims`."""
        super().__init__(pool, serde=StrictSerializer())
        self._claims = claims

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        async with self._writing(_thread(config)) as saver:
            return await saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a node wrote."""
        async with self._writing(_thread(config)) as saver:
            await saver.aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        async with self._writing(thread_id) as saver:
            await saver.adelete_thread(thread_id)

    @asynccontextmanager
    async def _writing(self, run: str) -> AsyncIterator[AsyncPostgresSaver]:
        async with self._claims.writing(run) as connection:
            yield AsyncPostgresSaver(connection, serde=self.serde)


def _thread(config: RunnableConfig) -> str:
    return str(config.get("configurable", {})["thread_id"])


_ALIVE = """
EXISTS (
    SELECT FROM opencodeinterpreter_holders AS known
    WHERE known.holder = claim.holder AND known.expires > clock_timestamp()
)
AND EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = claim.holder
)
"""

CLAIMED = f"SELECT run FROM opencodeinterpreter_claims AS claim WHERE run = ANY(?) AND {_ALIVE}"
"""Finds the claims of runs by living holders."""

_END_DEAD = f"""
SELECT pg_terminate_backend(session.pid)
FROM opencodeinterpreter_claims AS claim
JOIN pg_stat_activity AS session
ON session.application_name = 'opencodeinterpreter ' || claim.holder
WHERE run = %s AND NOT ({_ALIVE})
""".encode()

_TAKE = f"""
INSERT INTO opencodeinterpreter_claims AS claim (run, holder) VALUES (%s, %s)
ON CONFLICT (run) DO UPDATE SET holder = excluded.holder
WHERE claim.holder = excluded.holder OR NOT ({_ALIVE})
""".encode()

_HOLD = b"SELECT 1 FROM opencodeinterpreter_claims WHERE run = %s AND holder = %s FOR SHARE"
_RELEASE = b"DELETE FROM opencodeinterpreter_claims WHERE run = %s AND holder = %s"
_TIDY = b"DELETE FROM opencodeinterpreter_claims WHERE holder = %s AND NOT run = ANY(%s)"

_RENEW = b"""
INSERT INTO opencodeinterpreter_holders (holder, name, expires)
VALUES (%s, %s, clock_timestamp() + %s * interval '1 second')
ON CONFLICT (holder) DO UPDATE SET expires = excluded.expires
"""
_FORGET = b"""
DELETE FROM opencodeinterpreter_holders WHERE expires < clock_timestamp() - interval '1 day'
"""
