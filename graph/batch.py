"""Many runs at once: each is stored, and a batch that is started again goes on.

A run's id is computed from the batch's name, its key and all that it starts from, so that a second
start finds what the first one stored: a finished run is returned and never asked again, an
unfinished one resumes where it stopped.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.runs import Origin, Run, advance, create_run, open_run
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import Row, read_row
from opencodeinterpreter.nodes.records import Turn
from opencodeinterpreter.nodes.state import Input
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError, OutsideError

_BATCHES = uuid.UUID("6f1d1c5e-6a0b-4f0e-9a39-0c1f6a8a5d27")
PATIENCE = 5
"""Outside failures of different jobs in a row after which the whole batch stops."""


@dataclass(frozen=True)
class Job:
    """A run of a batch: a fresh one or a branch."""

    key: str
    """The name by which its result is known; one of a kind in its batch."""
    seed: Input
    """What it starts from, made by `task_seed` or `branch_seed`."""
    parent: str | None = None
    """The run that a branch leaves, by its full id."""
    parent_turn: int | None = None


@dataclass(frozen=True)
class Finished:
    """What became of a job."""

    key: str
    run: Run
    """The run as it stands."""
    problem: str = ""
    """Why the run did not end: an outside failure, a deadline, a person who is asked. Start the
    batch again to resume it."""
    kept: bool = False
    """Whether the run had ended before, so that nothing was asked for it now."""


@dataclass(frozen=True)
class Plan:
    """How a batch is worked through."""

    name: str = ""
    """Batches of different names keep runs of their own for the same job."""
    concurrency: int = 8
    """Most runs at once. Jobs are taken from the iterable only as fast as results are read."""
    deadline: float | None = None
    """Seconds after which a run is stopped, to be resumed by another start."""


Watch = Callable[[str, str, Turn], None]
"""Called after each node with the job's key, the node's name and the turn as it then stands."""


async def batch(
    store: Store,
    graph: Graph,
    jobs: Iterable[Job] | AsyncIterable[Job],
    plan: Plan,
    watch: Watch | None = None,
) -> AsyncGenerator[Finished, None]:
    """Work through `jobs` and yield each as it finishes, in the order of their ends.

    A failure is its own job's. Raises InputError for a second job of the same key, OutsideError
    after PATIENCE jobs in a row failed outside (a dead server, say), and StoreError; what was
    stored stays. When the iterator is closed early, its runs are cancelled and can be resumed.
    """
    work = _Work(store, graph, plan, watch)
    results: asyncio.Queue[Finished | BaseException | None] = asyncio.Queue(plan.concurrency)
    source = _in_turn(jobs)
    lock = asyncio.Lock()

    async def worker() -> None:
        while True:
            async with lock:
                job = await anext(source, None)
                if job is None:
                    return
                work.take(job)
            await results.put(await work.finish(job))

    async def all_workers() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(plan.concurrency):
                    group.create_task(worker())
        except BaseExceptionGroup as failures:
            await results.put(failures.exceptions[0])
        else:
            await results.put(None)

    working = asyncio.create_task(all_workers())
    try:
        while (result := await results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        working.cancel()
        await asyncio.wait([working])


class _Work:
    """What all workers of a batch share."""

    def __init__(self, store: Store, graph: Graph, plan: Plan, watch: Watch | None) -> None:
        self._store = store
        self._graph = graph
        self._plan = plan
        self._watch = watch
        self._keys: set[str] = set()
        self._failed = 0

    def take(self, job: Job) -> None:
        """Note a job's key; raises InputError for one that was seen before."""
        if job.key in self._keys:
            raise InputError(f"{job.key}: two jobs of the batch have this key")
        self._keys.add(job.key)

    async def finish(self, job: Job) -> Finished:
        """Carry a job's run to its end; raises OutsideError once too many failed in a row."""
        row = await self._row(job)
        run = await open_run(self._store, row.id)
        # One that was cancelled at its very end still has its row to be settled.
        if run.next == "end" and run.row.status in ("solved", "unsolved"):
            return Finished(job.key, run, kept=True)
        try:
            async with asyncio.timeout(self._plan.deadline) as clock:
                run = await advance(self._store, self._graph, row, watch=self._watched(job.key))
        except OutsideError as failure:
            self._failed += 1
            if self._failed >= PATIENCE:
                raise
            return await self._stopped(job, row, str(failure))
        except InputError as error:
            return await self._stopped(job, row, str(error))
        except TimeoutError:
            if not clock.expired():
                raise
            return await self._stopped(job, row, f"deadline of {self._plan.deadline:g} s reached")
        self._failed = 0
        return Finished(job.key, run, "a person is asked" if run.question else "")

    async def _stopped(self, job: Job, row: Row, problem: str) -> Finished:
        return Finished(job.key, await open_run(self._store, row.id), problem)

    async def _row(self, job: Job) -> Row:
        """Return the row of a job's run, which is stored on first use."""
        known: dict[str, Any] = {"batch": self._plan.name, **asdict(job)}
        run = str(uuid.uuid5(_BATCHES, digest(known)))
        if row := await read_row(self._store, run):
            return row
        origin = Origin(run=run, parent=job.parent, parent_turn=job.parent_turn)
        return await create_run(self._store, job.seed, origin)

    def _watched(self, key: str) -> Callable[[str, Turn], None] | None:
        watch = self._watch
        return None if watch is None else lambda node, turn: watch(key, node, turn)


async def _in_turn(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Job]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
    else:
        for job in jobs:
            yield job
