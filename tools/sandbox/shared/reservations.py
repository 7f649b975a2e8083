"""A fixed number of slots; a caller that needs several waits for all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opencodeinterpreter.tools.errors import SandboxError


class Reservations:
    """Reservations of a sandbox's contexts."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def reserve(self, count: int) -> AsyncIterator[None]:
        """Hold `count` slots; raises SandboxError if there are fewer in all."""
        if count > self._most:
            raise SandboxError(
                f"{count} contexts are needed at once, but this sandbox keeps only {self._most}: "
                "open it with more `contexts`"
            )
        taken = 0
        try:
            # One caller at a time: two that each hold a part would wait for each other forever.
            async with self._turn:
                while taken < count:
                    await self._free.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self._free.release()
