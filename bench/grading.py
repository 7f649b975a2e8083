"""Grading speed beside its floor: the processor time of the functions alone, over the workers.

The functions are the calls that a verdict rests on, up to the first wrong answer. Processor time
is printed beside wall time: on a busy machine only that can be compared.

python bench/grading.py DATA_FOLDER [COMPLETIONS]

DATA_FOLDER holds the official files of HumanEval+ and MBPP+ (.jsonl, .gz or .xz); COMPLETIONS is a
folder of completions-humaneval.jsonl.xz and completions-mbpp.jsonl.xz, of which 400 are graded.
With EVALPLUS_PYTHON, an interpreter that has EvalPlus, its checker is measured on the same samples
in between. Prints ratios; without the data it says so and ends.
"""

import asyncio
import json
import lzma
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from opencodeinterpreter.tools.benchmarks.files import BenchmarkName
from opencodeinterpreter.tools.benchmarks.grading import (
    MODULES,
    RUNS_A_WORKER,
    GradingOptions,
    grade_samples,
)
from opencodeinterpreter.tools.benchmarks.journal import Journal
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask, load_benchmark
from opencodeinterpreter.tools.benchmarks.truth import TruthStore
from opencodeinterpreter.tools.benchmarks.verdicts import grade_solution
from opencodeinterpreter.tools.sandbox.local.sandbox import LocalSandbox, open_local_sandbox
from opencodeinterpreter.tools.sandbox.local.settings import LocalSandboxSettings

WORKERS = 2
SAMPLES = 400
_FILES: dict[BenchmarkName, str] = {"humaneval+": "HumanEvalPlus", "mbpp+": "MbppPlus"}
# EvalPlus's command asserts that all tasks have a sample: its checker is called as it calls it.
_EVALPLUS = """
import json, resource, sys, time
from concurrent.futures import ProcessPoolExecutor
from evalplus.data import *
from evalplus.evaluate import check_correctness, get_groundtruth
from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
name, samples, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
if name == "humaneval":
    tasks, digest, plain = get_human_eval_plus(), get_human_eval_plus_hash(), []
else:
    tasks, digest, plain = get_mbpp_plus(), get_mbpp_plus_hash(), MBPP_OUTPUT_NOT_NONE_TASKS
truth = get_groundtruth(tasks, digest, plain)
def used():
    each = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)
began, before = time.time(), used()
with ProcessPoolExecutor(workers) as pool:
    for at, row in enumerate(map(json.loads, open(samples))):
        task = row["task_id"]
        pool.submit(check_correctness, name, at, tasks[task], row["solution"], truth[task],
                    False, True, str(at))
print("cost", time.time() - began, used() - before)
"""


