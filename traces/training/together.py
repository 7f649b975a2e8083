"""Work that many runs ask for at about the same time, done in one go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_PAUSE = 0.02
"""Seconds without another question after which the work begins."""


class Together(Generic[Asked, Answer]):
    """Collects questions until no more come, and answers them at once."""

    def __init__(self, work: Callable[[list[Asked]], Awaitable[list[Answer]]]) -> None:
        """Take what answers a list of questions, in its order."""
        self._work = work
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, asked: Asked) -> Answer:
        """Return the answer to a question; raises what the work raised."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._until_quiet())
        return await future

    async def _until_quiet(self) -> None:
        while self._waiting:
            seen = 0
            while seen != len(self._waiting):
                seen = len(self._waiting)
                await asyncio.sleep(_PAUSE)
            batch, self._waiting = self._waiting, []
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work([asked for asked, _ in batch])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
