"""Work on the batches of a store that several processes share: the loop of `batch` over rows."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import ValidationError

from opencodeinterpreter.graph.batch import (
    Finished,
    Job,
    Plan,
    Postponed,
    run_id,
    work_through,
)
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.runs import open_run, stored_row
from opencodeinterpreter.graph.store.jobs import (
    StoredBatch,
    StoredJob,
    end_job,
    jobs_left,
    open_batch,
    put_back,
    results,
    take_job,
)
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.store.protocol import LEASE_SECONDS, Store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.errors import InputError, StoreError
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName
from opencodeinterpreter.tools.validation import first_problem

T = TypeVar("T")

POLL_SECONDS = 0.5
"""How often a process looks for jobs while others work on all that are left."""
OUTAGE_SECONDS = 120.0
"""How long a process waits for a database that was there and is gone."""

Told = Callable[[str], None]
"""Called with a line about the work's progress."""
OnEnd = Callable[[Finished | Postponed], None]
"""Called with each task that ended, or was left for another process."""
Prepare = Callable[[Settings], Awaitable[None]]
"""Called before work on a batch with its settings, for example to fetch its models."""


@dataclass(frozen=True)
class Working:
    """How a process works on shared batches."""

    plan: Plan
    sandbox: SandboxName = DEFAULT_SANDBOX
    idle: float = 0.0
    """After so many seconds without a batch that is open, the process ends."""
    lease: float = LEASE_SECONDS


class Worker:
    """A process that works on shared batches, however often their store has to be opened again."""

    def __init__(self, url: str, working: Working, told: Told) -> None:
        """Open nothing yet."""
        self.on_end: OnEnd | None = None
        self._url = url
        self._working = working
        self._told = told
        self._mine: dict[str, set[str]] = defaultdict(set)
        """By batch, the jobs that were taken and have neither ended nor been given back."""

    @property
    def in_work(self) -> int:
        """How many tasks this process has taken that have not ended."""
        return sum(map(len, list(self._mine.values())))

    async def work(self, prepare: Prepare) -> None:
        """Work on every open batch until none is left, for as long as `working` says.

        Raises what `keep_open` raises, and OutsideError if a batch stops for a model or the
        sandbox.
        """
        await self.keep_open(lambda store: self._work(store, prepare))

    async def keep_open(self, act: Callable[[Store], Awaitable[T]]) -> T:
        """Return what `act` returns on the store; if that fails it is opened and acted on anew.

        Raises InputError if the store cannot be used at first, and StoreError or InputError if it
        fails for longer than OUTAGE_SECONDS.
        """
        outage = failed = -math.inf
        ever = False
        while True:
            opened = False
            try:
                async with open_store(self._url, self._working.lease) as store:
                    ever = opened = True
                    await self._give_back(store)
                    return await act(store)
            except (InputError, StoreError) as error:
                now = time.monotonic()
                outage = now if now - failed > OUTAGE_SECONDS else outage
                failed = now
                wrong = opened and isinstance(error, InputError)  # not of opening it again
                if not ever or wrong or now - outage > OUTAGE_SECONDS:
                    raise
                self._told(f"{error}; trying again")
                await asyncio.sleep(1.0)

    async def work_on(self, store: Store, batch: StoredBatch, told: Told) -> None:
        """Work on one batch until all of its jobs have ended, here or elsewhere.

        Jobs that are in work when this ends are given back; if the store has failed, as soon as
        `keep_open` has opened it again.
        """
        plan, name = self._working.plan, batch.name
        deadline = batch.deadline if plan.deadline is None else plan.deadline
        plan = replace(plan, name=name, deadline=deadline)
        jobs = self._free_jobs(store, name)
        try:
            async with (
                open_graph(read_settings(batch), store, sandbox=self._working.sandbox) as graph,
                aclosing(work_through(store, graph, jobs, plan)) as ends,
            ):
                async for ended in ends:
                    await self._note(store, name, ended, told)
        except BaseException as error:
            if not isinstance(error, (StoreError, *store.failures)):
                with suppress(*store.failures):
                    await self._give_back(store)
            raise

    async def _work(self, store: Store, prepare: Prepare) -> None:
        idle_since = time.monotonic()
        while True:
            if (found := await open_batch(store)) is not None:
                await prepare(read_settings(found))
                await self.work_on(store, found, self._told)
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since >= self._working.idle:
                return
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def _note(
        self, store: Store, batch: str, ended: Finished | Postponed, told: Told
    ) -> None:
        if isinstance(ended, Finished):
            await end_job(store, batch, ended.key, ended.problem)
            line = ended.problem or ended.run.row.status
        else:
            await put_back(store, batch, ended.key)
            line = str(ended.failure)
        self._mine[batch].discard(ended.key)
        if self.on_end is not None:
            self.on_end(ended)
        told(f"{ended.key}: {line}")

    async def _give_back(self, store: Store) -> None:
        for batch, keys in self._mine.items():
            for key in list(keys):
                await put_back(store, batch, key)
                keys.discard(key)

    async def _free_jobs(self, store: Store, batch: str) -> AsyncIterator[Job]:
        """Yield jobs on which nobody works, until all have ended."""
        while True:
            found = await take_job(store, batch, self._mine[batch])
            if found is not None:
                yield Job(found.key, found.seed, found.parent, found.parent_turn)
            elif not await jobs_left(store, batch):
                return
            else:
                await asyncio.sleep(POLL_SECONDS)


def read_settings(batch: StoredBatch) -> Settings:
    """Return the settings of a batch; raises InputError for those of another release."""
    try:
        return Settings.model_validate_json(batch.settings)
    except ValidationError as error:
        raise InputError(f"batch {batch.name}: its settings: {first_problem(error)}") from None


def stored_jobs(batch: str, jobs: Iterable[Job]) -> list[StoredJob]:
    """Return the jobs of a batch as its rows hold them."""
    return [
        StoredJob(job.key, run_id(batch, job), job.seed, job.parent, job.parent_turn)
        for job in jobs
    ]


async def ends(store: Store, batch: str) -> dict[str, Finished]:
    """Return the results of a batch whose jobs have all ended, by key."""
    found: dict[str, Finished] = {}
    for key, (run, problem) in (await results(store, batch)).items():
        if await stored_row(store, run) is None:
            raise StoreError(f"{key}: {problem or 'its run was removed'}")
        found[key] = Finished(key, await open_run(store, run), problem)
    return found
