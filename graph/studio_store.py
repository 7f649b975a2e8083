"""Our store as a LangGraph server's checkpointer, and its runs as the server's threads.

Runs of the command are seen in Studio, and runs and forks made there are seen by the command.
OPENCODEINTERPRETER_STORE names the store, as for the command.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import LangGraphError
from starlette.applications import Starlette

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.saver import ListingSaver
from opencodeinterpreter.graph.store.usual import default_store
from opencodeinterpreter.nodes.node import log

LOOK_SECONDS = 1.0
"""How often the store is asked for new runs."""


def _url() -> str:
    return os.environ.get("OPENCODEINTERPRETER_STORE") or default_store()


@asynccontextmanager
async def make() -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Open the store; a server does so once for each event loop."""
    async with open_store(_url()) as store:
        assert isinstance(store.saver, ListingSaver)
        saver = ServerSaver(store.saver)
        yield saver
        await asyncio.gather(*saver.deleting)


class ServerSaver(ListingSaver):
    """Deletes threads beside its caller.

    The development server looks up a thread's place in a list, awaits us, and then removes what is
    at that place: if we paused, that could be another thread.
    """

    def __init__(self, saver: ListingSaver) -> None:
        """Save as `saver` does."""
        super().__init__(saver.inner, saver.listing)
        self.deleting: set[asyncio.Task[None]] = set()

    async def adelete_thread(self, thread_id: str) -> None:
        """Start to delete a thread."""
        task = asyncio.create_task(super().adelete_thread(thread_id))
        self.deleting.add(task)
        task.add_done_callback(self.deleting.discard)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Keep the store's runs known to the server while it is up."""
    registering = asyncio.create_task(_register_runs())
    try:
        yield
    finally:
        registering.cancel()
        with suppress(asyncio.CancelledError):
            await registering


app = Starlette(lifespan=lifespan)
"""Adds no routes to the server."""


async def _register_runs() -> None:
    """Make a thread of each run in the store: at the start of all, then of the command's new ones.

    The server has the threads of its own runs, and may be deleting them.
    """
    client = get_client()
    known: set[str] = set()
    starting = True
    async with open_store(_url()) as store:
        expected: tuple[type[Exception], ...]
        expected = (httpx.HTTPError, LangGraphError, *store.failures)
        while True:
            try:
                found = await store.execute("SELECT id FROM opencodeinterpreter_runs")
                for (run,) in found:
                    if run not in known:
                        await _register(client, store, run, anyones=starting)
                        known.add(run)
                starting = False
            except expected as error:
                log.info("a run is not yet a thread of the server", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)


async def _register(client: LangGraphClient, store: Store, run: str, *, anyones: bool) -> None:
    saved = await store.saver.aget_tuple({"configurable": {"thread_id": run}})
    about: dict[str, Any] = dict(saved.metadata) if saved else {}
    if anyones or "run_title" in about:
        graph = str(about.get("graph_id", "opencodeinterpreter"))
        await client.threads.create(thread_id=run, graph_id=graph, if_exists="do_nothing")
