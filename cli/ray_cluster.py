"""Connect to a Ray cluster, see its nodes, and put actors on them."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from typing import Any

from opencodeinterpreter.cli.terminating import cancelled_by_sigterm
from opencodeinterpreter.tools.errors import ClusterError, InputError

_CONNECT_SECONDS = 10.0
"""Ray itself tries for longer, and writes warnings."""
_ALL = -1
_TAKEN_FOR_THE_HOST = ("127.0.0.1:", "localhost:")
_LOOPBACK = (
    "Ray takes this for the host's address in the network: start the head with "
    "--node-ip-address=127.0.0.2, or name the address that it listens at"
)


class Cluster:
    """A Ray cluster that this process is connected to."""

    def __init__(self, ray: Any) -> None:
        """`ray` is the module."""
        self._ray = ray

    def nodes(self) -> dict[str, str]:
        """Return the addresses of the living nodes, by their ids."""
        alive = (node for node in self._ray.nodes() if node["Alive"])
        return {node["NodeID"]: node["NodeManagerAddress"] for node in alive}

    def actor(self, kind: type, node: str) -> Any:
        """Put an actor on a node; Ray starts it and its calls again when its process dies."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options = self._ray.remote(kind).options(
            num_cpus=0,
            max_restarts=_ALL,
            max_task_retries=_ALL,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        return options.remote()

    def kept(self, value: object) -> Any:
        """Return a reference to a value that calls take instead of it; it is sent once a node."""
        return self._ray.put(value)

    def cancel(self, call: Any) -> None:
        """Cancel a call of an actor."""
        self._ray.cancel(call)

    def kill(self, actor: Any) -> None:
        """End an actor."""
        self._ray.kill(actor)


def told_of(error: BaseException) -> str:
    """Return the last line of an error of Ray; the lines before it are stacks of its own."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


@asynccontextmanager
async def open_cluster(address: str) -> AsyncIterator[Cluster]:
    """Connect to a Ray cluster; `local` starts one on this machine alone, and ends it.

    SIGTERM cancels what runs inside, as Ctrl-C does. Raises InputError if Ray is not installed or
    the address wrong, and ClusterError if the cluster cannot be reached.
    """
    ray = await _connected(address)
    # Ray prints what failed on any node, with stacks of its own, where results go.
    with redirect_stdout(StringIO()):
        try:
            with cancelled_by_sigterm():
                yield Cluster(ray)
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
