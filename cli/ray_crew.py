"""A batch of a shared store on a Ray cluster: a worker on each node.

Ray says which nodes there are, puts an actor on each and starts it again when its process dies.
The actor takes its jobs from the store, as every other worker does, so Ray hands out no task and
keeps no result: what a call to it may lose or repeat does not matter.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.ray_cluster import Cluster, open_cluster, told_of
from opencodeinterpreter.graph.shared import POLL_SECONDS, Told, Worker, Working, read_settings
from opencodeinterpreter.graph.store.jobs import StoredBatch, jobs_left
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.tracing import tracing_if_asked
from opencodeinterpreter.tools.errors import ClusterError, OpenCodeInterpreterError

_GIVE_BACK_SECONDS = 15.0
"""How long actors have to give their runs back; then they are killed, which gives them back too."""


@dataclass(frozen=True)
class Duty:
    """What each actor of a batch is told."""

    store: str
    """The URL of the store."""
    batch: StoredBatch
    working: Working


class Member:
    """An actor: the worker of one node."""

    async def work(self, duty: Duty) -> str:
        """Work until all jobs of the batch have ended; return why this node cannot go on, or ''."""
        worker = Worker(duty.store, duty.working, _log)
        try:
            with tracing_if_asked():
                await fetch_named(read_settings(duty.batch).models.values())
                await worker.keep_open(lambda store: worker.work_on(store, duty.batch, _log))
        except OpenCodeInterpreterError as error:
            return str(error)
        return ""


def _log(line: str) -> None:
    """Write a line to the log that Ray keeps of an actor."""
    print(line, flush=True)


@dataclass(frozen=True)
class _Post:
    actor: Any
    call: Any
    """Ray's reference to what the actor's work will return."""
    end: asyncio.Future[str]


class Crew:
    """The actors of a batch, and the nodes that they are on."""

    def __init__(self, cluster: Cluster, duty: Duty, told: Told) -> None:
        """Start nothing yet."""
        self._cluster = cluster
        self._duty = duty
        self._told = told
        self._posts: dict[str, _Post] = {}
        self._unfit: dict[str, str] = {}
        """By node, why it cannot go on."""

    async def see_through(self, store: Store) -> None:
        """Wait until all jobs of the batch have ended; a node that joins meanwhile works too.

        Raises ClusterError if no node can go on.
        """
        while await jobs_left(store, self._duty.batch.name):
            self._look_round()
            await asyncio.sleep(POLL_SECONDS)

    async def dismiss(self) -> None:
        """Let all actors give their runs back, and end them."""
        posts = self._posts.values()
        for post in posts:
            self._cluster.cancel(post.call)
        ends = asyncio.gather(*(post.end for post in posts), return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(ends, _GIVE_BACK_SECONDS)
        for post in posts:
            self._cluster.kill(post.actor)

    def _look_round(self) -> None:
        nodes = self._cluster.nodes()
        for node in [node for node, post in self._posts.items() if post.end.done()]:
            problem = _problem(self._posts.pop(node).end)
            if problem:
                self._unfit[node] = problem
                self._told(f"Ray node {node[:8]} works no more: {problem}")
        for node in nodes.keys() - self._posts.keys() - self._unfit.keys():
            self._posts[node] = self._post(node)
            self._told(f"Ray node {node[:8]} at {nodes[node]} works")
        if not self._posts:
            told = "; ".join(sorted(set(self._unfit.values())))
            raise ClusterError(f"no node of the Ray cluster can go on: {told}")

    def _post(self, node: str) -> _Post:
        actor = self._cluster.actor(Member, node)
        call = actor.work.remote(self._duty)
        return _Post(actor, call, asyncio.wrap_future(call.future()))


def _problem(end: asyncio.Future[str]) -> str:
    """Return why an actor's work ended before its batch, or ''."""
    error = end.exception()
    return end.result() if error is None else told_of(error)


@asynccontextmanager
async def open_crew(address: str, duty: Duty, told: Told) -> AsyncIterator[Crew]:
    """Connect to a Ray cluster and yield a crew.

    At the end, at Ctrl-C and at SIGTERM the actors give their runs back. Raises as `open_cluster`.
    """
    async with open_cluster(address) as cluster:
        crew = Crew(cluster, duty, told)
        try:
            yield crew
        finally:
            await crew.dismiss()
