"""`batch`: solve many tasks as stored runs; a second start continues."""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import typer

from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.options import (
    ConcurrencyOption,
    JsonOption,
    RayOption,
    SandboxOption,
    SharedStoreOption,
    TaskDeadlineOption,
)
from opencodeinterpreter.cli.progress import runs_progress
from opencodeinterpreter.cli.settings import SettingsOptions
from opencodeinterpreter.cli.shared_batch import Shared, check_ray
from opencodeinterpreter.cli.statuses import NOT_SOLVED, OUTSIDE_FAILURE
from opencodeinterpreter.cli.verbs.grade import known_benchmark
from opencodeinterpreter.graph.batch import Finished, Job, Plan, run_id
from opencodeinterpreter.graph.batch import batch as work_through
from opencodeinterpreter.graph.checking import check_tasks
from opencodeinterpreter.graph.continuing import check_continues, read_settings
from opencodeinterpreter.graph.opening import open_graph
from opencodeinterpreter.graph.seeds import task_seed
from opencodeinterpreter.graph.shared import Working
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.graph.task_files import GIVEN_TASKS, read_tasks, task_line
from opencodeinterpreter.nodes.records import Task
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.nodes.state import TaskInput
from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.benchmarks.files import BenchmarkName
from opencodeinterpreter.tools.benchmarks.tasks import load_benchmark
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX
from opencodeinterpreter.traces.evaluation.tasks import loop_tasks


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Which tasks to solve, and how."""

    tasks: Annotated[str, typer.Argument(help="A file of tasks (.jsonl), or a benchmark's name.")]
    out: Annotated[Path, typer.Option(help="The folder of the batch; a second start continues it.")]
    store: SharedStoreOption = None
    ray: RayOption = None
    data: Annotated[Path | None, typer.Option(help="The benchmark's official file.")] = None
    concurrency: ConcurrencyOption = 4
    task_deadline: TaskDeadlineOption = None
    sandbox: SandboxOption = DEFAULT_SANDBOX


def batch(
    options: BatchOptions,
    settings: SettingsOptions,
    as_json: JsonOption = False,
) -> None:
    """Solve many tasks.

    Each task is a stored run. A second start continues and repeats no model call.
    """
    chosen = settings.over(Settings())
    if chosen.critic == "human":
        raise InputError("a batch cannot ask a person; choose another --critic")
    check_ray(options.ray, options.store)
    found = asyncio.run(_batch(options, chosen))
    solved = sum(each.run.record.solved for each in found.values())
    problems = {name: each.problem for name, each in found.items() if each.problem}
    if as_json:
        told = {"tasks": len(found), "solved": solved, "problems": problems}
        print(json.dumps({**told, "samples": str(_samples(options.out))}))
    else:
        for name, problem in problems.items():
            print(f"{name}: {problem}", file=sys.stderr)
        print(f"{solved} of {len(found)} tasks solved; samples: {_samples(options.out)}")
    if problems:
        raise typer.Exit(OUTSIDE_FAILURE)
    if solved < len(found):
        raise typer.Exit(NOT_SOLVED)


async def _batch(options: BatchOptions, chosen: Settings) -> dict[str, Finished]:
    tasks = await _tasks(options)
    settings = _settings(options.out, chosen)
    jobs = list(_jobs(tasks, settings))
    await fetch_named(settings.models.values())
    plan = Plan(concurrency=options.concurrency, deadline=options.task_deadline)
    found: dict[str, Finished] = {}
    try:
        if options.store is not None:
            working = Working(plan, options.sandbox)
            name = _shared_name(options.out, jobs)
            shared = Shared(options.store, name, settings, working, options.ray)
            found |= await shared.run(jobs)
            return {name: found[name] for name in tasks}
        async with (
            open_store(str(options.out / "runs.sqlite")) as store,
            open_graph(settings, store, sandbox=options.sandbox) as graph,
            aclosing(work_through(store, graph, jobs, plan)) as ends,
        ):
            with runs_progress(len(jobs)) as progress:
                async for finished in ends:
                    found[finished.key] = finished
                    progress.add(finished, tasks=1)
    finally:
        _write_samples(options.out, tasks, found)
    return {name: found[name] for name in tasks}


def _shared_name(out: Path, jobs: Iterable[Job]) -> str:
    """Return a name in a shared store: the folder's, and what tells apart its tasks."""
    return f"{out.resolve().name}-{digest([run_id('', job) for job in jobs])[:8]}"


async def _tasks(options: BatchOptions) -> dict[str, TaskInput]:
    """Return the checked tasks; raises InputError before the first model call."""
    if options.tasks in get_args(BenchmarkName):
        return await _benchmark_tasks(options)
    tasks = read_tasks(Path(options.tasks))
    checked = {name: Task.model_validate(task) for name, task in tasks.items()}
    await check_tasks(checked, options.sandbox)
    _keep_tasks(options.out / GIVEN_TASKS, tasks)
    return tasks


async def _benchmark_tasks(options: BatchOptions) -> dict[str, TaskInput]:
    """Return a benchmark's tasks with their feedback tests, as the first start wrote them.

    A second start could write them differently, because sets have no order.
    """
    kept = options.out / "tasks.jsonl"
    if not kept.exists():
        benchmark = await load_benchmark(known_benchmark(options.tasks), options.data)
        tasks = await loop_tasks(options.sandbox, benchmark, benchmark.tasks)
        _keep_tasks(kept, tasks)
    return read_tasks(kept)


def _keep_tasks(path: Path, tasks: Mapping[str, TaskInput]) -> None:
    lines = (f"{task_line(name, task)}\n" for name, task in tasks.items())
    write_atomically(path, "".join(lines).encode())


def _settings(out: Path, chosen: Settings) -> Settings:
    """Return the settings with which this folder's batch was started first."""
    path = out / "settings.json"
    held = read_settings(path)
    if held is None:
        write_atomically(path, chosen.model_dump_json(indent=1).encode())
        return chosen
    check_continues(out, held, chosen)
    return held


def _jobs(tasks: Mapping[str, TaskInput], settings: Settings) -> Iterator[Job]:
    for name, task in tasks.items():
        try:
            yield Job(name, task_seed(task, settings))
        except InputError as error:
            raise InputError(f"task {name}: {error}") from None


def _samples(out: Path) -> Path:
    return out / "samples.jsonl"


def _write_samples(
    out: Path, tasks: Mapping[str, TaskInput], found: Mapping[str, Finished]
) -> None:
    """Write the newest program of each finished task, in the order of the tasks."""
    rows = [
        {"task_id": name, "solution": found[name].run.record.code or ""}
        for name in tasks
        if name in found and not found[name].problem
    ]
    write_atomically(_samples(out), "".join(f"{json.dumps(row)}\n" for row in rows).encode())
