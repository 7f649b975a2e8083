"""`evaluate`: compare settings of the loop on a benchmark, task by task."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.files import read_text
from opencodeinterpreter.cli.options import (
    ConcurrencyOption,
    JsonOption,
    RayOption,
    SandboxOption,
    SharedStoreOption,
    TaskDeadlineOption,
)
from opencodeinterpreter.cli.progress import grading_progress, runs_progress
from opencodeinterpreter.cli.ray_grading import grade_on_ray
from opencodeinterpreter.cli.settings import SetOption, SettingsOptions
from opencodeinterpreter.cli.shared_batch import Shared, check_ray
from opencodeinterpreter.cli.verbs.grade import known_benchmark
from opencodeinterpreter.graph.arms import ARMS, DRAFT, Arm, arms_named, independent
from opencodeinterpreter.graph.batch import Plan
from opencodeinterpreter.graph.evaluation import Ended, Evaluation, draft_jobs, later_jobs
from opencodeinterpreter.graph.shared import Working
from opencodeinterpreter.graph.store.opening import open_store
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.tools.benchmarks.grading import grade_here
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, load_benchmark
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName
from opencodeinterpreter.traces.evaluation.audit import new_canary
from opencodeinterpreter.traces.evaluation.evaluate import Work, prepare, run, score
from opencodeinterpreter.traces.evaluation.folder import Folder, Header
from opencodeinterpreter.traces.evaluation.results import Results
from opencodeinterpreter.traces.evaluation.tasks import (
    check_own_tasks,
    own_benchmark,
    protocol_settings,
    scoring_benchmark,
)
from opencodeinterpreter.traces.report import as_text


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """The tasks to evaluate, and the tests to use."""

    benchmark: Annotated[
        str, typer.Option(help="humaneval+, mbpp+, humaneval, mbpp or FILE.jsonl.")
    ]
    data: Annotated[
        Path | None, typer.Option(help="The benchmark's official file, else fetched once.")
    ] = None
    protocol: Annotated[
        Literal["held-out", "paper"],
        typer.Option(
            help="held-out: tests that the loop never sees score; paper: those that it sees."
        ),
    ] = "held-out"
    tasks: Annotated[
        str | None, typer.Option(help="A file of task ids, one a line; or half of all: a or b.")
    ] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tasks.")] = None
    canary: Annotated[
        bool, typer.Option("--canary", help="Plant texts in scoring tests and look for them.")
    ] = False

    async def load(self, sandbox: SandboxName) -> Benchmark:
        """Return the benchmark; tests of a user's file are checked. Raises InputError."""
        path = Path(self.benchmark)
        if path.suffix != ".jsonl":
            return await load_benchmark(known_benchmark(self.benchmark), self.data)
        if self.data is not None:
            raise InputError(f"--data is for known benchmarks, not for the file {path}")
        own = await asyncio.to_thread(own_benchmark, path)
        await check_own_tasks(own, sandbox)
        return own

    def chosen(self, benchmark: Benchmark) -> list[str]:
        """Return the ids of the chosen tasks; raises InputError for an unknown one."""
        names = list(benchmark.tasks)
        if self.tasks in ("a", "b"):
            names = [name for name in names if _half(name) == self.tasks]
        elif self.tasks is not None:
            wanted = read_text(Path(self.tasks), "tasks").split()
            if unknown := [name for name in wanted if name not in names]:
                raise InputError(f"{self.tasks}: {benchmark.name} has no task {unknown[0]!r}")
            names = [name for name in names if name in set(wanted)]
        if not names:
            raise InputError("no task to evaluate is left; check --tasks and --limit")
        return names[: self.limit]


