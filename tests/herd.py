"""Processes that open a store at the same moment: `python -m tests.herd URL CHILDREN`."""

import asyncio
import os
import sys

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.rows import list_runs


async def visit(url: str) -> None:
    """Open the store and read from it."""
    async with open_store(url) as store:
        await list_runs(store)


def main(url: str, count: int) -> int:
    """Let so many children go at once; return 0 if all of them succeed."""
    if url.startswith("postgresql"):
        # Else each child would import it, and they would not be at the same moment any more.
        from opencodeinterpreter.graph.store import postgres  # noqa: F401
    gate, latch = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            os.close(latch)
            os.read(gate, 1)
            asyncio.run(visit(url))
            os._exit(0)
        children.append(child)
    os.close(latch)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
