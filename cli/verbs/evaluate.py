"""`evaluate`: compare settings of the loop on a benchmark, task by task."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from opencodeinterpreter.cli.fetching import fetch_named
from opencodeinterpreter.cli.files import read_text
from opencodeinterpreter.cli.options import (
    ConcurrencyOption,
    JsonOption,
    SandboxOption,
    TaskDeadlineOption,
)
from opencodeinterpreter.cli.progress import grading_progress, runs_progress
from opencodeinterpreter.cli.settings import SetOption, SettingsOptions
from opencodeinterpreter.cli.verbs.grade import known_benchmark
from opencodeinterpreter.graph.arms import ARMS, DRAFT, Arm, arms_named, independent
from opencodeinterpreter.graph.evaluation import Ended
from opencodeinterpreter.nodes.settings import Settings
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
    concurrency: ConcurrencyOption = 4
    task_deadline: TaskDeadlineOption = None
    sandbox: SandboxOption = DEFAULT_SANDBOX


def evaluate(
    options: BenchmarkOptions,
    arms: ArmOptions,
    where: WorkOptions,
    as_json: JsonOption = False,
) -> None:
    """Compare settings of the loop on a benchmark.

    Each task's first draft is made once; if it fails, the other settings continue from it.
    """
    work = Work(where.concurrency, where.task_deadline, where.sandbox)
    found = asyncio.run(_evaluate(Folder(where.out), options, arms, work))
    print(found.model_dump_json() if as_json else printable(as_text(found)))


async def _evaluate(
    folder: Folder, options: BenchmarkOptions, arms: ArmOptions, work: Work
) -> Results:
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
    )
    await fetch_named(header.settings.models.values())
    await _run(folder, benchmark, header, names, work)
    with grading_progress() as graded:
        return await score(folder, benchmark, work.sandbox, graded)


async def _run(
    folder: Folder, benchmark: Benchmark, header: Header, names: Sequence[str], work: Work
) -> None:
    evaluation = await prepare(folder, benchmark, header, names, work)
    ahead = {name: len(evaluation.arms) for name in names}
    after_failure = sum(arm.start in ("branch", "anew") for arm in evaluation.arms)
    with runs_progress(len(names)) as progress:

        def watch(ended: Ended) -> None:
            task, passed = ended.place.task, ended.finished.run.record.solved
            skipped = after_failure if ended.place.arm == DRAFT.name and passed else 0
            ahead[task] -= 1 + skipped
            progress.add(ended.finished, tasks=int(ahead[task] == 0))

        await run(folder, evaluation, work, watch)


def _half(name: str) -> str:
    return "ab"[hashlib.sha256(name.encode()).digest()[0] % 2]
