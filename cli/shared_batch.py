"""A batch in a shared store: its rows, this process's part of the work, progress of all."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from opencodeinterpreter.cli.progress import tasks_bar
from opencodeinterpreter.cli.ray_crew import Duty, open_crew
from opencodeinterpreter.graph.batch import Finished, Job
from opencodeinterpreter.graph.shared import Worker, Working, ends, stored_jobs
from opencodeinterpreter.graph.store.jobs import (
    Standing,
    StoredBatch,
    add_batch,
    ask_again,
    standing,
)
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable

_LOOK_SECONDS = 2.0
_LINE_SECONDS = 30.0
"""How often a line is written where there is no terminal."""


def tell(line: str) -> None:
    """Write a line about shared work to stderr."""
    print(printable(" ".join(line.split())), file=sys.stderr, flush=True)


def check_ray(address: str | None, store: str | None) -> None:
    """Raise InputError if a Ray cluster is to work without a store that its nodes reach."""
    if address is not None and not (store or "").startswith("postgres"):
        raise InputError("--ray needs a store that all nodes reach: --store postgresql://…")


@dataclass(frozen=True)
class Shared:
    """A batch of a shared store."""

    url: str
    name: str
    settings: Settings

    working: Working
    ray: str | None = None
    """The address of the Ray cluster whose nodes work, in this process's stead."""

    async def run(self, jobs: Iterable[Job]) -> dict[str, Finished]:
        """Add the jobs to the store, work on them until all have ended, return the results.

        Jobs that ended with a problem before are done again, once.
        """
        if self.ray is not None:
            duty = Duty(self.url, self._batch, self.working)
            async with open_crew(self.ray, duty, tell) as crew:
                return await self._watch(await self._add(jobs), crew.see_through)
        worker = await self._add(jobs)
        return await self._watch(
            worker, lambda store: worker.work_on(store, self._batch, lambda line: None)
        )

    @property
    def _batch(self) -> StoredBatch:
        return StoredBatch(self.name, self.settings.model_dump_json(), self.working.plan.deadline)

    async def _add(self, jobs: Iterable[Job]) -> Worker:
        rows = stored_jobs(self.name, jobs)
        worker = Worker(self.url, self.working, tell)

        async def begin(store: Store) -> None:
            await add_batch(store, self._batch, rows)
            await ask_again(store, self.name, {row.key for row in rows})

        await worker.keep_open(begin)
        return worker

    async def _watch(
        self, worker: Worker, work: Callable[[Store], Awaitable[None]]
    ) -> dict[str, Finished]:
        async def act(store: Store) -> dict[str, Finished]:
            showing = asyncio.create_task(self._show(store))
            try:
                await work(store)
            finally:
                showing.cancel()
                await asyncio.wait([showing])
            return await ends(store, self.name)

        return await worker.keep_open(act)

    async def _show(self, store: Store) -> None:
        with tasks_bar() as bar:
            line, told = bar.add_task("", total=None, counts=""), time.monotonic()
            while True:
                with suppress(*store.failures):  # The work itself tells of them.
                    now = await standing(store, self.name)
                    bar.update(line, total=now.total, completed=now.ended, counts=_words(now))
                    if not bar.console.is_terminal and time.monotonic() - told > _LINE_SECONDS:
                        told = time.monotonic()
                        tell(f"{now.ended} of {now.total} tasks, {_words(now)}")
                await asyncio.sleep(_LOOK_SECONDS)


def _words(now: Standing) -> str:
    problems = f", {now.problems} with a problem" if now.problems else ""
    oldest = f", {now.oldest} since {now.since[11:19]} UTC" if now.oldest else ""
    return f"{now.working} worked on{oldest}{problems}"
