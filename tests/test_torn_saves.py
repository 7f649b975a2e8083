"""A run that is stopped between any two calls of the saver resumes and goes the same way."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from opencodeinterpreter.graph.runs import advance, create_run, open_run
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.records import Record
from tests.scripts import TASK, World, summary

CALLS = 26
"""More than the saver is called in a run of three turns."""


class StoppedError(BaseException):
    """Stands for a kill: nothing of ours and nothing of LangGraph's handles it."""


class StoppingSaver:
    """Lets a saver's first `calls` writes through and stops at the next one, before it writes."""

    def __init__(self, saver: Any, calls: int) -> None:
        self._saver = saver
        self._left = calls
        self.stopped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._saver, name)

    def install(self) -> None:
        """Put this in the way of the saver's writes."""
        for name in ("aput", "aput_writes"):
            setattr(self._saver, name, self._counted(getattr(self._saver, name)))

    def _counted(self, write: Any) -> Any:
        async def counted(*given: Any, **named: Any) -> Any:
            if self._left == 0:
                self.stopped = True
                raise StoppedError
            self._left -= 1
            return await write(*given, **named)

        return counted


async def stopped_after(path: Path, calls: int) -> tuple[bool, Record]:
    """Stop a run after `calls` writes, resume it, and return whether it was stopped."""
    async with open_store(str(path)) as store:
        row = await create_run(store, task_seed(TASK, World().settings()))
        stopping = StoppingSaver(store.saver, calls)
        stopping.install()
        with contextlib.suppress(StoppedError):
            await advance(store, World().graph(store), row)
    async with open_store(str(path)) as store:
        return stopping.stopped, await resumed(store, row.id)


async def resumed(store: Store, run: str) -> Record:
    row = (await open_run(store, run)).row
    return (await advance(store, World().graph(store), row)).record


@pytest.mark.parametrize("calls", range(CALLS))
async def test_a_run_stopped_at_any_write_resumes(tmp_path: Path, calls: int) -> None:
    _, record = await stopped_after(tmp_path / "runs.sqlite", calls)
    assert summary(record) == summary(await World().solve())


async def test_the_writes_of_a_run_are_all_tried(tmp_path: Path) -> None:
    assert (await stopped_after(tmp_path / "last.sqlite", 5))[0]
    assert not (await stopped_after(tmp_path / "beyond.sqlite", CALLS))[0]
