"""`grade`: samples of a benchmark in, EvalPlus's result file and pass@k out."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from opencodeinterpreter.cli.options import JsonOption, SandboxOption
from opencodeinterpreter.tools.benchmarks.files import BenchmarkName, write_atomically
from opencodeinterpreter.tools.benchmarks.grading import MODULES, Watch, grade_samples
from opencodeinterpreter.tools.benchmarks.journal import Journal
from opencodeinterpreter.tools.benchmarks.results import (
    as_evalplus,
    pass_at_k,
    results_path,
    same_samples,
    to_text,
)
from opencodeinterpreter.tools.benchmarks.samples import Sample, read_samples
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, load_benchmark
from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX, SandboxName, open_sandbox

_DETAILS = "test_details"
"""Our own key in a result file for which all inputs were looked at."""
_SANDBOX = "sandbox"
"""Our own key in a result file of another sandbox than the usual one."""


def grade(
    samples: Annotated[Path, typer.Argument(help="EvalPlus's samples: a .jsonl file or a folder.")],
    benchmark: Annotated[
        str, typer.Option(help="humaneval, humaneval+, mbpp or mbpp+; those with + have both sets.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="The benchmark's official file (plain, .gz or .xz), else fetched once."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Samples at a time; by default one a processor.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Results; by default beside the samples."),
    ] = None,
    test_details: Annotated[
        bool, typer.Option("--test-details", help="Go on after the first wrong answer.")
    ] = False,
    sandbox: SandboxOption = DEFAULT_SANDBOX,
    as_json: JsonOption = False,
) -> None:
    """Grade samples of HumanEval or MBPP by EvalPlus's rules.

    A run that was interrupted goes on where it stopped when it is started again.
    """
    target = output or results_path(samples)
    job = _Job(samples, _known(benchmark), data, workers, target, sandbox, test_details)
    told = asyncio.run(_grade(job))
    if as_json:
        print(json.dumps({**told, "results": str(target)}))
    else:
        _print_table(told)
        print(f"results: {target}", file=sys.stderr)


def _known(name: str) -> BenchmarkName:
    known: dict[str, BenchmarkName] = {
        "humaneval": "humaneval",
        "humaneval+": "humaneval+",
        "mbpp": "mbpp",
        "mbpp+": "mbpp+",
    }
    if name not in known:
        raise InputError(f"unknown benchmark {name!r}; there are {', '.join(known)}")
    return known[name]


@dataclass(frozen=True)
class _Job:
    """What was asked for."""

    samples: Path
    benchmark: BenchmarkName
    data: Path | None
    workers: int | None
    target: Path
    sandbox: SandboxName
    details: bool
    """Whether all inputs are looked at."""

    @property
    def where(self) -> dict[str, str]:
        """What files say of the sandbox: nothing where it is the usual one."""
        return {} if self.sandbox == DEFAULT_SANDBOX else {_SANDBOX: self.sandbox}


async def _grade(job: _Job) -> dict[str, Any]:
    benchmark = await load_benchmark(job.benchmark, job.data)
    samples = await asyncio.to_thread(read_samples, job.samples, benchmark)
    results = await asyncio.to_thread(_finished, job, samples, benchmark)
    if results is None:
        results = await _graded(job, samples, benchmark)
    return {
        "benchmark": job.benchmark,
        "sandbox": job.sandbox,
        "samples": len(samples),
        "tasks": len({sample.task_id for sample in samples}),
        "all_tasks": len(benchmark.tasks),
        **pass_at_k(results),
    }


def _finished(job: _Job, samples: list[Sample], benchmark: Benchmark) -> Mapping[str, Any] | None:
    """Return the results that are there already; raises InputError if they are others."""
    if not job.target.exists():
        return None
    try:
        results: Mapping[str, Any] = json.loads(job.target.read_bytes())
        same = results["hash"] == benchmark.md5 and same_samples(results, samples)
        detailed = results.get(_DETAILS, False)
        ran_in = results.get(_SANDBOX, DEFAULT_SANDBOX)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        same, detailed, ran_in = False, False, ""
    if not same:
        what = f"not the results of these samples on {benchmark.name}"
    elif ran_in != job.sandbox:
        what = f"from the sandbox {ran_in}"
    elif job.details and not detailed:
        what = "grading stopped at the first wrong answer"
    else:
        return results
    raise InputError(
        f"{job.target}: there already, and {what}; remove it, or name another file with --output"
    )


async def _graded(job: _Job, samples: list[Sample], benchmark: Benchmark) -> Mapping[str, Any]:
    count = job.workers or len(os.sched_getaffinity(0))
    run = {
        "benchmark": benchmark.sha256,
        "samples": digest([[sample.task_id, sample.solution] for sample in samples]),
        "stop_early": not job.details,
        **job.where,
    }
    now = datetime.now().strftime("%Y-%m-%d %H:%M")
    journal = Journal(job.target.with_name(f"{job.target.name}.part"), run, now)
    await asyncio.to_thread(journal.open)
    try:
        async with open_sandbox(
            job.sandbox, concurrency=count, preload="numpy", modules=MODULES
        ) as sandbox:
            with _progress(len(samples), len(journal.verdicts)) as watch:
                verdicts = await grade_samples(
                    sandbox,
                    benchmark,
                    samples,
                    journal,
                    workers=count,
                    stop_early=not job.details,
                    watch=watch,
                )
    finally:
        journal.close()
    results = {**as_evalplus(benchmark, journal.date, samples, verdicts), **job.where}
    if job.details:
        results[_DETAILS] = True
    await asyncio.to_thread(write_atomically, job.target, to_text(results).encode())
    await asyncio.to_thread(journal.remove)
    return results


@contextmanager
def _progress(total: int, done: int) -> Iterator[Watch]:
    """Show a bar with the time that is left on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True, emoji=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("grading", total=total, completed=done)
        yield lambda done, total: progress.update(bar, completed=done)


def _print_table(told: Mapping[str, Any]) -> None:
    all_tasks = told["all_tasks"]
    subset = "" if told["tasks"] == all_tasks else f" of {all_tasks}, over which pass@k is taken"
    where = "" if told["sandbox"] == DEFAULT_SANDBOX else f" (sandbox {told['sandbox']})"
    tasks = f"{told['samples']} samples of {told['tasks']} tasks"
    print(f"{told['benchmark']}: {tasks}{where}{subset}")
    tries = list(told["base"])
    print("".join([f"{'':<12}", *(f"{name:>10}" for name in tries)]))
    for row, name in (("base", "base"), ("base + plus", "plus")):
        if name in told:
            print("".join([f"{row:<12}", *(f"{told[name][k]:>10.3f}" for k in tries)]))
