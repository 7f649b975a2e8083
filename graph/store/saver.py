"""LangGraph's saver of a store, which also lists runs that other programs make with it.

A run that `create_run` made has a row of its own. A run of a graph that a host or a LangGraph
server drives has none; its row is made from its first input and kept up from its writes.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from opencodeinterpreter.tools.errors import InputError

T = TypeVar("T")


class Listing(Protocol):
    """Lists the runs of hosts."""

    async def begun(self, run: str, given: Mapping[str, Any]) -> None:
        """A thread has a new input."""
        ...

    async def wrote(self, run: str, writes: Sequence[tuple[str, Any]]) -> None:
        """A node of a thread, or an edit, has written to channels."""
        ...

    async def deleted(self, run: str) -> None:
        """A thread was deleted."""
        ...


class ListingSaver(BaseCheckpointSaver[str]):
    """A saver that tells a listing what it saves."""

    def __init__(self, inner: BaseCheckpointSaver[str], listing: Listing) -> None:
        """Save with `inner`."""
        super().__init__(serde=inner.serde)
        self.inner = inner
        self.listing = listing

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return the version after `current`."""
        return self.inner.get_next_version(current, channel)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint; raises InputError for one that lies under the id of another."""
        found = await self.inner.aget_tuple(config)
        if found and found.checkpoint["id"] != found.config["configurable"]["checkpoint_id"]:
            raise InputError("it is another checkpoint than its id says")
        return found

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        async for each in self.inner.alist(config, filter=filter, before=before, limit=limit):
            yield each

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the writes from which channels are computed."""
        return await self.inner.aget_delta_channel_history(config=config, channels=channels)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        saved = await whole(self.inner.aput(config, checkpoint, metadata, new_versions))
        given = checkpoint["channel_values"].get("__start__")
        if isinstance(given, Mapping) and _of_host(config, metadata):
            await self.listing.begun(_thread(config), given)
        return saved

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a node wrote."""
        await whole(self.inner.aput_writes(config, writes, task_id, task_path))
        if _of_host(config, config.get("metadata", {})):
            await self.listing.wrote(_thread(config), writes)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread, and its row."""
        await whole(self.inner.adelete_thread(thread_id))
        await self.listing.deleted(thread_id)


async def whole(write: Coroutine[Any, Any, T]) -> T:
    """Await a write, to its end also if this is cancelled.

    LangGraph's saver of SQLite leaves its transaction open where it is cancelled before it
    commits, which blocks all other writers, this process's own included. Whoever is cancelled in a
    scope of anyio, as each call of an MCP server, is cancelled again at every await that follows;
    the write then ends by itself.
    """
    writing = asyncio.ensure_future(write)
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


def _thread(config: RunnableConfig) -> str:
    return str(config.get("configurable", {})["thread_id"])


def _of_host(config: RunnableConfig, metadata: Mapping[str, Any]) -> bool:
    """Return whether a host drives the run: not `advance`, and not as a subgraph."""
    return "run_title" not in metadata and not config.get("configurable", {}).get("checkpoint_ns")
