"""A thousand runs at once: their work is linear, and no step of any holds up the event loop.

Python's collector of cyclic garbage is off meanwhile: a full collection takes the longer, the more
the program holds (about a second with a thousand runs), and is no step of ours.
"""

import asyncio
import gc
import time
from collections.abc import Coroutine, Generator
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.testing import ScriptedModel
from tests.scripts import THREE_TURNS, World

FEW, MANY = 100, 1_000
BLOCKED = 0.05
"""Seconds of the loop's own processor time that one step of a task may take."""

pytestmark = pytest.mark.slow


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that tells how long each of its steps takes, in the thread's processor time."""

    def __init__(self, inner: Coroutine[Any, Any, Any], steps: list[float]) -> None:
        self._inner = inner
        self._steps = steps

    def send(self, value: Any) -> Any:
        began = time.thread_time()
        try:
            return self._inner.send(value)
        finally:
            self._steps.append(time.thread_time() - began)

    def throw(self, *error: Any) -> Any:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError


async def seconds_of(folder: Path, count: int, steps: list[float]) -> float:
    """Return the processor time of so many stored runs of three turns at once."""

    def factory(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any],
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        return asyncio.Task(Stepped(coroutine, steps), loop=loop, context=context)

    async with open_store(str(folder / f"{count}.sqlite")) as store:
        await World().run(store)  # What is imported and computed once.
        worlds = [World(coder=ScriptedModel(THREE_TURNS)) for _ in range(count)]
        loop = asyncio.get_running_loop()
        counting: Any = factory
        loop.set_task_factory(counting)
        gc.disable()
        began = time.process_time()
        try:
            runs = await asyncio.gather(*(world.run(store) for world in worlds))
        finally:
            gc.enable()
            loop.set_task_factory(None)
        took = time.process_time() - began
    assert [len(run.record.turns) for run in runs] == [3] * count
    return took


async def test_the_work_of_many_runs_at_once_is_linear_and_blocks_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[float] = []
    few = await seconds_of(tmp_path, FEW, steps)
    many = await seconds_of(tmp_path, MANY, steps)
    with capsys.disabled():
        print(
            f"\n{FEW} runs {few:.1f} s, {MANY} runs {many:.1f} s ({many / few:.1f} times); "
            f"the longest step {max(steps) * 1000:.0f} ms"
        )
    assert many < 1.5 * few * MANY / FEW
    assert max(steps) < BLOCKED
