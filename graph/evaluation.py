"""Run tasks under several arms that share each task's first draft, which is made once.

The arms get the tasks without the tests that only score.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from opencodeinterpreter.graph.arms import DRAFT, Arm
from opencodeinterpreter.graph.batch import Finished, Job, Plan, Watch, batch, run_id
from opencodeinterpreter.graph.build import Graph
from opencodeinterpreter.graph.runs import Run, open_run
from opencodeinterpreter.graph.seeds import Edit, branch_seed, task_seed
from opencodeinterpreter.graph.store.protocol import Store
from opencodeinterpreter.graph.store.rows import read_row
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import TaskInput


@dataclass(frozen=True)
class Evaluation:
    """What to run."""

    name: str
    """The benchmark's; it begins the keys of all jobs."""
    tasks: Mapping[str, TaskInput]
    """By task id, as the loop gets them."""
    settings: Settings
    """What all arms share."""
    arms: tuple[Arm, ...]
    """The first one makes the first drafts."""
    batch: str = ""
    """The name of the shared batch that its runs are in; empty if no other process works on it."""


@dataclass(frozen=True)
class Place:
    """A task under an arm."""

    task: str
    arm: str


@dataclass(frozen=True)
class Ended:
    """The result of a task under an arm."""

    place: Place
    finished: Finished


async def run_arms(
    store: Store, graph: Graph, evaluation: Evaluation, plan: Plan, watch: Watch | None = None
) -> AsyncGenerator[Ended, None]:
    """Run all tasks under all arms, and yield each as it ends.

    If a first draft passes the feedback tests, only `none` and the arms that start alone have a run
    for the task. A second start continues where the first one stopped. Raises the same errors as
    `batch`.
    """
    source = _Source(evaluation)
    async with aclosing(batch(store, graph, source, plan, watch)) as results:
        async for finished in results:
            yield Ended(source.take(finished), finished)


async def read_arms(store: Store, evaluation: Evaluation) -> AsyncIterator[tuple[Place, Run]]:
    """Yield an evaluation's stored runs: ended, failed and unfinished ones."""
    for task in evaluation.tasks:
        drafted = await _stored(store, evaluation.batch, _draft_job(evaluation, task))
        if drafted is None:
            continue
        yield Place(task, DRAFT.name), drafted
        for place, job in _later_jobs(evaluation, task, drafted):
            if (run := await _stored(store, evaluation.batch, job)) is not None:
                yield place, run


async def _stored(store: Store, batch: str, job: Job) -> Run | None:
    row = await read_row(store, run_id(batch, job))
    return await open_run(store, row.id) if row else None


def draft_jobs(evaluation: Evaluation) -> list[Job]:
    """Return the jobs that make the first drafts."""
    return [_draft_job(evaluation, task) for task in evaluation.tasks]


def later_jobs(evaluation: Evaluation, drafted: Mapping[str, Run]) -> list[Job]:
    """Return the jobs of all other arms; `drafted` are the runs of the first jobs, by key."""
    return [
        job
        for task in evaluation.tasks
        for _, job in _later_jobs(evaluation, task, drafted[_key(evaluation, task, DRAFT)])
    ]


@dataclass
class _Source:
    """Jobs in the order in which they become possible: a task's arms follow its first draft."""

    evaluation: Evaluation
    places: dict[str, Place] = field(default_factory=dict)
    """Of the jobs that were handed out, by key."""
    ready: deque[Job] = field(default_factory=deque)
    drafting: int = 0
    """First drafts that were handed out and are not back."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aiter__(self) -> AsyncIterator[Job]:
        tasks = iter(self.evaluation.tasks)
        while True:
            if self.ready:
                yield self.ready.popleft()
            elif (task := next(tasks, None)) is not None:
                job = _draft_job(self.evaluation, task)
                self.places[job.key] = Place(task, DRAFT.name)
                self.drafting += 1
                yield job
            elif self.drafting:
                self.changed.clear()
                await self.changed.wait()
            else:
                return

    def take(self, finished: Finished) -> Place:
        """Record a job's end and return its place; a first draft enables the task's other arms."""
        place = self.places[finished.key]
        if place.arm == DRAFT.name:
            self.drafting -= 1
            for later, job in _later_jobs(self.evaluation, place.task, finished.run):
                self.places[job.key] = later
                self.ready.append(job)
            self.changed.set()
        return place


def _draft_job(evaluation: Evaluation, task: str) -> Job:
    settings = DRAFT.settings(evaluation.settings)
    return Job(_key(evaluation, task, DRAFT), task_seed(evaluation.tasks[task], settings))


def _later_jobs(evaluation: Evaluation, task: str, drafted: Run) -> Iterable[tuple[Place, Job]]:
    """Yield the jobs of a task's other arms; most have one only after a first draft that failed."""
    failed = drafted.next == "end" and not drafted.record.solved
    for arm in evaluation.arms:
        if arm.start == "draft" or (arm.start != "alone" and not failed):
            continue
        settings, key = arm.settings(evaluation.settings), _key(evaluation, task, arm)
        if arm.start in ("anew", "alone"):
            job = Job(key, task_seed(evaluation.tasks[task], settings))
        else:
            name = drafted.row.short
            seed = branch_seed(drafted.record, name, 1, Edit(settings=settings))
            job = Job(key, seed, parent=drafted.row.id, parent_turn=1)
        yield Place(task, arm.name), job


def _key(evaluation: Evaluation, task: str, arm: Arm) -> str:
    return f"{evaluation.name}/{task}/{arm.name}"
