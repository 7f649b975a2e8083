"""The interface of a store of runs, and what both kinds of store share."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from langgraph.checkpoint.base import BaseCheckpointSaver

from opencodeinterpreter.tools.errors import InputError, StoreError

STORE_VERSION = 2
"""A store of an older version is brought up to this one when it is opened; see `migration`."""
CLAIM_ATTEMPTS, CLAIM_PAUSE = 10, 0.05
"""How often to try to claim a run, and the seconds between: checking a claim takes it briefly."""
LEASE_SECONDS = 30.0
"""After so many seconds of silence, another process may take over what a process has claimed in
PostgreSQL."""
_SECRET = ("password", "passfile", "sslpassword")

_JOBS = (
    "CREATE TABLE IF NOT EXISTS opencodeinterpreter_jobs (batch TEXT, key TEXT, run TEXT, "
    "seed TEXT, ended TEXT, problem TEXT, deaths BIGINT, parent TEXT, parent_turn BIGINT, "
    "PRIMARY KEY (batch, key))",
    "CREATE TABLE IF NOT EXISTS opencodeinterpreter_batches (name TEXT PRIMARY KEY, "
    "settings TEXT, deadline DOUBLE PRECISION, created TEXT)",
    "CREATE INDEX IF NOT EXISTS opencodeinterpreter_open_jobs "
    "ON opencodeinterpreter_jobs (batch, run) WHERE ended IS NULL",
)
"""The tables of shared batches, and what finds an open job among many; see `graph.shared`."""


def without_password(url: str) -> str:
    """Return a store's URL or path without its password."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    open_part = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in _SECRET]
    netloc = user.partition(":")[0] + at + host
    return parts._replace(netloc=netloc, query="&".join(open_part)).geturl()


@contextmanager
def store_failures(store: "Store") -> Iterator[None]:
    """Turn a database's exceptions into StoreError, or InputError if the database is corrupt."""
    try:
        yield
    except store.failures as error:
        if "malformed" in str(error) or "not a database" in str(error):
            cure = "it is corrupt; restore a backup or name another file"
            raise InputError(f"cannot use store {store.name}: {cure}") from error
        raise StoreError(f"{store.name}: {error}; what it held before is safe") from error


class Store(Protocol):
    """An open database of runs."""

    @property
    def name(self) -> str:
        """The path or URL that opens it again, without a password."""
        ...

    @property
    def saver(self) -> BaseCheckpointSaver[str]:
        """LangGraph's saver on the database."""
        ...

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The exceptions that the database raises."""
        ...

    async def execute(
        self, sql: str, values: Sequence[Any] = (), run: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement in its own transaction and return its rows; `?` marks values.

        `run` is the run that it changes. Raises ClaimLostError, and changes nothing, if this
        process claimed that run and another process has taken it over.
        """
        ...

    async def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; none if there is no such table."""
        ...

    def claim(self, run: str) -> AbstractAsyncContextManager[None]:
        """Claim a run for this process; raises BusyError if another process has claimed it."""
        ...

    async def claimed(self, *runs: str) -> set[str]:
        """Return those of the runs that a running process has claimed."""
        ...


async def prepare(store: Store, name: str, upgrade: Callable[[], Awaitable[None]]) -> None:
    """Create our tables in a new store; raises InputError for a store of a newer version.

    `upgrade` brings a store of version 1 up to the present one.
    """
    await store.execute("CREATE TABLE IF NOT EXISTS opencodeinterpreter_store (version INTEGER)")
    found = await store.execute("SELECT version FROM opencodeinterpreter_store")
    if not found:
        # One row, though another process may be opening the new store too.
        await store.execute(
            "INSERT INTO opencodeinterpreter_store SELECT CAST(? AS INTEGER) "
            "WHERE NOT EXISTS (SELECT version FROM opencodeinterpreter_store)",
            [STORE_VERSION],
        )
    elif found[0][0] == 1:
        await _create_runs(store)
        await _check_idle(store, name)
        await upgrade()
    elif found[0][0] != STORE_VERSION:
        raise InputError(
            f"store {name} has version {found[0][0]} and this release reads version "
            f"{STORE_VERSION}; use the release that wrote it, or name another store"
        )
    await _create_runs(store)
    for made in _JOBS:
        await store.execute(made)
    await _add_missing(
        store, "opencodeinterpreter_jobs", {"parent": "TEXT", "parent_turn": "BIGINT"}
    )


async def _create_runs(store: Store) -> None:
    await store.execute(
        "CREATE TABLE IF NOT EXISTS opencodeinterpreter_runs (id TEXT PRIMARY KEY, parent TEXT, "
        "parent_turn BIGINT, title TEXT, status TEXT, turns BIGINT, tokens BIGINT, "
        "created TEXT, updated TEXT, model TEXT, reason TEXT)"
    )
    await _add_missing(store, "opencodeinterpreter_runs", {"model": "TEXT", "reason": "TEXT"})


async def _add_missing(store: Store, table: str, columns: Mapping[str, str]) -> None:
    """Add those columns to a table of an older release that it lacks; `columns` are their types."""
    for column in sorted(columns.keys() - await store.columns(table)):
        # Another process may add it meanwhile. An older release ignores it.
        with suppress(*store.failures):
            await store.execute(f"ALTER TABLE {table} ADD COLUMN {column} {columns[column]}")


async def _check_idle(store: Store, name: str) -> None:
    """Raise InputError if a process works on a run: it would go on writing the old version."""
    running = await store.execute(
        "SELECT id FROM opencodeinterpreter_runs WHERE status = 'running'"
    )
    for (run,) in running:
        if await store.claimed(run):
            raise InputError(
                f"store {name} has version 1 and a process of an older release works on run "
                f"{run[:8]}; let it end, then this release brings the store up to version "
                f"{STORE_VERSION}"
            )
