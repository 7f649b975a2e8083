"""Open a store by its URL.

A path (or `sqlite:///path`) is an SQLite file, `postgresql://…` a PostgreSQL database (extra
`postgres`). Savers get a serializer that loads plain JSON only, since the default one imports and
calls whatever a checkpoint names (CVE-2026-28277).
"""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from opencodeinterpreter.graph.store.protocol import LEASE_SECONDS, Store, store_failures
from opencodeinterpreter.graph.store.sqlite import open_sqlite
from opencodeinterpreter.tools.errors import InputError


@asynccontextmanager
async def open_store(url: str, lease: float = LEASE_SECONDS) -> AsyncIterator[Store]:
    """Open the store that `url` names; an SQLite file is created if it is missing.

    In PostgreSQL, another process may take over this one's runs after `lease` silent seconds.
    Raises InputError if it is corrupt, locked, of another version, or not writable, and StoreError
    if it fails later.
    """
    async with _kind(url, lease) as store:
        with store_failures(store):
            yield store


def _kind(url: str, lease: float) -> AbstractAsyncContextManager[Store]:
    scheme, mark, _ = url.removeprefix("sqlite:///").partition("://")
    if not mark:
        return open_sqlite(Path(os.path.expanduser(scheme)))  # noqa: PTH111 - Path's own raises
    if scheme not in ("postgresql", "postgres"):
        raise InputError(f"store {scheme}://…: name an SQLite file or a postgresql:// URL")
    try:
        urlsplit(url)
    except ValueError as error:
        raise InputError(f"the store's URL cannot be read: {error}") from None
    if find_spec("psycopg") is None:
        raise InputError(
            "a PostgreSQL store needs the extra 'postgres': "
            "pip install 'opencodeinterpreter[postgres]'"
        )
    from opencodeinterpreter.graph.store.postgres import open_postgres

    return open_postgres(url, lease)