class Cost(NamedTuple):
    """What a pass over all samples took, in seconds."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processor:.1f} s of processor time)"


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    each = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def _sandbox() -> AbstractAsyncContextManager[LocalSandbox]:
    return open_local_sandbox(
        LocalSandboxSettings(concurrency=RUNS_A_WORKER * WORKERS, preload="numpy", modules=MODULES)
    )


async def grade_all(benchmark: Benchmark, samples: list[Sample]) -> tuple[Cost, int]:
    """Grade `samples`; return what that cost and how many passed.

    The sandbox's start is in the processor time alone.
    """
    before = processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal", {}, "")
        journal.open()
        async with _sandbox() as sandbox:
            began = time.perf_counter()
            found = await grade_samples(
                sandbox, benchmark, samples, journal, GradingOptions(WORKERS)
            )
            wall = time.perf_counter() - began
        journal.close()
    cost = Cost(wall, processor_seconds() - before)
    return cost, sum(verdict.passed for verdict in found)


async def floor(benchmark: Benchmark, samples: list[Sample]) -> float:
    """Return the processor time of the functions alone, over the workers."""
    store, slots = TruthStore(benchmark), asyncio.Semaphore(WORKERS)

    async def seconds(sample: Sample) -> float:
        task = benchmark.tasks[sample.task_id]
        assert isinstance(task, InputTask)
        async with slots:
            truth = await store.truth(sandbox, task)
            sets = await grade_solution(sandbox, task, truth, sample.solution)
        return sum(each.seconds for each in sets)

    async with _sandbox() as sandbox:
        return sum(await asyncio.gather(*map(seconds, samples))) / WORKERS


def evalplus(name: str, data: Path, samples: list[Sample]) -> Cost | None:
    """Return what EvalPlus's checker costs on the same samples, if there is one."""
    python = os.environ.get("EVALPLUS_PYTHON")
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        unpacked, rows = Path(folder) / "data.jsonl", Path(folder) / "samples.jsonl"
        opened = lzma.open if data.suffix == ".xz" else open
        with opened(data, "rb") as file:
            unpacked.write_bytes(file.read())
        rows.write_text("".join(json.dumps(vars(sample)) + "\n" for sample in samples))
        variable = f"{name.rstrip('+').upper()}_OVERRIDE_PATH"
        done = subprocess.run(
            [python, "-c", _EVALPLUS, name.rstrip("+"), str(rows), str(WORKERS)],
            env={**os.environ, variable: str(unpacked)},
            capture_output=True,
            text=True,
            check=True,
        )
    wall, processor = done.stdout.rpartition("cost")[2].split()
    return Cost(float(wall), float(processor))


def chosen(completions: Path) -> list[Sample]:
    """Return every n-th completion, so that both benchmarks together have about 400."""
    rows = lzma.decompress(completions.read_bytes()).splitlines()
    every = max(1, len(rows) * len(_FILES) // SAMPLES)
    told = [json.loads(row) for row in rows[::every]]
    return [Sample(row["task_id"], row["solution"]) for row in told]


def _times(cost: Cost, least: float) -> str:
    wall, processor = cost.wall / least, cost.processor / WORKERS / least
    return f"{wall:.2f} x the floor ({processor:.2f} x in processor time)"


async def measure(name: BenchmarkName, data: Path, completions: Path | None) -> None:
    """Print the figures of one benchmark."""
    benchmark = await load_benchmark(name, data)
    references = [Sample(task.task_id, task.reference or "") for task in benchmark.tasks.values()]
    least = await floor(benchmark, references)
    ours, passed = await grade_all(benchmark, references)
    print(f"{name}: {passed} of {len(references)} references pass")
    print(f"{name}: references {ours}, floor {least:.1f} s: {_times(ours, least)}")
    if completions is None:
        return
    samples = await asyncio.to_thread(chosen, completions)
    for _ in range(3):
        least = await floor(benchmark, samples)
        ours, _passed = await grade_all(benchmark, samples)
        print(f"{name}: {len(samples)} completions {ours}, floor {least:.1f} s: ", end="")
        print(_times(ours, least))
        theirs = await asyncio.to_thread(evalplus, name, data, samples)
        if theirs:
            wall, processor = theirs.wall / ours.wall, theirs.processor / ours.processor
            print(f"{name}: EvalPlus {theirs}: {_times(theirs, least)}; ", end="")
            print(f"{wall:.1f} x ours ({processor:.1f} x in processor time)")


async def main() -> None:
    """Measure both benchmarks, as far as their files are there."""
    print(f"load before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    folders = [Path(argument) for argument in sys.argv[1:]] or [Path("../shared/data")]
    for name, start in _FILES.items():
        data = next(iter(sorted(folders[0].glob(f"{start}*.jsonl*"))), None)
        if data is None:
            print(f"{name}: no {start}*.jsonl in {folders[0]}; name a folder that has it")
            continue
        rows = folders[-1] / f"completions-{name.rstrip('+')}.jsonl.xz"
        await measure(name, data, rows if rows.exists() else None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory of the grader itself: {peak} MB")


if __name__ == "__main__":
    asyncio.run(main())
