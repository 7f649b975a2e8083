"""Run many jobs at once; each run is stored, and a batch that is started again continues.

A run's id is computed from the batch's name, the job's key and everything that the run starts
from. A second start therefore finds the stored runs: a finished run is returned without another
model call, an unfinished one resumes where it stopped.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.runs import Origin, Run, advance, create_run, open_run, stored_row
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.state import Input
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import (
    BusyError,
    ClaimLostError,
    InputError,
    OutsideError,
    StoreError,
)

_BATCHES = uuid.UUID("6f1d1c5e-6a0b-4f0e-9a39-0c1f6a8a5d27")
PATIENCE = 5
"""After outside failures of this many different jobs in a row, the whole batch stops."""


@dataclass(frozen=True)
class Job:
    """A run of a batch: a fresh one or a branch."""

    key: str
    """The name of its result, unique in its batch."""
    seed: Input
    """The input that it starts from, made by `task_seed` or `branch_seed`."""
    parent: str | None = None
    """The full id of a branch's parent."""
    parent_turn: int | None = None


@dataclass(frozen=True)
class Finished:
    """The result of a job."""

    key: str
    run: Run
    """The run as it is stored now."""
    problem: str = ""
    """Why the run did not end: an outside failure, a deadline, a question to a person. Start the
    batch again to resume it."""
    kept: bool = False
    """Whether the run had already ended when this batch started."""


@dataclass(frozen=True)
class Postponed:
    """A job that has no result yet: another process works on its run, or the store failed."""

    key: str
    run: str
    """The run's id."""
    failure: BusyError | StoreError


@dataclass(frozen=True)
class Plan:
    """How a batch is run."""

    name: str = ""
    """Batches with different names have different runs for the same job."""
    concurrency: int = 8
    """The most runs at once. Jobs are read from the iterable only as fast as results are read."""
    deadline: float | None = None
    """Seconds after which a run is stopped; another start resumes it."""


def run_id(batch_name: str, job: Job) -> str:
    """Return the id of a job's run in the batch with this name."""
    known: dict[str, Any] = {"batch": batch_name, **asdict(job)}
    # `texts` had this name when ids were first computed, and a batch of then must go on.
    old_names = {"texts": "messages"}
    known["seed"] = {old_names.get(name, name): value for name, value in job.seed.items()}
    return str(uuid.uuid5(_BATCHES, digest(known)))


Watch = Callable[[str, str, Turn], None]
"""Called after each node with the job's key, the node's name and the turn so far."""


async def batch(
    store: Store,
    graph: Graph,
    jobs: Iterable[Job] | AsyncIterable[Job],
    plan: Plan,
    watch: Watch | None = None,
) -> AsyncGenerator[Finished, None]:
    """Run `jobs` and yield each result as soon as its job finishes.

    A failure affects its own job only. Raises InputError for a second job with the same key,
    OutsideError after PATIENCE jobs in a row failed outside (for example a dead server), and
    StoreError; what was stored stays. If the iterator is closed early, its runs are cancelled and
    can be resumed.
    """
    async with aclosing(work_through(store, graph, _distinct(jobs), plan, watch)) as ends:
        async for ended in ends:
            yield ended if isinstance(ended, Finished) else await _as_stored(store, ended)


async def _as_stored(store: Store, postponed: Postponed) -> Finished:
    if await stored_row(store, postponed.run) is None:
        raise postponed.failure
    return Finished(postponed.key, await open_run(store, postponed.run), str(postponed.failure))


async def work_through(
    store: Store,
    graph: Graph,
    source: AsyncIterator[Job],
    plan: Plan,
    watch: Watch | None = None,
) -> AsyncGenerator[Finished | Postponed, None]:
    """Run the jobs of `source` as `batch` does; a job that was postponed may come again."""
    work = _Work(store, graph, plan, watch)
    results: asyncio.Queue[Finished | Postponed | BaseException | None] = asyncio.Queue()
    room = asyncio.Semaphore(2 * plan.concurrency)
    lock = asyncio.Lock()
    closing = False

    async def worker() -> None:
        # Nothing here may wait after a cancellation that a failing call has swallowed.
        while not closing:
            await room.acquire()
            async with lock:
                job = await anext(source, None)
                if job is None:
                    room.release()
                    return
            results.put_nowait(await work.finish(job))

    async def all_workers() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(plan.concurrency):
                    group.create_task(worker())
        except BaseExceptionGroup as failures:
            results.put_nowait(failures.exceptions[0])
        else:
            results.put_nowait(None)

    working = asyncio.create_task(all_workers())
    try:
        while (result := await results.get()) is not None:
            room.release()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        closing = True
        working.cancel()
        await asyncio.wait([working])


class _Work:
    """The state that all workers of a batch share."""

    def __init__(self, store: Store, graph: Graph, plan: Plan, watch: Watch | None) -> None:
        self._store = store
        self._graph = graph
        self._plan = plan
        self._watch = watch
        self._failed = 0

    async def finish(self, job: Job) -> Finished | Postponed:
        """Run a job to its end; raises OutsideError if too many jobs in a row failed."""
        run = run_id(self._plan.name, job)
        try:
            return await self._end_of(job, await self._row(job, run))
        except (BusyError, ClaimLostError) as failure:
            return Postponed(job.key, run, failure)
        except StoreError as failure:
            self._count(failure)
            return Postponed(job.key, run, failure)

    async def _end_of(self, job: Job, row: Row) -> Finished:
        run = await open_run(self._store, row.id)
        # A run that was cancelled at its very end still needs its row updated.
        if run.next == "end" and run.row.status in ("solved", "unsolved"):
            return Finished(job.key, run, kept=True)
        try:
            async with asyncio.timeout(self._plan.deadline) as clock:
                run = await advance(self._store, self._graph, row, watch=self._watched(job.key))
        except (BusyError, StoreError):
            raise
        except OutsideError as failure:
            self._count(failure)
            return await self._stopped(job, row, str(failure))
        except InputError as error:
            return await self._stopped(job, row, str(error))
        except TimeoutError:
            if not clock.expired():
                raise
            return await self._stopped(job, row, f"deadline of {self._plan.deadline:g} s reached")
        self._failed = 0
        return Finished(job.key, run, "a person is asked" if run.question else "")

    def _count(self, failure: OutsideError) -> None:
        self._failed += 1
        if self._failed >= PATIENCE:
            raise failure

    async def _stopped(self, job: Job, row: Row, problem: str) -> Finished:
        return Finished(job.key, await open_run(self._store, row.id), problem)

    async def _row(self, job: Job, run: str) -> Row:
        """Return the row of a job's run; the first call stores the run."""
        if row := await stored_row(self._store, run):
            return row
        origin = Origin(run=run, parent=job.parent, parent_turn=job.parent_turn)
        async with self._store.claim(run):
            return await stored_row(self._store, run) or await create_run(
                self._store, job.seed, origin
            )

    def _watched(self, key: str) -> Callable[[str, Turn], None] | None:
        watch = self._watch
        return None if watch is None else lambda node, turn: watch(key, node, turn)


async def _distinct(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Job]:
    """Yield the jobs in turn; raises InputError if one has the key of another."""
    keys: set[str] = set()
    async for job in _in_turn(jobs):
        if job.key in keys:
            raise InputError(f"two jobs of the batch have the key {job.key!r}; keys must differ")
        keys.add(job.key)
        yield job


async def _in_turn(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Job]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
    else:
        for job in jobs:
            yield job
