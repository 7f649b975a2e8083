"""Grade many samples of a benchmark, several at a time."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from opencodeinterpreter.tools.benchmarks.inside import callee, comparer, evalplus_rules
from opencodeinterpreter.tools.benchmarks.results import SampleVerdict
from opencodeinterpreter.tools.benchmarks.samples import Sample
from opencodeinterpreter.tools.benchmarks.tasks import (
    AssertionTask,
    Benchmark,
    InputTask,
    OwnTask,
    Task,
)
from opencodeinterpreter.tools.benchmarks.truth import Truth, TruthStore
from opencodeinterpreter.tools.benchmarks.verdicts import SetStatus, SetVerdict, grade_solution
from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.gathering import all_of
from opencodeinterpreter.tools.grading.grader import MODULES as TESTS_MODULES
from opencodeinterpreter.tools.grading.grader import grade
from opencodeinterpreter.tools.grading.tests import PythonTests, Tests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.sandbox.opening import SandboxName, named_python, open_sandbox
from opencodeinterpreter.tools.sandbox.protocol import ContextSandbox

MODULES = (*TESTS_MODULES, callee, evalplus_rules, comparer)
"""Our modules that run in the sandbox, for all benchmarks."""
RUNS_A_WORKER = 2
"""How many runs at once the sandbox should allow per worker: a candidate's and an examiner's."""
_ASSERTIONS = SandboxLimits(wall_seconds=60, cpu_seconds=60, memory_mb=2048)
"""The limits of all assertions of one sample together."""
Grade = Callable[
    [SandboxName, Benchmark, Sequence[Sample], "VerdictLog", "GradingOptions"],
    Awaitable[list[SampleVerdict]],
]
"""Grades samples somewhere, as `grade_here` does in this process."""
Watch = Callable[[int, int], None]
"""Called with the number of graded samples and the number of all samples."""


@dataclass(frozen=True)
class GradingOptions:
    """How samples are graded."""

    workers: int | None = None
    """Candidates that run at a time; by default one per processor."""
    stop_early: bool = True
    """Whether a sample ends at its first wrong answer."""
    watch: Watch | None = None


class VerdictLog(Protocol):
    """Where verdicts go as they are made."""

    verdicts: dict[int, SampleVerdict]
    """Those that there are, by the samples' places."""

    def add(self, verdict: SampleVerdict) -> None:
        """Keep a verdict."""
        ...


async def grade_here(
    sandbox: SandboxName,
    benchmark: Benchmark,
    samples: Sequence[Sample],
    log: VerdictLog,
    options: GradingOptions,
) -> list[SampleVerdict]:
    """Open a sandbox and do as `grade_samples`."""
    workers = options.workers or len(os.sched_getaffinity(0))
    own = any(isinstance(task, OwnTask) for task in benchmark.tasks.values())
    async with open_sandbox(
        sandbox,
        concurrency=RUNS_A_WORKER * workers,
        preload="numpy",
        modules=MODULES,
        python=named_python() if own else None,
    ) as opened:
        return await grade_samples(opened, benchmark, samples, log, options)


async def grade_samples(
    sandbox: ContextSandbox,
    benchmark: Benchmark,
    samples: Sequence[Sample],
    log: VerdictLog,
    options: GradingOptions,
) -> list[SampleVerdict]:
    """Return the samples' verdicts in order; those in `log` are not computed again.

    Right outputs that the cache lacks are computed first. One sample more than there are workers is
    graded at a time, so that no processor idles while answers are compared. Raises SandboxError,
    BenchmarkError, and InputError if numpy is missing.
    """
    workers = options.workers or len(os.sched_getaffinity(0))
    slots = asyncio.Semaphore(workers + 1)
    turns = asyncio.Semaphore(workers)
    tasks = {sample.task_id: benchmark.tasks[sample.task_id] for sample in samples}
    found = await _truths(
        sandbox,
        TruthStore(benchmark),
        [task for task in tasks.values() if isinstance(task, InputTask)],
        slots,
    )

    def longest_first(number: int) -> float:
        truth = found.get(samples[number].task_id)
        return -truth.seconds if truth else 0.0

    async def graded(number: int) -> None:
        async with slots:
            sample = samples[number]
            task = tasks[sample.task_id]
            if sample.problem:
                verdict = _unread(task, number, sample.problem)
            elif isinstance(task, InputTask):
                sets = await grade_solution(
                    sandbox,
                    task,
                    found[task.task_id],
                    sample.solution,
                    stop_early=options.stop_early,
                    turns=turns,
                )
                verdict = _verdict(number, *sets)
            elif isinstance(task, OwnTask):
                verdict = await _by_own_tests(sandbox, task, number, sample.solution)
            else:
                verdict = await _by_assertions(sandbox, task, number, sample.solution)
        log.add(verdict)
        if options.watch:
            options.watch(len(log.verdicts), len(samples))

    missing = [number for number in range(len(samples)) if number not in log.verdicts]
    await all_of([graded(number) for number in sorted(missing, key=longest_first)])
    return [log.verdicts[number] for number in range(len(samples))]


async def _truths(
    sandbox: ContextSandbox, store: TruthStore, tasks: Sequence[InputTask], slots: asyncio.Semaphore
) -> dict[str, Truth]:
    async def one(task: InputTask) -> Truth:
        async with slots:
            return await store.truth(sandbox, task)

    found = await all_of([one(task) for task in tasks])
    return dict(zip((task.task_id for task in tasks), found, strict=True))


def _unread(task: Task, number: int, problem: str) -> SampleVerdict:
    scored_apart = isinstance(task, InputTask) or (isinstance(task, OwnTask) and task.scoring)
    plus: SetStatus | None = "fail" if scored_apart else None
    return SampleVerdict(number=number, base="fail", plus=plus, reason=problem)


def _verdict(number: int, base: SetVerdict, plus: SetVerdict) -> SampleVerdict:
    reasons = {"base": base.reason, "plus": plus.reason}
    return SampleVerdict(
        number=number,
        base=base.status,
        plus=plus.status,
        base_failed=_failed(base),
        plus_failed=_failed(plus),
        reason="; ".join(f"{name} {reason}" for name, reason in reasons.items() if reason),
    )


def _failed(verdict: SetVerdict) -> tuple[int, ...]:
    """Return the failed inputs as EvalPlus does: if none is known to have failed, the last one."""
    if verdict.status == "pass" or not verdict.right:
        return ()
    wrong = tuple(number for number, right in enumerate(verdict.right) if not right)
    return wrong or (len(verdict.right) - 1,)


async def _by_assertions(
    sandbox: ContextSandbox, task: AssertionTask, number: int, solution: str
) -> SampleVerdict:
    status = await _status(sandbox, PythonTests(source=task.tests), solution, task.entry_point)
    return SampleVerdict(number=number, base=status, plus=None)


async def _by_own_tests(
    sandbox: ContextSandbox, task: OwnTask, number: int, solution: str
) -> SampleVerdict:
    base = await _status(sandbox, task.tests, solution, task.entry_point)
    plus = None
    if task.scoring is not None:
        plus = await _status(sandbox, task.scoring, solution, task.entry_point)
    return SampleVerdict(number=number, base=base, plus=plus)


async def _status(
    sandbox: ContextSandbox, tests: Tests, solution: str, entry_point: str | None
) -> SetStatus:
    program = Program(code=solution, entry_point=entry_point, tests=tests, limits=_ASSERTIONS)
    execution = await grade(sandbox, program, strict=True)
    late = any(test.status == "timeout" for test in execution.tests or ())
    return "pass" if execution.passed else "timeout" if late else "fail"
