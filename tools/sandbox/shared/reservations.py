"""A number of places, of which whoever needs several gets them all or waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opencodeinterpreter.tools.errors import SandboxError


class Reservations:
    """The contexts of a sandbox, as far as they are reserved."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def reserve(self, count: int) -> AsyncIterator[None]:
        """Hold `count` places; raises SandboxError where there are fewer in all."""
        if count > self._most:
            raise SandboxError(
                f"{count} contexts are needed at once, and this sandbox keeps {self._most}: "
                "open it with more `contexts`"
            )
        taken = 0
        try:
            # One at a time: two that have each got a part would wait for each other.
            async with self._turn:
                while taken < count:
                    await self._free.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self._free.release()
