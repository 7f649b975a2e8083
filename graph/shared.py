"""Work on the batches of a store that several processes share: the loop of `batch` over rows."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import ValidationError

from opencodeinterpreter.graph.batch import Finished, Job, Plan, run_id, work_through
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.runs import open_run, stored_row
from opencodeinterpreter.graph.store.jobs import (
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
from opencodeinterpreter.tools.errors import InputError, OutsideError, StoreError
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName
from opencodeinterpreter.tools.validation import first_problem

T = TypeVar("T")

POLL_SECONDS = 0.5
"""How often a process looks for jobs while others work on all that are left."""
OUTAGE_SECONDS = 120.0
"""How long a process waits for a database that was there and is gone."""

Told = Callable[[str], None]
"""Called with a line about the work's progress."""


@dataclass(frozen=True)
class Working:
    """How a process works on shared batches."""

    plan: Plan
    sandbox: SandboxName = DEFAULT_SANDBOX
    idle: float = 0.0
    """After so many seconds without a batch that is open, the process ends."""
    lease: float = LEASE_SECONDS


async def work(url: str, working: Working, told: Told) -> None:
    """Work on every open batch of a store until none is left, for as long as `working` says.

    Raises what `keep_open` raises, and OutsideError if a batch stops for a model or the sandbox.
    """
    await keep_open(url, working, told, lambda store: _work(store, working, told))


async def keep_open(
    url: str, working: Working, told: Told, act: Callable[[Store], Awaitable[T]]
) -> T:
    """Return what `act` returns on a store; a store that fails is opened again and acted on anew.

    Raises InputError if the store cannot be used at first, and StoreError or InputError if it fails
    for longer than OUTAGE_SECONDS.
    """
    opened = False
    outage = failed = -math.inf
    while True:
        try:
            async with open_store(url, working.lease) as store:
                opened = True
                return await act(store)
        except (InputError, StoreError) as error:
            now = time.monotonic()
            outage = now if now - failed > OUTAGE_SECONDS else outage
            failed = now
            again = isinstance(error, StoreError) or str(error).startswith("cannot use store")
            if not (opened and again) or now - outage > OUTAGE_SECONDS:
                raise
            told(f"{error}; trying again")
            await asyncio.sleep(1.0)


async def _work(store: Store, working: Working, told: Told) -> None:
    idle_since = time.monotonic()
    while True:
        if (found := await open_batch(store)) is not None:
            name, settings = found
            await work_on(store, name, read_settings(name, settings), working, told)
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since >= working.idle:
            return
        else:
            await asyncio.sleep(POLL_SECONDS)


def read_settings(name: str, settings: str) -> Settings:
    """Return the settings of a batch; raises InputError for those of another release."""
    try:
        return Settings.model_validate_json(settings)
    except ValidationError as error:
        raise InputError(f"batch {name}: its settings: {first_problem(error)}") from None


async def work_on(
    store: Store, batch: str, settings: Settings, working: Working, told: Told
) -> None:
    """Work on one batch until all of its jobs have ended, here or elsewhere."""
    mine: set[str] = set()
    plan = replace(working.plan, name=batch)
    try:
        async with (
            open_graph(settings, store, sandbox=working.sandbox) as graph,
            aclosing(work_through(store, graph, _free_jobs(store, batch, mine), plan)) as ends,
        ):
            async for ended in ends:
                if isinstance(ended, Finished):
                    await end_job(store, batch, ended.key, ended.problem)
                    told(f"{ended.key}: {ended.problem or ended.run.row.status}")
                else:
                    await put_back(store, batch, ended.key)
                    told(f"{ended.key}: {ended.problem}")
                mine.discard(ended.key)
    except (asyncio.CancelledError, OutsideError):
        for key in mine:
            await put_back(store, batch, key)
        raise


async def _free_jobs(store: Store, batch: str, mine: set[str]) -> AsyncIterator[Job]:
    """Yield jobs on which nobody works, until all have ended."""
    while True:
        found = await take_job(store, batch, mine)
        if found is not None:
            mine.add(found.key)
            yield Job(found.key, found.seed)
        elif not await jobs_left(store, batch):
            return
        else:
            await asyncio.sleep(POLL_SECONDS)


def stored_jobs(batch: str, jobs: Iterable[Job]) -> list[StoredJob]:
    """Return the jobs of a batch as its rows hold them."""
    return [StoredJob(job.key, run_id(batch, job), job.seed) for job in jobs]


async def ends(store: Store, batch: str) -> dict[str, Finished]:
    """Return the results of a batch whose jobs have all ended, by key."""
    found: dict[str, Finished] = {}
    for key, (run, problem) in (await results(store, batch)).items():
        if await stored_row(store, run) is None:
            raise StoreError(f"{key}: {problem or 'its run was removed'}")
        found[key] = Finished(key, await open_run(store, run), problem)
    return found