@dataclass(frozen=True, kw_only=True)
class ArmOptions:
    """The settings to compare, and their models."""

    model: Annotated[str, typer.Option("--model", "-m", help="The coder's model.")]
    critic_model: Annotated[
        str | None, typer.Option(help="The critic's model; by default the coder's.")
    ] = None
    settings: Annotated[
        str, typer.Option(help=f"Settings to compare, separated by commas: {', '.join(ARMS)}.")
    ] = "none,execution"
    independent: Annotated[
        bool, typer.Option("--independent", help="Each setting makes first drafts of its own.")
    ] = False
    max_turns: Annotated[int, typer.Option(min=2, help="Turns at most.")] = 2
    drafts: Annotated[int, typer.Option(min=1, max=64, help="Drafts in each turn.")] = 1
    prompt: Annotated[
        list[str],
        typer.Option("--prompt", metavar="NAME=FILE", help="Replace a prompt by a file's text."),
    ] = field(default_factory=list)
    setting: SetOption = field(default_factory=list)

    def shared(self) -> Settings:
        """Return the settings that all arms share; raises InputError."""
        models = [self.model] if self.critic_model is None else [self.model, self._critic]
        return SettingsOptions(
            model=models,
            turns=self.max_turns,
            drafts=self.drafts,
            prompt=self.prompt,
            setting=self.setting,
        ).over(Settings())

    def compared(self) -> tuple[Arm, ...]:
        """Return the arms that were asked for; raises InputError for an unknown one."""
        arms = arms_named(self.settings.split(","))
        return independent(arms) if self.independent else arms

    @property
    def _critic(self) -> str:
        return f"critic={self.critic_model}"


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """Where an evaluation is kept and how it is worked through."""

    out: Annotated[
        Path, typer.Option(help="Folder of the evaluation; a second start continues it.")
    ]
    store: SharedStoreOption = None
    ray: RayOption = None
    concurrency: ConcurrencyOption = 4
    task_deadline: TaskDeadlineOption = None
    sandbox: SandboxOption = DEFAULT_SANDBOX

    def work(self) -> Work:
        """Return how the evaluation runs, and where its programs are graded."""
        grade = grade_here if self.ray is None else partial(grade_on_ray, self.ray)
        return Work(self.concurrency, self.task_deadline, self.sandbox, grade)


def evaluate(
    options: BenchmarkOptions,
    arms: ArmOptions,
    where: WorkOptions,
    as_json: JsonOption = False,
) -> None:
    """Compare settings of the loop on a benchmark.

    Each task's first draft is made once; if it fails, the other settings continue from it.
    """
    check_ray(where.ray, where.store)
    found = asyncio.run(_evaluate(where, options, arms))
    print(found.model_dump_json() if as_json else printable(as_text(found)))


async def _evaluate(where: WorkOptions, options: BenchmarkOptions, arms: ArmOptions) -> Results:
    folder, work = Folder(where.out, where.store or ""), where.work()
    benchmark = await options.load(work.sandbox)
    names = options.chosen(benchmark)
    scored = scoring_benchmark(benchmark, options.protocol).tasks
    header = Header(
        benchmark=benchmark.name,
        sha256=benchmark.sha256,
        protocol=options.protocol,
        settings=protocol_settings(arms.shared(), options.protocol),
        arms=arms.compared(),
        unscored=tuple(name for name in benchmark.tasks if name not in scored),
        canary=new_canary() if options.canary else "",
        store=await _named(where.store),
    )
    await fetch_named(header.settings.models.values())
    evaluation = await prepare(folder, benchmark, header, names, work)
    if where.store is None:
        await _run(folder, evaluation, work)
    else:
        await _run_shared(evaluation, where.store, where)
    with grading_progress() as graded:
        return await score(folder, benchmark, work, graded)


async def _named(url: str | None) -> str:
    """Return what names a shared store from anywhere, without a password; raises InputError."""
    if url is None:
        return ""
    async with open_store(url) as store:
        return _from_anywhere(store.name)


def _from_anywhere(name: str) -> str:
    return name if "://" in name else str(Path(name).resolve())


async def _run(folder: Folder, evaluation: Evaluation, work: Work) -> None:
    ahead = {name: len(evaluation.arms) for name in evaluation.tasks}
    after_failure = sum(arm.start in ("branch", "anew") for arm in evaluation.arms)
    with runs_progress(len(ahead)) as progress:

        def watch(ended: Ended) -> None:
            task, passed = ended.place.task, ended.finished.run.record.solved
            skipped = after_failure if ended.place.arm == DRAFT.name and passed else 0
            ahead[task] -= 1 + skipped
            progress.add(ended.finished, tasks=int(ahead[task] == 0))

        await run(folder, evaluation, work, watch)


async def _run_shared(evaluation: Evaluation, url: str, where: WorkOptions) -> None:
    """Let the workers of a store make all first drafts, and then all that follows from them."""
    plan = Plan(concurrency=where.concurrency, deadline=where.task_deadline)
    working = Working(plan, where.sandbox)
    shared = Shared(url, evaluation.batch, evaluation.settings, working, where.ray)
    drafted = await shared.run(draft_jobs(evaluation))
    await shared.run(later_jobs(evaluation, {key: each.run for key, each in drafted.items()}))


def _half(name: str) -> str:
    return "ab"[hashlib.sha256(name.encode()).digest()[0] % 2]
