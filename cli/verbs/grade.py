"""`grade`: grade samples of a benchmark; print pass@k and write EvalPlus's result file."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from opencodeinterpreter.cli.options import JsonOption, RayOption, SandboxOption
from opencodeinterpreter.cli.progress import grading_progress
from opencodeinterpreter.cli.ray_grading import grade_on_ray
from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.benchmarks.files import BenchmarkName
from opencodeinterpreter.tools.benchmarks.grading import (
    Grade,
    GradingOptions,
    grade_here,
)
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
from opencodeinterpreter.tools.sandbox.opening import DEFAULT_SANDBOX

_DETAILS = "test_details"
"""Our own key in a result file: all inputs were run, also those after a wrong answer."""
_SANDBOX = "sandbox"
"""Our own key in a result file: the sandbox, if it was not the default one."""


@dataclass(frozen=True, kw_only=True)
class GradeOptions:
    """What to grade, and how."""

    samples: Annotated[Path, typer.Argument(help="EvalPlus's samples: a .jsonl file or a folder.")]
    benchmark: Annotated[
        str, typer.Option(help="humaneval, humaneval+, mbpp or mbpp+; those with + have both sets.")
    ]
    data: Annotated[
        Path | None,
        typer.Option(help="The benchmark's file (plain, .gz or .xz); by default fetched once."),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Samples at a time, on each node; by default one per processor."),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Result file; by default beside the samples."),
    ] = None
    test_details: Annotated[
        bool, typer.Option("--test-details", help="Run all inputs, also after a wrong answer.")
    ] = False
    sandbox: SandboxOption = DEFAULT_SANDBOX
    ray: RayOption = None

    @property
    def target(self) -> Path:
        """The result file."""
        return self.output or results_path(self.samples)

    @property
    def grade(self) -> Grade:
        """What grades the samples."""
        return grade_here if self.ray is None else partial(grade_on_ray, self.ray)

    @property
    def where(self) -> dict[str, str]:
        """What result files and journals say about the sandbox: nothing for the default one."""
        return {} if self.sandbox == DEFAULT_SANDBOX else {_SANDBOX: self.sandbox}


def grade(options: GradeOptions, as_json: JsonOption = False) -> None:
    """Grade samples of HumanEval or MBPP by EvalPlus's rules.

    An interrupted run continues where it stopped if it is started again.
    """
    told = asyncio.run(_grade(options))
    if as_json:
        print(json.dumps({**told, "results": str(options.target)}))
    else:
        _print_table(told)
        print(f"results: {options.target}", file=sys.stderr)


def known_benchmark(name: str) -> BenchmarkName:
    """Return the benchmark of this name; raises InputError for an unknown one."""
    known: dict[str, BenchmarkName] = {
        "humaneval": "humaneval",
        "humaneval+": "humaneval+",
        "mbpp": "mbpp",
        "mbpp+": "mbpp+",
    }
    if name not in known:
        raise InputError(f"unknown benchmark {name!r}; use one of {', '.join(known)}")
    return known[name]


async def _grade(options: GradeOptions) -> dict[str, Any]:
    benchmark = await load_benchmark(known_benchmark(options.benchmark), options.data)
    samples = await asyncio.to_thread(read_samples, options.samples, benchmark)
    _warn([sample.problem for sample in samples if sample.problem])
    results = await asyncio.to_thread(_finished, options, samples, benchmark)
    if results is None:
        results = await _graded(options, samples, benchmark)
    return {
        "benchmark": options.benchmark,
        "sandbox": options.sandbox,
        "samples": len(samples),
        "tasks": len({sample.task_id for sample in samples}),
        "all_tasks": len(benchmark.tasks),
        **pass_at_k(results),
    }


def _warn(problems: list[str]) -> None:
    if problems:
        count = "1 sample" if len(problems) == 1 else f"{len(problems)} samples"
        print(f"{count} cannot be read and failed: {problems[0]}", file=sys.stderr)


def _finished(
    options: GradeOptions, samples: list[Sample], benchmark: Benchmark
) -> Mapping[str, Any] | None:
    """Return the results of an earlier run; raises InputError if they are of other samples."""
    if not options.target.exists():
        return None
    try:
        results: Mapping[str, Any] = json.loads(options.target.read_bytes())
        same = results["hash"] == benchmark.md5 and same_samples(results, samples)
        detailed = results.get(_DETAILS, False)
        ran_in = results.get(_SANDBOX, DEFAULT_SANDBOX)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        same, detailed, ran_in = False, False, ""
    if not same:
        what = f"it does not hold the results of these samples on {benchmark.name}"
    elif ran_in != options.sandbox:
        what = f"its results are from the sandbox {ran_in}"
    elif options.test_details and not detailed:
        what = "its grading stopped at the first wrong answer"
    else:
        return results
    raise InputError(
        f"{options.target} exists already: {what}; remove it, or name another file with --output"
    )


async def _graded(
    options: GradeOptions, samples: list[Sample], benchmark: Benchmark
) -> Mapping[str, Any]:
    run = {
        "benchmark": benchmark.sha256,
        "samples": digest([[sample.task_id, sample.solution] for sample in samples]),
        "stop_early": not options.test_details,
        **options.where,
    }
    now = datetime.now().strftime("%Y-%m-%d %H:%M")
    journal = Journal(options.target.with_name(f"{options.target.name}.part"), run, now)
    await asyncio.to_thread(journal.open)
    try:
        with grading_progress(len(samples), len(journal.verdicts)) as watch:
            how = GradingOptions(options.workers, not options.test_details, watch)
            verdicts = await options.grade(options.sandbox, benchmark, samples, journal, how)
    finally:
        journal.close()
    results = {**as_evalplus(benchmark, journal.date, samples, verdicts), **options.where}
    if options.test_details:
        results[_DETAILS] = True
    await asyncio.to_thread(write_atomically, options.target, to_text(results).encode())
    await asyncio.to_thread(journal.remove)
    return results


def _print_table(told: Mapping[str, Any]) -> None:
    all_tasks = told["all_tasks"]
    subset = "" if told["tasks"] == all_tasks else f" of {all_tasks}; pass@k counts all of them"
    where = "" if told["sandbox"] == DEFAULT_SANDBOX else f" (sandbox {told['sandbox']})"
    tasks = f"{told['samples']} samples of {told['tasks']} tasks"
    print(f"{told['benchmark']}: {tasks}{where}{subset}")
    tries = list(told["base"])
    print("".join([f"{'':<12}", *(f"{name:>10}" for name in tries)]))
    for row, name in (("base", "base"), ("base + plus", "plus")):
        if name in told:
            print("".join([f"{row:<12}", *(f"{told[name][k]:>10.3f}" for k in tries)]))
