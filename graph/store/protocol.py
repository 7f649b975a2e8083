"""What a store of runs offers, and what every kind of store holds."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from opencodeinterpreter.tools.errors import InputError, StoreError

STORE_VERSION = 1
CLAIM_ATTEMPTS, CLAIM_PAUSE = 10, 0.05
"""How often a run that is held is tried, and the seconds between: a look at it holds it briefly."""
_SECRET = ("password", "passfile", "sslpassword")


def without_password(url: str) -> str:
    """Return a store's URL or path as it may be shown."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    open_part = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in _SECRET]
    netloc = user.partition(":")[0] + at + host
    return parts._replace(netloc=netloc, query="&".join(open_part)).geturl()


@contextmanager
def store_failures(store: "Store") -> Iterator[None]:
    """Turn what the database raises into a StoreError, or InputError for a corrupt one."""
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
        """What the database raises when it fails."""
        ...

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own and return its rows; `?` marks values."""
        ...

    def claim(self, run: str) -> AbstractAsyncContextManager[None]:
        """Hold a run for this process; raises InputError while another one holds it."""
        ...

    async def claimed(self, run: str) -> bool:
        """Return whether some living process holds the run."""
        ...


def strict_serializer() -> JsonPlusSerializer:
    """Return a serializer that revives plain JSON and nothing else."""
    return JsonPlusSerializer(allowed_msgpack_modules=None)


async def prepare(store: Store, name: str) -> None:
    """Create our tables in a new store; raises InputError for a store of another version."""
    await store.execute("CREATE TABLE IF NOT EXISTS opencodeinterpreter_store (version INTEGER)")
    found = await store.execute("SELECT version FROM opencodeinterpreter_store")
    if not found:
        await store.execute("INSERT INTO opencodeinterpreter_store VALUES (?)", [STORE_VERSION])
    elif found[0][0] != STORE_VERSION:
        raise InputError(
            f"store {name} has version {found[0][0]} and this release reads version "
            f"{STORE_VERSION}; use the release that wrote it, or name another store"
        )
    await store.execute(
        "CREATE TABLE IF NOT EXISTS opencodeinterpreter_runs (id TEXT PRIMARY KEY, parent TEXT, "
        "parent_turn INTEGER, title TEXT, status TEXT, turns INTEGER, tokens INTEGER, "
        "created TEXT, updated TEXT)"
    )
