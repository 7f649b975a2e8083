"""A batch of a shared store on a Ray cluster: a worker on each node.

Ray says which nodes there are, puts an actor on each and starts it again when its process dies.
The actor takes its jobs from the store, as every other worker does, so Ray hands out no task and
keeps no result: what a call to it may lose or repeat does not matter.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from typing import Any

from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.terminating import cancelled_by_sigterm
from opencodeinterpreter.graph.shared import POLL_SECONDS, Told, Worker, Working, read_settings
from opencodeinterpreter.graph.store.jobs import StoredBatch, jobs_left
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.tracing import tracing_if_asked
from opencodeinterpreter.tools.errors import ClusterError, InputError, OpenCodeInterpreterError

_CONNECT_SECONDS = 10.0
"""Ray itself tries for longer, and writes warnings."""
_GIVE_BACK_SECONDS = 15.0
"""How long actors have to give their runs back; then they are killed, which gives them back too."""
_ALL = -1
_TAKEN_FOR_THE_HOST = ("127.0.0.1:", "localhost:")
_LOOPBACK = (
    "Ray takes this for the host's address in the network: start the head with "
    "--node-ip-address=127.0.0.2, or name the address that it listens at"
)


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

    def __init__(self, ray: Any, duty: Duty, told: Told) -> None:
        """Start nothing yet."""
        self._ray = ray
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
            self._ray.cancel(post.call)
        ends = asyncio.gather(*(post.end for post in posts), return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(ends, _GIVE_BACK_SECONDS)
        for post in posts:
            self._ray.kill(post.actor)

    def _look_round(self) -> None:
        nodes = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
        for node in [node for node, post in self._posts.items() if post.end.done()]:
            problem = _problem(self._posts.pop(node).end)
            if problem:
                self._unfit[node] = problem
                self._told(f"Ray node {node[:8]} works no more: {problem}")
        for node in nodes.keys() - self._posts.keys() - self._unfit.keys():
            self._posts[node] = self._post(node)
            self._told(f"Ray node {node[:8]} at {nodes[node]['NodeManagerAddress']} works")
        if not self._posts:
            told = "; ".join(sorted(set(self._unfit.values())))
            raise ClusterError(f"no node of the Ray cluster can go on: {told}")

    def _post(self, node: str) -> _Post:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = (
            self._ray.remote(Member)
            .options(
                num_cpus=0,
                max_restarts=_ALL,
                max_task_retries=_ALL,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            )
            .remote()
        )
        call = actor.work.remote(self._duty)
        return _Post(actor, call, asyncio.wrap_future(call.future()))


def _problem(end: asyncio.Future[str]) -> str:
    """Return why an actor's work ended before its batch, or ''."""
    error = end.exception()
    return end.result() if error is None else str(error).strip().splitlines()[-1]


@asynccontextmanager
async def open_crew(address: str, duty: Duty, told: Told) -> AsyncIterator[Crew]:
    """Connect to a Ray cluster and yield a crew; `local` starts a cluster on this machine alone.

    At the end, at Ctrl-C and at SIGTERM the actors give their runs back. Raises InputError if Ray
    is not installed or the address wrong, and ClusterError if the cluster cannot be reached.
    """
    ray = await _connected(address)
    # Ray prints what failed on any node, with stacks of its own, where results go.
    with redirect_stdout(StringIO()):
        try:
            with cancelled_by_sigterm():
                crew = Crew(ray, duty, told)
                try:
                    yield crew
                finally:
                    await crew.dismiss()
        finally:
            ray.shutdown()


async def _connected(address: str) -> Any:
    if find_spec("ray") is None:
        raise InputError("--ray needs the extra 'ray': pip install 'opencodeinterpreter[ray]'")
    if "://" in address:
        raise InputError(
            f"--ray {address}: name auto, local, or HOST:PORT, and start this on a node of the "
            "cluster; Ray's client is not used"
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address != "local":
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")  # One attempt, of 40 seconds.
    import ray

    try:
        await _probe(address)
        ray.init(
            address, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL
        )
    except ValueError as error:
        raise InputError(f"--ray {address}: {error}") from None
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        told = str(error) or "no answer"
        if address.startswith(_TAKEN_FOR_THE_HOST):
            told += f"; {_LOOPBACK}"
        raise ClusterError(f"cannot use the Ray cluster at {address}: {told}") from None
    return ray


async def _probe(address: str) -> None:
    """Raise OSError if nobody listens at an address."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        opening = asyncio.open_connection(host.strip("[]"), int(port))
        _, writer = await asyncio.wait_for(opening, _CONNECT_SECONDS)
        writer.close()
