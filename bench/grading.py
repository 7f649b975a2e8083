"""Grading speed beside its floor: the processor time of the functions alone, over the workers.

python bench/grading.py DATA_FOLDER [COMPLETIONS]

DATA_FOLDER holds the official files of HumanEval+ and MBPP+ (.jsonl, .gz or .xz); COMPLETIONS is a
folder of completions-humaneval.jsonl.xz and completions-mbpp.jsonl.xz, of which 400 are graded.
With EVALPLUS_PYTHON, an interpreter that has EvalPlus, its wall time on the same samples is
measured in between. Prints ratios; without the data it says so and ends.
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
from pathlib import Path

from opencodeinterpreter.tools.benchmarks.files import BenchmarkName
from opencodeinterpreter.tools.benchmarks.grading import grade_samples
from opencodeinterpreter.tools.benchmarks.journal import Journal
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import Benchmark, InputTask, load_benchmark
from opencodeinterpreter.tools.benchmarks.truth import TruthStore
from opencodeinterpreter.tools.sandbox.local import LocalSandbox, open_local_sandbox

WORKERS = 2
SAMPLES = 400
_FILES: dict[BenchmarkName, str] = {"humaneval+": "HumanEvalPlus", "mbpp+": "MbppPlus"}
# EvalPlus's command asserts that all tasks have a sample: its checker is called as it calls it.
_EVALPLUS = """
import json, sys, time
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
began = time.time()
with ProcessPoolExecutor(workers) as pool:
    for at, row in enumerate(map(json.loads, open(samples))):
        task = row["task_id"]
        pool.submit(check_correctness, name, at, tasks[task], row["solution"], truth[task],
                    False, True, str(at))
print("seconds", time.time() - began)
"""


async def grade_all(
    sandbox: LocalSandbox, benchmark: Benchmark, samples: list[Sample]
) -> tuple[float, int]:
    """Grade `samples`; return seconds of wall time and how many passed."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal", {}, "")
        journal.open()
        began = time.perf_counter()
        found = await grade_samples(sandbox, benchmark, samples, journal, workers=WORKERS)
        seconds = time.perf_counter() - began
        journal.close()
    return seconds, sum(verdict.passed for verdict in found)


async def floor(sandbox: LocalSandbox, benchmark: Benchmark) -> float:
    """Return the seconds that the references alone take, over the workers."""
    store = TruthStore(benchmark)
    tasks = [task for task in benchmark.tasks.values() if isinstance(task, InputTask)]
    return sum([(await store.truth(sandbox, task)).seconds for task in tasks]) / WORKERS


def evalplus(name: str, data: Path, samples: list[Sample]) -> float | None:
    """Return the wall time of EvalPlus's checker on the same samples, if there is one."""
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
    return float(done.stdout.rpartition("seconds")[2])


def chosen(completions: Path) -> list[Sample]:
    """Return every n-th completion, so that both benchmarks together have about 400."""
    rows = lzma.decompress(completions.read_bytes()).splitlines()
    every = max(1, len(rows) * len(_FILES) // SAMPLES)
    told = [json.loads(row) for row in rows[::every]]
    return [Sample(row["task_id"], row["solution"]) for row in told]


async def measure(name: BenchmarkName, data: Path, completions: Path | None) -> None:
    """Print the figures of one benchmark."""
    benchmark = await load_benchmark(name, data)
    references = [Sample(task.task_id, task.reference) for task in benchmark.tasks.values()]
    async with open_local_sandbox(concurrency=WORKERS, preload="numpy") as sandbox:
        least = await floor(sandbox, benchmark)
        seconds, passed = await grade_all(sandbox, benchmark, references)
        print(f"{name}: {passed} of {len(references)} references pass")
        print(f"{name}: floor {least:.1f} s, references {seconds:.1f} s = {seconds / least:.2f} x")
        if completions is None:
            return
        samples = await asyncio.to_thread(chosen, completions)
        for _ in range(3):
            seconds, _passed = await grade_all(sandbox, benchmark, samples)
            theirs = await asyncio.to_thread(evalplus, name, data, samples)
            beside = (
                "" if theirs is None else f", EvalPlus {theirs:.1f} s = {theirs / seconds:.1f} x"
            )
            print(f"{name}: {len(samples)} completions {seconds:.1f} s{beside}")


async def main() -> None:
    """Measure both benchmarks, as far as their files are there."""
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
